"""Confirming a choice on the test rows, and the record of how often they were read.

Rows that one chooses on flatter what is chosen. Test rows stay honest as long as they are read for
a choice already made; each further reading makes them a little more like validation rows, so every
reading is counted, by dataset and network.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from filelock import FileLock

from paretoscope.artifact.artifact import compress
from paretoscope.artifact.runtimes import OnnxRuntime
from paretoscope.base.store import Store, default_store, sha256
from paretoscope.data.dataset import Dataset
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from paretoscope.problems.accuracy import Accuracy, Change, accuracy, change


@dataclass(frozen=True)
class Confirmation:
    """What a file scored on the test rows. `date` is when they were read, in UTC."""

    recipe: str
    artifact_sha256: str
    accuracy: Accuracy
    change: Change
    date: str


def confirmations(
    network: Network, data: Dataset, *, store: Store | None = None
) -> list[Confirmation]:
    """Every reading of the dataset's test rows for this network, in order."""
    kept = (store or default_store()).find(_key(network, data))
    if kept is None:
        return []
    return [
        Confirmation(
            **{
                **plain,
                "accuracy": Accuracy(**plain["accuracy"]),
                "change": Change.from_dict(plain["change"]),
            }
        )
        for plain in json.loads(kept)
    ]


def confirm(
    onnx_bytes: bytes,
    recipe: Recipe,
    network: Network,
    data: Dataset,
    *,
    store: Store | None = None,
) -> list[Confirmation]:
    """Run a file on the test rows, unless it was before, and keep the reading.

    Parameters
    ----------
    onnx_bytes : bytes
        The file that `recipe` made of `network`.
    recipe : Recipe
    network : Network
    data : Dataset
    store : Store, optional

    Returns
    -------
    list of Confirmation
        Every reading so far, this file's among them.
    """
    store = store or default_store()
    name = sha256(onnx_bytes)
    store.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(store.folder / "confirming.lock"):  # two readings at once would lose one
        known = confirmations(network, data, store=store)
        if any(reading.artifact_sha256 == name for reading in known):
            return known
        baseline = compress(network, Recipe(), data.train).onnx_bytes
        rows = data.test
        now, before = (OnnxRuntime(b).labels(rows.X) for b in (onnx_bytes, baseline))
        date = datetime.now(UTC).isoformat(timespec="seconds")
        found = accuracy(now, rows.y), change(now, before, rows.y)
        known.append(Confirmation(str(recipe), name, *found, date))
        store.keep(_key(network, data), _as_json(known))
        return known


def _as_json(known: Sequence[Confirmation]) -> bytes:
    return json.dumps([asdict(reading) for reading in known]).encode()


def _key(network: Network, data: Dataset) -> str:
    return f"readings of the test rows of {data.sha256} for {network.sha256}"
