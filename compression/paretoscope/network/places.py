"""Where the weights of any graph stand: the constants that its operators multiply with.

A graph that numpy cannot walk keeps its operators; only its weights are coded, each where it
stands: an initializer or a Constant node, in the graph itself, in one within a node or in a
function. Recipes see every weight as (in, out), as those of a chain; `Place` turns its array so and
back.

Protobuf and not `onnx-ir`, which has no maps, and so refuses classifiers of scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

Array = npt.NDArray[Any]
FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.BFLOAT16,
)
_FEWEST = 8  # values of a weight: what is smaller costs more in its scale than it saves
_FEWEST_OF_A_TABLE = 64
ONNX = ("", "ai.onnx")
_MICROSOFT = "com.microsoft"
Axis = int | str | None  # of the outputs; None where there is none that all uses agree on
Uses = dict[tuple[str, Axis], None]  # operators that multiply, in order, each with the axis
_OPEN = object()  # an attribute of a function's node that the caller states
_ANY = "any"  # of an operator that works alike along every axis
# By operator and input, the axis of the outputs.
_RECURRENT: Mapping[int, Axis] = {1: 1, 2: 1}
_PRODUCT: Mapping[int, Axis] = {0: -2, 1: -1}
_MULTIPLYING: Mapping[str, Mapping[int, Axis]] = {
    "MatMul": _PRODUCT,
    "Gemm": _PRODUCT,
    "Conv": {1: 0},
    "ConvTranspose": {1: 1},
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
}
_MICROSOFTS: Mapping[str, Mapping[int, Axis]] = {
    "FusedMatMul": _PRODUCT,
    "FusedGemm": _PRODUCT,
    "FusedConv": {1: 0},
    "Attention": {1: 1},
}
_LONGEST_WAY = 20_000  # of operators that move a weight
_PASSING = ("Identity", "Dropout", "Cast", "Slice")  # an axis stays where it is
_SHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class Place:
    """One weight of a graph.

    Attributes
    ----------
    name : str
        Of the constant that holds it.
    shape : tuple of int
    axis : int or None
        Along which its outputs lie; None where it has no such axis, or two uses have different
        ones.
    operators : tuple of str
        What multiplies with it.
    opset : int
        The version of ONNX's own operators where it stands; a function has one of its own.
    """

    name: str
    shape: tuple[int, ...]
    axis: int | None
    operators: tuple[str, ...]
    opset: int = 1

    def columns(self, array: Array) -> Array:
        """An array of the weight's shape as (in, out); without an axis, as one column."""
        if self.axis is None:
            return array.reshape(-1, 1)
        return np.moveaxis(array, self.axis, -1).reshape(-1, self.shape[self.axis])

    @property
    def sides(self) -> tuple[int, int]:
        """The shape of its columns: (in, out)."""
        n_out = 1 if self.axis is None else self.shape[self.axis]
        return math.prod(self.shape) // max(n_out, 1), n_out

    def restored(self, columns: Array) -> Array:
        """The inverse of `columns`."""
        if self.axis is None:
            return columns.reshape(self.shape)
        others = (*self.shape[: self.axis], *self.shape[self.axis + 1 :])
        return np.moveaxis(columns.reshape(*others, -1), -1, self.axis)

    def beside(self, scale: Array) -> Array:
        """A scale for all, or one for each output, as the array is multiplied with it."""
        if self.axis is None or scale.size == 1:
            return scale.reshape(())
        sides = [1] * len(self.shape)
        sides[self.axis] = scale.size
        return scale.reshape(sides)


@dataclass(frozen=True, eq=False)
class Held:
    """A weight in a model that may be edited: its place, and where that is.

    Attributes
    ----------
    place : Place
    tensor : TensorProto
        The model's own.
    nodes : repeated NodeProto
        Of the graph or function in which it stands.
    constant : NodeProto or None
        The Constant node that holds it; None for an initializer.
    in_graph : bool
        Whether it stands in the graph itself, and in none within a node, nor in a function.
    depth : int
        Graphs around the one in which it stands.
    in_function : bool
        Whether it stands in a function, or in a graph within one of its nodes.
    """

    place: Place
    tensor: onnx.TensorProto
    nodes: Any
    constant: onnx.NodeProto | None
    in_graph: bool
    depth: int
    in_function: bool

    @property
    def own_name(self) -> str:
        """What the operators around it call it; in another graph that may be something else."""
        return str(self.tensor.name if self.constant is None else self.constant.output[0])


