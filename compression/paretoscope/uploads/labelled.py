"""A table with one column chosen as the target: rows to train and judge on, and what is odd there.

What is done to rows and columns is in the notes, for the user to confirm and for the dataset's
record: rows with infinite features are left out; what becomes of rows that miss features and of
columns with one value in all rows is the user's choice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.problems.score import Targets
from paretoscope.uploads.columns import Column
from paretoscope.uploads.csvs import Table
from paretoscope.uploads.gate import in_order, shown
from paretoscope.uploads.roles import guess_label

FEWEST_OF_A_CLASS = 5  # so that each split has one
_FEWEST_ROWS = 20  # of numbers to predict
_FEW_NUMBERS = 20  # different ones that may be labels in any case
_MANY_CLASSES = 1000
_NAMED = 20  # columns in a sentence
Missing = Literal["leave-out", "median", "zero"]
Constant = Literal["leave-out", "keep"]
Predicted = Literal["class", "number", "nothing"]
_MOST_VALUES = 20  # of a column of text that becomes columns of 0 and 1


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows with targets.

    Attributes
    ----------
    X : float32 (n, features)
    y : int64 or float64 (n,)
        Places in `classes`, or the numbers to predict.
    features, classes : tuple of str
        No classes where a number is predicted, or nothing.
    label : str
        The column's name.
    notes : tuple of str
        What was noticed and what was done, a sentence each.
    """

    X: FloatArray
    y: Targets
    features: tuple[str, ...]
    classes: tuple[str, ...]
    label: str
    notes: tuple[str, ...]

    @property
    def predicts(self) -> Predicted:
        if not self.label:
            return "nothing"
        return "class" if self.classes else "number"


def may_be_number(column: Column) -> bool:
    """Whether a column holds numbers that could be predicted as such: more than two."""
    return column.kind == "number" and column.n_different > 2


def looks_like_number(column: Column) -> bool:
    """Whether a column holds a number to predict rather than labels: more than 20 different ones,
    and fractions among them or one for every 20 rows."""
    if not may_be_number(column) or column.values is None or column.n_different <= _FEW_NUMBERS:
        return False
    there = column.values[np.isfinite(column.values)]
    return bool((there != np.round(there)).any()) or 20 * column.n_different > len(there)


def can_be_one_hot(column: Column) -> bool:
    """Whether a column of text has few values, each more than once on average: it can become a
    column of 0 and 1 for each."""
    n = len(column.texts)
    return column.kind == "text" and 2 <= n <= _MOST_VALUES and 2 * n <= len(column.cells)


