"""Compare, Layers, Search and Methods through Streamlit's own test harness."""

from __future__ import annotations

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.measurement.measurement import Baseline
from paretoscope.methods import pruning
from paretoscope.network.network import Network
from streamlit.testing.v1 import AppTest

from tests.app.pages import address, charts, open_page, until
from tests.conftest import load, trained
from ui.compare import page as compare
from ui.layers import page as layers

RECIPE = "magnitude(threshold=0.1)+q(8)"


@pytest.fixture(autouse=True)
def _trained() -> None:
    trained("digits", "mlp-64-32")


def _captioned(words: str) -> object:
    return lambda app: any(words in c.value for c in app.caption)


# --- compare ------------------------------------------------------------------------------------


def test_compare_draws_the_random_control_and_variants_on_the_same_axes(
    mlp: Network, digits: ps.Dataset
) -> None:
    app = open_page(
        "compare.py", recipe=RECIPE, variants="kmeans(8)|bias", curves="magnitude|random"
    )
    until(app, _captioned("points computed in float arithmetic"))  # type: ignore[arg-type]
    assert not app.exception
    figure = charts(app)["chart-compare"]
    by_name = {trace["name"]: trace for trace in figure["data"] if trace.get("showlegend") != False}  # noqa: E712
    assert list(by_name) == [
        "Magnitude", "Random (control)", "Magnitude, k-means, 8 clusters",
        "Magnitude, Bias correction",
    ]  # fmt: skip
    assert by_name["Random (control)"]["line"]["dash"] == "dot"
    recipe = ps.Recipe.parse(by_name["Magnitude, Bias correction"]["customdata"][2][0])
    assert recipe.recovery == ps.BiasCorrection()
    labels = ps.compress(mlp, recipe, digits.train).scores(digits.validation.X).argmax(1)
    assert by_name["Magnitude, Bias correction"]["y"][2] == np.mean(labels == digits.validation.y)


def test_two_pins_stand_side_by_side_with_their_flips(mlp: Network, digits: ps.Dataset) -> None:
    pins = "magnitude(threshold=0.05)+q(16)|magnitude(threshold=0.2)+q(4)"
    app = open_page("compare.py", recipe=RECIPE, pins=pins)
    until(app, lambda a: any("McNemar" in c.value for c in a.caption))
    assert not app.exception
    differs, flips = (d.value for d in app.dataframe)
    assert list(differs.columns) == ["A", "B"]
    y, right = digits.validation.y, []
    for text in pins.split("|"):
        artifact = ps.compress(mlp, ps.Recipe.parse(text), digits.train)
        right.append(ps.OnnxRuntime(artifact.onnx_bytes).labels(digits.validation.X) == y)
    a, b = right
    assert flips.loc["A right", "B right"] == str(int((a & b).sum()))
    assert flips.loc["A right", "B wrong"] == str(int((a & ~b).sum()))
    assert flips.loc["A wrong", "B right"] == str(int((~a & b).sum()))
    assert flips.loc["A wrong", "B wrong"] == str(int((~a & ~b).sum()))


def test_a_curve_changes_one_part_only(mlp: Network) -> None:
    recipe = ps.Recipe.parse("magnitude(threshold=0.1)+q(8);dense1=q(2)")
    curves = compare.curves_of(mlp, recipe, ("random", "wanda"), ("float32", "gptq"))
    kinds = {name: {(type(r.pruner), str(r.quantizer), str(r.recovery)) for r in line}
             for name, line in curves}  # fmt: skip
    assert kinds == {
        "Random (control)": {(ps.RandomScore, "q(8)", "project")},
        "Wanda": {(ps.Wanda, "q(8)", "project")},
        "Magnitude, No quantization": {(ps.Magnitude, "float32", "project")},
        "Magnitude, GPTQ": {(ps.Magnitude, "q(8)", "gptq")},
    }
    assert not any(r.overrides for _, line in curves for r in line)


# --- layers -------------------------------------------------------------------------------------


def test_layers_measures_each_layer_alone(mlp: Network, digits: ps.Dataset) -> None:
    app = open_page("layers.py", recipe=RECIPE)
    until(app, _captioned("files measured. Click a cell"))  # type: ignore[arg-type]
    assert not app.exception
    found = charts(app)
    assert list(found) == ["chart-sparsity", "chart-bits", "chart-in-out", "chart-codes"]
    heat = found["chart-sparsity"]["data"][0]
    assert heat["y"] == list(mlp.weights)
    recipe, _ = heat["customdata"][2][3]
    assert recipe == "float32;dense3=magnitude(sparsity=0.8,scope=layer)"
    artifact = ps.compress(mlp, ps.Recipe.parse(recipe), digits.train)
    right = ps.OnnxRuntime(artifact.onnx_bytes).labels(digits.validation.X) == digits.validation.y
    before = Baseline(mlp, digits).predictions == digits.validation.y
    z = np.array(heat["z"], float) if not isinstance(heat["z"], dict) else None
    if z is not None:
        assert z[2][3] == pytest.approx(100 * (right.mean() - before.mean()))
    bars = found["chart-in-out"]["data"]
    assert [bar["name"] for bar in bars] == ["compressed only here", "compressed all but here"]


