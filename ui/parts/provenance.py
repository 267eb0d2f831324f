"""Where a figure comes from: a line that every chart, table and download carries."""

from __future__ import annotations

from datetime import UTC, datetime

from paretoscope.data.own_data import OWN_DATA, public_name
from paretoscope.measurement.measurement import Measurement, environment

from ui.base import words
from ui.state.subject import Subject

_SHOWN_SHA = 8


def lines(measurement: Measurement, *, file: str | None = None) -> list[str]:
    """What was measured on which rows, and by what. `file` is the sha256 of the file, where the
    figures are of one."""
    rows = f"{_short(measurement.dataset)}, n = {measurement.quality.n:,} "
    rows += words.rows(measurement.split)
    network = f"network {measurement.network_sha256[:_SHOWN_SHA]} (seed {measurement.seed})"
    made = network if file is None else f"{network}, file {file[:_SHOWN_SHA]}"
    return [f"{rows}, split seed {measurement.split_seed}", made, machine(measurement.date)]


def machine(date: str | None = None) -> str:
    """Versions, threads and day; the processor on a line of its own."""
    here = environment()
    day = date or datetime.now(UTC).date().isoformat()
    versions = f"Paretoscope {here.paretoscope}, ONNX Runtime {here.onnxruntime}"
    return f"{versions}, 1 thread, {day}<br>{here.cpu}"


def of_subject(subject: Subject, n: int, split: str | None = None) -> str:
    """The line for figures that a page has no measurement of."""
    split = split or subject.baseline.split
    rows = f"{_short(subject.dataset_name)}, n = {n:,} {words.rows(split)}"
    network = f"network {subject.network.sha256[:_SHOWN_SHA]} (seed {subject.seed})"
    return f"{rows}, split seed {subject.split_seed}, {network}<br>{machine()}"


def _short(dataset: str) -> str:
    """A dataset's name. That of own data is the key to them, and stands only in links."""
    return OWN_DATA if public_name(dataset).startswith(OWN_DATA) else dataset


def caption(text: str) -> str:
    """The same beneath a table."""
    return text.replace("<br>", "  \n")
