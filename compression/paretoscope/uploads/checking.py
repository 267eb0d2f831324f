"""What an uploaded file is, in one line with notes, or one sentence on why it is refused."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.wording import counted
from paretoscope.problems.accuracy import Accuracy
from paretoscope.problems.regression import RootMeanSquare
from paretoscope.problems.score import Predicted
from paretoscope.uploads.arrays import as_raw, is_arrays, read_arrays
from paretoscope.uploads.columns import Column, is_missing
from paretoscope.uploads.csvs import Reading, Table
from paretoscope.uploads.gate import Input, in_order, shown
from paretoscope.uploads.importing import Compressible, compressible, other_heads, to_network
from paretoscope.uploads.judged_pictures import Shown, judge_pictures
from paretoscope.uploads.kinds import kind_of
from paretoscope.uploads.labelled import (
    Constant,
    Labelled,
    can_be_one_hot,
    may_be_number,
    with_label,
)
from paretoscope.uploads.labelled import Predicted as What
from paretoscope.uploads.models import (
    OR_A_REGRESSION,
    Model,
    features_of_weights,
    gives_places,
    own_classes,
    predict,
    predict_numbers,
    read_model,
    written_classes,
)
from paretoscope.uploads.picture_choice import PictureChoice
from paretoscope.uploads.pictures import Frame, Wrong, is_pictures
from paretoscope.uploads.roles import guess_label, row_keys, say_keys
from paretoscope.uploads.scalings import Trials
from paretoscope.uploads.skops_files import check_skops, read_skops
from paretoscope.uploads.tables import ENDINGS, is_table, read_table

MODEL_ENDINGS = ("onnx", "skops")
_NAMED = 12  # features in a sentence


@dataclass(frozen=True)
class Checked:
    """What a file is, what is to be known of it, the names of a model's outputs, and whether its
    weights can be compressed: "yes", or "no: " with what stands in the way; "" for a table. `beats`
    tells whether a model that was judged does better than always the commonest label or the mean,
    `predicts` what it was judged to predict, `one_number` whether it gives one number a row, which
    is cut somewhere where that tells classes apart. Of pictures: which scalings were `tried`, which
    cannot be read, the side that was taken where the model leaves it open, what they become for
    it, and some so."""

    line: str
    notes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    compressible: str = ""
    beats: bool = True
    one_number: bool = False
    predicts: What = "class"
    tried: Trials | None = None
    wrong: tuple[Wrong, ...] = ()
    side: int | None = None
    frame: Frame | None = None
    shown: tuple[Shown, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """What a person chose of a table, where it is not to be taken as it seems.

    Attributes
    ----------
    label : str or None
        The column to be predicted.
    leave_out, keep : collection of str
        Columns that are no features, and those that are though they number or name the rows.
    one_hot : collection of str
        Columns of text that become a column of 0 and 1 for each value.
    reading : Reading
    predict : "class", "number", "nothing" or None
        What that column holds; None: what it looks like.
    pictures : PictureChoice
        Where the rows are an archive of pictures.
    """

    label: str | None = None
    leave_out: Collection[str] = ()
    keep: Collection[str] = ()
    one_hot: Collection[str] = ()
    reading: Reading | None = None
    predict: What | None = None
    pictures: PictureChoice = field(default_factory=PictureChoice)


_AS_IT_SEEMS = Chosen()


def check(
    data: bytes,
    name: str = "",
    model: bytes | None = None,
    *,
    chosen: Chosen = _AS_IT_SEEMS,
    correct_shape: bool = False,
    output: str | None = None,
    cut: float | None = None,
    names: Sequence[str] = (),
) -> Checked:
    """Judge a file by its bytes; with a model, how right that is on the table.

    Parameters
    ----------
    data : bytes
    name : str, optional
        Its ending says what it is meant to be; without one its bytes do.
    model : bytes, optional
        An ONNX or .skops file.
    chosen : Chosen, optional
        Of the table.
    correct_shape, output, cut
        As for `read_model`.
    names : sequence of str, optional
        What the table calls the model's classes, in the order of its scores; "" for none.

    Raises
    ------
    UnknownLabelsError
        The table's labels are none of the model's classes.
    ParetoscopeError
        The file is refused.
    """
    if model is not None:
        if kind_of(model) == "zip":
            return check_on(data, _skops_judge(model), names, chosen)
        read = read_model(model, correct_shape=correct_shape, output=output, cut=cut)
        onnx_judge = _onnx_judge(read)
        return check_on(data, onnx_judge, names, chosen)
    ending = name.lower().rpartition(".")[2]
    looks = is_table(data) or _looks_like_text(data)
    if ending in ENDINGS or (ending not in MODEL_ENDINGS and looks):
        return check_table(data, chosen)
    if ending == "skops" or (ending != "onnx" and kind_of(data) == "zip"):
        return Checked(check_skops(data), compressible="yes")
    return check_model(data, correct_shape=correct_shape, output=output, cut=cut)


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


def check_table(data: bytes, chosen: Chosen = _AS_IT_SEEMS) -> Checked:
    """A table by itself; without a choice the label is the column that is most likely one."""
    if is_arrays(data):
        arrays = read_arrays(data, chosen.label, chosen.predict)
        raw, told = as_raw(arrays, chosen.predict)
        held = f", {len(raw.class_names)} classes" if raw.class_names else ""
        return Checked(f"arrays of {len(arrays):,} rows{held}; {'; '.join(arrays.notes)}", told)
    table = read_table(data, chosen.reading)
    rows, taken = rows_of(table, chosen)
    features = ", ".join(map(shown, rows.features[:8])) + (" …" if len(rows.features) > 8 else "")
    classes = ", ".join(map(shown, rows.classes[:8])) + (" …" if len(rows.classes) > 8 else "")
    held = f"label '{shown(rows.label)}' with {len(rows.classes)} classes ({classes})"
    if rows.predicts == "number":
        low, high = rows.y.min(), rows.y.max()
        held = f"label '{shown(rows.label)}', a number to predict from {low:.6g} to {high:.6g}"
    if rows.predicts == "nothing":
        held = "no target"
    line = (
        f"a table of {table.n_rows:,} rows; {held}, {counted(len(rows.features), 'feature')} "
        f"({features})"
    )
    return Checked(line, (*table.notes, *rows.notes, *taken))


def rows_of(
    table: Table, chosen: Chosen = _AS_IT_SEEMS, constant: Constant = "leave-out"
) -> tuple[Labelled, list[str]]:
    """Rows by the chosen or likely label, without columns that number or name the rows and, where
    numbers are left, without columns of text; and a note on each that was left out."""
    label = guess_label(table) if chosen.label is None else chosen.label
    if chosen.predict == "nothing":
        label = ""
    else:
        table.column(label)
    for name in (*chosen.leave_out, *chosen.keep):
        table.column(name)
    asked = {*chosen.keep, *chosen.one_hot}
    keys = {n: why for n, why in row_keys(table, label).items() if n not in asked}
    others = [c for c in table.columns if c.name != label and c.name not in chosen.leave_out]
    texts = [c for c in others if c.kind == "text" and c.name not in chosen.one_hot]
    if not chosen.one_hot and all(c.values is None for c in others):
        texts = []  # it is said that models take numbers
    left = {*keys, *chosen.leave_out, *(c.name for c in texts)}
    notes = say_keys(keys)
    plain = [c for c in texts if c.name not in keys]
    if plain:
        notes.append(f"columns of text are no features: {', '.join(shown(c.name) for c in plain)}")
    for column in filter(can_be_one_hot, plain):
        notes.append(
            f"'{shown(column.name)}' has {len(column.texts)} different texts: as one-hot, it would "
            "be a column of 0 and 1 for each"
        )
    found = with_label(
        table, label, left, chosen.one_hot, constant=constant, predict=chosen.predict
    )
    return found, notes


# --- models -----------------------------------------------------------------------------------


def check_model(
    data: bytes,
    *,
    correct_shape: bool = False,
    output: str | None = None,
    cut: float | None = None,
) -> Checked:
    """An ONNX model by itself."""
    model = read_model(data, correct_shape=correct_shape, output=output, cut=cut)
    passed = model.passed
    inputs = ", ".join(f"{shown(i.name)} {_shape(i)}" for i in passed.inputs[:4])
    inputs += " …" if len(passed.inputs) > 4 else ""
    outputs = ", ".join(
        f"{shown(str(o['name']))} {o['type']}{o['shape']}" for o in model.outputs[:4]
    )
    rows = "one row" if model.batch == 1 else "two rows"
    line = (
        f"an ONNX model, opset {passed.opset}: inputs {inputs}; outputs for {rows} {outputs}; "
        f"{passed.n_weights:,} numbers in its tensors"
    )
    can, one = compressible(model), model.is_one_number
    notes = _with_heads(model, can)
    return Checked(line, notes, _outputs(model), can.answer, one_number=one)


def _with_heads(model: Model, can: Compressible) -> tuple[str, ...]:
    """A model's notes, with what is to be known of compressing it, and what of its outputs a
    compressed file lacks."""
    notes = (*model.notes, *can.notes)
    lost = other_heads(model) if can.answer == "yes" and not can.in_place else []
    if not lost:
        return notes
    names = ", ".join(map(shown, lost))
    told = "is another head" if len(lost) == 1 else "are other heads"
    return (*notes, f"{names} {told}: compressed files do without")


def _outputs(model: Model) -> tuple[str, ...]:
    return tuple(str(o["name"]) for o in model.outputs)


def _shape(given: Input) -> str:
    dims = (
        "?" if given.shape is None else ", ".join("?" if d is None else str(d) for d in given.shape)
    )
    return f"{given.type}[{dims}]"


# --- a model on a table ---------------------------------------------------------------------------


class UnknownLabelsError(ParetoscopeError):
    """The table's labels are none of the model's classes.

    Attributes
    ----------
    labels : tuple of str
        The table's, in order.
    classes : tuple of str
        What the model calls its classes, in the order of its scores as far as known.
    outputs : tuple of str
        The model's, of which another may hold the scores.
    """

    def __init__(self, labels: Sequence[str], classes: Sequence[str], outputs: Sequence[str]):
        few = ", ".join(map(shown, labels[:5])) + (" …" if len(labels) > 5 else "")
        own = ", ".join(map(shown, classes[:5])) + (" …" if len(classes) > 5 else "")
        super().__init__(
            f"the labels {few} are none of the model's classes ({own}); give a mapping"
        )
        self.labels, self.classes, self.outputs = tuple(labels), tuple(classes), tuple(outputs)


@dataclass(frozen=True)
class _Judge:
    """A model that runs in the sandbox, and what a table must know of it.

    `classes` are its own names in the order of its scores, where the file says them; `other_width`
    is what to add where the table has other features.
    """

    model: Model
    classes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    other_width: str = ""
    compressible: str = "yes"

    def labels(self, values: npt.NDArray[np.float64]) -> tuple[list[str], int]:
        """A label for each row, as text, and how many rows had scores that are no numbers."""
        answer = predict(self.model, values)
        labels = answer["labels"]
        if self.classes:
            labels = [self.classes[int(place)] for place in labels]
        return labels, int(answer["not_finite"])  # type: ignore[call-overload]

    def own_classes(self, found: Sequence[str], n_names: int = 0) -> list[str]:
        """The model's own names for its classes, by its file or the labels that it gave."""
        if self.classes:
            return list(self.classes)
        if n_names:
            return own_classes(self.model, found, n_names)
        n = score_count(self.model) or len(set(found))
        try:
            return own_classes(self.model, found, n)
        except ParetoscopeError:
            return sorted(set(found), key=in_order)

    def stated_classes(self) -> tuple[str, ...]:
        """What it calls its classes before it has run, as far as its file says."""
        if self.classes or not gives_places(self.model):
            return self.classes or tuple(written_classes(self.model))
        return tuple(str(place) for place in range(score_count(self.model) or 0))

    def are_labels(self, found: Sequence[str], classes: Sequence[str]) -> bool:
        """Whether predictions are the table's labels as they are: places only where those count
        from 0 too."""
        if gives_places(self.model) and not self.classes:
            found = [str(place) for place in range(score_count(self.model) or 0)]
            return set(classes) <= set(found)
        return set(found) <= set(classes)


