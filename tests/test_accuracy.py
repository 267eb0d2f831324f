from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paretoscope.accuracy import Accuracy, Change, accuracy, change
from scipy import optimize, stats


@given(st.integers(1, 20_000), st.floats(0, 1))
def test_wilson_is_scipys(n: int, share: float) -> None:
    correct = round(n * share)
    low, high = Accuracy(correct, n).interval
    expected = stats.binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert low == pytest.approx(expected.low, abs=1e-9)
    assert high == pytest.approx(expected.high, abs=1e-9)


def _tango_by_brute_force(change: Change, delta: float) -> float:
    """The score statistic with the constrained likelihood maximised numerically."""
    n, b, c = change.n, change.mended, change.broken

    def minus_log_likelihood(q: float) -> float:
        p12, p21, rest = q + delta, q, 1 - 2 * q - delta
        terms = [(b, p12), (c, p21), (n - b - c, rest)]
        return -sum(k * np.log(max(p, 1e-300)) for k, p in terms if k)

    low, high = max(0.0, -delta), (1 - delta) / 2
    best = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    )
    return float((b - c - n * delta) / np.sqrt(n * (2 * best.x + delta * (1 - delta))))


@pytest.mark.parametrize(
    ("broken", "mended", "n"),
    [(12, 2, 50), (6, 2, 360), (0, 5, 360), (40, 3, 100), (300, 180, 10_000), (1, 1, 30)],
)
def test_tangos_bounds_are_where_the_score_is_1_96(broken: int, mended: int, n: int) -> None:
    found = Change(broken, mended, n)
    low, high = found.interval
    assert _tango_by_brute_force(found, low) == pytest.approx(1.96, abs=0.01)
    assert _tango_by_brute_force(found, high) == pytest.approx(-1.96, abs=0.01)
    assert low < found.value < high


@given(st.integers(1, 2_000), st.data())
def test_tango_is_symmetric_and_holds_the_difference(n: int, data: st.DataObject) -> None:
    broken = data.draw(st.integers(0, n))
    mended = data.draw(st.integers(0, n - broken))
    low, high = Change(broken, mended, n).interval
    assert -1 <= low <= (mended - broken) / n + 1e-9
    assert (mended - broken) / n - 1e-9 <= high <= 1
    mirrored = Change(mended, broken, n).interval
    assert mirrored == pytest.approx((-high, -low), abs=1e-9)


def test_counts_from_predictions() -> None:
    y = np.array([0, 1, 2, 2, 1])
    before, now = np.array([0, 1, 2, 0, 0]), np.array([0, 2, 2, 2, 0])
    assert accuracy(now, y) == Accuracy(3, 5)
    assert change(now, before, y) == Change(broken=1, mended=1, n=5)


@given(st.integers(0, 2_000), st.integers(0, 2_000))
def test_mcnemar_is_scipys_exact_binomial(broken: int, mended: int) -> None:
    change = Change(broken, mended, 10_000)
    expected = stats.binomtest(broken, broken + mended).pvalue if broken + mended else 1.0
    assert change.p_value == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.002, 0.005, 0.02]))
def test_the_rows_needed_tell_and_fewer_do_not(broken: int, mended: int, margin: float) -> None:
    change = Change(broken, mended, 1_000)
    needed = change.rows_needed(margin)
    low, high = change.interval
    assert (change.verdict(margin) == "cannot tell") == (low <= -margin and high >= 0)
    if needed is not None:
        assert change.verdict(margin) == "cannot tell"
        assert needed >= change.n
        assert change._times(1.01 * needed / change.n).verdict(margin) != "cannot tell"
        fewer = change._times(max(1.0, 0.98 * needed / change.n))
        assert fewer.verdict(margin) == "cannot tell"


def test_no_changed_rows_need_tangos_z_squared_rows() -> None:
    """With none changed the bound is z^2 / (n + z^2): 0.5 points take z^2 * 199 rows."""
    needed = Change(0, 0, 100).rows_needed(0.005)
    assert needed == pytest.approx(stats.norm.ppf(0.975) ** 2 * 199, abs=2)
