"""Lines: recipes that differ only in their threshold, or only in their sparsity.

Along a line each weight goes at one step and stays gone, so that everything is shared
(`paretoscope.sweeps.surface`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.parameters import parameters
from paretoscope.methods.activations import FloatActivations
from paretoscope.methods.pruning import Criterion, Scores, Sparsity, Threshold
from paretoscope.methods.quantization import Quantizer
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import NoRecovery
from paretoscope.network.network import Network

_AXES: dict[str, type[Threshold] | type[Sparsity]] = {
    "threshold": Threshold,
    "sparsity": Sparsity,
}


@dataclass(frozen=True)
class Line:
    """Recipes with rising values of one axis, and their places among all that were asked for."""

    recipes: tuple[Recipe, ...]
    places: tuple[int, ...]
    axis: str

    @property
    def criterion(self) -> Criterion:
        """The criterion where its axis cuts nothing: the same for all recipes of the line."""
        criterion = self.recipes[0].pruner
        assert isinstance(criterion, Criterion)
        place: dict[str, Any] = {"threshold": None, "sparsity": None, self.axis: 0.0}
        return replace(criterion, **place)

    @property
    def quantizer(self) -> Quantizer:
        return self.recipes[0].quantizer

    @property
    def values(self) -> list[float]:
        return [getattr(recipe.pruner, self.axis) for recipe in self.recipes]

    def order(self, network: Network, scores: Scores) -> Order:
        """When each weight goes, for the scores of the line's criterion."""
        steps = _AXES[self.axis].steps(scores, self.values, self.criterion.scope)
        return Order(steps, len(self.recipes))


class Order:
    """When each weight goes: at the first step that cuts it, or `n` where none does.

    Attributes
    ----------
    steps : mapping from a layer to int (in, out)
    n : int
        Steps.
    places : int64
        All weights, by layer, then by the step at which they go, then by output; as places among
        the weights of all layers, each raveled.
    ends : int64
        Where those of each layer, step (from 0 to n) and output end.
    """

    def __init__(self, steps: dict[str, npt.NDArray[np.intp]], n: int) -> None:
        self.steps, self.n = steps, n
        keys, first = [], 0
        for going in steps.values():
            n_out = going.shape[1]
            keys.append((first + going * n_out + np.arange(n_out)).ravel())
            first += (n + 1) * n_out
        key = np.concatenate(keys)
        self.places: npt.NDArray[np.int64] = np.argsort(key, kind="stable")
        self.ends: npt.NDArray[np.int64] = np.cumsum(np.bincount(key, minlength=first))

    def layer_ends(self) -> npt.NDArray[np.int64]:
        """Where the weights of each layer that go at each step end, (layers, n + 1)."""
        found, first = [], 0
        for going in self.steps.values():
            n_out = going.shape[1]
            found.append(self.ends[first + n_out - 1 : first + (self.n + 1) * n_out : n_out])
            first += (self.n + 1) * n_out
        return np.stack(found)


def in_lines(recipes: Sequence[Recipe]) -> tuple[list[Line], list[int]]:
    """The lines among recipes, and the places of those that are on none."""
    axes: dict[int, tuple[str, tuple[Any, ...]] | None] = {}
    groups: dict[tuple[Any, ...], list[tuple[float, int]]] = {}
    same: dict[int, int] = {}  # a part's id -> that of the first part that equals it
    first: dict[object, int] = {}
    others = []
    for place, recipe in enumerate(recipes):
        pruner = recipe.pruner
        if id(pruner) not in axes:  # recipes of a grid share their parts
            axes[id(pruner)] = _axis(pruner)
        found = axes[id(pruner)]
        if found is None or not _is_plain(recipe):
            others.append(place)
            continue
        axis, kind = found
        parts = recipe.quantizer, recipe.units, recipe.storage, recipe.kernel
        for part in parts:
            if id(part) not in same:
                same[id(part)] = first.setdefault(part, id(part))
        key = kind, *(same[id(part)] for part in parts)
        groups.setdefault(key, []).append((getattr(pruner, axis), place))
    lines = []
    for ((axis, *_), *_), members in groups.items():
        places = [place for _, place in sorted(members)]
        lines.append(Line(tuple(recipes[p] for p in places), tuple(places), axis))
    return lines, others


def _axis(pruner: object) -> tuple[str, tuple[Any, ...]] | None:
    """The axis of the line that recipes with a pruner are on, and what they share; or None."""
    if not isinstance(pruner, Criterion):
        return None
    axis = next((axis for axis in _AXES if getattr(pruner, axis) is not None), None)
    if axis is None:
        return None
    own = (getattr(pruner, name) for name in parameters(type(pruner)) if name != axis)
    return axis, (axis, type(pruner), *own)


def _is_plain(recipe: Recipe) -> bool:
    """Whether each weight is stored by itself, nothing makes up for what goes, and nothing is to be
    timed first."""
    return (
        recipe.quantizer.by_itself
        and not recipe.overrides
        and isinstance(recipe.recovery, NoRecovery)
        and isinstance(recipe.activations, FloatActivations)
        and recipe.kernel.spelling is not None
    )
