"""Kernels: how a layer's codes are run. Either way gives the same file but for a few operators.

Which is faster hangs on the processor and on the number of rows: integer kernels were seen to take
0.6 to 1.6 times as long as float32 (docs/measuring.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from paretoscope.parameters import Member

Spelling = Literal["fused", "folded"]


@dataclass(frozen=True)
class Kernel(Member):
    """How codes are run; `spelling` is how they are written, None where that is to be measured."""

    spelling: ClassVar[Spelling | None]


@dataclass(frozen=True)
class Fused(Kernel):
    """Large dense layers of codes of up to 8 bits by an integer kernel that rounds activations to 8
    bits: fast on processors with instructions for it, slow without. Other layers as floats."""

    text_name = "fused"
    title = "Integers"
    spelling = "fused"


@dataclass(frozen=True)
class Folded(Kernel):
    """Codes become floats once, when the file is loaded: float32's speed and arithmetic."""

    text_name = "folded"
    title = "Floats"
    spelling = "folded"


@dataclass(frozen=True)
class Auto(Kernel):
    """The faster of the two on the machine that makes the file, at 1, 16 and 256 rows; floats where
    integers would be slower than float32 at any of these. The file's recipe says which it was."""

    text_name = "auto"
    title = "The faster here"
    spelling = None


KERNELS: tuple[type[Kernel], ...] = (Fused, Folded, Auto)
