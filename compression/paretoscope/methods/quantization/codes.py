"""Codes: one weight as it is stored, and the types that hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.parameters import FloatArray

# The ONNX integer types that codes are stored in, narrowest first: bits and both ends.
STORAGE: dict[str, tuple[int, int, int]] = {
    "int2": (2, -2, 1),
    "int4": (4, -8, 7),
    "int8": (8, -128, 127),
    "int16": (16, -(2**15), 2**15 - 1),
    "int32": (32, -(2**31), 2**31 - 1),
}
# Those for places in a codebook.
UNSIGNED: dict[str, int] = {"uint2": 2, "uint4": 4, "uint8": 8}
_FLOAT_BITS = {"float32": 32, "float16": 16}


@dataclass(frozen=True)
class Codes:
    """One weight as it is stored.

    Attributes
    ----------
    values : array of shape (in, out)
        Whole numbers; or floats, where `storage` is "float32" or "float16".
    scale : float32 array of shape (1,) or (out,), or None
        The value of one step. ``values * scale`` is the weight; None means the values are.
    storage : str
        "float32", "float16", a key of `STORAGE`, or of `UNSIGNED` for places in a codebook.
    codebook : float32 array of shape (2 ** bits,), or None
        The values that the codes are places of.
    """

    values: npt.NDArray[Any]
    scale: FloatArray | None
    storage: str
    codebook: FloatArray | None = None

    def decoded(self) -> FloatArray:
        """The weight that the codes stand for, in float32, as a runtime computes it."""
        if self.codebook is not None:
            found: FloatArray = self.codebook[self.values]
            return found
        weight: FloatArray = self.values.astype(np.float32, copy=False)
        return weight if self.scale is None else weight * self.scale

    @property
    def bits(self) -> int:
        """Bits that a code needs: ``ceil(log2(2 max|a| + 1))``; of a place in a codebook, its own;
        of floats, all.

        >>> Codes(np.array([127]), np.float32([1]), "int8").bits
        8
        >>> Codes(np.array([-128]), np.float32([1]), "int8").bits
        9
        """
        if self.storage in UNSIGNED:
            return int(self.values.max(initial=0)).bit_length()
        return _FLOAT_BITS.get(self.storage) or code_bits(_largest(self.values))

    @property
    def n_zeros(self) -> int:
        """How many of the stored weights are zero."""
        return int(self.values.size - np.count_nonzero(self.decoded()))


def code_bits(largest: int) -> int:
    """Bits for codes from ``-largest`` to ``largest``.

    >>> [code_bits(a) for a in (0, 1, 7, 8, 127, 128)]
    [0, 2, 4, 5, 8, 9]
    """
    return (2 * largest).bit_length()


def narrowest(codes: npt.NDArray[Any]) -> str:
    """The narrowest ONNX integer type that holds all codes."""
    return narrowest_for(int(codes.min(initial=0)), int(codes.max(initial=0)))


def narrowest_for(low: int, high: int) -> str:
    """The narrowest ONNX integer type that holds codes from `low` to `high`."""
    return next(name for name, (_, lo, hi) in STORAGE.items() if lo <= low and high <= hi)


def _largest(codes: npt.NDArray[Any]) -> int:
    return int(max(-int(codes.min(initial=0)), int(codes.max(initial=0))))
