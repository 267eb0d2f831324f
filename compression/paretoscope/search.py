"""Search by racing: the smallest recipe whose accuracy drops by at most a budget.

Candidates are raced on nested subsets of the rows, the smallest first, each row once. On a subset a
candidate is dropped if its drop there exceeds the budget by more than 2.5 standard errors, of a
subset drawn without replacement; who is left is judged on all rows, exactly. So one that is within
the budget is seldom lost (0.6 % at a subset if its drop is the whole budget), and none that is not
within it is ever returned. The first within the budget is the smallest; its file is then made, run
and judged again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretoscope.accuracy import Change
from paretoscope.dataset import Rows
from paretoscope.errors import ParetoscopeError, one_of
from paretoscope.measurement import Baseline, Measurement
from paretoscope.network import Network
from paretoscope.recipe import Recipe
from paretoscope.surface import Table, table

SIZES = ("entropy", "file")
SHARES = (0.01, 0.02, 0.04, 0.08, 0.14, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the rows
FEWEST_ROWS = 50  # in the first subset: fewer tell nothing
ERRORS = 2.5
_NEAR = 5

Measure = Callable[[Recipe], Measurement]


@dataclass(frozen=True)
class Judged:
    """A candidate that was judged on all rows."""

    recipe: Recipe
    change: Change
    size: float


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    best : Judged or None
        The smallest within the budget; None where nothing is.
    measurement : Measurement or None
        Of its file.
    near : tuple of Judged
        The nearest misses: smaller ones that were judged on all rows and drop a little too much,
        the smallest drop first.
    evaluations : float
        Work done, as evaluations of one candidate on all rows.
    candidates : int
    """

    best: Judged | None
    measurement: Measurement | None
    near: tuple[Judged, ...]
    evaluations: float
    candidates: int


def smallest(
    network: Network,
    recipes: Sequence[Recipe],
    baseline: Baseline,
    max_drop: float,
    *,
    size: str = "entropy",
    measure: Measure | None = None,
    seed: int = 0,
) -> Found:
    """The smallest of `recipes` whose accuracy drops by at most `max_drop`.

    Parameters
    ----------
    network : Network
    recipes : sequence of Recipe
    baseline : Baseline
        Whose rows are searched on: validation rows, for the best of many flatters itself.
    max_drop : float
        As a share: 0.005 is half a point.
    size : str, default "entropy"
        "entropy": the bound of the zipped weights. "file": the exact size on disk.
    measure : callable, optional
        Makes and runs the file of a recipe. What it measures must be within the budget too.
    seed : int, default 0
        Of the order in which rows are drawn.
    """
    if size not in SIZES:
        raise one_of("size", size, list(SIZES))
    if not 0 <= max_drop < 1:
        raise ParetoscopeError(f"max_drop must be a share from 0 to 1; got {max_drop!r}")
    race = _Race(network, recipes, baseline, seed)
    judged: list[Judged] = []
    sizes = race.sizes(size)
    for place in np.argsort(sizes, kind="stable").tolist():
        change = race.judge(place, max_drop)
        if change is None:
            continue
        one = Judged(recipes[place], change, float(sizes[place]))
        if -change.value <= max_drop + 1e-12:
            measurement = None if measure is None else measure(one.recipe)
            if measurement is None or -measurement.change.value <= max_drop + 1e-12:
                return _found(one, measurement, judged, race)
        judged.append(one)
    return _found(None, None, judged, race)


def _found(
    best: Judged | None, measurement: Measurement | None, others: list[Judged], race: _Race
) -> Found:
    near = sorted(others, key=lambda one: (-one.change.value, one.size))[:_NEAR]
    return Found(best, measurement, tuple(near), race.evaluations, len(race.recipes))


class _Race:
    """Candidates on nested subsets of the rows, of which each takes up where the last one ended."""

    def __init__(
        self, network: Network, recipes: Sequence[Recipe], baseline: Baseline, seed: int
    ) -> None:
        self.network, self.recipes, self.baseline = network, recipes, baseline
        self.evaluations = 0.0
        n = self.n_rows = len(baseline.rows)
        order = np.random.default_rng(seed).permutation(n)
        ends = {count for share in SHARES if FEWEST_ROWS <= (count := round(share * n)) < n}
        self._ends = [*sorted(ends), n]
        self._parts = [
            _part(baseline, order[start:end])
            for start, end in zip([0, *self._ends[:-1]], self._ends, strict=True)
        ]
        self._first = self._table(recipes, 0)

    def sizes(self, kind: str) -> npt.NDArray[np.float64]:
        """The sizes of all candidates, which take no rows."""
        found = self._first.entropy_bytes if kind == "entropy" else self._first.size_bytes
        return found.astype(np.float64)

    def judge(self, place: int, max_drop: float) -> Change | None:
        """A candidate's change on all rows; None where a subset tells that it is too large."""
        broken, mended = int(self._first.broken[place]), int(self._first.mended[place])
        for number, n in enumerate(self._ends):
            if number:
                found = self._table([self.recipes[place]], number)
                broken, mended = broken + int(found.broken[0]), mended + int(found.mended[0])
            if n < self.n_rows and self._is_over(broken, mended, n, max_drop):
                return None
        return Change(broken, mended, self.n_rows)

    def _is_over(self, broken: int, mended: int, n: int, max_drop: float) -> bool:
        """Whether a drop on n rows exceeds the budget by more than chance does.

        One row more than changed is counted in the error, for none may have changed by chance.
        """
        drop = (broken - mended) / n
        rest = 1 - n / self.n_rows
        error = math.sqrt(max(broken + mended + 1 - n * drop * drop, 1.0) * rest) / n
        return drop - ERRORS * error > max_drop

    def _table(self, recipes: Sequence[Recipe], number: int) -> Table:
        self.evaluations += len(recipes) * len(self._parts[number].rows) / self.n_rows
        return table(self.network, recipes, self._parts[number])


def _part(baseline: Baseline, chosen: npt.NDArray[np.intp]) -> Baseline:
    """The baseline on some of its rows."""
    rows = baseline.rows
    part = Baseline(baseline.network, baseline.dataset, baseline.split)
    part.__dict__["rows"] = Rows(rows.X[chosen], rows.y[chosen])
    part.__dict__["predictions"] = baseline.predictions[chosen]
    return part
