"""Uploaded ONNX models as networks: as a chain where that can be, else coded in place.

A graph is rewritten so that numpy can walk it. Weights in Constant nodes, Gemm in either layout,
batch normalisation, scikit-learn's linear classifiers and scalers become dense layers and
convolutions. What stands between them may branch and join again, as in residual networks. Softmax
and what makes labels of scores is cut off.

A graph with anything else in it stays as it is, and its weights are coded where they stand
(`in_place`). One without weights is run, measured and judged, but no recipe changes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from paretoscope.artifact.artifact import Sizes
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.base.wording import counted
from paretoscope.data.dataset import Dataset
from paretoscope.data.rows import Part
from paretoscope.network.in_place import InPlace
from paretoscope.network.network import Network
from paretoscope.problems.agreement import Agreement
from paretoscope.problems.classification import decide
from paretoscope.problems.problem import Problem
from paretoscope.problems.problems import names_of
from paretoscope.uploads.gate import as_name, shown
from paretoscope.uploads.in_place import network_in_place, notes_in_place
from paretoscope.uploads.models import (
    Model,
    gives_places,
    own_classes,
    predict,
    predict_numbers,
)
from paretoscope.uploads.rewrites import REWRITES
from paretoscope.uploads.rewriting import (
    DOMAINS,
    CannotCompressError,
    Rewriting,
    attributes_of,
)
from paretoscope.uploads.skops_files import read_skops

_ROWS_COMPARED = 1_000
_SIDE = 64  # of images whose size is left open
_FEWEST_COMPARED, _VALUES_COMPARED = 50, 2**24  # rows; numbers of all, in which large ones stop
_CHUNKS_COMPARED = 4  # of rows that are scored at a time: few where each takes long
_LABELS_APART = 0.005
# What makes probabilities or labels of scores, without changing which is largest.
_TAIL = (
    "Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "ZipMap", "Normalizer", "Cast", "Identity",
    "Dropout",
)  # fmt: skip
_SHAPING = ("Squeeze", "Reshape", "Flatten")
_OVER = {"ArgMax": 0}  # the axis of those that do not state one, where it is not the last


def network_for(model: Model, data: Dataset, names: Sequence[str] = ()) -> Network:
    """The network of an uploaded model, on a dataset whose classes are its scores in order, or of
    which it predicts the numbers.

    `names` says otherwise what the dataset calls the model's classes 0, 1, 2 ...

    Its labels or numbers are compared with those of the model as it was uploaded, in the sandbox,
    on rows of the dataset.

    Raises
    ------
    ParetoscopeError
        An operator that is not supported, another number of features or classes than the dataset
        has, names that are not the dataset's, or labels that differ.
    """
    if data.problem.targets != "classes":
        return _network_of_numbers(model, data)
    if names and sorted(names) != sorted(data.class_names):
        known = ", ".join(map(shown, data.class_names[:10]))
        raise ParetoscopeError(f"each of the data's classes must be named once: {known}")
    order = [list(names).index(name) for name in data.class_names] if names else None
    n_features, parts = data.raw.X.shape[1], data.raw.parts
    network = to_network(model, data.class_names, n_features, order, data.problem, parts)
    _require_fit(network, data)
    if isinstance(network, InPlace) and (gives_places(model) or len(parts) > 1):
        return _brought_as(network, model.brought)  # that it gives the same was tried already
    rows = _some_rows(data, network)
    theirs = predict(model, rows.astype(np.float64))["labels"]
    ours = decide(network.scores(rows))
    in_order = names or data.class_names
    if names or gives_places(model):
        own = own_classes(model, theirs, len(in_order))
        places = {c: data.class_names.index(name) for c, name in zip(own, in_order, strict=True)}
    else:
        places = {name: place for place, name in enumerate(data.class_names)}
        counted = [str(place) for place in places.values()]
        if not set(map(as_name, theirs)) <= set(places) and set(theirs) <= set(counted):
            places = {label: place for place, label in enumerate(counted)}
    as_places = np.array([places.get(label, places.get(as_name(label), -1)) for label in theirs])
    apart = float(np.mean(as_places != ours))
    if apart > _LABELS_APART:
        raise ParetoscopeError(
            f"rewritten for compression, the model gives other labels on {100 * apart:.1f} % of "
            f"{len(rows):,} rows, so it is not used"
        )
    return _brought_as(network, model.brought)


def _some_rows(data: Dataset, network: Network) -> FloatArray:
    """Of the train rows as many as are compared; of large ones no more than fit well."""
    n = min(_ROWS_COMPARED, _CHUNKS_COMPARED * network.rows_at_a_time)
    n = max(_FEWEST_COMPARED, min(n, _VALUES_COMPARED // network.n_features))
    return data.train.at(np.arange(min(n, len(data.train)))).X


def _network_of_numbers(model: Model, data: Dataset) -> Network:
    n_features, parts = data.raw.X.shape[1], data.raw.parts
    network = to_network(model, n_features=n_features, problem=data.problem, parts=parts)
    _require_fit(network, data)
    if isinstance(network, InPlace):
        return _brought_as(network, model.brought)  # that it gives the same was tried already
    rows = _some_rows(data, network)
    theirs = predict_numbers(model, rows.astype(np.float64)).astype(np.float32)
    ours = network.scores(rows)
    if theirs.shape != ours.shape:
        raise ParetoscopeError(
            f"the model gives {counted(theirs.shape[1], 'number')} a row, rewritten for "
            f"compression {ours.shape[1]}"
        )
    apart = float(np.mean(data.problem.told_apart(ours, theirs)))
    if apart > _LABELS_APART or not np.isfinite(ours).all():
        raise ParetoscopeError(
            f"rewritten for compression, the model gives other numbers on {100 * apart:.1f} % of "
            f"{len(rows):,} rows, so it is not used"
        )
    return _brought_as(network, model.brought)


def skops_network_for(data: bytes, dataset: Dataset, names: Sequence[str] = ()) -> Network:
    """The network of a `.skops` file on a dataset; its classes are matched by name, or by their
    places where they are numbered from 0, or by the `names` that the dataset has for them."""
    network, classes = read_skops(data, dataset.class_names, names)
    numbers = dataset.problem.targets == "numbers"
    if dataset.problem.targets == "outputs":
        network = network.with_metadata(**names_of(dataset.problem))
    elif numbers == bool(classes):
        what = "tells classes apart" if classes else "predicts a number"
        raise ParetoscopeError(
            f"the model {what}, the data have {'a number to predict' if numbers else 'classes'}"
        )
    if numbers:
        network = network.with_metadata(**names_of(dataset.problem))
    _require_fit(network, dataset)
    return _brought_as(network, Sizes(data))


def _brought_as(network: Network, sizes: Sizes) -> Network:
    """With the sizes of the file that was brought: what "smaller" is against."""
    return network.with_metadata(brought=f"{sizes.file},{sizes.gzip}")


@dataclass(frozen=True)
class Compressible:
    """Whether a model's weights can be compressed: "yes", or "no" with the operator that stands in
    the way, or another reason; whether they are coded in place; and notes on that."""

    answer: str
    in_place: bool = False
    notes: tuple[str, ...] = ()


def compressible(model: Model) -> Compressible:
    """Whether, and how, a model could be compressed."""
    shape = model.passed.inputs[0].shape or ()
    n_features = math.prod(side or _SIDE for side in shape[1:]) if len(shape) > 2 else None
    try:
        to_chain(model, n_features=n_features)
    except ParetoscopeError:
        pass
    else:
        return Compressible("yes")
    try:
        return Compressible("yes", in_place=True, notes=notes_in_place(model))
    except CannotCompressError as error:
        return Compressible(f"no: {shown(error.operator)} at '{shown(error.node)}': {error}")
    except ParetoscopeError as error:
        return Compressible(f"no: {error}")


def other_heads(model: Model) -> list[str]:
    """Outputs of numbers that are made otherwise than the scores: compressed files lack them."""
    graph = model.passed.model.graph
    makers = {name: place for place, node in enumerate(graph.node) for name in node.output}
    kept = makers.get(_scores(graph, model.output))
    others = [str(v.name) for v in graph.output if _is_float(v)]
    return [name for name in others if makers.get(_behind(graph, name)) != kept]


def _require_fit(network: Network, data: Dataset) -> None:
    n_features = data.raw.X.shape[1]
    if network.n_features != n_features:
        raise ParetoscopeError(
            f"the model takes {counted(network.n_features, 'feature')}, the data have {n_features}"
        )
    if data.problem.targets == "outputs":
        return
    if data.problem.targets == "numbers":
        wanted = len(data.problem.names)
        if network.n_scores != wanted:
            raise ParetoscopeError(
                f"the model gives {counted(network.n_scores, 'number')} a row, the data have "
                f"{wanted} to predict"
            )
        return
    if network.n_scores != len(data.class_names):
        raise ParetoscopeError(
            f"the model has {counted(network.n_scores, 'score')}, the data have "
            f"{counted(len(data.class_names), 'class', 'classes')}"
        )


def to_network(
    model: Model,
    classes: Sequence[str] = (),
    n_features: int | None = None,
    order: Sequence[int] | None = None,
    problem: Problem | None = None,
    parts: Sequence[Part] = (),
) -> Network:
    """The network of a model by itself: a chain, or where that cannot be, coded in place.

    Parameters
    ----------
    model, classes, n_features, order
        As for `to_chain`.
    problem : Problem, optional
        Of the data that it is for; by default its outputs are what they are.
    parts : sequence of Part
        Which numbers of a row are which input's, where the data say it.

    Raises
    ------
    ParetoscopeError
        It has no weights that could be coded, or takes text.
    """
    predicts = problem if problem is not None and problem.targets != "classes" else None
    if parts and len(parts) != len(model.passed.inputs):
        raise ParetoscopeError(
            f"the model takes {counted(len(model.passed.inputs), 'input')}, the file holds "
            f"{counted(len(parts), 'array')}: {', '.join(shown(part.name) for part in parts[:5])}"
        )
    try:
        return to_chain(model, classes, n_features, order, predicts)
    except ParetoscopeError:
        problem = problem or Agreement(labels=False)
        return network_in_place(model, problem, n_features, order or (), parts)


def to_chain(
    model: Model,
    classes: Sequence[str] = (),
    n_features: int | None = None,
    order: Sequence[int] | None = None,
    predicts: Problem | None = None,
) -> Network:
    """The network of a model, rewritten so that numpy can walk it.

    Parameters
    ----------
    model : Model
    classes : sequence of str
        Their names, for the network's metadata.
    n_features : int, optional
        Of the rows to come, where the model leaves that open.
    order : sequence of int, optional
        Which of the model's scores are to come first, second ...
    predicts : Problem, optional
        That of the numbers which it gives; by default it tells classes apart.

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
    proto = onnx.load_model_from_string(model.onnx_bytes)
    _require_onnx_s_own(proto)
    try:
        rewriting = Rewriting(proto, model.passed.inputs[0], width, REWRITES)
        if predicts is not None:
            numbers = rewriting.value(_numbers(proto.graph, model.output))
            return Network(rewriting.finish(numbers, (), predicts=predicts))
        scores = _scores(proto.graph, model.output)
        cut = 0.0 if model.cut is None else _cut(proto.graph, scores, model)
        return Network(rewriting.finish(rewriting.value(scores), classes, order, cut))
    except ParetoscopeError:
        raise
    except Exception as error:  # attributes that are missing, or of another kind than they must be
        raise ParetoscopeError(
            f"the model cannot be rewritten for compression ({type(error).__name__})"
        ) from error


