"""Recovery layer by layer from calibration rows without labels: no gradient, closed forms.

Layers go in order. Each is fitted to what the uncompressed layer puts out, on the inputs that the
compressed layers before it give, so that it also makes up for their errors. In all of them the
bias takes what is left of the mean output.

Notation: X uncompressed inputs (n, in), X' compressed ones, W (in, out), H = X'^T X' / n.
"""

from __future__ import annotations

import contextlib
import logging
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import BoolArray, FloatArray
from paretoscope.methods.quantization import Codes, Grid
from paretoscope.methods.recovery.base import Recovery, RecoveryInput, Stored
from paretoscope.network.chain import Stage, as_chain
from paretoscope.network.moments import (
    DAMPING,
    Double,
    Gram,
    advance,
    cross_moment,
    first_gram,
    gram,
    grams,
    inputs,
)

_BLOCK = 128
# Of a second moment of float32 products, that a mean was taken from. With 1e-12 an AVX2 processor
# took the rounding of inputs that never change for their spread, and weights grew to 400,000.
_ROUNDING = 3e-6
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer to fit, with moments about the mean where a bias is fitted beside the weight.

    `H` (in, in) is of the compressed inputs, damped; `target` (in, out) is ``H^-1 X'^T X W / n``,
    the unconstrained best weight.
    """

    name: str
    H: Double
    target: Double
    kept: BoolArray


@dataclass(frozen=True)
class Layerwise(Recovery):
    """A recovery that solves one layer after the other."""

    needs_rows = True

    def recover(self, given: RecoveryInput) -> Stored:
        assert given.train_rows is not None
        codes: dict[str, Codes] = {}
        biases: dict[str, FloatArray] = {}
        chain, rows = as_chain(given.network), given.train_rows
        compressed = inputs(given.network, rows)[chain.names[0]]
        for number, stage in enumerate(chain.stages):
            name = stage.name
            given.report(number / len(chain.names), f"layer {number + 1} of {len(chain.names)}")
            weight, bias = chain.weights[name], chain.biases[name]
            layer, mean, mean_before = _layer(given, stage, compressed, first=number == 0)
            codes[name] = self.solve(given, layer)
            decoded = codes[name].decoded()
            biases[name] = (bias + mean_before @ weight - mean @ decoded).astype(np.float32)
            if number + 1 < len(chain.names):
                compressed = advance(stage, compressed, decoded, biases[name])
        return Stored(codes, biases)

    @abstractmethod
    def solve(self, given: RecoveryInput, layer: Layer) -> Codes:
        """The codes of one layer."""


@dataclass(frozen=True)
class BiasCorrection(Layerwise):
    """Weights as without recovery; the bias takes the mean of the error: ``b += E[X W - X' W']``.

    Source: Nagel et al. 2019, "Data-Free Quantization" (arXiv 1906.04721), section 4.2, with
    measured means.
    """

    name = "bias"
    title = "Bias correction"
    short = "Bias"

    def solve(self, given: RecoveryInput, layer: Layer) -> Codes:
        weight = np.where(layer.kept, given.network.weights[layer.name], np.float32(0))
        return given.grid(layer.name, weight).project(weight)


@dataclass(frozen=True)
class LeastSquares(Layerwise):
    """What is kept is refitted: ``min ||X' W' - X W||^2`` over the kept weights, then rounded.

    For each output ``w_K = (H_KK)^-1 (H w)_K``.
    """

    name = "ls"
    title = "Least squares"

    def solve(self, given: RecoveryInput, layer: Layer) -> Codes:
        weight = masked_least_squares(layer).astype(np.float32)
        return given.grid(layer.name, weight).project(weight)


@dataclass(frozen=True)
class Compensation(Layerwise):
    """Least squares, then weights are rounded one input after the other, and those not yet rounded
    make up for each error: GPTQ on the refitted weights, cutting and rounding jointly.

    With U the upper Cholesky factor of H^-1: ``e = (w_i - round(w_i)) / U_ii``,
    ``w_j -= U_ij e`` for all j after i. Inputs go by falling H_ii.

    Source: Frantar et al. 2023, "GPTQ" (arXiv 2210.17323); Frantar and Alistarh 2023, "SparseGPT"
    (arXiv 2301.00774) for doing both jointly.
    """

    name = "gptq"
    title = "GPTQ"

    def solve(self, given: RecoveryInput, layer: Layer) -> Codes:
        weight = masked_least_squares(layer)
        grid = given.grid(layer.name, weight.astype(np.float32))
        rounded = compensate(layer.H, weight, layer.kept, grid)
        return grid.project(rounded)


def masked_least_squares(layer: Layer) -> Double:
    """The kept weights of least squared error; outputs with the same mask are solved together."""
    weight = np.where(layer.kept, layer.target, 0.0)
    if layer.kept.all():
        return weight
    wanted = layer.H @ layer.target
    for column in range(weight.shape[1]):
        kept = np.flatnonzero(layer.kept[:, column])
        if len(kept):
            weight[kept, column] = np.linalg.solve(
                layer.H[np.ix_(kept, kept)], wanted[kept, column]
            )
    return weight


def compensate(H: Double, weight: Double, kept: BoolArray, grid: Grid) -> FloatArray:
    """Round `weight` (in, out) onto the grid, input by input, the rest making up for the errors."""
    order = np.argsort(-np.diag(H), kind="stable")
    left = weight[order].copy()
    mask = kept[order]
    U = upper_factor_of_inverse(H[np.ix_(order, order)])
    rounded = np.zeros(weight.shape, np.float32)
    for start in range(0, len(left), _BLOCK):
        end = min(start + _BLOCK, len(left))
        block, errors = left[start:end], np.zeros((end - start, weight.shape[1]))
        for i in range(end - start):
            row = np.where(mask[start + i], block[i], 0.0).astype(np.float32)
            nearest = np.where(mask[start + i], grid.nearest(row[None])[0], np.float32(0))
            rounded[start + i] = nearest
            errors[i] = (block[i] - nearest) / U[start + i, start + i]
            block[i + 1 :] -= np.outer(U[start + i, start + i + 1 : end], errors[i])
        left[end:] -= U[start:end, end:].T @ errors
    result = np.empty_like(rounded)
    result[order] = rounded
    return result


def upper_factor_of_inverse(H: Double) -> Double:
    """U, upper triangular, with ``H^-1 = U^T U``; H is damped more until it is positive definite.

    From the Cholesky factor of H itself, turned about: H^-1 is never made, whose rounding errors
    can leave it indefinite where H is not.
    """
    from scipy.linalg import solve_triangular  # a page starts without it

    if not np.isfinite(H).all():
        raise ParetoscopeError("the calibration rows make values that are no finite numbers")
    scale = max(float(np.diag(H).mean()), np.finfo(np.float64).tiny)
    damping = 0.0
    while True:
        damped = H + damping * scale * np.eye(len(H))
        with contextlib.suppress(np.linalg.LinAlgError):
            lower = np.linalg.cholesky(damped[::-1, ::-1])
            if damping:
                _LOG.info("compensation was damped by %g of the mean diagonal to hold", damping)
            upper: Double = solve_triangular(lower, np.eye(len(H)), lower=True)[::-1, ::-1]
            return upper
        damping = 10 * damping or 1e-3


def _layer(
    given: RecoveryInput, stage: Stage, compressed: FloatArray, *, first: bool
) -> tuple[Layer, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The moments of a layer, and the mean of its compressed and uncompressed rows."""
    network, rows, name = given.network, given.train_rows, stage.name
    assert rows is not None
    weight = network.weights[name].astype(np.float64)
    if first:  # its inputs are never compressed
        moments = first_gram(network, rows)
        H = moments.H - np.outer(moments.mean, moments.mean)
        damped = _damped(H, moments)
        return Layer(name, damped, weight, given.kept(name)), moments.mean, moments.mean
    moments, before = gram(stage, compressed), grams(network, rows)[name].mean
    H = _damped(moments.H - np.outer(moments.mean, moments.mean), moments)
    uncompressed = inputs(network, rows)[name]
    cross = cross_moment(stage, compressed, uncompressed) - np.outer(moments.mean, before)
    # Damping pulls towards the old weight, not towards zero.
    pull = np.diag(H).mean() * DAMPING
    wanted = cross @ weight + pull * weight
    return Layer(name, H, np.linalg.solve(H, wanted), given.kept(name)), moments.mean, before


def _damped(H: Double, moments: Gram) -> Double:
    """H with a little of the mean diagonal added. Inputs that are the same in all rows are set
    apart: what is left of them is rounding."""
    damped = H.copy()
    diagonal = np.einsum("ii->i", damped)
    dead = diagonal <= _ROUNDING * np.diag(moments.H)
    damped[dead] = damped[:, dead] = 0.0
    diagonal[dead] = 1.0
    diagonal += DAMPING * diagonal[~dead].mean() if not dead.all() else 0.0
    return damped
