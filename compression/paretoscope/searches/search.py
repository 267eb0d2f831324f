"""Search: the smallest, or the fastest, recipe within a budget, and what came near.

Candidates are raced (`paretoscope.searches.racing`), the cheapest first, so the first within the
budget is the best; its file is then made, run and judged again. Then what was found is refined:
cheaper candidates are tried with recoveries, and layers one after the other with coarser codes.

Files of the same operators and shapes take the same time, whatever their numbers are; so time is
measured once for each kind of file, and again for the one that is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from paretoscope.artifact.size_parts import entropy_bytes
from paretoscope.artifact.writing import may_fuse
from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import parameters
from paretoscope.data.dataset import Report
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.measurement import Baseline, Measured
from paretoscope.methods.recipe import Recipe, Treatment
from paretoscope.methods.recovery import Recovery
from paretoscope.network.network import Network
from paretoscope.searches.racing import Judged, Race
from paretoscope.sweeps.front import is_efficient

AIMS = ("gzip", "file", "time")
_NEAR = 5
_MISSES = 2  # in a row, after which cheaper candidates are not tried any more
_STOPS = 40
_EXACT = 1e-12

Measure = Callable[[Recipe], Measured]


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    best : Judged or None
        The best within the budget; None where nothing is.
    measurement : Measured or None
        Of its file.
    near : tuple of Judged
        The nearest misses: ones that were judged on all rows and drop a little too much, the
        smallest drop first. They are cheaper than the best; where there is none, they are those
        that lost least on the first rows.
    over : tuple of Measured
        Files that were made and are over the budget.
    evaluations : float
        Work done, as evaluations of one candidate on all rows.
    candidates : int
    """

    best: Judged | None
    measurement: Measured | None
    near: tuple[Judged, ...]
    over: tuple[Measured, ...]
    evaluations: float
    candidates: int


def search(
    network: Network,
    recipes: Sequence[Recipe],
    baseline: Baseline,
    budget: Budget,
    *,
    aim: str = "gzip",
    recoveries: Sequence[Recovery] = (),
    by_layer: bool = False,
    measure: Measure | None = None,
    report: Report | None = None,
    seed: int = 0,
) -> Found:
    """The best of `recipes` within a budget.

    Parameters
    ----------
    network : Network
    recipes : sequence of Recipe
        The candidates.
    baseline : Baseline
        Whose rows are searched on: validation rows, for the best of many flatters itself.
    budget : Budget
    aim : str, default "gzip"
        "gzip": the smallest under gzip, judged by the bound of its weights until its file is made.
        "file": the smallest on disk. "time": the fastest, of equally fast ones the smallest.
    recoveries : sequence of Recovery
        Tried on candidates that are cheaper than the best.
    by_layer : bool, default False
        Whether layers of the best get coarser codes one after the other.
    measure : callable, optional
        Makes and runs the file of a recipe; what it measures must be within the budget. Without,
        nothing is made, and neither zipped size nor time can be asked for.
    report : callable, optional
        ``report(fraction, text)`` is told how far the search is.
    seed : int, default 0
        Of the order in which rows are drawn.

    Raises
    ------
    ParetoscopeError
        An unknown aim, or a wish for times or zipped sizes without `measure`.
    """
    if aim not in AIMS:
        raise one_of("aim", aim, list(AIMS))
    if measure is None and (aim == "time" or budget.time_us or budget.gzip_bytes):
        raise ParetoscopeError(
            "times and zipped sizes need files, which a search alone never makes"
        )
    report = report or (lambda fraction, text: None)
    hunt = _Hunt(network, baseline, budget, aim, measure, report, seed)
    hunt.race(recipes)
    if hunt.best is None and not hunt.near:
        hunt.approach()
    for recovery in recoveries:
        hunt.recover(recovery)
    if by_layer:
        hunt.coarsen()
    near = sorted(hunt.near, key=lambda one: (-one.change.gain, one.cost))
    return Found(
        hunt.best,
        hunt.measurement,
        tuple(near[:_NEAR]),
        tuple(hunt.over),
        hunt.evaluations,
        len(recipes),
    )


