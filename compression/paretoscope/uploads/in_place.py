"""Uploaded models of any kind as networks: the graph as it is, its weights coded where they stand.

What is done to a graph is in `preparing`. Here it gets its signature: what a row is, and what its
output means. Whether it still gives the same, row by row, is tried in the sandbox.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import replace

import onnx

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import SHORT_SHA
from paretoscope.base.wording import counted
from paretoscope.data.rows import Part
from paretoscope.network.in_place import InPlace, close, noise, note
from paretoscope.network.places import (
    constants_of,
    held_weights,
)
from paretoscope.network.signature import KEY, WHOLE, Feed, Meaning, Signature
from paretoscope.problems.agreement import Agreement
from paretoscope.problems.problem import Problem
from paretoscope.problems.problems import names_of
from paretoscope.sandbox.sessions import Session
from paretoscope.uploads.gate import Input, shown
from paretoscope.uploads.models import Model, is_probability
from paretoscope.uploads.preparing import prepare

_TRIED_ROWS, _TRIED_VALUES, _TRIED_S = 8, 2**20, 20


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
    note(proto, {KEY: signature.to_text(), "model": "uploaded", **names_of(problem)})
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