def _onnx_judge(model: Model) -> _Judge:
    other_width = ""
    if model.stated is not None and not model.corrected:
        taken = features_of_weights(model.passed)
        other_width = f" (its weights take {taken}: correct the stated shape to go on)"
    can = compressible(model)
    notes = _with_heads(model, can)
    return _Judge(model, (), _outputs(model), notes, other_width, can.answer)


def score_count(model: Model) -> int | None:
    """How many classes the scores tell apart; None where there are none."""
    shapes = [
        list(map(int, o["shape"]))  # type: ignore[call-overload]
        for o in model.outputs
        if str(o["type"]).startswith("float") and model.output in (None, o["name"])
    ]
    return max(2, math.prod(shapes[0][1:])) if shapes else None


def _skops_judge(data: bytes) -> _Judge:
    """Its numbers make a network, which runs as any other model of strangers."""
    network, classes = read_skops(data)
    return _Judge(read_model(network.onnx_bytes), classes)


def check_on(
    data: bytes, judge: _Judge, names: Sequence[str] = (), chosen: Chosen = _AS_IT_SEEMS
) -> Checked:
    """How right a model is on the rows of a table, of arrays, or on pictures."""
    if is_pictures(data):
        return _run_on_pictures(data, judge, chosen)
    if is_arrays(data):
        return _run_on_arrays(data, judge, chosen)
    table = read_table(data, chosen.reading)
    if chosen.predict == "nothing":
        return _run_on_rows(table, judge, chosen)
    label = chosen.label
    if label is None:
        label = guess_label(table, judge.stated_classes(), score_count(judge.model))
    table.column(label)
    texts = [i for i in judge.model.passed.inputs if i.type == "string"]
    column = table.column(label)
    feeds, notes = _match(table, label, judge, chosen), [*table.notes]
    if texts:
        raise ParetoscopeError(
            f"the input '{shown(texts[0].name)}' takes text; models are judged on numbers only"
        )
    values = np.stack([_finite(table, name) for name in feeds], axis=1)
    if not names and _is_regression(judge, column, chosen):
        return _judge_numbers(judge, column, values, feeds, notes)
    truth = np.array(_labels_of(table, label), np.object_)
    kept = np.isfinite(values).all(1) & np.array([not is_missing(text) for text in truth])
    if not kept.any():
        raise ParetoscopeError("no rows are left without missing or infinite values")
    found, not_finite = judge.labels(values[kept])
    predicted = _as_classes(found, sorted(set(truth[kept]), key=in_order), names, judge)
    right = sum(a == b for a, b in zip(predicted, truth[kept], strict=True))
    accuracy = Accuracy(right, int(kept.sum()))
    low, high = accuracy.interval
    notes += [note.removesuffix(OR_A_REGRESSION) for note in judge.notes]
    if names:
        own = judge.own_classes(found, len(names))
        pairs = zip(own, names, strict=True)
        classes = ", ".join(f"{shown(c)} is {shown(name) or 'none'}" for c, name in pairs)
        notes.append(f"the model's classes by the names given: {classes}")
    if not kept.all():
        n_left = int((~kept).sum())
        notes.append(f"{n_left:,} rows miss features or labels, or hold infinite values: left out")
    if not_finite:
        notes.append(f"{not_finite:,} rows got scores that are no finite numbers")
    disagree = _labels_and_scores_apart(judge.model, values[kept], found)
    if disagree:
        notes.append(
            f"its labels and its scores disagree on {disagree:,} of {accuracy.n:,} rows: the "
            "labels are judged"
        )
    commonest, n_commonest = Counter(truth[kept]).most_common(1)[0]
    beats = low > n_commonest / accuracy.n
    if not beats:
        notes.append(
            f"these rows do not show that it does better than always '{shown(commonest)}', which "
            f"is right on {100 * n_commonest / accuracy.n:.1f} %"
        )
    line = (
        f"{100 * accuracy.value:.1f} % of {accuracy.n:,} rows are right (95 % interval "
        f"{100 * low:.1f} to {100 * high:.1f}); label '{shown(label)}', {_fed(judge.model, feeds)}"
    )
    one = judge.model.is_one_number
    return Checked(line, tuple(notes), judge.outputs, judge.compressible, beats, one)


