"""Where a file runs: of the types that codes are stored in, the narrowest decides.

Tried with files of every type in an environment of its own each (`make soak`), but OpenCV and ONNX
Runtime Web, which were tried by hand on 26 November 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from paretoscope.methods.quantization import STORAGE
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.storage import Bytes, Packed

_ALL = (2, 4, 8)


@dataclass(frozen=True)
class Tried:
    """A runtime, and the widths of codes in bits with which files were tried and ran. 8 stands for
    all wider ones, floats among them."""

    name: str
    runs: tuple[int, ...]


TRIED = (
    Tried("ONNX Runtime 1.20", (8,)),
    Tried("ONNX Runtime 1.23", (4, 8)),
    Tried("ONNX Runtime from 1.24.1", _ALL),
    Tried("ONNX Runtime Web 1.30", _ALL),
    Tried("OpenVINO 2026.4", (4, 8)),
    Tried("OpenCV 5", (8,)),
)


def width(storages: Iterable[str]) -> int:
    """The width of the narrowest codes, in bits: 2, 4, or 8 for all others.

    >>> width(["int8", "int4", "float32"]), width(["uint2"]), width(["float16"])
    (4, 2, 8)
    """
    bits = {STORAGE[s][0] if s in STORAGE else _BITS.get(s, 8) for s in storages}
    return min((b for b in bits if b in (2, 4)), default=8)


_BITS: Mapping[str, int] = {"uint2": 2, "uint4": 4}


def runs_in(storages: Iterable[str]) -> tuple[list[str], list[str]]:
    """The runtimes that such a file was seen to run in, and those that it fails in."""
    bits = width(storages)
    return (
        [tried.name for tried in TRIED if bits in tried.runs],
        [tried.name for tried in TRIED if bits not in tried.runs],
    )


def portable(recipe: Recipe) -> Recipe | None:
    """The recipe whose file runs wherever any does: the same codes, a byte for each; None where it
    is that one."""
    return replace(recipe, storage=Bytes()) if recipe.storage == Packed() else None