def test_one_in_and_one_out_touch_the_layers_they_say(mlp: Network) -> None:
    recipe = ps.Recipe.parse("l2(0.25)+magnitude(threshold=0.1)+q(8)+bias")
    found = layers.trials(mlp, recipe)
    only = found.one_in["dense2"].treatments(mlp)
    assert str(only["dense1"]) == str(only["dense3"]) == "float32"
    assert str(only["dense2"]) == "l2(0.25)+magnitude(threshold=0.1)+q(8)"
    assert str(found.one_in["dense3"].treatments(mlp)["dense3"]) == "magnitude(threshold=0.1)+q(8)"
    but = found.one_out["dense2"].treatments(mlp)
    assert str(but["dense2"]) == "float32"
    assert str(but["dense1"]) == str(recipe.default_treatment)
    assert found.one_out["dense2"].recovery == recipe.recovery


@pytest.mark.parametrize("criterion", ["magnitude", "wanda", "random"])
@pytest.mark.parametrize("sparsity", [0.0, 0.37, 0.4, 0.95, 1.0])
def test_one_in_and_one_out_make_the_recipes_own_cut(
    mlp: Network, digits: ps.Dataset, criterion: str, sparsity: float
) -> None:
    """All layers are ranked together: what falls to each is the same with the others left alone."""
    recipe = ps.Recipe.parse(f"{criterion}(sparsity={sparsity})")

    def cut(which: ps.Recipe) -> dict[str, np.ndarray]:
        treatments = {name: t.pruner for name, t in which.treatments(mlp).items()}
        kept = pruning.cut(mlp, treatments, digits.train).kept
        return {n: np.broadcast_to(k, mlp.weights[n].shape) for n, k in kept.items()}

    whole, found = cut(recipe), layers.trials(mlp, recipe, digits.train)
    for layer in mlp.weights:
        one_in, one_out = cut(found.one_in[layer]), cut(found.one_out[layer])
        for name in mlp.weights:
            kept = whole[name] if name == layer else np.ones_like(whole[name])
            np.testing.assert_array_equal(one_in[name], kept)
            kept = whole[name] if name != layer else np.ones_like(whole[name])
            np.testing.assert_array_equal(one_out[name], kept)


def test_the_layer_shown_is_in_the_link_and_linear_models_show_their_features() -> None:
    network = trained("iris", "logistic-regression")
    app = open_page("layers.py", dataset="iris", model="logistic-regression", recipe="q(2)")
    assert not app.exception
    table = app.dataframe[0].value
    names = load("iris").feature_names
    assert sorted(table["feature"]) == sorted(names)
    first = table.iloc[0]
    row = names.index(first["feature"])
    assert first["setosa, before"] == pytest.approx(float(network.weights["dense1"][row, 0]))
    assert first["setosa, after"] == round(first["setosa, before"] * 2) / 2


def test_pictures_of_masks_and_weights() -> None:
    kept = np.array([[True, False, True], [False, False, True]])
    picture = layers.mask_picture(kept)
    scale = picture.shape[0] // 3
    assert picture.shape == (3 * scale, 2 * scale)
    np.testing.assert_array_equal(picture[::scale, ::scale] == 40, kept.T)
    weight = np.array([[1.0, -1.0], [0.0, 0.5]], np.float32)
    tiles = layers.tiles(weight, (1, 2), 1.0)
    colours = {tuple(c) for c in tiles.reshape(-1, 3).tolist()}
    assert {(213, 94, 0), (0, 114, 178), (255, 255, 255)} <= colours


# --- search -------------------------------------------------------------------------------------


def _search(app: AppTest) -> AppTest:
    app.button(key="start-search_task").click().run()
    return until(app, _captioned("compared on growing parts of the rows"))  # type: ignore[arg-type]


def test_search_finds_the_smallest_within_the_budget_and_takes_it_to_explore(
    mlp: Network, digits: ps.Dataset
) -> None:
    app = _search(open_page("search.py", recipe=RECIPE, drop="1"))
    assert not app.exception
    (told,) = [m.value for m in app.markdown if "within the budget:" in m.value]
    (best,) = [b for b in app.button if b.label == "Take to Explore" and not b.key]
    recipe = told.split("`")[1]
    m = ps.measure(ps.compress(mlp, ps.Recipe.parse(recipe), digits.train), digits, batches=())
    assert -m.change.value <= 0.01 + 1e-9
    assert "chart-front" in charts(app)
    best.click().run()
    assert address(app)["recipe"] == recipe
    assert app.metric[1].label.startswith("Size, zipped")


def test_nothing_within_the_budget_is_said_with_the_nearest() -> None:
    app = _search(open_page("search.py", drop="0", kb="0.2"))
    assert not app.exception
    assert any("within the budget. The nearest" in w.value for w in app.warning)


def test_a_search_asks_for_a_criterion() -> None:
    app = open_page("search.py")
    app.pills(key="over").set_value([]).run()
    assert any("at least one criterion" in i.value for i in app.info)
    assert address(app)["over"] == ""


# --- methods ------------------------------------------------------------------------------------


def test_methods_are_those_of_the_docs() -> None:
    app = open_page("methods.py")
    assert not app.exception
    assert any("Selections." in m.value for m in app.markdown)