def _fed(model: Model, feeds: Sequence[str]) -> str:
    """Which columns the model was given, in words."""
    if not any(width > 1 for width in model.widths):
        more = " …" if len(feeds) > _NAMED else ""
        return f"features in the order {', '.join(map(shown, feeds[:_NAMED]))}{more}"
    parts, start = [], 0
    for given, width in zip(model.passed.inputs, model.widths, strict=True):
        taken, start = feeds[start : start + width], start + width
        more = " …" if width > _NAMED else ""
        parts.append(f"{shown(given.name)} takes {', '.join(map(shown, taken[:_NAMED]))}{more}")
    return "; ".join(parts)


def _run_on_arrays(data: bytes, judge: _Judge, chosen: Chosen) -> Checked:
    """What rows of arrays hold, and that the model takes them."""
    arrays = read_arrays(data, chosen.label, chosen.predict)
    raw, told = as_raw(arrays, chosen.predict, score_count(judge.model) or 0)
    network = to_network(
        judge.model, raw.class_names, raw.X.shape[1], problem=raw.problem, parts=raw.parts
    )
    if network.n_features != raw.X.shape[1]:
        raise ParetoscopeError(
            f"the model takes {network.n_features:,} numbers a row, the file holds "
            f"{raw.X.shape[1]:,}"
        )
    if raw.class_names and network.n_scores < len(raw.class_names):
        raise ParetoscopeError(
            f"the model has {counted(network.n_scores, 'score')}, the labels go to "
            f"{raw.class_names[-1]}"
        )
    held = "no labels"
    predicts: What = "nothing"
    if raw.class_names:
        held, predicts = f"{len(raw.class_names)} classes", "class"
    elif arrays.labels is not None:
        held, predicts = "a number to predict", "number"
    line = f"{len(arrays):,} rows, {held}; {'; '.join(arrays.notes)}"
    notes = (*told, *(note.removesuffix(OR_A_REGRESSION) for note in judge.notes))
    return Checked(line, notes, judge.outputs, judge.compressible, predicts=predicts)