def with_label(
    table: Table,
    label: str | None = None,
    leave_out: Collection[str] = (),
    one_hot: Collection[str] = (),
    missing: Missing = "leave-out",
    constant: Constant = "leave-out",
    predict: Predicted | None = None,
) -> Labelled:
    """Take one column as target and all others that are numbers as features.

    Parameters
    ----------
    table : Table
    label : str, optional
        Default: `guess_label`.
    leave_out : collection of str
        Columns that are no features.
    one_hot : collection of str
        Columns of text that become a column of 0 and 1 for each of their values, named like
        ``port=C``; where the text is missing, all are 0.
    missing : {"leave-out", "median", "zero"}
        What becomes of rows that miss features: left out, or filled with the median of the column
        or with 0.
    constant : {"leave-out", "keep"}
        What becomes of columns with one value in all rows. They tell nothing apart, but a model
        that was trained on them, as on the edges of images, wants them.
    predict : {"class", "number", "nothing"}, optional
        What the column holds; by default what it looks like (`looks_like_number`). Of "nothing"
        there is no label: all columns of numbers are features.

    Raises
    ------
    ParetoscopeError
        There is no such column, it is empty, features are text or dates, a text has too many
        values, a number is to be predicted that is none, or no rows are left.
    """
    notes: list[str] = []
    if predict == "nothing":
        return _without_label(table, leave_out, one_hot, missing, constant)
    label = guess_label(table) if label is None else label
    target = table.column(label)
    if predict is None:
        predict = "number" if looks_like_number(target) else "class"
    if predict == "number" and (target.kind != "number" or target.values is None):
        raise ParetoscopeError(f"'{shown(label)}' holds {target.kind}, not numbers to predict")
    labels = _labels(target, notes)
    if predict == "number":
        labels = [text if text and math.isfinite(float(text)) else None for text in labels]
    for name in one_hot:
        table.column(name)
    columns = [c for c in table.columns if c.name != label and c.name not in leave_out]
    columns = _features(_one_hot(columns, one_hot, notes), notes)
    X = np.stack([c.values for c in columns if c.values is not None], axis=1)
    _say_leaks(columns, X, labels, notes)
    if missing != "leave-out":
        X = _filled(X, columns, missing, notes)
    kept = _usable(X, labels, notes)
    X, labels = X[kept], [text for text, keep in zip(labels, kept, strict=True) if keep]
    if not len(X):
        raise ParetoscopeError("no rows are left without missing or infinite values")
    X, columns = _without_constants(X, columns, constant, notes)
    if predict == "number":
        _say_duplicates(X, [None] * len(X), notes)
        y = np.array([float(text or "nan") for text in labels])
        if looks_like_number(target):
            notes.append(f"'{shown(label)}' is taken for a number to predict")
        names = tuple(c.name for c in columns)
        return Labelled(X.astype(np.float32), y, names, (), label, tuple(notes))
    _say_duplicates(X, labels, notes)
    classes = sorted({text for text in labels if text is not None}, key=in_order)
    _say_classes(labels, classes, notes)
    place = {name: i for i, name in enumerate(classes)}
    return Labelled(
        X.astype(np.float32),
        np.array([place[text or ""] for text in labels], np.int64),
        tuple(c.name for c in columns),
        tuple(classes),
        label,
        tuple(notes),
    )


def _without_label(
    table: Table,
    leave_out: Collection[str],
    one_hot: Collection[str],
    missing: Missing,
    constant: Constant,
) -> Labelled:
    notes: list[str] = []
    columns = [c for c in table.columns if c.name not in leave_out]
    columns = _features(_one_hot(columns, one_hot, notes), notes)
    X = np.stack([c.values for c in columns if c.values is not None], axis=1)
    if missing != "leave-out":
        X = _filled(X, columns, missing, notes)
    X = X[_usable(X, [""] * len(X), notes)]
    if not len(X):
        raise ParetoscopeError("no rows are left without missing or infinite values")
    X, columns = _without_constants(X, columns, constant, notes)
    names = tuple(c.name for c in columns)
    return Labelled(X.astype(np.float32), np.zeros((len(X), 0)), names, (), "", tuple(notes))


def require_trainable(rows: Labelled) -> None:
    """That a model can be trained on the rows and judged.

    Raises
    ------
    ParetoscopeError
        A single class, too many of them, or a class with too few rows for each split to have one.
    """
    if rows.predicts != "class" and len(rows.y) < _FEWEST_ROWS:
        what = " with a number to predict" if rows.predicts == "number" else ""
        raise ParetoscopeError(f"fewer than {_FEWEST_ROWS} rows{what}")
    if rows.predicts == "nothing":
        return
    if rows.predicts == "number":
        if (rows.y == rows.y[0]).all():
            raise ParetoscopeError(f"all rows have the same number to predict, {rows.y[0]:.6g}")
        return
    counts = Counter(rows.y.tolist())
    if len(rows.classes) < 2:
        raise ParetoscopeError(f"all rows have the label '{shown(rows.classes[0])}': one class")
    if len(rows.classes) > _MANY_CLASSES or 2 * len(rows.classes) > len(rows.y):
        raise ParetoscopeError(
            f"{len(rows.classes):,} different labels in {len(rows.y):,} rows: this is a number to "
            "be predicted, or an id, not a class"
        )
    few = [rows.classes[k] for k, n in counts.items() if n < FEWEST_OF_A_CLASS]
    if few:
        names = ", ".join(f"'{shown(name)}'" for name in few[:5])
        raise ParetoscopeError(
            f"classes with fewer than {FEWEST_OF_A_CLASS} rows cannot be split: {names}"
        )


