"""Weights that lie on a grid already, as training for quantization leaves them.

Such floats are whole multiples of a step. A recipe with ``Q = 1 / step`` for each layer stores the
whole numbers themselves, and nothing is lost.
"""

from __future__ import annotations

import numpy as np

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.methods.kernels import Folded
from paretoscope.methods.quantization import FixedPoint, Float32
from paretoscope.methods.recipe import Recipe, Treatment
from paretoscope.network.network import Network

_MOST = 127  # steps from zero: more would not be 8-bit codes
_FEWEST_VALUES = 3  # of two any step makes multiples
_OFF = 1e-3  # of a step: what float32 rounds away
_PARTS = (1, 2, 3, 4, 5, 6)  # the smallest gap between two values may be that many steps
_DIGITS = range(3, 18)


def exact_recipe(network: Network) -> Recipe | None:
    """The recipe that stores a network's weights as the whole numbers they stand for.

    Layers whose weights lie on no grid of at most 8 bits stay float32; None where all do.

    Examples
    --------
    >>> from paretoscope import load_dataset, train
    >>> exact_recipe(train("logistic-regression", load_dataset("iris"))) is None
    True
    """
    quantizers = {name: _quantizer(weight) for name, weight in network.weights.items()}
    if all(quantizer == Float32() for quantizer in quantizers.values()):
        return None
    everywhere, *_ = quantizers.values()
    return Recipe(
        kernel=Folded(),  # integer kernels would round activations
        quantizer=everywhere,
        overrides={
            name: Treatment(quantizer=quantizer)
            for name, quantizer in quantizers.items()
            if quantizer != everywhere
        },
    )


def _quantizer(weight: FloatArray) -> FixedPoint | Float32:
    q = _q(weight)
    try:
        return Float32() if q is None else FixedPoint(q)
    except ParetoscopeError:  # steps larger than Q allows
        return Float32()


def _q(weight: FloatArray) -> float | None:
    """The Q of the grid that weights lie on; None where they lie on none."""
    values = np.unique(np.abs(weight.astype(np.float64)))
    gaps = np.diff(np.union1d(0.0, values))
    if len(values) < _FEWEST_VALUES or not np.isfinite(values).all():
        return None
    gap = gaps[gaps > _OFF * values[-1] / _MOST].min(initial=np.inf)
    for parts in _PARTS:
        step = gap / parts
        if not values[-1] <= (_MOST + 0.5) * step:
            return None
        codes = np.rint(values / step)
        if np.abs(values / step - codes).max() <= 0.25:  # near enough to count steps
            step = float(values @ codes / (codes @ codes))
            if np.abs(values / step - codes).max() <= _OFF:
                return _short(1 / step, values, codes)
    return None


def _short(q: float, values: FloatArray, codes: FloatArray) -> float:
    """Q by as few digits as leave each value as exact as float32 holds it."""
    exact = values.astype(np.float32)
    for digits in _DIGITS:
        shorter = float(f"{q:.{digits}g}")
        decoded = codes.astype(np.float32) * np.float32(1 / shorter)
        if np.abs(decoded - exact).max() <= np.spacing(exact.max()):
            return shorter
    return q
