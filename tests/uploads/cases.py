"""The cases that lie beside the project: read in place, never copied."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

FOLDER = ROOT.parent / "shared" / "cases"
needs_cases = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared cases are not here")


@dataclass(frozen=True)
class Case:
    """A file and what it must get."""

    name: str
    group: str
    expect: str
    path: Path

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()


@cache
def cases(kind: str) -> tuple[Case, ...]:
    """Those of "csv", "onnx" or "skops"; none where the folder is absent."""
    manifest = FOLDER / f"manifest_{kind}.json"
    if not manifest.is_file():
        return ()
    entries: list[dict[str, Any]] = json.loads(manifest.read_text(encoding="utf-8"))
    return tuple(
        Case(e["name"], e.get("group", ""), e["expect"], FOLDER / e["file"]) for e in entries
    )
