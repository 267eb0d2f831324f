"""What single methods are worth, for docs/decisions.md: units refitted or not, filters removed,
8-bit activations, and fine-tuning a convolutional network."""

from __future__ import annotations

import time

import paretoscope as ps
from paretoscope.artifact.artifact import make_draft
from paretoscope.artifact.quick_latency import BATCHES
from paretoscope.measurement.measurement import Baseline, compute, score, with_latency
from paretoscope.methods.pruning import UNIT_CRITERIA

from benchmarks.spelling import ROUNDS

LENET, CNN = ("fashion-mnist", "lenet-300-100"), ("fashion-mnist", "cnn")


def run() -> None:
    baseline = _baseline(*LENET)
    for criterion in UNIT_CRITERIA:
        drops = []
        for repair in ("mean", "refit"):
            recipe = ps.Recipe(units=criterion(0.5, repair=repair))
            _, measured = compute(baseline.network, recipe, baseline)
            drops.append(f"{repair} {-100 * measured.change.value:.2f}")
        print(f"LeNet, half of the units by {criterion.name}: drop {', '.join(drops)} points")
    for removed in (0.3, 0.5):
        _times(f"CNN, {round(32 * (1 - removed))} of 32 filters left", CNN,
               f"float32;conv2=l2({removed},repair=refit)")  # fmt: skip
    for names in (("digits", "mlp-64-32"), CNN, LENET):
        _times(f"{names[1]}, 8-bit activations", names, "int8")
    baseline = _baseline(*CNN)
    start = time.perf_counter()
    recipe = ps.Recipe.parse("magnitude(sparsity=0.5)+q(16)+finetune(epochs=1)")
    data = baseline.dataset
    make_draft(baseline.network, recipe, data.train, data.validation)
    print(f"CNN: one epoch of fine-tuning, one thread: {time.perf_counter() - start:.0f} s")


def _baseline(dataset: str, model: str) -> Baseline:
    data = ps.load_dataset(dataset)
    return Baseline(ps.train(model, data), data)


def _times(title: str, names: tuple[str, str], text: str) -> None:
    baseline = _baseline(*names)
    recipe = ps.Recipe.parse(text)
    artifact = ps.compress(baseline.network, recipe, baseline.dataset.train)
    measured = score(artifact, baseline)
    for batch in BATCHES:
        measured = with_latency(measured, artifact, baseline, batch, ROUNDS)
    ratios = ", ".join(
        f"{la.ratio:.2f} ({la.ratio_interval[0]:.2f} to {la.ratio_interval[1]:.2f}) at batch "
        f"{la.batch}"
        for la in measured.latencies
    )
    print(f"{title}: time ratio {ratios}")
