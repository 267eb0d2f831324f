"""Inference time: the compressed file against the uncompressed one, in turn, on one thread.

This is the quick figure, taken within one process. Each round times both, in random order, each
for at least a millisecond; the ratio is taken round by round, so a machine whose speed drifts
moves both sides alike.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from paretoscope.base.parameters import FloatArray
from paretoscope.sandbox.sessions import Timed

BATCHES = (1, 16, 256)
ROUNDS = 15
_WARM_UP_S = 0.002
_INNER_S = 0.001
MARGIN = 0.05  # of a ratio of times: nothing is claimed within it

_MOST_VALUES = 2**22  # of a call that is timed: more of a large image's rows take seconds each

Call = Callable[[], Any]
Verdict = Literal["faster", "slower", "no measurable difference", "inconclusive"]


def verdict(interval: tuple[float, float], noise: float = 0.0) -> Verdict:
    """What the interval of a ratio of times lets one say.

    Times count as the same within 5 %. A difference is claimed only beyond that and beyond `noise`.

    Parameters
    ----------
    interval : (low, high)
        Of the time relative to the baseline's; below 1 is faster.
    noise : float, default 0
        The relative difference that was found between two copies of one model.

    Examples
    --------
    >>> verdict((0.5, 0.6)), verdict((0.98, 1.02)), verdict((0.9, 1.02)), verdict((0.8, 0.85), 0.3)
    ('faster', 'no measurable difference', 'inconclusive', 'inconclusive')
    """
    low, high = interval
    apart = 1 + max(MARGIN, noise)
    if high < 1 / apart:
        return "faster"
    if low > apart:
        return "slower"
    if low >= 1 / (1 + MARGIN) and high <= 1 + MARGIN:
        return "no measurable difference"
    return "inconclusive"


@dataclass(frozen=True)
class Latency:
    """Time of one call, in microseconds, of the artifact and of the baseline, round by round.

    A call predicts `batch` rows.
    """

    batch: int
    samples_us: tuple[float, ...]
    baseline_us: tuple[float, ...]

    @cached_property
    def median_us(self) -> float:
        return float(np.median(self.samples_us))

    @cached_property
    def quartiles_us(self) -> tuple[float, float]:
        low, high = np.quantile(self.samples_us, [0.25, 0.75])
        return float(low), float(high)

    @cached_property
    def baseline_median_us(self) -> float:
        return float(np.median(self.baseline_us))

    @cached_property
    def ratio(self) -> float:
        """Time relative to the baseline: the median of the rounds' ratios. Below 1 is faster."""
        return float(np.median(self._ratios()))

    @cached_property
    def ratio_interval(self) -> tuple[float, float]:
        """95 % interval of the ratio's median by order statistics (sign test), without assumptions
        about the shape. It covers this process's rounds, not other processes or machines."""
        ratios = np.sort(self._ratios())
        rank = sign_test_rank(len(ratios))
        return float(ratios[rank]), float(ratios[len(ratios) - 1 - rank])

    @cached_property
    def verdict(self) -> Verdict:
        """Within a margin of 5 %."""
        return verdict(self.ratio_interval)

    def _ratios(self) -> FloatArray:
        ratios: FloatArray = np.divide(self.samples_us, self.baseline_us)
        return ratios


def batches_for(n_features: int) -> tuple[int, ...]:
    """The batch sizes that rows of so many numbers are timed with.

    >>> batches_for(784), batches_for(3 * 224 * 224)
    ((1, 16, 256), (1, 16))
    """
    return tuple(n for n in BATCHES if n == 1 or n * n_features <= _MOST_VALUES)


def sign_test_rank(n: int) -> int:
    """How many of n sorted values lie outside a 95 % interval of the median on each side.

    >>> [sign_test_rank(n) for n in (5, 6, 15, 25)]
    [0, 0, 3, 7]
    """
    below, rank = 0.5**n, 0
    while rank < n // 2 and below + math.comb(n, rank + 1) * 0.5**n <= 0.025:
        rank += 1
        below += math.comb(n, rank) * 0.5**n
    return rank


def time_in_turn(
    *arms: Call, rounds: int = ROUNDS, seed: int | None = None
) -> tuple[tuple[float, ...], ...]:
    """Seconds for one call of each, round by round, in random order within a round."""
    inner = [_calls_in(_INNER_S, arm) for arm in arms]
    samples: list[list[float]] = [[] for _ in arms]
    rng = np.random.default_rng(seed)
    with garbage_collector_off():
        for _ in range(rounds):
            for which in rng.permutation(len(arms)):
                samples[which].append(seconds(arms[which], inner[which]) / inner[which])
    return tuple(tuple(of_arm) for of_arm in samples)


def measure_latency(
    artifact: Call, baseline: Call, batch: int, *, rounds: int = ROUNDS, seed: int | None = None
) -> Latency:
    """The latency of a call against the baseline's. Each call predicts `batch` rows."""
    ours, theirs = time_in_turn(artifact, baseline, rounds=rounds, seed=seed)
    return Latency(batch, tuple(1e6 * s for s in ours), tuple(1e6 * s for s in theirs))


def _calls_in(seconds: float, call: Call) -> int:
    """Warm up, and tell how many calls take `seconds`."""
    n, elapsed = 0, 0.0
    start = time.perf_counter()
    while elapsed < _WARM_UP_S or n < 3:
        call()
        n += 1
        elapsed = time.perf_counter() - start
    return max(1, math.ceil(seconds * n / elapsed))


def seconds(call: Call, n: int = 1) -> float:
    """How long `n` calls take."""
    if isinstance(call, Timed):
        return call.seconds(n)
    start = time.perf_counter_ns()
    for _ in range(n):
        call()
    return (time.perf_counter_ns() - start) * 1e-9


@contextmanager
def garbage_collector_off() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
