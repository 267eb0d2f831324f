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
from paretoscope.network.in_place import InPlace, put
from paretoscope.network.places import Held, held_weights

CODES = ".codes"  # behind a weight's name, the name of its codes
# The first opset that has a type, and the next wider one for graphs of older ones.
_FROM_OPSET: Mapping[str, tuple[int, str]] = {
    "int2": (25, "int4"),
    "int4": (21, "int8"),
    "uint2": (25, "uint4"),
    "uint4": (21, "uint8"),
}


def fitting(codes: Codes, network: InPlace) -> Codes:
    """Codes in the narrowest type that the graph's version of ONNX has."""
    storage = codes.storage
    while storage in _FROM_OPSET and network.opset < _FROM_OPSET[storage][0]:
        storage = _FROM_OPSET[storage][1]
    return codes if storage == codes.storage else replace(codes, storage=storage)


def write_in_place(network: InPlace, stored: Stored, metadata: Mapping[str, str]) -> bytes:
    """The ONNX bytes of a network with `stored` in the places of its weights."""
    proto = network.proto()
    written = set()
    for held in held_weights(proto):
        codes = fitting(stored.codes[held.place.name], network)
        if codes.storage == "float32":
            put(held.tensor, held.place.restored(codes.decoded()), held.tensor.data_type)
        else:
            written.add(_write(held, codes))
    inputs = [value for value in proto.graph.input if value.name not in written]
    if len(inputs) < len(proto.graph.input):  # older files list their weights as inputs, too
        kept = onnx.GraphProto()
        kept.input.extend(inputs)
        del proto.graph.input[:]
        proto.graph.input.extend(kept.input)
    helper.set_model_props(proto, dict(network.metadata) | dict(metadata))
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _write(held: Held, codes: Codes) -> str:
    """Put codes in the place of one weight; returns its name in the graph."""
    place, kind = held.place, held.tensor.data_type
    name = held.tensor.name if held.constant is None else held.constant.output[0]
    at = 0 if held.constant is None else list(held.nodes).index(held.constant) + 1
    codes_name = f"{place.name}{CODES}"  # unlike the weight's own name, the place's is its alone
    values = np.ascontiguousarray(place.restored(as_stored(codes)))
    held.tensor.CopyFrom(numpy_helper.from_array(values, codes_name))
    if held.constant is not None:
        held.constant.output[0] = codes_name
    steps = _Steps(place.name)
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
        floats = steps.then("Cast", floats, to=kind)
    steps.nodes[-1].output[0] = name
    for step, node in enumerate(steps.nodes):
        held.nodes.insert(at + step, node)
    return name


class _Steps:
    """Nodes that follow one another, named after a weight."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.nodes: list[onnx.NodeProto] = []

    def then(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{self._name}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, what: str, array: npt.NDArray[np.float32]) -> str:
        name = f"{self._name}.{what}"
        tensor = numpy_helper.from_array(np.asarray(array, np.float32), name)
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name
