"""Small graphs of every kind whose weights are coded where they stand, with rows for them.

Each weight has outputs of very different sizes, so that a scale along a wrong axis shows.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
N = helper.make_node
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
N_ROWS = 6


@dataclass(frozen=True)
class Kind:
    """A model, the rows of each input, and its weights: how many numbers each holds, and along
    which axis its outputs lie."""

    model: onnx.ModelProto
    rows: dict[str, Array]
    weights: dict[str, tuple[int, int | None]]
    others: dict[str, Array] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        found: bytes = self.model.SerializeToString()
        return found


def weight(shape: tuple[int, ...], axis: int, seed: int = 0) -> Array:
    """Normal numbers; each output along the axis is ten times the one before, or a tenth."""
    rng = np.random.default_rng(seed)
    sides = [1] * len(shape)
    sides[axis] = shape[axis]
    sizes = 10.0 ** (np.arange(shape[axis]) % 5 - 2)
    return np.asarray(rng.normal(size=shape) * sizes.reshape(sides), np.float32)


def graph_of(
    nodes: list[onnx.NodeProto],
    arrays: dict[str, Array],
    inputs: dict[str, list[Any]],
    *,
    outputs: tuple[str, ...] = ("y",),
    types: dict[str, int] | None = None,
    opset: int = 17,
    functions: list[onnx.FunctionProto] | None = None,
    output_type: int = FLOAT,
) -> onnx.ModelProto:
    types = types or {}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, types.get(n, FLOAT), s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(name, output_type, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    if functions:
        opsets.append(helper.make_opsetid("own", 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=functions or [])


def _rows(*shape: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=(N_ROWS, *shape)).astype(np.float32)


def _one(node: onnx.NodeProto, shape: tuple[int, ...], axis: int, row: tuple[int, ...]) -> Kind:
    model = graph_of([node], {"w": weight(shape, axis)}, {"x": ["n", *row]})
    return Kind(model, {"x": _rows(*row)}, {"w": (int(np.prod(shape)), axis)})


def _recurrent(operator: str, gates: int) -> Kind:
    hidden, width = 4, 3
    arrays = {
        "w": weight((1, gates * hidden, width), 1) / 50,
        "r": weight((1, gates * hidden, hidden), 1, seed=2) / 50,
    }
    nodes = [
        N("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        N(operator, ["t", "w", "r"], ["", "h"], hidden_size=hidden),
        N("Squeeze", ["h", "axes"], ["y"]),
    ]
    arrays["axes"] = np.array([0])
    model = graph_of(nodes, arrays, {"x": ["n", 5, width]})
    weights = {"w": (gates * hidden * width, 1), "r": (gates * hidden * hidden, 1)}
    return Kind(model, {"x": _rows(5, width)}, weights)


def _einsum() -> Kind:
    nodes = [N("Einsum", ["x", "w"], ["y"], equation="bsd,hdk->bshk")]
    model = graph_of(nodes, {"w": weight((2, 4, 5), 2)}, {"x": ["n", 3, 4]})
    return Kind(model, {"x": _rows(3, 4)}, {"w": (40, 2)})


def _embedding() -> Kind:
    nodes = [
        N("Gather", ["table", "ids"], ["e"]),
        N("ReduceMean", ["e"], ["m"], axes=[1], keepdims=0),
        N("Transpose", ["table"], ["turned"]),
        N("MatMul", ["m", "turned"], ["y"]),
    ]
    table = weight((20, 6), 0)
    model = graph_of(nodes, {"table": table}, {"ids": ["n", 4]}, types={"ids": INT64})
    rows = np.random.default_rng(3).integers(0, 20, (N_ROWS, 4))
    return Kind(model, {"ids": rows}, {"table": (120, 0)})


def _looked_up() -> Kind:
    nodes = [
        N("Gather", ["table", "ids"], ["e"]),
        N("ReduceMean", ["e"], ["y"], axes=[1], keepdims=0),
    ]
    model = graph_of(nodes, {"table": weight((20, 6), 1)}, {"ids": ["n", 4]}, types={"ids": INT64})
    rows = np.random.default_rng(3).integers(0, 20, (N_ROWS, 4))
    return Kind(model, {"ids": rows}, {"table": (120, 1)})


def _moved() -> Kind:
    """Weights behind Identity, Slice, Reshape and Cast."""
    nodes = [
        N("Slice", ["wide", "starts", "ends", "axes"], ["part"]),
        N("Identity", ["part"], ["same"]),
        N("MatMul", ["x", "same"], ["a"]),
        N("Reshape", ["flat", "shape"], ["v"]),
        N("MatMul", ["a", "v"], ["b"]),
        N("Cast", ["half"], ["whole"], to=FLOAT),
        N("MatMul", ["b", "whole"], ["y"]),
    ]
    arrays = {
        "wide": weight((9, 5), 1), "starts": np.array([1]), "ends": np.array([8]),
        "axes": np.array([0]), "flat": weight((20,), 0) / 100, "shape": np.array([5, 4]),
        "half": weight((4, 3), 1).astype(np.float16),
    }  # fmt: skip
    model = graph_of(nodes, arrays, {"x": ["n", 7]})
    return Kind(model, {"x": _rows(7)}, {"wide": (45, 1), "flat": (20, None), "half": (12, 1)})


def _constants() -> Kind:
    held = numpy_helper.from_array(weight((5, 4), 1))
    nodes = [N("Constant", [], ["w"], value=held), N("MatMul", ["x", "w"], ["y"])]
    return Kind(graph_of(nodes, {}, {"x": ["n", 5]}), {"x": _rows(5)}, {"w": (20, 1)})


def _functions() -> Kind:
    """A function that holds a weight and is called twice, and one that is given its weight."""
    held = numpy_helper.from_array(weight((4, 4), 1) / 20)
    opsets = [helper.make_opsetid("", 17)]
    own = helper.make_function(
        "own", "Layer", ["a"], ["b"],
        [N("Constant", [], ["w"], value=held), N("MatMul", ["a", "w"], ["b"])], opsets,
    )  # fmt: skip
    given = helper.make_function(
        "own", "Given", ["a", "k"], ["b"],
        [N("Transpose", ["k"], ["t"], perm=[1, 0]), N("MatMul", ["a", "t"], ["b"])], opsets,
    )  # fmt: skip
    nodes = [
        N("Layer", ["x"], ["c"], domain="own"),
        N("Layer", ["c"], ["d"], domain="own"),
        N("Given", ["d", "w"], ["y"], domain="own"),
    ]
    arrays = {"w": weight((3, 4), 0, seed=4)}
    model = graph_of(nodes, arrays, {"x": ["n", 4]}, functions=[own, given])
    return Kind(model, {"x": _rows(4)}, {"w": (16, 1), "w (2)": (12, 0)})


def _branches() -> Kind:
    """Weights of the outer graph and of the two within an If."""

    def branch(name: str, seed: int) -> onnx.GraphProto:
        held = numpy_helper.from_array(weight((5, 3), 1, seed=seed), "own")
        nodes = [
            N("MatMul", ["h", "own"], ["o"]),
            N("MatMul", ["o", "outer"], [name]),
        ]
        out = helper.make_tensor_value_info(name, FLOAT, None)
        return helper.make_graph(nodes, name, [], [out], [held])

    nodes = [
        N("MatMul", ["x", "w"], ["h"]),
        N("ReduceSum", ["x"], ["s"], keepdims=0),
        N("Greater", ["s", "zero"], ["positive"]),
        N("If", ["positive"], ["y"], then_branch=branch("p", 5), else_branch=branch("q", 6)),
    ]
    arrays = {
        "w": weight((4, 5), 1), "outer": weight((3, 3), 1) / 9, "zero": np.zeros((), np.float32)
    }  # fmt: skip
    model = graph_of(nodes, arrays, {"x": ["n", 4]})
    found = {"w": (20, 1), "own": (15, 1), "own (2)": (15, 1), "outer": (9, 1)}
    return Kind(model, {"x": _rows(4)}, found)


def _listed() -> Kind:
    """Weights that are listed as inputs, as older exporters do."""
    kind = _one(N("MatMul", ["x", "w"], ["y"]), (5, 4), 1, (5,))
    kind.model.graph.input.append(helper.make_tensor_value_info("w", FLOAT, [5, 4]))
    return kind


def _doubles() -> Kind:
    arrays = {"w": weight((5, 4), 1).astype(np.float64)}
    nodes = [N("MatMul", ["x", "w"], ["y"])]
    types = {"x": TensorProto.DOUBLE}
    model = graph_of(nodes, arrays, {"x": ["n", 5]}, types=types, output_type=TensorProto.DOUBLE)
    return Kind(model, {"x": _rows(5).astype(np.float64)}, {"w": (20, 1)})


def _halves() -> Kind:
    arrays = {"w": weight((5, 4), 1).astype(np.float16)}
    nodes = [N("MatMul", ["x", "w"], ["y"])]
    types = {"x": TensorProto.FLOAT16}
    model = graph_of(nodes, arrays, {"x": ["n", 5]}, types=types, output_type=TensorProto.FLOAT16)
    return Kind(model, {"x": _rows(5).astype(np.float16)}, {"w": (20, 1)})


def _several() -> Kind:
    """Two inputs of different types and two outputs, one of them of whole numbers."""
    nodes = [
        N("Cast", ["mask"], ["m"], to=FLOAT),
        N("Mul", ["x", "m"], ["h"]),
        N("MatMul", ["h", "w"], ["y"]),
        N("ArgMax", ["y"], ["label"], axis=1, keepdims=0),
    ]
    model = graph_of(
        nodes, {"w": weight((5, 4), 1)}, {"x": ["n", 5], "mask": ["n", 5]}, types={"mask": INT64}
    )
    model.graph.output.append(helper.make_tensor_value_info("label", INT64, ["n"]))
    return Kind(model, {"x": _rows(5), "mask": np.ones((N_ROWS, 5), np.int64)}, {"w": (20, 1)})


def _names_taken() -> Kind:
    """Weights and values that are called as what we would put beside a weight."""
    nodes = [
        N("MatMul", ["x", "w"], ["w.0"]),
        N("MatMul", ["w.0", "w.scale"], ["w.codes"]),
        N("Identity", ["w.codes"], ["y"]),
    ]
    arrays = {"w": weight((5, 4), 1), "w.scale": weight((4, 4), 1, seed=7)}
    model = graph_of(nodes, arrays, {"x": ["n", 5]})
    return Kind(model, {"x": _rows(5)}, {"w": (20, 1), "w.scale": (16, 1)})


def _by_caller() -> Kind:
    """A function whose caller says whether its weight is turned."""
    product = N("Gemm", ["a", "k"], ["b"])
    turned = product.attribute.add()
    turned.name, turned.ref_attr_name = "transB", "turned"
    turned.type = onnx.AttributeProto.INT
    opsets = [helper.make_opsetid("", 17)]
    own = helper.make_function("own", "Given", ["a", "k"], ["b"], [product], opsets, ["turned"])
    nodes = [N("Given", ["x", "w"], ["y"], domain="own", turned=1)]
    model = graph_of(nodes, {"w": weight((4, 5), 0)}, {"x": ["n", 5]}, functions=[own])
    return Kind(model, {"x": _rows(5)}, {"w": (20, None)})


def _one_number() -> Kind:
    """A vector has a weight for each input, and no outputs of its own."""
    return replace(_one(N("MatMul", ["x", "w"], ["y"]), (9,), 0, (9,)), weights={"w": (9, None)})


KINDS: dict[str, Callable[[], Kind]] = {
    "dense": lambda: _one(N("MatMul", ["x", "w"], ["y"]), (5, 4), 1, (5,)),
    "weight from the left": lambda: _one(N("MatMul", ["w", "x"], ["y"]), (3, 5), 0, (5, 2)),
    "Gemm": lambda: _one(N("Gemm", ["x", "w"], ["y"], alpha=0.5), (5, 4), 1, (5,)),
    "Gemm, turned": lambda: _one(N("Gemm", ["x", "w"], ["y"], transB=1), (4, 5), 0, (5,)),
    "sequences": lambda: _one(N("Conv", ["x", "w"], ["y"], pads=[1, 1]), (6, 2, 3), 0, (2, 7)),
    "images": lambda: _one(
        N("Conv", ["x", "w"], ["y"], dilations=[2, 2], strides=[2, 1]), (6, 2, 3, 3), 0, (2, 9, 8)
    ),
    "groups": lambda: _one(N("Conv", ["x", "w"], ["y"], group=2), (6, 2, 2, 2), 0, (4, 5, 5)),
    "volumes": lambda: _one(N("Conv", ["x", "w"], ["y"]), (4, 1, 2, 2, 2), 0, (1, 4, 4, 4)),
    "transposed": lambda: _one(
        N("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2]), (3, 4, 2, 2), 1, (3, 4, 4)
    ),
    "LSTM": lambda: _recurrent("LSTM", 4),
    "GRU": lambda: _recurrent("GRU", 3),
    "RNN": lambda: _recurrent("RNN", 1),
    "Einsum": _einsum,
    "embedding, tied": _embedding,
    "embedding": _looked_up,
    "moved": _moved,
    "Constant": _constants,
    "functions": _functions,
    "branches": _branches,
    "listed as inputs": _listed,
    "doubles": _doubles,
    "halves": _halves,
    "several inputs and outputs": _several,
    "names that are taken": _names_taken,
    "turned by the caller": _by_caller,
    "one number": _one_number,
}


def several_inputs() -> tuple[bytes, dict[str, Array], npt.NDArray[np.int64]]:
    """A classifier of words and numbers: its file, rows, and what it says of them."""
    rng = np.random.default_rng(5)
    nodes = [
        N("Gather", ["table", "words"], ["e"]),
        N("ReduceMean", ["e"], ["m"], axes=[1], keepdims=0),
        N("Concat", ["m", "numbers"], ["h"], axis=1),
        N("Sin", ["h"], ["g"]),
        N("MatMul", ["g", "w"], ["y"]),
    ]
    arrays = {
        "table": rng.normal(size=(40, 6)).astype(np.float32),
        "w": rng.normal(size=(9, 3)).astype(np.float32),
    }
    inputs = {"words": ["n", 4], "numbers": ["n", 3]}
    model = graph_of(nodes, arrays, inputs, types={"words": TensorProto.INT64})
    data: bytes = model.SerializeToString()
    rows = {
        "words": rng.integers(0, 40, (300, 4)),
        "numbers": rng.normal(size=(300, 3)).astype(np.float32),
    }
    (scores,) = ort.InferenceSession(data).run(None, rows)
    return data, rows, scores.argmax(1)


def npz(**arrays: Array) -> bytes:
    """Arrays as a file."""
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()
