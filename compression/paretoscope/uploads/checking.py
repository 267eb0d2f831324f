"""What an uploaded file is, in one line with notes, or one sentence on why it is refused."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from paretoscope.accuracy import Accuracy
from paretoscope.errors import ParetoscopeError
from paretoscope.uploads.csvs import Table, read_csv
from paretoscope.uploads.gate import Input, Passed, admit, inputs_of, shown
from paretoscope.uploads.kinds import kind_of
from paretoscope.uploads.labelled import Labelled, guess_label, with_label
from paretoscope.uploads.sandbox import Limits, Sandbox, limits_hold
from paretoscope.uploads.skops_files import check_skops

TABLE_ENDINGS = ("csv", "tsv", "txt")
MODEL_ENDINGS = ("onnx", "skops")
_FLOATS = ("float", "double", "float16")
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinearMatMul", "QLinearConv", "MatMulInteger")
_WIDTHS_TRIED = 12
_LARGEST = {"float16": 65504.0}


@dataclass(frozen=True)
class Checked:
    """What a file is, and what is to be known of it."""

    line: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Model:
    """A model that passed the gate and ran in the sandbox.

    Attributes
    ----------
    onnx_bytes : bytes
        As it runs: names of nodes told apart, a wrong stated shape left open where that was asked.
    passed : Passed
    outputs : tuple of dict
        Name, type and shape of what two rows gave.
    width : int or None
        Features of a row; None where the inputs are no table.
    batch : int or None
        Rows that each call must have.
    stated : int or None
        Features that its input states where its weights take another number.
    corrected : bool
        Whether that was left open, so that `width` is what the weights take.
    notes : tuple of str
    """

    onnx_bytes: bytes
    passed: Passed
    outputs: tuple[dict[str, object], ...]
    width: int | None
    batch: int | None
    stated: int | None
    corrected: bool
    notes: tuple[str, ...]


def check(
    data: bytes, name: str = "", model: bytes | None = None, *, correct_shape: bool = False
) -> Checked:
    """Judge a file by its bytes; with a model, how right that is on the table.

    Parameters
    ----------
    data : bytes
    name : str, optional
        Its ending says what it is meant to be; without one its bytes do.
    model : bytes, optional
        An ONNX file.
    correct_shape : bool, default False
        As for `read_model`.

    Raises
    ------
    ParetoscopeError
        The file is refused.
    """
    if model is not None:
        return check_on(data, read_model(model, correct_shape=correct_shape))
    ending = name.lower().rpartition(".")[2]
    if ending in TABLE_ENDINGS or (ending not in MODEL_ENDINGS and _looks_like_text(data)):
        return check_table(data)
    if ending == "skops" or (ending != "onnx" and kind_of(data) == "zip"):
        return Checked(check_skops(data))
    return check_model(data, correct_shape=correct_shape)


def _looks_like_text(data: bytes) -> bool:
    """Whether the first line is one of a table, in any encoding that is read."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[:3] == b"\xef\xbb\xbf":
        return True
    first = re.split(rb"[\r\n]", data[:4096].lstrip(b"\r\n"))[0]
    return (
        kind_of(data) == "other"
        and not re.search(rb"[\x00-\x08\x0e-\x1f]", first)
        and any(mark in first for mark in (b",", b";", b"\t", b"|"))
    )


# --- tables -----------------------------------------------------------------------------------


def check_table(data: bytes) -> Checked:
    """A table by itself; the label is the column that is most likely one."""
    table = read_csv(data)
    rows, left = rows_of(table)
    notes = [*table.notes, *rows.notes]
    if left:
        notes.append(f"columns of text are no features: {', '.join(map(shown, left))}")
    features = ", ".join(map(shown, rows.features[:8])) + (" …" if len(rows.features) > 8 else "")
    classes = ", ".join(map(shown, rows.classes[:8])) + (" …" if len(rows.classes) > 8 else "")
    line = (
        f"a table of {table.n_rows:,} rows; label '{shown(rows.label)}' with {len(rows.classes)} "
        f"classes ({classes}), {len(rows.features)} features ({features})"
    )
    return Checked(line, tuple(notes))


def rows_of(table: Table) -> tuple[Labelled, list[str]]:
    """Rows by the likely label, without columns of text where numbers are left; and those left."""
    label = guess_label(table)
    others = [c for c in table.columns if c.name != label]
    texts = [c.name for c in others if c.kind == "text"]
    left = texts if any(c.kind == "number" for c in others) else []
    return with_label(table, label, left), left


# --- models -----------------------------------------------------------------------------------


