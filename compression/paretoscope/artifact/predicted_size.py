"""The exact size of a file that is not made: it depends on types, shapes and the recipe's text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from paretoscope.artifact.artifact import write_artifact
from paretoscope.methods.kernels import Spelling
from paretoscope.methods.quantization import STORAGE, Codes
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import Stored
from paretoscope.network.in_place import OURS, InPlace
from paretoscope.network.network import Network


def file_bytes(
    reduced: Network,
    network: Network,
    recipes: Sequence[Recipe],
    storages: Sequence[tuple[str, ...]],
) -> npt.NDArray[np.int64]:
    """The sizes in bytes of recipes' files, in the spelling that their recipes ask for.

    One file is written for each combination of types; every other one differs from it by the length
    of the recipe's text alone.

    Parameters
    ----------
    reduced : Network
        Without the units that the recipes remove.
    network : Network
        The uncompressed network.
    recipes : sequence of Recipe
        With quantizers that have one scale a layer, or none.
    storages : sequence of tuple of str
        For each recipe, the types that the layers' codes are stored in, in their order.
    """
    spellings = [recipe.kernel.spelling or "fused" for recipe in recipes]
    kinds = list(zip(storages, spellings, strict=True))
    rest = {kind: _without_recipe(reduced, network, *kind) for kind in set(kinds)}
    found = [
        rest[kind] + recipe_bytes(recipe, network)
        for recipe, kind in zip(recipes, kinds, strict=True)
    ]
    return np.array(found, np.int64)


@lru_cache(maxsize=512)
def _without_recipe(
    reduced: Network, network: Network, storages: tuple[str, ...], spelling: Spelling
) -> int:
    weights = reduced.weights
    stored = Stored(
        {n: _some(w.shape, s) for (n, w), s in zip(weights.items(), storages, strict=True)}
    )
    written = write_artifact(network, reduced, Recipe(), stored, spelling)
    return len(written) - recipe_bytes(Recipe(), network)


def recipe_bytes(recipe: Recipe, network: Network) -> int:
    """What a recipe's text takes in the file."""
    key = f"{OURS}recipe" if isinstance(network, InPlace) else "recipe"
    return _metadata_bytes(len(str(recipe)), key)


def _some(shape: tuple[int, ...], storage: str) -> Codes:
    """Codes of a type; which ones changes no size."""
    if storage not in STORAGE:
        return Codes(np.zeros(shape, storage), None, storage)
    return Codes(np.zeros(shape, np.int32), np.ones(1, np.float32), storage)


@lru_cache(maxsize=1024)
def _metadata_bytes(length: int, key: str) -> int:
    """What a recipe's text of that length, which is ASCII, takes in the file: a message
    (key, value) within the model's message."""
    entry = 2 + len(key) + 1 + _varint_bytes(length) + length
    return 1 + _varint_bytes(entry) + entry


def _varint_bytes(number: int) -> int:
    """Bytes of a protobuf length.

    >>> [_varint_bytes(n) for n in (0, 127, 128, 20_000)]
    [1, 1, 2, 3]
    """
    return max(1, (number.bit_length() + 6) // 7)
