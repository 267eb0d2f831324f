from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paretoscope.problems.accuracy import Accuracy, Change, accuracy, change
from scipy import optimize, stats


@given(st.integers(1, 20_000), st.floats(0, 1))
def test_the_interval_of_accuracy_holds_wilsons_around_the_same_middle(
    n: int, share: float
) -> None:
    correct = round(n * share)
    low, high = Accuracy(correct, n).interval
    wilson = stats.binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert low <= wilson.low + 1e-12
    assert high >= wilson.high - 1e-12
    if low > 0 and high < 1:
        assert low + high == pytest.approx(wilson.low + wilson.high, abs=1e-9)


@pytest.mark.parametrize(
    ("correct", "n", "expected"),
    [
        (349, 360, (0.9454716435, 0.9835044031)),
        (97, 100, (0.9117481675, 0.9934779442)),
        (8_875, 10_000, (0.8811557094, 0.8935466918)),
        (50, 100, (0.4038315304, 0.5961684696)),
    ],
)
def test_the_interval_of_accuracy_is_statsmodels(
    correct: int, n: int, expected: tuple[float, float]
) -> None:
    """Values of statsmodels' proportion_confint(..., method="agresti_coull")."""
    assert Accuracy(correct, n).interval == pytest.approx(expected, abs=1e-9)


def _coverage(n: int, p: float) -> float:
    """The exact probability that the interval holds `p`."""
    correct = np.arange(n + 1)
    intervals = np.array([Accuracy(int(k), n).interval for k in correct])
    holds = (intervals[:, 0] <= p) & (p <= intervals[:, 1])
    return float(stats.binom.pmf(correct, n, p)[holds].sum())


@pytest.mark.parametrize("n", [100, 360])
def test_accuracy_is_covered_everywhere(n: int) -> None:
    shares = [*np.linspace(0.5, 0.99, 50), *(1 - np.geomspace(0.01 / n, 0.01, 30))]
    assert min(_coverage(n, p) for p in shares) >= 0.93


def _tango_by_brute_force(change: Change, delta: float) -> float:
    """The score statistic with the constrained likelihood maximised numerically."""
    n, b, c = change.n, change.newly_right, change.newly_wrong

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
    ("newly_wrong", "newly_right", "n"),
    [(12, 2, 50), (6, 2, 360), (0, 5, 360), (40, 3, 100), (300, 180, 10_000), (1, 1, 30)],
)
def test_tangos_bounds_are_where_the_score_is_1_96(
    newly_wrong: int, newly_right: int, n: int
) -> None:
    found = Change(newly_wrong, newly_right, n)
    low, high = found._interval(0.0)
    assert _tango_by_brute_force(found, low) == pytest.approx(1.96, abs=0.01)
    assert _tango_by_brute_force(found, high) == pytest.approx(-1.96, abs=0.01)
    assert low < found.value < high


def test_tangos_interval_is_the_published_one() -> None:
    """Fagerland et al. 2013 (BMC Medical Research Methodology 13:91): 1 and 7 of 21 pairs."""
    assert Change(newly_wrong=7, newly_right=1, n=21)._interval(0.0) == pytest.approx(
        (-0.517, -0.026), abs=5e-4
    )


@pytest.mark.parametrize(("p_mended", "p_broken"), [(0.0016, 0.0148), (0.0, 0.01), (0.02, 0.05)])
def test_a_change_is_covered_where_tangos_own_interval_is_not(
    p_mended: float, p_broken: float
) -> None:
    n, most = 360, 60
    covered = seen = 0.0
    for newly_right in range(most):
        for newly_wrong in range(most):
            counts = [newly_right, newly_wrong, n - newly_right - newly_wrong]
            shares = [p_mended, p_broken, 1 - p_mended - p_broken]
            weight = float(stats.multinomial.pmf(counts, n, shares))
            if weight < 1e-9:
                continue
            low, high = Change(newly_wrong, newly_right, n).interval
            seen += weight
            covered += weight * (low <= p_mended - p_broken <= high)
    assert seen > 0.999
    assert covered >= 0.93


