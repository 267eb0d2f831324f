"""Jobs of a sandbox that read rows: Parquet files and NPZ archives."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from paretoscope.sandbox.refused import RefusedError


def table(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A Parquet file's or NPZ archive's columns as CSV in UTF-8, missing values as empty cells.

    Arguments: "kind" ("parquet" or "npz"), "most_cells", "most_bytes". Returns beside the text the
    columns that were an index, and notes on what was done.
    """
    import csv
    import io

    notes: list[str] = []
    index: list[str] = []
    if arguments["kind"] == "parquet":
        columns = _parquet_columns(parts[0], arguments["most_cells"], index)
    else:
        columns = _npz_columns(parts[0], arguments["most_cells"], notes)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(row)
        if out.tell() > arguments["most_bytes"]:
            raise RefusedError(
                f"as text the table has more than {arguments['most_bytes'] / 1e6:.0f} MB"
            )
    return {"bytes": out.getvalue().encode(), "index": index, "notes": notes}


def arrays(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of an NPZ archive as they are: bytes stay bytes, other numbers become float32,
    text JSON. Argument: "most_bytes" of all. Returns for each its "name", "type", "shape" and
    "n_bytes", and after them the bytes."""
    import io

    import numpy as np

    described: list[dict[str, Any]] = []
    packed: list[bytes] = []
    left = arguments["most_bytes"]
    with np.load(io.BytesIO(parts[0]), allow_pickle=False) as archive:
        for info, name in zip(archive.zip.infolist(), archive.files, strict=True):
            if info.file_size > left:
                raise RefusedError(
                    f"unpacked, the arrays have more than {arguments['most_bytes'] / 1e6:,.0f} MB"
                )
            try:
                array = archive[name]
            except ValueError:
                raise RefusedError(
                    f"the array '{name[:60]}' holds objects, which only a pickle could hold, or is "
                    "damaged"
                ) from None
            if array.ndim == 0:
                continue
            kind = "float32"
            if array.dtype.kind in "US":
                texts = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
                kind, data = "text", json.dumps(texts.ravel().tolist()).encode()
            elif array.dtype.kind not in "biuf":
                raise RefusedError(
                    f"the array '{name[:60]}' holds {array.dtype}, not numbers or text"
                )
            else:
                if array.dtype == np.uint8:
                    kind = "uint8"
                elif array.dtype.kind in "iu" and np.abs(array).max(initial=0) > _EXACT:
                    raise RefusedError(
                        f"the array '{name[:60]}' holds whole numbers beyond {_EXACT:,}"
                    )
                data = np.ascontiguousarray(array, kind).tobytes()
            left -= len(data)
            if left < 0:
                raise RefusedError(
                    f"unpacked, the arrays have more than {arguments['most_bytes'] / 1e6:,.0f} MB"
                )
            one = {"name": name, "type": kind, "shape": list(array.shape), "n_bytes": len(data)}
            described.append(one)
            packed.append(data)
    return {"bytes": b"".join(packed), "arrays": described}


_EXACT = 2**24  # up to it float32 holds every whole number


def _require_few(n_rows: int, n_columns: int, most_cells: int) -> None:
    if n_rows * n_columns > most_cells:
        raise RefusedError(
            f"the table has {n_rows:,} rows of {n_columns:,} columns; at most {most_cells:,} cells "
            "are taken: leave out rows or columns"
        )


def _parquet_columns(data: bytes, most_cells: int, index: list[str]) -> dict[str, list[Any]]:
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve more than the limit
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))
    names = file.schema_arrow.names
    kept = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
    index += [name for name in kept if isinstance(name, str) and name in names]
    _require_few(file.metadata.num_rows, len(names), most_cells)
    read = file.read(use_threads=False)
    columns: dict[str, list[Any]] = {}
    for place, (name, column) in enumerate(zip(names, read.columns, strict=True)):
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
            column = column.cast(kind)
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise RefusedError(f"the column '{name[:60]}' holds {kind}, not numbers or text")
        cells = column.to_pylist()
        columns[_once(name or f"column {place + 1}", columns)] = [
            "" if c is None else int(c) if isinstance(c, bool) else c for c in cells
        ]
    return columns


def _npz_columns(data: bytes, most_cells: int, notes: list[str]) -> dict[str, list[Any]]:
    import io

    import numpy as np

    arrays = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except ValueError:
                raise RefusedError(
                    f"the array '{name[:60]}' holds objects, which only a pickle could hold, or is "
                    "damaged"
                ) from None
    named = arrays.pop("feature_names", None)
    flat = {name: a for name, a in arrays.items() if a.ndim > 0}
    if not flat:
        raise RefusedError("the archive holds no arrays")
    if len({len(a) for a in flat.values()}) > 1:
        told = ", ".join(f"{name[:40]} {len(a):,}" for name, a in list(flat.items())[:6])
        raise RefusedError(
            f"the arrays have different numbers of rows ({told}): save one of features and one of "
            "labels"
        )
    n = len(next(iter(flat.values())))
    flat = _with_plain_labels(flat, notes)
    wide = {name: a.reshape(n, -1) if n else a for name, a in flat.items()}
    _require_few(n, sum(a.shape[-1] for a in wide.values()), most_cells)
    columns: dict[str, list[Any]] = {}
    for name, array in sorted(wide.items(), key=lambda item: item[1].shape[-1] == 1):
        if array.dtype.kind in "cV":
            raise RefusedError(f"the array '{name[:60]}' holds {array.dtype}, not numbers or text")
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8")
        if array.dtype.kind == "b":
            array = array.astype(int)
        width = array.shape[-1]
        own = [name] if width == 1 else [f"{name} {k}" for k in range(width)]
        if named is not None and width > 1 and named.shape == (width,):
            own = [str(text) for text in named.tolist()]
        for title, cells in zip(own, array.T, strict=True):
            columns[_once(title, columns)] = (
                cells.astype(str).tolist() if array.dtype.kind in "mM" else cells.tolist()
            )
    return columns


def _with_plain_labels(arrays: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Labels of several columns never become features: those that are one-hot become one column."""
    import numpy as np

    wide = {name: a for name, a in arrays.items() if a.ndim > 1 and a[:1].size > 1}
    named = [name for name in wide if _LABELS.search(name)]
    if not named and len(wide) > 1 and len(wide) == len(arrays):
        named = [name for name, a in wide.items() if _is_one_hot(a)]
        if len(named) != 1:
            told = " and ".join(f"'{name[:40]}'" for name in list(wide)[:3])
            raise RefusedError(
                f"the arrays {told} have several columns each: save the labels as one, named 'y'"
            )
    found = dict(arrays)
    for name in named:
        labels = wide[name]
        if not _is_one_hot(labels):
            raise RefusedError(
                f"the array '{name[:60]}' has several labels a row (multi-label, "
                f"{labels[:1].size} columns); one label a row is taken"
            )
        found[name] = np.argmax(labels, axis=1)
        notes.append(
            f"the array '{name[:60]}' is one-hot: the place of its 1 is the class, from 0 to "
            f"{labels.shape[1] - 1}"
        )
    return found


_LABELS = re.compile(r"(^|[_ .-])(y|labels?|targets?|class(es)?)($|[_ .-])", re.IGNORECASE)


def _is_one_hot(array: Any) -> bool:
    import numpy as np

    if array.ndim != 2 or array.dtype.kind not in "biuf" or not len(array):
        return False
    return bool(((array == 0) | (array == 1)).all() and (np.sum(array, axis=1) == 1).all())


def _once(name: str, taken: Mapping[str, Any]) -> str:
    own, number = name, 2
    while own in taken:
        own, number = f"{name} ({number})", number + 1
    return own