def check_model(data: bytes, *, correct_shape: bool = False) -> Checked:
    """An ONNX model by itself."""
    model = read_model(data, correct_shape=correct_shape)
    passed = model.passed
    inputs = ", ".join(f"{shown(i.name)} {_shape(i)}" for i in passed.inputs[:4])
    inputs += " …" if len(passed.inputs) > 4 else ""
    outputs = ", ".join(
        f"{shown(str(o['name']))} {o['type']}{o['shape']}" for o in model.outputs[:4]
    )
    line = (
        f"an ONNX model, opset {passed.opset}: inputs {inputs}; outputs for two rows {outputs}; "
        f"{passed.n_weights:,} numbers in its tensors"
    )
    return Checked(line, model.notes)


def _shape(given: Input) -> str:
    dims = (
        "?" if given.shape is None else ", ".join("?" if d is None else str(d) for d in given.shape)
    )
    return f"{given.type}[{dims}]"


def read_model(data: bytes, *, correct_shape: bool = False, limits: Limits | None = None) -> Model:
    """Let a model pass the gate, and run it in the sandbox on two rows.

    Parameters
    ----------
    data : bytes
    correct_shape : bool, default False
        Leave the number of features open where the stated one is not what the weights take.
    """
    passed = admit(data)
    notes: list[str] = []
    edited = onnx.ModelProto()
    edited.CopyFrom(passed.model)
    _tell_names_apart(edited, notes)
    wanted, stated = _features_of_weights(passed), _stated_width(passed)
    differs = wanted is not None and stated is not None and wanted != stated
    if differs:
        notes.append(
            f"its input states {stated} features, but its weights take {wanted}: "
            + ("the stated number was corrected" if correct_shape else "the stated number is wrong")
        )
        if correct_shape:
            _open_shapes(edited)
    run = edited.SerializeToString()
    inputs = admit(run).inputs
    with Sandbox(limits) as sandbox:
        tried = sandbox.run(
            "try", [run], {"inputs": [_plain(i) for i in inputs], "widths": _widths(passed)}
        )
    outputs = tuple(tried["outputs"])
    batch = None if differs and correct_shape else _fixed_batch(passed)
    notes += _notes(passed, outputs, batch)
    if not limits_hold():
        notes.append("this system cannot hold the model to limits of memory and processor time")
    corrected = differs and correct_shape
    width = wanted if corrected else (stated or tried["width"])
    wrong = stated if differs else None
    return Model(run, passed, outputs, width, batch, wrong, corrected, tuple(notes))


def _plain(given: Input) -> dict[str, object]:
    return {"name": given.name, "type": given.type, "shape": given.shape}


def _tell_names_apart(model: onnx.ModelProto, notes: list[str]) -> None:
    """ONNX Runtime refuses nodes of the same name, which are legal."""
    counts = Counter(node.name for node in model.graph.node if node.name)
    again = [name for name, n in counts.items() if n > 1]
    if again:
        for place, node in enumerate(model.graph.node):
            node.name = f"node {place}"
        notes.append(f"several nodes are named '{shown(again[0])}': they were given other names")


def _open_shapes(model: onnx.ModelProto) -> None:
    for value in inputs_of(model.graph):
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("value")
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


def _stated_width(passed: Passed) -> int | None:
    """Features of a row as the one input states them."""
    if len(passed.inputs) != 1 or passed.inputs[0].shape is None:
        return None
    dims = passed.inputs[0].shape[1:]
    return None if not dims or None in dims else math.prod(d for d in dims if d)


def _features_of_weights(passed: Passed) -> int | None:
    """Features of a row that the first node takes, where its weights say so."""
    if len(passed.inputs) != 1:
        return None
    graph, name = passed.model.graph, passed.inputs[0].name
    arrays = {t.name: t for t in graph.initializer}
    node = next((n for n in graph.node if name in n.input), None)
    if node is None:
        return None
    attributes = {a.name: a for a in node.attribute}
    if node.op_type in ("LinearClassifier", "LinearRegressor") and "coefficients" in attributes:
        n_rows = len(attributes["intercepts"].floats) if "intercepts" in attributes else 0
        n = len(attributes["coefficients"].floats)
        return n // n_rows if n_rows and n % n_rows == 0 else None
    if node.op_type == "Scaler" and "scale" in attributes:
        n = len(attributes["scale"].floats)
        return n if n > 1 else None
    if node.op_type in ("MatMul", "Gemm") and len(node.input) > 1 and node.input[1] in arrays:
        dims = arrays[node.input[1]].dims
        turned = node.op_type == "Gemm" and "transB" in attributes and attributes["transB"].i
        return int(dims[1] if turned else dims[0]) if len(dims) == 2 else None
    return None


def _widths(passed: Passed) -> list[int]:
    """Numbers of features to try where the shape leaves them open."""
    if all(i.shape is not None and None not in i.shape[1:] for i in passed.inputs):
        return []
    tensors = [t for t in passed.model.graph.initializer if len(t.dims) == 2]
    sides = [int(side) for t in tensors for side in t.dims if 0 < side < 10_000]
    wanted = _features_of_weights(passed)
    tried = dict.fromkeys([*([wanted] if wanted else []), *sides, 4, 1, 32, 224])
    return list(tried)[:_WIDTHS_TRIED]


