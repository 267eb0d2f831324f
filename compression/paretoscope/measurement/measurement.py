"""A measurement: what a recipe's file scores, weighs and takes, beside the uncompressed network."""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from paretoscope.artifact.artifact import Artifact, Draft, compress, make_draft
from paretoscope.artifact.quick_latency import ROUNDS, Latency, batches_for, measure_latency
from paretoscope.artifact.runtimes import OnnxRuntime
from paretoscope.artifact.size_parts import entropy_bytes
from paretoscope.base.blas import processor
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.data.dataset import OPEN, Dataset
from paretoscope.data.own_data import public_name
from paretoscope.data.rows import Rows
from paretoscope.methods.recipe import Recipe
from paretoscope.network.in_place import InPlace
from paretoscope.network.network import Network
from paretoscope.problems.accuracy import Accuracy, Change, Difference, Figure
from paretoscope.problems.figure import Estimate, EstimatedDifference, of_plain, to_plain
from paretoscope.problems.problem import Problem
from paretoscope.problems.score import Labels, Predicted, Score, Targets

_ZIP_AT_ONCE_BYTES = 64_000  # zipping less takes at most a few milliseconds
_ESTIMATED_BYTES = 1_000_000  # zipping more takes up to twenty seconds
FIRST_ROWS, _MOST_AT_ONCE = 100, 2**22  # rows of a first look; numbers of all rows that take none

USUAL = "accuracy"  # the score of records that name none
M = TypeVar("M", bound="Measurement")


@dataclass(frozen=True)
class Environment:
    """Where times were taken and which fused kernels scored."""

    cpu: str
    python: str
    onnxruntime: str
    paretoscope: str


@lru_cache(maxsize=1)
def environment() -> Environment:
    """This machine and these versions."""
    versions = (version("onnxruntime"), version("paretoscope"))
    return Environment(processor(), platform.python_version(), *versions)


