"""What visitors look at: a network, with the dataset that its recipes are measured on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from paretoscope.data.dataset import Dataset
from paretoscope.measurement.measurement import (
    USUAL,
    Baseline,
    judged_on,
    takes_long,
    usual_loss,
)
from paretoscope.methods.recipe import Recipe
from paretoscope.network.in_place import InPlace
from paretoscope.network.network import Network
from paretoscope.network.sketch import LARGE
from paretoscope.problems.classification import Classification
from paretoscope.problems.problem import Problem
from paretoscope.problems.score import Score

_AT_ONCE = 2e7  # rows times weights and values that a page may compute itself: mostly under 10 ms

Key = tuple[str, str]  # the network's hash with the score, the recipe's text


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with the dataset that its recipes are measured on, and the score that they are
    judged by; without a name what suits the data."""

    dataset_name: str
    split_seed: int
    model: str
    seed: int
    network: Network = field(repr=False)
    dataset: Dataset = field(repr=False)
    score_name: str = ""
    decision: str = ""

    @cached_property
    def baseline(self) -> Baseline:
        name = self.score_name or self.opens_with[0].name
        return Baseline(self.network, self.dataset, "", name, self.decision)

    @property
    def problem(self) -> Problem:
        """The dataset's, with the decision that was chosen."""
        return self.baseline.problem

    @cached_property
    def opens_with(self) -> tuple[Score, str]:
        """The score that suits the data, and why it is not the usual one."""
        rows = self.dataset.rows(judged_on(self.network))
        return self.dataset.problem.opens_with(rows.y)

    @property
    def score(self) -> Score:
        return self.baseline.score

    @property
    def has_classes(self) -> bool:
        """Whether rows are of classes, so that they can be newly wrong."""
        return isinstance(self.dataset.problem, Classification)

    @cached_property
    def usual_loss(self) -> float:
        """How much is asked about where nothing is said, in the score's unit."""
        return usual_loss(self.baseline)

    @property
    def whose(self) -> str:
        """What tells its figures from those of other networks, and of other scores."""
        name = self.score.name
        if name == USUAL and not self.decision:
            return self.network.sha256
        return f"{self.network.sha256} by {name} {self.decision}"

    def at_once(self, recipe: Recipe) -> bool:
        """Whether a page may compute a point itself; a stranger's graph only workers run."""
        return not self.is_in_place and self._is_small and recipe.needs_no_rows

    @property
    def is_in_place(self) -> bool:
        """Whether its network is a graph whose weights are coded where they stand."""
        return isinstance(self.network, InPlace)

    @property
    def comes_slowly(self) -> bool:
        """Whether the points of a line are computed one by one, each by a run of the graph."""
        if not self.is_in_place:
            return False
        many = self.network.n_weights > LARGE  # whose files take a second each to make
        return many or takes_long(self.network, len(self.baseline.rows))

    @cached_property
    def _is_small(self) -> bool:
        n_weights = self.network.n_weights
        # A quick look first: telling the values takes a pass over the network.
        n_rows = len(self.baseline.rows)
        return n_rows * n_weights <= _AT_ONCE and (
            n_rows * (n_weights + self.network.n_values) <= _AT_ONCE
        )

    def key(self, recipe: Recipe) -> Key:
        return self.whose, str(recipe)

    def arguments(self, recipe: Recipe) -> dict[str, Any]:
        """What tasks are told of the network and the recipe."""
        return {
            "dataset": self.dataset_name,
            "split_seed": self.split_seed,
            "model": self.model,
            "seed": self.seed,
            "score": self.score.name,
            "decision": self.decision,
            "recipe": str(recipe),
        }
