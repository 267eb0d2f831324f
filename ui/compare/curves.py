"""Which lines Compare draws, from a view: criteria, each with quantizers and recoveries, and other
models of the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.activations import FloatActivations
from paretoscope.methods.pruning import CRITERIA, Criterion, KeepAll, Magnitude
from paretoscope.methods.quantization import Quantizer
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import NoRecovery, Recovery
from paretoscope.network.network import Network
from paretoscope.sweeps.sweep import CURVE_POINTS, at, stops

from ui.parts.grid import shown_size
from ui.parts.looks import MOST_LINES
from ui.state.address import QUANTIZERS, RECOVERIES_COMPARED
from ui.state.measuring import MeasuringService
from ui.state.subject import Subject

_FEW_POINTS = 11  # of curves whose points take a second each


@dataclass(frozen=True)
class Curve:
    """Recipes of one network along the sparsity, and what the line is called; with the recipe that
    is looked at, where it is one of the kind that lies between them."""

    name: str
    subject: Subject
    recipes: tuple[Recipe, ...]
    own: Recipe | None = None

    def known(self, service: MeasuringService, *, zipped: bool) -> list[Measurement]:
        """What of it has a place on the chart by now."""
        found = (service.known(self.subject, recipe) for recipe in self.recipes)
        return [m for m in found if m is not None and shown_size(m, zipped) is not None]


def curves_of(
    subject: Subject,
    recipe: Recipe,
    criteria: Sequence[str],
    variants: Sequence[str],
    beside: Sequence[tuple[str, Subject]] = (),
) -> tuple[Curve, ...]:
    """The lines: each criterion with each quantizer and each recovery (the recipe's own where none
    is chosen); then other networks, by their titles, with the first of each.

    At most as many as can be told apart on one chart.
    """
    plain = _plain(recipe)
    own = type(recipe.pruner) if isinstance(recipe.pruner, Criterion) else Magnitude
    kinds = [kind for kind in CRITERIA if kind.name in criteria] or [own]
    quantizers, recoveries = _chosen(plain, variants)
    found = []
    for kind, (of_quantizer, quantizer), (of_recovery, recovery) in product(
        kinds, quantizers.items(), recoveries.items()
    ):
        told = [kind.title]
        told += [of_quantizer] * (len(quantizers) > 1)
        told += [of_recovery] * (len(recoveries) > 1)
        changed = replace(plain, quantizer=quantizer, recovery=recovery)
        is_own = kind is own and replace(changed, pruner=recipe.pruner) == recipe
        line = _along(subject.network, changed, kind)
        found.append(Curve(" · ".join(told), subject, line, recipe if is_own else None))
    first = found[0].recipes[0]
    for title, other in beside:
        line = (Recipe(), *_along(other.network, replace(first, pruner=KeepAll()), kinds[0]))
        found.append(Curve(title, other, line))
    return tuple(found[:MOST_LINES])


def shared_words(recipe: Recipe, variants: Sequence[str]) -> str:
    """What is the same on all lines: quantizer and recovery, where there is one of each."""
    return ", ".join(
        title for kind in _chosen(_plain(recipe), variants) for title in kind if len(kind) == 1
    )


def _chosen(
    plain: Recipe, variants: Sequence[str]
) -> tuple[dict[str, Quantizer], dict[str, Recovery]]:
    """Quantizers and recoveries by their titles; the recipe's own where none is chosen."""
    quantizers = {
        title: Recipe.parse(text).quantizer
        for text, title in QUANTIZERS.items()
        if text in variants
    }
    recoveries = {
        title: Recipe.parse(text).recovery
        for text, title in RECOVERIES_COMPARED.items()
        if text in variants
    }
    own = RECOVERIES_COMPARED.get(str(plain.recovery), plain.recovery.title)
    return quantizers or {plain.quantizer.line: plain.quantizer}, recoveries or {
        own: plain.recovery
    }


def _plain(recipe: Recipe) -> Recipe:
    """Without what a line cannot have: layers by themselves, 8-bit activations, trainings."""
    plain = replace(recipe, overrides={}, activations=FloatActivations())
    return replace(plain, recovery=NoRecovery()) if plain.trains else plain


@lru_cache(maxsize=256)
def _along(network: Network, recipe: Recipe, kind: type[Criterion]) -> tuple[Recipe, ...]:
    same = type(recipe.pruner) is kind
    criterion = recipe.pruner if same else kind(sparsity=0.0)
    assert isinstance(criterion, Criterion)
    count = _FEW_POINTS if recipe.recovery.needs_rows else CURVE_POINTS
    values = stops(network, kind, "sparsity", count)
    return tuple(replace(recipe, pruner=at(criterion, "sparsity", value)) for value in values)