def _run_on_pictures(data: bytes, judge: _Judge, chosen: Chosen) -> Checked:
    """Which pictures can be read, and under which scaling the model is right."""
    n = score_count(judge.model) or 0
    judged = judge_pictures(data, judge.model, n, chosen.pictures)
    notes = (*judged.notes, *(note.removesuffix(OR_A_REGRESSION) for note in judge.notes))
    return Checked(
        judged.line,
        notes,
        judge.outputs,
        judge.compressible,
        beats=judged.trials is None or judged.trials.tells,
        one_number=judge.model.is_one_number,
        predicts="nothing" if judged.trials is None else "class",
        tried=judged.trials,
        wrong=judged.wrong,
        side=judged.side,
        frame=judged.frame,
        shown=judged.shown,
    )


def _run_on_rows(table: Table, judge: _Judge, chosen: Chosen) -> Checked:
    """What a model gives for rows without targets: nothing tells whether it is right."""
    feeds = _match(table, "", judge, chosen)
    values = np.stack([_finite(table, name) for name in feeds], axis=1)
    kept = np.isfinite(values).all(1)
    if not kept.any():
        raise ParetoscopeError("no rows are left without missing or infinite values")
    found = predict_numbers(judge.model, values[kept])
    if not np.isfinite(found).all():
        n_broken = int((~np.isfinite(found)).any(1).sum())
        raise ParetoscopeError(f"on {n_broken:,} rows the model gives no finite numbers")
    notes = [*table.notes, *(note.removesuffix(OR_A_REGRESSION) for note in judge.notes)]
    notes.append("without targets nothing tells whether it is right, only what a file changes")
    line = (
        f"it gives {counted(found.shape[1], 'number')} for each of {len(found):,} rows; "
        f"{_fed(judge.model, feeds)}"
    )
    done = judge.outputs, judge.compressible
    return Checked(line, tuple(notes), *done, one_number=True, predicts="nothing")


