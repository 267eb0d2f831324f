from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paretoscope.artifact.quick_latency import Latency, measure_latency, sign_test_rank
from scipy import stats


def test_both_are_timed_in_every_round_in_random_order() -> None:
    order: list[str] = []

    def call(name: str) -> None:
        order.append(name)
        time.sleep(0.002)  # longer than a round asks for: one call a round

    latency = measure_latency(lambda: call("ours"), lambda: call("theirs"), 1, rounds=12, seed=0)
    assert len(latency.samples_us) == len(latency.baseline_us) == 12
    rounds = np.array(order[-24:]).reshape(12, 2)
    assert all(set(pair) == {"ours", "theirs"} for pair in rounds)
    assert 0 < np.count_nonzero(rounds[:, 0] == "ours") < 12


def test_summaries_are_numpys() -> None:
    ours, theirs = (9.0, 10.0, 12.0, 11.0, 10.5), (20.0, 20.0, 21.0, 23.0, 20.5)
    latency = Latency(1, ours, theirs)
    assert latency.median_us == np.median(ours)
    assert latency.baseline_median_us == np.median(theirs)
    assert latency.quartiles_us == tuple(np.percentile(ours, [25, 75]))
    assert latency.ratio == np.median(np.array(ours) / np.array(theirs))


@given(st.integers(1, 200))
def test_the_rank_covers_95_percent(n: int) -> None:
    """P(rank < k) of a binomial: the interval from order statistics covers at least 95 %."""
    rank = sign_test_rank(n)
    if n >= 6:
        assert 2 * stats.binom.cdf(rank, n, 0.5) <= 0.05
    if rank + 1 < n // 2:
        assert 2 * stats.binom.cdf(rank + 1, n, 0.5) > 0.05


def test_the_interval_holds_the_ratio_of_a_slower_call() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(10, 11, 15)
    slower = Latency(1, tuple(base * rng.uniform(1.2, 1.3, 15)), tuple(base))
    low, high = slower.ratio_interval
    assert 1.2 <= low <= slower.ratio <= high <= 1.3


def test_a_latency_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Latency(1, (1.0,), (1.0,)).batch = 2  # type: ignore[misc]
