"""The Explore page through Streamlit's own test harness: controls, figures, charts, links."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import paretoscope as ps
import pytest
import streamlit as st
from paretoscope.artifact.artifact import zipped
from paretoscope.base.store import default_store
from paretoscope.methods.pruning import CRITERIA, UNIT_CRITERIA
from paretoscope.methods.quantization import QUANTIZERS
from paretoscope.network.network import Network
from streamlit.testing.v1 import AppTest

from tests.app.pages import (
    address,
    beside,
    charts,
    drawn,
    figures,
    measured,
    open_page,
    strip,
    until,
)
from tests.conftest import ROOT, load, trained
from ui.base import words
from ui.parts import grid, kernel_choice
from ui.state import server, view

RECIPE = "magnitude(threshold=0.1)+q(8)"


@pytest.fixture(autouse=True)
def _trained() -> None:
    trained("digits", "mlp-64-32")
    trained("iris", "logistic-regression")


def _charts(app: AppTest) -> list[dict[str, Any]]:
    """The two main ones."""
    return list(charts(app).values())[:2]


def _trace(chart: dict[str, Any], name: str) -> dict[str, Any]:
    return next(trace for trace in chart["data"] if trace.get("name") == name)


def test_a_first_visit_shows_figures_and_curves() -> None:
    app = until(open_page(), measured)
    assert not app.exception
    labels = ("Accuracy", "Size, zipped", "Time, one row")
    assert all(m.label.startswith(label) for m, label in zip(app.metric, labels, strict=True))
    (title,) = app.title
    assert "smaller" in title.value
    size_chart, time_chart = _charts(app)
    for chart in (size_chart, time_chart):
        names = {trace.get("name") for trace in chart["data"]}
        assert {"uncompressed", "your recipe"} <= names
        assert "Accuracy" in chart["layout"]["title"]["text"]
        card = " ".join(
            a["text"].replace("<br>", " ") for a in chart["layout"]["meta"]["card"]["annotations"]
        )
        assert "n = 360 validation rows" in card
        assert title.value in card
    assert "Pareto front" in {trace.get("name") for trace in size_chart["data"]}
    assert size_chart["layout"]["yaxis"]["range"] == time_chart["layout"]["yaxis"]["range"]
    assert "zipped" in size_chart["layout"]["xaxis"]["title"]["text"]
    assert "µs" in time_chart["layout"]["xaxis"]["title"]["text"]
    assert list(charts(app)) == ["chart-size", "chart-time", "chart-heat", "chart-weights"]


def test_a_network_opens_at_the_smallest_within_the_budget() -> None:
    """Not at a recipe that suited another one."""
    app = until(open_page(), figures)
    change = _known(address(app)["recipe"]).change.value
    assert change >= -0.01 - 1e-9
    app = open_page(recipe="magnitude(sparsity=0.97)+q(2)")
    app.selectbox(key="model").select("mlp-32").run()
    app = until(app, figures)
    known = server.measuring().known(
        server.subject("digits", "mlp-32", trained("digits", "mlp-32")),
        ps.Recipe.parse(address(app)["recipe"]),
    )
    assert known is not None
    assert known.change.value >= -0.01 - 1e-9


def _known(recipe: str) -> ps.Measurement:
    subject = server.subject("digits", "mlp-64-32", trained("digits", "mlp-64-32"))
    found = server.measuring().known(subject, ps.Recipe.parse(recipe))
    assert found is not None
    return found


def test_auto_becomes_what_is_faster_here_and_the_link_says_it() -> None:
    """Another network asks for it; a link of before keeps its spelling."""
    network = trained("fashion-mnist", "lenet-300-100")
    app = until(
        open_page(dataset="fashion-mnist", model="lenet-300-100", recipe="q(8)+auto"),
        lambda a: bool(a.metric),
    )
    subject = server.subject("fashion-mnist", "lenet-300-100", network)
    times = kernel_choice.known(subject)
    assert times is not None
    assert address(app)["recipe"].endswith("+folded") == (times.choice == ps.Folded())
    place = {"dataset": "fashion-mnist", "model": "lenet-300-100", "recipe": "q(8)"}
    app = until(open_page(**place), lambda a: bool(a.metric))
    assert "folded" not in address(app)["recipe"]
    app = open_page(recipe=RECIPE)
    app = until(app.selectbox(key="dataset").select("iris").run(), lambda a: bool(a.metric))
    assert not {"auto", "folded"} & set(address(app)["recipe"].split("+"))  # makes no difference
    assert not app.exception


def test_where_the_file_runs_is_said_and_one_click_gives_one_that_runs_everywhere(
    mlp: Network, digits: ps.Dataset
) -> None:
    app = until(open_page(recipe="q(8)"), figures)
    assert any("4-bit codes run in ONNX Runtime 1.23" in c.value for c in app.caption)
    assert any("not in ONNX Runtime 1.20 and OpenCV 5" in c.value for c in app.caption)

    def offered(app: AppTest) -> bool:
        return any(b.key == "portable" for b in app.run().button)

    button = next(b for b in until(app, offered).button if b.key == "portable")
    packed, wide = (
        ps.compress(mlp, ps.Recipe.parse(text), digits.train).sizes
        for text in ("q(8)", "q(8)+bytes")
    )
    assert f"+{words.size(wide.file - packed.file)} on disk" in button.label
    app = until(button.click().run(), figures)
    assert address(app)["recipe"].endswith("q(8)+bytes")
    assert any(c.value.startswith("Runs in all of ONNX Runtime 1.20,") for c in app.caption)


def test_the_figures_are_those_of_the_file(mlp: Network, digits: ps.Dataset) -> None:
    app = until(open_page(recipe=RECIPE), figures)
    artifact = ps.compress(mlp, ps.Recipe.parse(RECIPE), digits.train)
    labels = ps.OnnxRuntime(artifact.onnx_bytes).scores(digits.validation.X).argmax(1)
    accuracy, size, _ = app.metric
    assert accuracy.value == words.percent(float(np.mean(labels == digits.validation.y)))
    assert size.value == words.size(artifact.sizes.gzip)
    told = beside(app)
    assert f"{words.size(artifact.sizes.file)} on disk, " in told[1]
    assert "n = 360" in told[0]
    assert "n = 360, 95 % interval" in accuracy.help


def test_every_point_of_the_curve_is_the_librarys(mlp: Network, digits: ps.Dataset) -> None:
    app = until(open_page(recipe=RECIPE), measured)
    trace = _trace(_charts(app)[0], "Q = 8")
    recipe = ps.Recipe.parse(RECIPE)
    line = {*ps.curve(mlp, recipe, "threshold"), recipe}
    expected = []
    for step in sorted(line, key=lambda r: r.pruner.threshold):  # type: ignore[union-attr, return-value]
        artifact = ps.compress(mlp, step, digits.train)
        labels = ps.OnnxRuntime(artifact.onnx_bytes).scores(digits.validation.X).argmax(1)
        expected.append((artifact.sizes.gzip, float(np.mean(labels == digits.validation.y))))
    assert list(zip(trace["x"], trace["y"], strict=True)) == expected
    assert len(set(trace["marker"]["color"])) == 1  # all filled


def test_moving_the_sliders_moves_recipe_and_address() -> None:
    app = open_page(recipe=RECIPE)
    app.select_slider(key="quantizer-q-q").set_value(4.0).run()
    assert address(app)["recipe"] == "magnitude(threshold=0.1)+q(4)"
    assert any("= codes of 4 bits" in text for text in strip(app))
    options = app.select_slider(key="place").options
    app.selectbox(key="quantizer-member").set_value("float32").run()
    assert address(app)["recipe"] == "magnitude(threshold=0.1)"
    assert any("32-bit floats" in text for text in strip(app))
    assert len(options) >= 20
    assert not app.exception


def test_threshold_and_sparsity_show_each_other(mlp: Network) -> None:
    app = open_page(recipe=RECIPE)
    cut = ps.Magnitude(threshold=0.1)
    share = cut.selection(cut.scores(mlp)).sparsity(mlp.weights)
    assert any(f"= {words.percent(share)} zeros" in text for text in strip(app))
    app.segmented_control(key="axis").set_value("sparsity").run()
    recipe = ps.Recipe.parse(address(app)["recipe"])
    assert abs(recipe.pruner.sparsity - share) < 0.03  # type: ignore[union-attr, operator]
    assert any("zeros = |w| < " in text for text in strip(app))
    app.segmented_control(key="scope").set_value("layer").run()
    recipe = ps.Recipe.parse(address(app)["recipe"])
    assert recipe.pruner.scope == "layer"  # type: ignore[union-attr]
    assert not app.exception


def test_another_network_keeps_the_sparsity_where_nothing_is_known_of_it(
    mlp: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "advice", lambda *_: grid.Advice(None, (), 0))
    app = open_page(recipe=RECIPE)
    app.selectbox(key="dataset").set_value("iris").run()
    app.selectbox(key="model").set_value("logistic-regression").run()
    recipe = ps.Recipe.parse(address(app)["recipe"])
    network = trained("iris", "logistic-regression")
    share = recipe.pruner.selection(recipe.pruner.scores(network)).sparsity(network.weights)  # type: ignore[union-attr, call-arg]
    before = ps.Magnitude(threshold=0.1)
    expected = before.selection(before.scores(mlp)).sparsity(mlp.weights)
    assert abs(share - expected) < 0.1
    assert address(app)["dataset"] == "iris"
    assert not app.exception


def test_a_link_holds_the_whole_view() -> None:
    recipe = "magnitude(sparsity=0.37,scope=layer)+q(11.5);dense3=q(64)"
    app = open_page(v="1", dataset="digits", model="mlp-64-32", recipe=recipe, size="file")
    assert not app.exception
    assert not app.warning
    assert address(app)["recipe"] == recipe
    assert app.select_slider(key="place").value == 0.37
    assert app.select_slider(key="quantizer-q-q").value == 11.5
    assert app.segmented_control(key="size").value == "file"
    again = open_page(**address(app))
    assert [m.value for m in again.metric[:2]] == [m.value for m in app.metric[:2]]


def test_an_address_that_lags_behind_takes_nothing_back() -> None:
    """A browser that has not yet read the last runs still sends the address of an earlier one."""
    app = open_page(recipe=RECIPE)
    old = address(app)["recipe"]
    for q in (10.0, 12.0):
        app.select_slider(key="quantizer-q-q").set_value(q).run()
    app.query_params["recipe"] = old
    app.run()
    assert address(app)["recipe"] == "magnitude(threshold=0.1)+q(12)"
    app.query_params["recipe"] = "magnitude(threshold=0.1)+q(64)"  # typed by the visitor
    app.run()
    assert address(app)["recipe"] == "magnitude(threshold=0.1)+q(64)"
    assert app.select_slider(key=drawn(app, "quantizer-q-q")).value == 64


def test_who_goes_back_while_a_page_is_drawn_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """That run ends after its callbacks, for another begins."""
    app = open_page(recipe=RECIPE)
    old = address(app)
    app.select_slider(key="quantizer-q-q").set_value(10.0).run()
    with monkeypatch.context() as cut_short:
        cut_short.setattr(view, "current", st.stop)
        app.select_slider(key="quantizer-q-q").set_value(12.0).run()
        assert str(app.session_state.session.view.recipe) == "magnitude(threshold=0.1)+q(12)"
    for name, value in old.items():
        app.query_params[name] = value
    context = SimpleNamespace(is_history_navigation=True)
    monkeypatch.setattr(view, "get_script_run_ctx", lambda: context)
    app.run()
    assert address(app) == old
    assert app.select_slider(key=drawn(app, "quantizer-q-q")).value == 8


def test_every_control_carries_what_it_shows_as_its_default() -> None:
    """In every run: of two that follow closely the browser is sent only the second."""
    recipe = "l2(0.3,repair=refit)+magnitude(sparsity=0.4,scope=layer)+symmetric(3,clip=mse)+gptq"
    app = open_page(dataset="digits", model="cnn", recipe=recipe, size="file", margin="2")
    app.run()
    for number in app.number_input:
        default = number.proto.default if number.proto.HasField("default") else None
        assert default == number.value, number.key
    for box in app.selectbox:
        assert box.proto.default == box.index, box.key
    for slider in app.select_slider:
        default = slider.proto.default[0]
        assert slider.options[int(default)] == slider.format_func(slider.value), slider.key
    for control in app.segmented_control:
        (default,) = control.proto.default
        shown = control.proto.options[default].content
        assert shown == control.format_func(control.value), control.key


@pytest.mark.parametrize(
    ("query", "said", "kept"),
    [
        ({"dataset": "irs"}, "dataset must be one of iris", {"dataset": "digits"}),
        ({"model": "lenet-300-100"}, "model for Digits must be one of", {"model": "mlp-64-32"}),
        ({"recipe": "q(0)"}, "q must be at least 1; got 0", {"model": "mlp-64-32"}),
        ({"recipe": "magnitude(threshold=nan)"}, "got nan", {"model": "mlp-64-32"}),
        ({"recipe": "<script>alert(1)</script>"}, "script", {"size": "gzip"}),
        ({"size": "zip"}, "size must be one of gzip, file", {"size": "gzip"}),
        ({"margin": "0"}, "margin must be at least 0.1; got 0", {"margin": "usual"}),
        ({"margin": "half"}, "margin must be a number from 0.1 to 20", {"margin": "usual"}),
        ({"v": "2"}, "v must be 1; got '2'", {"v": "1"}),
        ({"thr": "0.3"}, "does not know thr", {"v": "1"}),
    ],
)
def test_a_bad_part_of_a_link_is_named_and_replaced(
    query: dict[str, str], said: str, kept: dict[str, str]
) -> None:
    app = open_page(**query)
    assert not app.exception
    assert len(app.warning) == 1
    shown = app.warning[0].value.replace("\\", "")
    assert said in shown
    replaced = "v" not in query and "thr" not in query
    assert ("The default is shown instead" in shown) == replaced
    for name, value in kept.items():
        assert address(app)[name] == value


def test_a_long_value_in_a_link_is_not_echoed_whole() -> None:
    app = open_page(v="9" * 3000, recipe="x" * 3000, **{"y" * 3000: "1"})
    assert len(app.warning) == 3
    assert all(len(w.value) < 800 for w in app.warning)


def test_layers_that_the_network_lacks_are_left_out_of_the_recipe(mlp: Network) -> None:
    app = open_page(recipe="q(8);dense2=q(6);dense9=q(4)")
    assert not app.exception
    assert not app.error
    assert "dense9" in app.warning[0].value
    assert address(app)["recipe"] == "q(8);dense2=q(6)"


def test_a_recipe_that_cannot_be_is_said_and_the_page_stays() -> None:
    trained("iris", "logistic-regression")
    app = open_page(
        dataset="iris", model="logistic-regression", recipe="magnitude(pattern=4:8)+q(8)"
    )
    assert not app.exception
    assert any("dense1" in e.value for e in app.error)
    app.select_slider(key="quantizer-q-q").set_value(4.0).run()
    assert not app.exception


def test_a_recipe_that_trains_starts_when_asked_and_its_file_is_kept(
    mlp: Network, digits: ps.Dataset
) -> None:
    recipe = "magnitude(sparsity=0.6)+q(4)+finetune(epochs=3)"
    app = open_page(recipe=recipe)
    assert not app.metric
    (train,) = (b for b in app.button if b.label == "Train it")
    train.click().run()
    until(app, lambda a: len(a.metric) == 3)
    assert not app.exception
    served = server.measuring().known(
        server.subject("digits", "mlp-64-32", mlp), ps.Recipe.parse(recipe)
    )
    assert served is not None
    kept = default_store().read(served.artifact_sha256)
    assert kept is not None
    labels = ps.OnnxRuntime(kept).scores(digits.validation.X).argmax(1)
    assert app.metric[0].value == words.percent(float(np.mean(labels == digits.validation.y)))
    assert app.metric[1].value == words.size(len(zipped(kept)))


@pytest.mark.parametrize("name", [c.name for c in CRITERIA])
def test_every_criterion_can_be_chosen(name: str) -> None:
    app = open_page(recipe="magnitude(sparsity=0.5)+q(8)")
    app.selectbox(key="pruner-member").set_value(name).run()
    assert not app.exception
    assert address(app)["recipe"] == f"{name}(sparsity=0.5)+q(8)"
    until(app, figures)
    assert len(app.metric) == 3
    app.segmented_control(key="axis").set_value("pattern").run()
    assert address(app)["recipe"] == f"{name}(pattern=2:4)+q(8)"
    assert not app.exception


@pytest.mark.parametrize("name", [q.name for q in QUANTIZERS])
def test_every_quantizer_can_be_chosen(name: str) -> None:
    app = open_page(recipe="magnitude(sparsity=0.5)+q(8)")
    app.selectbox(key="quantizer-member").set_value(name).run()
    assert not app.exception
    recipe = ps.Recipe.parse(address(app)["recipe"])
    assert recipe.quantizer.name == name
    until(app, figures)
    assert len(app.metric) == 3


@pytest.mark.parametrize("name", [u.name for u in UNIT_CRITERIA])
def test_units_can_be_removed(name: str) -> None:
    app = open_page(recipe="q(8)")
    app.selectbox(key="units-member").set_value(name).run()
    assert address(app)["recipe"] == f"{name}(0.3)+q(8)"
    app.segmented_control(key=f"units-{name}-repair").set_value("refit").run()
    assert address(app)["recipe"] == f"{name}(0.3,repair=refit)+q(8)"
    until(app, figures)
    assert not app.exception
    assert len(app.metric) == 3


def test_the_drop_asked_about_decides_the_verdict() -> None:
    app = open_page(recipe="q(16)", margin="20")
    until(app, figures)
    assert app.metric[0].delta == "not worse by 20 pt"
    app.number_input(key="margin").set_value(0.1).run()
    assert address(app)["margin"] == "0.1"
    assert app.metric[0].delta == "cannot tell"
    assert "360 rows cannot tell; about" in app.metric[0].help
    assert not app.exception


def test_8_bit_activations_and_a_quantizer_exclude_each_other() -> None:
    app = open_page(recipe="q(8);dense3=magnitude(sparsity=0.2,scope=layer)+q(16)")
    app.selectbox(key="activations-member").set_value("int8").run()
    assert address(app)["recipe"] == "float32+int8;dense3=magnitude(sparsity=0.2,scope=layer)"
    until(app, figures)
    assert not app.exception
    app.selectbox(key=drawn(app, "quantizer-member")).set_value("symmetric").run()
    assert "int8" not in address(app)["recipe"]
    assert not app.exception


def _unfolded(app: AppTest, fold: str) -> AppTest:
    app.session_state[fold] = True
    return app.run()


def test_a_closed_group_of_controls_says_what_is_chosen_in_it() -> None:
    app = open_page(recipe="magnitude(sparsity=0.5)+q(3)+ls+bytes;dense3=q(16)", folds=())
    assert not [s for s in app.selectbox if s.key not in ("dataset", "model")]
    told = " ".join(c.value for c in app.sidebar.caption)
    for words_of in ("at most 1 point lost", "magnitude, network", "all stay", "fixed point"):
        assert words_of in told
    assert "Least squares, A byte each" in told
    assert "dense3" in told
    app.session_state["fold-layer"] = True
    app.run()
    assert app.selectbox(key="layer").value == "dense3"
    assert address(app)["recipe"] == "magnitude(sparsity=0.5)+q(3)+ls+bytes;dense3=q(16)"


def test_one_layer_can_be_set_by_itself_and_reset() -> None:
    app = _unfolded(open_page(recipe="magnitude(sparsity=0.5)+q(4)"), "fold-layer")
    next(b for b in app.button if b.label == "Give this layer its own settings").click().run()
    scores = np.concatenate(
        [np.abs(w).ravel() for w in trained("digits", "mlp-64-32").weights.values()]
    )
    last = np.abs(trained("digits", "mlp-64-32").weights["dense3"])
    own = np.mean(last < np.median(scores))  # of all layers ranked together
    assert own != 0.5
    assert app.select_slider(key="sparsity@dense3").value == pytest.approx(own, abs=2 / last.size)
    app.selectbox(key="pruner@dense3-member").set_value("keep").run()
    app.select_slider(key="quantizer@dense3-q-q").set_value(16.0).run()
    assert address(app)["recipe"] == "magnitude(sparsity=0.5)+q(4);dense3=q(16)"
    app.selectbox(key="layer").set_value("dense1").run()
    next(b for b in app.button if b.label == "Give this layer its own settings").click().run()
    app.selectbox(key="pruner@dense1-member").set_value("obs").run()
    app.select_slider(key="sparsity@dense1").set_value(0.9).run()
    app.selectbox(key="units@dense1-member").set_value("l2").run()
    first = "dense1=l2(0.3)+obs(sparsity=0.9,scope=layer)+q(4)"
    assert address(app)["recipe"] == f"magnitude(sparsity=0.5)+q(4);{first};dense3=q(16)"
    until(app, figures)
    assert not app.exception
    next(b for b in app.button if b.label == "Remove its own settings").click().run()
    assert address(app)["recipe"] == "magnitude(sparsity=0.5)+q(4);dense3=q(16)"
    assert not app.exception


def test_a_convolutional_network_is_explored_like_any_other() -> None:
    app = open_page(model="cnn", recipe="magnitude(sparsity=0.5)+q(16)")
    until(app, measured)
    assert not app.exception
    assert len(_charts(app)) == 2
    _unfolded(app, "fold-layer")
    assert [s.value for s in app.selectbox if s.key == "layer"] == ["dense3"]


@pytest.mark.parametrize("name", ["bias", "ls", "gptq"])
def test_every_recovery_can_be_chosen(name: str) -> None:
    app = open_page(recipe="magnitude(sparsity=0.5)+q(3)")
    app.segmented_control(key="recovery-member").set_value(name).run()
    app.selectbox(key="storage-member").set_value("bytes").run()
    assert address(app)["recipe"] == f"magnitude(sparsity=0.5)+q(3)+{name}+bytes"
    until(app, figures)
    assert not app.exception


@pytest.mark.parametrize("recipe", ["q(8)", "float32", "q(4000000)", "shift(21)", "q(3)+gptq"])
def test_recipes_without_pruning_and_at_the_ends_are_measured(recipe: str) -> None:
    app = until(open_page(recipe=recipe), measured)
    assert not app.exception
    assert figures(app)
    assert _trace(_charts(app)[0], "your recipe")["x"]


def test_a_q_that_is_too_large_is_one_sentence() -> None:
    app = until(open_page(recipe="q(16777216)"), lambda a: bool(a.error))
    assert not app.exception
    assert "Q must be at most" in app.error[0].value


def test_scores_on_rows_keep_a_linked_threshold() -> None:
    app = open_page(recipe="wanda(threshold=0.1)+q(8)")
    app.segmented_control(key="scope").set_value("layer").run()
    assert not app.exception
    assert address(app)["recipe"] == "wanda(threshold=0.1,scope=layer)+q(8)"


def test_two_visitors_are_two() -> None:
    one, other = open_page(recipe=RECIPE), open_page(recipe=RECIPE)
    assert one.session_state.session.visitor != other.session_state.session.visitor


def test_from_a_dataset_that_is_not_here_one_can_leave() -> None:
    app = open_page(dataset="mnist", model="mlp-32")
    app.selectbox(key="dataset").set_value("iris").run()
    assert not app.exception
    assert address(app)["dataset"] == "iris"


def test_a_wrong_data_folder_is_said_and_can_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETOSCOPE_DATA", "/no/such/folder")
    st.cache_resource.clear()
    app = open_page(dataset="fashion-mnist", model="mlp-32")
    assert not app.exception
    assert "must name a folder" in app.error[0].value.replace("\\", "")
    app.selectbox(key="dataset").set_value("digits").run()
    assert not app.exception
    assert address(app)["dataset"] == "digits"


def test_a_dataset_that_is_not_here_says_both_ways() -> None:
    app = open_page(dataset="mnist", model="mlp-32")
    assert not app.exception
    (info,) = app.info
    assert "PARETOSCOPE_DATA" in info.value
    assert "OpenML" in info.value
    assert [b.label for b in app.button] == ["Fetch from OpenML"]


def test_training_shows_progress_and_can_be_stopped(fresh: None) -> None:
    app = open_page(dataset="fashion-mnist", model="linear-svm")
    assert not app.exception
    assert app.get("progress")
    (stop,) = (b for b in app.button if b.label == "Stop")
    stop.click().run()
    until(app, lambda a: bool(a.info))
    assert "stopped" in app.info[0].value
    (train,) = (b for b in app.button if b.label == "Train")
    train.click().run()
    assert app.get("progress")
    next(b for b in app.button if b.label == "Stop").click().run()


def test_a_training_that_two_wait_for_goes_on(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    one = open_page(dataset="fashion-mnist", model="linear-svm")
    two = open_page(dataset="fashion-mnist", model="linear-svm")
    stop = next(b for b in two.button if b.label == "Stop")
    assert stop.disabled
    monkeypatch.setattr(server, "_LOOKING_S", 1e-9)  # the first visitor has gone
    two.run()
    next(b for b in two.button if b.label == "Stop").click().run()
    until(two, lambda a: bool(a.info))
    late = open_page(dataset="fashion-mnist", model="linear-svm")
    assert not late.info
    next(b for b in late.button if b.label == "Stop").click().run()
    assert not one.exception


def test_a_cold_start_trains_and_shows_the_curve(fresh: None) -> None:
    app = open_page(dataset="wine", model="mlp-32")
    until(app, measured)
    assert not app.exception
    assert len(_charts(app)) == 2


def test_learn_tells_the_articles_ideas_with_pictures_that_move() -> None:
    """Three questions that it answers: how many weights can go, what Q does and why codes are
    divided by it again, and why smaller is not always faster."""
    app = open_page()
    app.switch_page("pages/learn.py").run()
    until(app, lambda a: len(a.metric) == 5)
    assert not app.exception
    values = {m.label: m.value for m in app.metric}
    assert values["Baseline"] == "100.0 %"
    assert values["Codes divided by Q"] == "100.0 %"
    assert values["Codes as they are"] == "36.7 %"
    assert "liblinear" in app.error[0].value
    assert any("a processor multiplies by it" in m.value for m in app.markdown)
    app.select_slider(key="textbook_q").set_value(2).run()
    app.slider(key="learn-cut").set_value(12).run()
    values = {m.label: m.value for m in app.metric}
    assert values["Codes divided by Q"] == "90.0 %"
    assert values["Codes as they are"] == "43.3 %"
    assert float(values["12 of 12 cut"].split()[0]) < 50  # only the intercept is left
    assert len(app.dataframe[0].value) == 12
    *_, moved = charts(app)["learn-grid"]["data"]
    assert {2 * x % 1 for x in moved["x"]} == {0.0}


@pytest.mark.parametrize("old", ["textbook", "methods"])
def test_old_addresses_lead_to_learn(old: str) -> None:
    app = open_page()
    app.switch_page(f"pages/{old}.py").run()
    until(app, lambda a: any(s.value == "5. All methods" for s in a.subheader))
    assert not app.exception


def test_a_warm_start_imports_no_large_library_that_it_does_not_need() -> None:
    load("digits")
    program = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(ROOT / 'app.py')!r}, default_timeout=200).run()\n"
        "assert not app.exception and len(app.metric) == 3\n"
        "large = {'sklearn', 'scipy', 'sqlalchemy', 'numba'}\n"
        "print(sorted(large & set(sys.modules)), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"
