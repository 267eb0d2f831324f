"""Recipes of a graph coded in place that differ in one layer only: what stands before that layer is
run once for all of them.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from onnx import numpy_helper

from paretoscope.artifact.artifact import Draft, Sizes, make_draft, write_artifact, zipped
from paretoscope.artifact.coding_in_place import fitting
from paretoscope.artifact.predicted_size import recipe_bytes
from paretoscope.artifact.size_parts import entropy_bytes
from paretoscope.artifact.writing import as_stored
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import BoolArray, FloatArray
from paretoscope.base.store import SHORT_SHA
from paretoscope.measurement.measurement import Baseline, Computed, computed_of
from paretoscope.methods.pruning import Criterion, Cut, KeepUnits, cut
from paretoscope.methods.quantization import Codes
from paretoscope.methods.recipe import Recipe, Treatment
from paretoscope.methods.recovery import NoRecovery, Stored
from paretoscope.network.in_place import InPlace
from paretoscope.network.pieces import Kind, Pieces
from paretoscope.sandbox.sessions import Walk

_PIECES, _PIECE_BYTES = 8, 2**15  # of a layer, to estimate how far all of it is zipped
_MADE_BYTES = 64_000  # of a file that is made and zipped in a moment
_ALIKE = 0.01  # as a share: so near to the size that was brought, the weights are the same
_FEWEST = 2  # of one layer are cheaper together
_BLOCK_ROWS, _BLOCK_VALUES = 2_000, 2**24  # rows whose values are kept at a time


@dataclass(frozen=True, eq=False)
class Group:
    """Recipes that each treat one layer otherwise than `base` does: their places, by layer."""

    base: Recipe
    by_layer: dict[str, list[int]]


def groups_of(network: InPlace, recipes: Sequence[Recipe]) -> tuple[list[Group], list[int]]:
    """Which recipes differ from one another in one layer only, and the places of all others."""
    alike: dict[tuple[bool, object], list[int]] = defaultdict(list)
    others, found = [], []
    treatments: dict[int, list[Treatment]] = {}
    names = list(network.shapes)
    plain = [Treatment()] * len(names)
    for place, recipe in enumerate(recipes):
        of_recipe = list(recipe.treatments(network).values())
        plainly = isinstance(recipe.recovery, NoRecovery) and recipe.kernel.spelling is not None
        if plainly and all(map(_is_alone, of_recipe)):
            treatments[place] = of_recipe
            from_plain = sum(a != b for a, b in zip(of_recipe, plain, strict=True)) == 1
            shared = recipe.storage, recipe.kernel, recipe.activations
            alike[from_plain, shared].append(place)
        else:
            others.append(place)
    for (from_plain, _), places in alike.items():
        usual = plain
        if not from_plain:
            columns = zip(*(treatments[place] for place in places), strict=True)
            usual = [Counter(column).most_common(1)[0][0] for column in columns]
        by_layer: dict[str, list[int]] = defaultdict(list)
        for place in places:
            differ = [
                name for name, a, b in zip(names, treatments[place], usual, strict=True) if a != b
            ]
            if len(differ) == 1:
                by_layer[differ[0]].append(place)
            else:
                others.append(place)
        n = sum(map(len, by_layer.values()))
        if n < _FEWEST:
            others += [place for of_layer in by_layer.values() for place in of_layer]
        else:
            overrides = {} if from_plain else dict(zip(names, usual, strict=True))
            first = replace(recipes[places[0]], overrides=overrides)
            base = replace(first, **_PLAIN) if from_plain else first
            found.append(Group(base, dict(by_layer)))
    return found, sorted(others)


_PLAIN = {name: getattr(Recipe(), name) for name in ("pruner", "quantizer", "units")}


def _is_alone(treatment: Treatment) -> bool:
    """Whether it does the same to a layer whatever is done to the others."""
    pruner = treatment.pruner
    if not isinstance(treatment.units, KeepUnits):
        return False
    if not isinstance(pruner, Criterion):
        return True
    return not pruner.needs_rows and (pruner.sparsity is None or pruner.scope != "global")


def walked(
    network: InPlace, recipes: Sequence[Recipe], group: Group, baseline: Baseline
) -> Iterator[tuple[int, Computed]]:
    """A group's figures, each with its place, as they are found; not those of weights that the
    judged output does not hang on, as far as can be seen.

    Raises
    ------
    ParetoscopeError
        The graph cannot be run in pieces.
    """
    base = _base(network, group.base)
    positions = base.pieces.positions
    if base.pieces.rounds:
        raise ParetoscopeError("its values are rounded between its operators")
    seen = [name for name in group.by_layer if name in positions]
    order = sorted(seen, key=lambda name: positions[name])
    outputs: dict[int, list[FloatArray]] = defaultdict(list)
    n = max(1, min(_BLOCK_ROWS, _BLOCK_VALUES // network.n_values))
    starts = range(0, len(baseline.rows), n)
    for start in starts:
        X = baseline.rows.at(np.arange(start, min(start + n, len(baseline.rows)))).X
        walk = Walk(network.signature.plain(), network.sha256[:SHORT_SHA], X)
        position = 0
        for layer in order:
            if (then := positions[layer]) > position:
                piece = base.pieces.piece(position, then, _kinds(walk))
                walk.go_on(piece.onnx_bytes, piece.makes, piece.keeps)
                position = then
            rest = base.pieces.rest(position, _kinds(walk), layer)
            model: bytes | None = rest.onnx_bytes
            for place in group.by_layer[layer]:
                one = base.with_layer(layer, recipes[place])
                fills = base.pieces.raw(layer, one.codes.decoded())
                outputs[place].append(walk.finish(fills, rest.gap, model))
                model = None
                if start == starts[-1]:
                    scores = network.signature.scores(np.concatenate(outputs.pop(place)))
                    yield place, one.computed(baseline, scores)


class _Base:
    """What the recipes of a group share."""

    def __init__(self, network: InPlace, recipe: Recipe) -> None:
        self.draft = make_draft(network, recipe, None)
        plain = recipe == Recipe()
        decoded = self.draft.stored.decoded()
        self.pieces = Pieces(network if plain else network.with_layers(decoded, {}))
        self._entropies: dict[str, float] = {}
        self._zipped: dict[str, int] = {}
        # By layer and what its codes' size hangs on, of a file without its recipe's text.
        self.file_bytes: dict[tuple[object, ...], int] = {}

    @cached_property
    def entropy(self) -> float:
        return sum(map(self.entropy_of, self.draft.stored.codes))

    @cached_property
    def gzip_bytes(self) -> int:
        """About the zipped size of the file without any other layer."""
        brought, sizes = self.draft.network.brought, self.draft.sizes
        if brought is not None and abs(brought[0] - sizes.file) < _ALIKE * sizes.file:
            return brought[1]  # the same weights, zipped when they came
        return sizes.gzip_estimate

    def entropy_of(self, layer: str) -> float:
        """The least bytes that the codes of a layer could take."""
        if layer not in self._entropies:
            self._entropies[layer] = entropy_bytes(self.draft.stored.codes[layer].values)
        return self._entropies[layer]

    def zipped(self, layer: str) -> int:
        """About what the codes of a layer take under gzip."""
        if layer not in self._zipped:
            self._zipped[layer] = _zipped(self.draft.stored.codes[layer])
        return self._zipped[layer]

    def with_layer(self, layer: str, recipe: Recipe) -> _OneLayer:
        """The same, with what a recipe does to one layer."""
        network = self.draft.reduced
        assert isinstance(network, InPlace)
        treatment = recipe.treatments(network)[layer]
        kept = cut(network, {layer: treatment.pruner}).kept[layer]
        weight = np.where(kept, network.weights[layer], np.float32(0))
        grid = treatment.quantizer.grid(weight, np.broadcast_to(kept, weight.shape))
        codes = recipe.storage.store(grid.project(weight))
        return _OneLayer(self, layer, recipe, kept, fitting(codes, network.places[layer]))


@lru_cache(maxsize=2)  # of a network of 100 MB it holds as much
def _base(network: InPlace, recipe: Recipe) -> _Base:
    return _Base(network, recipe)


@dataclass(frozen=True, eq=False)
class _OneLayer:
    base: _Base
    layer: str
    recipe: Recipe
    kept: BoolArray
    codes: Codes

    def computed(self, baseline: Baseline, scores: FloatArray) -> Computed:
        """What is said of its file, which is made where that is small."""
        before, layer = self.base, self.layer
        entropy = before.entropy - before.entropy_of(layer) + entropy_bytes(self.codes.values)
        if before.draft.sizes.file <= _MADE_BYTES:
            return computed_of(self._draft(self.written()), baseline, scores, entropy=entropy)
        draft = _Unmade(known=_Known(b"", self), **_fields_of(self._draft(b"")))
        return computed_of(draft, baseline, scores, entropy=entropy)

    def n_bytes(self) -> int:
        """The size of its file, which is written once for all whose codes take as much."""
        codes, network = self.codes, self.base.draft.network
        besides = (None if a is None else a.size for a in (codes.scale, codes.codebook))
        key = self.layer, codes.storage, *besides
        of_text = recipe_bytes(self.recipe, network)
        if key not in self.base.file_bytes:
            self.base.file_bytes[key] = len(self.written()) - of_text
        return self.base.file_bytes[key] + of_text

    def zipped_bytes(self) -> int:
        """About what its file takes under gzip."""
        return self.base.gzip_bytes - self.base.zipped(self.layer) + _zipped(self.codes)

    def _draft(self, onnx_bytes: bytes) -> Draft:
        return replace(
            self.base.draft,
            onnx_bytes=onnx_bytes,
            recipe=self.recipe,
            cut=Cut({**self.base.draft.cut.kept, self.layer: self.kept}),
            stored=self._stored,
        )

    @property
    def _stored(self) -> Stored:
        stored = self.base.draft.stored
        return replace(stored, codes={**stored.codes, self.layer: self.codes})

    def written(self) -> bytes:
        """Its file."""
        draft, spelling = self.base.draft, self.recipe.kernel.spelling or "fused"
        return write_artifact(draft.network, draft.reduced, self.recipe, self._stored, spelling)


@dataclass(frozen=True, eq=False)
class _Known(Sizes):
    """Sizes of a file that is not made."""

    one: _OneLayer

    @cached_property
    def file(self) -> int:
        return self.one.n_bytes()

    @cached_property
    def gzip(self) -> int:
        return len(zipped(self.one.written()))

    @cached_property
    def gzip_estimate(self) -> int:
        return self.one.zipped_bytes()


@dataclass(frozen=True, eq=False)
class _Unmade(Draft):
    """A draft whose file is too large to be made for its size alone."""

    known: Sizes

    @cached_property
    def sizes(self) -> Sizes:
        return self.known


def _fields_of(draft: Draft) -> dict[str, Any]:
    return {f.name: getattr(draft, f.name) for f in fields(draft)}


def _zipped(codes: Codes) -> int:
    """About what codes take under gzip, by some pieces of them."""
    data = numpy_helper.from_array(np.ascontiguousarray(as_stored(codes))).raw_data
    if len(data) <= _PIECES * _PIECE_BYTES:
        return len(zlib.compress(data, 9))
    starts = np.linspace(0, len(data) - _PIECE_BYTES, _PIECES).astype(int).tolist()
    some = (len(zlib.compress(data[start : start + _PIECE_BYTES], 9)) for start in starts)
    return round(sum(some) / (_PIECES * _PIECE_BYTES) * len(data))


def _kinds(walk: Walk) -> dict[str, Kind]:
    return {name: Kind(kind, tuple(shape)) for name, (kind, shape) in walk.known.items()}
