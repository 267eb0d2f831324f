"""Uploaded ONNX models as networks: the graph rewritten so that its weights can be compressed.

Weights in Constant nodes, Gemm in either layout, batch normalisation, scikit-learn's linear
classifiers and scalers become dense layers and convolutions. What stands between them may branch
and join again, as in residual networks. Softmax and what makes labels of scores is cut off. What is
not among that says which operator stands in the way: such a model still runs, is measured and
judged, but no recipe changes it.

To add an operator, write ``(_Rewriting, node, inputs) -> value`` and name it at the foot.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from paretoscope.dataset import Dataset
from paretoscope.errors import ParetoscopeError
from paretoscope.network import IR_VERSION, OPSET, Network
from paretoscope.uploads.gate import shown
from paretoscope.uploads.models import Model, predict
from paretoscope.uploads.skops_files import read_skops
from paretoscope.windows import Window

_ROWS_COMPARED = 1_000
_MOST_VALUES = 2**18  # of one row between two layers, receptive fields counted: 1 GB for 1,000 rows
_MOST_IN_ALL = 2**23  # of one row in the whole graph
_MOST_WEIGHTS = 2**25  # where a graph uses one twice, each is a weight of its own
_LABELS_APART = 0.005
# What makes probabilities or labels of scores, without changing which is largest.
_TAIL = (
    "Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "ZipMap", "Normalizer", "Cast", "Identity",
    "Dropout",
)  # fmt: skip

_ALIASES = ("Identity", "Dropout", "Cast")
# What older exports make a Reshape's shape of; done at once where all it takes is known.
_ON_SHAPES = ("Gather", "Concat", "Slice", "Cast", "Mul")
_N_ROWS = 7_919  # stands for the number of rows in a shape: a prime, so that no product hides it
_LONGEST_SHAPE = 64
_REARRANGING = ("Reshape", "Transpose", "Squeeze", "Unsqueeze")  # done at once with constants

Array = npt.NDArray[Any]


def network_for(model: Model, data: Dataset, names: Sequence[str] = ()) -> Network:
    """The network of an uploaded model, on a dataset whose classes are its scores in order.

    `names` says otherwise what the dataset calls the model's classes 0, 1, 2 ...

    Its labels are compared with those of the model as it was uploaded, in the sandbox, on rows of
    the dataset.

    Raises
    ------
    ParetoscopeError
        An operator that is not supported, another number of features or classes than the dataset
        has, names that are not the dataset's, or labels that differ.
    """
    if names and sorted(names) != sorted(data.class_names):
        known = ", ".join(map(shown, data.class_names[:10]))
        raise ParetoscopeError(f"each of the data's classes must be named once: {known}")
    order = [list(names).index(name) for name in data.class_names] if names else None
    network = to_network(model, data.class_names, data.raw.X.shape[1], order)
    _require_fit(network, data)
    rows = data.train.X[:_ROWS_COMPARED]
    theirs = predict(model, rows.astype(np.float64))["labels"]  # first: it has limits
    ours = network.scores(rows).argmax(1)
    places = {name: str(place) for place, name in enumerate(data.class_names)}
    if names:
        places = {str(place): places[name] for place, name in enumerate(names)}
    as_places = np.array([_place(label, places) for label in theirs])
    apart = float(np.mean(as_places != ours))
    if apart > _LABELS_APART:
        raise ParetoscopeError(
            f"rewritten for compression, the model gives other labels on {100 * apart:.1f} % of "
            f"{len(rows):,} rows, so it is not used"
        )
    return network


def _place(label: str, places: Mapping[str, str]) -> int:
    """A label as the place of its class, by name or as it is."""
    text = str(label)
    found = places.get(text, places.get(text.removesuffix(".0"), text))
    try:
        return int(float(found))
    except (ValueError, OverflowError):
        return -1


def skops_network_for(data: bytes, dataset: Dataset, names: Sequence[str] = ()) -> Network:
    """The network of a `.skops` file on a dataset; its classes are matched by name, or by their
    places where they are numbered from 0, or by the `names` that the dataset has for them."""
    network, _ = read_skops(data, dataset.class_names, names)
    _require_fit(network, dataset)
    return network


def _require_fit(network: Network, data: Dataset) -> None:
    n_features = data.raw.X.shape[1]
    if network.n_features != n_features:
        raise ParetoscopeError(
            f"the model takes {network.n_features} features, the data have {n_features}"
        )
    n_scores = network.scores(data.train.X[:1]).shape[1]
    if n_scores != len(data.class_names):
        raise ParetoscopeError(
            f"the model has {n_scores} scores, the data have {len(data.class_names)} classes"
        )


def to_network(
    model: Model,
    classes: Sequence[str] = (),
    n_features: int | None = None,
    order: Sequence[int] | None = None,
) -> Network:
    """The network of a model by itself.

    Parameters
    ----------
    model : Model
    classes : sequence of str
        Their names, for the network's metadata.
    n_features : int, optional
        Of the rows to come, where the model leaves that open.
    order : sequence of int, optional
        Which of the model's scores are to come first, second ...

    Raises
    ------
    ParetoscopeError
        An operator that is not supported, or several inputs.
    """
    width = model.width or n_features
    if len(model.passed.inputs) != 1:
        raise ParetoscopeError("models of several inputs are run, but not compressed")
    if width is None:
        raise ParetoscopeError("the model does not say how many features it takes")
    graph = onnx.load_model_from_string(model.onnx_bytes).graph
    try:
        rewriting = _Rewriting(graph, model, width)
        scores = rewriting.value(_scores(graph, model.output))
        return Network(rewriting.finish(scores, classes, order))
    except ParetoscopeError:
        raise
    except Exception as error:  # attributes that are missing, or of another kind than they must be
        raise ParetoscopeError(
            f"the model cannot be rewritten for compression ({type(error).__name__})"
        ) from error


def _scores(graph: onnx.GraphProto, chosen: str | None) -> str:
    """The value that holds scores: what stands before softmax and labels."""
    makers = {name: node for node in graph.node for name in node.output}
    outputs = [v for v in graph.output if _is_float(v)] or list(graph.output)
    name = chosen or outputs[-1].name
    while name in makers and makers[name].op_type in _TAIL:
        name = makers[name].input[0]
    return str(name)


def _is_float(value: onnx.ValueInfoProto) -> bool:
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
    return not value.type.HasField("tensor_type") or value.type.tensor_type.elem_type in floats


@dataclass
class _Dense:
    """A layer just made, to which batch normalisation may still be added."""

    weight: str
    bias: str
    axis: int  # of outputs


class _Rewriting:
    """Makes the new graph, from the scores back to the features."""

    def __init__(self, graph: onnx.GraphProto, model: Model, width: int) -> None:
        self._makers = {name: node for node in graph.node for name in node.output}
        self._arrays: dict[str, Array] = {
            t.name: numpy_helper.to_array(t) for t in graph.initializer
        }
        self._input, self._width = model.passed.inputs[0], width
        self._opsets = model.passed.model.opset_import
        self._roots: dict[str, str] = {}  # of values that are other names of one; nodes are sorted
        for node in graph.node:
            if node.op_type in _ALIASES and node.input:
                self._roots |= dict.fromkeys(node.output, self._root(node.input[0]))
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
        self._n_values = self._n_weights = 0
        self.constants: dict[str, Array] = {}

    def _root(self, name: str) -> str:
        """The value that a value is another name of."""
        return self._roots.get(name, name)

    def is_for_one(self, name: str) -> bool:
        """Whether a value of the old graph is used once, so that what follows may be folded in."""
        return self._uses[self._root(name)] == 1

    def array(self, name: str) -> Array | None:
        """A constant of the old graph, as float32 where it is floats."""
        if name not in self._arrays and name in self._makers:
            node = self._makers[name]
            if node.op_type == "Constant":
                values = [a for a in node.attribute if a.name == "value"]
                if values:
                    self._arrays[name] = numpy_helper.to_array(values[0].t)
            elif node.op_type == "Identity" and (of := self.array(node.input[0])) is not None:
                self._arrays[name] = of
        found = self._arrays.get(name)
        return found.astype(np.float32) if found is not None and found.dtype.kind == "f" else found

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
            waiting = [i for i in node.input if i and self.array(i) is None and i not in self._made]
            if waiting and node.op_type in {*OPERATORS, *_ON_SHAPES, *_REARRANGING}:
                stack += waiting
                if len(stack) > 100_000:
                    raise ParetoscopeError("the graph is too deep")
                continue
            if self._settle(node):
                self._made[at] = ""  # a constant by now
                continue
            rewrite = OPERATORS.get(node.op_type)
            if rewrite is None:
                raise ParetoscopeError(
                    f"the operator {shown(node.op_type)} is not among those whose models can be "
                    "compressed here: the model is run and judged, but no recipe changes it"
                )
            self._made[at] = rewrite(self, node, list(node.input))
        return self._made[name]

    def made(self, name: str) -> str:
        return self._made[name]

    def _settle(self, node: onnx.NodeProto) -> bool:
        """Compute what a node makes of shapes or constants, where they are known."""
        if node.op_type == "Shape" and node.input[0] in self._made:
            given = _attributes(node)
            shape = np.array([_N_ROWS, *self.shapes[self._made[node.input[0]]]])
            self._arrays[node.output[0]] = shape[given.get("start", 0) : given.get("end")]
            return True
        arrays = {name: self.array(name) for name in node.input if name}
        known = {name: array for name, array in arrays.items() if array is not None}
        shapes = all(a.dtype.kind == "i" and a.size <= _LONGEST_SHAPE for a in known.values())
        may = node.op_type in _REARRANGING or (node.op_type in _ON_SHAPES and shapes)
        if not may or len(known) < len(arrays):
            return False
        empty = helper.make_empty_tensor_value_info
        graph = helper.make_graph([node], "one", [*map(empty, known)], [empty(node.output[0])])
        one = helper.make_model(graph, opset_imports=self._opsets)
        (found,) = ReferenceEvaluator(one).run(None, known)
        self._arrays[node.output[0]] = np.asarray(found)
        return True

    def op(self, op_type: str, *inputs: str, shape: tuple[int, ...], **attributes: Any) -> str:
        """A new node; `shape` is that of one row of its output."""
        if min(shape, default=1) < 1:
            raise ParetoscopeError(f"rows are too small for a {op_type}: nothing is left of them")
        if math.prod(shape) > _MOST_VALUES:
            raise ParetoscopeError(
                f"a row has {math.prod(shape):,} values behind a {op_type}; models of up to "
                f"{_MOST_VALUES:,} are compressed here"
            )
        self._n_values += math.prod(shape)
        if self._n_values > _MOST_IN_ALL:
            raise ParetoscopeError(
                f"a row has more than {_MOST_IN_ALL:,} values in all layers together; models of up "
                "to that are compressed here"
            )
        number = len(self.nodes)
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
        if height * width * weight[0].size * groups > _MOST_VALUES:
            raise ParetoscopeError("a convolution is too large to be compressed here")
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
        return window.output_shape(*self.shapes[x][1:])

    def layer(self, value: str) -> _Dense | None:
        return self._layers.get(value)

    def _features(self) -> str:
        dims = self._input.row(self._width)
        self.shapes["features"] = (self._width,)
        if len(dims) == 1:
            return "features"
        if len(dims) != 3:
            raise ParetoscopeError("rows of the input are neither a table nor images")
        place = self.constant("image_shape", np.array([-1, *dims]))
        return self.op("Reshape", "features", place, shape=dims)

    def finish(
        self, scores: str, classes: Sequence[str], order: Sequence[int] | None = None
    ) -> bytes:
        n_scores = self._n_scores(scores)
        order = range(max(2, n_scores)) if order is None else order
        if sorted(order) != list(range(max(2, n_scores))):
            raise ParetoscopeError(f"{len(order)} classes are named, the model has {n_scores}")
        if n_scores == 1:
            halves = np.array([[-0.5, 0.5]], np.float32)[:, list(order)]
            scores = self.op("Mul", scores, self.constant("two_classes", halves), shape=(2,))
        elif list(order) != sorted(order):
            scores = self._in_order(scores, list(order))
        for node in self.nodes:
            if node.output[0] == scores:
                node.output[0] = "scores"
        graph = helper.make_graph(
            self.nodes,
            "paretoscope",
            [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["n", self._width])],
            [
                helper.make_tensor_value_info(
                    "scores", onnx.TensorProto.FLOAT, ["n", max(2, n_scores)]
                )
            ],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="paretoscope",
        )
        helper.set_model_props(made, {"model": "uploaded", "classes": json.dumps(list(classes))})
        written: bytes = made.SerializeToString(deterministic=True)
        return written

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


# --- operators ------------------------------------------------------------------------------------

_Rewrite = Callable[[_Rewriting, onnx.NodeProto, list[str]], str]


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _alias(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    return to.made(inputs[0])


def _gemm(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    given = _attributes(node)
    weight = to.array(inputs[1])
    bias = to.array(inputs[2]) if len(inputs) > 2 and inputs[2] else None
    if weight is None or weight.ndim != 2 or given.get("transA") or to.array(inputs[0]) is not None:
        raise ParetoscopeError("a Gemm has no constant matrix of weights on its right")
    weight = weight.T if given.get("transB") else weight
    alpha, beta = np.float32(given.get("alpha", 1.0)), np.float32(given.get("beta", 1.0))
    return to.dense(to.made(inputs[0]), weight * alpha, None if bias is None else bias * beta)


def _matmul(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    weight = to.array(inputs[1])
    if weight is None or weight.ndim != 2:
        raise ParetoscopeError("a MatMul has no constant matrix of weights on its right")
    return to.dense(to.made(inputs[0]), weight, None)


def _add(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    x, other = (inputs[0], to.array(inputs[1]))
    if other is None:
        x, other = inputs[1], to.array(inputs[0])
    if other is None:
        return _of_two(to, node, inputs)
    layer = to.layer(to.made(x))
    folds = layer is not None and layer.axis == 1 and to.is_for_one(x)
    if layer is not None and folds and other.size == to.constants[layer.bias].size:
        to.constants[layer.bias] = to.constants[layer.bias] + other.ravel().astype(np.float32)
        return to.made(x)
    return _elementwise(to, "Sub", to.made(x), -other)


def _elementwise(to: _Rewriting, op_type: str, x: str, other: Array) -> str:
    """An operation with a constant that leaves the shape as it is."""
    try:
        same = np.broadcast_shapes((1, *to.shapes[x]), other.shape) == (1, *to.shapes[x])
    except ValueError:
        same = False
    if not same:
        raise ParetoscopeError(f"a {op_type} changes the shape of its values")
    constant = to.constant(f"c{len(to.constants)}", other.astype(np.float32))
    return to.op(op_type, x, constant, shape=to.shapes[x])


def _scaling(sign: str) -> _Rewrite:
    def rewrite(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
        x, other = inputs[0], to.array(inputs[1])
        if other is None and sign == "Mul":
            x, other = inputs[1], to.array(inputs[0])
        if other is None and to.array(inputs[0]) is None:
            return _of_two(to, node, inputs)
        if other is None:
            raise ParetoscopeError(f"a {node.op_type} has its constant on its left")
        other = other.astype(np.float32)
        op_type, other = ("Mul", 1 / other) if sign == "Div" else (sign, other)
        return _elementwise(to, op_type, to.made(x), other)

    return rewrite


def _of_two(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """An operation with two of the graph's own values, as in residual networks and gates."""
    a, b = map(to.made, inputs)
    first, second = to.shapes[a], to.shapes[b]
    try:
        shape = np.broadcast_shapes(first, second)
    except ValueError:
        shape = ()
    if len(first) != len(second) or len(shape) != len(first):
        raise ParetoscopeError(f"a {node.op_type} joins values of other shapes")
    return to.op(node.op_type, a, b, shape=shape)


