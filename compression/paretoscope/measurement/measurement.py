"""A measurement: what a recipe's file scores, weighs and takes, beside the uncompressed network."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.artifact.artifact import Artifact, compress, draft_artifact
from paretoscope.artifact.quick_latency import BATCHES, ROUNDS, Latency, measure_latency
from paretoscope.artifact.runtimes import OnnxRuntime
from paretoscope.artifact.size_parts import entropy_bytes
from paretoscope.base.blas import processor
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.data.dataset import OPEN, Dataset, Rows, public_name
from paretoscope.measurement.accuracy import Accuracy, Change, accuracy, change
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network

_ZIP_AT_ONCE_BYTES = 64_000  # zipping less takes at most a few milliseconds

Predictions = npt.NDArray[np.int64]


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


@dataclass(frozen=True)
class Measurement:
    """One recipe on one network and split.

    Attributes
    ----------
    recipe : Recipe
    network_sha256, artifact_sha256 : str
    dataset, split : str
    split_seed, seed : int
        Of the split, and of the training.
    accuracy : Accuracy
        Of the file through ONNX Runtime; where `computed`, of numpy's float arithmetic on the
        values in the file, which was not run.
    change : Change
        Against the uncompressed network on the same rows.
    size_bytes, gzip_bytes : int
        The file as it lies on disk, and under gzip -9 (None: not yet known).
    entropy_bytes : float or None
        The zero-order entropy bound of the stored weights, where `computed`.
    sparsity : float
        Share of the stored weights that is zero.
    bits : tuple of (layer, bits a code needs, type it is stored in)
    latencies : tuple of Latency
        One for each batch size that was timed, on one thread.
    date : str
        The day, in UTC.
    """

    recipe: Recipe
    network_sha256: str
    artifact_sha256: str
    dataset: str
    split: str
    accuracy: Accuracy
    change: Change
    size_bytes: int
    sparsity: float
    bits: tuple[tuple[str, int, str], ...]
    computed: bool = False
    gzip_bytes: int | None = None
    entropy_bytes: float | None = None
    latencies: tuple[Latency, ...] = ()
    split_seed: int = 0
    seed: int = 0
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat(), compare=False)
    environment: Environment = field(default_factory=environment)
    predictions: Predictions | None = field(default=None, repr=False, compare=False)

    def latency(self, batch: int = 1) -> Latency | None:
        """The latency at a batch size, or None where it was not timed."""
        return next((la for la in self.latencies if la.batch == batch), None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, without the predictions. `from_dict` is its inverse."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "predictions"}
        return plain | {
            "recipe": str(self.recipe),
            "accuracy": asdict(self.accuracy),
            "change": asdict(self.change),
            "latencies": [asdict(latency) for latency in self.latencies],
            "environment": asdict(self.environment),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Measurement:
        return cls(
            **{
                **plain,
                "recipe": Recipe.parse(plain["recipe"]),
                "accuracy": Accuracy(**plain["accuracy"]),
                "change": Change.from_dict(plain["change"]),
                "bits": tuple((name, bits, storage) for name, bits, storage in plain["bits"]),
                "latencies": tuple(
                    Latency(la["batch"], tuple(la["samples_us"]), tuple(la["baseline_us"]))
                    for la in plain["latencies"]
                ),
                "environment": Environment(**plain["environment"]),
            }
        )

    def row(self) -> dict[str, Any]:
        """Flat, for tables: one column a figure, with its unit in the name."""
        low, high = self.accuracy.interval
        change_low, change_high = self.change.interval
        flat: dict[str, Any] = {
            "recipe": str(self.recipe),
            "dataset": self.dataset,
            "split": self.split,
            "split_seed": self.split_seed,
            "seed": self.seed,
            "n": self.accuracy.n,
            "correct": self.accuracy.correct,
            "accuracy": self.accuracy.value,
            "accuracy_low": low,
            "accuracy_high": high,
            "change": self.change.value,
            "change_low": change_low,
            "change_high": change_high,
            "broken": self.change.newly_wrong,  # columns keep their names: notebooks know them
            "mended": self.change.newly_right,
            "computed": self.computed,
            "sparsity": self.sparsity,
            "size_bytes": self.size_bytes,
            "gzip_bytes": self.gzip_bytes,
            "entropy_bytes": self.entropy_bytes,
        }
        for latency in self.latencies:
            name = f"batch{latency.batch}"
            flat[f"{name}_median_us"] = latency.median_us
            flat[f"{name}_q1_us"], flat[f"{name}_q3_us"] = latency.quartiles_us
            flat[f"{name}_ratio"] = latency.ratio
            flat[f"{name}_ratio_low"], flat[f"{name}_ratio_high"] = latency.ratio_interval
        flat["network_sha256"] = self.network_sha256
        flat["artifact_sha256"] = self.artifact_sha256
        flat |= {"date": self.date, "threads": 1}
        return flat | asdict(self.environment)


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
    """

    network: Network
    dataset: Dataset
    split: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "split", self.split or judged_on(self.network))

    @cached_property
    def rows(self) -> Rows:
        return self.dataset.rows(self.split)

    @cached_property
    def artifact(self) -> Artifact:
        return compress(self.network, Recipe(), None)  # training rows are many, and not needed

    @cached_property
    def predictions(self) -> Predictions:
        return _predict(self.artifact.onnx_bytes, self.rows.X)

    @cached_property
    def session(self) -> OnnxRuntime:
        return OnnxRuntime(self.artifact.onnx_bytes, threads=1)

    def batch(self, size: int) -> FloatArray:
        """`size` rows to time with; rows repeat where the split has fewer."""
        return np.ascontiguousarray(np.resize(self.rows.X, (size, self.rows.X.shape[1])))


