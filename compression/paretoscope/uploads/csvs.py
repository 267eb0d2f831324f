"""Tables of text, read strictly: what is not plain is said, with line and column, never guessed.

CSV by RFC 4180, with commas, semicolons, tabs or bars, in UTF-8, UTF-16 with its mark, or Windows'
Latin alphabet; numbers in ASCII digits with a point, or with a comma where fields are separated
otherwise. No field is taken for another, no row for longer or shorter than it is.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from paretoscope.errors import ParetoscopeError
from paretoscope.uploads.gate import shown
from paretoscope.uploads.kinds import require

MOST_COLUMNS = 2_000
MOST_ROWS = 1_000_000
MOST_CELLS = 5_000_000  # about 100 bytes each while a table is read
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-"))
_LONGEST_NUMBER = 100  # characters; a pattern may need the square of a cell's length
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)
_COMMA_NUMBER = re.compile(r"[+-]?(\d+,\d*|,\d+|\d+)([eE][+-]?\d+)?", re.ASCII)
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([T ].*)?", re.ASCII
)
_ODD_NUMBER = re.compile(r"[+-]?(0[xXbBoO][0-9a-fA-F_]+|\d[\d_]*_\d[\d_]*)", re.ASCII)
_CODE = re.compile(r"0\d+", re.ASCII)

Kind = Literal["number", "text", "date", "empty"]


@dataclass(frozen=True, eq=False)
class Column:
    """One column: its name, its cells as they stand, what they are, and for numbers their values
    (missing ones NaN)."""

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
    def is_constant(self) -> bool:
        """Whether it holds one number in all rows that do not miss it, and more than one row."""
        if self.values is None or len(self.values) < 2:
            return False
        there = self.values[~np.isnan(self.values)]
        return len(there) > 0 and bool((there == there[0]).all())


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of the same length, the line each row began on, and what was noticed on the way."""

    columns: tuple[Column, ...]
    lines: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        return len(self.lines)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """The column of a name."""
        for column in self.columns:
            if column.name == name:
                return column
        known = ", ".join(map(shown, self.names[:20]))
        raise ParetoscopeError(f"there is no column '{shown(name)}'; there are {known}")


def is_missing(cell: str) -> bool:
    return cell.strip().lower() in _MISSING


def read_csv(data: bytes) -> Table:
    """The table that a file holds.

    Raises
    ------
    ParetoscopeError
        The only error there is, whatever the bytes: one sentence, with line and column where there
        are any.
    """
    require(data, ("other",), "a table as CSV")
    notes: list[str] = []
    text = _decode(data, notes)
    return read_text(text, _delimiter(text), notes)


def read_text(text: str, delimiter: str = ",", notes: Sequence[str] = ()) -> Table:
    """The table of a CSV's text; `notes` are what was noticed before."""
    notes = list(notes)
    if delimiter != ",":
        notes.append(f"fields are separated by {_DELIMITERS[delimiter]}")
    header, rows, lines = _rows(text, delimiter)
    names = _names(header, rows, notes)
    comma = delimiter != "," and _has_decimal_commas(rows)
    if comma:
        notes.append("numbers are written with a decimal comma")
    columns = []
    for place, name in enumerate(names):
        cells = tuple(row[place] for row in rows)
        columns.append(_column(name, cells, lines, comma, notes))
    if len(columns) > 2 and _is_index(columns[0], header[0]):
        notes.append("the first column has no name and counts the rows: it is left out")
        columns.pop(0)
    return Table(tuple(columns), tuple(lines), tuple(notes))


