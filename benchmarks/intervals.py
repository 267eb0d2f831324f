"""How often the 95 % intervals hold the truth.

Claims: those of an accuracy and of a change do so at least 93 % of the time from n = 100 on,
whatever the truth is. That of a time ratio, from five processes, is told beside them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from paretoscope.measurement.latency_protocol import PROCESSES, ROUNDS, bootstrap_interval
from paretoscope.problems.accuracy import Accuracy, Change

NS = (100, 360, 1_000, 10_000)
ACCURACIES = (0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
# Shares of rows that are newly wrong and newly right.
CHANGES = ((0.0, 0.0), (0.001, 0.0), (0.005, 0.0), (0.01, 0.005), (0.0148, 0.0016), (0.02, 0.02),
           (0.05, 0.02), (0.15, 0.02))  # fmt: skip
DRAWS = 20_000
TIME_DRAWS = 1_000
# Standard deviations of the log ratio between processes, and between rounds of one process.
TIME_SPREADS = ((0.0, 0.02), (0.005, 0.02), (0.02, 0.02), (0.05, 0.05))


def run() -> None:
    print(f"accuracy (Agresti-Coull), share of {DRAWS:,} simulations that cover:")
    _table("p", ACCURACIES, _accuracy)
    print(
        f"\nchange (Tango with 1/8 row), shares newly wrong and newly right, {DRAWS:,} simulations:"
    )
    _table("broken, mended", CHANGES, _change)
    print(
        f"\ntime ratio, {PROCESSES} processes of {ROUNDS} rounds, {TIME_DRAWS:,} simulations; "
        "spread between processes and rounds:"
    )
    for between, within in TIME_SPREADS:
        print(f"  {between:.1%}, {within:.1%}: {_time(between, within):.3f}")


def _table(what: str, truths: tuple[object, ...], coverage: object) -> None:
    print(f"  {what:<22}" + "".join(f"{f'n = {n:,}':>12}" for n in NS))
    lowest = 1.0
    for truth in truths:
        found = [coverage(n, truth) for n in NS]  # type: ignore[operator]
        lowest = min(lowest, *found)
        print(f"  {truth!s:<22}" + "".join(f"{share:12.3f}" for share in found))
    print(f"  lowest {lowest:.3f} (simulation's own standard error {(0.05 / DRAWS) ** 0.5:.3f})")


def _accuracy(n: int, p: float) -> float:
    rng = np.random.default_rng(n)
    covered = 0
    for correct, times in _counted(rng.binomial(n, p, DRAWS)):
        low, high = Accuracy(int(correct), n).interval
        covered += times * (low <= p <= high)
    return covered / DRAWS


def _change(n: int, shares: tuple[float, float]) -> float:
    newly_wrong, newly_right = shares
    rng = np.random.default_rng(n)
    drawn = rng.multinomial(n, [newly_wrong, newly_right, 1 - newly_wrong - newly_right], DRAWS)[
        :, :2
    ]
    covered = 0
    for (b, m), times in _counted(drawn):
        low, high = Change(int(b), int(m), n).interval
        covered += times * (low <= newly_right - newly_wrong <= high)
    return covered / DRAWS


def _counted(drawn: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    values, times = np.unique(drawn, axis=0, return_counts=True)
    return zip(values, times.tolist(), strict=True)


def _time(between: float, within: float) -> float:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(TIME_DRAWS):
        logs = rng.normal(0, between, (PROCESSES, 1)) + rng.normal(0, within, (PROCESSES, ROUNDS))
        low, high = bootstrap_interval(logs, seed)
        covered += low <= 1 <= high
    return covered / TIME_DRAWS
