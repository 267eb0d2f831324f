"""Uploaded models as networks: what they score is what ONNX Runtime says of the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import paretoscope as ps
import pytest
from onnx import helper
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import Dataset
from paretoscope.data.rows import Raw, Rows
from paretoscope.training.training import fits, keep_own_model
from paretoscope.uploads.importing import network_for, to_chain
from paretoscope.uploads.models import read_model

from tests import graphs
from tests.conftest import load, trained
from tests.uploads.cases import FOLDER, needs_cases


@pytest.mark.parametrize(
    ("make", "width"),
    [
        (lambda: graphs.gemm(0), 5),
        (lambda: graphs.gemm(1), 5),
        (lambda: graphs.as_constants(graphs.gemm(1)), 5),
        (graphs.images, 64),
        (lambda: graphs.as_constants(graphs.images()), 64),
        (graphs.used_twice, 5),
        (graphs.tied, 6),
        (graphs.one_score, 5),
        (graphs.residual, 64),
        (lambda: graphs.as_constants(graphs.residual()), 64),
        (graphs.mobile, 98),
        (lambda: graphs.as_constants(graphs.mobile()), 98),
        (graphs.channels_last, 90),
        (graphs.averaging, 64),
        (graphs.last_convolution, 64),
    ],
    ids=[
        "gemm",
        "gemm turned",
        "constants",
        "images",
        "images, constants",
        "twice",
        "tied",
        "one score",
        "residual",
        "residual, constants",
        "mobile",
        "mobile, constants",
        "channels last",
        "averaging",
        "last convolution",
    ],
)
def test_a_rewritten_model_ranks_classes_as_the_file_does(
    make: Callable[[], bytes], width: int
) -> None:
    data = make()
    network = to_chain(read_model(data))
    rows = graphs.random(300, width)
    session = ort.InferenceSession(data)
    shape = [len(rows), *(d for d in session.get_inputs()[0].shape[1:])]
    theirs = session.run(None, {"x": rows.reshape(shape)})[0]
    assert theirs.std(0).max() > 1e-3  # rows that all score the same would agree on anything
    expected = theirs.argmax(1) if theirs.shape[1] > 1 else (theirs[:, 0] > 0.5).astype(int)
    ours = network.scores(rows)
    assert (ours.argmax(1) == expected).all()
    if theirs.shape[1] > 1:  # scores, or what softmax made of them, which keeps their differences
        logs = np.log(theirs) if np.allclose(theirs.sum(1), 1, atol=1e-4) else theirs
        np.testing.assert_allclose(ours - ours[:, :1], logs - logs[:, :1], rtol=1e-3, atol=2e-3)
    artifact = ps.compress(network, ps.Recipe.parse("magnitude(sparsity=0.5)+q(8)"), None)  # type: ignore[arg-type]
    assert artifact.scores(rows).shape == ours.shape  # compressing compared them with the file's


def test_a_weight_that_is_used_twice_is_counted_coded_and_stored_once() -> None:
    network = to_chain(read_model(graphs.tied()))
    assert [w.shape for w in network.weights.values()] == [(6, 6), (6, 3)]
    for recipe in ("float32", "q(8)", "magnitude(sparsity=0.4)+q(8)", "kmeans(4)"):
        artifact = ps.compress(network, ps.Recipe.parse(recipe), None)
        held = onnx.load_model_from_string(artifact.onnx_bytes).graph.initializer
        assert sum(list(t.dims) == [6, 6] for t in held) == 1
    with pytest.raises(ParetoscopeError, match="this works on chains"):
        ps.compress(network, ps.Recipe.parse("q(8)+gptq"), load("iris").train)


@pytest.mark.parametrize(
    ("make", "n"),
    [(lambda: graphs.gemm(1), 3), (graphs.last_convolution, 4), (graphs.one_score, 2)],
)
def test_scores_come_in_the_order_asked(make: Callable[[], bytes], n: int) -> None:
    model = read_model(make())
    rows = graphs.random(50, model.width or 0)
    order = [*range(1, n), 0]
    found = to_chain(model, order=order).scores(rows)
    np.testing.assert_array_equal(found, to_chain(model).scores(rows)[:, order])
    with pytest.raises(ParetoscopeError, match="5 classes are named"):
        to_chain(model, order=range(5))


def test_a_network_of_ours_comes_back_and_is_explored_on_its_data() -> None:
    data = load("digits")
    network = trained("digits", "cnn")
    found = network_for(read_model(network.onnx_bytes), data)
    assert np.array_equal(found.scores(data.validation.X), network.scores(data.validation.X))
    name = keep_own_model(found, "mine.onnx", data)
    assert fits(name, "digits")
    assert not fits(name, "iris")
    assert ps.train(name, data).sha256 == found.sha256
    with pytest.raises(ParetoscopeError, match="no other seeds"):
        ps.train(name, data, seed=1)


def test_a_model_that_gives_places_is_matched_by_place_or_by_names() -> None:
    """Not by name, where the data's classes happen to be numbers too."""
    iris = load("iris").raw
    numbered = Dataset("own", "", Raw(iris.X, iris.y, iris.feature_names, ("1", "2", "3")), 0)
    network = trained("iris", "logistic-regression")
    found = network_for(read_model(network.onnx_bytes), numbered)
    np.testing.assert_array_equal(found.scores(iris.X), network.scores(iris.X))
    turned = network_for(read_model(network.onnx_bytes), numbered_by(numbered, [1, 0, 2]), "213")
    np.testing.assert_array_equal(turned.scores(iris.X), network.scores(iris.X)[:, [1, 0, 2]])


