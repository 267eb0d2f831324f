"""Provenance: what a file says of itself, and the record of figures that lies beside it.

What is deterministic is in the file's own metadata and counted in its size: dataset, model, seeds,
recipe, version, and the first digits of the hashes of dataset and network. What depends on day and
machine, and the figures, is in a JSON file of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import SHORT_SHA, sha256
from paretoscope.data.dataset import load_dataset
from paretoscope.data.own_data import named_publicly
from paretoscope.measurement.measurement import Measured, environment, outputs_of
from paretoscope.methods.recipe import Recipe
from paretoscope.network.in_place import read_network
from paretoscope.problems.accuracy import Accuracy, Figure

_FORMAT = 1
_NEEDED = ("dataset", "split_seed", "model", "seed", "recipe")


@dataclass(frozen=True)
class Origin:
    """What a file's metadata say it was made of. Hashes are their first 16 digits, or ""."""

    dataset: str
    split_seed: int
    model: str
    seed: int
    recipe: Recipe
    dataset_sha256: str
    network_sha256: str


@dataclass(frozen=True)
class Remeasured:
    """A file's quality here, and as recorded where it was made.

    `recorded` is None without a record; `why` says in sentences what can make the two differ.
    """

    origin: Origin
    score: str
    here: Figure
    recorded: Measured | None
    why: tuple[str, ...]


def origin(onnx_bytes: bytes) -> Origin:
    """Read what a file was made of.

    Raises
    ------
    ParetoscopeError
        No ONNX model, or one that does not say.
    """
    found = dict(read_network(onnx_bytes).metadata)
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise ParetoscopeError(
            f"the file does not say what it was made of: its metadata lack {', '.join(missing)}"
        )
    for name in ("split_seed", "seed"):
        if not found[name].isdecimal():
            raise ParetoscopeError(f"the file's {name} must be a number; got {found[name]!r}")
    return Origin(
        found["dataset"],
        int(found["split_seed"]),
        found["model"],
        int(found["seed"]),
        Recipe.parse(found["recipe"]),
        found.get("dataset_sha256", ""),
        found.get("network_sha256", ""),
    )


def _recorded_origin(m: Measured) -> Origin:
    """What the record says of a file of a model that was brought: the file itself does not say."""
    name = "a model that was brought"
    return Origin(m.dataset, m.split_seed, name, m.seed, m.recipe, "", m.network_sha256[:SHORT_SHA])


def to_json(measurement: Measured) -> bytes:
    """The record of figures that lies beside a file."""
    plain = {"record": _FORMAT, "measurement": measurement.to_dict()}
    return json.dumps(plain, indent=1).encode()


def from_json(data: bytes) -> Measured:
    """The figures in a record.

    Raises
    ------
    ParetoscopeError
        The bytes are no record of this version.
    """
    try:
        plain = json.loads(data)
        if not isinstance(plain, Mapping) or plain.get("record") != _FORMAT:
            raise ParetoscopeError("the record beside the file is of another version, or is none")
        return Measured.from_dict(plain["measurement"])
    except ParetoscopeError:
        raise
    except Exception as error:  # whatever somebody's JSON leads to
        raise ParetoscopeError(f"the record beside the file cannot be read: {error}") from error


def record_path(path: Path) -> Path:
    """Where the record of a file lies."""
    return path.with_suffix(".json")


def remeasure(path: Path) -> Remeasured:
    """Run a file on the validation rows that it names, and compare with its record.

    Raises
    ------
    ParetoscopeError
        The file cannot be read or run, its dataset is not here, or its record is of another file.
    """
    try:
        onnx_bytes = path.read_bytes()
        beside = record_path(path).read_bytes() if record_path(path).is_file() else None
    except OSError as error:
        raise ParetoscopeError(f"cannot read {path}: {error.strerror}") from error
    says = read_network(onnx_bytes).metadata
    recorded = None if beside is None else from_json(beside)
    if recorded is not None and recorded.artifact_sha256 != sha256(onnx_bytes):
        raise ParetoscopeError(f"{record_path(path)} is the record of another file than {path}")
    if recorded is None or "dataset" in says:
        found = origin(onnx_bytes)
    else:
        found = _recorded_origin(recorded)
    data = load_dataset(named_publicly(found.dataset), found.split_seed)
    if data.problem.targets == "outputs":
        raise ParetoscopeError(
            f"{path} was judged by its agreement with the uncompressed model, which is not in it"
        )
    rows = data.rows(recorded.split if recorded is not None else "validation")
    try:
        problem = data.problem.deciding("" if recorded is None else recorded.decision)
        predicted = problem.predict(outputs_of(onnx_bytes, rows))
    except ParetoscopeError:
        raise
    except Exception as error:  # the runtime's errors share no base class but Exception
        raise ParetoscopeError(f"{path} does not run on {found.dataset}: {error}") from error
    score = problem.scores[0] if recorded is None else problem.score(recorded.score)
    here = score.figure(predicted, rows.y)
    same_data = found.dataset_sha256 in ("", data.sha256[:SHORT_SHA])
    return Remeasured(
        found, score.name, here, recorded, tuple(_why(here, recorded, same_data=same_data))
    )


def _why(here: Figure, recorded: Measured | None, *, same_data: bool) -> list[str]:
    """What can make the quality here another than the recorded one."""
    told = []
    if not same_data:
        told.append(
            "The data differ: this machine's dataset has another hash than the one the file was "
            "made with, so the rows are not the same."
        )
    if recorded is None:
        return told
    if here == recorded.quality:
        counted = isinstance(here, Accuracy)
        same = "count the same rows as right" if counted else "find the same figure"
        return [*told, f"Both machines {same}."]
    now, then = environment(), recorded.environment
    if now.cpu != then.cpu:
        told.append(
            f"The processors differ ({then.cpu} there, {now.cpu} here): where layers "
            "run by integer kernels, their rounding can change some labels."
        )
    if now.onnxruntime != then.onnxruntime:
        told.append(
            f"ONNX Runtime differs ({then.onnxruntime} there, {now.onnxruntime} here), and with it "
            "its kernels."
        )
    if not told:
        told.append("Neither data, processor nor runtime differ by what is recorded.")
    return told
