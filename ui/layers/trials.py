"""Which recipes tell what each layer stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.rows import Rows
from paretoscope.methods.pruning import KeepAll, Magnitude
from paretoscope.methods.quantization import Symmetric
from paretoscope.methods.recipe import Recipe, Treatment
from paretoscope.network.network import Network

from ui.parts.layer_controls import each_by_itself

SPARSITIES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
BITS = (8.0, 6.0, 5.0, 4.0, 3.0, 2.0)


@dataclass(frozen=True)
class Trials:
    """The recipes that tell what a layer stands: by sparsity and by bits alone, and this recipe in
    that layer only, and in all but that layer."""

    by_sparsity: dict[str, tuple[Recipe, ...]]
    by_bits: dict[str, tuple[Recipe, ...]]
    one_in: dict[str, Recipe]
    one_out: dict[str, Recipe]

    def all(self) -> list[Recipe]:
        lines = [*self.by_sparsity.values(), *self.by_bits.values()]
        found = [
            *self.one_in.values(),
            *self.one_out.values(),
            *(r for line in lines for r in line),
        ]
        return list(dict.fromkeys(found))

    def of_layer(self, name: str) -> list[Recipe]:
        """What is tried with one layer, the others untouched."""
        recipes = [self.one_in[name], *self.by_sparsity[name], *self.by_bits[name]]
        return list(dict.fromkeys(recipes))


def trials(network: Network, recipe: Recipe, rows: Rows | None = None) -> Trials:
    """For each layer of a network. The recipe's own cut is fixed once, then applied layer by layer:
    to rank one layer anew would be another cut."""
    names = list(network.shapes)
    treatments = each_by_itself(network, recipe, rows)

    def alone(name: str, treatment: Treatment) -> Recipe:
        return Recipe(overrides={name: treatment})

    by_sparsity = {
        name: tuple(
            alone(name, Treatment(Magnitude(sparsity=s, scope="layer"))) for s in SPARSITIES
        )
        for name in names
    }
    by_bits = {
        name: tuple(alone(name, Treatment(KeepAll(), Symmetric(bits))) for bits in BITS)
        for name in names
    }
    last = names[-1]  # its units are the classes and stay
    bare = {
        n: replace(t, units=Treatment().units) if n == last else t for n, t in treatments.items()
    }
    one_in = {name: alone(name, bare[name]) for name in names}
    one_out = {name: replace(recipe, overrides={**bare, name: Treatment()}) for name in names}
    return Trials(by_sparsity, by_bits, one_in, one_out)


@lru_cache(maxsize=32)
def trials_of(network: Network, recipe: Recipe, rows: Rows) -> Trials:
    """`trials`, kept."""
    try:
        return trials(network, recipe, rows)
    except ParetoscopeError:  # a recipe that cannot be: the page says so where its file is made
        return trials(network, Recipe())