def held_weights(model: onnx.ModelProto) -> list[Held]:
    """The weights of a model that can be coded, in the order of their first use."""
    reading = _Reading(model)
    reading.read()
    found = []
    taken: set[str] = set()
    for (scope, name), uses in reading.uses.items():
        constant = scope.tensors[name]
        own = name if name not in taken else _another(name, taken)
        taken.add(own)
        axis = _common_axis([axis for _, axis in uses])
        operators = tuple(dict.fromkeys(operator for operator, _ in uses))
        place = Place(own, tuple(constant.tensor.dims), axis, operators, scope.opset)
        in_graph = scope.depth == 0 and not scope.is_function
        stands = constant.tensor, scope.nodes, constant.node
        found.append(Held(place, *stands, in_graph, scope.depth, scope.in_function))
    return found


def made_of_constants(model: onnx.ModelProto) -> list[str]:
    """What operators of the graph itself multiply with that other operators make of constants
    alone, such as a weight times its mask."""
    reading = _Reading(model)
    reading.read()
    return [name for name in dict.fromkeys(reading.made) if reading.is_constant(name)]


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all those within its nodes."""
    yield graph
    yield from graphs_within(graph.node)


def graphs_within(nodes: Any) -> Iterator[onnx.GraphProto]:
    """The graphs within nodes, and within theirs."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs_of(attribute.g)
            for graph in attribute.graphs:
                yield from graphs_of(graph)


