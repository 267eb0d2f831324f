"""Graphs as other tools write them, with random weights: what an importer must understand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from paretoscope.network.building import Dense, build
from paretoscope.network.network import Network

RNG = np.random.default_rng(0)
_START = RNG.bit_generator.state
Floats = npt.NDArray[np.float32]


def random(*shape: int) -> Floats:
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def restart() -> None:
    """Draw the same numbers again."""
    RNG.bit_generator.state = _START


def model(
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


def as_constants(data: bytes) -> bytes:
    """The same model with its weights in Constant nodes."""
    model = onnx.load_model_from_string(data)
    for tensor in model.graph.initializer:
        model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    del model.graph.initializer[:]
    found: bytes = model.SerializeToString()
    return found


def gemm(turned: int) -> bytes:
    w = random(5, 8).T.copy() if turned else random(5, 8)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=turned, alpha=0.5, beta=2.0),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["s"]),
        helper.make_node("Add", ["c", "s"], ["t"]),
        helper.make_node("Softmax", ["t"], ["y"], axis=1),
    ]
    return model(nodes, {"w": w, "b": random(8), "v": random(8, 3), "c": random(3)}, ["n", 5])


def images() -> bytes:
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
        "k": random(6, 1, 3, 3), "g": random(6), "s": random(6), "m": random(6),
        "q": np.abs(random(6)) + np.float32(0.1), "w": random(4, 96), "z": random(4),
    }  # fmt: skip
    return model(nodes, arrays, ["n", 1, 8, 8])


def used_twice() -> bytes:
    """A product that two additions use: neither may be folded into it."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Identity", ["h"], ["i"]),
        helper.make_node("Add", ["i", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
        helper.make_node("Add", ["h", "c"], ["unused"]),
    ]
    arrays = {"w": random(5, 8), "b": random(8), "v": random(8, 3), "c": 9 + random(8)}
    return model(nodes, arrays, ["n", 5])


def tied() -> bytes:
    """Two layers of the same weight, each with a bias of its own."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Gemm", ["r", "w", "c"], ["d"]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("MatMul", ["e", "v"], ["y"]),
    ]
    arrays = {"w": random(6, 6), "b": random(6), "c": random(6), "v": random(6, 3)}
    return model(nodes, arrays, ["n", 6])


def dense(weight: npt.NDArray[np.float32]) -> Network:
    """One layer."""
    zeros, ones = np.zeros(weight.shape[1], np.float32), np.ones(len(weight), np.float32)
    return build([Dense(weight, zeros)], 0 * ones, ones, {})


def one_score() -> bytes:
    nodes = [
        helper.make_node("Sub", ["x", "m"], ["a"]),
        helper.make_node("Div", ["a", "s"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["y"]),
    ]
    arrays = {"m": random(5), "s": np.abs(random(5)) + np.float32(0.5), "w": random(5, 1)}
    return model(nodes, arrays, ["n", 5])


def residual() -> bytes:
    """A residual block, a normalisation that stands behind a sum, and a mean over each channel."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "g", "s", "m", "q"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "l"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["d", "c"], ["e"]),
        helper.make_node("BatchNormalization", ["e", "g", "s", "m", "q"], ["f"]),
        helper.make_node("LeakyRelu", ["f"], ["h"], alpha=0.2),
        helper.make_node("GlobalAveragePool", ["h"], ["i"]),
        helper.make_node("Flatten", ["i"], ["j"]),
        helper.make_node("Gemm", ["j", "w", "z"], ["y"], transB=1),
    ]
    arrays = {
        "k": random(6, 1, 3, 3), "l": random(6, 6, 3, 3), "g": random(6), "s": random(6),
        "m": random(6), "q": np.abs(random(6)) + np.float32(0.1), "w": random(4, 6),
        "z": random(4),
    }  # fmt: skip
    return model(nodes, arrays, ["n", 1, 8, 8])


