"""A sweep: many recipes over one network and split, measured as they come."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from paretoscope.artifact import compress
from paretoscope.dataset import Dataset, load_dataset
from paretoscope.errors import ParetoscopeError, one_of
from paretoscope.latency import BATCHES
from paretoscope.measurement import (
    Baseline,
    Measurement,
    compute,
    measure,
    score,
    with_gzip,
    with_latency,
)
from paretoscope.network import Network
from paretoscope.parameters import parameters
from paretoscope.pruning import Criterion, KeepAll, Magnitude
from paretoscope.quantization import FixedPoint, Float32, Quantizer
from paretoscope.recipe import Recipe
from paretoscope.store import default_store
from paretoscope.training import find_trained

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


# --- as jobs ----------------------------------------------------------------------------------


def measure_task(
    arguments: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """One recipe on validation rows, one stage further; returns the measurement as a dict.

    Parameters
    ----------
    arguments : mapping
        ``{"dataset", "split_seed", "model", "seed", "recipe", "stage"}``, and the "measurement" so
        far for the last stage. Stages: "compute" (accuracy by float arithmetic), "measure" (the
        file scored, sized, timed at batch 1), "complete" (batch 256 too). With "zipped", the zipped
        size comes with each stage, else with the last.
    """
    baseline = _baseline(*(arguments[k] for k in ("dataset", "split_seed", "model", "seed")))
    recipe = Recipe.parse(arguments["recipe"])
    if arguments["stage"] == "compute":
        drafted, computed = compute(baseline.network, recipe, baseline)
        return (with_gzip(computed, drafted) if arguments["zipped"] else computed).to_dict()
    data = baseline.dataset
    artifact = compress(
        baseline.network,
        recipe,
        data.train,
        data.validation,
        lambda fraction, text: emit({"fraction": fraction, "text": text}),
    )
    if recipe.trains:  # the download is this very file: training again could give another
        default_store().keep(f"artifact {artifact.sha256}", artifact.onnx_bytes)
        return measure(artifact, data, baseline=baseline).to_dict()
    if arguments["stage"] == "measure":
        first = with_latency(score(artifact, baseline), artifact, baseline, batch=1)
        return (with_gzip(first, artifact) if arguments["zipped"] else first).to_dict()
    measurement = Measurement.from_dict(arguments["measurement"])
    timed = with_latency(measurement, artifact, baseline, batch=256)
    return with_gzip(timed, artifact).to_dict()


@lru_cache(maxsize=2)  # of the worker's process, which serves one network for a while
def _baseline(dataset: str, split_seed: int, model: str, seed: int) -> Baseline:
    data = load_dataset(dataset, split_seed)
    network = find_trained(model, data, seed)
    if network is None:
        raise ParetoscopeError(f"{model} on {dataset} with seed {seed} has not been trained yet")
    return Baseline(network, data)
