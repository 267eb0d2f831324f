"""The exact size of a file that is not made: it depends on types, shapes and the recipe's text."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from paretoscope.artifact import write_artifact
from paretoscope.network import Network
from paretoscope.quantization import STORAGE, Codes
from paretoscope.recipe import Recipe
from paretoscope.recovery import Stored


def file_bytes(
    reduced: Network, network: Network, recipe: Recipe, storages: tuple[str, ...]
) -> int:
    """The size in bytes of the file of a recipe, in its first spelling.

    One file is written for each combination of types; every other one differs from it by the length
    of the recipe's text alone.

    Parameters
    ----------
    reduced : Network
        Without the units that the recipe removes.
    network : Network
        The uncompressed network.
    recipe : Recipe
        With quantizers that have one scale a layer, or none.
    storages : tuple of str
        The types that the layers' codes are stored in, in their order.
    """
    rest = _without_recipe(reduced, network, storages)
    return rest + _metadata_bytes(str(recipe))


@lru_cache(maxsize=512)
def _without_recipe(reduced: Network, network: Network, storages: tuple[str, ...]) -> int:
    weights = reduced.weights
    stored = Stored(
        {n: _some(w.shape, s) for (n, w), s in zip(weights.items(), storages, strict=True)}
    )
    written = write_artifact(network, reduced, Recipe(), stored, "fused")
    return len(written) - _metadata_bytes(str(Recipe()))


def _some(shape: tuple[int, ...], storage: str) -> Codes:
    """Codes of a type; which ones changes no size."""
    if storage not in STORAGE:
        return Codes(np.zeros(shape, storage), None, storage)
    return Codes(np.zeros(shape, np.int32), np.ones(1, np.float32), storage)


def _metadata_bytes(recipe: str) -> int:
    """What the recipe takes in the file: a message (key, value) within the model's message."""
    value = len(recipe.encode())
    entry = 2 + len(b"recipe") + 1 + _varint_bytes(value) + value
    return 1 + _varint_bytes(entry) + entry


def _varint_bytes(number: int) -> int:
    """Bytes of a protobuf length.

    >>> [_varint_bytes(n) for n in (0, 127, 128, 20_000)]
    [1, 1, 2, 3]
    """
    return max(1, (number.bit_length() + 6) // 7)
