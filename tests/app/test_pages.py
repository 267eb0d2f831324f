"""Compare, Layers, Search and Learn through Streamlit's own test harness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.cli.tasks import search_task
from paretoscope.measurement.measurement import Baseline, Measurement
from paretoscope.methods import pruning
from paretoscope.network.network import Network
from paretoscope.problems.accuracy import Accuracy, Change
from streamlit.testing.v1 import AppTest

from tests.app.pages import address, charts, open_page, until
from tests.conftest import load, trained
from ui.base import words
from ui.compare.curves import curves_of
from ui.compare.finding import AtSize, finding
from ui.layers import near, picture
from ui.layers import trials as layers
from ui.state import server

RECIPE = "magnitude(threshold=0.1)+q(8)"


@pytest.fixture(autouse=True)
def _trained() -> None:
    trained("digits", "mlp-64-32")


def _captioned(words: str) -> object:
    return lambda app: any(words in c.value for c in app.caption)


# --- compare ------------------------------------------------------------------------------------


def test_compare_draws_each_criterion_with_each_quantizer_and_recovery(
    mlp: Network, digits: ps.Dataset
) -> None:
    app = open_page(
        "compare.py", recipe=RECIPE, variants="kmeans(8)|q(8)|bias", curves="magnitude|random"
    )
    until(app, _captioned("points computed in float arithmetic"))  # type: ignore[arg-type]
    assert not app.exception
    data = charts(app)["chart-size"]["data"]
    lines = {t["name"]: t for t in data if t["name"].startswith(("Magnitude", "Random"))}
    assert list(lines) == [
        "Magnitude · Q = 8", "Magnitude · 8 clusters",
        "Random (control) · Q = 8", "Random (control) · 8 clusters",
    ]  # fmt: skip
    assert lines["Random (control) · Q = 8"]["line"]["dash"] == "dot"
    recipe = ps.Recipe.parse(lines["Magnitude · 8 clusters"]["customdata"][2][0])
    assert recipe.recovery == ps.BiasCorrection()
    artifact = ps.compress(mlp, recipe, digits.train)
    labels = artifact.scores(digits.validation.X).argmax(1)
    assert lines["Magnitude · 8 clusters"]["y"][2] == np.mean(labels == digits.validation.y)
    assert lines["Magnitude · 8 clusters"]["x"][2] == artifact.sizes.gzip


def test_the_headline_says_what_the_rows_can_tell_at_the_size_of_the_recipe(
    mlp: Network, digits: ps.Dataset
) -> None:
    recipe = "magnitude(sparsity=0.7)+q(8)"
    app = open_page("compare.py", recipe=recipe)
    until(app, _captioned("points computed in float arithmetic"))  # type: ignore[arg-type]
    found = app.title[0].value
    size = ps.compress(mlp, ps.Recipe.parse(recipe), digits.train).sizes.gzip
    assert found.startswith("Magnitude is best at ")
    assert f"{size / 1000:.3g} kB" in found.replace("0 kB", " kB")
    assert "ahead of Random (control)" in found
    table = app.dataframe[0].value
    assert list(table["than the best"]) == ["the best", "worse"]


def test_the_recipe_itself_counts_where_its_line_has_no_point_of_its_size(
    mlp: Network, digits: ps.Dataset
) -> None:
    """A threshold lies between two stops of the sparsity."""
    subject = server.subject("digits", "mlp-64-32", mlp)
    recipe = ps.Recipe.parse("magnitude(threshold=0.1)+q(8)")
    mine, random = curves_of(subject, recipe, ("magnitude", "random"), ())
    assert recipe not in mine.recipes
    assert (mine.own, random.own) == (recipe, None)
    (other,) = curves_of(subject, recipe, ("magnitude",), ("gptq",))
    assert other.own is None
    app = open_page("compare.py", recipe=str(recipe), curves="magnitude|random")
    until(app, _captioned("points computed in float arithmetic"))  # type: ignore[arg-type]
    right = ps.measure(ps.compress(mlp, recipe, digits.train), digits, batches=()).accuracy
    table = app.dataframe[0].value.set_index("line")
    assert float(table.loc["Magnitude", "accuracy"].split()[0]) >= round(100 * right.value, 1)


def _at(name: str, change: Change, network: str = "one") -> AtSize:
    base = ps.measure(
        ps.compress(trained("digits", "mlp-64-32"), ps.Recipe(), load("digits").train),
        load("digits"),
        batches=(),
    )
    right = 340 + change.newly_right - change.newly_wrong
    m = replace(base, change=change, quality=Accuracy(right, 360))
    return AtSize(name, network, m)


_TWO_OF_THREE = "At 3 kB, 360 rows cannot tell b and a apart; c is worse"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([("a", 0), ("b", 40)], "a is best at 3 kB: 11.1 points ahead of b"),
        ([("a", 0), ("b", 1)], "At 3 kB, 360 rows cannot tell which of these 2 is best"),
        ([("b", 0), ("a", 1), ("c", 90)], _TWO_OF_THREE),
        ([("a", 0)], "No two lines reach down to 3 kB"),
    ],
)  # fmt: skip
def test_a_comparison_claims_no_more_than_the_rows_can_tell(
    found: list[tuple[str, int]], told: str
) -> None:
    at = [_at(name, Change(wrong, 0, 360)) for name, wrong in found]
    assert finding(at, "3 kB", waiting=False) == told
    assert finding(at, "3 kB", waiting=True) == "Computing the lines"


def test_two_networks_are_told_apart_by_their_intervals_only() -> None:
    """Rows that change against one model say nothing of another's."""
    near, far = _at("b", Change(20, 0, 360), "other"), _at("c", Change(90, 0, 360), "other")
    best = _at("a", Change(0, 0, 360))
    assert not near.is_below(best)
    assert far.is_below(best)


