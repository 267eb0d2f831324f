"""Scores are scikit-learn's and scipy's; influences are what leaving a row out shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.problems import intervals
from paretoscope.problems.agreement import Agreement
from paretoscope.problems.classification import (
    F1,
    Balanced,
    Brier,
    Calibration,
    Classification,
    Correct,
    Cost,
    LogLoss,
    PrecisionArea,
    RocArea,
    Top,
)
from paretoscope.problems.figure import EstimatedDifference
from paretoscope.problems.problem import Problem
from paretoscope.problems.problems import PROBLEMS
from paretoscope.problems.regression import (
    Explained,
    Largest,
    MeanAbsolute,
    Regression,
    RootMeanSquare,
    Within,
)
from paretoscope.problems.score import Predicted, Score
from scipy import special, stats
from sklearn import metrics

seeds = st.integers(0, 2**32 - 1)


def _names(n: int) -> tuple[str, ...]:
    return tuple(f"class {i}" for i in range(n))


def _classified(
    seed: int, n: int, n_classes: int, decimals: int = 9
) -> tuple[Predicted, npt.NDArray[np.int64]]:
    """Scores that know a little, each class with rows; with few decimals some are equal."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    rng.shuffle(y)
    outputs = rng.standard_normal((n, n_classes)) + 1.2 * np.eye(n_classes)[y]
    problem = Classification(_names(n_classes))
    return problem.predict(outputs.round(decimals).astype(np.float32)), y


def _sklearns(predicted: Predicted, y: npt.NDArray[np.int64]) -> dict[str, float]:
    n_classes = predicted.outputs.shape[1]
    p = special.softmax(predicted.outputs.astype(np.float64), axis=1)
    said = predicted.outputs.argmax(1)
    every = list(range(n_classes))
    hot = np.eye(n_classes)[y]
    two = n_classes == 2
    found = {
        "accuracy": metrics.accuracy_score(y, said),
        "balanced-accuracy": metrics.balanced_accuracy_score(y, said),
        "f1": metrics.f1_score(y, said, average="macro"),
        "log-loss": metrics.log_loss(y, p, labels=every),
        "brier": metrics.brier_score_loss(y, p[:, 1]) if two else ((p - hot) ** 2).sum(1).mean(),
        "roc-auc": metrics.roc_auc_score(y, p[:, 1] if two else p, multi_class="ovr"),
        "average-precision": metrics.average_precision_score(*((y, p[:, 1]) if two else (hot, p))),
    }  # fmt: skip
    if n_classes > 5:
        found["top5"] = metrics.top_k_accuracy_score(y, p, k=5, labels=every)
    return {name: float(value) for name, value in found.items()}


@given(seeds, st.integers(20, 120), st.integers(2, 7))
def test_scores_of_classes_are_sklearns(seed: int, n: int, n_classes: int) -> None:
    decimals = 1 if n_classes == 2 else 6  # of several, rounding decides which ones are equal
    predicted, y = _classified(seed, n, n_classes, decimals)
    problem = Classification(_names(n_classes))
    expected = _sklearns(predicted, y)
    for score in problem.scores:
        if score.name == "f1":
            score = F1()  # of all classes
        if score.name in expected:
            value = score.figure(predicted, y).value
            assert value == pytest.approx(expected[score.name], rel=1e-6, abs=1e-9), score.name


@given(seeds, st.integers(10, 80))
def test_f1_of_one_class_is_sklearns(seed: int, n: int) -> None:
    predicted, y = _classified(seed, n, 3)
    expected = metrics.f1_score(y, predicted.classes, labels=[2], average="macro", zero_division=0)
    assert F1(2).figure(predicted, y).value == pytest.approx(expected)