def _is_regression(judge: _Judge, column: Column, chosen: Chosen) -> bool:
    """Whether a number is predicted: as was chosen, or where the model gives one number a row and
    the table holds more than two different ones."""
    if chosen.predict is not None:
        return chosen.predict == "number"
    return judge.model.is_one_number and may_be_number(column)


def _judge_numbers(
    judge: _Judge,
    column: Column,
    values: npt.NDArray[np.float64],
    feeds: Sequence[str],
    notes: list[str],
) -> Checked:
    """How far off a model's numbers are from a table's."""
    if column.values is None:
        raise ParetoscopeError(
            f"'{shown(column.name)}' holds {column.kind}, not numbers to predict"
        )
    truth = column.values
    kept = np.isfinite(values).all(1) & np.isfinite(truth)
    if not kept.any():
        raise ParetoscopeError("no rows are left without missing or infinite values")
    found = predict_numbers(judge.model, values[kept]).astype(np.float32)
    if found.shape[1] != 1:
        raise ParetoscopeError(
            f"the model gives {found.shape[1]:,} numbers a row, and '{shown(column.name)}' is one"
        )
    notes += [note.removesuffix(OR_A_REGRESSION) for note in judge.notes]
    notes = [note for note in notes if "told apart at" not in note]
    if not kept.all():
        n_left = int((~kept).sum())
        notes.append(f"{n_left:,} rows miss features or numbers, or hold infinite values: left out")
    if not np.isfinite(found).all():
        n_broken = int((~np.isfinite(found)).any(1).sum())
        raise ParetoscopeError(f"on {n_broken:,} rows the model gives no finite numbers")
    error = RootMeanSquare().figure(Predicted(found), truth[kept])
    spread = float(truth[kept].std())
    beats = error.interval is not None and error.interval[1] < spread
    if not beats:
        notes.append(
            f"these rows do not show that it does better than always the mean, whose RMSE is "
            f"{spread:.4g}"
        )
    told = f"RMSE {error.value:.4g} on {error.n:,} rows"
    if error.interval is not None:
        told += f" (95 % interval {error.interval[0]:.4g} to {error.interval[1]:.4g})"
    line = f"{told}; '{shown(column.name)}' predicted, {_fed(judge.model, feeds)}"
    done = judge.outputs, judge.compressible, beats
    return Checked(line, tuple(notes), *done, one_number=True, predicts="number")