def _labels(column: Column, notes: list[str]) -> list[str | None]:
    """The labels as text; None where there is none. "NA" is one where others are text too."""
    cells = [cell.strip() for cell in column.cells]
    if column.kind == "empty" and not any(cells):
        raise ParetoscopeError(f"the label column '{shown(column.name)}' is empty in every row")
    if column.kind == "number" and column.values is not None:
        return [None if np.isnan(v) else f"{v:.15g}" for v in column.values]
    words = [cell for cell in cells if cell]
    if any(word.lower() in ("na", "none", "null", "nan") for word in words):
        kept = next(word for word in words if word.lower() in ("na", "none", "null", "nan"))
        notes.append(f"the label '{shown(kept)}' is kept as a class; only empty cells are missing")
    odd = {raw for raw in column.cells if raw != raw.strip()}
    if odd:
        notes.append("spaces around labels are left out")
    spellings: dict[str, Counter[str]] = {}
    for word in words:
        spellings.setdefault(word.casefold(), Counter())[word] += 1
    mixed = [sorted(found) for found in spellings.values() if len(found) > 1]
    if mixed:
        notes.append(
            f"labels that differ only in case are one class: {', '.join(map(shown, mixed[0]))}"
        )
    common = {folded: found.most_common(1)[0][0] for folded, found in spellings.items()}
    return [common[cell.casefold()] if cell else None for cell in cells]


def _one_hot(columns: list[Column], names: Collection[str], notes: list[str]) -> list[Column]:
    found: list[Column] = []
    for column in columns:
        if column.name not in names or column.values is not None:
            found.append(column)
            continue
        if not can_be_one_hot(column):
            raise ParetoscopeError(
                f"'{shown(column.name)}' has {len(column.texts):,} different texts in "
                f"{len(column.cells):,} rows: at most {_MOST_VALUES}, each in two rows on average, "
                "become columns of 0 and 1"
            )
        cells = np.array([cell.strip() for cell in column.cells], np.object_)
        for text in sorted(column.texts, key=in_order):
            values = (cells == text).astype(np.float64)
            shown_as = tuple("1" if value else "0" for value in values)
            found.append(Column(f"{column.name}={text}", shown_as, "number", values))
        notes.append(
            f"'{shown(column.name)}' became {len(column.texts)} columns of 0 and 1, one for each "
            "of its texts"
        )
    return found


def _features(columns: list[Column], notes: list[str]) -> list[Column]:
    texts = [c.name for c in columns if c.kind == "text"]
    dates = [c.name for c in columns if c.kind == "date"]
    for names, what in ((texts, "text"), (dates, "dates")):
        if names:
            told = ", ".join(map(shown, names[:20]))
            raise ParetoscopeError(
                f"feature columns hold {what}, models take numbers: {told}; leave them out to go on"
            )
    empty = [c.name for c in columns if c.kind == "empty"]
    if empty:
        notes.append(f"empty columns are left out: {', '.join(map(shown, empty[:20]))}")
    truths = [c.name for c in columns if c.kind == "truth"]
    if truths:
        more = f" and {len(truths) - _NAMED:,} more" if len(truths) > _NAMED else ""
        notes.append(f"true is 1 and false is 0 in {', '.join(map(shown, truths[:_NAMED]))}{more}")
    found = [c for c in columns if c.values is not None]
    if not found:
        raise ParetoscopeError("there is no feature column of numbers")
    return found


def _say_leaks(
    columns: list[Column], X: npt.NDArray[np.float64], labels: list[str | None], notes: list[str]
) -> None:
    """Of columns that tell the label one to one."""
    for place, column in enumerate(columns):
        pairs = {(v, text) for v, text in zip(X[:, place].tolist(), labels, strict=True) if text}
        values, texts = {v for v, _ in pairs}, {text for _, text in pairs}
        if 1 < len(pairs) == len(values) == len(texts) < len(labels):
            notes.append(
                f"the column '{shown(column.name)}' equals the label, one value for each: leave it "
                "out unless it is known when predicting"
            )


