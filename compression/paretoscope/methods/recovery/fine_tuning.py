"""Quantization-aware fine-tuning in numpy: the network learns to live with its cut and its grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paretoscope.base.parameters import BoolArray, Choice, FloatArray, Number, parameter
from paretoscope.methods.pruning import Sparsity
from paretoscope.methods.quantization import Grid
from paretoscope.methods.recovery.base import Recovery, RecoveryInput, Stored
from paretoscope.network.chain import Chain, as_chain
from paretoscope.network.gradient import Arrays, Schedule, copy_of, descend, targets_of
from paretoscope.problems.score import Targets

_MASK_GROWS_UNTIL = 0.5  # of the training; then the mask is held
_STEPS_A_MASK = 25
_LARGE_ROWS, _LARGE_BATCH, _SMALL_BATCH = 5_000, 128, 32


@dataclass(frozen=True)
class FineTuning(Recovery):
    """Train on with the cut growing and weights rounded in every step, straight through.

    In each layer the share of zeros rises to that of the cut along ``s (1 - (1 - t)^3)`` over the
    first half (Zhu and Gupta 2017, arXiv 1710.01878), the smallest weights of the cut going first,
    and is then held. Rounding is passed straight through (Bengio et al. 2013, arXiv 1308.3432).
    Kept is the epoch that does best on validation rows. Interrupting keeps the best so far.
    """

    name = "finetune"
    title = "Fine-tuning"
    short = "Fine-tune"
    needs_rows = True
    needs_validation_rows = True

    epochs: float = parameter(
        Number(1, 1000, whole=True),
        default=14,
        label="Epochs",
        help="How often every training row is seen. More take longer and recover more.",
    )
    targets: str = parameter(
        Choice(("labels", "scores")),
        default="labels",
        label="Learn from",
        help="labels: what is true of each row. scores: the uncompressed network's, without any "
        "labels (distillation).",
    )
    rate: float = parameter(
        Number(1e-6, 1), default=1e-3, label="Rate", help="The step size of Adam at the start."
    )

    def recover(self, given: RecoveryInput) -> Stored:
        run = _Run(given, as_chain(given.network))
        rows = given.train_rows
        assert rows is not None
        batch = _LARGE_BATCH if len(rows) > _LARGE_ROWS else _SMALL_BATCH
        schedule = Schedule(int(self.epochs), float(self.rate), batch)
        try:
            weights, biases = descend(
                run.chain,
                rows.X,
                self._targets(given),
                schedule,
                given.network.problem.loss,
                effective=run.effective,
                after_epoch=run.after_epoch,
            )
        except KeyboardInterrupt:
            if run.last is None:
                raise
            run.judge(*run.last)
        else:
            run.judge(weights, biases)
        assert run.best is not None
        weights, biases = run.best
        return Stored({n: run.grids[n].project(w) for n, w in weights.items()}, biases)

    def _targets(self, given: RecoveryInput) -> Targets:
        rows = given.train_rows
        assert rows is not None
        if self.targets == "labels":
            return targets_of(given.network, rows.X, rows.y)
        return given.network.problem.as_targets(given.network.scores(rows.X))


class _Run:
    """One fine-tuning: the masks at the moment, and the best weights so far."""

    def __init__(self, given: RecoveryInput, chain: Chain) -> None:
        self.given, self.chain = given, chain
        self.best: tuple[Arrays, Arrays] | None = None
        self.last: tuple[Arrays, Arrays] | None = None
        self.grids: dict[str, Grid] = {n: given.grid(n, w) for n, w in chain.weights.items()}
        self._best = -np.inf
        judged = given.validation_rows
        assert judged is not None
        self._wanted = targets_of(given.network, judged.X, judged.y)
        self._sparsity = {n: 1 - float(given.kept(n).mean()) for n in chain.names}
        self._masks: dict[str, tuple[BoolArray, int]] = {}

    def effective(self, name: str, weight: FloatArray, done: float) -> FloatArray:
        """The weight to compute with: masked and rounded."""
        return self.grids[name].nearest(self._masked(name, weight, done))

    def _masked(self, name: str, weight: FloatArray, done: float) -> FloatArray:
        if self._sparsity[name] == 0:
            return weight
        mask, age = self._masks.get(name, (None, _STEPS_A_MASK))
        growing = done < _MASK_GROWS_UNTIL
        if mask is None or (age >= _STEPS_A_MASK and growing):
            share = 1 - (1 - min(1.0, done / _MASK_GROWS_UNTIL)) ** 3
            mask, age = self._mask(name, weight, share), 0
        elif not growing and age >= 0:  # once, when the mask is whole; from then on it is held
            mask, age = self._mask(name, weight, 1.0), -1
        self._masks[name] = mask, age + 1 if growing else -1
        return np.where(mask, weight, np.float32(0))

    def _mask(self, name: str, weight: FloatArray, share: float) -> BoolArray:
        """The mask when `share` of the cut is carried out."""
        kept = self.given.kept(name)
        if share >= 1:
            return kept
        scores = np.where(kept, np.float32(np.inf), np.abs(weight))
        return Sparsity(self._sparsity[name] * share)({name: scores}).kept[name]

    def after_epoch(self, weights: Arrays, biases: Arrays, done: float) -> None:
        self.last = weights, biases
        self.given.report(done, f"fine-tuning, {done:.0%}")
        if done > _MASK_GROWS_UNTIL:
            self.judge(weights, biases)

    def judge(self, weights: Arrays, biases: Arrays) -> None:
        """Keep these weights if none before did better on the validation rows."""
        rows = self.given.validation_rows
        assert rows is not None
        used = {
            name: self.grids[name].nearest(np.where(self.given.kept(name), w, np.float32(0)))
            for name, w in weights.items()
        }
        problem = self.given.network.problem
        score = problem.scores[0]
        outputs = self.given.network.scores(rows.X, used, biases)
        found = score.figure(problem.predict(outputs), self._wanted).value
        merit = found if score.higher_is_better else -found
        if merit > self._best:
            self._best = merit
            self.best = copy_of(used), copy_of(biases)
