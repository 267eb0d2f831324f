"""What a criterion is: how much each weight matters, and by which selection the least go."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import (
    Choice,
    FloatArray,
    Member,
    Number,
    parameter,
)
from paretoscope.data.rows import Rows
from paretoscope.methods.pruning.cut import Scores
from paretoscope.methods.pruning.selections import (
    SCOPES,
    Pattern,
    Selection,
    Sparsity,
    Threshold,
    rms,
)
from paretoscope.network.network import Network

LARGEST_THRESHOLD = 1e30  # well within float32, in which scores are kept


def _threshold_stops(scores: Scores, count: int, scope: str = "global") -> Sequence[float]:
    """Thresholds at even steps of sparsity up to 90 %, then 95 and 98 %, to three digits."""
    if scope != "global":
        units = {name: np.float32(np.maximum(rms(s, scope), 1e-30)) for name, s in scores.items()}
        scores = {name: s / units[name] for name, s in scores.items()}
    pooled = np.concatenate([score.ravel() for score in scores.values()])
    values = np.quantile(pooled, _sparsity_levels(count))
    values[values < 1e-6 * pooled.max()] = 0  # weights that decayed to nothing in training
    return sorted({0.0, *(float(f"{value:.3g}") for value in values)})


def _sparsity_stops(scores: Scores, count: int, scope: str = "global") -> Sequence[float]:
    return [round(float(level), 3) for level in _sparsity_levels(count)]


def _sparsity_levels(count: int) -> FloatArray:
    levels: FloatArray = np.append(np.linspace(0, 0.9, max(count - 2, 2)), [0.95, 0.98])
    return levels


@dataclass(frozen=True)
class Criterion(Member):
    """How much each weight matters, and by which selection the least important go.

    Exactly one of `threshold`, `sparsity` and `pattern` is given.
    `score` is how sliders write the score; `by_magnitude` says that it is the weight's own size.
    """

    needs_rows: ClassVar[bool] = False
    score: ClassVar[str] = "score"
    by_magnitude: ClassVar[bool] = False

    threshold: float | None = parameter(
        Number(0, LARGEST_THRESHOLD),
        default=None,
        label="Threshold",
        help="Weights that score below it are set to zero. A higher threshold cuts more.",
        stops=_threshold_stops,
    )
    sparsity: float | None = parameter(
        Number(0, 1),
        default=None,
        label="Sparsity",
        help="The share of weights set to zero, the least important first.",
        stops=_sparsity_stops,
    )
    pattern: str | None = parameter(
        Choice(("1:2", "2:4", "1:4", "4:8")),
        default=None,
        label="Pattern",
        help="N:M keeps the N best of every M consecutive inputs of an output.",
    )
    scope: str = parameter(
        Choice(SCOPES),
        default="global",
        label="Scope",
        help="global: one ranking for all layers. layer: each layer by itself. output: each output "
        "by itself. A threshold by layer or output is in units of its root mean square score.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [n for n in ("threshold", "sparsity", "pattern") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ParetoscopeError(
                f"{self.name} takes one of threshold, sparsity and pattern; "
                f"got {' and '.join(given) or 'none'}"
            )
        if self.pattern is not None and self.scope != "global":
            raise ParetoscopeError(f"{self.name} takes no scope with a pattern; got {self.scope!r}")

    @property
    def selection(self) -> Selection:
        if self.threshold is not None:
            return Threshold(self.threshold, self.scope)
        if self.sparsity is not None:
            return Sparsity(self.sparsity, self.scope)
        assert self.pattern is not None
        n, m = self.pattern.split(":")
        return Pattern(int(n), int(m))

    @abstractmethod
    def scores(self, network: Network, rows: Rows | None) -> Scores:
        """How much each weight matters: an array of the weight's shape for each layer.

        Parameters
        ----------
        network : Network
        rows : Rows or None
            Training rows, for criteria with `needs_rows`.
        """
