"""Intervals of 95 % for scores that are functions of means over rows.

What a row adds to such a score is its influence: the score's derivative by the row's weight. The
standard error is that of the influences' mean (Efron and Stein's infinitesimal jackknife), of two
models on the same rows that of the differences of their influences. How often the intervals hold
the truth is in docs/measuring.md, by ``python -m benchmarks scores``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from paretoscope.problems.accuracy import Z95, crossing
from paretoscope.problems.figure import Interval

Floats = npt.NDArray[np.float64]
OfMeans = Callable[[npt.NDArray[np.complex128]], npt.NDArray[np.complex128]]

RESAMPLES = 999
_MANY = 4_000  # rows from which on what is skewed is no matter any more
_STEP = 1e-30  # of the complex step: no difference is taken, so nothing cancels
_SEED = 0


def influence(rows: Floats, of_means: OfMeans) -> Floats:
    """What each row adds to ``of_means(rows.mean(0))``, as deviations whose mean is zero.

    Parameters
    ----------
    rows : float array of shape (n, k)
        What the score takes of each row.
    of_means : callable
        The score of k means, on complex arrays of shape (..., k): its derivative is taken by a
        complex step (Squire and Trapp 1998, SIAM Review 40:110).

    Returns
    -------
    float array of shape (n,)
    """
    means = rows.mean(0)
    return np.asarray((rows - means) @ gradient(means, of_means))


def gradient(means: Floats, of_means: OfMeans) -> Floats:
    """The derivative of a score by its means, of shape (..., k)."""
    k = means.shape[-1]
    steps = means[..., None, :] + 1j * _STEP * np.eye(k)
    return np.asarray(of_means(steps)).imag / _STEP


def of_difference(value: float, influences: Floats, extra: float = 0.0, df: int = 0) -> Interval:
    """The interval of a difference by Student's t.

    Parameters
    ----------
    value : float
    influences : float array of shape (n,)
        Now minus before.
    extra : float
        Squared influence of rows that were not seen (Agresti and Min 2005, Biometrics 61:515: half
        a row of each kind of change), for labels of which few or none changed.
    df : int, optional
        Degrees of freedom; by default n - 1.
    """
    n = len(influences)
    half = _t(df or n - 1) * math.sqrt(float(np.sum(influences**2)) + extra) / n
    return value - half, value + half


def of_score(value: float, rows: Floats, of_means: OfMeans) -> Interval:
    """The interval of a score by the studentized bootstrap (Efron and Tibshirani 1993, chapter 12),
    which keeps what is skewed: errors are.

    The resamples are the same for every score of as many rows.

    Parameters
    ----------
    value : float
        ``of_means(rows.mean(0))``.
    rows : float array of shape (n, k)
    of_means : callable
        As in `influence`.
    """
    n, k = rows.shape
    if n > _MANY:
        return of_difference(value, influence(rows, of_means))
    centred = rows - rows.mean(0)
    weights = _resamples(n)
    products = (centred[:, :, None] * centred[:, None, :]).reshape(n, k * k)
    means = weights @ centred / n
    second = (weights @ products / n).reshape(-1, k, k)
    covariance = second - means[:, :, None] * means[:, None, :]
    moved = means + rows.mean(0)
    slopes = gradient(moved, of_means)
    spread = np.einsum("bi,bij,bj->b", slopes, covariance, slopes)
    there = np.asarray(of_means(moved.astype(np.complex128))).real
    own = math.sqrt(float(np.sum(influence(rows, of_means) ** 2)) / (n * (n - 1)))
    usable = np.isfinite(there) & (spread > 0)
    if own == 0 or not usable.any():
        return value, value
    ratios = (there[usable] - value) / np.sqrt(spread[usable] / (n - 1))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return value - float(high) * own, value - float(low) * own


def on_logit(value: float, error: float, df: int) -> Interval:
    """The interval of a share by its standard error, on the scale of log odds, where it cannot
    leave 0 to 1."""
    if not 0 < value < 1:
        return value, value
    middle = math.log(value / (1 - value))
    half = _t(df) * error / (value * (1 - value))
    return tuple(1 / (1 + math.exp(-(middle + side * half))) for side in (-1, 1))  # type: ignore[return-value]


def of_area(value: float, n: int, m: int) -> Interval:
    """The interval of an area under a ROC curve, of `n` rows of one class and `m` of the other: the
    areas from which the found one is no further than 1.96 of their own standard errors, by Hanley
    and McNeil's variance."""

    def off(area: float) -> float:
        paired = (1 - area) / (2 - area) + area / (1 + area)
        variance = area * (1 - area) * (1 + ((n + m) / 2 - 1) * paired) / (n * m)
        return abs(value - area) - Z95 * math.sqrt(variance)

    low = crossing(off, 0.0, value) if value > 0 else 0.0
    high = crossing(lambda area: -off(area), value, 1.0) if value < 1 else 1.0
    return low, high


@lru_cache(maxsize=256)
def _t(df: int) -> float:
    from scipy.special import stdtrit  # its import takes a tenth of a second

    return float(stdtrit(max(df, 1), 0.975))


@lru_cache(maxsize=4)
def _resamples(n: int) -> npt.NDArray[np.float32]:
    """How often each resample takes each row, of shape (RESAMPLES, n)."""
    rng = np.random.default_rng(_SEED)
    drawn = rng.integers(0, n, (RESAMPLES, n))
    counts = np.zeros((RESAMPLES, n), np.float32)
    np.add.at(counts, (np.arange(RESAMPLES)[:, None], drawn), 1)
    return counts
