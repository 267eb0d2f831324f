"""A sweep: many recipes over one network and split, measured as they come."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from paretoscope.artifact import compress
from paretoscope.dataset import Dataset
from paretoscope.errors import ParetoscopeError, one_of
from paretoscope.latency import BATCHES
from paretoscope.measurement import Baseline, Measurement, measure
from paretoscope.network import Network
from paretoscope.parameters import parameters
from paretoscope.pruning import Criterion, KeepAll, Magnitude
from paretoscope.quantization import FixedPoint, Float32, Quantizer
from paretoscope.recipe import Recipe

CURVE_POINTS = 21


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
    return [
        Recipe(_member(criterion, point, KeepAll), _member(quantizer, point, Float32))
        for point in points
    ]


def _lists(axes: Mapping[str, Any]) -> list[Any]:
    return [v.tolist() if hasattr(v, "tolist") else v for v in axes.values()]


def _member(family: type[Any], point: Mapping[str, Any], nothing: type[Any]) -> Any:
    given = {name: point[name] for name in parameters(family) if name in point}
    if not given or None in given.values():
        return nothing()
    return family(**given)


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
    family: type[Criterion] | type[Quantizer],
    name: str,
    count: int,
    **others: str,
) -> list[float]:
    """Where the slider of a parameter stops for this network, and what a sweep visits."""
    described = parameters(family)[name]
    if described.stops is None:
        raise ParetoscopeError(f"{family.__name__}.{name} has no stops")
    if name != "threshold":
        return list(described.stops(network.weights, count, **others))
    kind: Any = family
    if kind.needs_rows:
        raise ParetoscopeError(f"the thresholds of {family.text_name} depend on its training rows")
    return list(described.stops(kind(threshold=0.0).scores(network, None), count, **others))


def sweep(
    network: Network,
    data: Dataset,
    recipes: Iterable[Recipe],
    split: str = "validation",
    *,
    batches: Sequence[int] = BATCHES,
) -> Iterator[Measurement]:
    """Measure recipe after recipe; yields each measurement as it is there.

    Parameters
    ----------
    network : Network
    data : Dataset
    recipes : iterable of Recipe
        For example ``grid(threshold=[0, 0.05], q=[8, 16])``.
    split : str, default "validation"
    batches : sequence of int, default (1, 256)
        Batch sizes to time.
    """
    baseline = Baseline(network, data, split)
    for recipe in recipes:
        artifact = compress(network, recipe, data.train, data.validation)
        yield measure(artifact, data, split, batches=batches, baseline=baseline)