def _decode(data: bytes, notes: list[str]) -> str:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            if encoding == "utf-16":
                notes.append("the file is in UTF-16")
            return _decoded(data, encoding)
    if b"\0" in data:
        raise ParetoscopeError(
            "the file contains NUL bytes: it is binary, or UTF-16 without a mark"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        notes.append("the file is not in UTF-8; it was read as Windows-1252")
        return _decoded(data, "cp1252")


def _decoded(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ParetoscopeError(f"byte {error.start:,} is no text in {encoding}") from None
    if "\0" in text:
        raise ParetoscopeError("the file contains NUL characters: it is no text")
    return text


def _delimiter(text: str) -> str:
    """What separates the header's fields: what occurs most in its first line, outside of quotes."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    outside = re.sub(r'"[^"]*"', "", first)
    counts = {d: outside.count(d) for d in _DELIMITERS}
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] else ","


def _rows(text: str, delimiter: str) -> tuple[list[str], list[list[str]], list[int]]:
    """The header, the rows, and the line on which each began; blank lines are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    rows, lines, wrong = [], [], []
    line, n_cells = 1, 0
    try:
        for row in reader:
            began, line = line, reader.line_num + 1
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if header is None:
                header = [name.strip() for name in row]
                _require_columns(header)
                continue
            if len(row) != len(header):
                wrong.append((began, len(row)))
            rows.append(row)
            lines.append(began)
            n_cells += len(row)
            if len(rows) > MOST_ROWS:
                raise ParetoscopeError(f"the table has more than {MOST_ROWS:,} rows")
            if n_cells > MOST_CELLS:
                raise ParetoscopeError(
                    f"the table has more than {MOST_CELLS:,} cells: leave out rows or columns"
                )
    except csv.Error as error:
        raise ParetoscopeError(f"line {reader.line_num} cannot be read: {error}") from None
    if header is None:
        raise ParetoscopeError("the file holds only blank lines")
    if not rows:
        raise ParetoscopeError("there is a header but no rows")
    if wrong:
        n = len(header)
        if len(wrong) == len(rows) and len({k for _, k in wrong}) == 1:
            raise ParetoscopeError(f"every row has {wrong[0][1]} fields, the header has {n}")
        raise ParetoscopeError(f"line {wrong[0][0]} has {wrong[0][1]} fields; the header has {n}")
    return header, rows, lines


def _require_columns(header: Sequence[str]) -> None:
    if len(header) > MOST_COLUMNS:
        raise ParetoscopeError(
            f"the table has {len(header):,} columns; at most {MOST_COLUMNS:,} are taken"
        )
    if len(header) < 2:
        raise ParetoscopeError(
            "there is only one column: a table needs features and a label (is another separator "
            "used?)"
        )
    blank = [str(place + 1) for place, name in enumerate(header) if not name]
    if blank and blank != ["1"]:
        raise ParetoscopeError(f"columns without a name: {', '.join(blank[:20])}")
    if all(_NUMBER.fullmatch(name) for name in header):
        raise ParetoscopeError("the first line holds numbers; it must name the columns")


def _names(header: Sequence[str], rows: Sequence[Sequence[str]], notes: list[str]) -> list[str]:
    """Names that are each there once: those that repeat are numbered."""
    counts = Counter(header)
    for name, n in counts.items():
        if n > 1:
            notes.append(
                f"the name '{shown(name)}' occurs {n} times: its columns are told apart as "
                f"'{shown(name)}', '{shown(name)} (2)' and so on, from left to right"
            )
    seen: Counter[str] = Counter()
    found: list[str] = []
    for name in header:
        seen[name] += 1
        own = name if seen[name] == 1 else f"{name} ({seen[name]})"
        while own in found or (own != name and own in counts):
            seen[name] += 1
            own = f"{name} ({seen[name]})"
        found.append(own)
    return found


def _is_index(column: Column, header: str) -> bool:
    if header or column.values is None:
        return False
    n = len(column.cells)
    return bool(
        (column.values == np.arange(n)).all() or (column.values == np.arange(1, n + 1)).all()
    )


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    cells = [cell.strip() for row in rows[:1000] for cell in row]
    with_comma = sum("," in cell and bool(_COMMA_NUMBER.fullmatch(cell)) for cell in cells)
    with_point = sum("." in cell and bool(_NUMBER.fullmatch(cell)) for cell in cells)
    return with_comma > with_point


def _column(
    name: str, cells: tuple[str, ...], lines: Sequence[int], comma: bool, notes: list[str]
) -> Column:
    counts = Counter(cells)  # cells that repeat are looked at once
    present = {cell.strip(): 0 for cell in counts if not is_missing(cell)}
    for cell, n in counts.items():
        if not is_missing(cell):
            present[cell.strip()] += n
    if not present:
        return Column(name, cells, "empty", None)

    def refuse(cell: str, why: str) -> ParetoscopeError:
        line = next(at for raw, at in zip(cells, lines, strict=True) if raw.strip() == cell)
        return ParetoscopeError(f"line {line}, column '{shown(name)}': {why}")

    for cell in present:
        if not cell.isascii() and any(c.isdigit() and not c.isascii() for c in cell):
            raise refuse(cell, f"digits that are not ASCII in '{shown(cell)}'")
    pattern = _COMMA_NUMBER if comma else _NUMBER
    others = [cell for cell in present if not _is_number(cell, pattern)]
    if not others:
        return _numbers(name, cells, present, comma, notes)
    for cell in others:
        if len(cell) <= _LONGEST_NUMBER and _ODD_NUMBER.fullmatch(cell):
            raise refuse(cell, f"'{shown(cell)}' is no plain decimal number")
    if not comma and all(_GROUPED.fullmatch(cell) for cell in others):
        notes.append(
            f"'{shown(name)}' has thousands separated by commas: '{next(iter(present))}' "
            "is read without them"
        )
        return _numbers(name, cells, present, False, notes, grouped=True)
    if all(_DATE.fullmatch(cell) for cell in present):
        return Column(name, cells, "date", None)
    n_present = sum(present.values())
    if n_present - sum(present[cell] for cell in others) >= 0.8 * n_present and len(present) > max(
        20, n_present // 20
    ):
        raise refuse(
            others[0],
            f"'{shown(others[0])}' is no number, as nearly all other cells of the column are",
        )
    return Column(name, cells, "text", None)


def _is_number(cell: str, pattern: re.Pattern[str]) -> bool:
    if len(cell) > _LONGEST_NUMBER:
        return False
    return bool(pattern.fullmatch(cell) or _INFINITE.fullmatch(cell))


def _numbers(
    name: str,
    cells: tuple[str, ...],
    present: Collection[str],
    comma: bool,
    notes: list[str],
    grouped: bool = False,
) -> Column:
    code = next((cell for cell in present if _CODE.fullmatch(cell)), None)
    if code:
        notes.append(
            f"'{shown(name)}' looks like codes ('{code}'), not numbers: as a feature its zeros "
            "in front are lost"
        )
    drop, point = ("," if grouped else ""), ("," if comma else ".")
    values = {
        cell: float(cell.replace(drop, "").replace(point, ".") if drop or comma else cell)
        for cell in present
    }
    nan = float("nan")
    return Column(
        name, cells, "number", np.array([values.get(cell.strip(), nan) for cell in cells])
    )