def test_another_model_stands_beside_with_its_own_uncompressed_file() -> None:
    other = trained("digits", "logistic-regression")
    app = open_page("compare.py", recipe=RECIPE, curves="magnitude", beside="logistic-regression")
    until(app, _captioned("points computed in float arithmetic"))  # type: ignore[arg-type]
    assert not app.exception
    lines = {t["name"]: t for t in charts(app)["chart-size"]["data"]}
    name = next(name for name in lines if name.startswith("Logistic"))
    assert lines[name]["customdata"][0][0] == "float32"
    data = load("digits")
    right = (Baseline(other, data).predictions == data.validation.y).mean()
    assert lines[name]["y"][0] == pytest.approx(right)


def test_two_pins_stand_side_by_side_with_their_flips(mlp: Network, digits: ps.Dataset) -> None:
    pins = "magnitude(threshold=0.05)+q(16)|magnitude(threshold=0.2)+q(4)"
    app = open_page("compare.py", recipe=RECIPE, pins=pins)
    until(app, lambda a: any("McNemar" in c.value for c in a.caption))
    assert not app.exception
    differs, flips = (d.value for d in app.dataframe[-2:])
    assert list(differs.columns) == ["A", "B"]
    y, right = digits.validation.y, []
    for text in pins.split("|"):
        artifact = ps.compress(mlp, ps.Recipe.parse(text), digits.train)
        right.append(ps.OnnxRuntime(artifact.onnx_bytes).scores(digits.validation.X).argmax(1) == y)
    a, b = right
    assert flips.loc["A right", "B right"] == str(int((a & b).sum()))
    assert flips.loc["A right", "B wrong"] == str(int((a & ~b).sum()))
    assert flips.loc["A wrong", "B right"] == str(int((~a & b).sum()))
    assert flips.loc["A wrong", "B wrong"] == str(int((~a & ~b).sum()))
    assert len(app.get("image")) == min(24, int((a != b).sum())) > 0


