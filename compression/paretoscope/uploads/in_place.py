"""Uploaded models of any kind as networks: the graph as it is, its weights coded where they stand.

Nothing is rewritten but this: what operators make of constants alone, such as a weight times its
mask, becomes one constant; linear models of scikit-learn, which keep weights in attributes, become
products; the notes of exporters, which hold lines of source and paths of a person's machine, go.
Whether the graph still gives the same is tried in the sandbox.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import SHORT_SHA
from paretoscope.base.wording import counted
from paretoscope.data.dataset import Part
from paretoscope.network.in_place import OWNER, InPlace, close, noise
from paretoscope.network.places import (
    ONNX,
    constants_of,
    graphs_of,
    graphs_within,
    held_weights,
    made_of_constants,
)
from paretoscope.network.signature import KEY, WHOLE, Feed, Meaning, Signature
from paretoscope.problems.agreement import Agreement
from paretoscope.problems.problem import Problem
from paretoscope.problems.problems import names_of
from paretoscope.sandbox.sandbox import Sandbox
from paretoscope.sandbox.sessions import Session
from paretoscope.uploads.gate import Input, inputs_of, shown
from paretoscope.uploads.models import Model, is_probability
from paretoscope.uploads.rewriting import CannotCompressError

_TRIED_ROWS, _TRIED_VALUES, _TRIED_S = 8, 2**20, 20
_OURS = ("recipe", OWNER, KEY, "brought", "problem", "classes", "targets", "model", "seed")
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
    own = [entry for entry in proto.metadata_props if entry.key not in _OURS]
    del proto.metadata_props[:]
    proto.metadata_props.extend(own)
    return Prepared(proto.SerializeToString(deterministic=True), tuple(notes))


def notes_in_place(model: Model) -> tuple[str, ...]:
    """What is to be known of a model whose weights would be coded in place; raises as
    `network_in_place` does, but for what only running it tells."""
    prepared = prepare(model)
    _signature(model, Agreement(labels=False))
    proto = onnx.load_model_from_string(prepared.onnx_bytes)
    held = held_weights(proto)
    n = sum(math.prod(h.place.shape) for h in held)
    coded = {id(h.tensor) for h in held}
    rest = [t for t in constants_of(proto) if id(t) not in coded]
    n_bytes = sum(t.ByteSize() for t in rest)
    largest = sorted(rest, key=lambda t: -t.ByteSize())[:3]
    names = ", ".join(f"'{shown(t.name)}' {t.ByteSize():,}" for t in largest)
    others = f", {n_bytes:,} bytes of other constants stay ({names})" if rest else ""
    return (
        *prepared.notes,
        f"{n:,} weights in {counted(len(held), 'layer')} are coded where they stand{others}",
    )


def network_in_place(
    model: Model,
    problem: Problem,
    n_features: int | None = None,
    order: Sequence[int] = (),
    parts: Sequence[Part] = (),
) -> InPlace:
    """The network of a model, and that it gives what the model gives.

    Parameters
    ----------
    model : Model
    problem : Problem
        Of the dataset that it is for: what its output means.
    n_features : int, optional
        Numbers of a row, where the model leaves them open.
    order : sequence of int
        Which of the model's scores are to come first, second ...; () as they are.
    parts : sequence of Part
        Which numbers of a row are which input's, where the data say it.

    Raises
    ------
    ParetoscopeError
        It has no weights that could be coded, takes text, or does not go row by row.
    """
    prepared = prepare(model)
    signature = _signature(model, problem, n_features, order, parts)
    proto = onnx.load_model_from_string(prepared.onnx_bytes)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    metadata |= {KEY: signature.to_text(), "model": "uploaded", **names_of(problem)}
    helper.set_model_props(proto, metadata)
    network = InPlace(proto.SerializeToString(deterministic=True))
    network = _without_others(model, network)
    _require_same(model, network)
    return network


def _without_others(model: Model, network: InPlace) -> InPlace:
    """Without those of the other outputs that only looked as if they went row by row."""
    signature = network.signature
    if not signature.others:
        return network
    kept = []
    for name, width in zip(signature.others, signature.other_widths, strict=True):
        alone = replace(signature, output=name, n_outputs=width, others=(), other_widths=())
        with contextlib.suppress(ParetoscopeError):
            if _goes_row_by_row(model, network, alone):
                kept.append((name, width))
    changed = replace(
        signature, others=tuple(n for n, _ in kept), other_widths=tuple(w for _, w in kept)
    )
    found = network.with_metadata(**{KEY: changed.to_text()})
    assert isinstance(found, InPlace)
    return found


def _goes_row_by_row(model: Model, network: InPlace, signature: Signature) -> bool:
    """Whether rows in another order, and one fewer, give the same in that order. Where the graph
    fixes their number, it cannot be tried."""
    X = noise(signature, _n_tried(signature))
    session = _session(model.onnx_bytes, network, signature)
    whole = session.outputs(X)
    if whole.shape != (len(X), signature.n_outputs):
        return False
    if signature.batch is not None:
        return True
    return close(session.outputs(X[:0:-1]), whole[:0:-1], network.apart)


def _n_tried(signature: Signature) -> int:
    return max(3, min(_TRIED_ROWS, _TRIED_VALUES // signature.n_features))


def _session(onnx_bytes: bytes, network: InPlace, signature: Signature) -> Session:
    """As its operators stand, so that what rounds to whole numbers rounds alike."""
    owner = network.sha256[:SHORT_SHA]
    return Session(onnx_bytes, signature.plain(), owner, plain=True, wall_s=_TRIED_S)


def _require_same(model: Model, network: InPlace) -> None:
    signature = network.signature
    if not _goes_row_by_row(model, network, signature):
        raise ParetoscopeError(
            f"the output '{shown(signature.output)}' does not go row by row: it hangs on which "
            "rows come together"
        )
    X = noise(signature, _n_tried(signature))
    theirs, ours = (
        _session(data, network, signature).outputs(X, every=True)
        for data in (model.onnx_bytes, network.onnx_bytes)
    )
    if not close(ours, theirs, network.apart, signature.widths):
        raise ParetoscopeError(
            "with its weights made ready to be coded, the model gives other outputs, so it is not "
            "used"
        )


# --- what a row is, and what is said of it ----------------------------------------------------


def _signature(
    model: Model,
    problem: Problem,
    n_features: int | None = None,
    order: Sequence[int] = (),
    parts: Sequence[Part] = (),
) -> Signature:
    graph = model.passed.model.graph
    feeds = tuple(_feed(graph, given, model, n_features) for given in model.passed.inputs)
    if parts and (len(parts) > 1 or len(parts[0].shape) > 1):
        feeds = _by_parts(feeds, model.passed.inputs, parts)
    floats = [o for o in model.outputs if str(o["type"]).startswith(("float", "double"))]
    if not floats:
        raise ParetoscopeError("the model gives no numbers, only labels or maps")
    chosen = next((o for o in floats if o["name"] == model.output), floats[0])
    rows = _rows_tried(model)
    for output in floats:
        if _shape(output)[:1] != [rows] and output is chosen:
            raise ParetoscopeError(
                f"the output '{shown(str(output['name']))}' of {counted(rows, 'row')} has the "
                f"shape {_shape(output)}: it does not go row by row"
            )
    others = [o for o in floats if o is not chosen and _shape(o)[:1] == [rows]]
    n_outputs = math.prod(_shape(chosen)[1:])
    means, cut = _meaning(model, problem, str(chosen["name"]), n_outputs)
    return Signature(
        feeds,
        str(chosen["name"]),
        n_outputs,
        tuple(str(o["name"]) for o in others),
        tuple(math.prod(_shape(o)[1:]) for o in others),
        model.batch,
        means,
        cut,
        tuple(order),
    )


def _shape(output: dict[str, object]) -> list[int]:
    shape = output["shape"]
    assert isinstance(shape, list)
    return shape


def _rows_tried(model: Model) -> int:
    return model.batch if model.batch is not None else 2


def _meaning(model: Model, problem: Problem, output: str, n: int) -> tuple[Meaning, float]:
    if problem.targets != "classes":
        return "scores", 0.0
    likely = is_probability(model.passed.model.graph, output)
    if n == 1:
        cut = model.cut if model.cut is not None else (0.5 if likely else 0.0)
        if likely and not 0 < cut < 1:
            raise ParetoscopeError("a probability is cut between 0 and 1")
        return ("probability" if likely else "score"), cut
    return ("probabilities" if likely else "scores"), 0.0


def _feed(graph: onnx.GraphProto, given: Input, model: Model, n_features: int | None) -> Feed:
    if given.type == "string":
        raise ParetoscopeError(f"the input '{shown(given.name)}' takes text, not numbers")
    if given.shape == ():
        raise ParetoscopeError(
            f"the input '{shown(given.name)}' is one number for all rows: such models are run and "
            "judged, but not compressed here"
        )
    stated = math.prod(side or 0 for side in (given.shape or (0, 0))[1:])
    if model.corrected and n_features is None:
        n_features = model.width
    if n_features is not None and len(model.passed.inputs) == 1:
        if stated and stated != n_features and not model.corrected:
            raise ParetoscopeError(
                f"the model takes {counted(stated, 'feature')}, the data have {n_features:,}"
            )
        row = (n_features,) if model.corrected else given.row(n_features)
    else:
        row = tuple(side or model.side or 1 for side in (given.shape or (None, None))[1:])
    below = _rows_of_table(graph, given.name) if given.type in WHOLE else None
    return Feed(given.name, given.type, row, below)


def _by_parts(
    feeds: Sequence[Feed], inputs: Sequence[Input], parts: Sequence[Part]
) -> tuple[Feed, ...]:
    """The inputs in the order of the data's arrays: by name, or where none is alike by order."""
    by_name = {feed.name: feed for feed in feeds}
    names = [part.name for part in parts]
    if set(names) != set(by_name):
        if set(names) & set(by_name) or len(names) != len(feeds):
            theirs = ", ".join(map(shown, by_name))
            raise ParetoscopeError(
                f"the model takes the inputs {theirs}, the file holds the arrays "
                f"{', '.join(map(shown, names))}"
            )
        by_name = dict(zip(names, feeds, strict=True))
    shapes = {given.name: given.shape for given in inputs}
    found = []
    for part in parts:
        feed = by_name[part.name]
        stated = (shapes[feed.name] or (None, *(None for _ in part.shape)))[1:]
        fits = len(stated) == len(part.shape) and all(
            side in (None, given) for side, given in zip(stated, part.shape, strict=True)
        )
        if not fits and math.prod(part.shape) != feed.width:
            takes = " × ".join("?" if side is None else str(side) for side in stated)
            raise ParetoscopeError(
                f"the input '{shown(feed.name)}' takes {takes} a row, the array "
                f"'{shown(part.name)}' has {part.told}"
            )
        found.append(replace(feed, row=part.shape) if fits else feed)
    return tuple(found)


def _rows_of_table(graph: onnx.GraphProto, name: str) -> int | None:
    """How many rows the tables have that an input's whole numbers look up; of several the least."""
    tables = {t.name: t.dims[0] for t in graph.initializer if len(t.dims) == 2}
    names, found = {name}, []
    for node in graph.node:
        if node.op_type == "Gather" and len(node.input) > 1 and node.input[1] in names:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            if node.input[0] in tables and axis == 0:
                found.append(int(tables[node.input[0]]))
        if node.op_type in ("Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten"):
            names |= set(node.output) if node.input and node.input[0] in names else set()
    return min(found, default=None)


def _tell_weights_apart(model: onnx.ModelProto) -> None:
    """Constant nodes' tensors are called as what they make, so that a file's sizes find them."""
    for held in held_weights(model):
        if held.constant is not None:
            held.tensor.name = held.place.name


# --- what is done to the graph --------------------------------------------------------------------


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