class _Hunt:
    """A search at work: the best so far, and what came near."""

    def __init__(
        self,
        network: Network,
        baseline: Baseline,
        budget: Budget,
        aim: str,
        measure: Measure | None,
        report: Report,
        seed: int,
    ) -> None:
        self._race = Race(network, baseline, seed)
        self._network, self._budget, self._aim = network, budget, aim
        self._measure, self._report = measure, report
        self._max_drop = np.inf if budget.drop is None else budget.drop
        self._times: dict[str, Measured] = {}
        self._recipes: Sequence[Recipe] = ()
        self._sizes: Sequence[_Size] = ()
        self._costs: npt.NDArray[np.float64] = np.zeros(0)
        self.best: Judged | None = None
        self.measurement: Measured | None = None
        self.near: list[Judged] = []
        self.over: list[Measured] = []

    @property
    def evaluations(self) -> float:
        return self._race.evaluations

    def race(self, recipes: Sequence[Recipe]) -> None:
        """Find the cheapest of the candidates that is within the budget."""
        self._report(None, f"{len(recipes):,} candidates on the first rows")
        found = self._race.begin(recipes)
        sizes = [
            _Size(*known)
            for known in zip(
                found.size_bytes.tolist(), found.entropy_bytes.tolist(), found.storages, strict=True
            )
        ]
        self._recipes, self._sizes = recipes, sizes
        self._costs = np.array([self._cost(*one) for one in zip(recipes, sizes, strict=True)])
        order = np.argsort(self._costs, kind="stable").tolist()
        for number, place in enumerate(order):
            self._report(number / len(order), f"candidate {number + 1:,} of {len(order):,}")
            if self._is_hopeless(recipes[place], sizes[place]):
                continue
            if self._try(recipes[place], float(self._costs[place])):
                return

    def approach(self) -> None:
        """Judge those in full that lost least on the first rows, of all that drop too much."""
        known = zip(self._recipes, self._sizes, self._costs.tolist(), strict=True)
        left = [
            (recipe, cost) for recipe, size, cost in known if not self._is_hopeless(recipe, size)
        ]
        left.sort(key=lambda one: -self._race.first_change(one[0]).gain)
        for recipe, cost in left[:_NEAR]:
            change = self._race.judge(recipe, np.inf)
            assert change is not None  # no drop is too large
            if -change.gain > self._max_drop + _EXACT:  # else its file is over in something else
                self.near.append(Judged(recipe, change, cost))

    def recover(self, recovery: Recovery) -> None:
        """Try cheaper candidates with a recovery, the most expensive first."""
        limit = np.inf if self.best is None else self.best.cost
        changes = np.array([self._race.first_change(recipe).gain for recipe in self._recipes])
        promising = is_efficient(np.stack([self._costs, -changes], axis=1))
        cheaper = np.flatnonzero(promising & (self._costs < limit))
        order = cheaper[np.argsort(-self._costs[cheaper], kind="stable")].tolist()
        misses = 0
        for number, place in enumerate(order):
            self._report(number / len(order), f"with {recovery}: {number + 1} of {len(order)}")
            recipe = replace(self._recipes[place], recovery=recovery)
            within = self._try(recipe, self._cost(recipe, self._size(recipe)))
            misses = 0 if within else misses + 1
            if misses >= _MISSES:
                return

    def coarsen(self) -> None:
        """Give layers of the best coarser codes, the largest layer first, while that helps."""
        layers = sorted(self._network.weights.items(), key=lambda item: -item[1].size)
        for name, _ in layers:
            while self.best is not None:
                self._report(None, f"coarser codes for {name}")
                coarser = _coarser(self._network, self.best.recipe, name)
                if coarser is None:
                    break
                cost = self._cost(coarser, self._size(coarser))
                if cost >= self.best.cost or not self._try(coarser, cost):
                    break

    def _try(self, recipe: Recipe, cost: float) -> bool:
        """Judge a recipe; it becomes the best if it is within the budget and cheaper."""
        change = self._race.judge(recipe, self._max_drop)
        if change is None:
            return False
        judged = Judged(recipe, change, cost)
        if -change.gain > self._max_drop + _EXACT:
            self.near.append(judged)
            return False
        measurement = None if self._measure is None else self._measure(recipe)
        if measurement is not None and not self._budget.allows(measurement):
            self.over.append(measurement)
            if "drop" in self._budget.excess(measurement):
                self.near.append(judged)
            return False
        if self.best is None or cost < self.best.cost:
            self.best, self.measurement = judged, measurement
        return True

    def _is_hopeless(self, recipe: Recipe, size: _Size) -> bool:
        """Whether a candidate is over the budget whatever its rows say."""
        budget = self._budget
        too_large = budget.file_bytes is not None and size.file > budget.file_bytes
        too_large |= budget.gzip_bytes is not None and size.entropy > budget.gzip_bytes
        return too_large or (
            budget.time_us is not None and self._time(recipe, size) > budget.time_us
        )

    def _cost(self, recipe: Recipe, size: _Size) -> float:
        if self._aim == "time":
            return self._time(recipe, size) + size.file / 1e12
        return size.entropy if self._aim == "gzip" else size.file

    def _size(self, recipe: Recipe) -> _Size:
        """Of a recipe that is no candidate."""
        draft = self._race.draft(recipe)
        codes = list(draft.stored.codes.values())
        entropy = sum(entropy_bytes(c.values) for c in codes)
        return _Size(draft.sizes.file, entropy, tuple(c.storage for c in codes))

    def _time(self, recipe: Recipe, size: _Size) -> float:
        """The median time of one row of files of this kind, of which one was timed."""
        weights = self._network.weights.values()
        fused = [may_fuse(kind, w) for kind, w in zip(size.storages, weights, strict=True)]
        kind = f"{recipe.units} {recipe.activations} {recipe.kernel} {fused}"
        if kind not in self._times:
            assert self._measure is not None
            self._report(None, f"timing files like that of {recipe}")
            self._times[kind] = self._measure(recipe)
        latency = self._times[kind].latency()
        if latency is None:
            raise ParetoscopeError("a search by time needs files that are timed at batch 1")
        if latency.verdict in ("faster", "slower"):
            return latency.median_us
        return latency.baseline_median_us  # what cannot be told apart is the same


@dataclass(frozen=True)
class _Size:
    """Of a file in bytes, the bound of its zipped weights, and the types of the layers' codes."""

    file: float
    entropy: float
    storages: tuple[str, ...]


def _coarser(network: Network, recipe: Recipe, layer: str) -> Recipe | None:
    """The recipe with the next coarser stop of a layer's quantizer; None at its end."""
    own = recipe.overrides.get(layer, Treatment(recipe.pruner, recipe.quantizer, recipe.units))
    for name, described in parameters(type(own.quantizer)).items():
        if described.stops is None:
            continue
        now = getattr(own.quantizer, name)
        lower = [stop for stop in described.stops(network.weights, _STOPS) if stop < now]
        if lower:
            quantizer = replace(own.quantizer, **{name: max(lower)})
            treated = replace(own, quantizer=quantizer)
            return replace(recipe, overrides={**recipe.overrides, layer: treated})
    return None
