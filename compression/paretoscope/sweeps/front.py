"""The Pareto front of measurements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import one_of
from paretoscope.base.parameters import BoolArray
from paretoscope.measurement.measurement import M, Measurement


def _time_us(measurement: Measurement, batch: int) -> float | None:
    latency = measurement.latency(batch)
    return None if latency is None else latency.median_us


# Each objective as a number of which less is better; None: not measured.
OBJECTIVES: Mapping[str, Callable[[Measurement], float | None]] = {
    "quality": lambda m: -m.merit,
    "accuracy": lambda m: -m.merit,  # the name of before there were other scores
    "size": lambda m: m.size_bytes,
    "gzip": lambda m: m.gzip_bytes,
    "entropy": lambda m: m.entropy_bytes,
    "time": lambda m: _time_us(m, 1),
    "time256": lambda m: _time_us(m, 256),
}


def pareto_front(
    measurements: Sequence[M], objectives: Sequence[str] = ("quality", "size")
) -> list[M]:
    """The measurements that no other one beats.

    One beats another if it is at least as good in every objective and better in one. Measurements
    that are equal in every objective do not beat each other: all of them are on the front or none.
    Measurements without one of the objectives are left out.

    Parameters
    ----------
    measurements : sequence of Measurement
    objectives : sequence of str
        Of "quality" (by the score of the measurements), "size", "gzip", "entropy" (where computed),
        "time" (median at batch 1) and "time256".

    Returns
    -------
    list of Measurement
        In the order given.
    """
    for name in objectives:
        if name not in OBJECTIVES:
            raise one_of("objective", name, list(OBJECTIVES))
    rows = [[OBJECTIVES[name](m) for name in objectives] for m in measurements]
    complete = [i for i, row in enumerate(rows) if None not in row]
    costs = np.array([rows[i] for i in complete], dtype=np.float64).reshape(-1, len(objectives))
    return [measurements[complete[i]] for i in np.flatnonzero(is_efficient(costs))]


def is_efficient(costs: npt.NDArray[np.float64]) -> BoolArray:
    """Which rows of `costs`, of shape (n, objectives), no other row beats."""
    if costs.shape[1] == 2:
        return _is_efficient_of_two(costs)
    efficient = np.ones(len(costs), np.bool_)
    for i, cost in enumerate(costs):
        beaten_by = (costs <= cost).all(1) & (costs < cost).any(1)
        efficient[i] = not beaten_by.any()
    return efficient


def _is_efficient_of_two(costs: npt.NDArray[np.float64]) -> BoolArray:
    """By sorting, for tens of thousands of rows: a row must be the least of those that are equal in
    the first cost, and less than all that are better in it."""
    efficient = np.zeros(len(costs), np.bool_)
    if not len(costs):
        return efficient
    order = np.lexsort((costs[:, 1], costs[:, 0]))
    first, second = costs[order].T
    begins = np.r_[True, first[1:] != first[:-1]]
    least = second[begins]
    before = np.r_[np.inf, np.minimum.accumulate(least)[:-1]]
    group = np.cumsum(begins) - 1
    efficient[order] = (second == least[group]) & (least < before)[group]
    return efficient
