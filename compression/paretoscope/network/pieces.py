"""A graph in pieces that are run one after the other: what stands before a layer is run once for
all that is tried with that layer.

Only what the judged output hangs on is in them. What hangs on constants alone goes with whatever
takes it, so that a weight's own Transpose, wherever it stands, cuts nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import onnx

from paretoscope.base.parameters import FloatArray
from paretoscope.network.in_place import InPlace, put
from paretoscope.network.places import ONNX, graphs_within, held_weights

_BY_CHANCE = ("Bernoulli", "Multinomial")  # beside those called Random...
_SPARSE = "sparse_initializer"
_TYPES = {name.lower(): number for name, number in onnx.TensorProto.DataType.items()} | {
    "float32": onnx.TensorProto.FLOAT,
    "float64": onnx.TensorProto.DOUBLE,
}


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a graph as a model of its own.

    Attributes
    ----------
    onnx_bytes : bytes
    makes : tuple of str
        What the rest of the graph takes from it.
    keeps : tuple of str
        What the rest of the graph takes, too, and was known before.
    """

    onnx_bytes: bytes
    makes: tuple[str, ...]
    keeps: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Rest:
    """All that is left of a graph, with a gap where a weight's bytes are to stand."""

    onnx_bytes: bytes
    gap: int


@dataclass(frozen=True)
class Kind:
    """What is known of a value: the type of its numbers, as numpy says it, and its shape, None for
    each side that differs from call to call."""

    type: str
    shape: tuple[int | None, ...]


Kinds = Mapping[str, Kind]


class Pieces:
    """The graph of a network, to be cut.

    Parameters
    ----------
    network : InPlace
        With the weights that all but one layer have.
    """

    def __init__(self, network: InPlace) -> None:
        self._network, self._model = network, network.proto()
        graph = self._model.graph
        self._held = {held.place.name: held for held in held_weights(self._model)}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._sparse = {tensor.values.name: tensor for tensor in getattr(graph, _SPARSE)}
        self._inputs = {value.name: value for value in graph.input}
        self._makers = {name: k for k, node in enumerate(graph.node) for name in node.output}
        self._taken = [_taken(node) for node in graph.node]
        self._output = network.signature.output

    @cached_property
    def _constant(self) -> list[bool]:
        """Of each operator whether it gives the same whatever the rows are."""
        varying = {name for name in self._inputs if name not in self._tensors}
        found = []
        for node, taken in zip(self._model.graph.node, self._taken, strict=True):
            by_chance = node.op_type.startswith("Random") or node.op_type in _BY_CHANCE
            constant = varying.isdisjoint(taken) and not by_chance and node.domain in ONNX
            found.append(constant)
            if not constant:
                varying.update(node.output)
        return found

    @cached_property
    def _way(self) -> list[int]:
        """The operators that depend on the rows and that the judged output hangs on, in order."""
        needed = self._behind([self._output])
        return [k for k in sorted(needed) if not self._constant[k]]

    @property
    def rounds(self) -> bool:
        """Whether values are rounded between its operators, so that how the runtime adds up, which
        differs from piece to whole, tells in the outputs."""
        own = [self._model.graph.node[k] for k in self._way]
        own += [node for function in self._model.functions for node in function.node]
        inner = [node for graph in graphs_within(own) for node in graph.node]
        return any("QuantizeLinear" in node.op_type for node in (*own, *inner))

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """By weight: how many operators of the way stand before the first that takes it. Weights of
        functions stand at its beginning; those that the judged output does not hang on, as far as
        can be seen, are missing."""
        users: dict[str, int] = {}
        for position, k in enumerate(self._way):
            for name in self._with_constants(self._taken[k]):
                users.setdefault(name, position)
        found = {}
        for name, held in self._held.items():
            first = 0 if held.in_function else users.get(held.own_name)
            if first is not None:
                found[name] = first
        return found

    def piece(self, start: int, stop: int, known: Kinds) -> Piece:
        """What stands from one position of the way up to another; `known` is at the start."""
        later = {name for k in self._way[stop:] for name in self._with_constants(self._taken[k])}
        made = {name for k in self._way[start:stop] for name in self._model.graph.node[k].output}
        makes = tuple(sorted(made & later))
        written = self._written(self._way[start:stop], makes, known)
        return Piece(written, makes, tuple(name for name in known if name in later))

    def rest(self, start: int, known: Kinds, layer: str) -> Rest:
        """All from a position on, with a gap for the weight of one layer."""
        tensor = self._held[layer].tensor
        before = onnx.TensorProto()
        before.CopyFrom(tensor)
        gap = os.urandom(len(self.raw(layer, self._network.weights[layer])))
        tensor.Clear()
        tensor.dims.extend(before.dims)
        tensor.name, tensor.data_type, tensor.raw_data = before.name, before.data_type, gap
        try:
            written = self._written(self._way[start:], [self._output], known)
        finally:
            tensor.CopyFrom(before)
        at = written.find(gap)
        assert written.find(gap, at + 1) < 0 <= at
        return Rest(written, at)

    def raw(self, layer: str, weight: FloatArray) -> bytes:
        """What fills the gap: a weight (in, out) as it stands in the graph."""
        held, tensor = self._held[layer], onnx.TensorProto()
        put(tensor, held.place.restored(weight), held.tensor.data_type)
        return bytes(tensor.raw_data)

    def _behind(self, names: Iterable[str]) -> set[int]:
        """The operators that names hang on."""
        found: set[int] = set()
        left = [self._makers[name] for name in names if name in self._makers]
        while left:
            k = left.pop()
            if k not in found:
                found.add(k)
                left += [self._makers[name] for name in self._taken[k] if name in self._makers]
        return found

    def _with_constants(self, names: Iterable[str]) -> set[str]:
        """Names and, of those that constants make, what makes them."""
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name in found:
                continue
            found.add(name)
            maker = self._makers.get(name)
            if maker is not None and self._constant[maker]:
                left += self._taken[maker]
        return found

    def _written(self, way: list[int], outputs: Iterable[str], known: Kinds) -> bytes:
        """Operators of the way, with the constants that they take, as a model."""
        nodes = self._model.graph.node
        taken = {name for k in way for name in self._with_constants(self._taken[k])}
        constants = {self._makers[name] for name in taken if name in self._makers}
        chosen = sorted({*way, *(k for k in constants if self._constant[k])})
        made = {name for k in chosen for name in nodes[k].output}
        model = onnx.ModelProto(ir_version=self._model.ir_version)
        model.opset_import.extend(self._model.opset_import)
        model.functions.extend(self._model.functions)
        graph = model.graph
        graph.name = "piece"
        graph.node.extend(nodes[k] for k in chosen)
        graph.initializer.extend(self._tensors[name] for name in taken if name in self._tensors)
        getattr(graph, _SPARSE).extend(self._sparse[n] for n in taken if n in self._sparse)
        for name in sorted(taken - made - set(self._tensors) - set(self._sparse)):
            if name in known:
                kind = _TYPES[known[name].type]
                graph.input.append(
                    onnx.helper.make_tensor_value_info(name, kind, known[name].shape)
                )
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
        return bytes(model.SerializeToString())


def _taken(node: onnx.NodeProto) -> set[str]:
    """The values that an operator takes, and those that are named in graphs within it."""
    found = {name for name in node.input if name}
    for graph in graphs_within([node]):
        found |= {name for one in graph.node for name in one.input if name}
        found |= {value.name for value in graph.output}
        found |= {tensor.name for tensor in graph.initializer}
    return found