@dataclass(frozen=True, kw_only=True)
class Measurement(ABC):
    """What is known of one recipe on one network and split: `Measured` or `Computed`.

    Attributes
    ----------
    recipe : Recipe
    network_sha256 : str
    dataset, split : str
    split_seed, seed : int
        Of the split, and of the training.
    score : str
        What it was judged by.
    decision : str
        How classes are decided for, where that is not by the largest score (`Problem.deciding`).
    quality : Figure
        The score: for accuracy an `Accuracy`, for others an estimate in the score's own unit.
    change : Difference
        Against the uncompressed network on the same rows.
    size_bytes, gzip_bytes : int
        The file as it lies on disk, and under gzip -9 (None: not yet known).
    gzip_is_estimate : bool
        Whether the latter is only about so, for zipping a large file takes long.
    entropy_bytes : float or None
        The zero-order entropy bound of the stored weights, where it was computed.
    sparsity : float
        Share of the stored weights that is zero.
    bits : tuple of (layer, bits a code needs, type it is stored in)
    date : str
        The day, in UTC.
    """

    recipe: Recipe
    network_sha256: str
    dataset: str
    split: str
    quality: Figure
    change: Difference
    size_bytes: int
    sparsity: float
    bits: tuple[tuple[str, int, str], ...]
    gzip_bytes: int | None = None
    gzip_is_estimate: bool = False
    entropy_bytes: float | None = None
    score: str = USUAL
    decision: str = ""
    split_seed: int = 0
    seed: int = 0
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat(), compare=False)
    environment: Environment = field(default_factory=environment)
    predictions: Labels | None = field(default=None, repr=False, compare=False)

    @property
    def accuracy(self) -> Accuracy:
        """The quality, where that is accuracy. Raises a ParetoscopeError."""
        if not isinstance(self.quality, Accuracy):
            raise ParetoscopeError(f"this was judged by {self.score}: read its quality")
        return self.quality

    @property
    def merit(self) -> float:
        """The score, turned so that more is better whatever the score is."""
        return self.quality.value if self.change.higher_is_better else -self.quality.value

    @property
    @abstractmethod
    def computed(self) -> bool:
        """Whether the file was not run: its point is drawn hollow."""

    @property
    @abstractmethod
    def file_sha256(self) -> str | None:
        """Of the artifact or draft; None where no file was made."""

    def latency(self, batch: int = 1) -> Latency | None:
        """The latency at a batch size, or None where it was not timed."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, without the predictions. `from_dict` is its inverse."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "predictions"}
        return plain | {
            "computed": self.computed,
            "recipe": str(self.recipe),
            "quality": to_plain(self.quality),
            "change": to_plain(self.change),
            "environment": asdict(self.environment),
        }

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Measured | Computed:
        """`Computed` or `Measured`, as `to_dict` gave it, here or in a version before this."""
        given = dict(plain)
        computed, artifact = given.pop("computed"), given.pop("artifact_sha256", None)
        latencies = given.pop("latencies", ())
        given |= {
            "recipe": Recipe.parse(plain["recipe"]),
            "quality": figure_of(given.pop("accuracy", None) or plain["quality"]),
            "change": difference_of(plain["change"]),
            "bits": tuple((name, bits, storage) for name, bits, storage in plain["bits"]),
            "environment": Environment(**plain["environment"]),
        }
        if computed:
            given.setdefault("draft_sha256", artifact or None)
            return Computed(**given)
        timed = tuple(
            Latency(la["batch"], tuple(la["samples_us"]), tuple(la["baseline_us"]))
            for la in latencies
        )
        return Measured(**given, artifact_sha256=artifact, latencies=timed)

    def row(self) -> dict[str, Any]:
        """Flat, for tables: one column a figure, with its unit in the name."""
        low, high = self.quality.interval or (None, None)
        change_low, change_high = self.change.interval or (None, None)
        flat: dict[str, Any] = {
            "recipe": str(self.recipe),
            "dataset": self.dataset,
            "split": self.split,
            "split_seed": self.split_seed,
            "seed": self.seed,
            "n": self.quality.n,
        }
        if isinstance(self.quality, Accuracy):
            flat["correct"] = self.quality.correct
        flat |= {
            self.score: self.quality.value,
            f"{self.score}_low": low,
            f"{self.score}_high": high,
            "change": self.change.value,
            "change_low": change_low,
            "change_high": change_high,
        }
        if isinstance(self.change, Change):  # columns keep their names: notebooks know them
            flat |= {"broken": self.change.newly_wrong, "mended": self.change.newly_right}
        flat |= {
            "computed": self.computed,
            "sparsity": self.sparsity,
            "size_bytes": self.size_bytes,
            "gzip_bytes": self.gzip_bytes,
            "entropy_bytes": self.entropy_bytes,
        }
        flat |= self._times()
        flat["network_sha256"] = self.network_sha256
        flat["artifact_sha256"] = self.file_sha256 or ""
        flat |= {"date": self.date, "threads": 1}
        return flat | asdict(self.environment)

    def _times(self) -> dict[str, float]:
        """The columns of what was timed."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Measured(Measurement):
    """Of an artifact: the file through ONNX Runtime.

    Attributes
    ----------
    artifact_sha256 : str
        The file's.
    latencies : tuple of Latency
        One for each batch size that was timed, on one thread.
    """

    artifact_sha256: str
    latencies: tuple[Latency, ...] = ()

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Measured:
        """As of any measurement. Raises a ParetoscopeError where it was computed only."""
        found = Measurement.from_dict(plain)
        if not isinstance(found, Measured):
            raise ParetoscopeError(f"the figures of {found.recipe} were computed, not measured")
        return found

    @property
    def computed(self) -> bool:
        return False

    @property
    def file_sha256(self) -> str:
        return self.artifact_sha256

    def latency(self, batch: int = 1) -> Latency | None:
        return next((la for la in self.latencies if la.batch == batch), None)

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"latencies": [asdict(latency) for latency in self.latencies]}

    def _times(self) -> dict[str, float]:
        flat = {}
        for latency in self.latencies:
            name = f"batch{latency.batch}"
            flat[f"{name}_median_us"] = latency.median_us
            flat[f"{name}_q1_us"], flat[f"{name}_q3_us"] = latency.quartiles_us
            flat[f"{name}_ratio"] = latency.ratio
            flat[f"{name}_ratio_low"], flat[f"{name}_ratio_high"] = latency.ratio_interval
        return flat


