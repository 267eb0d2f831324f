"""The graph of an uploaded model made anew, node by node, from its scores back to its features.

What each operator becomes is in `paretoscope.uploads.rewrites`. All that is made is bounded, for it
is made and scored in the server: a file can say the same weight, or the same wide row, again and
again.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from paretoscope.base.errors import ParetoscopeError
from paretoscope.network.network import IR_VERSION, OPSET
from paretoscope.network.windows import Window
from paretoscope.problems.problem import Problem
from paretoscope.problems.problems import names_of
from paretoscope.uploads.gate import Input, shown

N_ROWS = 7_919  # stands for the number of rows in a shape: a prime, so that no product hides it
_MOST_VALUES = 2**18  # of one row between two layers, receptive fields counted: 1 GB for 1,000 rows
_MOST_IN_ALL = 2**23  # of one row in the whole graph
_MOST_WEIGHTS = 2**25  # where a graph uses one twice, each is a weight of its own
_MOST_NODES = 5_000
_MOST_WAITING = 100_000
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_SCORES_PLACE = 1  # of a LinearClassifier's outputs, behind its labels
_ALIASES = ("Identity", "Dropout", "Cast")
# What older exports make a Reshape's shape of; done at once where all it takes is known.
_ON_SHAPES = ("Gather", "Concat", "Slice", "Mul")
_LONGEST_SHAPE = 64
# What is done at once with constants of any size: what leaves their numbers as they are, what makes
# fewer of them, and arithmetic.
_REARRANGING = (
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Identity", "Concat",
)  # fmt: skip
_REDUCING = (
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare",
    "LpNormalization", "Softmax", "QuantizeLinear", "DequantizeLinear",
)  # fmt: skip
_ARITHMETIC = (
    "Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Neg", "Abs", "Sign", "Reciprocal", "Sqrt",
    "Exp", "Log", "Round", "Floor", "Ceil", "Clip", "Sigmoid", "Tanh", "Relu", "Equal", "Greater",
    "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Where",
)  # fmt: skip
_ON_CONSTANTS = frozenset((*_REARRANGING, *_REDUCING, *_ARITHMETIC, "MatMul", "Gemm"))
_MOST_PRODUCTS = 2**28  # of numbers, in all products of constants

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
WHOLE = (TensorProto.INT64, TensorProto.INT32)

Array = npt.NDArray[Any]
Rewrite = Callable[["Rewriting", onnx.NodeProto, list[str]], str]


class CannotCompressError(ParetoscopeError):
    """A node stands in the way of compressing a model.

    Attributes
    ----------
    operator, node : str
        Its operator, and its name or, where it has none, that of its output.
    """

    def __init__(self, why: str, node: onnx.NodeProto) -> None:
        super().__init__(why)
        self.operator = node.op_type
        self.node = node.name or next(iter(node.output), "")


@dataclass
class _Dense:
    """A layer just made, to which batch normalisation may still be added."""

    weight: str
    bias: str
    axis: int  # of outputs


class Rewriting:
    """Makes the new graph, from the scores back to the features, by a rewrite for each operator."""

    def __init__(
        self,
        model: onnx.ModelProto,
        given: Input,
        width: int,
        rewrites: Mapping[str, Rewrite],
    ) -> None:
        graph = model.graph
        self._rewrites = rewrites
        self._makers = {name: node for node in graph.node for name in node.output}
        self._arrays = {t.name: _as_floats(numpy_helper.to_array(t)) for t in graph.initializer}
        self._input, self._width = given, width
        self._opsets = model.opset_import
        self._known = {*rewrites, *_ON_SHAPES, *_ON_CONSTANTS}
        self._copied: dict[str, str] = {}  # what Identity gives again: the first of each chain
        self._roots: dict[str, str] = {}  # of values that are other names of one; nodes are sorted
        for node in graph.node:
            if node.op_type in _ALIASES and node.input:
                self._roots[node.output[0]] = self._root(node.input[0])
                if node.op_type == "Identity":
                    self._copied[node.output[0]] = self._copied.get(node.input[0], node.input[0])
        self._uses = Counter(
            self._root(name)
            for node in graph.node
            if node.op_type not in _ALIASES
            for name in node.input
        )
        self._uses.update(self._root(output.name) for output in graph.output)
        self._made: dict[str, str] = {}
        self._layers: dict[str, _Dense] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}  # of one row of each new value
        self.nodes: list[onnx.NodeProto] = []
        self._n_values = self._n_weights = self._n_settled = self._n_products = 0
        self.constants: dict[str, Array] = {}

    @property
    def stated_rows(self) -> int | None:
        """Rows of each call, where the input states them."""
        return self._input.shape[0] if self._input.shape else None

    def _root(self, name: str) -> str:
        """The value that a value is another name of."""
        return self._roots.get(name, name)

    def is_for_one(self, name: str) -> bool:
        """Whether a value of the old graph is used once, so that what follows may be folded in."""
        return self._uses[self._root(name)] == 1

    def array(self, name: str) -> Array | None:
        """A constant of the old graph, as float32 where it is floats."""
        name = self._copied.get(name, name)
        if name not in self._arrays and name in self._makers:
            node = self._makers[name]
            if node.op_type == "Constant" and (found := _value_of(node)) is not None:
                self._arrays[name] = found
        return self._arrays.get(name)

    def value(self, name: str) -> str:
        """The new graph's value for one of the old graph, made where it is not there yet.

        Deep graphs are walked with a stack of their own, not Python's.
        """
        stack = [name]
        while stack:
            at = stack[-1]
            if at in self._made:
                stack.pop()
                continue
            if at == self._input.name:
                self._made[at] = self._features()
                continue
            node = self._makers.get(at)
            if node is None:
                raise ParetoscopeError(f"nothing makes '{shown(at)}'")
            self._require_known(node, at)
            waiting = [i for i in node.input if i and self.array(i) is None and i not in self._made]
            if waiting:
                stack += waiting
                if len(stack) > _MOST_WAITING:
                    raise ParetoscopeError("the graph is too deep")
                continue
            if self._settle(node):
                self._made[at] = ""  # a constant by now
                continue
            if node.op_type not in self._rewrites:
                raise self._unknown(node)
            try:
                self._made[at] = self._rewrites[node.op_type](self, node, list(node.input))
            except ParetoscopeError as error:
                raise CannotCompressError(str(error), node) from error
        return self.made(name)

    def made(self, name: str) -> str:
        """The new graph's value for one of the old that was made before.

        Raises
        ------
        ParetoscopeError
            It is a constant.
        """
        if not self._made.get(name):
            raise ParetoscopeError(
                f"'{shown(name)}' is a constant where values of rows are wanted, or made of "
                "constants in a way that is not computed here"
            )
        return self._made[name]

    def _require_known(self, node: onnx.NodeProto, wanted: str) -> None:
        """That a node is of ONNX's own operators, and its main output is what is wanted."""
        if node.domain not in DOMAINS or node.op_type not in self._known:
            raise self._unknown(node)
        place = _SCORES_PLACE if node.op_type == "LinearClassifier" else 0
        if node.output[place] != wanted:
            raise CannotCompressError(
                f"the model takes another output of a {node.op_type} than usual", node
            )

    def _unknown(self, node: onnx.NodeProto) -> ParetoscopeError:
        return CannotCompressError(
            f"the operator {shown(node.op_type)} is not among those whose models can be compressed "
            "here: the model is run and judged, but no recipe changes it",
            node,
        )

    def _settle(self, node: onnx.NodeProto) -> bool:
        """Compute what a node makes of shapes or constants, where they are known."""
        if node.op_type == "Shape" and node.input[0] in self._made:
            given = attributes_of(node)
            shape = np.array([N_ROWS, *self.shapes[self._made[node.input[0]]]])
            self._arrays[node.output[0]] = shape[given.get("start", 0) : given.get("end")]
            return True
        arrays = {name: self.array(name) for name in node.input if name}
        known = {name: array for name, array in arrays.items() if array is not None}
        if len(known) < len(arrays) or not known:
            return False
        if node.op_type not in _ON_CONSTANTS or self._may_stand_for_rows(node, known):
            # Shapes are worked with in other ways, too, and may hold the number of rows.
            short = all(a.dtype.kind == "i" and a.size <= _LONGEST_SHAPE for a in known.values())
            if node.op_type not in _ON_SHAPES or not short:
                return False
        if node.op_type == "Cast" and not self._may_cast(node, known):
            return False
        self._require_little_work(node, list(known.values()))
        self._n_settled += sum(array.size for array in known.values())
        if self._n_settled > _MOST_WEIGHTS:
            raise ParetoscopeError("the graph makes more constants than are taken here")
        empty = helper.make_empty_tensor_value_info
        graph = helper.make_graph([node], "one", [*map(empty, known)], [empty(node.output[0])])
        rounds = node.op_type in ("QuantizeLinear", "DequantizeLinear")  # has no older one
        opsets = [helper.make_opsetid("", OPSET)] if rounds else self._opsets
        one = helper.make_model(graph, opset_imports=opsets)
        (made,) = ReferenceEvaluator(one).run(None, known)
        self._arrays[node.output[0]] = _as_floats(np.asarray(made))
        return True

    def _may_stand_for_rows(self, node: onnx.NodeProto, known: Mapping[str, Array]) -> bool:
        """Whether whole numbers are computed with among which the number of rows may be."""
        if node.op_type in _REARRANGING and node.op_type != "Concat":
            return False
        whole = (a for a in known.values() if a.dtype in (np.int64, np.int32))
        small = [a for a in whole if a.size <= _LONGEST_SHAPE]
        return any(((a != 0) & (a % N_ROWS == 0)).any() for a in small)

    def _require_little_work(self, node: onnx.NodeProto, arrays: Sequence[Array]) -> None:
        """That what is made of constants is no larger than a model's weights may be."""
        n_made = sum(array.size for array in arrays)
        if node.op_type in ("MatMul", "Gemm"):
            if any(a.ndim != 2 for a in arrays[:2]):
                raise CannotCompressError("a product of constants is of other than matrices", node)
            self._n_products += arrays[0].size * max(arrays[1].shape)
            n_made += max(arrays[0].shape) * max(arrays[1].shape)
        elif node.op_type in _ARITHMETIC:
            with contextlib.suppress(ValueError):  # they do not fit, which is said where they meet
                n_made += math.prod(np.broadcast_shapes(*(a.shape for a in arrays)))
        if n_made > _MOST_WEIGHTS or self._n_products > _MOST_PRODUCTS:
            raise CannotCompressError("the graph makes more constants than are taken here", node)

    def _may_cast(self, node: onnx.NodeProto, known: Mapping[str, Array]) -> bool:
        """Whether a Cast of constants leaves numbers, and none that stands for the rows becomes a
        number to compute with."""
        kind = attributes_of(node).get("to")
        has_rows = any(a.size <= _LONGEST_SHAPE and (a == N_ROWS).any() for a in known.values())
        return kind in WHOLE or (kind in FLOATS and not has_rows)

    def op(self, op_type: str, *inputs: str, shape: tuple[int, ...], **attributes: Any) -> str:
        """A new node; `shape` is that of one row of its output."""
        if min(shape, default=1) < 1:
            raise ParetoscopeError(f"rows are too small for a {op_type}: nothing is left of them")
        if math.prod(shape) > _MOST_VALUES:
            raise ParetoscopeError(
                f"a row has {math.prod(shape):,} values behind a {op_type}; models of up to "
                f"{_MOST_VALUES:,} are compressed here"
            )
        self._count(math.prod(shape))
        number = len(self.nodes)
        if number >= _MOST_NODES:
            raise ParetoscopeError(
                f"the graph has more than {_MOST_NODES:,} operators; models of up to that are "
                "compressed here"
            )
        node = helper.make_node(op_type, list(inputs), [f"v{number}"], f"n{number}", **attributes)
        self.nodes.append(node)
        self.shapes[f"v{number}"] = shape
        return f"v{number}"

    def constant(self, name: str, array: Array) -> str:
        kind = np.int64 if array.dtype.kind in "iu" else np.float32
        self._n_weights += array.size
        if self._n_weights > _MOST_WEIGHTS:
            raise ParetoscopeError(
                f"the layers have more than {_MOST_WEIGHTS:,} weights; models of up to that are "
                "compressed here"
            )
        self.constants[name] = np.asarray(array, kind, order="C")
        return name

    def dense(self, x: str, weight: Array, bias: Array | None) -> str:
        name = f"dense{len(self._layers) + 1}"
        bias = np.zeros(weight.shape[1], np.float32) if bias is None else bias
        if self.shapes[x] != (len(weight),):
            raise ParetoscopeError(
                f"a dense layer takes {len(weight):,} values a row and is given "
                f"{' × '.join(map(str, self.shapes[x]))}"
            )
        wide = (weight.shape[1],)
        product = self.op("MatMul", x, self.constant(name, weight), shape=wide)
        if bias.ndim and bias.size != bias.shape[-1]:
            raise ParetoscopeError("a dense layer has a bias for each row")
        spread = np.broadcast_to(bias.ravel(), weight.shape[1:])
        found = self.op("Add", product, self.constant(f"{name}.bias", spread), shape=wide)
        self._layers[found] = _Dense(name, f"{name}.bias", 1)
        return found

    def convolution(
        self, x: str, weight: Array, bias: Array | None, window: dict[str, Any], groups: int
    ) -> str:
        name = f"conv{len(self._layers) + 1}"
        bias = np.zeros(len(weight), np.float32) if bias is None else bias
        constants = self.constant(name, weight), self.constant(f"{name}.bias", bias)
        if groups < 1 or self.shapes[x][0] != weight.shape[1] * groups or len(weight) % groups:
            raise ParetoscopeError("a convolution is given other than images of its channels")
        height, width = self.windowed(x, window)
        shape = len(weight), height, width
        split = {"group": groups} if groups > 1 else {}
        found = self.op("Conv", x, *constants, shape=shape, **window, **split)
        self._layers[found] = _Dense(name, f"{name}.bias", 0)
        return found

    def windowed(self, x: str, attributes: Mapping[str, Any]) -> tuple[int, int]:
        """Height and width behind a convolution or a pooling."""
        kernel, pads = attributes["kernel_shape"], attributes["pads"]
        sane = len(kernel) == 2 and len(pads) == 4 and len(attributes["strides"]) == 2
        if not sane or min(*kernel, *attributes["strides"]) < 1:
            raise ParetoscopeError("a window has other than two sides")
        if any(not 0 <= pad < side for pad, side in zip(pads, [*kernel, *kernel], strict=True)):
            raise ParetoscopeError("a window has pads as large as itself")
        strides = attributes["strides"]
        window = Window((kernel[0], kernel[1]), (strides[0], strides[1]), tuple(pads))
        height, width = window.output_shape(*self.shapes[x][1:])
        n = height * width * math.prod(kernel) * self.shapes[x][0]
        if n > _MOST_VALUES:
            raise ParetoscopeError(
                "windows over images of this size are too large to be taken here"
            )
        self._count(n)
        return height, width

    def _count(self, n_values: int) -> None:
        """So many more values of a row are computed."""
        self._n_values += n_values
        if self._n_values > _MOST_IN_ALL:
            raise ParetoscopeError(
                f"a row has more than {_MOST_IN_ALL:,} values in all layers together; models of up "
                "to that are compressed here"
            )

    def layer(self, value: str) -> _Dense | None:
        return self._layers.get(value)

    def _features(self) -> str:
        dims = self._input.row(self._width)
        self.shapes["features"] = (self._width,)
        if len(dims) == 1:
            return "features"
        if len(dims) != 3:
            sides = " × ".join(map(str, dims))
            raise ParetoscopeError(
                f"rows of the input are neither a table nor images but of {sides} values, as "
                "sequences are: such models are run and judged, but not compressed here"
            )
        place = self.constant("image_shape", np.array([-1, *dims]))
        return self.op("Reshape", "features", place, shape=dims)

    def finish(
        self,
        scores: str,
        classes: Sequence[str],
        order: Sequence[int] | None = None,
        cut: float = 0.0,
        predicts: Problem | None = None,
    ) -> bytes:
        """The new graph's bytes. One score above `cut` tells the second of two classes; where
        a problem is given, the outputs are the numbers that it `predicts`."""
        n_scores = self._n_scores(scores)
        if not self._layers:
            raise ParetoscopeError("the model has no weights that could be compressed")
        n_outputs = max(2, n_scores) if predicts is None else n_scores
        order = range(n_outputs) if order is None else order
        if sorted(order) != list(range(n_outputs)):
            raise ParetoscopeError(f"{len(order)} classes are named, the model has {n_scores}")
        if n_scores == 1 and predicts is None:
            if cut and scores in self._layers:
                bias = self._layers[scores].bias
                self.constants[bias] = (self.constants[bias] - cut).astype(np.float32)
            elif cut:
                shift = self.constant("cut", np.array([cut], np.float32))
                scores = self.op("Sub", scores, shift, shape=(1,))
            halves = np.array([[-0.5, 0.5]], np.float32)[:, list(order)]
            scores = self.op("Mul", scores, self.constant("two_classes", halves), shape=(2,))
        elif list(order) != sorted(order):
            scores = self._in_order(scores, list(order))
        self._tie()
        for node in self.nodes:
            if node.output[0] == scores:
                node.output[0] = "scores"
        graph = helper.make_graph(
            self.nodes,
            "paretoscope",
            [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["n", self._width])],
            [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["n", n_outputs])],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="paretoscope",
        )
        named = {"classes": json.dumps(list(classes))}
        if predicts is not None:
            named = names_of(predicts)
        helper.set_model_props(made, {"model": "uploaded", **named})
        written: bytes = made.SerializeToString(deterministic=True)
        return written

    def _tie(self) -> None:
        """Let layers of the same weights share them: they are counted, coded and stored once."""
        first: dict[tuple[tuple[int, ...], bytes], str] = {}
        same: dict[str, str] = {}
        for layer in self._layers.values():
            array = self.constants[layer.weight]
            kept = first.setdefault((array.shape, array.tobytes()), layer.weight)
            if kept != layer.weight:
                same[layer.weight] = kept
                del self.constants[layer.weight]
        for node in self.nodes:
            for place, name in enumerate(node.input):
                node.input[place] = same.get(name, name)

    def _in_order(self, scores: str, order: list[int]) -> str:
        """Scores in another order, by that of the last layer's columns where there is one."""
        layer = self._layers.get(scores)
        if layer is None or layer.axis != 1:
            place = self.constant("order", np.array(order))
            return self.op("Gather", scores, place, shape=(len(order),), axis=1)
        for name in (layer.weight, layer.bias):
            self.constants[name] = np.ascontiguousarray(self.constants[name][..., order])
        return scores

    def _n_scores(self, scores: str) -> int:
        shape = self.shapes[scores]
        if len(shape) != 1:
            raise ParetoscopeError("the model's scores are no table of rows and classes")
        return shape[0]


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _value_of(constant: onnx.NodeProto) -> Array | None:
    """The value of a Constant node, in any of the forms for numbers."""
    for name, value in attributes_of(constant).items():
        if name == "value":
            return _as_floats(numpy_helper.to_array(value))
        if name in ("value_float", "value_floats"):
            return np.array(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.array(value, np.int64)
    return None


def _as_floats(array: Array) -> Array:
    """float32 where it is floats of any size."""
    return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array