def measure(
    artifact: Artifact,
    data: Dataset,
    split: str | None = None,
    *,
    batches: Sequence[int] = BATCHES,
    baseline: Baseline | None = None,
) -> Measurement:
    """Measure an artifact: accuracy, sizes, and time in turn with the uncompressed network.

    Parameters
    ----------
    artifact : Artifact
    data : Dataset
    split : str, optional
        The rows to score; by default those that choices are made on (`judged_on`). Read "test"
        once, for what was chosen.
    batches : sequence of int, default (1, 16, 256)
        Batch sizes to time; none skips timing.
    baseline : Baseline, optional
        To share between measurements of one network.
    """
    baseline = baseline or Baseline(artifact.network, data, split or "")
    measurement = score(artifact, baseline)
    for batch in batches:
        measurement = with_latency(measurement, artifact, baseline, batch)
    return with_gzip(measurement, artifact)


def score(artifact: Artifact, baseline: Baseline) -> Measurement:
    """Accuracy and file size of an artifact, by running it; the zipped size of small files too."""
    predictions = _predict(artifact.onnx_bytes, baseline.rows.X)
    return _measurement(artifact, baseline, predictions, computed=False)


def compute(network: Network, recipe: Recipe, baseline: Baseline) -> tuple[Artifact, Measurement]:
    """The same by numpy's float arithmetic on the values in the file, without running it.

    Returns the file that was not run, too. The accuracy differs from the measured one where the
    file runs through fused kernels, by at most `paretoscope.artifact.artifact.FUSED_LABELS_APART`
    of the labels.
    """
    draft = draft_artifact(network, recipe, baseline.dataset.train, baseline.dataset.validation)
    predictions = draft.scores(baseline.rows.X).argmax(1)
    computed = _measurement(draft, baseline, predictions, computed=True)
    entropy = sum(entropy_bytes(codes.values) for codes in draft.stored.codes.values())
    return draft, replace(computed, entropy_bytes=entropy)


def with_latency(
    measurement: Measurement,
    artifact: Artifact,
    baseline: Baseline,
    batch: int,
    rounds: int = ROUNDS,
) -> Measurement:
    """The measurement with the time at one batch size."""
    if not isinstance(batch, int) or batch < 1:
        raise ParetoscopeError(f"batch must be a whole number from 1 on; got {batch!r}")
    X = baseline.batch(batch)
    ours = OnnxRuntime(artifact.onnx_bytes, threads=1).caller(X)
    latency = measure_latency(ours, baseline.session.caller(X), batch, rounds=rounds)
    others = tuple(la for la in measurement.latencies if la.batch != batch)
    return replace(measurement, latencies=(*others, latency))


def with_gzip(measurement: Measurement, artifact: Artifact) -> Measurement:
    """The measurement with the zipped size."""
    return replace(measurement, gzip_bytes=artifact.sizes.gzip)


def as_brought(measurement: Measurement, network: Network) -> Measurement:
    """The uncompressed network's measurement with the sizes of the file that was brought, which
    may hold its weights in fewer bits; times are of the float32 network all the same."""
    if network.brought is None:
        return measurement
    size, zipped = network.brought
    return replace(measurement, size_bytes=size, gzip_bytes=zipped)


def _measurement(
    artifact: Artifact, baseline: Baseline, predictions: Predictions, *, computed: bool
) -> Measurement:
    y = baseline.rows.y
    return Measurement(
        recipe=artifact.recipe,
        network_sha256=artifact.network.sha256,
        artifact_sha256=artifact.sha256,
        dataset=public_name(baseline.dataset.name),
        split=baseline.split,
        split_seed=baseline.dataset.seed,
        seed=int(artifact.network.metadata.get("seed", 0)),
        accuracy=accuracy(predictions, y),
        change=change(predictions, baseline.predictions, y),
        size_bytes=artifact.sizes.file,
        gzip_bytes=artifact.sizes.gzip if artifact.sizes.file <= _ZIP_AT_ONCE_BYTES else None,
        sparsity=float(artifact.sparsity),
        bits=tuple((name, c.bits, c.storage) for name, c in artifact.stored.codes.items()),
        computed=computed,
        predictions=predictions,
    )


def _predict(onnx_bytes: bytes, X: FloatArray) -> Predictions:
    predicted: Predictions = OnnxRuntime(onnx_bytes).scores(X).argmax(1)
    return predicted
