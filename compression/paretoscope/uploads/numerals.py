"""Numbers as people write them, read by columns, and never as other numbers.

``1.234`` is a little more than one, or one thousand two hundred and thirty-four. Which one is told
by the column's other cells, then by the file's other columns; where neither tells, it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from paretoscope.base.errors import ParetoscopeError
from paretoscope.uploads.gate import shown

Decimal = Literal["point", "comma"]
DECIMALS: tuple[Decimal, ...] = ("point", "comma")
_MARKS: dict[Decimal, str] = {"point": ".", "comma": ","}
_LONGEST = 100  # characters; a pattern may need the square of a cell's length
_SPACES = "\u00a0\u2007\u2009\u202f"  # no-break, as wide as a digit, thin, and thin no-break
_PLAIN = str.maketrans({**dict.fromkeys(_SPACES, " "), "\u2019": "'", "\u2212": "-"})
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_WORDS = ({"true": 1.0, "false": 0.0}, {"yes": 1.0, "no": 0.0}, {"y": 1.0, "n": 0.0},
          {"t": 1.0, "f": 0.0})  # fmt: skip
_THOUSANDS = {",": "commas", ".": "points", " ": "spaces", "'": "apostrophes"}


def _pattern(decimal: str, marks: str, others: str = "") -> re.Pattern[str]:
    """Numbers with one decimal mark and, between thousands, one of `marks`, the same throughout.
    No group begins with 0."""
    d = re.escape(decimal)
    grouped = rf"[1-9]\d{{0,2}}(?P<mark>[{marks}])\d{{3}}(?:(?P=mark)\d{{3}})*"
    return re.compile(
        rf"[+-]?(?:(?:\d+|{grouped}{others})(?:{d}\d*)?|{d}\d+)(?:[eE][+-]?\d+)?", re.ASCII
    )


_INDIAN = r"|[1-9]\d?(?:,\d\d)+,\d{3}"  # 12,34,567
_PATTERNS = {"point": _pattern(".", ", '", _INDIAN), "comma": _pattern(",", ". '")}


@dataclass(frozen=True)
class Ambiguous:
    """A column that can be read in two ways, with a cell and what it is in each."""

    column: str
    cell: str
    values: Mapping[Decimal, float]


class AmbiguousNumbersError(ParetoscopeError):
    """Columns that can be read in two ways. Which one is to be said by the person.

    Attributes
    ----------
    columns : tuple of Ambiguous
    """

    def __init__(self, columns: Sequence[Ambiguous]):
        first = columns[0]
        read = " or ".join(f"{value:.15g}" for value in first.values.values())
        n = len(columns) - 1
        more = "" if n < 1 else f" (and {n:,} more column{'s' if n > 1 else ''} like it)"
        super().__init__(
            f"in the column '{shown(first.column)}' the cell '{shown(first.cell)}' is {read}, and "
            f"nothing in the file tells which{more}: choose the decimal mark"
        )
        self.columns = tuple(columns)


@dataclass(frozen=True)
class Numerals:
    """What the cells of a column are as numbers.

    Attributes
    ----------
    readings : mapping of decimal mark to value of each cell
        Empty where the cells are no numbers; two where both marks are possible and differ.
    others : mapping of decimal mark to cells
        Those that are no numbers by a mark.
    """

    readings: Mapping[Decimal, Mapping[str, float]]
    others: Mapping[Decimal, Sequence[str]]

    @property
    def fewest_others(self) -> Sequence[str]:
        return min(self.others.values(), key=len)


def numerals(cells: Collection[str]) -> Numerals:
    """Read different cells, none of them missing, with each decimal mark."""
    plain = {cell: cell.translate(_PLAIN) for cell in cells}
    readings: dict[Decimal, dict[str, float]] = {}
    others: dict[Decimal, list[str]] = {}
    for decimal in DECIMALS:
        pattern = _PATTERNS[decimal]
        others[decimal] = [cell for cell, text in plain.items() if not _is_number(text, pattern)]
        if not others[decimal]:
            readings[decimal] = {cell: _value(text, decimal) for cell, text in plain.items()}
    if len(readings) == 2 and readings["point"] == readings["comma"]:
        del readings["comma"]
    return Numerals(readings, others)


def truths(cells: Collection[str]) -> dict[str, float] | None:
    """1 and 0 of True and False, yes and no, as they are usually spelled; None for other cells. One
    letter alone says nothing."""
    if any(len(cell) > 5 for cell in cells):
        return None
    spelled = {cell.lower() for cell in cells}
    for words in _WORDS:
        letters = len(next(iter(words))) == 1
        if spelled == set(words) or (spelled < set(words) and not letters):
            return {cell: words[cell.lower()] for cell in cells}
    return None


def thousands_mark(cell: str, decimal: Decimal) -> str | None:
    """The name of what stands between a number's thousands, such as "spaces"."""
    text = cell.translate(_PLAIN)
    return next((n for m, n in _THOUSANDS.items() if m in text and m != _MARKS[decimal]), None)


def _is_number(text: str, pattern: re.Pattern[str]) -> bool:
    if len(text) > _LONGEST:
        return False
    return bool(pattern.fullmatch(text) or _INFINITE.fullmatch(text))


def _value(text: str, decimal: Decimal) -> float:
    if _INFINITE.fullmatch(text):
        return float(text)
    for mark in _THOUSANDS:
        if mark != _MARKS[decimal]:
            text = text.replace(mark, "")
    return float(text.replace(_MARKS[decimal], "."))
