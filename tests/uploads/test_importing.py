"""Uploaded models as networks: what they score is what ONNX Runtime says of the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import paretoscope as ps
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretoscope.errors import ParetoscopeError
from paretoscope.training import fits, keep_own_model
from paretoscope.uploads.importing import network_for, to_network
from paretoscope.uploads.models import read_model

from tests.conftest import load, trained
from tests.uploads.cases import FOLDER, needs_cases

RNG = np.random.default_rng(0)
Floats = npt.NDArray[np.float32]


def _random(*shape: int) -> Floats:
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def _model(
    nodes: list[onnx.NodeProto], arrays: dict[str, Floats], shape: list[object], opset: int = 13
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    data: bytes = made.SerializeToString()
    return data


def _as_constants(data: bytes) -> bytes:
    """The same model with its weights in Constant nodes."""
    model = onnx.load_model_from_string(data)
    for tensor in model.graph.initializer:
        model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    del model.graph.initializer[:]
    found: bytes = model.SerializeToString()
    return found


def _gemm(turned: int) -> bytes:
    w = _random(5, 8).T.copy() if turned else _random(5, 8)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=turned, alpha=0.5, beta=2.0),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["s"]),
        helper.make_node("Add", ["c", "s"], ["t"]),
        helper.make_node("Softmax", ["t"], ["y"], axis=1),
    ]
    return _model(nodes, {"w": w, "b": _random(8), "v": _random(8, 3), "c": _random(3)}, ["n", 5])


def _images() -> bytes:
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "g", "s", "m", "q"], ["b"], epsilon=1e-3),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "w", "z"], ["f"], transB=1),
        helper.make_node("LogSoftmax", ["f"], ["y"], axis=1),
    ]
    arrays = {
        "k": _random(6, 1, 3, 3), "g": _random(6), "s": _random(6), "m": _random(6),
        "q": np.abs(_random(6)) + np.float32(0.1), "w": _random(4, 96), "z": _random(4),
    }  # fmt: skip
    return _model(nodes, arrays, ["n", 1, 8, 8])


def _used_twice() -> bytes:
    """A product that two additions use: neither may be folded into it."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Identity", ["h"], ["i"]),
        helper.make_node("Add", ["i", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
        helper.make_node("Add", ["h", "c"], ["unused"]),
    ]
    arrays = {"w": _random(5, 8), "b": _random(8), "v": _random(8, 3), "c": 9 + _random(8)}
    return _model(nodes, arrays, ["n", 5])


def _one_score() -> bytes:
    nodes = [
        helper.make_node("Sub", ["x", "m"], ["a"]),
        helper.make_node("Div", ["a", "s"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["y"]),
    ]
    arrays = {"m": _random(5), "s": np.abs(_random(5)) + np.float32(0.5), "w": _random(5, 1)}
    return _model(nodes, arrays, ["n", 5])


@pytest.mark.parametrize(
    ("make", "width"),
    [
        (lambda: _gemm(0), 5),
        (lambda: _gemm(1), 5),
        (lambda: _as_constants(_gemm(1)), 5),
        (_images, 64),
        (lambda: _as_constants(_images()), 64),
        (_used_twice, 5),
        (_one_score, 5),
    ],
    ids=["gemm", "gemm turned", "constants", "images", "images, constants", "twice", "one score"],
)
def test_a_rewritten_model_ranks_classes_as_the_file_does(
    make: Callable[[], bytes], width: int
) -> None:
    data = make()
    network = to_network(read_model(data))
    rows = _random(300, width)
    session = ort.InferenceSession(data)
    shape = [len(rows), *(d for d in session.get_inputs()[0].shape[1:])]
    theirs = session.run(None, {"x": rows.reshape(shape)})[0]
    expected = theirs.argmax(1) if theirs.shape[1] > 1 else (theirs[:, 0] > 0.5).astype(int)
    ours = network.scores(rows)
    assert (ours.argmax(1) == expected).all()
    artifact = ps.compress(network, ps.Recipe.parse("magnitude(sparsity=0.5)+q(8)"), None)  # type: ignore[arg-type]
    assert artifact.scores(rows).shape == ours.shape  # compressing compared them with the file's


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
    model = read_model(_images())
    proto = onnx.load_model_from_string(model.onnx_bytes)
    conv = proto.graph.node[0]
    del conv.attribute[:]
    conv.attribute.extend(helper.make_attribute(name, value) for name, value in change.items())
    with pytest.raises(ParetoscopeError, match=says):
        to_network(replace(model, onnx_bytes=proto.SerializeToString()))


def test_a_layer_too_wide_for_this_process_is_refused() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("MatMul", ["h", "v"], ["y"]),
    ]
    wide = np.ones((1, 300_000), np.float32)
    data = _model(nodes, {"w": wide, "v": np.ones((300_000, 2), np.float32)}, ["n", 1])
    with pytest.raises(ParetoscopeError, match="300,000 values behind a MatMul"):
        to_network(read_model(data))


@needs_cases
@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("atspm_stacker_trees", "TreeEnsemble"),
        ("light_squeezenet", "GlobalAveragePool"),
        ("mtcnn_onet", "PRelu"),
        ("rapidocr_cls", "Concat"),
        ("atspm_funcnet_head", "several inputs"),
    ],
)
def test_what_cannot_be_compressed_says_why(name: str, operator: str) -> None:
    model = read_model((FOLDER / "models" / f"{name}.onnx").read_bytes())
    with pytest.raises(ParetoscopeError, match=operator):
        to_network(model)
