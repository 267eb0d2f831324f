"""The Evidence page through Streamlit's own harness: every section, and what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paretoscope as ps
import plotly.graph_objects as go
import pytest
from paretoscope.cli.results import TIMING, ScoresResult, Task, TimingResult
from paretoscope.measurement.confirmation import confirmations
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.problems.accuracy import Accuracy, Change
from paretoscope.problems.classification import Classification
from paretoscope.problems.comparison import compare
from scipy.special import softmax
from sklearn import metrics
from streamlit.testing.v1 import AppTest

from tests.app.pages import address, beside, charts, figures, open_page, until
from tests.conftest import give, load, trained
from ui.base import words
from ui.base.theme import DARK, LIGHT, Theme
from ui.evidence import scores, seeds, times
from ui.state import server
from ui.state.address import SECTIONS

RECIPE = "magnitude(sparsity=0.6)+q(4)"


@pytest.fixture(autouse=True)
def _trained() -> None:
    trained("digits", "mlp-64-32")
    trained("iris", "logistic-regression")


def _open(section: str, recipe: str = RECIPE, **query: str) -> AppTest:
    return open_page("evidence.py", section=section, recipe=recipe, **query)


def _ready(app: AppTest) -> bool:
    """Whether the page has got past reading the dataset, which a new store does in a job."""
    return any(s.value in SECTIONS.values() for s in app.subheader)


def _measured(recipe: str) -> ps.Measurement:
    network, data = trained("digits", "mlp-64-32"), load("digits")
    artifact = ps.compress(network, ps.Recipe.parse(recipe), data.train)
    return ps.measure(artifact, data, batches=())


def _drawn(app: AppTest) -> bool:
    return bool(charts(app))


def _chart(app: AppTest) -> dict[str, Any]:
    (chart,) = charts(app).values()
    return chart


def _text(app: AppTest) -> str:
    return " ".join(m.value for m in (*app.markdown, *app.caption))


def _carries_provenance(chart: dict[str, Any]) -> bool:
    told = " ".join(a["text"] for a in chart["layout"]["annotations"])
    return all(part in told for part in ("digits, n = ", "seed 0", "Paretoscope 0.1.0", "thread"))


def test_rows_and_classes_are_told_and_shown() -> None:
    app = until(_open("rows"), _drawn)
    assert not app.exception
    text, change = _text(app), _measured(RECIPE).change
    assert f"**{change.newly_wrong:,} newly wrong**, **{change.newly_right:,} newly right**" in text
    assert words.change_words(change, 0.005) in text
    assert "McNemar's exact test: p" in text
    assert "**Worst class: " in text
    assert "**Confusion that grew most:** " in text
    chart = _chart(app)
    assert {trace["name"] for trace in chart["data"]} == {"uncompressed", "this recipe"}
    assert _carries_provenance(chart)
    assert len(app.get("image")) >= min(24, change.newly_wrong) + min(24, change.newly_right)


def test_flips_of_a_table_are_rows_of_it() -> None:
    app = until(
        _open("rows", "magnitude(sparsity=0.8)", dataset="iris", model="logistic-regression"),
        _drawn,
    )
    assert not app.exception
    assert not app.get("image")
    assert {"row", "actual", "before", "now"} <= set(app.dataframe[0].value.columns)


def test_test_rows_are_read_once_and_counted(fresh: Path) -> None:
    network, data = give("digits", "mlp-64-32"), load("digits")
    app = until(_open("test"), _ready)
    assert "**not been read yet**" in _text(app)
    assert confirmations(network, data) == []
    (button,) = [b for b in app.button if b.label == "Confirm on the test rows"]
    app = until(button.click().run(), lambda a: len(a.metric) == 5)
    (reading,) = confirmations(network, data)
    validation, test = app.metric[3:]
    assert (validation.label, test.label) == ("Rows chosen on", "Test rows")
    assert test.value == words.quality(reading.quality)
    assert validation.value == words.percent(_measured(RECIPE).accuracy.value)
    assert "**been read 1 time**" in _text(app)
    assert not [b for b in app.button if b.label == "Confirm on the test rows"]
    again = _open("test", "q(3)")
    assert "**been read 1 time**" in _text(again)
    assert [b for b in again.button if b.label == "Confirm on the test rows"]


def test_time_is_measured_when_asked_and_explore_shows_it(fresh: Path) -> None:
    give("digits", "mlp-64-32")
    app = until(_open("time"), _ready)
    assert not _drawn(app)
    (button,) = [b for b in app.button if b.label == "Measure properly"]
    app = until(button.click().run(), _drawn)
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table[""]) == [
        "One row",
        "16 rows",
        "256 rows",
        "One row, cold caches",
        "Loading the file",
    ]
    allowed = {"faster", "slower", "no measurable difference", "inconclusive"}
    assert set(table["verdict"]) <= allowed
    assert _carries_provenance(_chart(app))
    explore = until(open_page(recipe=RECIPE), lambda a: "chart-time" in charts(a))
    assert beside(explore)[2].endswith("by protocol")
    time_chart = charts(explore)["chart-time"]
    assert "band: A/A noise" in str(time_chart["layout"]["meta"]["card"])
    assert not [b for b in explore.button if b.label == "Measure properly"]


@pytest.mark.parametrize("others", [0.7, 0.0, None])
def test_an_inconclusive_time_says_what_disturbed_it_and_is_measured_again(
    others: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained("digits", "mlp-64-32")
    rng = np.random.default_rng(0)
    arms = [tuple(tuple(rng.lognormal(2, 1, 20)) for _ in range(5)) for _ in range(3)]
    timings = tuple(Timing(what, *arms) for what in times.TITLES)
    assert Timing("batch 1", *arms).verdict == "inconclusive"
    asked: list[str] = []
    honest = server.result

    def result(subject: Any, task: Task[Any], arguments: Any) -> Any:
        if task != TIMING:
            return honest(subject, task, arguments)
        return None if asked else TimingResult(timings, others)

    monkeypatch.setattr(server, "result", result)
    monkeypatch.setattr(server, "start_work", lambda task, arguments: asked.append(task))
    for app in (until(_open("time"), _drawn), until(open_page(recipe=RECIPE), figures)):
        asked.clear()
        (said,) = [c.value for c in app.caption if c.value.startswith("Inconclusive")]
        assert ("other programs kept 0.7 of" in said) == (others == 0.7)
        (button,) = [b for b in app.button if b.label == "Measure again"]
        app = button.click().run()
        assert asked == [TIMING.name]
        assert [b for b in app.button if b.label == "Measure properly"]  # no result by now


def test_a_runtime_that_cannot_run_the_file_is_one_sentence() -> None:
    app = _open("time", "int8")
    app.selectbox(key="timing-runtime").set_value("numpy").run()
    (button,) = [b for b in app.button if b.label == "Measure properly"]
    app = until(button.click().run(), lambda a: bool(a.error))
    assert app.error[0].value.startswith("only ONNX Runtime runs this file")
    assert [b for b in app.button if b.label == "Measure properly"]


def test_scipys_sparse_products_are_compared_with_numpys_dense_ones() -> None:
    app = _open("time")
    app.selectbox(key="timing-runtime").set_value("scipy-csr").run()
    assert app.selectbox(key="timing-against-scipy-csr").value == "numpy"


def test_other_scores_are_sklearns_of_the_file() -> None:
    app = until(_open("scores", "q(2)"), lambda a: bool(a.dataframe))
    assert not app.exception
    network, rows = trained("digits", "mlp-64-32"), load("digits").validation
    artifact = ps.compress(network, ps.Recipe.parse("q(2)"), load("digits").train)
    table = app.dataframe[0].value.set_index("score")
    for when, onnx_bytes in (("before", network.onnx_bytes), ("now", artifact.onnx_bytes)):
        found = ps.OnnxRuntime(onnx_bytes).scores(rows.X)
        probabilities, said = softmax(found.astype(float), axis=1), found.argmax(1)
        balanced = metrics.balanced_accuracy_score(rows.y, said)
        assert table.loc["Balanced accuracy", when] == words.percent(balanced)
        assert table.loc["Log loss", when] == (f"{metrics.log_loss(rows.y, probabilities):#.3g}")
        area = metrics.roc_auc_score(rows.y, probabilities, multi_class="ovr")
        assert table.loc["Area under ROC", when] == f"{area:#.3g}"
    assert table.loc["Log loss", "in a word"] == "worse"
    assert table.loc["Log loss", "better is"] == "less"
    assert table.loc["Calibration error", "in a word"] == "no interval"
    assert "For certain **worse**: Accuracy, Balanced accuracy, F1" in _text(app)
    assert "Calibration error: no interval, for it is a mean of absolute differences" in _text(app)


def test_where_accuracy_is_fooled_the_page_says_so() -> None:
    """A model that always says the common class, which is right on 97 of 100 rows."""
    problem = Classification(("fine", "broken"))
    y = (np.arange(400) % 33 == 0).astype(np.int64)
    before = np.stack([np.zeros(400), 6.0 * y - 3], axis=1).astype(np.float32)
    always_fine = np.tile(np.array([[1, 0]], np.float32), (400, 1))
    score, why = problem.opens_with(y)
    compared = compare(problem, always_fine, before, y)
    told = scores.finding(ScoresResult(compared, score.name, why, 400))
    assert "Accuracy is fooled here: 97\\% of the rows are of class fine" in told
    assert "Look at **Balanced accuracy**: 50.0 %, 100.0 % before" in told
    assert "**worse**: Accuracy, Balanced accuracy, F1" in told


def test_sizes_add_up_and_say_how_to_unzip() -> None:
    app = until(_open("size"), _drawn)
    artifact = ps.compress(
        trained("digits", "mlp-64-32"), ps.Recipe.parse(RECIPE), load("digits").train
    )
    steps = app.dataframe[0].value
    assert list(steps["bytes"])[-1] == f"{artifact.sizes.file:,}"
    assert list(steps["bytes under gzip −9"])[-1] == f"{artifact.sizes.gzip:,}"
    text = _text(app)
    assert "gunzip model.onnx.gz" in text
    assert "zero-order entropy" in text
    chart = _chart(app)
    assert _carries_provenance(chart)
    whole = [
        sum(trace["x"][place] for trace in chart["data"] if trace["type"] == "bar")
        for place, name in enumerate(chart["data"][0]["y"])
        if name in ("whole file", "whole file, zipped")
    ]
    assert whole == [artifact.sizes.file, artifact.sizes.gzip]


def test_robustness_has_a_chart_and_a_sentence_a_corruption() -> None:
    app = until(_open("robustness"), _drawn)
    text = _text(app)
    for title in ("Noise", "Shift", "Rotation", "Blur"):
        assert f"**{title}** (" in text
    chart = _chart(app)
    assert len([t for t in chart["data"] if t["name"] == "this recipe"]) == 4
    assert _carries_provenance(chart)


def test_seeds_are_trained_when_asked() -> None:
    app = _open("seeds", dataset="iris", model="logistic-regression")
    app.number_input(key="seeds").set_value(2).run()
    (button,) = [b for b in app.button if b.label == "Train 2 seeds"]
    app = until(button.click().run(), _drawn)
    assert "what varied: split, first weights and order of training, seeds 0, 1" in _text(app)
    assert list(app.dataframe[0].value["seed"]) == [0, 1]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_an_address(section: str) -> None:
    app = _open(section)
    assert not app.exception
    assert address(app)["section"] == section


def test_a_section_that_is_none_is_said() -> None:
    app = _open("horoscope")
    assert any("section must be one of all" in w.value.replace("\\", "") for w in app.warning)
    assert address(app)["section"] == "all"


def test_the_report_opens_with_the_verdict_and_has_every_part() -> None:
    app = until(_open("all"), lambda a: {"robustness", "recalls", "sizes"} <= set(charts(a)))
    assert not app.exception
    change = _measured(RECIPE).change
    lost = abs(round(100 * change.value, 1))
    assert app.title[0].value.endswith((f"for {lost:g} points", "cannot tell what it costs"))
    assert [s.value for s in app.subheader] == [
        title for name, title in SECTIONS.items() if name != "all"
    ]
    assert {"recalls", "sizes", "robustness"} <= set(charts(app))
    assert {"Confirm on the test rows", "Measure properly", "Train 3 seeds"} <= {
        b.label for b in app.button
    }
    assert any("not confirmed on test rows yet" in c.value for c in app.caption)


def test_the_uncompressed_model_and_an_untrained_recipe_are_sent_to_explore() -> None:
    app = _open("rows", "magnitude(threshold=0)")
    assert not app.exception
    app = _open("rows", "finetune(epochs=3)")
    assert any("Train it on Explore first" in i.value for i in app.info)


# --- figures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_figures_draw_what_their_records_hold(theme: Theme) -> None:
    samples = ((5.0,) * 30,) * 5
    timing = Timing("batch 1", samples, ((10.0,) * 30,) * 5, ((10.0,) * 30,) * 5)
    record = times.RatioChart(
        "Digits", "q(8)", "ONNX Runtime",
        (("One row", timing.ratio, timing.ratio_interval, timing.noise_interval, timing.verdict),),
        "digits",
    )  # fmt: skip
    figure = go.Figure(times.ratio_figure(record, theme))
    assert figure.data[0].x == (timing.ratio,)
    assert figure.data[0].text == ("0.50, faster",)
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].x1) == (1.0, 1.0)
    assert "0.50, faster" in record.alt

    before, now = (Accuracy(36, 40), Accuracy(40, 40)), (Accuracy(30, 40), Accuracy(32, 40))
    chart = seeds.SeedChart("Digits", "found", "q(8)", before, now, "digits")
    figure = go.Figure(seeds.seed_figure(chart, theme))
    assert [tuple(t.y) for t in figure.data[:2]] == [(0.9, 0.75), (1.0, 0.8)]
    assert figure.data[2].y[0] == pytest.approx(0.95)
    assert figure.data[3].error_y.array[0] == pytest.approx(0.0353553, rel=1e-4)


def test_a_seeds_accuracy_before_is_what_the_change_says() -> None:
    measured = replace(_measured(RECIPE), quality=Accuracy(340, 360), change=Change(9, 4, 360))
    before = seeds._before(measured)
    assert before.value == pytest.approx(345 / 360)
    assert (before.n, before.unit) == (360, "%")
