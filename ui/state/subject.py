"""What visitors look at: a network, with the dataset that its recipes are measured on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from paretoscope.data.dataset import Dataset
from paretoscope.measurement.measurement import Baseline
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network

_AT_ONCE = 2e7  # rows times weights and values that a page may compute itself: mostly under 10 ms

Key = tuple[str, str]  # the network's hash, the recipe's text


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with the dataset that its recipes are measured on."""

    dataset_name: str
    split_seed: int
    model: str
    seed: int
    network: Network = field(repr=False)
    dataset: Dataset = field(repr=False)

    @cached_property
    def baseline(self) -> Baseline:
        return Baseline(self.network, self.dataset)

    def at_once(self, recipe: Recipe) -> bool:
        """Whether a page may compute a point itself."""
        return self._is_small and recipe.needs_no_rows

    @cached_property
    def _is_small(self) -> bool:
        n_weights = sum(w.size for w in self.network.weights.values())
        # A quick look first: telling the values takes a pass over the network.
        n_rows = len(self.baseline.rows)
        return n_rows * n_weights <= _AT_ONCE and (
            n_rows * (n_weights + self.network.n_values) <= _AT_ONCE
        )

    def key(self, recipe: Recipe) -> Key:
        return self.network.sha256, str(recipe)

    def arguments(self, recipe: Recipe) -> dict[str, Any]:
        """What tasks are told of the network and the recipe."""
        return {
            "dataset": self.dataset_name,
            "split_seed": self.split_seed,
            "model": self.model,
            "seed": self.seed,
            "recipe": str(recipe),
        }
