"""Criteria that look at what reaches a layer: the second moments of its inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paretoscope.data.rows import Rows
from paretoscope.methods.pruning.criterion import Criterion
from paretoscope.methods.pruning.cut import Scores
from paretoscope.network.moments import grams
from paretoscope.network.network import Network


@dataclass(frozen=True)
class Wanda(Criterion):
    """Weight times the norm of its input: score ``|w_ij| * ||X_i||_2``; use it with scope=output.

    Source: Sun et al. 2024, "A Simple and Effective Pruning Approach for Large Language Models"
    (arXiv 2306.11695).
    """

    name = "wanda"
    title = "Wanda"
    needs_rows = True

    def scores(self, network: Network, rows: Rows | None) -> Scores:
        assert rows is not None
        norms = {name: np.sqrt(np.diag(g.H)) for name, g in grams(network, rows).items()}
        return {
            name: (np.abs(w) * norms[name][:, None]).astype(np.float32)
            for name, w in network.weights.items()
        }


@dataclass(frozen=True)
class OptimalBrainSurgeon(Criterion):
    """The error that cutting w leaves when the others make up for it: ``w^2 / (2 [H^-1]_ii)``.

    H is the second moment of the layer's inputs. Scores of different layers have different units:
    use it with scope=layer.

    Source: Hassibi and Stork 1992, "Second Order Derivatives for Network Pruning"; layer by layer
    as in Frantar and Alistarh 2022 (arXiv 2208.11580).
    """

    name = "obs"
    title = "Optimal brain surgeon"
    needs_rows = True

    def scores(self, network: Network, rows: Rows | None) -> Scores:
        assert rows is not None
        found = {}
        for name, g in grams(network, rows).items():
            error = (
                np.square(network.weights[name]) / (2 * np.diag(np.linalg.inv(g.damped())))[:, None]
            )
            found[name] = np.where(g.dead[:, None], 0, error).astype(np.float32)
        return found
