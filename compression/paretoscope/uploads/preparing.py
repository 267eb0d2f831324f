"""An uploaded graph made ready: its weights become constants that stand alone, to be coded there.

Nothing is rewritten but this: what operators make of constants alone, such as a weight times its
mask, becomes one constant, computed in the sandbox; linear models of scikit-learn, which keep
weights in attributes, become products; the notes of exporters, which hold lines of source and paths
of a person's machine, go.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from paretoscope.base.errors import ParetoscopeError
from paretoscope.network.in_place import OURS
from paretoscope.network.places import (
    ONNX,
    graphs_of,
    graphs_within,
    held_weights,
    made_of_constants,
)
from paretoscope.sandbox.sandbox import Sandbox
from paretoscope.uploads.gate import inputs_of, shown
from paretoscope.uploads.models import Model
from paretoscope.uploads.rewriting import CannotCompressError

_INTEGERS = (
    "QLinearMatMul", "QLinearConv", "MatMulInteger", "ConvInteger", "QGemm", "DequantizeLinear",
    "DynamicQuantizeLinear", "MatMulNBits", "QAttention",
)  # fmt: skip
_TREES = ("TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble")
_AFTER = {b"": None, b"NONE": None, b"LOGISTIC": "Sigmoid", b"SOFTMAX": "Softmax"}


@dataclass(frozen=True, eq=False)
class Prepared:
    """A graph that is ready to be coded in place: its bytes, and notes on what was done to it."""

    onnx_bytes: bytes
    notes: tuple[str, ...]


def prepare(model: Model) -> Prepared:
    """Make the weights of a model constants that stand alone.

    Raises
    ------
    CannotCompressError
        It has no weights that operators multiply with.
    """
    proto = onnx.load_model_from_string(model.onnx_bytes)
    try:
        notes = [*_without_traces(proto), *_without_attributes(proto), *_folded(proto)]
        _tell_weights_apart(proto)
        found = held_weights(proto)
    except ParetoscopeError:
        raise
    except Exception as error:  # attributes that are missing, or of another kind than they must be
        raise ParetoscopeError(
            f"the model's weights cannot be made ready to be coded ({type(error).__name__})"
        ) from error
    if not found:
        raise _no_weights(proto)
    own = [entry for entry in proto.metadata_props if not entry.key.startswith(OURS)]
    del proto.metadata_props[:]
    proto.metadata_props.extend(own)
    return Prepared(proto.SerializeToString(deterministic=True), tuple(notes))


def _tell_weights_apart(model: onnx.ModelProto) -> None:
    """Constant nodes' tensors are called as what they make, so that a file's sizes find them."""
    for held in held_weights(model):
        if held.constant is not None:
            held.tensor.name = held.place.name


def _without_traces(model: onnx.ModelProto) -> list[str]:
    """Take out what exporters note at nodes, values and weights: lines of source, paths, names of
    modules. The model's own metadata stay."""
    n = 0
    functions: list[Any] = list(model.functions)
    graphs = list(graphs_of(model.graph)) + [g for f in functions for g in graphs_within(f.node)]
    for holder in (*graphs, *functions):
        tensors = list(getattr(holder, "initializer", []))
        values = [*getattr(holder, "value_info", [])]
        if isinstance(holder, onnx.GraphProto):
            values += [*holder.input, *holder.output]
        for noted in (holder, *holder.node, *values, *tensors):
            if noted.metadata_props or noted.doc_string:
                n += 1
                del noted.metadata_props[:]
                noted.ClearField("doc_string")
    if not n:
        return []
    return ["notes that the exporter left in the graph, such as lines of source, were taken out"]


