"""Tables of every kind that is taken: CSV here, Parquet and NPZ through the sandbox.

The libraries that unpack those two were not made for files of strangers, so they run in a process
of its own and give back text, which is read as strictly as any CSV.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

from paretoscope.sandbox.sandbox import MOST_BYTES_AFTER, Limits, Sandbox
from paretoscope.uploads.csvs import MOST_CELLS, Reading, Table, read_csv, read_text
from paretoscope.uploads.kinds import (
    MOST_TABLE_BYTES,
    has_short_directory,
    kind_of,
    require,
    require_size,
)

ENDINGS = ("csv", "tsv", "txt", "parquet", "npz")
_LIMITS = Limits(processor_s=30, wall_s=60)


def is_table(data: bytes) -> bool:
    """Whether the first bytes are those of Parquet or of an archive of arrays."""
    return kind_of(data) == "parquet" or _is_npz(data)


def read_table(data: bytes, reading: Reading | None = None) -> Table:
    """The table that a file holds, by its first bytes; `reading` is for those of text.

    Raises
    ------
    AmbiguousNumbersError
        Columns of text can be read in two ways, and `reading` does not say in which.
    ParetoscopeError
        The only other error there is, whatever the bytes.
    """
    require_size(len(data), MOST_TABLE_BYTES)
    if not is_table(data):
        return read_csv(data, reading)
    kind = "npz" if _is_npz(data) else "parquet"
    require(data, ("zip", "parquet"), "a table")
    asked = {"kind": kind, "most_cells": MOST_CELLS, "most_bytes": MOST_BYTES_AFTER}
    with Sandbox(_LIMITS) as sandbox:
        found = sandbox.run("table", [data], asked)
    table = read_text(found["bytes"].decode())
    notes = (*found["notes"], *table.notes)
    return replace(table, index=tuple(found["index"]), notes=notes)


def _is_npz(data: bytes) -> bool:
    if kind_of(data) != "zip" or not has_short_directory(data):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except Exception:  # damaged in a way of its own: whoever reads it says so
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)