@dataclass(frozen=True, kw_only=True)
class Computed(Measurement):
    """Of a draft, or of none: numpy's float arithmetic on the values that a file holds, which was
    not run.

    Attributes
    ----------
    draft_sha256 : str or None
        Of the draft's bytes, where there is one.
    """

    draft_sha256: str | None = None

    @property
    def computed(self) -> bool:
        return True

    @property
    def file_sha256(self) -> str | None:
        return self.draft_sha256


def figure_of(plain: Mapping[str, Any]) -> Figure:
    """From JSON types, as `to_plain` gave them."""
    return Accuracy(**plain) if "correct" in plain else Estimate(**of_plain(plain))


def difference_of(plain: Mapping[str, Any]) -> Difference:
    """From JSON types, as `to_plain` gave them, here or in a version before this."""
    if "higher_is_better" in plain:
        return EstimatedDifference(**of_plain(plain))
    return Change.from_dict(plain)


def judged_on(network: Network) -> str:
    """The split that choices are made on: "validation", or, for a network that was brought and
    so was trained on other rows, "open": all rows that are not kept for the end."""
    return "validation" if network.brought is None else OPEN


@dataclass(frozen=True, eq=False)
class Baseline:
    """The uncompressed network on one split: what every measurement is paired with.

    Parameters
    ----------
    network : Network
    dataset : Dataset
    split : str, optional
        By default `judged_on` that network.
    score_name : str, optional
        One of those that the dataset's problem offers; by default the usual one.
    decision : str, optional
        As `Problem.deciding` takes it.
    part_of : (Baseline, array of int), optional
        Of another one only the rows at these places: see `part`.
    """

    network: Network
    dataset: Dataset
    split: str = ""
    score_name: str = ""
    decision: str = ""
    part_of: tuple[Baseline, npt.NDArray[np.intp]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "split", self.split or judged_on(self.network))

    @cached_property
    def problem(self) -> Problem:
        return self.dataset.problem.deciding(self.decision)

    @cached_property
    def score(self) -> Score:
        """What quality is judged by."""
        name = self.score_name
        return self.problem.score(name) if name else self.problem.scores[0]

    @property
    def counts_largest(self) -> bool:
        """Whether quality is accuracy of the class with the largest score: a matter of counting."""
        return self.score.name == USUAL and self.problem.takes_largest

    def part(self, places: npt.NDArray[np.intp]) -> Baseline:
        """The same on some of the rows."""
        return replace(self, part_of=(self, places))

    @cached_property
    def rows(self) -> Rows:
        if self.part_of is None:
            return self.dataset.rows(self.split)
        whole, places = self.part_of
        return whole.rows.at(places)

    @property
    def targets(self) -> Targets:
        """Those of the rows, or, where there are none, the network's own outputs."""
        return self.outputs if self.problem.targets == "outputs" else self.rows.y

    @cached_property
    def artifact(self) -> Artifact:
        if self.part_of is not None:
            return self.part_of[0].artifact
        return compress(self.network, Recipe(), None)  # training rows are many, and not needed

    @cached_property
    def outputs(self) -> FloatArray:
        """What the network gives for its rows, of shape (n, outputs)."""
        if self.part_of is not None:
            whole, places = self.part_of
            if "outputs" in vars(whole) or not isinstance(self.network, InPlace):
                return whole.outputs[places]  # else of a few rows only these, not to wait for all
        if isinstance(self.network, InPlace):  # with the same operators and weights in its file
            return outputs_of(self.network.onnx_bytes, self.rows)
        return outputs_of(self.artifact.onnx_bytes, self.rows)

    @cached_property
    def predicted(self) -> Predicted:
        return self.problem.predict(self.outputs)

    @property
    def predictions(self) -> Labels:
        """The classes that the network decides for."""
        return self.predicted.classes

    def difference(self, outputs: FloatArray) -> Difference:
        """The change alone, of a file that gives these outputs for the rows."""
        return self.score.difference(self.problem.predict(outputs), self.predicted, self.targets)

    @cached_property
    def value(self) -> float:
        """What the uncompressed network scores."""
        return self.score.figure(self.predicted, self.targets).value

    def judge(self, outputs: FloatArray) -> dict[str, Any]:
        """Score, quality, change and labels of a file that gives these outputs for the rows."""
        now = self.problem.predict(outputs)
        return {
            "score": self.score.name,
            "decision": self.decision,
            "quality": self.score.figure(now, self.targets),
            "change": self.score.difference(now, self.predicted, self.targets),
            "predictions": now.labels,
        }

    @cached_property
    def session(self) -> OnnxRuntime:
        return OnnxRuntime(self.artifact.onnx_bytes, threads=1)

    def batch(self, size: int) -> FloatArray:
        """`size` rows to time with; rows repeat where the split has fewer."""
        return np.ascontiguousarray(self.rows.at(np.arange(size) % len(self.rows)).X)