def _labels_and_scores_apart(
    model: Model, values: npt.NDArray[np.float64], labels: Sequence[str]
) -> int:
    """On how many rows a model's labels are not those of its largest scores, where it gives both
    and one score for each class."""
    n = score_count(model)
    if model.output is not None or gives_places(model) or n is None:
        return 0
    scores = [str(o["name"]) for o in model.outputs if str(o["type"]).startswith("float")]
    try:
        own = own_classes(model, labels, n)
    except ParetoscopeError:
        return 0
    places = predict(replace(model, output=scores[0]), values)["labels"]
    found = [own[int(place)] if int(place) < len(own) else "" for place in places]
    return sum(a != b for a, b in zip(found, labels, strict=True))


def _match(table: Table, label: str, judge: _Judge, chosen: Chosen) -> list[str]:
    """The feature columns in the model's order. Columns that number the rows are left out unless
    the model takes as many columns as there are with them."""
    features = [n for n in table.names if n != label and n not in chosen.leave_out]
    inputs = [i.name for i in judge.model.passed.inputs]
    if len(inputs) > 1 and len(inputs) == judge.model.width and set(inputs) <= set(features):
        return inputs
    wanted = judge.model.width
    keys = {name for name in row_keys(table, label) if name not in chosen.keep}
    if len(features) != wanted:
        features = [name for name in features if name not in keys]
    if wanted is not None and len(features) != wanted:
        told = f"the model takes {counted(wanted, 'feature')}, the table has {len(features)}"
        told += judge.other_width
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
    if column.kind == "number" and column.values is not None:
        return [f"{value:.15g}" for value in column.values]
    return [cell.strip() for cell in column.cells]


def _as_classes(
    found: Sequence[str], classes: Sequence[str], names: Sequence[str], judge: _Judge
) -> list[str]:
    """Predictions as labels of the table: as they are, or by the `names` given."""
    if names:
        own = judge.own_classes(found, len(names))
        if len(own) != len(names):
            raise ParetoscopeError(
                f"{len(names)} names were given, and the model has {len(own)} classes"
            )
        named = dict(zip(own, names, strict=True))
        return [named.get(text, "") for text in found]
    if judge.are_labels(found, classes):
        return list(found)
    raise UnknownLabelsError(classes, judge.own_classes(found), judge.outputs)