def _require_onnx_s_own(model: onnx.ModelProto) -> None:
    """That no operator bears a name of ONNX's and is something else."""
    names = {*REWRITES, *_TAIL, "Constant", "Shape"}
    others = [f.name for f in model.functions if f.name in names]
    others += [
        n.op_type for n in model.graph.node if n.domain not in DOMAINS and n.op_type in names
    ]
    if others:
        raise ParetoscopeError(f"the model has a {shown(others[0])} of its own that is not ONNX's")


def _scores(graph: onnx.GraphProto, chosen: str | None) -> str:
    """The value that holds scores: what stands before softmax and labels."""
    numbers = [str(v.name) for v in graph.output if _is_float(v)]
    outputs = numbers or [str(v.name) for v in graph.output]
    return _behind(graph, outputs[0] if chosen not in outputs else str(chosen))


def _numbers(graph: onnx.GraphProto, chosen: str | None) -> str:
    """The value that holds the numbers to predict: what stands before they are only shaped."""
    floats = [str(v.name) for v in graph.output if _is_float(v)]
    if not floats:
        raise ParetoscopeError("the model gives no numbers")
    name = str(chosen) if chosen in floats else floats[0]
    makers = {made: node for node in graph.node for made in node.output}
    while name in makers and makers[name].op_type in (*_SHAPING, "Identity", "Cast", "Dropout"):
        name = str(makers[name].input[0])
    return name


