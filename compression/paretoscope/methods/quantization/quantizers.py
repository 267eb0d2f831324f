"""All quantizers.

To add one, write a subclass of `Quantizer`, in a file of its own where it is long, and add it to
`QUANTIZERS` at the foot of this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretoscope.base.parameters import (
    BoolArray,
    Choice,
    FloatArray,
    Number,
    Weights,
    parameter,
)
from paretoscope.methods.quantization.grids import (
    LARGEST_CODE,
    CodebookGrid,
    FloatGrid,
    Grid,
    HalfGrid,
    UniformGrid,
)
from paretoscope.methods.quantization.quantizer import Quantizer

Double = npt.NDArray[np.float64]
_NICE_STEPS = (4, 5, 6, 8, 10, 12)
_LARGEST_STOP_BITS = 10
_CLIPS = np.linspace(0.3, 1.0, 36)
_LLOYD_STEPS = 30
_SMALLEST = 1e-30  # weights below it are zero: their scale would not be a normal float32


def _q_stops(weights: Weights, count: int) -> Sequence[float]:
    """1, 2, 3, then 4, 5, 6, 8, 10, 12 times powers of two, as far as codes take 10 bits."""
    series = [1, 2, 3] + [step << shift for shift in range(20) for step in _NICE_STEPS]
    stops = sorted({q for q in series if q <= max(_ceiling(weights), 16)})
    chosen = np.unique(np.linspace(0, len(stops) - 1, min(count, len(stops))).round().astype(int))
    return [float(stops[i]) for i in chosen]


def _shift_stops(weights: Weights, count: int) -> Sequence[float]:
    return [float(k) for k in range(int(np.log2(max(_ceiling(weights), 16))) + 1)][:count]


def _ceiling(weights: Weights) -> float:
    largest = max(float(np.abs(w).max(initial=0)) for w in weights.values())
    return float((2 ** (_LARGEST_STOP_BITS - 1) - 1) / max(largest, 1e-30))


def _bit_stops(weights: Weights, count: int) -> Sequence[float]:
    return [float(bits) for bits in range(2, 9)][:count]


def _cluster_stops(weights: Weights, count: int) -> Sequence[float]:
    return [2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0, 256.0][:count]


@dataclass(frozen=True)
class FixedPoint(Quantizer):
    """The article's quantization by a factor Q: code ``a = round(w * Q)``, weight ``a / Q``.

    The error of a weight is at most ``1 / (2 Q)``. With ``per=output`` each output j has a factor
    of its own, ``Q max|W| / max|W_:j|``: its largest weight gets the layer's largest code. The bias
    stays in float32, on the scale of the products it is added to.

    Examples
    --------
    >>> weight = np.float32([[0.9, -0.3]])
    >>> FixedPoint(8).grid(weight, np.ones((1, 2), bool)).project(weight).values.tolist()
    [[7, -2]]
    """

    name = "q"
    elementwise = True
    title = "Fixed point"

    q: float = parameter(
        Number(1, LARGEST_CODE),
        label="Q",
        help=r"Codes are whole numbers $a = \mathrm{round}(w \cdot Q)$: a smaller Q gives fewer "
        r"different values, so fewer bits and a larger error, at most $1/(2Q)$ a weight.",
        stops=_q_stops,
        first=8,
    )
    per: str = parameter(
        Choice(("tensor", "output")),
        default="tensor",
        label="Step for each",
        help="One step 1/Q for the whole layer, or one for each output, smaller as its largest "
        "weight is smaller than the layer's.",
    )

    @property
    def by_itself(self) -> bool:
        return self.per == "tensor"

    @property
    def factor(self) -> float | None:
        return self.q if self.per == "tensor" else None

    @property
    def line(self) -> str:
        return f"Q = {self.q:g}" + ("" if self.per == "tensor" else " by output")

    def grid(self, weight: FloatArray, kept: BoolArray) -> Grid:
        if self.per == "tensor":
            return UniformGrid(self.q)
        top = np.where(kept, np.abs(weight), 0).astype(np.float64).max(0, initial=0)
        top = np.where(top < _SMALLEST, top.max(initial=_SMALLEST), top)
        return UniformGrid(self.q * top.max() / top)


@dataclass(frozen=True)
class Shift(Quantizer):
    """Fixed point with Q = 2^k: dividing by Q is a shift by k bits.

    At most one bit worse than the best Q (Jacob et al. 2018, arXiv 1712.05877, on scales).
    """

    name = "shift"
    elementwise = True
    title = "Fixed point, shift only"

    k: float = parameter(
        Number(0, 24, whole=True),
        label="Shift",
        help=r"Codes are $a = \mathrm{round}(w \cdot 2^k)$: undone by shifting k bits.",
        stops=_shift_stops,
        first=3,
    )

    @property
    def factor(self) -> float:
        return float(2.0**self.k)

    def grid(self, weight: FloatArray, kept: BoolArray) -> Grid:
        return UniformGrid(self.factor)


@dataclass(frozen=True)
class Symmetric(Quantizer):
    """Codes of b bits from -(2^(b-1) - 1) to 2^(b-1) - 1, scaled to the largest kept weight.

    With ``clip=mse`` the scale is the one of least squared error, of 36 from 0.3 to 1 times the
    largest weight: large weights are clipped for finer steps (Nagel et al. 2021, arXiv 2106.08295,
    section 3.1).
    """

    name = "symmetric"
    title = "Symmetric, b bits"

    bits: float = parameter(
        Number(2, 8, whole=True),
        label="Bits",
        help="Bits of a code. One fewer halves the number of different values.",
        stops=_bit_stops,
        first=4,
    )
    per: str = parameter(
        Choice(("tensor", "output")),
        default="tensor",
        label="Scale for each",
        help="One scale for the whole layer, or one for each output.",
    )
    clip: str = parameter(
        Choice(("max", "mse")),
        default="max",
        label="Range",
        help="max: up to the largest weight. mse: the range of least squared error.",
    )

    def grid(self, weight: FloatArray, kept: BoolArray) -> Grid:
        limit = 2 ** (int(self.bits) - 1) - 1
        magnitude = np.where(kept, np.abs(weight), 0).astype(np.float64)
        top = magnitude.max(0) if self.per == "output" else magnitude.max(keepdims=True).ravel()
        top = np.where(top < _SMALLEST, 1.0, top)
        if self.clip == "max":
            return UniformGrid(limit / top, limit)
        errors = np.stack([self._error(magnitude, limit / (c * top), limit) for c in _CLIPS])
        best = _CLIPS[errors.argmin(0)]
        return UniformGrid(limit / (best * top), limit)

    def _error(self, magnitude: Double, q: Double, limit: int) -> Double:
        error = np.square(np.minimum(np.rint(magnitude * q), limit) / q - magnitude)
        total: Double = error.sum(0) if self.per == "output" else error.sum().reshape(1)
        return total


@dataclass(frozen=True)
class KMeans(Quantizer):
    """Weights share the centres of k clusters, zero one of them; codes are places in a codebook.

    Lloyd's steps from evenly spaced centres (Han et al. 2016, "Deep Compression", arXiv
    1510.00149, section 3).
    """

    name = "kmeans"
    title = "k-means clusters"

    clusters: float = parameter(
        Number(2, 256, whole=True),
        label="Clusters",
        help="How many different weights a layer may have, zero included.",
        stops=_cluster_stops,
        first=8,
    )

    def grid(self, weight: FloatArray, kept: BoolArray) -> Grid:
        values = np.sort(weight[np.broadcast_to(kept, weight.shape)].astype(np.float64))
        values = values[values != 0]
        n = int(self.clusters) - 1
        if len(values) == 0:
            return CodebookGrid(np.zeros(1, np.float32))
        sums = np.concatenate([[0.0], np.cumsum(values)])
        centres = np.linspace(values[0], values[-1], n) if n > 1 else values.mean(keepdims=True)
        for _ in range(_LLOYD_STEPS):
            with_zero = np.sort(np.append(centres, 0.0))
            edges = np.searchsorted(values, (with_zero[1:] + with_zero[:-1]) / 2)
            bounds = np.concatenate([[0], edges, [len(values)]])
            counts = np.diff(bounds)
            means = np.where(counts > 0, np.diff(sums[bounds]) / np.maximum(counts, 1), with_zero)
            moved = np.delete(means, int(np.flatnonzero(with_zero == 0)[0]))
            if np.array_equal(moved, centres):
                break
            centres = moved
        return CodebookGrid(np.unique(np.append(centres, 0.0)).astype(np.float32))


@dataclass(frozen=True)
class Float16(Quantizer):
    """16-bit floats: half the size, 11 significant bits."""

    name = "float16"
    elementwise = True
    float_bits = 16
    title = "float16"

    def grid(self, weight: FloatArray, kept: BoolArray) -> Grid:
        return HalfGrid()


@dataclass(frozen=True)
class Float32(Quantizer):
    """No quantization: weights stay 32-bit floats."""

    name = "float32"
    elementwise = True
    float_bits = 32
    title = "No quantization"

    def grid(self, weight: FloatArray, kept: BoolArray) -> Grid:
        return FloatGrid()


QUANTIZERS: tuple[type[Quantizer], ...] = (Float32, FixedPoint, Shift, Symmetric, KMeans, Float16)
