"""The smallest files at a small drop: recipes chosen on validation rows, judged on test rows.

For each seed (of split and training) recipes are drawn at random from a space stated here; the
smallest whose validation drop is at most `CHOSEN_DROP` points is chosen; its drop on the test rows
is what counts. Sizes are under gzip -9 against the fp32 ONNX file under gzip -9, or on disk.
``python -m benchmarks quality``, about four minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import paretoscope as ps
from paretoscope.artifact import Artifact, draft_artifact
from paretoscope.measurement import Baseline, score, with_latency

SEEDS = (0, 1, 2)
CHOSEN_DROP = 0.004
_FIRST = ("q(2)", "q(2.5)", "q(3)", "q(3.5)", "q(4)", "symmetric(2,per=output,clip=mse)")
_LATER = ("q(3)", "q(4)", "q(5)", "symmetric(3,clip=mse)")
_LAST = ("q(4)", "q(6)", "q(8)")
_SPARSITIES = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True)
class Line:
    """One line of the table: a dataset and model, how many recipes are drawn, which size counts."""

    dataset: str
    model: str
    n_drawn: int
    size: Callable[[Artifact], int]
    title: str


LINES = (
    Line("digits", "mlp-64-32", 400, lambda a: a.sizes.gzip, "gzip -9, no retraining"),
    Line("fashion-mnist", "lenet-300-100", 70, lambda a: a.sizes.gzip, "gzip -9, no retraining"),
    Line("fashion-mnist", "lenet-300-100", 70, lambda a: a.sizes.file, "on disk, no retraining"),
)


def run() -> None:
    for line in LINES:
        found = [_seed(line, seed) for seed in SEEDS]
        ratios, drops = (np.array([f[i] for f in found]) for i in (0, 1))
        print(
            f"{line.dataset}, {line.model}, {line.title}: {ratios.mean():.1f}x smaller "
            f"(seeds {', '.join(f'{r:.1f}' for r in ratios)}), mean test drop "
            f"{100 * drops.mean():.2f} points (seeds {', '.join(f'{100 * d:.2f}' for d in drops)})"
        )


def _seed(line: Line, seed: int) -> tuple[float, float]:
    data = ps.load_dataset(line.dataset, seed)
    network = ps.train(line.model, data, seed)
    validation, baseline = Baseline(network, data), Baseline(network, data, "test")
    rng = np.random.default_rng(seed)
    best: Artifact | None = None
    for _ in range(line.n_drawn):
        recipe = ps.Recipe.parse(_draw(rng, list(network.weights)))
        draft = draft_artifact(network, recipe, data.train, data.validation)
        scores = network.scores(data.validation.X, draft.stored.decoded(), draft.stored.biases)
        drop = float(np.mean(validation.predictions == data.validation.y)) - float(
            np.mean(scores.argmax(1) == data.validation.y)
        )
        if drop <= CHOSEN_DROP and (best is None or line.size(draft) < line.size(best)):
            best = draft
    assert best is not None, "no recipe was within the drop"
    artifact = ps.compress(network, best.recipe, data.train, data.validation)
    judged = with_latency(score(artifact, baseline), artifact, baseline, batch=1)
    latency = judged.latency()
    assert latency is not None
    ratio = line.size(baseline.artifact) / line.size(artifact)
    print(
        f"  seed {seed}: {ratio:.1f}x, test {judged.accuracy.value:.2%} "
        f"({100 * judged.change.value:+.2f} points), time at batch 1 {1 / latency.ratio:.2f}x "
        f"faster, {artifact.recipe}",
        flush=True,
    )
    return ratio, -judged.change.value


def _draw(rng: np.random.Generator, layers: list[str]) -> str:
    """A recipe of the space: for each layer a sparsity and a quantizer, with compensation."""
    last = len(layers) - 1
    parts = []
    for number in range(len(layers)):
        choices = _FIRST if number == 0 else _LAST if number == last else _LATER
        sparsity = 0.0 if number == last else float(rng.choice(_SPARSITIES))
        criterion = rng.choice(["magnitude", "obs"])
        cut = f"{criterion}(sparsity={sparsity},scope=layer)+" if sparsity else ""
        parts.append(f"{cut}{rng.choice(choices)}")
    first, *others = parts
    own = [f"{name}={part}" for name, part in zip(layers[1:], others, strict=True)]
    return ";".join([f"{first}+gptq", *own])
