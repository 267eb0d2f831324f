"""A visitor's own data: kept in this machine's store under a name that only their content gives."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import default_store
from paretoscope.base.wording import counted
from paretoscope.data.rows import Part, Raw, Scaling, Source, Unpacked, key_of, mapped, pack, packed
from paretoscope.problems.classification import Classification
from paretoscope.problems.problem import Problem
from paretoscope.problems.problems import PROBLEMS

_OWN = "own-"
OWN_DATA, _MARK_DIGITS = "own data", 16
_OWN_DIGITS = 32  # of the content's hash: what nobody guesses
_AT_ONCE_BYTES = 2**24
_MOST_NAMED = 1_000  # features of a row, that each has a name


def keep_own(raw: Raw, title: str, notes: Sequence[str] = ()) -> str:
    """Keep a visitor's data on this machine; returns the name that `load_dataset` takes.

    The name is made of the content's hash: it cannot be guessed without the data, and no list
    holds it.

    Parameters
    ----------
    raw : Raw
    title : str
        As it is shown: plain text.
    notes : sequence of str
        What was done to the rows when they were read.
    """
    about: dict[str, Any] = {
        "classes": raw.class_names,
        "features": raw.feature_names,
        "title": title,
    }
    about |= _about(raw.stated)
    if raw.parts:  # rows so long are numbered, not named
        about |= {"features": [], "parts": [[part.name, part.shape] for part in raw.parts]}
    if raw.scaling is not None:
        about |= {"scaling": asdict(raw.scaling)}
    all_ = about | {"notes": list(notes)}
    if isinstance(raw.X, np.memmap):  # it need not fit into memory
        name = f"{_OWN}{_digest(raw, about)[:_OWN_DIGITS]}"
        default_store().keep_written(
            key_of(name), raw.X.nbytes, lambda file: pack(file, raw.X, raw.y, all_)
        )
    else:
        digest = hashlib.sha256(packed(raw.X, raw.y, about)).hexdigest()
        name = f"{_OWN}{digest[:_OWN_DIGITS]}"
        default_store().keep(key_of(name), packed(raw.X, raw.y, all_))
    default_store().keep(_mark_key(public_name(name)), name.encode())
    _kept.cache_clear()  # the same rows may have been read in another way
    return name


def _digest(raw: Raw, about: dict[str, Any]) -> str:
    """Of rows that are not all in memory."""
    found = hashlib.sha256(json.dumps([about, raw.X.shape, str(raw.X.dtype)]).encode())
    found.update(np.ascontiguousarray(raw.y).data)
    step = max(1, _AT_ONCE_BYTES // max(1, raw.X[:1].nbytes))
    for start in range(0, len(raw.X), step):
        found.update(np.ascontiguousarray(raw.X[start : start + step]).data)
    return found.hexdigest()


def delete_own(name: str) -> None:
    """Delete own data from this machine; where they are not, nothing happens."""
    if is_own(name):
        default_store().forget(key_of(name))
        default_store().forget(_mark_key(public_name(name)))
        _kept.cache_clear()


def public_name(name: str) -> str:
    """A dataset's name as files and records hold it. The name of own data opens them, so it is a
    mark made of it, which opens nothing."""
    if not is_own(name):
        return name
    return f"{OWN_DATA} {hashlib.sha256(name.encode()).hexdigest()[:_MARK_DIGITS]}"


def named_publicly(public: str) -> str:
    """The name of a dataset that a file or record names, for whoever has this machine's store.

    Raises
    ------
    ParetoscopeError
        Own data that this machine does not keep.
    """
    if not public.startswith(OWN_DATA):
        return public
    found = default_store().find(_mark_key(public))
    if found is None:
        raise ParetoscopeError(
            f"the file is of somebody's own data ({public}), which are not on this machine: upload "
            "them again"
        )
    return found.decode()


def _mark_key(mark: str) -> str:
    return f"name of own data {mark}"


def own_notes(name: str) -> tuple[str, ...]:
    """What was done to the rows of own data when they were read."""
    return tuple(_kept(name)[1]["notes"])


def is_own(name: str) -> bool:
    """Whether a name is one of own data, kept here or not."""
    return name.startswith(_OWN)


def own_source(name: str) -> Source:
    arrays, about = _kept(name)
    n, d = arrays["X"].shape
    stated = _stated(about)
    what = f"{len(about['classes'])} classes"
    if stated is not None:
        what = "a number to predict" if stated.targets == "numbers" else "no targets"
    summary = f"{counted(n, 'row')}, {counted(d, 'feature')}, {what}; your own"

    parts = tuple(Part(part, tuple(shape)) for part, shape in about.get("parts", ()))
    scaling = _scaling(about)

    def read() -> Raw:
        features, classes = tuple(about["features"]), tuple(about["classes"])
        if parts:
            names = ((p.name, k + 1) for p in parts for k in range(math.prod(p.shape)))
            features = tuple(f"{part} {k}" for part, k in names) if d <= _MOST_NAMED else ()
        return Raw(arrays["X"], arrays["y"], features, classes, 0, stated, parts, scaling)

    kind = Classification if stated is None else type(stated)
    title = str(about["title"])
    image, largest = _as_image(parts, arrays["X"].dtype)
    if scaling is not None:
        image, largest = None, None
    return Source(name, title, summary, read, image, largest, problem=kind)


def _as_image(
    parts: Sequence[Part], dtype: npt.DTypeLike
) -> tuple[tuple[int, int, int] | None, float | None]:
    """How rows are drawn that are images of bytes, channels first, and the value of a full pixel;
    others are drawn as no picture, for nothing says how bright their numbers are."""
    if len(parts) != 1 or np.dtype(dtype) != np.uint8:
        return None, None
    shape = parts[0].shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        return None, None
    return (shape[0], shape[1], shape[2]), 255.0


def _scaling(about: dict[str, Any]) -> Scaling | None:
    given = about.get("scaling")
    if given is None:
        return None
    mean, deviation, shape = (tuple(given[name]) for name in ("mean", "deviation", "shape"))
    return Scaling(mean, deviation, shape, given["axis"], given["blue_first"])


def _about(stated: Problem | None) -> dict[str, Any]:
    """A problem other than classification, as it is kept beside rows; `_stated` is its inverse."""
    if stated is None:
        return {}
    return {"problem": stated.name, "targets": stated.names}


def _stated(about: dict[str, Any]) -> Problem | None:
    if "problem" not in about:
        return None
    return PROBLEMS[about["problem"]].of(tuple(about["targets"]))


@lru_cache(maxsize=8)
def _kept(name: str) -> Unpacked:
    digits = name.removeprefix(_OWN)
    path = default_store().path(key_of(name)) if len(digits) == _OWN_DIGITS else None
    if path is None:
        raise ParetoscopeError(
            "these own data are not, or no longer, on this machine: upload the file again"
        )
    mark = _mark_key(public_name(name))
    if default_store().find(mark) is None:  # kept before there were marks
        default_store().keep(mark, name.encode())
    return mapped(path)
