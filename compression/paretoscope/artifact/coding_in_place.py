"""How codes are spelt in a graph that stays as it is.

A weight's constant becomes its codes, and before its first use stand the operators that make
floats of them: ``Cast -> Mul(scale)``, or ``Gather(codebook, Cast(places))``, and a Cast to the
floats that the graph computes in. The result bears the weight's own name, so nothing else changes,
whatever takes it: operators of the graph, of one within a node, of a function. The runtime computes
it once, when it loads the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from paretoscope.artifact.writing import as_stored
from paretoscope.methods.quantization import Codes
from paretoscope.methods.recovery import Stored
from paretoscope.network.in_place import InPlace, note, put
from paretoscope.network.places import (
    Held,
    Place,
    constants_of,
    graphs_of,
    graphs_within,
    held_weights,
)

CODES = ".codes"  # behind a weight's name, the name of its codes
# The first opset that has a type, and the next wider one for graphs of older ones.
_FROM_OPSET: Mapping[str, tuple[int, str]] = {
    "int2": (25, "int4"),
    "int4": (21, "int8"),
    "uint2": (25, "uint4"),
    "uint4": (21, "uint8"),
}


def fitting(codes: Codes, place: Place) -> Codes:
    """Codes in the narrowest type that the version of ONNX has where they stand."""
    storage = fitting_type(codes.storage, place)
    return codes if storage == codes.storage else replace(codes, storage=storage)


def fitting_type(storage: str, place: Place) -> str:
    """The type itself, or the next wider one that the version of ONNX has there."""
    while storage in _FROM_OPSET and place.opset < _FROM_OPSET[storage][0]:
        storage = _FROM_OPSET[storage][1]
    return storage


def write_in_place(network: InPlace, stored: Stored, metadata: Mapping[str, str]) -> bytes:
    """The ONNX bytes of a network with `stored` in the places of its weights."""
    proto = network.proto()
    written: set[str] = set()
    taken = _names_in(proto)
    # By the list of nodes in which weights stand: what goes to its front, and behind which node.
    more: dict[int, tuple[Any, list[onnx.NodeProto], dict[int, list[onnx.NodeProto]]]] = {}
    # The innermost first: a graph around them is made anew with them in it.
    weights = sorted(held_weights(proto), key=lambda held: -held.depth)
    for held in weights:
        codes = fitting(stored.codes[held.place.name], held.place)
        if codes.storage == "float32":
            put(held.tensor, held.place.restored(codes.decoded()), held.tensor.data_type)
            continue
        written |= {held.own_name} if held.in_graph else set()
        _, front, behind = more.setdefault(id(held.nodes), (held.nodes, [], {}))
        if held.constant is None:
            front += _write(held, codes, taken)
        else:
            behind[id(held.constant)] = _write(held, codes, taken)
    for nodes, front, behind in more.values():
        whole = onnx.GraphProto()
        whole.node.extend(front)
        for node in nodes:
            whole.node.append(node)
            whole.node.extend(behind.get(id(node), ()))
        del nodes[:]
        nodes.extend(whole.node)
    inputs = [value for value in proto.graph.input if value.name not in written]
    if len(inputs) < len(proto.graph.input):  # older files list their weights as inputs, too
        kept = onnx.GraphProto()
        kept.input.extend(inputs)
        del proto.graph.input[:]
        proto.graph.input.extend(kept.input)
    note(proto, metadata)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _names_in(model: onnx.ModelProto) -> set[str]:
    """All names of values, anywhere in a model."""
    functions: list[Any] = list(model.functions)
    inner = [graph for function in functions for graph in graphs_within(function.node)]
    found = {tensor.name for tensor in constants_of(model)}
    for holder in (*functions, *graphs_of(model.graph), *inner):
        given = [value if isinstance(value, str) else value.name for value in holder.input]
        found |= {*given, *(name for node in holder.node for name in (*node.input, *node.output))}
    return found


def _write(held: Held, codes: Codes, taken: set[str]) -> list[onnx.NodeProto]:
    """Put codes in the place of one weight; returns the nodes that make floats of them."""
    place, kind, name = held.place, held.tensor.data_type, held.own_name
    steps = _Steps(place.name, taken)
    codes_name = steps.new(f"{place.name}{CODES}")
    values = np.ascontiguousarray(place.restored(as_stored(codes)))
    held.tensor.CopyFrom(numpy_helper.from_array(values, codes_name))
    if held.constant is not None:
        held.constant.output[0] = codes_name
    if codes.codebook is not None:
        places = steps.then("Cast", codes_name, to=TensorProto.INT32)
        codebook = steps.constant("codebook", codes.codebook)
        floats = steps.then("Gather", codebook, places)
    else:
        floats = steps.then("Cast", codes_name, to=TensorProto.FLOAT)
        if codes.scale is not None:
            scale = steps.constant("scale", place.beside(codes.scale))
            floats = steps.then("Mul", floats, scale)
    if kind != TensorProto.FLOAT:
        steps.then("Cast", floats, to=kind)
    steps.nodes[-1].output[0] = name
    return steps.nodes


class _Steps:
    """Nodes that follow one another, named after a weight, by names that are not `taken`."""

    def __init__(self, name: str, taken: set[str]) -> None:
        self._name, self._taken = name, taken
        self.nodes: list[onnx.NodeProto] = []

    def new(self, name: str) -> str:
        """A name that nothing has, like this one."""
        number, stem, dot, ending = 1, *name.rpartition(".")
        while name in self._taken:
            number += 1
            name = f"{stem}~{number}{dot}{ending}"
        self._taken.add(name)
        return name

    def then(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = self.new(f"{self._name}.{len(self.nodes)}")
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, what: str, array: npt.NDArray[np.float32]) -> str:
        name = self.new(f"{self._name}.{what}")
        tensor = numpy_helper.from_array(np.asarray(array, np.float32), name)
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name
