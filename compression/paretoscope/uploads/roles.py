"""Which column of a table is the label, and which only number or name its rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import numpy as np

from paretoscope.uploads.columns import Column
from paretoscope.uploads.csvs import Table

_LABEL_NAMES = ("label", "class", "target", "y", "species", "category", "outcome")
_KEY_NAME = re.compile(
    r"(unnamed: ?\d+|#|index|level_\d+|__index_level_\d+__|id|idx|key|uuid|guid|nr|no|number|row"
    r"|row[ _.-]?(id|no|nr|num|number|names?)|(.*[ _.-])(id|idx|key|uuid|guid|nr|no|number))",
    re.IGNORECASE,
)
_KEY_NAME_IN_CAMEL_CASE = re.compile(r".*[a-z](Id|ID|Key|UUID|Nr)")
_UNNAMED = re.compile(r"column \d+")
_FEWEST_ROWS = 10  # of fewer, numbers may be evenly spaced by chance
_FEWEST_KEYS = 20  # of fewer, numbers may all be different and as long by chance
_LONG_KEY = 5  # digits


def guess_label(table: Table, classes: Collection[str] = (), n_classes: int | None = None) -> str:
    """The column that is most likely the label: by its name, where it can hold as many classes as a
    model tells apart; then one that holds just the model's classes, or as many; else the last. An
    empty one only where its name says so.

    Parameters
    ----------
    table : Table
    classes : collection of str
        What a model calls its classes, where it says so.
    n_classes : int, optional
        How many classes it tells apart.
    """

    def rank(place: int) -> tuple[bool, bool, bool, bool, bool, int]:
        column = table.columns[place]
        texts = column.texts
        held = bool(texts) and texts == set(classes)
        as_many = n_classes is not None and len(texts) == n_classes
        named = column.name.strip().lower() in _LABEL_NAMES
        fits = named and (n_classes is None or as_many)
        return fits, held, named, as_many, column.kind != "empty", place

    return table.columns[max(range(len(table.columns)), key=rank)].name


def row_keys(table: Table, label: str) -> dict[str, str]:
    """Columns that number or name the rows, and why each is taken for one. Never all columns of
    numbers: something is left to learn from.

    Beside one, noise is right on rows that stand in the order of their labels.
    """
    others = [c for c in table.columns if c.name != label]
    found = {c.name: why for c in others if (why := _why_key(c, table))}
    numbers = [c.name for c in others if c.values is not None]
    if numbers and all(name in found for name in numbers):
        found = {name: why for name, why in found.items() if name not in numbers}
    return found


def say_keys(keys: Mapping[str, str]) -> list[str]:
    """A note on each."""
    return [f"'{name}' {why}: it is left out unless it is kept on purpose" for name, why in
            keys.items()]  # fmt: skip


def _why_key(column: Column, table: Table) -> str | None:
    name = column.name.strip()
    named = bool(_KEY_NAME.fullmatch(name) or _KEY_NAME_IN_CAMEL_CASE.fullmatch(name))
    if column.name in table.index:
        return "is the table's index"
    n = len(column.cells)
    if column.n_missing or column.n_different < n or n < 2:
        return None
    if column.kind == "text":
        return "names the rows, each with a text of its own" if n >= _FEWEST_ROWS else None
    if column.kind != "number" or column.values is None:
        return None
    values = column.values
    if not np.isfinite(values).all() or (values != np.round(values)).any():
        return None
    if len(np.unique(values)) < n:
        return None
    steps = np.diff(np.sort(values))
    even = bool((steps == steps[0]).all())
    if even and (n >= _FEWEST_ROWS or named or (_UNNAMED.fullmatch(name) and steps[0] == 1)):
        return "counts the rows, whole and evenly spaced"
    if named:
        return "has a key's name and another whole number in each row"
    in_order = (np.diff(values) > 0).all() or (np.diff(values) < 0).all()
    if n >= _FEWEST_KEYS and in_order:
        return "has another whole number in each row, in order"
    digits = {len(f"{abs(value):.0f}") for value in values}
    if n >= _FEWEST_KEYS and len(digits) == 1 and digits.pop() >= _LONG_KEY:
        return "has another whole number in each row, all of as many digits"
    return None
