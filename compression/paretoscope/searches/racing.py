"""Racing: whether a recipe's drop is within a budget, told by as few rows as it takes.

A recipe is judged on nested subsets of the rows, each row once. On a subset it is dropped if its
drop there exceeds the budget by more than 2.5 standard errors, of a subset drawn without
replacement; who is left is judged on all rows, exactly. So one that is within the budget is seldom
lost (0.6 % at a subset if its drop is the whole budget), and none that is not within it is ever
taken for one. Only accuracy is raced: other scores are judged on all rows at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from paretoscope.artifact.artifact import Draft, make_draft
from paretoscope.measurement.measurement import Baseline
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from paretoscope.problems.accuracy import Change, Difference
from paretoscope.sweeps.lines import in_lines
from paretoscope.sweeps.surface import Table, table

SHARES = (0.01, 0.02, 0.04, 0.08, 0.14, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the rows
FEWEST_ROWS = 50  # in the first subset: fewer tell nothing
ERRORS = 2.5


@dataclass(frozen=True)
class Judged:
    """A recipe that was judged on all rows, by float arithmetic. `cost` is what was searched by."""

    recipe: Recipe
    change: Difference
    cost: float


class Race:
    """Recipes on nested subsets of the rows, of which each takes up where the last one ended.

    Attributes
    ----------
    evaluations : float
        Work done, as evaluations of one recipe on all rows.
    """

    def __init__(self, network: Network, baseline: Baseline, seed: int) -> None:
        self.network, self.baseline = network, baseline
        self.evaluations = 0.0
        n = len(baseline.rows)
        order = np.random.default_rng(seed).permutation(n)
        shares = SHARES if baseline.counts_largest else ()
        ends = {count for share in shares if FEWEST_ROWS <= (count := round(share * n)) < n}
        self._ends = [*sorted(ends), n]
        self._parts = [
            baseline.part(order[start:end])
            for start, end in zip([0, *self._ends[:-1]], self._ends, strict=True)
        ]
        self._begun: dict[Recipe, Difference] = {}
        self._drafts = lru_cache(maxsize=1)(self._make_draft)

    def begin(self, recipes: Sequence[Recipe]) -> Table:
        """Take recipes through the first subset; the table's sizes take no rows."""
        found = table(self.network, recipes, self._parts[0])
        self.evaluations += len(recipes) * self._ends[0] / self._ends[-1]
        self._begun |= zip(recipes, found.changes, strict=True)
        return found

    def first_change(self, recipe: Recipe) -> Difference:
        """A recipe's change on the first subset."""
        if recipe not in self._begun:
            self._begun[recipe] = self._change(recipe, 0)
        return self._begun[recipe]

    def judge(self, recipe: Recipe, max_drop: float) -> Difference | None:
        """A recipe's change on all rows; None where a subset tells that it is too large."""
        first = self.first_change(recipe)
        if len(self._ends) == 1:
            return first
        assert isinstance(first, Change)
        newly_wrong, newly_right = first.newly_wrong, first.newly_right
        for number, n in enumerate(self._ends):
            if number:
                found = self._change(recipe, number)
                assert isinstance(found, Change)
                newly_wrong, newly_right = (
                    newly_wrong + found.newly_wrong,
                    newly_right + found.newly_right,
                )
            if n < self._ends[-1] and self._is_over(newly_wrong, newly_right, n, max_drop):
                return None
        return Change(newly_wrong, newly_right, self._ends[-1])

    def draft(self, recipe: Recipe) -> Draft:
        """The file of a recipe, not yet checked; the last one is kept."""
        return self._drafts(recipe)

    def _is_over(self, newly_wrong: int, newly_right: int, n: int, max_drop: float) -> bool:
        """Whether a drop on n rows exceeds the budget by more than chance does.

        One row more than changed is counted in the error, for none may have changed by chance.
        """
        drop = (newly_wrong - newly_right) / n
        rest = 1 - n / self._ends[-1]
        error = math.sqrt(max(newly_wrong + newly_right + 1 - n * drop * drop, 1.0) * rest) / n
        return drop - ERRORS * error > max_drop

    def _change(self, recipe: Recipe, number: int) -> Difference:
        """On one part of the rows alone."""
        part = self._parts[number]
        self.evaluations += len(part.rows) / self._ends[-1]
        if in_lines([recipe])[0]:
            return table(self.network, [recipe], part).changes[0]
        judged: Difference = part.judge(self.draft(recipe).scores(part.rows.X))["change"]
        return judged

    def _make_draft(self, recipe: Recipe) -> Draft:
        data = self.baseline.dataset
        return make_draft(self.network, recipe, data.train, data.validation)
