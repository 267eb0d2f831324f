"""Kernels: how a layer's codes are run. Either way gives the same file but for a few operators.

Which is faster hangs on the processor and on the number of rows: integer kernels were seen to take
0.6 to 1.6 times as long as float32 (docs/measuring.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from paretoscope.base.parameters import Member

Spelling = Literal["fused", "folded"]


@dataclass(frozen=True)
class Kernel(Member):
    """How codes are run; `spelling` is how they are written, None where that is to be measured."""

    spelling: ClassVar[Spelling | None]


@dataclass(frozen=True)
class Fused(Kernel):
    """Large dense layers by an integer kernel that rounds activations to 8 bits, for whole-number
    codes of up to 8 bits: faster or slower than float32 by processor and number of rows. Other
    layers as floats."""

    name = "fused"
    title = "Integers"
    spelling = "fused"


@dataclass(frozen=True)
class Folded(Kernel):
    """Codes become floats once, when the file is loaded: float32's speed and arithmetic."""

    name = "folded"
    title = "Floats"
    spelling = "folded"


@dataclass(frozen=True)
class Auto(Kernel):
    """Integers if, on the machine that makes the file, they are faster than float32 for 1, 16 or
    256 rows and more than 5 % slower for none; else floats. The file's recipe says which."""

    name = "auto"
    title = "As measured here"
    spelling = None


KERNELS: tuple[type[Kernel], ...] = (Fused, Folded, Auto)