def constants_of(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """All tensors of a model's graphs and functions."""
    functions = [node for function in model.functions for node in function.node]
    graphs = [*graphs_of(model.graph), *graphs_within(functions)]
    found = [tensor for graph in graphs for tensor in graph.initializer]
    for node in [*functions, *(node for graph in graphs for node in graph.node)]:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                attribute.t.name = attribute.t.name or next(iter(node.output), "")
                found.append(attribute.t)
    return found


def _another(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name} ({number})" in taken:
        number += 1
    return f"{name} ({number})"


@dataclass(frozen=True, eq=False)
class _Constant:
    tensor: onnx.TensorProto
    node: onnx.NodeProto | None


@dataclass(frozen=True, eq=False)
class Scope:
    """The names that are known in a graph, one within a node, or a function."""

    nodes: Any
    tensors: Mapping[str, _Constant]
    makers: Mapping[str, onnx.NodeProto]
    opset: int
    formal: Sequence[str] = ()  # inputs of a function
    outer: Scope | None = None
    is_function: bool = False

    @classmethod
    def of_graph(cls, graph: onnx.GraphProto, opset: int, outer: Scope | None = None) -> Scope:
        tensors = {t.name: _Constant(t, None) for t in graph.initializer} | _constants(graph.node)
        return cls(graph.node, tensors, _makers(graph.node), opset, (), outer)

    @classmethod
    def of_function(cls, function: onnx.FunctionProto, opset: int) -> Scope:
        nodes, opset = function.node, min(opset, opset_of(function))  # it is put into the graph
        formal = tuple(function.input)
        return cls(nodes, _constants(nodes), _makers(nodes), opset, formal, None, is_function=True)

    @property
    def in_function(self) -> bool:
        """Whether it is a function, or in one."""
        return self.is_function or (self.outer is not None and self.outer.in_function)

    @property
    def depth(self) -> int:
        """Scopes around this one."""
        return 0 if self.outer is None else self.outer.depth + 1

    def where(self, name: str) -> Scope | None:
        """The scope that holds or makes a name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.tensors or name in scope.makers or name in scope.formal:
                return scope
            scope = scope.outer
        return None

    def constant(self, name: str) -> onnx.TensorProto | None:
        """The tensor of a name, where it is one."""
        scope = self.where(name)
        found = None if scope is None else scope.tensors.get(name)
        return None if found is None else found.tensor


def opset_of(holder: onnx.ModelProto | onnx.FunctionProto) -> int:
    """The version of ONNX's own operators that a model or a function is written in."""
    return next((o.version for o in holder.opset_import if o.domain in ONNX), 1)


def _constants(nodes: Any) -> dict[str, _Constant]:
    return {
        node.output[0]: _Constant(attribute.t, node)
        for node in nodes
        if node.op_type == "Constant" and node.domain in ONNX
        for attribute in node.attribute
        if attribute.name == "value" and attribute.HasField("t")
    }


def _makers(nodes: Any) -> dict[str, onnx.NodeProto]:
    return {name: node for node in nodes for name in node.output if name}


class _Reading:
    """Collects who multiplies with which constant, through graphs, inner graphs and functions."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        # Of each function that was read: what multiplies with each of its inputs.
        self._of_functions: dict[tuple[str, str, str], dict[int, Uses]] = {}
        self._whole = Scope.of_graph(model.graph, opset_of(model))
        self._origins: dict[tuple[Scope, str, Axis], tuple[Scope | None, str, Axis]] = {}
        self._constant: dict[str, bool] = {}
        self.uses: dict[tuple[Scope, str], Uses] = {}
        self.made: list[str] = []  # in the graph itself, what else is multiplied with

    def read(self) -> None:
        self._read(self._whole, {})

    def is_constant(self, name: str) -> bool:
        """Whether a value of the graph itself hangs on constants alone, by operators of ONNX's
        own that give the same each time; not where weights are whole numbers already."""
        if name not in self._constant:
            node = self._whole.makers.get(name)
            self._constant[name] = name in self._whole.tensors or (
                node is not None
                and node.domain in ONNX
                and not node.op_type.startswith("Random")
                and node.op_type not in ("Bernoulli", "Multinomial", "If", "Loop", "Scan")
                and not (node.op_type == "DequantizeLinear" and self._is_whole(node.input[0]))
                and all(self.is_constant(used) for used in node.input if used)
            )
        return self._constant[name]

    def _is_whole(self, name: str) -> bool:
        tensor = self._whole.constant(name)
        return tensor is not None and tensor.data_type not in FLOATS

    def _read(self, scope: Scope, formal: dict[int, Uses]) -> None:
        for node in scope.nodes:
            for operator, name, axis in self._multiplied(scope, node):
                place, origin, of_origin = self._origin(scope, name, axis)
                if place is None:
                    if origin in self._whole.makers and scope is self._whole and axis != _ANY:
                        self.made.append(origin)
                    continue
                if origin in place.tensors:
                    self._use(place, origin, operator, of_origin)
                elif origin in place.formal:
                    number = list(place.formal).index(origin)
                    formal.setdefault(number, {})[operator, of_origin] = None
            for attribute in node.attribute:
                graphs = [attribute.g] if attribute.HasField("g") else []
                for graph in (*graphs, *attribute.graphs):
                    self._read(Scope.of_graph(graph, scope.opset, scope), formal)

    def _origin(self, scope: Scope, name: str, axis: Axis) -> tuple[Scope | None, str, Axis]:
        """The constant, or the input of a function, behind a name, with the axis of the outputs in
        it; no scope where something else makes it, which is named then."""
        way: list[tuple[Scope, str, Axis]] = []
        while (scope, name, axis) not in self._origins:
            way.append((scope, name, axis))
            where, found = self._step(scope, name, axis)
            if found is None:
                self._origins[scope, name, axis] = where, name, axis
            else:
                assert where is not None
                scope, (name, axis) = where, found
                if len(way) > _LONGEST_WAY:  # a circle, which no graph has that was checked
                    return None, name, axis
        end = self._origins[scope, name, axis]
        self._origins.update(dict.fromkeys(way, end))
        return end

    @staticmethod
    def _step(scope: Scope, name: str, axis: Axis) -> tuple[Scope | None, tuple[str, Axis] | None]:
        """Where a name stands, and what it only moves; None where it moves nothing."""
        where = scope.where(name)
        if where is None or name in where.tensors or name in where.formal:
            return where, None
        node = where.makers[name]
        if node.domain not in ONNX or not node.input or node.output[0] != name:
            return None, None
        if node.op_type == "Transpose":
            axis = _before_transpose(where, node, axis)
        elif node.op_type in _SHAPING:
            axis = axis if axis == _ANY else None
        elif node.op_type not in _PASSING:
            return None, None
        return where, (node.input[0], axis)

    def _use(self, scope: Scope, name: str, operator: str, axis: Axis) -> None:
        tensor = scope.tensors[name].tensor
        n, n_axes = math.prod(tensor.dims), len(tensor.dims)
        if tensor.data_type not in FLOATS or n < _FEWEST or not name:
            return
        if axis == _ANY and (n_axes != 2 or n < _FEWEST_OF_A_TABLE):
            return
        if isinstance(axis, int):
            axis = axis % n_axes if -n_axes <= axis < n_axes else None
        if n_axes < 2:
            axis = None  # one number for each input: it has no outputs of its own
        self.uses.setdefault((scope, name), {})[operator, axis] = None

    def _multiplied(self, scope: Scope, node: onnx.NodeProto) -> Iterator[tuple[str, str, Axis]]:
        function = self._functions.get((node.domain, node.op_type, node.overload))
        if function is not None:
            for place, uses in self._read_function(function).items():
                for operator, axis in uses:
                    if place < len(node.input) and node.input[place]:
                        yield operator, node.input[place], axis
            return
        for place, axis in _inputs(scope, node).items():
            if place < len(node.input) and node.input[place]:
                yield node.op_type, node.input[place], axis

    def _read_function(self, function: onnx.FunctionProto) -> dict[int, Uses]:
        key = function.domain, function.name, function.overload
        if key not in self._of_functions:
            found: dict[int, Uses] = {}
            self._of_functions[key] = found
            self._read(Scope.of_function(function, self._whole.opset), found)
        return self._of_functions[key]


def _inputs(scope: Scope, node: onnx.NodeProto) -> dict[int, Axis]:
    """The inputs of an operator that may be weights, each with the axis of its outputs."""
    known: Mapping[int, Axis] = {}
    if node.domain in ONNX:
        known = _MULTIPLYING.get(node.op_type, {})
        if node.op_type == "Gather" and _is_embedding(scope, node):
            known = {0: _ANY}
        if node.op_type == "Einsum":
            known = dict(enumerate(_einsum_axes(node)))
    elif node.domain == _MICROSOFT:
        known = _MICROSOFTS.get(node.op_type, {})
    turned = {0: _attribute(node, "transA"), 1: _attribute(node, "transB")}
    return {i: _turned(axis, turned.get(i)) for i, axis in known.items()}


def _turned(axis: Axis, how: Any) -> Axis:
    """The axis in an array whose last two are swapped, or perhaps are."""
    if not how:
        return axis
    return None if how is _OPEN else {-1: -2, -2: -1}.get(axis)  # type: ignore[arg-type]


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            by_caller = bool(attribute.ref_attr_name)
            return _OPEN if by_caller else onnx.helper.get_attribute_value(attribute)
    return None


def _is_embedding(scope: Scope, node: onnx.NodeProto) -> bool:
    """Whether rows of a table are looked up by numbers that come with the input."""
    axis = _attribute(node, "axis")
    return not axis and len(node.input) > 1 and scope.constant(node.input[1]) is None


def _einsum_axes(node: onnx.NodeProto) -> list[Axis]:
    """For each operand the axis of a letter that is in the result and in no other operand."""
    given = _attribute(node, "equation")
    stated = isinstance(given, bytes)
    equation = given.decode("utf-8", "replace").replace(" ", "") if stated else ""
    left, arrow, right = equation.partition("->")
    operands = left.split(",")
    found: list[Axis] = []
    for place, letters in enumerate(operands):
        others = "".join(operands[:place] + operands[place + 1 :])
        own = [k for k, c in enumerate(letters) if c in right and c not in others]
        found.append(own[-1] if arrow and own and "." not in letters else None)
    return found


def _before_transpose(scope: Scope, node: onnx.NodeProto, axis: Axis) -> Axis:
    if not isinstance(axis, int):
        return axis
    perm = _attribute(node, "perm")
    if perm is _OPEN:
        return None
    if perm is None:
        tensor = scope.constant(node.input[0])
        perm = [] if tensor is None else list(range(len(tensor.dims)))[::-1]
    return int(perm[axis]) if -len(perm) <= axis < len(perm) else None


def _common_axis(axes: Sequence[Axis]) -> int | None:
    """The axis that all uses agree on; of tables that are only looked up, the last one."""
    said = {axis for axis in axes if axis != _ANY}
    if not said:
        return 1
    (first, *others) = said
    return first if not others and isinstance(first, int) else None
