"""An artifact: the ONNX bytes that a recipe made of a network. What is sized is what is run."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from paretoscope.artifact.coding_in_place import fitting, write_in_place
from paretoscope.artifact.kernel_times import fastest
from paretoscope.artifact.runtimes import OnnxRuntime
from paretoscope.artifact.writing import can_fuse, write
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.base.store import SHORT_SHA, sha256
from paretoscope.base.wording import counted
from paretoscope.data.dataset import Report
from paretoscope.data.rows import Rows
from paretoscope.methods.activations import Int8Activations, codes_in
from paretoscope.methods.kernels import Auto, Folded, Fused, Kernel, Spelling
from paretoscope.methods.pruning import Cut, cut, remove_units
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import RecoveryInput, Stored
from paretoscope.network.in_place import OWNER, InPlace, close, noise
from paretoscope.network.network import Network

RTOL, ATOL = 1e-5, 1e-4
FUSED_APART = 0.005  # of the rows, of which something else is said
_CHECK_ROWS, _FEWEST_CHECKED, _FEWEST_IN_PLACE = 512, 32, 8
_CHECK_VALUES = 2**19  # so that large images, of which fewer tell as much, take no minutes
_REFERENCE_ROWS, _REFERENCE_APART = 128, 2
_LOW_LEVEL, _PIECES, _PIECE_BYTES = 4, 16, 2**16  # to estimate what level 9 makes of a file


def zipped(onnx_bytes: bytes) -> bytes:
    """A file as gzip at level 9, the same bytes on any day."""
    return gzip.compress(onnx_bytes, compresslevel=9, mtime=0)


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
        return len(zipped(self.onnx_bytes))

    @cached_property
    def gzip_estimate(self) -> int:
        """About the same, of large files in a tenth of the time: the size at a low level, times
        what level 9 makes of some pieces. Files of image networks were off by 0.2 to 3.5 %
        (``python -m benchmarks large``)."""
        data = self.onnx_bytes
        starts = np.linspace(0, max(0, len(data) - _PIECE_BYTES), _PIECES).astype(int).tolist()
        pieces = [data[start : start + _PIECE_BYTES] for start in starts]
        low, high = (sum(len(zlib.compress(p, level)) for p in pieces) for level in (_LOW_LEVEL, 9))
        return round(len(zlib.compress(data, _LOW_LEVEL)) * high / low)


@dataclass(frozen=True, eq=False)
class Draft:
    """A compressed network as a file that was not yet held against float arithmetic.

    What is said of it is computed, never measured: only `compress` makes an `Artifact` of it.

    Attributes
    ----------
    onnx_bytes : bytes
        The file.
    network, recipe
        What it was made of, and how.
    reduced : Network
        The network without the units that were removed: the codes are of its weights.
    cut : Cut
        What was kept of each weight.
    stored : Stored
        The codes in the file.
    """

    onnx_bytes: bytes = field(repr=False)
    network: Network
    recipe: Recipe
    reduced: Network
    cut: Cut = field(repr=False)
    stored: Stored = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        return sha256(self.onnx_bytes)

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes(self.onnx_bytes)

    def scores(self, X: FloatArray) -> FloatArray:
        """Scores by float arithmetic on the values in the file, without running it."""
        return self.reduced.scores(X, self.stored.decoded(), self.stored.biases)

    @cached_property
    def sparsity(self) -> float:
        """The share of the stored weights that is zero, by cutting or by rounding."""
        codes = self.stored.codes.values()
        return sum(c.n_zeros for c in codes) / sum(c.values.size for c in codes)


@dataclass(frozen=True, eq=False)
class Artifact(Draft):
    """A compressed network as a file whose scores were checked: what is sized, timed and scored."""


def compress(
    network: Network,
    recipe: Recipe,
    train_rows: Rows | None,
    validation_rows: Rows | None = None,
    report: Report | None = None,
) -> Artifact:
    """Compress a network by a recipe. The file is checked before it is returned.

    Parameters
    ----------
    network : Network
    recipe : Recipe
        With `Auto` kernels the artifact's own recipe says which they became.
    train_rows : Rows or None
        Rows for criteria and recoveries that need some, and for the check. Never test rows. None
        is possible for recipes that need no rows; the check then uses made-up features.
    validation_rows : Rows, optional
        For recoveries that fine-tune and choose when to stop.
    report : callable, optional
        ``report(fraction, text)`` is told how far long recoveries are.

    Returns
    -------
    Artifact

    Raises
    ------
    ParetoscopeError
        The recipe does not fit the network, a weight is not finite, or the runtime's scores differ
        from float arithmetic on the stored values in both spellings.
    """
    draft = make_draft(network, recipe, train_rows, validation_rows, report)
    network = draft.network
    features = _check_features(network, train_rows)
    if isinstance(network, InPlace):
        _check_in_place(network, draft, features)
        return _as_checked(draft)
    if isinstance(recipe.activations, Int8Activations):
        _check_integers(draft, features[:_REFERENCE_ROWS])
        return _as_checked(draft)
    expected, asked, recipe = draft.scores(features), recipe.kernel, draft.recipe
    fused = recipe.kernel == Fused() and _fuses(network, draft.stored)
    if fused and _agrees(network, draft.onnx_bytes, features, expected, fused=True):
        return _as_checked(draft)
    if asked == Auto():
        recipe = replace(recipe, kernel=Folded() if fused else recipe.kernel)
    folded = write_artifact(network, draft.reduced, recipe, draft.stored, "folded")
    if not _agrees(network, folded, features, expected, fused=False):
        raise ParetoscopeError(
            f"ONNX Runtime computes other scores for {recipe} than float arithmetic on the stored "
            "values; the file is not used"
        )
    return _as_checked(replace(draft, onnx_bytes=folded, recipe=recipe))


def _as_checked(draft: Draft) -> Artifact:
    return Artifact(**{f.name: getattr(draft, f.name) for f in fields(Draft)})


def make_draft(
    network: Network,
    recipe: Recipe,
    train_rows: Rows | None,
    validation_rows: Rows | None = None,
    report: Report | None = None,
) -> Draft:
    """The file in its first spelling, not yet checked: for what is only computed."""
    network = network.whole()
    for name, weight in network.weights.items():
        if not np.isfinite(weight).all():
            n_bad = int(np.size(weight) - np.isfinite(weight).sum())
            are = "is" if n_bad == 1 else "are"
            raise ParetoscopeError(f"{counted(n_bad, 'weight')} of {name} {are} NaN or infinite")
    treatments = recipe.treatments(network)
    recovery = recipe.recovery
    integers = recipe.activations if isinstance(recipe.activations, Int8Activations) else None
    if integers is not None and isinstance(network, InPlace):
        raise ParetoscopeError("int8 activations are for chains of dense and convolution layers")
    if integers is not None and train_rows is None:
        raise ParetoscopeError("int8 activations need training rows; got none")
    for needed, rows, what in (
        (recovery.needs_rows, train_rows, "training"),
        (recovery.needs_validation_rows, validation_rows, "validation"),
    ):
        if needed and rows is None:
            raise ParetoscopeError(f"{recovery.name} needs {what} rows; got none")
    reduced = remove_units(network, {name: t.units for name, t in treatments.items()}, train_rows)
    task = RecoveryInput(
        reduced,
        cut(reduced, {name: t.pruner for name, t in treatments.items()}, train_rows),
        {name: t.quantizer for name, t in treatments.items()},
        train_rows,
        validation_rows,
        report or (lambda fraction, text: None),
    )
    found = recovery.recover(task)
    codes = {name: recipe.storage.store(codes) for name, codes in found.codes.items()}
    if isinstance(reduced, InPlace):
        codes = {name: fitting(of_layer, reduced.places[name]) for name, of_layer in codes.items()}
    stored = Stored(codes, found.biases)
    if recipe.kernel.spelling is None:
        X = _check_features(network, train_rows)
        recipe = replace(recipe, kernel=_faster(network, reduced, recipe, stored, X))
    onnx_bytes = write_artifact(network, reduced, recipe, stored, recipe.kernel.spelling or "fused")
    if integers is not None and train_rows is not None:
        onnx_bytes = integers.quantize(onnx_bytes, train_rows, reduced)
        stored = Stored(codes_in(onnx_bytes, reduced), stored.biases)
    return Draft(onnx_bytes, network, recipe, reduced, task.cut, stored)


def _faster(
    network: Network, reduced: Network, recipe: Recipe, stored: Stored, X: FloatArray
) -> Kernel:
    """How codes run faster here; where it makes no difference, as it is without being said."""
    if isinstance(recipe.activations, Int8Activations) or not _fuses(network, stored):
        return Fused()
    spellings: tuple[Spelling, ...] = ("fused", "folded")
    files: dict[str, bytes] = {
        spelling: write_artifact(network, reduced, recipe, stored, spelling)
        for spelling in spellings
    }
    return fastest(reduced, stored, files, X).choice


def write_artifact(
    network: Network, reduced: Network, recipe: Recipe, stored: Stored, spelling: Spelling
) -> bytes:
    """The bytes of a recipe's file, with what it was made of in its metadata."""
    metadata = {"recipe": str(recipe), OWNER: network.sha256[:SHORT_SHA]}
    if isinstance(reduced, InPlace):
        return write_in_place(reduced, stored, metadata)
    return write(reduced, stored, metadata, spelling)