@given(seeds, st.integers(5, 60), st.integers(1, 3))
def test_scores_of_numbers_are_sklearns(seed: int, n: int, n_outputs: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(40, 7, (n, n_outputs)).astype(np.float32)
    predicted = Predicted((y + rng.normal(0, 3, y.shape)).astype(np.float32))
    said = predicted.outputs.astype(np.float64)
    expected = {
        RootMeanSquare(): metrics.mean_squared_error(y, said) ** 0.5,
        MeanAbsolute(): metrics.mean_absolute_error(y, said),
        Explained(): metrics.r2_score(y, said),
        Largest(): float(np.abs(said - y).max()),
        Within(2.5): float(np.mean(np.all(np.abs(said - y) <= 2.5, axis=1))),
    }
    for score, value in expected.items():
        assert score.figure(predicted, y).value == pytest.approx(value, rel=1e-6), score.name


@given(seeds, st.integers(2, 40), st.integers(2, 6))
def test_agreement_is_scipys(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    before = rng.standard_normal((n, k)).astype(np.float32)
    now = before + rng.normal(0, 0.3, before.shape).astype(np.float32)
    p, q = (special.softmax(o.astype(np.float64), axis=1) for o in (now, before))
    cosines = [
        1 - float(_cosine_distance(a.astype(np.float64), b.astype(np.float64)))
        for a, b in zip(now, before, strict=True)
    ]
    expected = {
        "same-label": float(np.mean(now.argmax(1) == before.argmax(1))),
        "kl": float(np.mean([stats.entropy(b, a) for a, b in zip(p, q, strict=True)])),
        "cosine": float(np.mean(cosines)),
        "relative-error": float(
            np.linalg.norm(now.astype(np.float64) - before) / np.linalg.norm(before.astype(float))
        ),
    }
    problem = Agreement()
    for score in problem.scores:
        figure = score.figure(problem.predict(now), before)
        assert figure.value == pytest.approx(expected[score.name], rel=1e-5, abs=1e-7), score.name


def _cosine_distance(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    from scipy.spatial import distance

    return float(distance.cosine(a, b))


def test_equal_outputs_agree_wholly() -> None:
    outputs = np.array([[0.0, 0.0], [1.0, -2.0]], np.float32)
    best = {"same-label": 1.0, "kl": 0.0, "cosine": 1.0, "relative-error": 0.0}
    for score in Agreement().scores:
        figure = score.figure(Predicted(outputs), outputs)
        assert figure.value == best[score.name], score.name


def test_the_calibration_error_is_worked_by_hand() -> None:
    """Four rows in two bins: at 0.75 two of three right, at 0.95 none of one."""
    sure = np.array([0.75, 0.75, 0.75, 0.95])
    outputs = np.log(np.stack([1 - sure, sure], axis=1)).astype(np.float32)
    predicted = Classification(_names(2)).predict(outputs)
    expected = (3 * abs(2 / 3 - 0.75) + abs(0 - 0.95)) / 4
    assert Calibration().value(predicted, np.array([1, 1, 0, 0])) == pytest.approx(expected)


def test_costs_count_each_mistake() -> None:
    predicted, y = _classified(0, 50, 2)
    costs = ((0.0, 1.0), (20.0, 0.0))
    false = [int(np.sum((y == t) & (predicted.classes == d))) for t, d in ((0, 1), (1, 0))]
    expected = (false[0] + 20 * false[1]) / 50
    assert Cost(costs).figure(predicted, y).value == pytest.approx(expected)


def test_a_cut_decides_in_place_of_the_larger_score() -> None:
    outputs = np.array([[0.0, -1.0], [0.0, 1.0]], np.float32)
    assert Classification(_names(2)).predict(outputs).classes.tolist() == [0, 1]
    assert Classification(_names(2), cut=0.2).predict(outputs).classes.tolist() == [1, 1]
    assert Classification(_names(2), cut=0.9).predict(outputs).classes.tolist() == [0, 0]


# --- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [RocArea(), PrecisionArea()], ids=lambda s: s.name)
@pytest.mark.parametrize("decimals", [0, 6])
def test_influences_are_the_change_without_a_row(score: Any, decimals: int) -> None:
    """Of first order: n times what leaving a row out changes, for many rows."""
    predicted, y = _classified(3, 800, 2, decimals)
    value, found = score._of(predicted, y)
    assert abs(found.mean()) < 1e-9
    rows = np.arange(len(y))
    for row in rows[:60]:
        rest = rows != row
        without, _ = score._of(Predicted(predicted.outputs[rest]), y[rest])
        assert found[row] == pytest.approx((len(y) - 1) * (value - without), abs=0.02)


@given(seeds)
def test_influences_of_means_are_their_derivative(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.uniform(1, 3, (30, 2))

    def ratio(means: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        found: npt.NDArray[np.complex128] = np.sqrt(means[..., 0]) / means[..., 1]
        return found

    a, b = rows.mean(0)
    slope = np.array([0.5 / (np.sqrt(a) * b), -np.sqrt(a) / b**2])
    expected = (rows - rows.mean(0)) @ slope
    np.testing.assert_allclose(intervals.influence(rows, ratio), expected, rtol=1e-9, atol=1e-12)


def test_the_paired_t_interval_is_scipys() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal(200)
    before, now = (Predicted((y + rng.standard_normal(200))[:, None]) for _ in range(2))
    found = MeanAbsolute().difference(now, before, y)
    ours, theirs = (np.abs(p.outputs[:, 0] - y) for p in (now, before))
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found.interval == pytest.approx((expected.low, expected.high), rel=0.01)
    assert found.value == pytest.approx(ours.mean() - theirs.mean())


def _every_score() -> list[tuple[Problem, Score]]:
    costs = ((0.0, 1.0), (5.0, 0.0))
    problems: list[Problem] = [
        Classification(_names(2), costs=costs), Classification(_names(7)),
        Regression(tolerance=1.0), Agreement(),
    ]  # fmt: skip
    return [(problem, score) for problem in problems for score in problem.scores]


def _pair(problem: Problem, n: int, seed: int = 0) -> tuple[Predicted, Predicted, Any]:
    """Predictions now and before, with their targets; those of now are the worse."""
    rng = np.random.default_rng(seed)
    if isinstance(problem, Classification):
        k = len(problem.class_names)
        y = np.arange(n) % k
        before = (rng.standard_normal((n, k)) + 2 * np.eye(k)[y]).astype(np.float32)
        now = before + rng.standard_normal((n, k)).astype(np.float32)
        return problem.predict(now), problem.predict(before), y
    outputs = rng.standard_normal((n, 1 if isinstance(problem, Regression) else 4))
    before, off = outputs.astype(np.float32), rng.normal(0, 0.5, outputs.shape)
    now = before + off.astype(np.float32)
    targets: Any = before
    if isinstance(problem, Regression):
        targets = outputs + rng.normal(0, 0.3, outputs.shape)
    return problem.predict(now), problem.predict(before), targets


@pytest.mark.parametrize(
    ("problem", "score"), _every_score(), ids=lambda v: getattr(v, "name", str(v))
)
def test_every_score_has_its_interval_or_says_why_not(problem: Problem, score: Score) -> None:
    now, before, targets = _pair(problem, 700)
    figure, change = score.figure(now, targets), score.difference(now, before, targets)
    assert figure.n == change.n == 700
    assert change.value == pytest.approx(figure.value - score.figure(before, targets).value)
    assert change.higher_is_better == score.higher_is_better
    for found in (figure, change):
        assert (found.interval is None) == bool(found.why)
        if found.interval is not None:
            low, high = found.interval
            assert low <= found.value <= high
            assert high > low
    assert score.low <= figure.value <= score.high
    if change.interval is not None:
        assert change.verdict(0.001) == "worse", "half as much noise again"
        assert score.difference(before, now, targets).verdict(0.001) == "not worse"


@pytest.mark.parametrize("score", [Balanced(), F1(), F1(1), RocArea(), PrecisionArea()])
def test_of_few_rows_of_a_class_no_interval_is_given(score: Score) -> None:
    problem = Classification(_names(2))
    now, before, y = _pair(problem, 200)
    y = np.where(np.cumsum(y) <= 9, y, 0)  # nine rows of the second
    assert score.figure(now, y).why == "a class has fewer than 10 rows"
    change = score.difference(now, before, y)
    assert change.interval is None
    assert change.verdict(1.0) == "cannot tell"


@pytest.mark.parametrize("score", [Correct(), Balanced(), F1(), Top(3)])
def test_no_change_leaves_an_interval_all_the_same(score: Score) -> None:
    """Rows that were not seen may change."""
    problem = Classification(_names(4))
    now, _, y = _pair(problem, 400)
    change = score.difference(now, now, y)
    assert change.value == 0
    assert change.interval is not None
    low, high = change.interval
    assert low < -0.002
    assert high > 0.002


@pytest.mark.parametrize("score", [RocArea(), PrecisionArea()])
def test_a_perfect_ranking_may_be_less_elsewhere(score: Score) -> None:
    y = np.arange(60) % 2
    figure = score.figure(Classification(_names(2)).predict(np.stack([-y, y], 1).astype(float)), y)
    assert figure.value == 1.0
    assert figure.interval == (pytest.approx(0.025 ** (1 / 30)), 1.0)


# --- problems ------------------------------------------------------------------------------------


@given(seeds, st.integers(2, 5), st.integers(1, 12))
def test_derivatives_of_losses_are_their_differences(seed: int, k: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    outputs = rng.standard_normal((n, k)).astype(np.float32)
    targets: dict[str, Any] = {
        "classification": rng.integers(0, k, n),
        "regression": rng.standard_normal((n, k)),
        "agreement": rng.standard_normal((n, k)).astype(np.float32),
    }
    problems: tuple[Problem, ...] = (
        Classification(_names(k)), Regression(_names(k)), Agreement()
    )  # fmt: skip
    assert {p.name for p in problems} == set(PROBLEMS)
    for problem in problems:
        y = targets[problem.name]
        problem.check(y)
        _, slope = problem.loss(outputs, y)
        step = np.zeros_like(outputs)
        step[rng.integers(n), rng.integers(k)] = 1e-2
        up, down = (problem.loss(outputs + s * step, y)[0] for s in (1, -1))
        assert float((slope * step).sum()) == pytest.approx((up - down) / 2, abs=2e-5)


def test_a_rare_class_opens_with_a_score_that_is_not_fooled() -> None:
    problem = Classification(("fine", "broken"))
    even, rare = np.arange(100) % 2, (np.arange(100) < 3).astype(np.int64)
    assert problem.opens_with(even)[0].name == "accuracy"
    score, why = problem.opens_with(rare)
    assert why.startswith("97% of the rows are of class fine: always saying fine would already be")
    always_fine = problem.predict(np.tile(np.array([[1, 0]], np.float32), (100, 1)))
    assert score.figure(always_fine, rare).value == 0.5
    assert Correct().figure(always_fine, rare).value == 0.97
    assert F1(1).figure(always_fine, rare).value == 0


def test_strata_of_numbers_are_tenths() -> None:
    y = np.random.default_rng(0).permutation(50).astype(float)
    strata = Regression().strata(y)
    assert np.bincount(strata).tolist() == [5] * 10
    assert y[strata == 9].min() > y[strata == 8].max()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Classification(("one",)), "classification needs at least two classes; got 1"),
        (lambda: Classification(_names(3), cut=0.5), "a cut is for two classes; these are 3"),
        (lambda: Classification(_names(2), cut=1), "the cut must be between 0 and 1; got 1"),
        (lambda: Classification(_names(3), costs=((0.0,),)), "costs must have a row for each of 3"),
        (lambda: Cost(((0.0, 1.0),)), "costs must be a square table of numbers"),
        (lambda: Cost(((0.0, float("nan")), (1.0, 0.0))), "costs must be a square table"),
        (lambda: Within(0.0), "the tolerance must be above 0; got 0.0"),
        (lambda: Classification(_names(2)).check(np.array([0.5])), "labels must be whole numbers"),
        (lambda: Classification(_names(2)).check(np.array([2])), "labels must be from 0 to 1"),
        (lambda: Regression().check(np.array(["a"])), "targets must be numbers"),
        (lambda: Regression().check(np.array([np.nan])), "targets must be finite numbers"),
        (lambda: Regression().check(np.zeros((3, 2))), "targets must be 1 a row; got 2"),
        (lambda: Agreement().check(np.array([np.inf])), "outputs must be finite numbers"),
        (lambda: Regression().score("accuracy"), "score must be one of rmse, mae, r2, largest"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(ParetoscopeError, match=sentence):
        make()


def test_verdicts_turn_with_what_is_better() -> None:
    """A rise of an error is a loss."""
    for value, expected in ((0.5, "worse"), (-0.5, "not worse")):
        interval = (value - 0.1, value + 0.1)
        assert (
            EstimatedDifference(value, 9, interval, higher_is_better=False).verdict(0.2) == expected
        )
        assert EstimatedDifference(-value, 9, (-value - 0.1, -value + 0.1)).verdict(0.2) == expected
    assert EstimatedDifference(0.5, 9, (0.4, 0.6), higher_is_better=False).gain == -0.5


def test_brier_of_two_classes_is_of_the_second_alone() -> None:
    outputs = np.log(np.array([[0.2, 0.8]], np.float32))
    predicted = Classification(_names(2)).predict(outputs)
    assert Brier().figure(predicted, np.array([1])).value == pytest.approx(0.04, rel=1e-5)
    assert LogLoss().figure(predicted, np.array([1])).value == pytest.approx(-np.log(0.8), rel=1e-5)
