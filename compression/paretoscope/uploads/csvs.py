"""Tables of text, read strictly: what is not plain is said, with line and column, never guessed.

CSV by RFC 4180, with commas, semicolons, tabs or bars, in UTF-8 or in an encoding that is said;
numbers in ASCII digits. No field is taken for another, no row for longer or shorter than it is.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from paretoscope.base.errors import ParetoscopeError
from paretoscope.uploads.columns import Column, read_columns
from paretoscope.uploads.decoding import decode
from paretoscope.uploads.gate import shown
from paretoscope.uploads.kinds import require
from paretoscope.uploads.numerals import Decimal, numerals

_SQUARE_BYTES = 1_000_000_000  # of the second moments of all columns, which recoveries hold
MOST_COLUMNS = math.isqrt(_SQUARE_BYTES // 8)
MOST_ROWS = 1_000_000
MOST_CELLS = 5_000_000  # about 100 bytes each while a table is read
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")
_SEPARATOR_LINE = re.compile(r'"?sep=(,|;|\t|\||\\t)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """What a person chose where a file does not tell: its encoding, and the decimal mark of columns
    that can be read in two ways."""

    encoding: str | None = None
    decimal: Decimal | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of the same length, the line each row began on, what was noticed on the way, the
    encoding of the file (None where it was no text), and which columns a program kept as index."""

    columns: tuple[Column, ...]
    lines: tuple[int, ...]
    notes: tuple[str, ...]
    encoding: str | None = None
    index: tuple[str, ...] = ()

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


def read_csv(data: bytes, reading: Reading | None = None) -> Table:
    """The table that a file holds.

    Raises
    ------
    AmbiguousNumbersError
        Columns can be read in two ways, and `reading` does not say in which.
    ParetoscopeError
        The only other error there is, whatever the bytes: one sentence, with line and column where
        there are any.
    """
    require(data, ("other",), "a table as CSV")
    reading = reading or Reading()
    notes: list[str] = []
    text, encoding = decode(data, notes, reading.encoding)
    body = _top(text, notes)
    header, rows, lines = _rows(body)
    if _is_row(header, rows):
        notes.append("the first line holds values: the columns are numbered")
        rows, lines = [header, *rows], [body.n_above + 1, *lines]
        header = [f"column {place + 1}" for place in range(len(header))]
    return _table(header, rows, lines, notes, reading.decimal, encoding)


def read_text(text: str) -> Table:
    """The table of a text that a program wrote: commas, points, and names above."""
    return _table(*_rows(_Body(text, ",", 0)), [], "point")


def _table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    lines: Sequence[int],
    notes: list[str],
    decimal: Decimal | None,
    encoding: str | None = None,
) -> Table:
    names = _names([name.strip() for name in header], notes)
    columns = [tuple(row[place] for row in rows) for place in range(len(names))]
    read = read_columns(names, columns, lines, notes, decimal)
    return Table(read, tuple(lines), tuple(notes), encoding)


@dataclass(frozen=True)
class _Body:
    """A text from its header on: what separates fields, and how many lines stood above."""

    text: str
    delimiter: str
    n_above: int


def _top(text: str, notes: list[str]) -> _Body:
    """Leave out what stands above the header: blank lines, the line in which Excel tells the
    separator, and comments, of which the last may be the header itself."""
    place, n_above, told = 0, 0, ""
    comments: list[str] = []
    while place < len(text):
        found = _LINE.match(text, place)
        assert found is not None
        line = found[1].strip(" ")
        separator = _SEPARATOR_LINE.fullmatch(line)
        if separator and not told:
            told = "\t" if separator[1] == "\\t" else separator[1]
            notes.append(f"the first line names the separator: {_DELIMITERS[told]}")
        elif line.startswith("#"):
            comments.append(line)
        elif line:
            break
        place, n_above = found.end(), n_above + 1
    body = text[place:]
    first = _LINE.match(body)
    assert first is not None
    delimiter = told or _delimiter(first[1])
    if comments and _names_columns(comments[-1], first[1], delimiter):
        header = comments.pop().removeprefix("#").strip(" ")
        header = f"#{header}" if header.startswith(delimiter) else header
        body, n_above = f"{header}\n{body}", n_above - 1
    if comments:
        lines = "1 line" if len(comments) == 1 else f"{len(comments)} lines"
        notes.append(f"{lines} of comment above the header are left out")
    if delimiter != "," and not told:
        notes.append(f"fields are separated by {_DELIMITERS[delimiter]}")
    return _Body(body, delimiter, n_above)


