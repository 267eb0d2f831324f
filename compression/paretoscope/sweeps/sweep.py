"""A sweep: many recipes over one network and split, measured as they come."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from paretoscope.artifact.artifact import compress
from paretoscope.artifact.quick_latency import batches_for
from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import Member, parameters
from paretoscope.base.store import default_store, sha256
from paretoscope.data.dataset import Dataset
from paretoscope.measurement.measurement import USUAL, Baseline, Measured, Measurement, measure
from paretoscope.methods.pruning import Criterion, KeepAll, Magnitude
from paretoscope.methods.quantization import FixedPoint, Float32, Quantizer
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from paretoscope.network.sketch import sketch_of
from paretoscope.sweeps.front import pareto_front
from paretoscope.sweeps.surface import surface

if TYPE_CHECKING:  # a page that asks for stops should not wait for a database's library
    from paretoscope.sweeps.cluster import Cluster
    from paretoscope.sweeps.history import History

CURVE_POINTS = 21
MEASURED = ("all", "front", "none")
_KEPT_AT_ONCE = 32  # points in one transaction


def grid(
    criterion: type[Criterion] = Magnitude,
    quantizer: type[Quantizer] = FixedPoint,
    **axes: float | str | Sequence[float | str | None] | None,
) -> list[Recipe]:
    """Recipes for all combinations of parameter values.

    Parameters
    ----------
    criterion, quantizer : class, default Magnitude and FixedPoint
    **axes
        Values for parameters of either, one or several each. None for a quantizer's parameter is
        no quantization, None for a criterion's is no pruning.

    Examples
    --------
    >>> [str(recipe) for recipe in grid(threshold=0.1, q=[8, None])]
    ['magnitude(threshold=0.1)+q(8)', 'magnitude(threshold=0.1)']
    """
    known = [*parameters(criterion), *parameters(quantizer)]
    for name in axes:
        if name not in known:
            raise one_of("a grid's parameter", name, known)
    values = [
        v if isinstance(v, Sequence) and not isinstance(v, str) else [v] for v in _lists(axes)
    ]
    points = [dict(zip(axes, point, strict=True)) for point in itertools.product(*values)]
    if not points:
        return []
    pruners, quantizers = _members(criterion, points, KeepAll), _members(quantizer, points, Float32)
    return [Recipe(p, q) for p, q in zip(pruners, quantizers, strict=True)]


def _lists(axes: Mapping[str, Any]) -> list[Any]:
    return [v.tolist() if hasattr(v, "tolist") else v for v in axes.values()]


def _members(
    family: type[Member], points: Sequence[Mapping[str, Any]], nothing: type[Member]
) -> Iterator[Any]:
    """The member at each point; points that ask for the same one share it."""
    names, made = [name for name in parameters(family) if name in points[0]], {}
    for point in points:
        given = tuple([point[name] for name in names])
        if given not in made:
            absent = not names or None in given
            made[given] = nothing() if absent else family(**dict(zip(names, given, strict=True)))
        yield made[given]


def curve(network: Network, recipe: Recipe, axis: str, points: int = CURVE_POINTS) -> list[Recipe]:
    """The recipes along one parameter of the recipe's criterion, the rest as it is.

    `axis` is "threshold" or "sparsity"; the stops are those of the slider for this network.
    """
    pruner = recipe.pruner
    if not isinstance(pruner, Criterion):
        return [recipe]
    values = stops(network, type(pruner), axis, points, scope=pruner.scope)
    return [replace(recipe, pruner=at(pruner, axis, value)) for value in values]


def at(criterion: Criterion, axis: str, value: float) -> Criterion:
    """The criterion with its threshold, or its sparsity, at `value`."""
    place: dict[str, Any] = {"threshold": None, "sparsity": None, "pattern": None, axis: value}
    return replace(criterion, **place)


def stops(
    network: Network,
    family: type[Member],
    name: str,
    count: int,
    **others: str,
) -> list[float]:
    """Where the slider of a parameter stops for this network, and what a sweep visits."""
    return list(_stops(network, family, name, count, tuple(sorted(others.items()))))


@lru_cache(maxsize=128)
def _stops(
    network: Network,
    family: type[Member],
    name: str,
    count: int,
    others: tuple[tuple[str, str], ...],
) -> tuple[float, ...]:
    described = parameters(family)[name]
    if described.stops is None:
        raise ParetoscopeError(f"{family.__name__}.{name} has no stops")
    network = sketch_of(network)
    if name != "threshold":
        return tuple(described.stops(network.weights, count, **dict(others)))
    kind: Any = family
    if kind.needs_rows:
        raise ParetoscopeError(f"the thresholds of {family.name} depend on its training rows")
    scores = kind(threshold=0.0).scores(network, None)
    return tuple(described.stops(scores, count, **dict(others)))


def sweep(
    network: Network,
    data: Dataset,
    recipes: Iterable[Recipe],
    split: str | None = None,
    *,
    score: str = "",
    decision: str = "",
    batches: Sequence[int] | None = None,
    measured: str = "all",
    pins: Sequence[Recipe] = (),
    history: History | None = None,
    threads: int = 1,
    cluster: Cluster | None = None,
) -> Iterator[Measurement]:
    """Measure recipe after recipe; yields each measurement as it is there.

    Parameters
    ----------
    network : Network
    data : Dataset
    recipes : iterable of Recipe
        For example ``grid(threshold=[0, 0.05], q=[8, 16])``.
    split : str, optional
        By default the rows that choices are made on
        (`paretoscope.measurement.measurement.judged_on`).
    score : str, optional
        What quality is judged by; by default the usual score of the dataset's problem.
    decision : str, optional
        How classes are decided for, as `Problem.deciding` takes it.
    batches : sequence of int, optional
        By default 1, 16 and 256, fewer where rows are large.
        Batch sizes to time.
    measured : str, default "all"
        "all": every recipe's file is made and run. "front": all recipes are computed first, then
        the files of those that matter are made and run: the front of what was computed (quality
        against size, and against entropy), and `pins`. "none": all are computed.
    pins : sequence of Recipe
        Recipes whose files are made and run in any case, after the front.
    history : History, optional
        Where measurements are kept. What is known there is not done again, so a sweep that was
        interrupted goes on; files are kept in the store.
    threads : int, default 1
        For what is computed.
    cluster : Cluster, optional
        Computes instead of this process. Files are made, run and timed here in any case, when its
        workers rest; so `measured` cannot be "all".
    """
    if measured not in MEASURED:
        raise one_of("measured", measured, list(MEASURED))
    if cluster is not None and measured == "all":
        raise ParetoscopeError(
            "workers compute; files are run and timed on this machine: with workers, measured must "
            "be front or none"
        )
    batches = batches_for(network.n_features) if batches is None else batches
    run = _Run(Baseline(network, data, split or "", score, decision), history, batches, cluster)
    if history is not None:
        recipes = list(recipes)
        run.start([*recipes, *pins])
    if measured != "all":
        computed = []
        for m in run.compute(list(recipes), threads):
            computed.append(m)
            yield m
        recipes = [m.recipe for m in _matter(computed)] if measured == "front" else []
        if cluster is not None and (recipes or pins):
            cluster.rest()
    for recipe in itertools.chain(recipes, pins):
        yield run.measure(recipe)
    run.finish()


def _matter(computed: Sequence[Measurement]) -> list[Measurement]:
    """The front of quality against size, and of quality against entropy."""
    fronts = [pareto_front(computed, ("quality", size)) for size in ("size", "entropy")]
    return [m for m in computed if any(m is other for front in fronts for other in front)]


class _Run:
    """A sweep at work, with what its history knows."""

    def __init__(
        self,
        baseline: Baseline,
        history: History | None,
        batches: Sequence[int],
        cluster: Cluster | None,
    ) -> None:
        self._baseline, self._history, self._batches = baseline, history, batches
        self._cluster = cluster
        self._measured: dict[str, Measurement] = {}
        self._computed: dict[str, Measurement] = {}
        self._name = ""

    def start(self, recipes: Sequence[Recipe]) -> None:
        """Look up what is known, and note that the sweep was begun."""
        assert self._history is not None
        network, data, split = self._baseline.network, self._baseline.dataset, self._baseline.split
        score, decision = self._baseline.score.name, self._baseline.decision
        find = partial(
            self._history.find, network, data, split, recipes, score=score, decision=decision
        )
        self._measured, self._computed = find(), find(computed=True)
        named = [] if score == USUAL and not decision else [score, decision]
        whole = [network.sha256, data.sha256, split, *named, *map(str, recipes)]
        self._name = sha256("\n".join(whole).encode())
        self._history.start_sweep(self._name, network, data, split, len(recipes))

    def compute(self, recipes: Sequence[Recipe], threads: int) -> Iterator[Measurement]:
        """What is known, then the rest, kept in the history some at a time."""
        yield from (self._computed[str(r)] for r in recipes if str(r) in self._computed)
        left = [r for r in recipes if str(r) not in self._computed]
        waiting: list[Measurement] = []
        try:
            for _, found in self._points(left, threads):
                waiting.append(found)
                if len(waiting) >= _KEPT_AT_ONCE:
                    self._keep(waiting)
                    waiting = []
                yield found
        finally:  # also what was computed before a cluster was lost
            self._keep(waiting)

    def _points(self, recipes: Sequence[Recipe], threads: int) -> Iterator[tuple[int, Measurement]]:
        network, data, split = self._baseline.network, self._baseline.dataset, self._baseline.split
        if self._cluster is not None and recipes:
            judged = self._baseline.score_name, self._baseline.decision
            return self._cluster.compute(network, data, split, recipes, *judged)
        return surface(network, recipes, self._baseline, threads=threads, predictions=False)

    def measure(self, recipe: Recipe) -> Measurement:
        """The measurement of a recipe's file: the known one where its file is still there."""
        known = self._measured.get(str(recipe))
        if known is not None and self._is_whole(known):
            return known
        data = self._baseline.dataset
        artifact = compress(self._baseline.network, recipe, data.train, data.validation)
        found = measure(
            artifact, data, self._baseline.split, batches=self._batches, baseline=self._baseline
        )
        if self._history is not None:  # the file first: what the history names is there
            default_store().keep(f"artifact {artifact.sha256}", artifact.onnx_bytes)
            self._keep([found])
        return found

    def finish(self) -> None:
        if self._history is not None:
            self._history.finish_sweep(self._name)

    def _is_whole(self, known: Measurement) -> bool:
        if not isinstance(known, Measured):
            return False
        timed = {latency.batch for latency in known.latencies}
        there = default_store().read(known.artifact_sha256) is not None
        return there and timed >= set(self._batches)

    def _keep(self, found: Sequence[Measurement]) -> None:
        if self._history is not None:
            self._history.add(self._baseline.network, self._baseline.dataset, found)