def _fuses(network: Network, stored: Stored) -> bool:
    """Whether integer kernels may pay for a layer; a graph that stays as it is runs floats."""
    if isinstance(network, InPlace):
        return False
    return any(can_fuse(codes) for codes in stored.codes.values())


def _check_features(network: Network, train_rows: Rows | None) -> FloatArray:
    fewest = _FEWEST_IN_PLACE if isinstance(network, InPlace) else _FEWEST_CHECKED
    n = min(_CHECK_ROWS, max(fewest, _CHECK_VALUES // network.n_features))
    if train_rows is not None:
        return train_rows.at(np.arange(min(n, len(train_rows)))).X
    if isinstance(network, InPlace):
        return noise(network.signature, n)
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, network.n_features)).astype(np.float32)


def _check_integers(draft: Draft, X: FloatArray) -> None:
    """The runtime's integer kernels against ONNX's own reference evaluator, in what is said of
    rows."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx.load_model_from_string(draft.onnx_bytes)
    (expected,) = ReferenceEvaluator(model).run(None, {draft.network.input_name: X})
    outputs = OnnxRuntime(draft.onnx_bytes).scores(X)
    n_apart = np.count_nonzero(draft.network.problem.told_apart(outputs, np.asarray(expected)))
    if n_apart > _REFERENCE_APART:
        raise ParetoscopeError(
            f"ONNX Runtime predicts {n_apart} of {len(X)} rows otherwise than its operators are "
            f"defined for {draft.recipe}; the file is not used"
        )


def _check_in_place(network: InPlace, draft: Draft, X: FloatArray) -> None:
    """All outputs of floats against the same graph with plain floats, run as it stands."""
    expected = network.plain_session(draft.stored.decoded()).outputs(X, every=True)
    found = network.session(draft.onnx_bytes).outputs(X, every=True)
    widths = network.signature.widths
    if close(found, expected, network.apart, widths):
        return
    if not _rounds_as_much(network, X, found, expected):
        raise ParetoscopeError(
            f"ONNX Runtime computes other outputs for {draft.recipe} than the graph's operators on "
            "the stored values; the file is not used"
        )


def _rounds_as_much(
    network: InPlace, X: FloatArray, found: FloatArray, expected: FloatArray
) -> bool:
    """Whether the uncompressed graph's own outputs differ half as much between the runtime as
    people run it and its operators as they stand: one that rounds what it computes to whole numbers
    jumps where sums differ in their last digit."""
    run = network.session(network.onnx_bytes).outputs(X, every=True)
    plain = network.plain_session().outputs(X, every=True)
    start = 0
    for width in network.signature.widths:
        a, b, ours, theirs = (x[:, start : start + width] for x in (run, plain, found, expected))
        start += width
        largest = max(1.0, float(np.abs(theirs).max(initial=0)))
        noise_of_it = float(np.abs(a - b).max(initial=0)) / largest
        if not np.isfinite(noise_of_it):
            return False
        if not close(ours, theirs, max(network.apart, 2 * noise_of_it)):
            return False
    return True


def _agrees(
    network: Network, onnx_bytes: bytes, X: FloatArray, expected: FloatArray, *, fused: bool
) -> bool:
    """Whether the runtime's scores are those of float arithmetic.

    For the fused kernel, which rounds activations to 8 bits, that is a matter of what is said of
    rows; otherwise of scores, relative to the largest one, since sums of large products lose that
    much in float32.
    """
    scores = OnnxRuntime(onnx_bytes).scores(X)
    if fused:
        return bool(np.mean(network.problem.told_apart(scores, expected)) <= FUSED_APART)
    allowed = ATOL + RTOL * np.abs(expected).max(initial=0)
    return bool((np.abs(scores - expected) <= allowed).all())
