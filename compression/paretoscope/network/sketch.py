"""A few of a large network's weights, spread evenly through each layer's, where all would be slow.

Sliders and the pictures behind them ask how many weights lie below a threshold, at each move: of
millions of weights that takes seconds, of a hundred thousand the same answer to a thousandth takes
milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from paretoscope.base.parameters import FloatArray, Weights
from paretoscope.network.network import Layer, Network

LARGE = 1_000_000  # weights: with fewer a network is its own sketch
_KEPT = 100_000


@dataclass(frozen=True, eq=False)
class Sketch(Network):
    """A network's layers with some of their weights, each (n, 1) in ascending order.

    It has no graph: only what looks at weights alone, whichever neuron they are of, takes it.
    """

    sample: Weights = field(default_factory=dict, repr=False)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(Layer(name, None, followed_by_relu=False) for name in self.sample)

    @cached_property
    def weights(self) -> Weights:
        return self.sample


@lru_cache(maxsize=32)
def sketch_of(network: Network) -> Network:
    """The network itself, or of a large one a sketch.

    From each layer as large a share of its weights is taken, its smallest and largest among them.
    """
    kept: Network | None = getattr(network, "sketch", None)  # of an outline
    if kept is not None or network.n_weights <= LARGE:
        return kept or network
    share = _KEPT / network.n_weights
    return Sketch(b"", {name: _spread(w, share) for name, w in network.weights.items()})


def _spread(weight: FloatArray, share: float) -> FloatArray:
    places = np.linspace(0, weight.size - 1, max(2, round(share * weight.size)))
    chosen = np.unique(places.round().astype(np.intp))
    ordered = np.partition(weight.ravel(), chosen)
    found: FloatArray = ordered[chosen, None]
    found.flags.writeable = False
    return found