def test_a_curve_changes_one_part_only(mlp: Network) -> None:
    recipe = ps.Recipe.parse("magnitude(threshold=0.1)+q(8);dense1=q(2)")
    subject = server.subject("digits", "mlp-64-32", mlp)
    curves = curves_of(subject, recipe, ("random", "wanda"), ("float32", "gptq", "project"))
    kinds = {
        c.name: {(type(r.pruner), str(r.quantizer), str(r.recovery)) for r in c.recipes}
        for c in curves
    }
    assert kinds == {
        "Random (control) · GPTQ": {(ps.RandomScore, "float32", "gptq")},
        "Random (control) · No recovery": {(ps.RandomScore, "float32", "project")},
        "Wanda · GPTQ": {(ps.Wanda, "float32", "gptq")},
        "Wanda · No recovery": {(ps.Wanda, "float32", "project")},
    }
    assert not any(r.overrides for c in curves for r in c.recipes)


# --- layers -------------------------------------------------------------------------------------


def test_layers_measures_each_layer_alone_and_says_which_hurts(
    mlp: Network, digits: ps.Dataset
) -> None:
    recipe = "magnitude(sparsity=0.8)+q(3)"
    app = open_page("layers.py", recipe=recipe)
    until(app, _captioned("files measured. Cells: "))  # type: ignore[arg-type]
    assert not app.exception
    found = charts(app)
    assert list(found) == ["chart-cost", "chart-stands", "chart-codes"]

    def right(text: str) -> int:
        artifact = ps.compress(mlp, ps.Recipe.parse(text), digits.train)
        return int((ps.OnnxRuntime(artifact.onnx_bytes).scores(X).argmax(1) == y).sum())

    X, y = digits.validation.X, digits.validation.y
    before = int((Baseline(mlp, digits).predictions == y).sum())
    heat = found["chart-stands"]["data"][0]
    shown = list(heat["y"])
    assert set(shown) == set(mlp.weights)
    alone, _ = heat["customdata"][shown.index("dense3")][3]
    assert alone == "float32;dense3=magnitude(sparsity=0.8,scope=layer)"
    change = 100 * (right(alone) - before) / 360
    assert heat["z"][shown.index("dense3")][3] == pytest.approx(change)
    # The layer that gives back most when it is left alone stands first, and is named.
    tried = layers.trials(mlp, ps.Recipe.parse(recipe), digits.train)
    back = {name: right(str(one)) - right(recipe) for name, one in tried.one_out.items()}
    assert back[shown[0]] == max(back.values())
    most = max(back, key=lambda name: back[name])
    assert app.title[0].value.endswith((" points", " points come back"))
    assert f"{100 * max(back.values()) / 360:.1f} of " in app.title[0].value
    button = app.button(key=f"protect-{most}")
    assert f"({words.points(back[most] / 360)}, " in button.label
    button.click().run()
    assert address(app)["recipe"] == str(tried.one_out[most])
    assert f"again-{most}" in [b.key for b in app.button]


class _Known:
    """What a service knows: rights of 360 rows by a recipe's text, of 340 before."""

    def __init__(self, rights: dict[str, int]) -> None:
        self._rights = rights

    def known(self, subject: object, recipe: ps.Recipe) -> Measurement | None:
        right = self._rights.get(str(recipe))
        if right is None:
            return None
        change = Change(max(0, 340 - right), max(0, right - 340), 360)
        return replace(_at("", change).best, quality=Accuracy(right, 360))