def outputs_of(onnx_bytes: bytes, rows: Rows) -> FloatArray:
    """What a file gives for rows, of shape (n, outputs)."""
    runtime = OnnxRuntime(onnx_bytes)
    return np.concatenate([runtime.scores(X) for X in rows.chunks()])


def takes_long(network: Network, n_rows: int) -> bool:
    """Whether to run a network on so many rows takes seconds, as far as its rows' size tells."""
    return n_rows > FIRST_ROWS and n_rows * network.n_features > _MOST_AT_ONCE


@lru_cache(maxsize=8)  # what the uncompressed network gives for them is found once
def first_rows(baseline: Baseline) -> Baseline:
    """Of rows that would take long some from all over them: what a first look is judged by."""
    n = len(baseline.rows)
    if not isinstance(baseline.network, InPlace) or not takes_long(baseline.network, n):
        return baseline
    return baseline.part(np.unique(np.linspace(0, n - 1, FIRST_ROWS).round().astype(np.intp)))


def usual_loss(baseline: Baseline) -> float:
    """How much is asked about where nothing is said, in the score's unit: half a point of a share,
    else 1 % of what the uncompressed network scores, to one digit."""
    if baseline.score.unit == "%":
        return 0.005
    return float(f"{abs(baseline.value) / 100:.1g}") or 0.01


def measure(
    artifact: Artifact,
    data: Dataset,
    split: str | None = None,
    *,
    batches: Sequence[int] | None = None,
    baseline: Baseline | None = None,
) -> Measured:
    """Measure an artifact: accuracy, sizes, and time in turn with the uncompressed network.

    Parameters
    ----------
    artifact : Artifact
    data : Dataset
    split : str, optional
        The rows to score; by default those that choices are made on (`judged_on`). Read "test"
        once, for what was chosen.
    batches : sequence of int, optional
        Batch sizes to time; by default 1, 16 and 256, fewer where rows are large. None skips it.
    baseline : Baseline, optional
        To share between measurements of one network.
    """
    baseline = baseline or Baseline(artifact.network, data, split or "")
    measurement = score(artifact, baseline)
    for batch in batches_for(artifact.network.n_features) if batches is None else batches:
        measurement = with_latency(measurement, artifact, baseline, batch)
    return with_gzip(measurement, artifact)


def score(artifact: Artifact, baseline: Baseline) -> Measured:
    """Quality and file size of an artifact, by running it; the zipped size of small files too."""
    outputs = outputs_of(artifact.onnx_bytes, baseline.rows)
    return Measured(**_figures(artifact, baseline, outputs), artifact_sha256=artifact.sha256)