def _names_columns(comment: str, below: str, delimiter: str) -> bool:
    """Whether a comment has as many fields as the line below, which holds numbers."""
    fields, names = below.split(delimiter), comment.split(delimiter)
    numbers = [bool(numerals([f.strip()]).readings) for f in fields]
    return len(fields) == len(names) > 1 and any(numbers)


def _delimiter(first: str) -> str:
    """What separates the header's fields: what occurs most in its first line, outside of quotes."""
    outside = re.sub(r'"[^"]*"', "", first)
    counts = {d: outside.count(d) for d in _DELIMITERS}
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] else ","


def _rows(body: _Body) -> tuple[list[str], list[list[str]], list[int]]:
    """The header, the rows, and the line on which each began; blank lines are left out."""
    source = io.StringIO(body.text, newline="")
    reader = csv.reader(source, delimiter=body.delimiter, strict=True)
    header: list[str] | None = None
    rows, lines = [], []
    line, n_cells = body.n_above + 1, 0
    try:
        for row in reader:
            began, line = line, body.n_above + reader.line_num + 1
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if header is None:
                header = row
                _require_columns(header)
                continue
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
        line = body.n_above + reader.line_num
        raise ParetoscopeError(f"line {line} cannot be read: {error}") from None
    if header is None:
        raise ParetoscopeError("the file holds only blank lines")
    if not rows:
        raise ParetoscopeError("there is a header but no rows")
    _require_even(len(header), rows, lines)
    return header, rows, lines


def _require_even(n: int, rows: list[list[str]], lines: Sequence[int]) -> None:
    """That all rows have `n` fields. A separator after the last field of every row is cut off."""
    if all(len(row) == n + 1 and not row[-1].strip() for row in rows):
        for row in rows:
            del row[-1]
    wrong = [(line, len(row)) for line, row in zip(lines, rows, strict=True) if len(row) != n]
    if not wrong:
        return
    if len(wrong) == len(rows) and len({k for _, k in wrong}) == 1:
        raise ParetoscopeError(f"every row has {wrong[0][1]} fields, the header has {n}")
    raise ParetoscopeError(f"line {wrong[0][0]} has {wrong[0][1]} fields; the header has {n}")


def _require_columns(header: Sequence[str]) -> None:
    if len(header) > MOST_COLUMNS:
        raise ParetoscopeError(
            f"the table has {len(header):,} columns; at most {MOST_COLUMNS:,} are taken, whose "
            f"second moments fill {_SQUARE_BYTES / 1e9:.0f} GB of memory"
        )
    if len(header) < 2:
        raise ParetoscopeError(
            "there is only one column: a table needs features and a label (is another separator "
            "used?)"
        )
    blank = [str(place + 1) for place, name in enumerate(header) if not name.strip()]
    if len(blank) == len(header):
        raise ParetoscopeError(f"columns without a name: {', '.join(blank[:20])}")


def _is_row(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a first line is one of values: numbers, and words that stand below, too."""
    cells = [cell.strip() for cell in first]
    read = [numerals([cell]).readings for cell in cells]
    if all(read):
        numbers = [next(iter(next(iter(values.values())).values())) for values in read]
        steps = {b - a for a, b in pairwise(numbers)}
        return not (len(numbers) > 2 and steps == {1.0})  # columns that are numbered, or years
    if 2 * sum(map(bool, read)) < len(cells):
        return False
    below = [{row[place].strip() for row in rows} for place, found in enumerate(read) if not found]
    words = [cell for cell, found in zip(cells, read, strict=True) if not found]
    return all(word in there for word, there in zip(words, below, strict=True))


def _names(header: Sequence[str], notes: list[str]) -> list[str]:
    """Names that are each there once: those that are blank or repeat are numbered."""
    blank = [f"column {place + 1}" for place, name in enumerate(header) if not name]
    if blank:
        more = f" and {len(blank) - 20:,} more" if len(blank) > 20 else ""
        notes.append(f"columns without a name are called {', '.join(blank[:20])}{more}")
    header = [name or f"column {place + 1}" for place, name in enumerate(header)]
    counts = Counter(header)
    for name, n in counts.items():
        if n > 1:
            notes.append(
                f"the name '{shown(name)}' occurs {n} times: its columns are told apart as "
                f"'{shown(name)}', '{shown(name)} (2)' and so on, from left to right"
            )
    seen: Counter[str] = Counter()
    taken: set[str] = set()
    found: list[str] = []
    for name in header:
        seen[name] += 1
        own = name if seen[name] == 1 else f"{name} ({seen[name]})"
        while own in taken or (own != name and own in counts):
            seen[name] += 1
            own = f"{name} ({seen[name]})"
        taken.add(own)
        found.append(own)
    return found
