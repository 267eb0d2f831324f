"""What jobs do for the Evidence page."""

from __future__ import annotations

import base64
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.base.encoding import decode, encode
from paretoscope.base.store import default_store
from paretoscope.cli import results, tasks
from paretoscope.cli.results import ROWS, SIZES, RowsResult, SearchResult
from paretoscope.cli.tasks import find_result
from paretoscope.measurement.classes import recalls
from paretoscope.measurement.confirmation import confirmations
from paretoscope.measurement.latency_protocol import Timing, time_by_protocol
from paretoscope.measurement.measurement import Baseline, compute
from paretoscope.network.network import Network

from tests.conftest import give, trained

RECIPE = "magnitude(sparsity=0.6)+q(4)"
ARGUMENTS = {
    "dataset": "digits", "split_seed": 0, "model": "mlp-64-32", "seed": 0, "recipe": RECIPE,
}  # fmt: skip


def _ignore(message: object) -> None:
    pass


@pytest.fixture(autouse=True)
def _trained(mlp: Network) -> None:
    tasks._baseline.cache_clear()


def test_rows_are_those_of_the_file(mlp: Network, digits: ps.Dataset) -> None:
    result = decode(RowsResult, tasks.rows_task(ARGUMENTS, _ignore))
    artifact = ps.compress(mlp, ps.Recipe.parse(RECIPE), digits.train)
    rows = digits.validation
    now = ps.OnnxRuntime(artifact.onnx_bytes).scores(rows.X).argmax(1)
    before = mlp.scores(rows.X).argmax(1)
    assert list(result.recalls) == recalls(now, before, rows.y, digits.class_names)
    for row, actual, was, is_now in result.newly_wrong.shown:
        assert (rows.y[row], before[row], now[row]) == (actual, was, is_now)
        assert actual == was != is_now
    flipped = result.newly_wrong.n + result.newly_right.n + result.other.n
    assert flipped == np.count_nonzero(now != before)


def test_results_are_found_again_and_only_for_what_was_asked(mlp: Network) -> None:
    asked = ARGUMENTS | {"recipe": "q(7)"}
    result = tasks.rows_task(asked, _ignore)
    assert find_result(ROWS, asked, Network(mlp.onnx_bytes)) == decode(RowsResult, result)
    assert find_result(SIZES, asked, mlp) is None
    assert find_result(ROWS, asked | {"recipe": "q(6.5)"}, mlp) is None
    assert find_result(ROWS, asked, trained("digits", "cnn")) is None


def test_seeds_split_and_train_anew(mlp: Network, digits: ps.Dataset) -> None:
    told: list[Any] = []
    result = tasks.seeds_task(ARGUMENTS | {"seeds": 2}, told.append)
    first, second = (ps.Measurement.from_dict(plain) for plain in result["measurements"])
    artifact = ps.compress(mlp, ps.Recipe.parse(RECIPE), digits.train)
    expected = ps.measure(artifact, digits, batches=())
    assert first == expected
    assert (second.seed, second.split_seed) == (1, 1)
    data = ps.load_dataset("digits", 1)
    network = ps.train("mlp-64-32", data, 1)
    assert second.network_sha256 == network.sha256 != first.network_sha256
    fractions = [message["fraction"] for message in told]
    assert fractions == sorted(fractions)


def test_a_trained_file_is_the_kept_one(home: Path, mlp: Network, digits: ps.Dataset) -> None:
    """Arguments name it by its hash, and the recipe is not carried out again."""
    give("digits", "mlp-64-32")
    artifact = ps.compress(mlp, ps.Recipe.parse("q(2)"), digits.train)
    sha = default_store().keep("some file", artifact.onnx_bytes)
    arguments = ARGUMENTS | {"recipe": "finetune(epochs=500)", "artifact_sha256": sha}
    result = tasks.rows_task(arguments, _ignore)
    correct = sum(r.now.correct for r in decode(RowsResult, result).recalls)
    labels = ps.OnnxRuntime(artifact.onnx_bytes).scores(digits.validation.X).argmax(1)
    assert correct == np.count_nonzero(labels == digits.validation.y)


def test_confirming_keeps_its_reading(home: Path, mlp: Network, digits: ps.Dataset) -> None:
    give("digits", "mlp-64-32")
    assert tasks.confirm_task(ARGUMENTS, _ignore) == {}
    assert [r.recipe for r in confirmations(mlp, digits)] == [RECIPE]


def test_time_and_robustness_come_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    few = partial(time_by_protocol, processes=2, rounds=2)
    monkeypatch.setattr(tasks, "time_by_protocol", few)
    timed = tasks.timing_task(
        ARGUMENTS | {"runtime": "onnxruntime", "against": "onnxruntime"}, _ignore
    )
    found = [Timing.from_dict(plain) for plain in timed["timings"]]
    assert [t.what for t in found] == ["batch 1", "batch 16", "batch 256", "cold", "load"]
    points = tasks.robustness_task(ARGUMENTS, _ignore)
    assert points["n"] == 360
    assert {p["corruption"] for p in points["points"]} == {"noise", "shift", "rotation", "blur"}


def test_every_task_that_is_named_is_there() -> None:
    named = [task for task in vars(results).values() if isinstance(task, results.Task)]
    assert len(named) >= 8
    for task in named:
        assert callable(getattr(tasks, task.name))


def test_a_record_comes_back_as_it_was(mlp: Network, digits: ps.Dataset) -> None:
    recipe = ps.Recipe.parse(RECIPE)
    measured = ps.measure(ps.compress(mlp, recipe, digits.train), digits, batches=(1,))
    _, computed = compute(mlp, recipe, Baseline(mlp, digits))
    near = results.NearMiss(RECIPE, measured.change)
    for best in (measured, None):
        record = SearchResult(best, (near,), (measured,), 3, 1.5, 360, (computed,))
        assert decode(SearchResult, json.loads(json.dumps(encode(record)))) == record


@pytest.mark.parametrize("recipe", [RECIPE, "magnitude(sparsity=0.6)"])
def test_a_layer_is_told_as_its_file_holds_it(
    mlp: Network, digits: ps.Dataset, recipe: str
) -> None:
    found = tasks.layer_task(ARGUMENTS | {"recipe": recipe, "layer": "dense2"}, _ignore)
    artifact = ps.compress(mlp, ps.Recipe.parse(recipe), digits.train)
    codes = artifact.stored.codes["dense2"]
    assert found["storage"] == codes.storage
    if recipe == RECIPE:
        values = codes.values.ravel().tolist()
        told = dict(zip(found["values"], found["counts"], strict=True))
        assert told == {value: values.count(value) for value in set(values)}
    else:
        assert found["values"] == found["counts"] == []
    bits = np.unpackbits(np.frombuffer(base64.b64decode(found["kept"]), np.uint8))
    kept = np.abs(mlp.weights["dense2"]) > 0
    kept &= np.broadcast_to(artifact.cut.kept["dense2"], kept.shape)
    assert found["shape"] == list(kept.shape)
    assert np.array_equal(bits[: kept.size].reshape(kept.shape), kept)


def test_a_file_is_made_and_found_in_the_store(mlp: Network, digits: ps.Dataset) -> None:
    name = tasks.file_task(ARGUMENTS, _ignore)["sha256"]
    artifact = ps.compress(mlp, ps.Recipe.parse(RECIPE), digits.train)
    assert default_store().read(name) == artifact.onnx_bytes