def _cut(graph: onnx.GraphProto, scores: str, model: Model) -> float:
    """The chosen cut as one of the scores, which stand before a Sigmoid where there is one."""
    assert model.cut is not None
    users = [node.op_type for node in graph.node if scores in node.input]
    if "Sigmoid" not in users:
        return model.cut
    if not 0 < model.cut < 1:
        raise ParetoscopeError("a probability is cut between 0 and 1")
    return math.log(model.cut / (1 - model.cut))


def _behind(graph: onnx.GraphProto, name: str) -> str:
    """The value from which an output is made by softmax, labels and the like."""
    makers = {name: node for node in graph.node for name in node.output}
    while name in makers:
        node = makers[name]
        before = node
        while before.op_type in _SHAPING and before.input[0] in makers:
            before = makers[before.input[0]]
        shapes_tail = before is not node and before.op_type in ("Sigmoid", "Softmax", "LogSoftmax")
        over_rows = attributes_of(node).get("axis", _OVER.get(node.op_type, -1)) in (0, -2)
        if not shapes_tail and (node.op_type not in _TAIL or over_rows):
            break
        name = (before if shapes_tail else node).input[0]
    return str(name)


def _is_float(value: onnx.ValueInfoProto) -> bool:
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
    return not value.type.HasField("tensor_type") or value.type.tensor_type.elem_type in floats
