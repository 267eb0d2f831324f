"""How long a curve takes: 21 thresholds at one Q, each file made, checked, scored, sized, timed.

Claim: under 5 s for LeNet-300-100 on Fashion-MNIST (10,000 validation rows), accuracy, file size
and time at batch 1; zipped sizes and batch 256 may follow.
"""

from __future__ import annotations

import time

import numpy as np
import paretoscope as ps
from paretoscope.measurement import Baseline, score, with_latency

RUNS = 5


def run() -> None:
    for dataset, model in (("digits", "mlp-64-32"), ("fashion-mnist", "lenet-300-100")):
        data = ps.load_dataset(dataset)
        network = ps.train(model, data)
        recipes = ps.curve(network, ps.Recipe.parse("magnitude(threshold=0)+q(8)"), "threshold")
        taken = [_seconds(data, network, recipes) for _ in range(RUNS)]
        print(
            f"{dataset}, {model}: {len(recipes)} files in {np.median(taken):.2f} s "
            f"(median of {RUNS}, {min(taken):.2f} to {max(taken):.2f})"
        )


def _seconds(data: ps.Dataset, network: ps.Network, recipes: list[ps.Recipe]) -> float:
    start = time.perf_counter()
    baseline = Baseline(network, data)
    for recipe in recipes:
        artifact = ps.compress(network, recipe, data.train)
        with_latency(score(artifact, baseline), artifact, baseline, batch=1)
    return time.perf_counter() - start
