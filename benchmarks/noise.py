"""Whether the timing protocol tells what is so.

Claims: of 40 runs with the same model on both sides, at least 38 end with "no measurable
difference" or "inconclusive"; of 40 with a model made 10 % slower, at least 35 end with "slower".

The slower model is LeNet-300-100 with a wider first layer, the width chosen for each batch size so
that a long run in turn measures 1.10; the ratio of all 40 runs together is printed beside it.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import paretoscope as ps
from paretoscope.artifact.quick_latency import BATCHES, time_in_turn
from paretoscope.artifact.runtimes import OnnxRuntime
from paretoscope.measurement.latency_protocol import time_by_protocol
from paretoscope.network.building import Dense
from paretoscope.network.network import Network
from paretoscope.training.training import network_of

RUNS = 40
SLOWER = 1.10
_CALIBRATION_ROUNDS = 300


def run() -> None:
    data = ps.load_dataset("fashion-mnist")
    X = data.validation.X[:256]
    base = _lenet(data, 300)
    for batch in BATCHES:
        wide = _slower(data, base, np.ascontiguousarray(X[:batch]))
        slower = _lenet(data, wide)
        for name, network in (("the same", base), (f"{wide} units for 300", slower)):
            _forty(name, batch, network, base, X)


def _forty(name: str, batch: int, network: Network, base: Network, X: np.ndarray) -> None:
    verdicts: Counter[str] = Counter()
    ratios, noises = [], []
    for _ in range(RUNS):
        timing = time_by_protocol(network.onnx_bytes, base.onnx_bytes, X, batches=[batch])[0]
        verdicts[timing.verdict] += 1
        ratios.append(timing.ratio)
        noises.append(timing.noise_interval[1] / timing.noise_interval[0] - 1)
    low, high = np.quantile(ratios, [0.05, 0.95])
    counts = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common())
    print(
        f"batch {batch}, {name}: {counts}; ratio {np.median(ratios):.3f} (5 to 95 % of runs "
        f"{low:.3f} to {high:.3f}), median width of the copy's interval {np.median(noises):.1%}",
        flush=True,
    )


def _lenet(data: ps.Dataset, hidden: int) -> Network:
    """LeNet's graph with another first layer; its weights are random, for only its time counts."""
    rng = np.random.default_rng(0)
    widths = (784, hidden, 100, 10)
    layers = [
        Dense(rng.normal(0, 0.05, (n_in, n_out)).astype(np.float32), np.zeros(n_out, np.float32))
        for n_in, n_out in pairwise(widths)
    ]
    return network_of(layers, data, "lenet-300-100", seed=0)


def _slower(data: ps.Dataset, base: Network, X: np.ndarray) -> int:
    """The width at which the network takes 10 % longer, by halving."""
    low, high = 300, 420
    while high - low > 2:
        middle = (low + high) // 2
        calls = [OnnxRuntime(n.onnx_bytes, 1).caller(X) for n in (_lenet(data, middle), base)]
        ours, theirs = time_in_turn(*calls, rounds=_CALIBRATION_ROUNDS)
        slower = np.median(np.divide(ours, theirs)) > SLOWER
        low, high = (low, middle) if slower else (middle, high)
    return high
