"""Sketches and outlines of large networks: what they say is what all weights would say."""

from __future__ import annotations

import numpy as np
import paretoscope as ps
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretoscope.artifact.artifact import make_draft
from paretoscope.data.dataset import load_dataset
from paretoscope.data.own_data import keep_own
from paretoscope.network import sketch as module
from paretoscope.network.in_place import InPlace
from paretoscope.network.network import Network
from paretoscope.network.outline import Outline, outlined
from paretoscope.network.sketch import Sketch, sketch_of
from paretoscope.training.training import find_outline, find_trained, keep_own_model
from paretoscope.uploads.own import made_rows, network_of


def large_graph(n_hidden: int = 1200) -> bytes:
    """Two dense layers of over a million weights, with an operator between that no chain has."""
    ones = np.ones(n_hidden, np.float32)
    rng = np.random.default_rng(3)
    first = (rng.standard_normal((900, n_hidden)) * 0.1).astype(np.float32)
    second = rng.standard_normal((n_hidden, 5)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["a"]),
        helper.make_node("LayerNormalization", ["a", "ones"], ["b"]),
        helper.make_node("MatMul", ["b", "second"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 900])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 5])],
        [
            numpy_helper.from_array(first, "first"),
            numpy_helper.from_array(ones, "ones"),
            numpy_helper.from_array(second, "second"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.fixture(scope="module")
def large() -> InPlace:
    found = network_of(large_graph(), "large.onnx")
    assert isinstance(found, InPlace)
    return found


def test_a_small_network_is_its_own_sketch(mlp: Network) -> None:
    assert sketch_of(mlp) is mlp


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_sketch_tells_the_share_that_a_threshold_cuts(
    large: InPlace, share: float, scope: str
) -> None:
    sketch = sketch_of(large)
    assert isinstance(sketch, Sketch)
    assert sum(w.size for w in sketch.weights.values()) < 101_000
    criterion = ps.Magnitude(sparsity=share, scope=scope)
    of_all = criterion.selection(criterion.scores(large, None))
    of_some = criterion.selection(criterion.scores(sketch, None))
    for name, weight in large.weights.items():
        kept = np.mean(np.broadcast_to(of_all.kept[name], weight.shape))
        assert np.mean(of_some.kept[name]) == pytest.approx(kept, abs=0.003)
        assert np.abs(sketch.weights[name]).max() == np.abs(weight).max()


def test_shapes_are_told_without_the_weights(large: InPlace) -> None:
    assert large.shapes == {name: w.shape for name, w in large.weights.items()}
    assert large.n_weights == 900 * 1200 + 1200 * 5 == large.n_parameters


def test_an_outline_says_what_the_graph_says(large: InPlace) -> None:
    packed = outlined(large)
    assert packed is not None
    assert len(packed) < 500_000
    read = []
    outline = Outline(packed, lambda: read.append(1) or large.onnx_bytes)
    assert outline.sha256 == large.sha256
    assert outline.places == large.places
    assert dict(outline.metadata) == dict(large.metadata)
    assert outline.signature == large.signature
    assert (outline.shapes, outline.n_parameters) == (large.shapes, large.n_parameters)
    assert (outline.opset, outline.apart, outline.brought) == (
        large.opset, large.apart, large.brought
    )  # fmt: skip
    assert [layer.weight for layer in outline.layers] == list(large.shapes)
    sketch = sketch_of(large)
    assert all(np.array_equal(w, sketch.weights[n]) for n, w in sketch_of(outline).weights.items())
    assert not read  # nothing of that took the graph itself
    assert all(np.array_equal(w, large.weights[n]) for n, w in outline.weights.items())
    assert read


def test_a_kept_graph_that_is_large_has_an_outline(large: InPlace) -> None:
    data = load_dataset(keep_own(made_rows(large, 64), "noise"))
    name = keep_own_model(large, "large", data)
    outline = find_outline(name, data)
    assert isinstance(outline, Outline)
    assert outline.onnx_bytes == large.onnx_bytes
    whole = find_trained(name, data)
    assert whole is not None
    recipe = ps.Recipe.parse("magnitude(sparsity=0.5)+symmetric(8)")
    assert (
        make_draft(outline, recipe, None).onnx_bytes == make_draft(whole, recipe, None).onnx_bytes
    )


def test_a_graph_that_is_small_has_none() -> None:
    network = network_of(large_graph(20), "small.onnx")
    assert isinstance(network, InPlace)
    assert outlined(network) is None
    data = load_dataset(keep_own(made_rows(network, 64), "noise"))
    assert find_outline(keep_own_model(network, "small", data), data) is None


def test_layers_are_sampled_alike(monkeypatch: pytest.MonkeyPatch, mlp: Network) -> None:
    monkeypatch.setattr(module, "LARGE", 100)
    monkeypatch.setattr(module, "_KEPT", 500)
    sketch = sketch_of.__wrapped__(mlp)
    for name, weight in mlp.weights.items():
        share = 500 / mlp.n_weights
        assert sketch.weights[name].size == pytest.approx(share * weight.size, abs=2)
        assert np.isin(sketch.weights[name], weight).all()