def _activation(*names: str) -> _Rewrite:
    """A function of each value by itself, with its attributes."""

    def rewrite(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
        x, given = to.made(inputs[0]), _attributes(node)
        own = {name: given[name] for name in names if name in given}
        return to.op(node.op_type, x, shape=to.shapes[x], **own)

    return rewrite


def _clip(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Its bounds are attributes up to opset 10, and inputs since."""
    given, most = _attributes(node), np.finfo(np.float32).max
    bounds = [np.float32(given.get("min", -most)), np.float32(given.get("max", most))]
    for place, name in enumerate(inputs[1:3]):
        if name:
            bound = to.array(name)
            if bound is None or bound.size != 1:
                raise ParetoscopeError("a Clip's bounds are made at run time")
            bounds[place] = np.float32(bound.ravel()[0])
    x = to.made(inputs[0])
    places = [to.constant(f"c{len(to.constants)}", np.asarray(bound)) for bound in bounds]
    return to.op("Clip", x, *places, shape=to.shapes[x])


def _prelu(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    slope = to.array(inputs[1])
    if slope is None:
        raise ParetoscopeError("a PRelu's slope is made at run time")
    return _elementwise(to, "PRelu", to.made(inputs[0]), slope)


def _flatten(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    if _attributes(node).get("axis", 1) != 1:
        raise ParetoscopeError("a Flatten does not keep rows apart")
    return _flat(to, to.made(inputs[0]))


def _flat(to: _Rewriting, x: str) -> str:
    return to.op("Flatten", x, shape=(math.prod(to.shapes[x]),))


def _reshape(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    shape = to.array(inputs[1])
    if shape is None or shape.size < 2:
        raise ParetoscopeError("a Reshape's shape is made at run time")
    x = to.made(inputs[0])
    if shape.size == 2:
        return _flat(to, x)
    n, dims = math.prod(to.shapes[x]), [int(d) for d in shape.ravel()[1:]]
    known = math.prod(d for d in dims if d > 0)
    dims = [d if d > 0 else n // known for d in dims]
    if sum(d < 1 for d in shape.ravel()[1:]) > 1 or math.prod(dims) != n:
        raise ParetoscopeError("a Reshape does not keep rows apart")
    return _shaped(to, x, dims)


def _shaped(to: _Rewriting, x: str, dims: Sequence[int]) -> str:
    if len(dims) <= 1:
        return _flat(to, x)
    place = to.constant(f"s{len(to.constants)}", np.array([-1, *dims]))
    return to.op("Reshape", x, place, shape=tuple(dims))


def _conv(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    given, weight = _attributes(node), to.array(inputs[1])
    bias = to.array(inputs[2]) if len(inputs) > 2 and inputs[2] else None
    if weight is None or weight.ndim != 4:
        raise ParetoscopeError("a Conv has no constant weights for images")
    if set(given.get("dilations", [1])) != {1}:
        raise ParetoscopeError("convolutions with dilations are not compressed here")
    x = _images(to, node, inputs)
    window = _window(given, weight.shape[2:], to.shapes[x])
    return to.convolution(x, weight, bias, window, int(given.get("group", 1)))


def _pool(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    given, x = _attributes(node), _images(to, node, inputs)
    if given.get("ceil_mode") or set(given.get("dilations", [1])) != {1}:
        raise ParetoscopeError(f"a {node.op_type} rounds up or has dilations")
    window = _window(given, given["kernel_shape"], to.shapes[x])
    shape = to.shapes[x][0], *to.windowed(x, window)
    if node.op_type == "AveragePool":
        window["count_include_pad"] = int(bool(given.get("count_include_pad", 0)))
    return to.op(node.op_type, x, shape=shape, **window)


def _pool_all(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    x = _images(to, node, inputs)
    return to.op(node.op_type, x, shape=(to.shapes[x][0], 1, 1))


def _mean(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Of images over height and width, as PyTorch writes ``x.mean((2, 3))``."""
    x, given = _images(to, node, inputs), _attributes(node)
    axes = to.array(inputs[1]) if len(inputs) > 1 and inputs[1] else np.array(given.get("axes", ()))
    if axes is None or sorted(int(axis) % 4 for axis in axes.ravel()) != [2, 3]:
        raise ParetoscopeError("a ReduceMean is over other than height and width")
    pooled = to.op("GlobalAveragePool", x, shape=(to.shapes[x][0], 1, 1))
    return pooled if given.get("keepdims", 1) else _flat(to, pooled)


def _concat(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    if any(to.array(name) is not None for name in inputs):
        raise ParetoscopeError("a Concat joins a constant")
    values = [to.made(name) for name in inputs]
    shapes = [to.shapes[value] for value in values]
    n_axes = len(shapes[0]) + 1
    axis = int(_attributes(node)["axis"]) % n_axes
    rest = {shape[: axis - 1] + shape[axis:] for shape in shapes}
    if axis == 0 or len(rest) != 1 or {len(shape) for shape in shapes} != {n_axes - 1}:
        raise ParetoscopeError("a Concat joins values of other shapes")
    total = sum(shape[axis - 1] for shape in shapes)
    shape = (*shapes[0][: axis - 1], total, *shapes[0][axis:])
    return to.op("Concat", *values, shape=shape, axis=axis)


def _transpose(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    x = to.made(inputs[0])
    n_axes = len(to.shapes[x]) + 1
    order = list(_attributes(node).get("perm", range(n_axes - 1, -1, -1)))
    if sorted(order) != list(range(n_axes)) or order[0] != 0:
        raise ParetoscopeError("a Transpose does not keep rows apart")
    shape = tuple(to.shapes[x][axis - 1] for axis in order[1:])
    return to.op("Transpose", x, shape=shape, perm=order)


def _squeeze(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Its axes are an attribute up to opset 12, and an input since."""
    x, given = to.made(inputs[0]), _attributes(node).get("axes")
    sides = (0, *to.shapes[x])
    axes = to.array(inputs[1]) if len(inputs) > 1 and inputs[1] else np.array(given or ())
    if axes is None or not axes.size:
        raise ParetoscopeError("a Squeeze does not state its axes")
    gone = {int(axis) % len(sides) for axis in axes.ravel()}
    if any(sides[axis] != 1 for axis in gone):
        raise ParetoscopeError("a Squeeze takes away more than sides of 1")
    left = [side for axis, side in enumerate(sides) if axis and axis not in gone]
    return _shaped(to, x, left)


def _pad(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """With a constant; the pads are an attribute up to opset 10, and an input since."""
    x, given = to.made(inputs[0]), _attributes(node)
    n_axes = len(to.shapes[x]) + 1
    pads = to.array(inputs[1]) if len(inputs) > 1 else np.array(given.get("pads", ()))
    fill = to.array(inputs[2]) if len(inputs) > 2 and inputs[2] else np.array(given.get("value", 0))
    if given.get("mode", b"constant") != b"constant" or pads is None or fill is None:
        raise ParetoscopeError("a Pad is by other than a constant")
    if pads.shape != (2 * n_axes,) or pads.min() < 0 or pads[0] or pads[n_axes] or len(inputs) > 3:
        raise ParetoscopeError("a Pad cuts off, or does not keep rows apart")
    sides = zip(to.shapes[x], pads[1:n_axes], pads[n_axes + 1 :], strict=True)
    shape = tuple(side + int(before) + int(after) for side, before, after in sides)
    places = to.constant(f"s{len(to.constants)}", pads.astype(np.int64))
    value = to.constant(f"c{len(to.constants)}", np.asarray(fill, np.float32).reshape(()))
    return to.op("Pad", x, places, value, shape=shape)


def _sum(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Of two, as older residual networks have it."""
    if len(inputs) != 2:
        raise ParetoscopeError("a Sum is of other than two values")
    return _add(to, helper.make_node("Add", inputs, node.output), inputs)


def _unknown_shape(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    raise ParetoscopeError("the shape of a constant is asked for at run time")


def _images(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    x = to.made(inputs[0])
    if len(to.shapes[x]) != 3:
        raise ParetoscopeError(f"a {node.op_type} is given other than images")
    return x


def _window(
    given: Mapping[str, Any], kernel: Sequence[int], images: tuple[int, ...]
) -> dict[str, Any]:
    """Kernel, strides and pads over images of a shape (channels, height, width)."""
    automatic = given.get("auto_pad", b"NOTSET").decode()
    kernel, strides = list(map(int, kernel)), list(given.get("strides", [1, 1]))
    pads = [0] * 4 if automatic == "VALID" else list(given.get("pads", [0] * 4))
    if automatic.startswith("SAME") and len(kernel) == len(strides) == 2 and min(strides) > 0:
        # As many pixels as make the output ceil(side / stride); an odd one goes to the side named.
        lacking = [
            max(0, (-(-side // stride) - 1) * stride + size - side)
            for side, size, stride in zip(images[1:], kernel, strides, strict=True)
        ]
        less, more = [n // 2 for n in lacking], [n - n // 2 for n in lacking]
        pads = [*less, *more] if automatic == "SAME_UPPER" else [*more, *less]
    return {"kernel_shape": kernel, "strides": strides, "pads": pads}


def _batch_norm(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Folded into the layer before it; a factor and a shift of their own where there is none."""
    value = to.made(inputs[0])
    layer, arrays = to.layer(value), [to.array(name) for name in inputs[1:5]]
    if any(a is None for a in arrays):
        raise ParetoscopeError("a BatchNormalization has statistics that are made at run time")
    scale, shift, mean, variance = (a for a in arrays if a is not None)
    factor = scale / np.sqrt(variance + np.float32(_attributes(node).get("epsilon", 1e-5)))
    if layer is None or not to.is_for_one(inputs[0]):
        spread = (-1,) + (1,) * (len(to.shapes[value]) - 1)
        value = _elementwise(to, "Mul", value, factor.reshape(spread))
        return _elementwise(to, "Sub", value, (mean * factor - shift).reshape(spread))
    weight = to.constants[layer.weight]
    shape = (-1, 1, 1, 1) if layer.axis == 0 else (1, -1)
    to.constants[layer.weight] = (weight * factor.reshape(shape)).astype(np.float32)
    to.constants[layer.bias] = ((to.constants[layer.bias] - mean) * factor + shift).astype(
        np.float32
    )
    return value


def _linear(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """scikit-learn's linear classifier."""
    given = _attributes(node)
    bias = np.array(given["intercepts"], np.float32)
    weight = np.array(given["coefficients"], np.float32).reshape(len(bias), -1).T
    labels = given.get("classlabels_ints") or given.get("classlabels_strings") or []
    if len(labels) == 2 and len(bias) == 2 and np.allclose(weight[:, 0], -weight[:, 1]):
        weight, bias = weight[:, 1:], bias[1:]  # written twice, with either sign
    return to.dense(to.made(inputs[0]), weight, bias)


def _scaler(to: _Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    given = _attributes(node)
    value = to.made(inputs[0])
    for op_type, name in (("Sub", "offset"), ("Mul", "scale")):
        if name in given:
            value = _elementwise(to, op_type, value, np.array(given[name], np.float32))
    return value


OPERATORS: Mapping[str, _Rewrite] = {
    "Identity": _alias,
    "Dropout": _alias,
    "Cast": _alias,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Sum": _sum,
    "Sub": _scaling("Sub"),
    "Mul": _scaling("Mul"),
    "Div": _scaling("Div"),
    "Relu": _activation(),
    "LeakyRelu": _activation("alpha"),
    "PRelu": _prelu,
    "Elu": _activation("alpha"),
    "Sigmoid": _activation(),
    "HardSigmoid": _activation("alpha", "beta"),
    "HardSwish": _activation(),
    "Tanh": _activation(),
    "Erf": _activation(),
    "Softplus": _activation(),
    "Gelu": _activation("approximate"),
    "Selu": _activation("alpha", "gamma"),
    "Mish": _activation(),
    "LRN": _activation("alpha", "beta", "bias", "size"),
    "Clip": _clip,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Pad": _pad,
    "Concat": _concat,
    "Shape": _unknown_shape,
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _pool_all,
    "GlobalMaxPool": _pool_all,
    "ReduceMean": _mean,
    "BatchNormalization": _batch_norm,
    "LinearClassifier": _linear,
    "Scaler": _scaler,
}
