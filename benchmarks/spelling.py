"""Times of each way of running codes against float32, in turn in one run.

Claim: what `auto` chooses on this machine is not slower than float32 with 1, 16 or 256 rows, for
any built-in network at Q = 2, 8 and 64: the upper end of the ratio's 95 % interval is at most 1.05.
Where it is not, the line says so. How much faster or slower integer kernels are hangs on the
processor, which stands at the head.
"""

from __future__ import annotations

import paretoscope as ps
from paretoscope.artifact.kernel_times import against_first
from paretoscope.artifact.quick_latency import BATCHES, Latency
from paretoscope.base.blas import processor
from paretoscope.measurement.measurement import Baseline
from paretoscope.network.network import Network

ROUNDS = 61
SLOWER = 1.05
_NETWORKS = {
    "digits": ("logistic-regression", "linear-svm", "mlp-32", "mlp-64-32", "cnn"),
    "fashion-mnist": ("logistic-regression", "linear-svm", "mlp-64-32", "cnn", "lenet-300-100"),
}
_QS = (2, 8, 64)


def run() -> None:
    print(f"{processor()}; ratio to float32 (95 % interval) at 1, 16, 256 rows\n")
    print("| network | Q | codes | run as | 1 row | 16 rows | 256 rows | |")
    print("|---|---|---|---|---|---|---|---|")
    over = n = 0
    for dataset, models in _NETWORKS.items():
        data = ps.load_dataset(dataset)
        for model in models:
            network = ps.train(model, data)
            baseline = Baseline(network, data)
            for q in _QS:
                chosen, table = _rows(network, q, baseline)
                for kernel, codes, times in table:
                    high = max(t.ratio_interval[1] for t in times)
                    n += kernel == chosen
                    over += kernel == chosen and high > SLOWER
                    told = ("auto" if kernel == chosen else "") + (
                        f", up to {high:.2f}" if kernel == chosen and high > SLOWER else ""
                    )
                    cells = " | ".join(map(_cell, times))
                    print(f"| {dataset}, {model} | {q} | {codes} | {kernel} | {cells} | {told} |")
    print(f"\nauto: {over} of {n} lines reach above {SLOWER}")


def _rows(
    network: Network, q: float, baseline: Baseline
) -> tuple[str, list[tuple[str, str, list[Latency]]]]:
    """What `auto` chose, and a line for each way that gives a file of its own."""
    rows = baseline.dataset.train
    made = {
        kernel: ps.compress(network, ps.Recipe.parse(f"q({q})+{kernel}"), rows)
        for kernel in ("fused", "folded", "auto")
    }
    same = _operators(made["fused"]) == _operators(made["folded"])
    kernels = ["folded"] if same else ["fused", "folded"]
    chosen = "folded" if same else str(made["auto"].recipe.kernel)
    files = [baseline.artifact.onnx_bytes, *(made[kernel].onnx_bytes for kernel in kernels)]
    found: dict[str, list[Latency]] = {kernel: [] for kernel in kernels}
    for batch in BATCHES:
        times = against_first(files, baseline.batch(batch))
        for kernel, latency in zip(kernels, times, strict=True):
            found[kernel].append(latency)
    codes = " ".join(dict.fromkeys(c.storage for c in made["auto"].stored.codes.values()))
    return chosen, [(kernel, codes, times) for kernel, times in found.items()]


def _operators(artifact: ps.Artifact) -> list[str]:
    return [node.op_type for node in ps.Network(artifact.onnx_bytes).model().graph]


def _cell(latency: Latency) -> str:
    low, high = latency.ratio_interval
    return f"{latency.ratio:.2f} ({low:.2f} to {high:.2f})"