def numbered_by(data: Dataset, order: list[int]) -> Dataset:
    """The same data with their classes in another order."""
    raw = data.raw
    y = np.array([order.index(k) for k in raw.y])
    return Dataset("own", "", replace(raw, y=y, class_names=tuple("123")), 0)


def test_a_model_of_other_data_is_one_sentence() -> None:
    model = read_model(trained("digits", "mlp-64-32").onnx_bytes)
    with pytest.raises(ParetoscopeError, match="takes 64 features, the data have 4"):
        network_for(model, load("iris"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pads": [9_000] * 4}, "pads as large as itself"),
        ({"strides": [0, 1]}, "other than two sides"),
        ({"pads": [1, 1]}, "other than two sides"),
    ],
)
def test_a_window_that_would_fill_the_memory_is_refused(
    change: dict[str, list[int]], says: str
) -> None:
    model = read_model(graphs.images())
    proto = onnx.load_model_from_string(model.onnx_bytes)
    conv = proto.graph.node[0]
    del conv.attribute[:]
    conv.attribute.extend(helper.make_attribute(name, value) for name, value in change.items())
    with pytest.raises(ParetoscopeError, match=says):
        to_chain(replace(model, onnx_bytes=proto.SerializeToString()))


def test_a_layer_too_wide_for_this_process_is_refused() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("MatMul", ["h", "v"], ["y"]),
    ]
    wide = np.ones((1, 300_000), np.float32)
    data = graphs.model(nodes, {"w": wide, "v": np.ones((300_000, 2), np.float32)}, ["n", 1])
    with pytest.raises(ParetoscopeError, match="300,000 values behind a MatMul"):
        to_chain(read_model(data))


@pytest.mark.parametrize(
    ("operator", "side", "times", "says"),
    [
        ("MatMul", 1_500, 16, "more than 33,554,432 weights"),
        ("Relu", 250_000, 34, "more than 8,388,608 values in all layers"),
    ],
)
def test_what_little_a_file_says_often_is_refused(
    operator: str, side: int, times: int, says: str
) -> None:
    """A weight that is used again and again, and rows that are as wide for a long way."""
    weights = ["w"] if operator == "MatMul" else []
    first = helper.make_node("MatMul", ["x", "v"], ["h0"])
    nodes = [helper.make_node(operator, [f"h{k}", *weights], [f"h{k + 1}"]) for k in range(times)]
    last = helper.make_node("MatMul", [f"h{times}", "u"], ["y"])
    arrays = {"v": np.zeros((1, side), np.float32), "u": np.zeros((side, 2), np.float32)}
    if weights:
        arrays["w"] = np.zeros((side, side), np.float32)
    data = graphs.model([first, *nodes, last], arrays, ["n", 1])
    with pytest.raises(ParetoscopeError, match=says):
        to_chain(read_model(data))


@needs_cases
@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("atspm_stacker_trees", "TreeEnsemble"),
        ("light_squeezenet", "ConstantOfShape"),
        ("atspm_funcnet_head", "several inputs"),
    ],
)
def test_what_cannot_be_compressed_says_why(name: str, operator: str) -> None:
    model = read_model((FOLDER / "models" / f"{name}.onnx").read_bytes())
    with pytest.raises(ParetoscopeError, match=operator):
        to_chain(model)


@needs_cases
@pytest.mark.parametrize(
    ("name", "sides"), [("mtcnn_onet", (48, 48, 3)), ("rapidocr_cls", (3, 48, 48))]
)
def test_real_networks_are_compressed(name: str, sides: tuple[int, ...]) -> None:
    """One with channels last and PReLU, one with gates, depthwise convolutions and open sides."""
    data = (FOLDER / "models" / f"{name}.onnx").read_bytes()
    rows = graphs.random(20, int(np.prod(sides)))
    session = ort.InferenceSession(data)
    chosen = session.get_outputs()[-1].name
    network = to_chain(read_model(data, output=chosen), n_features=rows.shape[1])
    probabilities = session.run(None, {session.get_inputs()[0].name: rows.reshape(-1, *sides)})[-1]
    logs, scores = np.log(probabilities), network.scores(rows)
    np.testing.assert_allclose(scores - scores[:, :1], logs - logs[:, :1], rtol=1e-3, atol=2e-3)
    recipe = ps.Recipe(quantizer=ps.Symmetric(8, per="output"))
    artifact = ps.compress(network, recipe, None)
    assert artifact.sizes.file < 0.4 * len(data)
    assert (artifact.scores(rows).argmax(1) == scores.argmax(1)).mean() > 0.8


@pytest.mark.parametrize("make", [graphs.residual, graphs.mobile, graphs.last_convolution])
@pytest.mark.parametrize("recipe", ["l2(share=0.5)", "wanda(sparsity=0.5)", "q(8)+gptq"])
def test_what_looks_into_chains_says_that_a_graph_is_none(
    make: Callable[[], bytes], recipe: str
) -> None:
    network = to_chain(read_model(make()))
    rows = Rows(graphs.random(40, network.n_features), np.zeros(40, np.int64))
    with pytest.raises(ParetoscopeError, match="this works on chains"):
        ps.compress(network, ps.Recipe.parse(recipe), rows)


def test_a_chain_that_takes_means_loses_whole_units_and_is_recovered() -> None:
    network = to_chain(read_model(graphs.averaging()))
    rows = Rows(graphs.random(200, 64), np.arange(200) % 10)
    for recipe in ("l2(share=0.5)", "wanda(sparsity=0.5)+q(32)+gptq"):
        artifact = ps.compress(network, ps.Recipe.parse(recipe), rows)
        session = ort.InferenceSession(artifact.onnx_bytes)
        (found,) = session.run(None, {"features": rows.X})
        np.testing.assert_allclose(found, artifact.scores(rows.X), rtol=1e-3, atol=1e-3)
