"""Rows as arrays: images, sequences, several inputs at once, as an NPZ file holds them.

A file whose rows are short is a table, each number a column (`tables`). One whose rows are long, or
that has a folder of inputs, is read here: its arrays keep their shapes, and images of whole numbers
from 0 to 255 stay bytes.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.wording import counted
from paretoscope.data.rows import Part, Raw
from paretoscope.problems.agreement import Agreement
from paretoscope.problems.problem import Problem
from paretoscope.problems.regression import Regression
from paretoscope.sandbox.sandbox import Limits, Sandbox
from paretoscope.uploads.gate import as_name, in_order, shown
from paretoscope.uploads.kinds import has_short_directory
from paretoscope.uploads.labelled import Predicted

LONGEST_TABLE_ROW = 4096  # numbers: longer ones are no columns that anybody would look at
_INPUTS = "inputs/"
_LABELS = re.compile(r"(^|[_ ./-])(y|labels?|targets?|class(es)?)($|[_ .-])", re.IGNORECASE)
_MOST_BYTES = 400_000_000
_LIMITS = Limits(memory_mb=3072, processor_s=60, wall_s=120)
_FEWEST_ROWS = 20
_MOST_ARRAYS = 100
_MOST_CLASSES = 10_000


@dataclass(frozen=True, eq=False)
class Arrays:
    """Rows as a file of arrays holds them.

    Attributes
    ----------
    X : uint8 or float32 (n, d)
        All inputs side by side.
    parts : tuple of Part
        Which numbers of a row are which input's, and of what shape.
    labels : array (n,) or None
        Of text or numbers.
    label : str
        The name of that array.
    notes : tuple of str
    """

    X: npt.NDArray[Any]
    parts: tuple[Part, ...]
    labels: npt.NDArray[Any] | None
    label: str
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.X)


def is_arrays(data: bytes) -> bool:
    """Whether a file is an NPZ archive with rows that are too long for a table, or with a folder of
    inputs. Only its directory and the heads of its arrays are read."""
    shapes = _shapes(data)
    return any(name.startswith(_INPUTS) for name in shapes) or any(
        math.prod(shape[1:]) > LONGEST_TABLE_ROW for shape in shapes.values()
    )


def _shapes(data: bytes) -> dict[str, tuple[int, ...]]:
    if not data.startswith(b"PK\x03\x04") or not has_short_directory(data):
        return {}
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if len(names) > _MOST_ARRAYS or not all(name.endswith(".npy") for name in names):
                return {}
            for name in names:
                with archive.open(name) as head:
                    version = np.lib.format.read_magic(head)
                    if version not in ((1, 0), (2, 0)):
                        return {}
                    read = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    found[name.removesuffix(".npy")] = tuple(map(int, read(head)[0]))
    except Exception:  # damaged in a way of its own: whoever reads it says so
        return {}
    return found


def read_arrays(data: bytes, label: str | None = None, predict: Predicted | None = None) -> Arrays:
    """The rows of an NPZ file.

    Parameters
    ----------
    data : bytes
    label : str, optional
        The array that is to be predicted; by default one named like y, label or target.
    predict : "class", "number" or "nothing", optional
        "nothing": labels are left out.

    Raises
    ------
    ParetoscopeError
        It is no such file, too large, or its arrays do not go together.
    """
    with Sandbox(_LIMITS) as sandbox:
        found = sandbox.run("arrays", [data], {"most_bytes": _MOST_BYTES}, most_bytes=_MOST_BYTES)
    arrays = _unpacked(found["bytes"], found["arrays"])
    if any(name.startswith(_INPUTS) for name in arrays):
        beside = {n: a for n, a in arrays.items() if "/" not in n and _LABELS.search(n)}
        inputs = {n: a for n, a in arrays.items() if n.startswith(_INPUTS)}
        arrays = {n.removeprefix(_INPUTS): a for n, a in inputs.items()} | beside
    label = _label_of(arrays, label)
    labels = arrays.pop(label) if label else None
    if not arrays:
        raise ParetoscopeError("the file holds no rows, only labels")
    sizes = {name: len(a) for name, a in arrays.items()} | (
        {} if labels is None else {label: len(labels)}
    )
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{shown(name)} {n:,}" for name, n in list(sizes.items())[:6])
        raise ParetoscopeError(f"the arrays have different numbers of rows ({told})")
    n = next(iter(sizes.values()))
    if n < _FEWEST_ROWS:
        raise ParetoscopeError(
            f"the file holds {counted(n, 'row')}; at least {_FEWEST_ROWS} are taken"
        )
    texts = [name for name, a in arrays.items() if a.dtype.kind not in "biuf"]
    if texts:
        raise ParetoscopeError(f"the array '{shown(texts[0])}' holds text, not numbers")
    parts = tuple(Part(as_name(name), a.shape[1:]) for name, a in arrays.items())
    flat = [a.reshape(n, -1) for a in arrays.values()]
    if any(a.dtype != np.uint8 for a in flat):
        flat = [a.astype(np.float32) for a in flat]
    X = np.concatenate(flat, 1) if len(flat) > 1 else flat[0]
    if X.dtype != np.uint8 and not np.isfinite(X).all():
        raise ParetoscopeError("rows hold numbers that are missing or infinite")
    notes = tuple(f"'{p.name}' holds {p.told} a row" for p in parts)
    if predict == "nothing":
        labels, label = None, ""
    return Arrays(X, parts, labels, label, notes)


def _unpacked(data: bytes, described: list[dict[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    found: dict[str, npt.NDArray[Any]] = {}
    start = 0
    for one in described:
        part, start = data[start : start + one["n_bytes"]], start + one["n_bytes"]
        if one["type"] == "text":
            found[one["name"]] = np.array(json.loads(part), object)
        else:
            found[one["name"]] = np.frombuffer(part, one["type"]).reshape(one["shape"])
    return found


def _label_of(arrays: Mapping[str, npt.NDArray[Any]], label: str | None) -> str:
    """The name of the array of labels; "" where there is none."""
    flat = {name: a for name, a in arrays.items() if a.size == len(a)}
    if label:
        if label not in flat:
            known = ", ".join(map(shown, flat)) or "none with one value a row"
            raise ParetoscopeError(
                f"there is no array of labels '{shown(label)}'; there is {known}"
            )
        return label
    return next((name for name in flat if _LABELS.search(name)), "")


def as_raw(
    arrays: Arrays, predict: Predicted | None = None, n_classes: int = 0
) -> tuple[Raw, tuple[str, ...]]:
    """Rows as a dataset keeps them, and what is to be known of them.

    Labels that are whole numbers stand for the classes from 0 to the largest, or to `n_classes`,
    of which a model may know more than these rows show.
    """
    n = len(arrays)
    if arrays.labels is None:
        note = "there are no labels: files are held against the uncompressed model"
        stated: Problem = Agreement(labels=False)
        return Raw(arrays.X, np.zeros((n, 0)), (), stated=stated, parts=arrays.parts), (note,)
    labels = arrays.labels.reshape(n)
    if predict is None:
        fractions = labels.dtype.kind == "f" and bool((labels != np.round(labels)).any())
        predict = "number" if fractions else "class"
    if predict == "number":
        if labels.dtype.kind not in "biuf":
            raise ParetoscopeError(f"the labels '{shown(arrays.label)}' are text, not numbers")
        y: npt.NDArray[Any] = labels.astype(np.float64)
        stated = Regression((as_name(arrays.label),))
        return Raw(arrays.X, y, (), stated=stated, parts=arrays.parts), ()
    if labels.dtype.kind in "biuf":
        classes, y = _counted_classes(labels, n_classes)
    else:
        texts = [as_name(str(label)) for label in labels]
        classes = sorted(set(texts), key=in_order)
        places = {name: k for k, name in enumerate(classes)}
        y = np.array([places[text] for text in texts], np.int64)
    if len(classes) < 2:
        raise ParetoscopeError("all rows are of one class: there is nothing to tell apart")
    return Raw(arrays.X, y, (), tuple(classes), parts=arrays.parts), ()


def _counted_classes(
    labels: npt.NDArray[Any], n_classes: int
) -> tuple[list[str], npt.NDArray[np.int64]]:
    whole = np.asarray(np.round(labels.astype(np.float64)), np.int64)
    if whole.min() < 0 or whole.max() >= _MOST_CLASSES:
        raise ParetoscopeError(
            f"labels that are numbers go from 0 to {_MOST_CLASSES - 1:,}; got {whole.min():,} to "
            f"{whole.max():,}"
        )
    return [str(k) for k in range(max(n_classes, int(whole.max()) + 1))], whole