def _fixed_batch(passed: Passed) -> int | None:
    """Rows that each call must have. A stated one is taken for a hint."""
    firsts = {i.shape[0] for i in passed.inputs if i.shape}
    return next(iter(firsts)) if len(firsts) == 1 and None not in firsts else None


def _notes(passed: Passed, outputs: Sequence[dict[str, object]], batch: int | None) -> list[str]:
    notes = []
    if batch is not None:
        notes.append(f"each call takes {batch} rows: the last call is filled up, and cut again")
    types = {i.type for i in passed.inputs}
    for kind in sorted(types - {"float"}):
        limit = f" (at most {_LARGEST[kind]:,.0f})" if kind in _LARGEST else ""
        notes.append(f"inputs are turned into {kind}{limit}")
    if len(passed.inputs) > 1:
        notes.append(
            f"{len(passed.inputs)} inputs: columns are matched to them by name, then by order"
        )
    image = next((i for i in passed.inputs if i.shape and len(i.shape) > 2), None)
    if image is not None and image.shape is not None:
        dims = " × ".join("?" if d is None else str(d) for d in image.shape[1:])
        notes.append(f"the columns of a row are laid out as {dims}")
    if any(i.shape is None for i in passed.inputs):
        notes.append(
            "the shape of the input is not stated: it takes as many columns as it runs with"
        )
    notes += _notes_on_outputs(outputs)
    notes += _notes_on_weights(passed)
    hidden = {v.name for v in passed.model.graph.input} - {i.name for i in passed.inputs}
    if hidden:
        notes.append("its weights are listed as inputs too: they are not asked for")
    return notes


def _notes_on_outputs(outputs: Sequence[dict[str, object]]) -> list[str]:
    kinds = [str(o["type"]) for o in outputs]
    notes = []
    if len(outputs) > 1:
        notes.append(f"{len(outputs)} outputs: choose the one that holds scores")
    elif kinds[0] == "map":
        notes.append("the output is a probability for each label")
    elif kinds[0].startswith(("int", "uint", "string")):
        notes.append("the output is labels only: there are no scores")
    else:
        shape = outputs[0]["shape"]
        assert isinstance(shape, list)
        if math.prod(shape[1:]) == 1:
            notes.append("the output is one number a row: two classes, told apart at 0.5")
    if any(o.get("finite") is False for o in outputs):
        notes.append("outputs are not finite numbers on rows between 0 and 1")
    return notes


def _notes_on_weights(passed: Passed) -> list[str]:
    graph, operators = passed.model.graph, passed.operators
    notes = []
    if any(name in operators for name in _QUANTIZED):
        notes.append("the model is already quantized: there is nothing left to do for its codes")
    if any(name.startswith("TreeEnsemble") for name in operators):
        notes.append("it holds trees, which have no weights: no recipe changes them")
    used = Counter(name for node in graph.node for name in node.input)
    used.update(v.name for v in graph.output)
    inner = {n for node in graph.node for a in node.attribute for n in _names_within(a)}
    unused = [t for t in graph.initializer if not used[t.name] and t.name not in inner]
    if unused:
        n_bytes = sum(t.ByteSize() for t in unused)
        notes.append(f"{n_bytes:,} bytes of weights are never used: they can go")
    shared = [t.name for t in graph.initializer if used[t.name] > 1 and math.prod(t.dims) > 1]
    if shared:
        notes.append(f"'{shown(shared[0])}' is used more than once: it is compressed once")
    for tensor in graph.initializer:
        kind = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        if kind not in _FLOATS:
            continue
        values: npt.NDArray[np.generic] = numpy_helper.to_array(tensor)
        for n, what in (
            (int(np.isnan(values).sum()), "is NaN: the accuracy has no meaning"),
            (int(np.isinf(values).sum()), "is infinite: it cannot be quantized"),
        ):
            if n:
                notes.append(f"{n} of {values.size:,} weights in '{shown(tensor.name)}' {what}")
    return notes


