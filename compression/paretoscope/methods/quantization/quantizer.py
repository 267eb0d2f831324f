"""What a quantizer is: it makes the grid of values that may be stored for a weight."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from paretoscope.base.parameters import BoolArray, FloatArray, Member
from paretoscope.methods.quantization.grids import Grid


@dataclass(frozen=True)
class Quantizer(Member):
    """Makes the grid for one weight.

    `elementwise` ones store each weight by itself, whatever else is kept or cut. `float_bits` are
    those of the floats that it stores; None where it makes codes.
    """

    elementwise: ClassVar[bool] = False
    float_bits: ClassVar[int | None] = None

    @property
    def by_itself(self) -> bool:
        """Whether this one stores each weight by itself."""
        return self.elementwise

    @property
    def factor(self) -> float | None:
        """Q, where every weight of every layer is stored in equal steps of 1/Q; else None."""
        return None

    @property
    def line(self) -> str:
        """How a curve of this quantizer is called."""
        return str(self)

    @abstractmethod
    def grid(self, weight: FloatArray, kept: BoolArray) -> Grid:
        """The grid for a weight of shape (in, out) of which `kept` remains after pruning."""