@given(st.integers(1, 2_000), st.data())
def test_tango_is_symmetric_and_holds_the_difference(n: int, data: st.DataObject) -> None:
    newly_wrong = data.draw(st.integers(0, n))
    newly_right = data.draw(st.integers(0, n - newly_wrong))
    low, high = Change(newly_wrong, newly_right, n).interval
    assert -1 <= low <= (newly_right - newly_wrong) / n + 1e-9
    assert (newly_right - newly_wrong) / n - 1e-9 <= high <= 1
    mirrored = Change(newly_right, newly_wrong, n).interval
    assert mirrored == pytest.approx((-high, -low), abs=1e-9)


def test_counts_from_predictions() -> None:
    y = np.array([0, 1, 2, 2, 1])
    before, now = np.array([0, 1, 2, 0, 0]), np.array([0, 2, 2, 2, 0])
    assert accuracy(now, y) == Accuracy(3, 5)
    assert change(now, before, y) == Change(newly_wrong=1, newly_right=1, n=5)


@given(st.integers(0, 2_000), st.integers(0, 2_000))
def test_mcnemar_is_scipys_exact_binomial(newly_wrong: int, newly_right: int) -> None:
    change = Change(newly_wrong, newly_right, 10_000)
    expected = (
        stats.binomtest(newly_wrong, newly_wrong + newly_right).pvalue
        if newly_wrong + newly_right
        else 1.0
    )
    assert change.p_value == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.002, 0.005, 0.02]))
def test_the_rows_needed_tell_and_fewer_do_not(
    newly_wrong: int, newly_right: int, margin: float
) -> None:
    change = Change(newly_wrong, newly_right, 1_000)
    needed = change.rows_needed(margin)
    low, high = change.interval
    assert (change.verdict(margin) == "cannot tell") == (low <= -margin and high >= 0)
    if needed is not None:
        assert change.verdict(margin) == "cannot tell"
        assert needed >= change.n
        assert change._times(1.01 * needed / change.n).verdict(margin) != "cannot tell"
        fewer = change._times(max(1.0, 0.98 * needed / change.n))
        assert fewer.verdict(margin) == "cannot tell"


def test_no_changed_rows_need_as_many_as_the_score_says() -> None:
    """With none changed the bound d solves n d - 1/8 = z sqrt(n d (1 - d)); at half a point: n."""
    z, d = stats.norm.ppf(0.975), 0.005
    expected = optimize.brentq(lambda n: n * d - 0.125 - z * np.sqrt(n * d * (1 - d)), 1, 1e5)
    assert Change(0, 0, 100).rows_needed(d) == pytest.approx(expected, abs=2)


def test_a_point_on_360_rows_is_no_difference_and_eleven_on_10_000_are() -> None:
    """97 against 96 % on 360 rows, however the rows that differ lie; 88.75 against 77.57 %."""
    before, after = round(0.97 * 360), round(0.96 * 360)
    for newly_right in range(360 - before + 1):
        change = Change(before - after + newly_right, newly_right, 360)
        low, high = change.interval
        if newly_right or before - after > 4:
            assert low < 0 < high
            assert change.verdict(0.005) == "cannot tell"
            assert change.p_value > 0.05
    for newly_right in (0, 300, 1_100):
        change = Change(8_875 - 7_757 + newly_right, newly_right, 10_000)
        assert change.verdict(0.005) == "worse"
        assert change.interval[1] < -0.09
        assert change.p_value < 1e-50


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.4), st.floats(0, 0.4))
def test_what_is_surely_below_is_so_row_by_row(seed: int, one: float, other: float) -> None:
    """Where only counts say that a is worse than b, their own rows say so too."""
    rng = np.random.default_rng(seed)
    y = np.zeros(200, np.int64)
    before, a, b = ((rng.random(200) < share).astype(np.int64) for share in (0.1, one, other))
    a, b = np.where(rng.random(200) < 0.5, before, a), np.where(rng.random(200) < 0.5, before, b)
    if change(a, before, y).surely_below(change(b, before, y)):
        assert change(a, b, y).interval[1] < 0