def _names_within(attribute: onnx.AttributeProto) -> set[str]:
    graphs = [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
    found = {name for graph in graphs for node in graph.node for name in node.input}
    for graph in graphs:
        for node in graph.node:
            for inner in node.attribute:
                found |= _names_within(inner)
    return found


# --- a model on a table ---------------------------------------------------------------------------


def check_on(data: bytes, model: Model) -> Checked:
    """How right a model is on the rows of a table."""
    table = read_csv(data)
    label = guess_label(table)
    texts = [i for i in model.passed.inputs if i.type == "string"]
    feeds, notes = _match(table, label, model), [*table.notes]
    if texts:
        raise ParetoscopeError(
            f"the input '{shown(texts[0].name)}' takes text; models are judged on numbers only"
        )
    values = np.stack([_finite(table, name) for name in feeds], axis=1)
    kept = np.isfinite(values).all(1)
    truth = [str(text) for text in _labels_of(table, label)]
    answer = predict(model, values[kept])
    predicted = _as_classes(answer["labels"], sorted(set(truth)))
    right = sum(a == b for a, b in zip(predicted, np.array(truth)[kept], strict=True))
    accuracy = Accuracy(right, int(kept.sum()))
    low, high = accuracy.interval
    notes += model.notes
    if not kept.all():
        notes.append(f"{int((~kept).sum()):,} rows miss features or hold infinite values: left out")
    if answer["not_finite"]:
        notes.append(f"{answer['not_finite']:,} rows got scores that are no finite numbers")
    line = (
        f"{100 * accuracy.value:.1f} % of {accuracy.n:,} rows are right (95 % interval "
        f"{100 * low:.1f} to {100 * high:.1f}); features in the order "
        f"{', '.join(map(shown, feeds[:12]))}"
    )
    return Checked(line, tuple(notes))


def _match(table: Table, label: str, model: Model) -> list[str]:
    """The feature columns in the model's order."""
    features = [n for n in table.names if n != label]
    inputs = model.passed.inputs
    names = [i.name for i in inputs]
    if len(inputs) > 1 and set(names) <= set(features):
        return names
    wanted = len(inputs) if len(inputs) > 1 else model.width
    if wanted is not None and len(features) != wanted:
        told = f"the model takes {wanted} features, the table has {len(features)}"
        if model.stated is not None and not model.corrected:
            taken = _features_of_weights(model.passed)
            told += f" (its weights take {taken}: correct the stated shape to go on)"
        raise ParetoscopeError(told + (f": choose {wanted}" if len(features) > wanted else ""))
    return features


def _finite(table: Table, name: str) -> npt.NDArray[np.float64]:
    column = table.column(name)
    if column.values is None:
        raise ParetoscopeError(
            f"the column '{shown(name)}' holds {column.kind}, the model takes numbers"
        )
    return column.values


def _labels_of(table: Table, label: str) -> list[str]:
    column = table.column(label)
    if column.values is not None:
        return [f"{value:.15g}" for value in column.values]
    return [cell.strip() for cell in column.cells]


def predict(model: Model, values: npt.NDArray[np.float64]) -> dict[str, list[str]]:
    """Run a model on rows (n, features) in the sandbox: "labels", or places of the largest score,
    as text; and "not_finite", how many rows had scores that are no finite numbers."""
    inputs, parts, given = model.passed.inputs, [], []
    single = len(inputs) == 1
    for place, one in enumerate(inputs):
        column = values if single else values[:, place : place + 1]
        dims = [] if one.shape is None else [d or 0 for d in one.shape[1:]]
        shape = [len(column), *dims]
        if math.prod(shape) != column.size or model.corrected:
            shape = list(column.shape)
        parts.append(np.ascontiguousarray(column, np.float64).tobytes())
        given.append({"name": one.name, "type": one.type, "shape": shape})
    scores = [
        place
        for place, o in enumerate(model.outputs)
        if str(o["type"]).startswith("float") or o["type"] == "map"
    ]
    labels = [
        p for p, o in enumerate(model.outputs) if str(o["type"]).startswith(("int", "string"))
    ]
    place = (labels or scores or [0])[0]
    arguments = {"inputs": given, "output": place, "batch": model.batch, "above": 0.5}
    with Sandbox() as sandbox:
        answer = sandbox.run("predict", [model.onnx_bytes, *parts], arguments)
    return {"labels": list(map(str, answer["labels"])), "not_finite": answer["not_finite"]}


def _as_classes(found: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Predictions as labels of the table: by name, or by place among the classes in order."""
    plain = [f"{float(f):.15g}" if _is_number(f) else f for f in found]
    if set(plain) <= set(classes):
        return plain
    places = [int(float(f)) if _is_number(f) else -1 for f in found]
    ordered = sorted(
        classes, key=lambda c: (not _is_number(c), float(c) if _is_number(c) else 0, c)
    )
    if all(_is_number(c) for c in classes) or any(not 0 <= p < len(classes) for p in places):
        raise ParetoscopeError(
            f"labels such as {', '.join(repr(shown(c)) for c in ordered[:3])} are none of the "
            f"model's classes ({', '.join(sorted(set(plain))[:5])}); give a mapping"
        )
    raise ParetoscopeError(
        f"the labels {', '.join(map(shown, ordered[:5]))} are none of the model's classes "
        f"({', '.join(sorted(set(plain))[:5])}); give a mapping"
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
