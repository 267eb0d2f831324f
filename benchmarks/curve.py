"""How long a curve and a compensated recipe take.

Claims: 21 thresholds at one Q, each file made, checked, scored, sized and timed at batch 1 in under
5 s for LeNet-300-100 on Fashion-MNIST (10,000 validation rows); zipped sizes and batch 256 may
follow. One compensated recipe of it in under 1 s on one core once the first Hessian is there, with
all 50,000 training rows, in under 1 GB.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import paretoscope as ps
from paretoscope.artifact.artifact import make_draft
from paretoscope.measurement.measurement import Baseline, score, with_latency
from threadpoolctl import threadpool_limits

RUNS = 5
RECIPES = (
    "q(8)+gptq",  # computes the first Hessian
    "q(4)+gptq",
    "magnitude(sparsity=0.5,scope=layer)+q(4)+gptq",
    "obs(sparsity=0.7,scope=layer)+q(3)+gptq;dense3=q(6)",
    "l2(0.3,repair=refit)+obs(sparsity=0.6,scope=layer)+q(3)+gptq;dense3=q(6)",
)


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
    _compensated()


def _compensated() -> None:
    """In a process of its own, for its memory."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        taken, memory = pool.submit(_compensate).result()
    print(
        f"compensated recipes of LeNet-300-100, one thread: median {np.median(taken):.2f} s "
        f"({min(taken):.2f} to {max(taken):.2f}, n = {len(taken)}); "
        f"largest memory of the process {memory / 1e6:.2f} GB"
    )


def _compensate() -> tuple[list[float], float]:
    data = ps.load_dataset("fashion-mnist")
    network = ps.train("lenet-300-100", data)
    taken = []
    with threadpool_limits(1):
        for text in RECIPES:
            start = time.perf_counter()
            make_draft(network, ps.Recipe.parse(text), data.train)
            taken.append(time.perf_counter() - start)
    return taken[1:], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _seconds(data: ps.Dataset, network: ps.Network, recipes: list[ps.Recipe]) -> float:
    start = time.perf_counter()
    baseline = Baseline(network, data)
    for recipe in recipes:
        artifact = ps.compress(network, recipe, data.train)
        with_latency(score(artifact, baseline), artifact, baseline, batch=1)
    return time.perf_counter() - start
