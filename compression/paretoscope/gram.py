"""Second moments of a layer's inputs over calibration rows: the Hessian of its squared error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from paretoscope.chain import as_chain
from paretoscope.dataset import Rows
from paretoscope.network import Network
from paretoscope.parameters import FloatArray

Double = npt.NDArray[np.float64]
DAMPING = 0.01  # of the mean diagonal, as in SparseGPT's and GPTQ's code
_CHUNK_ROWS = 5_000


@dataclass(frozen=True, eq=False)
class Gram:
    """``H = X^T X / n`` of shape (in, in) and the mean input (in,), in float64."""

    H: Double
    mean: Double

    @property
    def dead(self) -> npt.NDArray[np.bool_]:
        """Inputs that are always zero: their weights do nothing."""
        zeros: npt.NDArray[np.bool_] = np.diag(self.H) == 0
        return zeros

    def damped(self) -> Double:
        """H with dead inputs set apart and a little of the mean diagonal added: invertible."""
        H = self.H.copy()
        diagonal = np.einsum("ii->i", H)
        diagonal[self.dead] = 1.0
        diagonal += DAMPING * diagonal.mean()
        return H


def cross_moment(X: FloatArray, Y: FloatArray) -> Double:
    """``X^T Y / n`` summed in float64 over chunks of rows."""
    total = np.zeros((X.shape[1], Y.shape[1]))
    for i in range(0, len(X), _CHUNK_ROWS):
        total += X[i : i + _CHUNK_ROWS].T @ Y[i : i + _CHUNK_ROWS]
    return total / len(X)


def gram(X: FloatArray) -> Gram:
    return Gram(cross_moment(X, X), X.mean(0, dtype=np.float64))


@lru_cache(maxsize=4)
def first_gram(network: Network, rows: Rows) -> Gram:
    """Of the first layer's inputs, which no compression changes: computed once for all recipes."""
    return gram(as_chain(network).features(rows.X))


@lru_cache(maxsize=4)
def grams(network: Network, rows: Rows) -> Mapping[str, Gram]:
    """Of every layer of the uncompressed network."""
    found: dict[str, Gram] = {}
    for name, h, _ in as_chain(network).forward(rows.X):
        found[name] = gram(h) if found else first_gram(network, rows)
    return found
