"""What `nested_sweep` computes, in numpy and a step at a time.

The compiled code is tested against it, and it runs where that cannot be loaded: some ten times
slower, with the same figures but for labels that hang on the order of sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.parameters import FloatArray
from paretoscope.network.network import Network
from paretoscope.sweeps.lines import Order


def outputs_at_steps(
    network: Network, X: FloatArray, order: Order, decoded: FloatArray
) -> Iterator[FloatArray]:
    """What the network gives for all rows at each step, each of shape (rows, outputs).

    Parameters
    ----------
    network : Network
        A chain.
    X : float32 (rows, features)
    order : Order
        The step at which each weight goes.
    decoded : float32
        The values of all weights, by layer, raveled.
    """
    ends = np.cumsum([weight.size for weight in network.weights.values()])
    values = dict(zip(network.weights, np.split(decoded, ends[:-1]), strict=True))
    for step in range(order.n):
        there = {
            name: np.where(going > step, values[name].reshape(going.shape), np.float32(0))
            for name, going in order.steps.items()
        }
        yield network.scores(X, there)


def count_right(
    labels: npt.NDArray[np.int16],
    y: npt.NDArray[Any],
    was_right: npt.NDArray[np.bool_],
    right: npt.NDArray[np.int64],
    still: npt.NDArray[np.int64],
) -> None:
    """As `nested_sweep.count_right`."""
    is_right = labels[:, : len(y)] == y
    right[:] = is_right.sum(1)
    still[:] = (is_right & was_right).sum(1)


def tally(
    codes: npt.NDArray[Any],
    ranks: npt.NDArray[Any],
    n_ranks: int,
    ends: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    logs: npt.NDArray[np.float64],
    zeros: npt.NDArray[np.int64],
    lows: npt.NDArray[np.int64],
    highs: npt.NDArray[np.int64],
    entropy_bits: npt.NDArray[np.float64],
) -> None:
    """As `nested_sweep.tally`."""
    n_layers, n_steps = zeros.shape
    for k in range(n_layers):
        for s in range(n_steps):
            there = slice(ends[k, s], ends[k, n_steps])
            stored = codes[there][codes[there] != 0]
            counts = np.bincount(ranks[there][codes[there] != 0], minlength=n_ranks)
            n_zero = sizes[k] - len(stored)
            zeros[k, s] = n_zero
            lows[k, s], highs[k, s] = min(0, stored.min(initial=0)), max(0, stored.max(initial=0))
            entropy_bits[k, s] = logs[sizes[k]] - logs[counts].sum() - logs[n_zero]
