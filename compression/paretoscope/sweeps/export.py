"""Measurements as tables: CSV, Parquet and JSON, safe to open in a spreadsheet."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from paretoscope.base.errors import one_of
from paretoscope.base.parameters import format_value
from paretoscope.measurement.measurement import Measured, Measurement

ENDINGS = (".csv", ".parquet", ".json")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # OWASP ASVS 1.2.10, CWE-1236


def per_repeat(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """One row for each repeat of each timing; one row for a measurement that was not timed.

    Each row has all figures of its measurement, and "batch", "repeat", "time_us" and
    "baseline_time_us" (of the uncompressed network in the same round), or None there.
    """
    rows = []
    for m in measurements:
        figures = m.row()
        timed: list[tuple[Any, ...]] = [
            (latency.batch, number, ours, theirs)
            for latency in (m.latencies if isinstance(m, Measured) else ())
            for number, (ours, theirs) in enumerate(
                zip(latency.samples_us, latency.baseline_us, strict=True), start=1
            )
        ]
        names = ("batch", "repeat", "time_us", "baseline_time_us")
        rows += [
            figures | dict(zip(names, values, strict=True))
            for values in timed or [(None, None, None, None)]
        ]
    return rows


def table(rows: Sequence[Mapping[str, Any]], ending: str) -> bytes:
    """Rows as the bytes of a file: ".csv", ".parquet" or ".json".

    In CSV a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Raises
    ------
    ParetoscopeError
        Another ending.
    """
    if ending not in ENDINGS:
        raise one_of("the ending of a table", ending, list(ENDINGS))
    if ending == ".json":
        return json.dumps([dict(row) for row in rows], indent=1).encode()
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    if ending == ".parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()
    frame.columns = [harmless(str(name)) for name in frame.columns]
    text: str = frame.map(_cell).to_csv(index=False)
    return text.encode()


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula.

    >>> harmless("=1+1"), harmless("q(8)")
    ("'=1+1", 'q(8)')
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _cell(value: object) -> object:
    if isinstance(value, float):
        return format_value(value)
    return harmless(value) if isinstance(value, str) else value
