"""Every operator that is rewritten, in the forms it has had, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from paretoscope.base.errors import ParetoscopeError
from paretoscope.network.chain import as_chain
from paretoscope.network.network import Network
from paretoscope.network.operators import OPERATORS
from paretoscope.uploads.importing import to_chain
from paretoscope.uploads.models import predict, read_model
from paretoscope.uploads.rewrites import REWRITES

from tests import graphs

N = helper.make_node
I64 = np.int64
# Each acts on "h", images of 3 channels and 4 x 5 pixels, and makes "k".
FORMS: list[tuple[str, list[Any], dict[str, Any], int]] = [
    ("relu", [N("Relu", ["h"], ["k"])], {}, 13),
    ("leaky", [N("LeakyRelu", ["h"], ["k"])], {}, 13),
    ("elu", [N("Elu", ["h"], ["k"], alpha=0.7)], {}, 13),
    ("selu", [N("Selu", ["h"], ["k"])], {}, 13),
    ("selu given", [N("Selu", ["h"], ["k"], alpha=1.5, gamma=1.2)], {}, 13),
    ("sigmoid", [N("Sigmoid", ["h"], ["k"])], {}, 13),
    ("hard sigmoid", [N("HardSigmoid", ["h"], ["k"])], {}, 13),
    ("hard swish", [N("HardSwish", ["h"], ["k"])], {}, 14),
    ("tanh", [N("Tanh", ["h"], ["k"])], {}, 13),
    ("erf", [N("Erf", ["h"], ["k"])], {}, 13),
    ("softplus", [N("Softplus", ["h"], ["k"])], {}, 13),
    ("mish", [N("Mish", ["h"], ["k"])], {}, 18),
    ("gelu", [N("Gelu", ["h"], ["k"])], {}, 20),
    ("gelu by tanh", [N("Gelu", ["h"], ["k"], approximate="tanh")], {}, 20),
    ("prelu", [N("PRelu", ["h", "c"], ["k"])], {"c": graphs.random(3, 1, 1)}, 13),
    ("clip 7", [N("Clip", ["h"], ["k"], min=-0.3)], {}, 7),
    ("clip 7, open", [N("Clip", ["h"], ["k"])], {}, 7),
    ("clip 13", [N("Clip", ["h", "", "c"], ["k"])], {"c": np.float32(0.2)}, 13),
    ("round", [N("Round", ["h"], ["k"])], {}, 13),
    ("rounded", [N("QuantizeLinear", ["h", "s", "z"], ["i"]),
                 N("DequantizeLinear", ["i", "s", "z"], ["k"])],
     {"s": np.float32(0.03), "z": np.int8(5)}, 13),
    ("rounded and cut", [N("QuantizeLinear", ["h", "s"], ["i"]),
                         N("DequantizeLinear", ["i", "s"], ["k"])], {"s": np.float32(0.002)}, 19),
    ("mask", [N("Greater", ["c", "t"], ["b"]), N("Cast", ["b"], ["m"], to=TensorProto.FLOAT),
              N("Mul", ["c", "m"], ["w"]), N("Mul", ["h", "w"], ["k"])],
     {"c": graphs.random(3, 1, 1), "t": np.float32(0)}, 13),
    ("constants", [N("Relu", ["c"], ["i"]), N("Mul", ["h", "i"], ["k"])],
     {"c": graphs.random(3, 1, 1)}, 14),
    ("normed weight", [N("ReduceL2", ["c"], ["n"], axes=[1], keepdims=1),
                       N("Div", ["c", "n"], ["d"]),
                       N("Mul", ["d", "g"], ["v"]), N("Reshape", ["h", "s"], ["u"]),
                       N("MatMul", ["u", "v"], ["k"])],
     {"c": graphs.random(60, 6), "g": graphs.random(60, 1), "s": np.array([-1, 60], I64)}, 13),
    ("product of weights", [N("MatMul", ["c", "d"], ["w"]), N("Reshape", ["h", "s"], ["u"]),
                            N("MatMul", ["u", "w"], ["k"])],
     {"c": graphs.random(60, 4), "d": graphs.random(4, 6), "s": np.array([-1, 60], I64)}, 13),
    ("stored as integers", [N("DequantizeLinear", ["c", "s", "z"], ["w"], axis=1),
                            N("Reshape", ["h", "r"], ["u"]), N("MatMul", ["u", "w"], ["k"])],
     {"c": np.arange(-180, 180, dtype=np.int64).clip(-128, 127).astype(np.int8).reshape(60, 6),
      "s": np.linspace(0.001, 0.006, 6, dtype=np.float32), "z": np.zeros(6, np.int8),
      "r": np.array([-1, 60], I64)}, 13),
    ("one minus", [N("Sub", ["c", "h"], ["k"])], {"c": np.ones(1, np.float32)}, 13),
    ("gate", [N("Sigmoid", ["h"], ["i"]), N("Mul", ["h", "i"], ["k"])], {}, 13),
    ("minus own", [N("Tanh", ["h"], ["i"]), N("Sub", ["h", "i"], ["k"])], {}, 13),
    ("sum of two", [N("Tanh", ["h"], ["i"]), N("Sum", ["h", "i"], ["k"])], {}, 13),
    ("concat", [N("Tanh", ["h"], ["i"]), N("Concat", ["h", "i"], ["k"], axis=-1)], {}, 13),
    ("flatten", [N("Flatten", ["h"], ["k"], axis=-3)], {}, 13),
    ("flatten by 0", [N("Reshape", ["h", "s"], ["k"])], {"s": np.array([0, 0, -1], I64)}, 13),
    ("squares", [N("Reshape", ["h", "s"], ["k"])], {"s": np.array([-1, 2, 5, 6], I64)}, 13),
    ("flat, as PyTorch", [N("Reshape", ["h", "s"], ["k"], allowzero=1)],
     {"s": np.array([-1, 60], I64)}, 14),
    ("turned", [N("Transpose", ["h"], ["k"], perm=[0, 2, 3, 1])], {}, 13),
    ("unsqueeze 11", [N("Unsqueeze", ["h"], ["k"], axes=[2])], {}, 11),
    ("unsqueeze 13", [N("Unsqueeze", ["h", "s"], ["k"])], {"s": np.array([-1], I64)}, 13),
    ("mean 13", [N("ReduceMean", ["h"], ["k"], axes=[-2, -1], keepdims=0)], {}, 13),
    ("mean 18", [N("ReduceMean", ["h", "s"], ["k"])], {"s": np.array([3, 2], I64)}, 18),
    ("all", [N("GlobalMaxPool", ["h"], ["k"])], {}, 13),
    ("squeeze 11", [N("GlobalAveragePool", ["h"], ["i"]), N("Squeeze", ["i"], ["k"], axes=[3])],
     {}, 11),
    ("pad 10", [N("Pad", ["h"], ["k"], pads=[0, 0, 1, 0, 0, 0, 0, 2], value=0.5)], {}, 10),
    ("pad 18", [N("Pad", ["h", "s", "", "t"], ["k"])],
     {"s": np.array([1, 0, 0, 2], I64), "t": np.array([3, -2], I64)}, 18),
    ("same", [N("MaxPool", ["h"], ["k"], kernel_shape=[2, 3], strides=[2, 1],
                auto_pad="SAME_LOWER")], {}, 13),
    ("valid", [N("AveragePool", ["h"], ["k"], kernel_shape=[2, 2], auto_pad="VALID")], {}, 13),
    ("normal", [N("Tanh", ["h"], ["i"]), N("BatchNormalization", ["i", "a", "b", "c", "d"], ["k"])],
     {"a": graphs.random(3), "b": graphs.random(3), "c": graphs.random(3),
      "d": np.abs(graphs.random(3)) + np.float32(0.1)}, 13),
    ("half weights", [N("Cast", ["c"], ["i"], to=TensorProto.FLOAT), N("Mul", ["h", "i"], ["k"])],
     {"c": graphs.random(3, 1, 1).astype(np.float16)}, 13),
    ("there and back", [N("Cast", ["h"], ["i"], to=TensorProto.DOUBLE),
                        N("Cast", ["i"], ["k"], to=TensorProto.FLOAT)], {}, 13),
    ("dropout", [N("Dropout", ["h"], ["k"])], {}, 13),
    ("constants", [N("Constant", [], ["i"], value_floats=[0.5, -1.0, 2.0]),
                   N("Constant", [], ["t"], value_ints=[3, 1, 1]),
                   N("Reshape", ["i", "t"], ["l"]), N("Mul", ["h", "l"], ["k"])], {}, 13),
]  # fmt: skip


def _model(nodes: list[Any], arrays: dict[str, Any], opset: int) -> bytes:
    """The nodes between a convolution and a dense layer."""
    flat = graphs.model(
        [N("Conv", ["x", "kernel"], ["h"]), *nodes, N("Flatten", ["k"], ["f"])],
        {"kernel": graphs.random(3, 2, 1, 1), **arrays},
        ["n", 2, 4, 5],
        opset,
    )
    model = onnx.load_model_from_string(flat)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("f", TensorProto.FLOAT, None))
    probe = ort.InferenceSession(model.SerializeToString())
    width = probe.run(None, {"x": np.zeros((1, 2, 4, 5), np.float32)})[0].shape[1]
    return graphs.model(
        [N("Conv", ["x", "kernel"], ["h"]), *nodes, N("Flatten", ["k"], ["f"]),
         N("MatMul", ["f", "last"], ["y"])],
        {"kernel": graphs.random(3, 2, 1, 1), "last": graphs.random(width, 4), **arrays},
        ["n", 2, 4, 5],
        opset,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "nodes", "arrays", "opset"), FORMS, ids=[f[0] for f in FORMS])
def test_an_operator_is_rewritten_as_the_runtime_runs_it(
    name: str, nodes: list[Any], arrays: dict[str, Any], opset: int
) -> None:
    data = _model(nodes, arrays, opset)
    rows = graphs.random(40, 40)
    network = to_chain(read_model(data))
    plain = ort.SessionOptions()  # as written: it may round values before products with integers
    plain.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(data, plain)
    (theirs,) = session.run(None, {"x": rows.reshape(-1, 2, 4, 5)})
    assert theirs.std(0).max() > 1e-3
    np.testing.assert_allclose(network.scores(rows), theirs, rtol=1e-4, atol=1e-4)
    (again,) = ort.InferenceSession(network.onnx_bytes).run(None, {"features": rows})
    np.testing.assert_allclose(again, theirs, rtol=1e-4, atol=1e-4)


def test_every_operator_is_among_the_forms() -> None:
    """Here, or in the graphs of `test_importing`."""
    graph_nodes = [
        node
        for made in (graphs.gemm(0), graphs.images(), graphs.used_twice(), graphs.one_score(),
                     graphs.mobile(), graphs.residual())
        for node in onnx.load_model_from_string(made).graph.node
    ]  # fmt: skip
    seen = {n.op_type for n in graph_nodes} | {n.op_type for f in FORMS for n in f[1]}
    elsewhere = {
        "LinearClassifier",
        "LinearRegressor",
        "Scaler",
        "Identity",
    }  # of scikit-learn's and `used_twice`
    assert set(REWRITES) - seen - elsewhere == set()
    assert set(OPERATORS) - set(REWRITES) - {"Gather"} == set()


REFUSED: list[tuple[str, list[Any], dict[str, Any], str]] = [
    ("whole numbers", [N("Cast", ["h"], ["i"], to=TensorProto.INT64),
                       N("Cast", ["i"], ["k"], to=TensorProto.FLOAT)], {}, "rounds values"),
    ("indices", [N("MaxPool", ["h"], ["i", "j"], kernel_shape=[2, 2]),
                 N("Cast", ["j"], ["k"], to=TensorProto.FLOAT)], {}, "another output"),
    ("rows mixed", [N("Reshape", ["h", "s"], ["i"]), N("Reshape", ["i", "t"], ["k"])],
     {"s": np.array([-1, 4], I64), "t": np.array([-1, 60], I64)}, "does not keep rows apart"),
    ("bias of rows", [N("GlobalAveragePool", ["h"], ["i"]), N("Flatten", ["i"], ["j"]),
                      N("Gemm", ["j", "w", "j"], ["k"])],
     {"w": graphs.random(3, 3)}, "a bias that is made of rows"),
    ("training", [N("Dropout", ["h", "r", "t"], ["k"])],
     {"r": np.float32(0.0), "t": np.array(True)}, "training mode"),
    ("rounded by channels", [N("QuantizeLinear", ["h", "s"], ["i"], axis=1),
                             N("DequantizeLinear", ["i", "s"], ["k"], axis=1)],
     {"s": np.array([0.1, 0.2, 0.3], np.float32)}, "by channels"),
    ("large constants", [N("MatMul", ["c", "d"], ["w"]), N("Reshape", ["h", "s"], ["u"]),
                         N("MatMul", ["u", "w"], ["k"])],
     {"c": np.ones((60, 9_000), np.float32), "d": np.ones((9_000, 600), np.float32),
      "s": np.array([-1, 60], I64)}, "more constants than are taken"),
    ("pool", [N("Pad", ["h", "s"], ["i"]), N("MaxPool", ["i"], ["k"], kernel_shape=[99, 99])],
     {"s": np.array([0, 0, 99, 99, 0, 0, 99, 99], I64)}, "too large to be taken here"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "nodes", "arrays", "says"), REFUSED, ids=[f[0] for f in REFUSED])
def test_what_would_be_something_else_is_refused(
    name: str, nodes: list[Any], arrays: dict[str, Any], says: str
) -> None:
    data = _model(nodes, arrays, 14)
    with pytest.raises(ParetoscopeError, match=says):
        to_chain(read_model(data))


def test_an_addition_across_rows_is_not_folded() -> None:
    nodes = [N("MatMul", ["x", "w"], ["h"]), N("Add", ["h", "b"], ["y"])]
    arrays = {"w": graphs.random(5, 8), "b": graphs.random(8, 1)}
    with pytest.raises(ParetoscopeError, match="changes the shape"):
        to_chain(read_model(graphs.model(nodes, arrays, [8, 5])))


@pytest.mark.parametrize("name", ["Relu", "Identity", "Softmax"])
def test_an_operator_of_the_models_own_is_not_taken_for_onnx_s(name: str) -> None:
    """A function that bears the name of an operator and is something else."""
    own = helper.make_function(
        "own", name, ["a"], ["b"], [N("Neg", ["a"], ["b"])], [helper.make_opsetid("", 13)]
    )
    nodes = [
        N("MatMul", ["x", "w"], ["h"]),
        N(name, ["h"], ["r"], domain="own"),
        N("MatMul", ["r", "v"], ["y"]),
    ]
    data = graphs.model(nodes, {"w": graphs.random(5, 8), "v": graphs.random(8, 3)}, ["n", 5])
    model = onnx.load_model_from_string(data)
    model.functions.append(own)
    model.opset_import.append(helper.make_opsetid("own", 1))
    with pytest.raises(ParetoscopeError, match=f"a {name} of its own"):
        to_chain(read_model(model.SerializeToString()))


def test_a_bias_for_each_row_is_not_one_for_each_output() -> None:
    node = N("Gemm", ["x", "w", "b"], ["y"])
    arrays = {"w": graphs.random(5, 8), "b": graphs.random(8, 1)}
    with pytest.raises(ParetoscopeError, match="a bias for each row"):
        to_chain(read_model(graphs.model([node], arrays, [8, 5])))


def test_two_opposite_columns_are_one_only_with_opposite_intercepts() -> None:
    for intercepts, n in (([5.0, 0.0], 4), ([2.0, -2.0], 2)):
        node = N(
            "LinearClassifier", ["x"], ["l", "y"], domain="ai.onnx.ml", classlabels_ints=[0, 1],
            coefficients=[1.0, -2.0, -1.0, 2.0], intercepts=intercepts,
        )  # fmt: skip
        model = onnx.load_model_from_string(graphs.model([node], {}, ["n", 2]))
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
        network = to_chain(read_model(model.SerializeToString(), output="y"))
        assert sum(w.size for w in network.weights.values()) == n
        rows = graphs.random(60, 2) * 5
        theirs = rows @ np.array([[1, -1], [-2, 2]]) + intercepts
        assert (network.scores(rows).argmax(1) == theirs.argmax(1)).all()


@pytest.mark.parametrize("tail", ["none", "sigmoid", "squeezed"])
def test_two_classes_by_one_number_are_cut_where_they_are_alike(tail: str) -> None:
    """Log-odds at 0, as a network without its last sigmoid gives them; probabilities at 0.5."""
    last = {
        "none": [N("MatMul", ["r", "v"], ["y"])],
        "sigmoid": [N("MatMul", ["r", "v"], ["z"]), N("Sigmoid", ["z"], ["y"])],
        "squeezed": [N("MatMul", ["r", "v"], ["z"]), N("Sigmoid", ["z"], ["p"]),
                     N("Squeeze", ["p", "one"], ["y"])],
    }[tail]  # fmt: skip
    nodes = [N("MatMul", ["x", "w"], ["h"]), N("Relu", ["h"], ["r"]), *last]
    arrays: dict[str, Any] = {"w": graphs.random(5, 8), "v": graphs.random(8, 1)}
    if tail == "squeezed":
        arrays["one"] = np.array([1], I64)
    model = read_model(graphs.model(nodes, arrays, ["n", 5]))
    rows = graphs.random(200, 5)
    labels = np.array(predict(model, rows.astype(np.float64))["labels"]).astype(int)
    assert 20 < labels.sum() < 180
    assert (to_chain(model).scores(rows).argmax(1) == labels).all()


@pytest.mark.parametrize("over", [{"axis": 0}, {"axis": -2}])
def test_a_softmax_over_rows_is_none_over_classes(over: dict[str, int]) -> None:
    nodes = [N("MatMul", ["x", "w"], ["h"]), N("Softmax", ["h"], ["y"], **over)]
    with pytest.raises(ParetoscopeError, match="Softmax is not among those"):
        to_chain(read_model(graphs.model(nodes, {"w": graphs.random(5, 3)}, ["n", 5])))


def test_the_first_scores_are_compressed_as_they_are_judged() -> None:
    nodes = [N("MatMul", ["x", "w"], ["y"]), N("MatMul", ["x", "v"], ["z"])]
    arrays = {"w": graphs.random(5, 3), "v": graphs.random(5, 4)}
    model = onnx.load_model_from_string(graphs.model(nodes, arrays, ["n", 5]))
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    data = model.SerializeToString()
    assert to_chain(read_model(data)).n_scores == 3
    assert to_chain(read_model(data, output="z")).n_scores == 4


@pytest.mark.parametrize(
    ("nodes", "arrays"),
    [
        ([N("Sub", ["x", "m"], ["s"]), N("Conv", ["s", "k"], ["h"]), N("Flatten", ["h"], ["f"]),
          N("MatMul", ["f", "w"], ["y"])], {"m": graphs.random(3, 1, 1)}),
        ([N("Conv", ["x", "k"], ["h"]), N("Flatten", ["h"], ["f"]), N("MatMul", ["f", "w"], ["z"]),
          N("Tanh", ["z"], ["y"])], {}),
    ],
    ids=["normalised images", "squashed"],
)  # fmt: skip
def test_what_a_chain_has_no_place_for_makes_none(nodes: list[Any], arrays: dict[str, Any]) -> None:
    """Images that are normalised within the graph, and scores that are squashed."""
    arrays = {"k": graphs.random(2, 3, 1, 1), "w": graphs.random(32, 3), **arrays}
    network = to_chain(read_model(graphs.model(nodes, arrays, ["n", 3, 4, 4])))
    with pytest.raises(ParetoscopeError, match="this works on chains"):
        as_chain(network)


def test_a_long_way_from_the_input_is_walked_once() -> None:
    names = [N("Identity", ["x" if k == 0 else f"h{k}"], [f"h{k + 1}"]) for k in range(10_000)]
    last = N("MatMul", ["h10000", "w"], ["y"])
    assert to_chain(read_model(graphs.model([*names, last], {"w": graphs.random(5, 3)}, ["n", 5])))


def test_long_chains_of_names_and_copies_stay_small() -> None:
    """Thousands of names of one constant, and reshapes of it again and again."""
    names = [N("Identity", ["w" if k == 0 else f"w{k}"], [f"w{k + 1}"]) for k in range(3_000)]
    last = N("MatMul", ["x", "w3000"], ["y"])
    arrays = {"w": graphs.random(5, 3)}
    rows = graphs.random(4, 5)
    found = to_chain(read_model(graphs.model([*names, last], arrays, ["n", 5])))
    np.testing.assert_allclose(found.scores(rows), rows @ arrays["w"], rtol=1e-5)
    shapes = [N("Reshape", ["w" if k == 0 else f"w{k}", "s"], [f"w{k + 1}"]) for k in range(3_000)]
    arrays = {"w": np.zeros((5, 3_000), np.float32), "s": np.array([5, 3_000], np.int64)}
    with pytest.raises(ParetoscopeError, match="more constants than are taken"):
        to_chain(read_model(graphs.model([*shapes, last], arrays, ["n", 5])))


def test_scores_in_chunks_are_those_of_all_rows() -> None:
    network = to_chain(read_model(graphs.mobile()))
    rows = graphs.random(50, network.n_features)
    few = Network(network.onnx_bytes)
    few.__dict__["n_values"] = 2**27 // 7
    assert few.rows_at_a_time == 7
    np.testing.assert_allclose(few.scores(rows), network.scores(rows), rtol=1e-5, atol=1e-5)
