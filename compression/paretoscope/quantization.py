"""Quantization: a quantizer makes the grid of values that may be stored; projecting weights onto it
gives codes, whole numbers in the narrowest type that holds them.

To add a quantizer, write a subclass of `Quantizer` (and of `Grid`, where no present one fits) and
add it to `QUANTIZERS` at the foot of this file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.errors import ParetoscopeError
from paretoscope.parameters import FloatArray, Member, Number, Weights, parameter

# The ONNX integer types that codes are stored in, narrowest first: bits and both ends.
STORAGE: dict[str, tuple[int, int, int]] = {
    "int2": (2, -2, 1),
    "int4": (4, -8, 7),
    "int8": (8, -128, 127),
    "int16": (16, -(2**15), 2**15 - 1),
    "int32": (32, -(2**31), 2**31 - 1),
}
LARGEST_CODE = 2**24  # whole numbers beyond it are not exact in float32, which codes become
_NICE_STEPS = (4, 5, 6, 8, 10, 12)
_LARGEST_STOP_BITS = 10


@dataclass(frozen=True)
class Codes:
    """One weight as it is stored.

    Attributes
    ----------
    values : array of shape (in, out)
        Whole numbers, or float32 values where `storage` is "float32".
    scale : float32 array that broadcasts against (in, out), or None
        The value of one step. ``values * scale`` is the weight; None means the values are.
    storage : str
        "float32" or a key of `STORAGE`.
    """

    values: npt.NDArray[Any]
    scale: FloatArray | None
    storage: str

    def decoded(self) -> FloatArray:
        """The weight that the codes stand for, in float32, as a runtime computes it."""
        if self.scale is None:
            return self.values.astype(np.float32, copy=False)
        weight: FloatArray = self.values.astype(np.float32) * self.scale
        return weight

    @property
    def bits(self) -> int:
        """Bits that a code needs: ``ceil(log2(2 max|a| + 1))``; 32 for floats.

        >>> Codes(np.array([127]), np.float32(1), "int8").bits
        8
        >>> Codes(np.array([-128]), np.float32(1), "int8").bits
        9
        """
        return 32 if self.storage == "float32" else code_bits(_largest(self.values))


class Grid(ABC):
    """The values that one weight may take when it is stored."""

    @abstractmethod
    def project(self, weight: FloatArray) -> Codes:
        """The nearest storable values. Zero stays zero, and projecting twice changes nothing."""


@dataclass(frozen=True)
class FloatGrid(Grid):
    """Every float32 value."""

    def project(self, weight: FloatArray) -> Codes:
        return Codes(weight, None, "float32")


@dataclass(frozen=True)
class UniformGrid(Grid):
    """The multiples of ``1/q``: code ``a = round(w * q)``, half to even."""

    q: float

    def project(self, weight: FloatArray) -> Codes:
        codes = np.rint(weight.astype(np.float64) * self.q)
        if np.abs(codes).max(initial=0) > LARGEST_CODE:
            raise ParetoscopeError(
                f"FixedPoint.q must be at most {LARGEST_CODE / np.abs(weight).max():.4g} for "
                f"weights up to {np.abs(weight).max():.4g}; got {self.q:g}"
            )
        codes = codes.astype(np.int32)
        return Codes(codes, np.float32(1 / self.q) * np.ones(1, np.float32), narrowest(codes))


def code_bits(largest: int) -> int:
    """Bits for codes from ``-largest`` to ``largest``.

    >>> [code_bits(a) for a in (0, 1, 7, 8, 127, 128)]
    [0, 2, 4, 5, 8, 9]
    """
    return (2 * largest).bit_length()


def narrowest(codes: npt.NDArray[Any]) -> str:
    """The narrowest ONNX integer type that holds all codes."""
    low, high = codes.min(initial=0), codes.max(initial=0)
    return next(name for name, (_, lo, hi) in STORAGE.items() if lo <= low and high <= hi)


def _largest(codes: npt.NDArray[Any]) -> int:
    return int(max(-int(codes.min(initial=0)), int(codes.max(initial=0))))


def _q_stops(weights: Weights, count: int) -> Sequence[float]:
    """1, 2, 3, then 4, 5, 6, 8, 10, 12 times powers of two, as far as codes take 10 bits."""
    largest = max(float(np.abs(w).max(initial=0)) for w in weights.values())
    ceiling = (2 ** (_LARGEST_STOP_BITS - 1) - 1) / max(largest, 1e-30)
    series = [1, 2, 3] + [step << shift for shift in range(0, 20, 1) for step in _NICE_STEPS]
    stops = sorted({q for q in series if q <= max(ceiling, 16)})
    chosen = np.unique(np.linspace(0, len(stops) - 1, min(count, len(stops))).round().astype(int))
    return [float(stops[i]) for i in chosen]


@dataclass(frozen=True)
class Quantizer(Member):
    """Makes the grid for one weight."""

    def grid(self, weight: FloatArray, kept: npt.NDArray[np.bool_]) -> Grid:
        """The grid for a weight of shape (in, out) of which `kept` remains after pruning."""
        raise NotImplementedError


@dataclass(frozen=True)
class FixedPoint(Quantizer):
    """The article's quantization by a factor Q: code ``a = round(w * Q)``, weight ``a / Q``.

    The error of a weight is at most ``1 / (2 Q)``. The bias stays in float32, on the scale of the
    products it is added to.

    Examples
    --------
    >>> FixedPoint(8).grid(np.float32([0.9, -0.3]), np.ones(2, bool)).project(
    ...     np.float32([0.9, -0.3])
    ... ).values.tolist()
    [7, -2]
    """

    text_name = "q"
    title = "Fixed point"

    q: float = parameter(
        Number(1, LARGEST_CODE),
        label="Q",
        help=r"Codes are whole numbers $a = \mathrm{round}(w \cdot Q)$: a smaller Q gives fewer "
        r"different values, so fewer bits and a larger error, at most $1/(2Q)$ a weight.",
        stops=_q_stops,
    )

    def grid(self, weight: FloatArray, kept: npt.NDArray[np.bool_]) -> Grid:
        return UniformGrid(float(self.q))


@dataclass(frozen=True)
class Float32(Quantizer):
    """No quantization: weights stay 32-bit floats."""

    text_name = "float32"
    title = "No quantization"

    def grid(self, weight: FloatArray, kept: npt.NDArray[np.bool_]) -> Grid:
        return FloatGrid()


QUANTIZERS: tuple[type[Quantizer], ...] = (Float32, FixedPoint)