def _filled(
    X: npt.NDArray[np.float64], columns: list[Column], missing: Missing, notes: list[str]
) -> npt.NDArray[np.float64]:
    gaps = np.isnan(X)
    if not gaps.any():
        return X
    if missing == "median":
        fill, what = np.nanmedian(X, axis=0), "the median of their column, over all rows"
    else:
        fill, what = np.zeros(X.shape[1]), "0"
    names = [c.name for place, c in enumerate(columns) if gaps[:, place].any()]
    notes.append(
        f"{int(gaps.sum()):,} missing cells in {', '.join(map(shown, names[:20]))} are filled with "
        f"{what}"
    )
    return np.where(gaps, fill, X)


def _usable(
    X: npt.NDArray[np.float64], labels: list[str | None], notes: list[str]
) -> npt.NDArray[np.bool_]:
    missing = np.asarray(np.isnan(X).any(1))
    beyond = np.isinf(X) | (np.abs(np.nan_to_num(X)) > np.finfo(np.float32).max)
    infinite = np.asarray(beyond.any(1))
    unlabelled = np.array([text is None for text in labels])
    for rows, what in (
        (missing, "miss features"),
        (infinite & ~missing, "hold infinite values, or beyond what float32 holds"),
        (unlabelled & ~missing & ~infinite, "have no label"),
    ):
        if rows.any():
            notes.append(f"{int(rows.sum()):,} of {len(rows):,} rows {what}: they are left out")
    kept: npt.NDArray[np.bool_] = ~(missing | infinite | unlabelled)
    return kept


def _without_constants(
    X: npt.NDArray[np.float64], columns: list[Column], constant: Constant, notes: list[str]
) -> tuple[npt.NDArray[np.float64], list[Column]]:
    same = (X[:1] == X).all(0)
    if not same.any() or len(X) < 2 or same.all():
        return X, columns
    names = [shown(c.name) for c, is_same in zip(columns, same, strict=True) if is_same]
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    done = "left out" if constant == "leave-out" else "kept"
    notes.append(
        f"columns with one value in all rows are {done}: {', '.join(names[:_NAMED])}{more}"
    )
    if constant == "keep":
        return X, columns
    return X[:, ~same], [c for c, is_same in zip(columns, same, strict=True) if not is_same]


def _say_duplicates(X: npt.NDArray[np.float64], labels: list[str | None], notes: list[str]) -> None:
    """Of rows that are there more than once, and of those whose label is another each time."""
    groups: dict[bytes, Counter[str | None]] = {}
    for row, text in zip(np.ascontiguousarray(X), labels, strict=True):
        groups.setdefault(row.tobytes(), Counter())[text] += 1
    n = len(labels)
    repeated = sum(sum(c - 1 for c in found.values()) for found in groups.values())
    if repeated:
        notes.append(
            f"{repeated:,} of {n:,} rows repeat an earlier one exactly: where copies lie on both "
            "sides of a split, the figures are too good"
        )
    torn = sum(sum(found.values()) for found in groups.values() if len(found) > 1)
    if torn:
        best = sum(max(found.values()) for found in groups.values())
        notes.append(
            f"{torn:,} rows have the same features as others with another label: no model can be "
            f"right on more than {100 * best / n:.1f} % of the rows"
        )


def _say_classes(labels: list[str | None], classes: list[str], notes: list[str]) -> None:
    n = len(labels)
    if len(classes) == 1:
        notes.append(
            f"all rows have the label '{shown(classes[0])}': with one class there is nothing to "
            "tell apart"
        )
    if len(classes) > 20 and 2 * len(classes) > n:
        notes.append(
            f"{len(classes):,} different labels in {n:,} rows: this looks like a number to be "
            "predicted, or an id"
        )
    if n < 30:
        rows = "1 row" if n == 1 else f"{n} rows"
        notes.append(f"{rows}: the accuracy says next to nothing")
