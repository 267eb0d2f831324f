"""An artifact: the ONNX bytes that a recipe made of a network. What is sized is what is run."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from paretoscope.dataset import Rows
from paretoscope.errors import ParetoscopeError
from paretoscope.network import Network
from paretoscope.parameters import FloatArray
from paretoscope.pruning import Cut, cut
from paretoscope.recipe import Recipe
from paretoscope.recovery import Stored
from paretoscope.runtimes import OnnxRuntime
from paretoscope.spelling import Spelling, can_fuse, write
from paretoscope.store import sha256

RTOL, ATOL = 1e-5, 1e-4
FUSED_LABELS_APART = 0.005
_CHECK_ROWS = 512


@dataclass(frozen=True, eq=False)
class Sizes:
    """Sizes of a file in bytes."""

    onnx_bytes: bytes = field(repr=False)

    @property
    def file(self) -> int:
        """As it lies on disk."""
        return len(self.onnx_bytes)

    @cached_property
    def gzip(self) -> int:
        """Under gzip at level 9. Takes up to 0.3 s a megabyte, so it is computed when asked for."""
        return len(gzip.compress(self.onnx_bytes, compresslevel=9, mtime=0))


@dataclass(frozen=True, eq=False)
class Artifact:
    """A compressed network as a file.

    Attributes
    ----------
    onnx_bytes : bytes
        The file.
    network, recipe
        What it was made of, and how.
    cut : Cut
        What was kept of each weight.
    stored : Stored
        The codes in the file.
    """

    onnx_bytes: bytes = field(repr=False)
    network: Network
    recipe: Recipe
    cut: Cut = field(repr=False)
    stored: Stored = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        return sha256(self.onnx_bytes)

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes(self.onnx_bytes)

    @cached_property
    def sparsity(self) -> float:
        """The share of the stored weights that is zero, by cutting or by rounding."""
        arrays = [codes.values for codes in self.stored.codes.values()]
        return 1 - sum(map(np.count_nonzero, arrays)) / sum(a.size for a in arrays)


def compress(
    network: Network,
    recipe: Recipe,
    train_rows: Rows | None,
    validation_rows: Rows | None = None,
) -> Artifact:
    """Compress a network by a recipe. The file is checked before it is returned.

    Parameters
    ----------
    network : Network
    recipe : Recipe
    train_rows : Rows or None
        Rows for criteria and recoveries that need some, and for the check. Never test rows. None
        is possible for recipes that need no rows; the check then uses made-up features.
    validation_rows : Rows, optional
        For recoveries that fine-tune and choose when to stop.

    Returns
    -------
    Artifact

    Raises
    ------
    ParetoscopeError
        The recipe does not fit the network, a weight is not finite, or the runtime's scores differ
        from float arithmetic on the stored values in both spellings.
    """
    draft = draft_artifact(network, recipe, train_rows, validation_rows)
    features = _check_features(network, train_rows)
    expected = network.scores(features, draft.stored.decoded(), draft.stored.biases)
    if _fuses(draft.stored) and _agrees(draft.onnx_bytes, features, expected, fused=True):
        return draft
    folded = _write(network, recipe, draft.stored, "folded")
    if not _agrees(folded, features, expected, fused=False):
        raise ParetoscopeError(
            f"ONNX Runtime computes other scores for {recipe} than float arithmetic on the stored "
            "values; the file is not used"
        )
    return Artifact(folded, network, recipe, draft.cut, draft.stored)


def draft_artifact(
    network: Network,
    recipe: Recipe,
    train_rows: Rows | None,
    validation_rows: Rows | None = None,
) -> Artifact:
    """The artifact in its first spelling, not yet checked: for what is only computed, never shown
    as measured."""
    for name, weight in network.weights.items():
        if not np.isfinite(weight).all():
            n_bad = int(np.size(weight) - np.isfinite(weight).sum())
            raise ParetoscopeError(f"{name} has {n_bad} weights that are NaN or infinite")
    treatments = recipe.treatments(network)
    features = None if train_rows is None else train_rows.X
    chosen = cut(network, {name: t.pruner for name, t in treatments.items()}, features)
    if recipe.recovery.needs_rows and train_rows is None:
        raise ParetoscopeError(f"{recipe.recovery.text_name} needs training rows; got none")
    grids = {
        name: t.quantizer.grid(network.weights[name], chosen.kept[name])
        for name, t in treatments.items()
    }
    stored = recipe.recovery.recover(network, chosen, grids, train_rows, validation_rows)
    return Artifact(_write(network, recipe, stored, "fused"), network, recipe, chosen, stored)


def _write(network: Network, recipe: Recipe, stored: Stored, spelling: Spelling) -> bytes:
    return write(network, stored, {"recipe": str(recipe)}, spelling)


def _fuses(stored: Stored) -> bool:
    return any(can_fuse(codes) for codes in stored.codes.values())


def _check_features(network: Network, train_rows: Rows | None) -> FloatArray:
    if train_rows is not None:
        return train_rows.X[:_CHECK_ROWS]
    n_features = next(iter(network.weights.values())).shape[0]
    rng = np.random.default_rng(0)
    return rng.standard_normal((_CHECK_ROWS, n_features)).astype(np.float32)


def _agrees(onnx_bytes: bytes, X: FloatArray, expected: FloatArray, *, fused: bool) -> bool:
    """Whether the runtime's scores are those of float arithmetic.

    For the fused kernel, which rounds activations to 8 bits, that is a matter of labels; otherwise
    of scores, relative to the largest one, since sums of large products lose that much in float32.
    """
    scores = OnnxRuntime(onnx_bytes).scores(X)
    if fused:
        return bool(np.mean(scores.argmax(1) != expected.argmax(1)) <= FUSED_LABELS_APART)
    allowed = ATOL + RTOL * np.abs(expected).max(initial=0)
    return bool((np.abs(scores - expected) <= allowed).all())
