"""Columns of a table: what their cells are, and their values where they are numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.uploads.gate import shown
from paretoscope.uploads.numerals import (
    Ambiguous,
    AmbiguousNumbersError,
    Decimal,
    Numerals,
    numerals,
    thousands_mark,
    truths,
)

_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-"))
_LONGEST_ODD = 100  # characters; a pattern may need the square of a cell's length
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([T ].*)?", re.ASCII
)
_ODD_NUMBER = re.compile(r"[+-]?(0[xXbBoO][0-9a-fA-F_]+|\d[\d_]*_\d[\d_]*)", re.ASCII)
_CODE = re.compile(r"0\d+", re.ASCII)

Kind = Literal["number", "truth", "text", "date", "empty"]


@dataclass(frozen=True, eq=False)
class Column:
    """One column: its name, its cells as they stand, what they are, and their values (missing ones
    NaN) where they are numbers, or True and False, which are 1 and 0."""

    name: str
    cells: tuple[str, ...]
    kind: Kind
    values: npt.NDArray[np.float64] | None

    @cached_property
    def n_missing(self) -> int:
        return sum(is_missing(cell) for cell in self.cells)

    @cached_property
    def n_different(self) -> int:
        return len(set(self.cells))

    @cached_property
    def texts(self) -> frozenset[str]:
        """What is in it, as labels are compared: numbers in one form, none that is missing."""
        if self.kind == "number" and self.values is not None:
            there = self.values[~np.isnan(self.values)]
            return frozenset(f"{value:.15g}" for value in np.unique(there))
        return frozenset(cell.strip() for cell in self.cells if not is_missing(cell))

    @cached_property
    def is_constant(self) -> bool:
        """Whether it holds one number in all rows that do not miss it, and more than one row."""
        if self.values is None or len(self.values) < 2:
            return False
        there = self.values[~np.isnan(self.values)]
        return len(there) > 0 and bool((there == there[0]).all())


def is_missing(cell: str) -> bool:
    return cell.strip().lower() in _MISSING


def read_columns(
    names: Sequence[str],
    columns: Sequence[tuple[str, ...]],
    lines: Sequence[int],
    notes: list[str],
    decimal: Decimal | None = None,
) -> tuple[Column, ...]:
    """Columns by what their cells are.

    Parameters
    ----------
    names : sequence of str
    columns : sequence of tuple of str
        Their cells.
    lines : sequence of int
        Where each row stands, for sentences.
    notes : list of str
        Is told of numbers that are not plain digits and points.
    decimal : {"point", "comma"}, optional
        The decimal mark of columns that can be read in two ways.

    Raises
    ------
    AmbiguousNumbersError
        Neither a column nor the others tell its decimal mark, and `decimal` is None.
    ParetoscopeError
        A cell is no number where nearly all others are, or is one that only programs write.
    """
    return tuple(_Columns(lines, notes).read(names, columns, decimal))


@dataclass(frozen=True)
class _Columns:
    """Reads columns one by one, and those that can be read in two ways by what the others tell."""

    lines: Sequence[int]
    notes: list[str]
    _how: dict[str, list[tuple[str, str, float]]] = field(default_factory=dict)

    def read(
        self, names: Sequence[str], columns: Sequence[tuple[str, ...]], chosen: Decimal | None
    ) -> list[Column]:
        present = [_present(cells) for cells in columns]
        found = [numerals(cells) for cells in present]
        told = {next(iter(n.readings)) for n in found if len(n.readings) == 1 and _tells(n)}
        mark = chosen or (next(iter(told)) if len(told) == 1 else None)
        open_ = [k for k, n in enumerate(found) if len(n.readings) == 2]
        if open_ and mark is None:
            raise AmbiguousNumbersError([_ambiguous(names[k], found[k]) for k in open_])
        read = [
            self._column(name, cells, there, numbers, mark)
            for name, cells, there, numbers in zip(names, columns, present, found, strict=True)
        ]
        self._say_how_cells_were_read()
        return read

    def _column(
        self,
        name: str,
        cells: tuple[str, ...],
        present: Mapping[str, int],
        read: Numerals,
        mark: Decimal | None,
    ) -> Column:
        if not present:
            return Column(name, cells, "empty", None)
        self._refuse_odd(name, cells, present, read)
        if read.readings:
            decimal = mark if mark in read.readings else next(iter(read.readings))
            assert decimal is not None
            self._note_marks(name, present, decimal, read)
            return Column(name, cells, "number", _values(cells, read.readings[decimal]))
        words = truths(present)
        if words is not None:
            return Column(name, cells, "truth", _values(cells, words))
        if all(_DATE.fullmatch(cell) for cell in present):
            return Column(name, cells, "date", None)
        others = read.fewest_others
        n_present = sum(present.values())
        n_numbers = n_present - sum(present[cell] for cell in others)
        if n_numbers >= 0.8 * n_present and len(present) > max(20, n_present // 20):
            why = f"'{shown(others[0])}' is no number, as nearly all other cells of the column are"
            raise self._refusal(name, cells, others[0], why)
        return Column(name, cells, "text", None)

    def _refuse_odd(
        self, name: str, cells: tuple[str, ...], present: Mapping[str, int], read: Numerals
    ) -> None:
        """Digits of other alphabets, and numbers as programs write them, are no plain numbers."""
        for cell in present:
            if not cell.isascii() and any(c.isdigit() and not c.isascii() for c in cell):
                why = f"digits that are not ASCII in '{shown(cell)}'"
                raise self._refusal(name, cells, cell, why)
        for cell in read.fewest_others:
            if len(cell) <= _LONGEST_ODD and _ODD_NUMBER.fullmatch(cell):
                why = f"'{shown(cell)}' is no plain decimal number"
                raise self._refusal(name, cells, cell, why)

    def _refusal(self, name: str, cells: tuple[str, ...], cell: str, why: str) -> ParetoscopeError:
        line = next(at for raw, at in zip(cells, self.lines, strict=True) if raw.strip() == cell)
        return ParetoscopeError(f"line {line}, column '{shown(name)}': {why}")

    def _note_marks(
        self, name: str, present: Mapping[str, int], decimal: Decimal, read: Numerals
    ) -> None:
        """Of anything but digits and points: how a cell was read."""
        values = read.readings[decimal]
        for cell in present:
            mark = thousands_mark(cell, decimal)
            if mark:
                how = f"{mark} stand between thousands"
                self._how.setdefault(how, []).append((name, cell, values[cell]))
                break
        cell = next((c for c in present if decimal == "comma" and "," in c), "")
        if cell:
            how = "numbers are written with a decimal comma"
            self._how.setdefault(how, []).append((name, cell, values[cell]))
        code = next((cell for cell in present if _CODE.fullmatch(cell)), None)
        if code:
            self.notes.append(
                f"'{shown(name)}' looks like codes ('{code}'), not numbers: as a feature its zeros "
                "in front are lost"
            )

    def _say_how_cells_were_read(self) -> None:
        for how, found in self._how.items():
            name, cell, value = found[0]
            n = len(found) - 1
            more = f", and so in {n:,} more column{'s' if n > 1 else ''}" if n else ""
            self.notes.append(
                f"{how}: '{shown(cell)}' in '{shown(name)}' is read as {value:.15g}{more}"
            )


def _present(cells: Sequence[str]) -> dict[str, int]:
    """The different cells that are not missing, and how often each is there."""
    found: dict[str, int] = {}
    for cell, n in Counter(cells).items():  # cells that repeat are looked at once
        if not is_missing(cell):
            found[cell.strip()] = found.get(cell.strip(), 0) + n
    return found


def _tells(read: Numerals) -> bool:
    """Whether a column of numbers shows that the other decimal mark is not its own."""
    return any(read.others.values())


def _ambiguous(name: str, read: Numerals) -> Ambiguous:
    point, comma = read.readings["point"], read.readings["comma"]
    cell = next(cell for cell in point if point[cell] != comma[cell])
    return Ambiguous(name, cell, {"point": point[cell], "comma": comma[cell]})


def _values(cells: Sequence[str], values: Mapping[str, float]) -> npt.NDArray[np.float64]:
    nan = float("nan")
    return np.array([values.get(cell.strip(), nan) for cell in cells])