def _without_attributes(model: onnx.ModelProto) -> list[str]:
    """Linear models of scikit-learn's exporter as a product and a sum."""
    graph = model.graph
    types = {v.name: v.type.tensor_type.elem_type for v in inputs_of(graph)}
    nodes: list[onnx.NodeProto] = []
    changed: list[str] = []
    for place, node in enumerate(graph.node):
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        made = None
        if node.domain == "ai.onnx.ml" and given.get("post_transform", b"NONE") in _AFTER:
            made = _linear(graph, node, given, f"linear{place}", types)
        nodes += [node] if made is None else made
        changed += [] if made is None else [node.op_type]
    if not changed:
        return []
    _set_nodes(graph, nodes)
    if not any(imported.domain in ONNX for imported in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", 13))
    return [f"{changed[0]} keeps its weights as a product: it became MatMul and Add"]


def _linear(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    given: dict[str, Any],
    name: str,
    types: dict[str, int],
) -> list[onnx.NodeProto] | None:
    """The nodes in the place of a linear model; None where it is none, or of another kind."""
    labels: list[Any] = list(given.get("classlabels_ints", ())) or list(
        given.get("classlabels_strings", ())
    )
    n_out = len(labels) if node.op_type == "LinearClassifier" else int(given.get("targets", 1))
    coefficients = np.array(given.get("coefficients", ()), np.float32)
    bias = np.array(given.get("intercepts", np.zeros(n_out)), np.float32)
    linear = node.op_type in ("LinearClassifier", "LinearRegressor")
    if not linear or not n_out or len(coefficients) % n_out or len(bias) != n_out:
        return None
    if node.op_type == "LinearRegressor" and given.get("post_transform", b"NONE") != b"NONE":
        return None
    weight = np.ascontiguousarray(coefficients.reshape(n_out, -1).T)
    for array, ending in ((weight, "weight"), (bias, "bias")):
        graph.initializer.append(numpy_helper.from_array(array, f"{name}.{ending}"))
    x = node.input[0]
    made = []
    if types.get(x) != TensorProto.FLOAT:
        made.append(helper.make_node("Cast", [x], [f"{name}.x"], to=TensorProto.FLOAT))
        x = f"{name}.x"
    regression = node.op_type == "LinearRegressor"
    after = _AFTER[given.get("post_transform", b"NONE")]
    raw = node.output[0] if regression else f"{name}.scores"
    made += [
        helper.make_node("MatMul", [x, f"{name}.weight"], [f"{name}.product"]),
        helper.make_node("Add", [f"{name}.product", f"{name}.bias"], [raw]),
    ]
    if regression:
        return made
    if node.output[0]:
        texts = (
            np.array([label.decode() for label in labels], object)
            if isinstance(labels[0], bytes)
            else np.array(labels, np.int64)
        )
        graph.initializer.append(numpy_helper.from_array(texts, f"{name}.labels"))
        made += [
            helper.make_node("ArgMax", [raw], [f"{name}.place"], axis=1, keepdims=0),
            helper.make_node("Gather", [f"{name}.labels", f"{name}.place"], [node.output[0]]),
        ]
    if len(node.output) > 1 and node.output[1]:
        along: dict[str, Any] = {"axis": 1} if after == "Softmax" else {}
        made.append(helper.make_node(after or "Identity", [raw], [node.output[1]], **along))
    return made


def _folded(model: onnx.ModelProto) -> list[str]:
    """Compute, in the sandbox, what operators make of constants and others multiply with."""
    wanted = made_of_constants(model)
    if not wanted:
        return []
    graph = model.graph
    with Sandbox() as sandbox:
        answer = sandbox.run("constants", [_made_alone(model, wanted)])
    start = 0
    folded: dict[str, npt.NDArray[Any]] = {}
    for name, shape, kind in zip(wanted, answer["shapes"], answer["types"], strict=True):
        n_bytes = math.prod(shape) * np.dtype(kind).itemsize
        array = np.frombuffer(answer["bytes"][start : start + n_bytes], kind).reshape(shape)
        start += n_bytes
        if np.dtype(kind).kind == "f":
            folded[name] = array
    for node in graph.node:
        for place, name in enumerate(node.output):
            if name in folded:  # what else the node makes may be wanted
                node.output[place] = f"{name}.unused"
    graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in folded.items())
    _remove_unused(graph)
    if not folded:
        return []
    names = ", ".join(map(shown, list(folded)[:5]))
    return [f"what is made of constants alone became constants: {names}"]


def _made_alone(model: onnx.ModelProto, wanted: Sequence[str]) -> bytes:
    """A model that makes only these values."""
    makers = {name: i for i, node in enumerate(model.graph.node) for name in node.output if name}
    needed: set[int] = set()
    open_ = list(wanted)
    while open_:
        place = makers.get(open_.pop())
        if place is not None and place not in needed:
            needed.add(place)
            open_ += model.graph.node[place].input
    nodes = [model.graph.node[i] for i in sorted(needed)]
    used = {name for node in nodes for name in node.input} | set(wanted)
    outputs = [helper.make_empty_tensor_value_info(name) for name in wanted]
    tensors = [t for t in model.graph.initializer if t.name in used]
    alone = helper.make_graph(nodes, "constants", [], outputs, tensors)
    found: bytes = helper.make_model(
        alone, opset_imports=model.opset_import, ir_version=model.ir_version
    ).SerializeToString()
    return found


def _remove_unused(graph: onnx.GraphProto) -> None:
    """Nodes and weights of the graph itself that nothing takes any more."""
    used = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):  # nodes are sorted: who uses something comes later
        if any(name in used for name in node.output):
            kept.append(node)
            used.update(_names(node))
    _set_nodes(graph, kept[::-1])
    listed = {value.name for value in graph.input}
    tensors = [t for t in graph.initializer if t.name in used | listed]
    if len(tensors) < len(graph.initializer):
        whole = onnx.GraphProto()
        whole.initializer.extend(tensors)
        del graph.initializer[:]
        graph.initializer.extend(whole.initializer)


def _set_nodes(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    whole = onnx.GraphProto()
    whole.node.extend(nodes)
    del graph.node[:]
    graph.node.extend(whole.node)


def _names(node: onnx.NodeProto) -> Iterator[str]:
    yield from node.input
    for graph in graphs_within([node]):
        yield from (value.name for value in graph.output)
        for inner in graph.node:
            yield from inner.input


def _no_weights(model: onnx.ModelProto) -> CannotCompressError:
    """Why there is nothing to code, with the operator that tells it best."""
    nodes = list(model.graph.node)
    kinds = Counter(node.op_type for node in nodes)
    for names, why in (
        (_TREES, "it holds trees, which have no weights"),
        (_INTEGERS, "its weights are whole numbers already"),
    ):
        found = next((node for node in nodes if node.op_type in names), None)
        if found is not None:
            return CannotCompressError(f"{why}: no recipe changes it", found)
    common = kinds.most_common(1)[0][0] if kinds else ""
    found = next((node for node in nodes if node.op_type == common), onnx.NodeProto())
    return CannotCompressError(
        "no operator of it multiplies with constant weights: the model is run and judged, but no "
        "recipe changes it",
        found,
    )
