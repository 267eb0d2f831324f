"""Confirming a choice on the test rows, and the record of how often they were read.

Rows that one chooses on flatter what is chosen. Test rows stay honest as long as they are read for
a choice already made; each further reading makes them a little more like validation rows, so every
reading is counted, by dataset and network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from filelock import FileLock

from paretoscope.base.store import Store, default_store, sha256
from paretoscope.data.dataset import Dataset
from paretoscope.measurement.measurement import (
    USUAL,
    Baseline,
    difference_of,
    figure_of,
    outputs_of,
)
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from paretoscope.problems.accuracy import Difference, Figure
from paretoscope.problems.figure import to_plain


@dataclass(frozen=True)
class Confirmation:
    """What a file scored on the test rows, and by which score. `date` is when they were read."""

    recipe: str
    artifact_sha256: str
    quality: Figure
    change: Difference
    date: str
    score: str = USUAL
    decision: str = ""


def confirmations(
    network: Network, data: Dataset, *, store: Store | None = None
) -> list[Confirmation]:
    """Every reading of the dataset's test rows for this network, in order."""
    kept = (store or default_store()).find(_key(network, data))
    if kept is None:
        return []
    return [_of_json(plain) for plain in json.loads(kept)]


def confirm(
    onnx_bytes: bytes,
    recipe: Recipe,
    network: Network,
    data: Dataset,
    *,
    score: str = "",
    decision: str = "",
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
    score : str, optional
        What it is judged by; by default the usual score of the dataset's problem.
    decision : str, optional
        As `Problem.deciding` takes it.
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
        baseline = Baseline(network, data, "test", score, decision)
        read = {(r.artifact_sha256, r.score, r.decision) for r in known}
        if (name, baseline.score.name, decision) in read:
            return known
        found = baseline.judge(outputs_of(onnx_bytes, data.test))
        date = datetime.now(UTC).isoformat(timespec="seconds")
        figures = found["quality"], found["change"], date, found["score"], decision
        known.append(Confirmation(str(recipe), name, *figures))
        store.keep(_key(network, data), _as_json(known))
        return known


def _as_json(known: Sequence[Confirmation]) -> bytes:
    return json.dumps([_plain(reading) for reading in known]).encode()


def _plain(reading: Confirmation) -> dict[str, Any]:
    figures = {"quality": to_plain(reading.quality), "change": to_plain(reading.change)}
    return vars(reading) | figures


def _of_json(plain: Mapping[str, Any]) -> Confirmation:
    """Records of before there were other scores hold an "accuracy"."""
    given = dict(plain)
    quality = figure_of(given.pop("accuracy", None) or given["quality"])
    return Confirmation(**given | {"quality": quality, "change": difference_of(given["change"])})


def _key(network: Network, data: Dataset) -> str:
    return f"readings of the test rows of {data.sha256} for {network.sha256}"
