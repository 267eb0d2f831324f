"""What is judged by another score than accuracy: regressions, rare classes, and a chosen score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime as ort
import paretoscope as ps
import pytest
from paretoscope.data.own_data import keep_own
from paretoscope.data.rows import Raw
from paretoscope.measurement.confirmation import Confirmation
from paretoscope.measurement.measurement import Baseline
from paretoscope.problems.agreement import RelativeError
from paretoscope.problems.classification import Calibration, Correct, LogLoss
from paretoscope.problems.figure import Estimate, EstimatedDifference
from paretoscope.problems.regression import Explained, RootMeanSquare
from paretoscope.problems.score import Score
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, root_mean_squared_error

from tests.app.pages import address, charts, drawn, figures, measured, open_page, until
from tests.conftest import load, trained
from ui.base import words
from ui.evidence import confirmation
from ui.parts import charts as drawing
from ui.state.address import View, parse_query
from ui.state.subject import Subject

DIABETES = {"dataset": "diabetes", "model": "mlp-32"}
RECIPE = "magnitude(sparsity=0.3)+q(32)"


def _subject(score: str = "") -> Subject:
    return Subject(
        "diabetes", 0, "mlp-32", 0, trained("diabetes", "mlp-32"), load("diabetes"), score
    )


def _of(subject: Subject) -> ps.Measurement:
    artifact = ps.compress(subject.network, ps.Recipe(), None)
    baseline = Baseline(subject.network, subject.dataset, score_name=subject.score.name)
    return ps.measure(artifact, subject.dataset, batches=(), baseline=baseline)


def _rare() -> str:
    """A table of which 3 % are of the second class, kept as own data."""
    rng = np.random.default_rng(0)
    y = (np.arange(3000) >= 2910).astype(np.int64)
    X = (rng.normal(size=(3000, 6)) + 1.2 * y[:, None]).astype(np.float32)
    features = tuple(f"f{k}" for k in range(6))
    return keep_own(Raw(X, y, features, ("fine", "fraud")), "rare")


def test_a_regression_is_shown_by_the_rmse_of_its_file() -> None:
    """The very file, in plain ONNX Runtime, by scikit-learn."""
    network, data = trained("diabetes", "mlp-32"), load("diabetes")
    app = until(open_page(**DIABETES, recipe=RECIPE), figures)
    artifact = ps.compress(network, ps.Recipe.parse(RECIPE), data.train)
    session = ort.InferenceSession(artifact.onnx_bytes)
    X, y = data.validation.X, data.validation.y
    (outputs,) = session.run(None, {session.get_inputs()[0].name: X})
    expected = root_mean_squared_error(y, outputs[:, 0])
    before = root_mean_squared_error(y, network.scores(X)[:, 0])
    assert app.metric[0].value == words.valued(expected, "")
    assert app.metric[0].label.startswith("RMSE")
    assert words.valued(before, "") in app.metric[0].label


def test_its_curves_have_whiskers_and_better_is_up() -> None:
    app = until(open_page(**DIABETES, recipe=RECIPE), measured)
    size, time = (charts(app)[f"chart-{name}"] for name in ("size", "time"))
    for figure in (size, time):
        worst, best = figure["layout"]["yaxis"]["range"]
        assert worst > best
        assert "RMSE against" in figure["layout"]["title"]["text"]
        curve = next(t for t in figure["data"] if t.get("name") == "Q = 32")
        assert len(curve["y"]) > 3
        assert min(curve["error_y"]["array"]) > 0
    front = next(t for t in size["data"] if t["name"] == "Pareto front")
    inner = [y for y, shown in zip(front["y"], front["customdata"], strict=False) if shown]
    assert inner == sorted(inner, reverse=True)  # larger files err less


@pytest.mark.parametrize("page", ["compare.py", "layers.py", "search.py", "evidence.py"])
def test_every_page_takes_a_regression(page: str) -> None:
    trained("diabetes", "mlp-32")
    app = open_page(page, **DIABETES, recipe=RECIPE)
    app.run()
    assert not app.exception, [e.value for e in app.exception]
    said = [*(m.value for m in app.markdown), *(c.value for c in app.caption)]
    assert not any("accuracy" in text.lower() for text in said)


def test_a_score_is_chosen_and_all_goes_by_it() -> None:
    network, data = trained("digits", "mlp-64-32"), load("digits")
    app = until(open_page(recipe="magnitude(threshold=0.1)+q(16)", margin="2", drop="3"), figures)
    app.selectbox(key="score").select("log-loss").run()
    assert address(app)["score"] == "log-loss"
    assert (address(app)["margin"], address(app)["drop"]) == ("usual", "usual")
    until(app, lambda a: a.metric[0].label.startswith("Log loss") and figures(a))
    artifact = ps.compress(network, ps.Recipe.parse("magnitude(threshold=0.1)+q(16)"), data.train)
    scores = ps.OnnxRuntime(artifact.onnx_bytes).scores(data.validation.X).astype(np.float64)
    chances = np.exp(scores - scores.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    expected = log_loss(data.validation.y, chances)
    assert app.metric[0].value == words.valued(expected, "")
    app.text_input(key=drawn(app, "drop")).set_value("0.25").run()
    assert address(app)["drop"] == "0.25"
    app.text_input(key=drawn(app, "drop")).set_value("-1").run()
    assert any("must be at least" in e.value.replace("\\", "") for e in app.error)


def test_a_rare_class_opens_on_a_score_that_is_not_fooled() -> None:
    """And what always says the common class is shown as the failure that it is."""
    name = _rare()
    data = ps.load_dataset(name)
    network = ps.train("logistic-regression", data)
    silent = "magnitude(sparsity=1)+q(8)"
    app = until(open_page(dataset=name, model="logistic-regression", recipe=silent), figures)
    assert app.metric[0].label.startswith("Balanced accuracy")
    assert app.metric[0].value == "50.0 %"
    told = " ".join(c.value for c in app.caption).replace("\\", "")
    assert "judged by balanced accuracy" in told
    assert "97% of the rows are of class fine" in told
    badge = app.metric[0].delta
    assert "worse" in badge
    before = balanced_accuracy_score(data.validation.y, network.scores(data.validation.X).argmax(1))
    assert words.percent(before) in app.metric[0].label


@pytest.mark.parametrize(
    ("score", "before", "now"),
    [
        (Calibration(), 0.02, 0.6),
        (LogLoss(), 0.1, 7.0),
        (RootMeanSquare(), 50.0, 900.0),
        (Explained(), 0.5, -3.0),
        (RelativeError(), 0.0, 4.0),
        (Correct(), 0.97, 0.1),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_recipe_that_is_far_worse_is_in_sight(
    score: Score, before: float, now: float, whole: bool
) -> None:
    start = _of(_subject())
    found = []
    for value, recipe in ((before, ps.Recipe()), (now, ps.Recipe.parse("q(2)"))):
        change = EstimatedDifference(value - before, 90, None, score.higher_is_better)
        quality = Estimate(value, 90, None, "", score.unit)
        found.append(replace(start, quality=quality, change=change, recipe=recipe))
    asked = drawing.Asked("gzip", whole=whole, score=score)
    record = drawing.trade_off(asked, "D", found[1].recipe, [], found[0], others=[found[1]])
    assert record.rises == score.higher_is_better
    assert 0 <= record.height_of(now) < record.height_of(before) < 1


def test_budgets_and_fronts_of_errors_are_turned_about() -> None:
    subject = _subject()
    baseline = _of(subject)
    view = View(**DIABETES, drop=4.0)
    record = drawing.trade_off(drawing.size_asked(view, subject), "D", ps.Recipe(), [], baseline)
    assert record.limits[0] == pytest.approx(baseline.quality.value + 4)
    assert not record.rises
    assert 0 < record.height_of(record.limits[0]) < record.height_of(baseline.quality.value) < 1
    r2 = _subject("r2")
    record = drawing.trade_off(
        drawing.size_asked(replace(view, score="r2"), r2), "D", ps.Recipe(), [], _of(r2)
    )
    assert record.rises


CANCER = {"dataset": "breast-cancer", "model": "mlp-32", "recipe": "q(8)"}


def _second(network: ps.Network, recipe: str, data: ps.Dataset) -> np.ndarray:
    """The probability of the second class by the file."""
    artifact = ps.compress(network, ps.Recipe.parse(recipe), data.train)
    scores = ps.OnnxRuntime(artifact.onnx_bytes).scores(data.validation.X).astype(np.float64)
    found: np.ndarray = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))
    return found


def test_the_cut_of_two_classes_is_a_slider() -> None:
    network, data = trained("breast-cancer", "mlp-32"), load("breast-cancer")
    app = until(open_page(**CANCER, score="f1"), figures)
    app.slider(key="cut").set_value(0.9).run()
    assert address(app)["decision"] == "cut=0.9"
    assert address(app)["score"] == "f1"
    until(app, figures)
    said = (_second(network, "q(8)", data) > 0.9).astype(int)
    assert app.metric[0].value == words.percent(f1_score(data.validation.y, said))
    assert any("decided by cut=0.9" in c.value.replace("\\", "") for c in app.caption)
    app.slider(key=drawn(app, "cut")).set_value(0.5).run()
    assert address(app)["decision"] == ""


def test_mistakes_have_their_costs() -> None:
    network, data = trained("breast-cancer", "mlp-32"), load("breast-cancer")
    costs = np.array([[0.0, 1.0], [7.0, 0.0]])
    app = open_page(**CANCER, score="cost", decision="costs=0,1,7,0")
    until(app, figures)
    said = (_second(network, "q(8)", data) > 0.5).astype(int)
    expected = costs[data.validation.y, said].mean()
    assert app.metric[0].label.startswith("Cost")
    assert app.metric[0].value == words.valued(expected, "")


def test_a_decision_of_other_classes_is_left_out() -> None:
    trained("digits", "mlp-64-32")
    app = until(open_page(decision="costs=0,1,1,0"), figures)
    assert not app.exception
    assert app.metric[0].label.startswith("Accuracy")
    assert any(
        "of other classes and was left out" in c.value.replace("\\", "") for c in app.caption
    )


def test_a_reading_by_another_score_is_not_shown_for_this_one() -> None:
    """An RMSE beside a mean absolute error would be read as one of the same."""
    figures = Estimate(50.0, 89, None), EstimatedDifference(1.0, 89, None, False)
    read = Confirmation("q(8)", "sha", *figures, "2026-11-27", "rmse")
    assert confirmation.judged_so([read], _subject()) == [read]
    assert confirmation.judged_so([read], _subject("mae")) == []


def test_a_budget_of_nothing_is_allowed_by_any_score() -> None:
    view, complaints = parse_query({"dataset": "diabetes", "drop": "0"})
    assert complaints == []
    assert view.drop_of(_subject()) == 0