def compute(network: Network, recipe: Recipe, baseline: Baseline) -> tuple[Draft, Computed]:
    """The same by numpy's float arithmetic on the values in the file, without running it.

    Returns the draft, too. The accuracy differs from the measured one where the
    file runs through fused kernels, by at most `paretoscope.artifact.artifact.FUSED_APART`
    of the labels.
    """
    draft = make_draft(network, recipe, baseline.dataset.train, baseline.dataset.validation)
    if isinstance(network, InPlace):  # which nothing but the runtime could compute
        same = recipe == Recipe()
        outputs = baseline.outputs if same else outputs_of(draft.onnx_bytes, baseline.rows)
    else:
        outputs = draft.scores(baseline.rows.X)
    return draft, computed_of(draft, baseline, outputs)


def computed_of(
    draft: Draft,
    baseline: Baseline,
    outputs: FloatArray,
    *,
    entropy: float | None = None,
) -> Computed:
    """What is said of a draft that gives these outputs for the baseline's rows; the entropy of its
    codes may be given."""
    network, plain = draft.network, draft.recipe == Recipe()
    figures = _figures(draft, baseline, outputs)
    large = isinstance(network, InPlace) and draft.sizes.file > _ESTIMATED_BYTES
    if large and plain and network.brought is not None:
        figures["gzip_bytes"] = network.brought[1]  # zipped when it came, which takes long enough
    elif large:
        figures |= {"gzip_bytes": draft.sizes.gzip_estimate, "gzip_is_estimate": True}
    if not (large and plain):
        codes = draft.stored.codes.values()
        figures["entropy_bytes"] = (
            sum(entropy_bytes(c.values) for c in codes) if entropy is None else entropy
        )
    return Computed(**figures, draft_sha256=draft.sha256 if draft.onnx_bytes else None)


def with_latency(
    measurement: Measured,
    artifact: Artifact,
    baseline: Baseline,
    batch: int,
    rounds: int = ROUNDS,
) -> Measured:
    """The measurement with the time at one batch size."""
    if not isinstance(batch, int) or batch < 1:
        raise ParetoscopeError(f"batch must be a whole number from 1 on; got {batch!r}")
    X = baseline.batch(batch)
    ours = OnnxRuntime(artifact.onnx_bytes, threads=1).caller(X)
    latency = measure_latency(ours, baseline.session.caller(X), batch, rounds=rounds)
    others = tuple(la for la in measurement.latencies if la.batch != batch)
    return replace(measurement, latencies=(*others, latency))


def with_gzip(measurement: M, file: Draft) -> M:
    """The measurement with the zipped size."""
    return replace(measurement, gzip_bytes=file.sizes.gzip, gzip_is_estimate=False)


def as_brought(measurement: Measurement, network: Network) -> Measurement:
    """The uncompressed network's measurement with the sizes of the file that was brought, which
    may hold its weights in fewer bits; times are of the float32 network all the same."""
    if network.brought is None:
        return measurement
    size, zipped = network.brought
    return replace(measurement, size_bytes=size, gzip_bytes=zipped, gzip_is_estimate=False)


def _figures(file: Draft, baseline: Baseline, outputs: FloatArray) -> dict[str, Any]:
    """What is said of a file by its outputs for the rows, whoever gave these."""
    return {
        "recipe": file.recipe,
        "network_sha256": file.network.sha256,
        "dataset": public_name(baseline.dataset.name),
        "split": baseline.split,
        "split_seed": baseline.dataset.seed,
        "seed": int(file.network.metadata.get("seed", 0)),
        "size_bytes": file.sizes.file,
        "gzip_bytes": file.sizes.gzip if file.sizes.file <= _ZIP_AT_ONCE_BYTES else None,
        "sparsity": float(file.sparsity),
        "bits": tuple((name, c.bits, c.storage) for name, c in file.stored.codes.items()),
    } | baseline.judge(outputs)