def mobile() -> bytes:
    """As networks for telephones: depthwise convolutions, gates, hard swish by hand, branches, and
    a shape that is computed from the number of rows."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"], auto_pad="SAME_UPPER", strides=[2, 2]),
        helper.make_node("Add", ["a", "three"], ["b"]),
        helper.make_node("Clip", ["b", "zero", "six"], ["c"]),
        helper.make_node("Mul", ["a", "c"], ["d"]),
        helper.make_node("Div", ["d", "six"], ["e"]),
        helper.make_node("Conv", ["e", "depth"], ["f"], pads=[1, 1, 1, 1], group=6),
        helper.make_node("GlobalAveragePool", ["f"], ["g"]),
        helper.make_node("Conv", ["g", "gate"], ["h"]),
        helper.make_node("HardSigmoid", ["h"], ["i"], alpha=0.2, beta=0.5),
        helper.make_node("Mul", ["f", "i"], ["j"]),
        helper.make_node("Conv", ["j", "halves"], ["l"], group=2),
        helper.make_node(
            "AveragePool", ["e"], ["m"], kernel_shape=[3, 3], pads=[1, 1, 1, 1],
            count_include_pad=1,
        ),
        helper.make_node("Concat", ["l", "m"], ["n"], axis=1),
        helper.make_node("ReduceMean", ["n"], ["o"], axes=[2, 3], keepdims=1),
        helper.make_node("Shape", ["o"], ["p"]),
        helper.make_node("Gather", ["p", "first"], ["q"]),
        helper.make_node("Unsqueeze", ["q", "axis"], ["r"]),
        helper.make_node("Concat", ["r", "rest"], ["t"], axis=0),
        helper.make_node("Reshape", ["o", "t"], ["u"]),
        helper.make_node("MatMul", ["u", "w"], ["v"]),
        helper.make_node("Softmax", ["v"], ["y"], axis=1),
    ]  # fmt: skip
    numbers = {"three": 3.0, "zero": 0.0, "six": 6.0}
    arrays: dict[str, Any] = {
        "k": random(6, 2, 3, 3), "depth": random(6, 1, 3, 3), "gate": random(6, 6, 1, 1),
        "halves": random(4, 3, 1, 1), "w": random(10, 4), "first": np.array(0, np.int64),
        "axis": np.array([0], np.int64), "rest": np.array([-1], np.int64),
    }  # fmt: skip
    arrays |= {name: np.array(number, np.float32) for name, number in numbers.items()}
    return model(nodes, arrays, ["n", 2, 7, 7])


def channels_last() -> bytes:
    """As tf2onnx writes them: images with their channels last, and sides of 1 squeezed away."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["a"], perm=[0, 3, 1, 2]),
        helper.make_node("Pad", ["a", "pads", "fill"], ["padded"]),
        helper.make_node("Conv", ["padded", "k"], ["b"], auto_pad="SAME_LOWER", strides=[2, 1]),
        helper.make_node("PRelu", ["b", "slope"], ["c"]),
        helper.make_node("AveragePool", ["c"], ["d"], kernel_shape=[2, 3], pads=[0, 1, 1, 1]),
        helper.make_node("GlobalMaxPool", ["d"], ["e"]),
        helper.make_node("Squeeze", ["e", "axes"], ["f"]),
        helper.make_node("Mul", ["f", "f"], ["g"]),
        helper.make_node("Sum", ["g", "f"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["i"]),
        helper.make_node("Reshape", ["flat", "wide"], ["bias"]),
        helper.make_node("Add", ["i", "bias"], ["y"]),
    ]
    arrays: dict[str, Any] = {
        "k": random(5, 3, 3, 2), "slope": random(5, 1, 1), "w": random(5, 3), "flat": random(3),
        "pads": np.array([0, 0, 0, 1, 0, 0, 2, 0], np.int64), "fill": np.array(0.5, np.float32),
        "axes": np.array([2, -1], np.int64), "wide": np.array([1, 3], np.int64),
    }  # fmt: skip
    return model(nodes, arrays, ["n", 6, 5, 3])


def averaging() -> bytes:
    """A chain of convolutions with means instead of maxima, on images of 8 x 8 pixels."""
    nodes = [
        helper.make_node("Conv", ["x", "k", "b0"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node(
            "AveragePool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 1]
        ),
        helper.make_node("Conv", ["c", "l", "z"], ["d"]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["f"]),
        helper.make_node("Flatten", ["f"], ["g"]),
        helper.make_node("Gemm", ["g", "w"], ["y"]),
    ]
    arrays = {
        "k": random(6, 1, 3, 3), "b0": random(6), "l": random(7, 6, 2, 2), "z": random(7),
        "w": random(7, 10),
    }  # fmt: skip
    return model(nodes, arrays, ["n", 1, 8, 8])


def last_convolution() -> bytes:
    """Scores by a convolution of 1 x 1 and a mean, as in SqueezeNet."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "l"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Softmax", ["e"], ["y"], axis=1),
    ]
    return model(nodes, {"k": random(6, 1, 3, 3), "l": random(4, 6, 1, 1)}, ["n", 1, 8, 8])


def scaled_mlp(pipeline: Any) -> bytes:
    """A scaler and an MLP as other tools write them: Sub, Div and Gemm, one number at the end."""
    scaler, mlp = pipeline[0], pipeline[1]
    constants = {"mean": scaler.mean_, "scale": scaler.scale_}
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["h0"]),
    ]
    last = len(mlp.coefs_) - 1
    for k, (w, b) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True)):
        constants |= {f"w{k}": w, f"b{k}": b}
        nodes.append(helper.make_node("Gemm", [f"h{k}", f"w{k}", f"b{k}"], [f"z{k}"]))
        if k < last:
            nodes.append(helper.make_node("Relu", [f"z{k}"], [f"h{k + 1}"]))
    nodes.append(helper.make_node("Identity", [f"z{last}"], ["variable"]))
    shape = ["n", len(scaler.mean_)]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(
                "variable", TensorProto.FLOAT, ["n", mlp.coefs_[-1].shape[1]]
            )
        ],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in constants.items()],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()
