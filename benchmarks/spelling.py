"""Size and time of the files against their fp32 file, in turn in one run.

Claims: the int4 file of LeNet-300-100 is at least 7.5 times smaller and 1.3 times faster at batch
1; no file of the digits MLP or of the CNNs, at any Q, is slower (95 % interval of the ratio
reaching below 1.05).
"""

from __future__ import annotations

import paretoscope as ps
from paretoscope.latency import BATCHES, Latency
from paretoscope.measurement import Baseline, score, with_latency
from paretoscope.network import Network
from paretoscope.quantization import FixedPoint
from paretoscope.sweeps import stops

ROUNDS = 61
SLOWER = 1.05
_HEAD = f"{'recipe':<10} {'codes':<20} {'bytes':>9} {'smaller':>8} {'accuracy':>9}  " + "  ".join(
    f"time ratio at batch {batch} (95 %)" for batch in BATCHES
)


def run() -> None:
    lenet = _rows("fashion-mnist", "lenet-300-100", [1, 3, 8, 16, 100, 1000, None])
    int4 = next(m for m in lenet if str(m.recipe) == "q(8)")
    latency = int4.latency()
    assert latency is not None
    smaller = lenet[-1].size_bytes / int4.size_bytes
    print(
        f"LeNet int4: {smaller:.2f} times smaller, {1 / latency.ratio:.2f} times faster at batch "
        f"1, accuracy {int4.accuracy.value:.2%} (fp32 {lenet[-1].accuracy.value:.2%}), "
        f"n = {int4.accuracy.n:,}\n"
    )
    data = ps.load_dataset("digits")
    network = ps.train("mlp-64-32", data)
    digits = _rows("digits", "mlp-64-32", stops(network, FixedPoint, "q", 40))
    slow = [m for m in digits if any(_is_slower(la) for la in m.latencies)]
    print(f"digits MLP: {len(slow)} of {len(digits)} files slower than their fp32 file")
    for dataset in ("digits", "fashion-mnist"):
        rows = _rows(dataset, "cnn", [1, 4, 8, 16, 100, 1000])
        slow = [m for m in rows if any(_is_slower(la) for la in m.latencies)]
        print(f"{dataset} CNN: {len(slow)} of {len(rows)} files slower than their fp32 file")


def _rows(dataset: str, model: str, values: list[float | None]) -> list[ps.Measurement]:
    data = ps.load_dataset(dataset)
    network = ps.train(model, data)
    baseline = Baseline(network, data)
    print(f"{dataset}, {model}, {ROUNDS} rounds\n{_HEAD}")
    found = []
    for recipe in ps.grid(q=values):
        measurement = _measure(network, recipe, baseline)
        print(_line(measurement, baseline.artifact.sizes.file))
        found.append(measurement)
    return found


def _measure(network: Network, recipe: ps.Recipe, baseline: Baseline) -> ps.Measurement:
    artifact = ps.compress(network, recipe, baseline.dataset.train)
    measurement = score(artifact, baseline)
    for batch in BATCHES:
        measurement = with_latency(measurement, artifact, baseline, batch, ROUNDS)
    return measurement


def _line(m: ps.Measurement, fp32_bytes: int) -> str:
    codes = " ".join(dict.fromkeys(storage for _, _, storage in m.bits))
    ratios = "  ".join(
        f"{la.ratio:>8.3f} ({la.ratio_interval[0]:.3f} to {la.ratio_interval[1]:.3f})".ljust(31)
        for la in m.latencies
    )
    size = f"{m.size_bytes:>9,} {fp32_bytes / m.size_bytes:>7.2f}x"
    return f"{m.recipe!s:<10} {codes:<20} {size} {m.accuracy.value:>9.2%}  {ratios}"


def _is_slower(latency: Latency) -> bool:
    return latency.ratio_interval[0] >= SLOWER