@pytest.mark.parametrize(
    ("alone", "told"),
    [
        ((320, 270, 262), "dense1 hurts most: left alone, 16.7 of 22.2 points come back"),
        ((320, 318, 262), "dense1 and dense2 hurt about as much: left alone, each gives back up to "
         "16.7 of 22.2 points"),
        ((320, 318, 319), "No layer stands out: left alone, the best gives back 16.7 of 22.2 "
         "points"),
        ((262, 260, 261), "360 rows cannot tell which layer hurts most"),
        ((262, 260, None), "Measuring which layer hurts"),
    ],
)  # fmt: skip
def test_a_layer_is_named_only_where_the_rows_can_tell(
    alone: tuple[int | None, ...], told: str, mlp: Network
) -> None:
    recipe = ps.Recipe.parse("magnitude(sparsity=0.8)+q(3)")
    tried = layers.trials(mlp, recipe)
    rights = {str(recipe): 260}
    for one, right in zip(tried.one_out.values(), alone, strict=True):
        if right is not None:
            rights[str(one)] = right
    subject = server.subject("digits", "mlp-64-32", mlp)
    assert picture.finding(_Known(rights), subject, recipe, tried) == told  # type: ignore[arg-type]


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
    picture = near.mask_picture(kept)
    scale = picture.shape[0] // 3
    assert picture.shape == (3 * scale, 2 * scale)
    np.testing.assert_array_equal(picture[::scale, ::scale] == 40, kept.T)
    weight = np.array([[1.0, -1.0], [0.0, 0.5]], np.float32)
    tiles = near.tiles(weight, (1, 2), 1.0)
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
    best = next(b for b in app.button if b.label == "Take it")
    recipe = next(m.value for m in app.markdown if m.value.startswith("`")).strip("`")
    artifact = ps.compress(mlp, ps.Recipe.parse(recipe), digits.train)
    assert -ps.measure(artifact, digits, batches=()).change.value <= 0.01 + 1e-9
    size = words.size(artifact.sizes.gzip)
    assert app.title[0].value.startswith(f"Smallest found within 1 point: {size}, ")
    assert app.metric[1].value == size
    ring = next(t for t in charts(app)["chart-size"]["data"] if t["name"] == "your recipe")
    assert ring["customdata"][0][0] == recipe
    best.click().run()
    assert address(app)["recipe"] == recipe
    assert app.metric[1].label.startswith("Size, zipped")


def test_nothing_within_the_budget_is_said_with_the_nearest() -> None:
    app = _search(open_page("search.py", drop="0", kb="0.2"))
    assert not app.exception
    assert any("within the budget. The nearest" in w.value for w in app.warning)
    assert app.title[0].value == "Nothing was found within your budget"
    assert next(b for b in app.button if b.label == "Take it").key.startswith("near-")


def test_search_opens_with_what_is_known_within_the_budget(
    mlp: Network, digits: ps.Dataset
) -> None:
    app = open_page("search.py", recipe=RECIPE, drop="1.5")
    app = until(app, lambda a: a.title[0].value.startswith("Smallest known within 1.5 points"))
    recipe = ps.Recipe.parse(
        next(m.value for m in app.markdown if m.value.startswith("`")).strip("`")
    )
    artifact = ps.compress(mlp, recipe, digits.train)
    assert ps.measure(artifact, digits, batches=()).change.value >= -0.015 - 1e-9
    assert words.size(artifact.sizes.gzip) in app.title[0].value
    assert any(t["name"] == "Pareto front" for t in charts(app)["chart-size"]["data"])


def test_what_a_search_makes_is_told_while_it_goes_on() -> None:
    """The map has files before the search has ended."""
    trained("digits", "mlp-64-32")
    found: list[ps.Recipe] = []
    asked = {
        "dataset": "digits", "model": "mlp-64-32", "seed": 0, "split_seed": 0, "aim": "gzip",
        "budget": {"drop": 0.01}, "criteria": ["magnitude"], "recoveries": [], "by_layer": False,
    }  # fmt: skip
    result = search_task(
        asked,
        lambda m: found.append(Measurement.from_dict(m["found"]).recipe) if "found" in m else None,
    )
    assert result["best"]["recipe"] in map(str, found)


def test_a_search_asks_for_a_criterion() -> None:
    app = open_page("search.py")
    app.pills(key="over").set_value([]).run()
    assert any("at least one criterion" in i.value for i in app.info)
    assert address(app)["over"] == ""


# --- methods ------------------------------------------------------------------------------------


def test_methods_are_those_of_the_docs() -> None:
    app = open_page("learn.py")
    app = until(app, lambda a: any(s.value == "5. All methods" for s in a.subheader))
    assert not app.exception
    assert any("Selections." in m.value for m in app.markdown)
