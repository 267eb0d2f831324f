"""Grids: the values that may be stored for one weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.methods.quantization.codes import UNSIGNED, Codes, narrowest

LARGEST_CODE = 2**24  # whole numbers beyond it are not exact in float32, which codes become


class Grid(ABC):
    """The values that one weight of shape (in, out) may take when it is stored."""

    @abstractmethod
    def project(self, weight: FloatArray) -> Codes:
        """The nearest storable values. Zero stays zero, and projecting twice changes nothing."""

    def nearest(self, weight: FloatArray) -> FloatArray:
        """The nearest storable values as floats; also for some of the weight's rows, (k, out)."""
        return self.project(weight).decoded()


@dataclass(frozen=True)
class FloatGrid(Grid):
    """Every float32 value."""

    def project(self, weight: FloatArray) -> Codes:
        return Codes(weight, None, "float32")


@dataclass(frozen=True)
class HalfGrid(Grid):
    """Every float16 value."""

    def project(self, weight: FloatArray) -> Codes:
        largest = np.abs(weight).max(initial=0)
        if largest > np.finfo(np.float16).max:
            raise ParetoscopeError(
                f"float16 holds weights up to {np.finfo(np.float16).max}; got {largest:.4g}"
            )
        return Codes(weight.astype(np.float16), None, "float16")


@dataclass(frozen=True, eq=False)
class UniformGrid(Grid):
    """The multiples of ``1 / q``: code ``a = round(w * q)``, half to even, at most `limit`.

    `q` is one number, or one for each output, of shape (out,).
    """

    q: float | npt.NDArray[np.float64]
    limit: int | None = None

    def project(self, weight: FloatArray) -> Codes:
        codes = self._codes(weight)
        if np.abs(codes).max(initial=0) > LARGEST_CODE:
            largest = float(np.abs(weight).max())
            raise ParetoscopeError(
                f"Q must be at most {LARGEST_CODE / largest:.4g} for weights up to {largest:.4g}; "
                f"got {np.max(self.q):g}"
            )
        whole = codes.astype(np.int32)
        return Codes(whole, self._scale, narrowest(whole))

    def nearest(self, weight: FloatArray) -> FloatArray:
        found: FloatArray = self._codes(weight).astype(np.float32) * self._scale
        return found

    @property
    def _scale(self) -> FloatArray:
        return np.atleast_1d(1 / np.asarray(self.q, np.float64)).astype(np.float32)

    def _codes(self, weight: FloatArray) -> npt.NDArray[np.float64]:
        codes = weight.astype(np.float64) * self.q
        np.rint(codes, out=codes)
        if self.limit is not None:
            np.clip(codes, -self.limit, self.limit, out=codes)
        return codes


@dataclass(frozen=True, eq=False)
class CodebookGrid(Grid):
    """A few values, sorted, zero among them; codes are places among them."""

    values: FloatArray

    def project(self, weight: FloatArray) -> Codes:
        middles = (self.values[1:].astype(np.float64) + self.values[:-1]) / 2
        places: npt.NDArray[Any] = np.searchsorted(middles, weight)
        storage = next(name for name, bits in UNSIGNED.items() if len(self.values) <= 2**bits)
        codebook = np.zeros(2 ** UNSIGNED[storage], np.float32)
        codebook[: len(self.values)] = self.values
        zero = int(np.flatnonzero(self.values == 0)[0])
        return Codes(np.where(weight == 0, zero, places), None, storage, codebook)
