from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import paretoscope as ps
import pytest
from paretoscope.artifact.artifact import FUSED_APART
from paretoscope.base.errors import ParetoscopeError
from paretoscope.measurement.measurement import Baseline, compute, measure, score
from paretoscope.network.network import Network

RECIPE = ps.Recipe.parse("magnitude(threshold=0.05)+q(8)")


@pytest.fixture(scope="module")
def artifact(mlp: Network, digits: ps.Dataset) -> ps.Artifact:
    return ps.compress(mlp, RECIPE, digits.train)


@pytest.fixture(scope="module")
def measured(artifact: ps.Artifact, digits: ps.Dataset) -> ps.Measurement:
    return measure(artifact, digits)


def test_the_file_reproduces_the_accuracy(
    artifact: ps.Artifact, measured: ps.Measurement, digits: ps.Dataset
) -> None:
    session = ort.InferenceSession(artifact.onnx_bytes, providers=["CPUExecutionProvider"])
    labels = session.run(None, {"features": digits.validation.X})[0].argmax(1)
    assert measured.accuracy.correct == np.count_nonzero(labels == digits.validation.y)
    assert measured.accuracy.n == 360
    assert measured.predictions is not None
    assert np.array_equal(measured.predictions, labels)
    assert measured.artifact_sha256 == artifact.sha256
    assert measured.size_bytes == len(artifact.onnx_bytes)
    assert measured.gzip_bytes == artifact.sizes.gzip


def test_the_change_is_paired_with_the_uncompressed_network(
    measured: ps.Measurement, mlp: Network, digits: ps.Dataset
) -> None:
    before = mlp.scores(digits.validation.X).argmax(1)
    y, now = digits.validation.y, measured.predictions
    assert measured.change.newly_wrong == np.count_nonzero((before == y) & (now != y))
    assert measured.change.newly_right == np.count_nonzero((before != y) & (now == y))


def test_both_batches_are_timed_beside_the_baseline(measured: ps.Measurement) -> None:
    assert [la.batch for la in measured.latencies] == [1, 16, 256]
    for latency in measured.latencies:
        assert len(latency.samples_us) == len(latency.baseline_us) == 15
        assert min(latency.samples_us) > 0
    assert measured.latency(7) is None


def test_a_network_that_was_brought_is_judged_on_all_rows_but_the_test(
    mlp: Network, digits: ps.Dataset
) -> None:
    brought = mlp.with_metadata(brought="1000,900")
    assert Baseline(mlp, digits).split == "validation"
    m = measure(ps.compress(brought, RECIPE, digits.train), digits, batches=())
    assert (m.split, m.accuracy.n) == ("open", len(digits.train) + len(digits.validation))
    (computed,) = ps.sweep(brought, digits, [RECIPE], measured="none")
    assert (computed.split, computed.accuracy.n) == (m.split, m.accuracy.n)
    assert measure(ps.compress(brought, RECIPE, None), digits, "test", batches=()).accuracy.n == 360


def test_the_test_rows_are_read_only_when_asked(artifact: ps.Artifact, digits: ps.Dataset) -> None:
    measured = measure(artifact, digits, "test", batches=())
    labels = ps.OnnxRuntime(artifact.onnx_bytes).scores(digits.test.X).argmax(1)
    assert measured.split == "test"
    assert measured.accuracy.correct == np.count_nonzero(labels == digits.test.y)
    with pytest.raises(ParetoscopeError, match="split must be one of"):
        measure(artifact, digits, "tests", batches=())


def test_choosing_never_reads_the_test_rows(mlp: Network) -> None:
    data = ps.load_dataset("digits")
    recipes = ps.grid(threshold=[0.0, 0.1], q=8)
    list(ps.sweep(mlp, data, recipes, batches=(1,)))
    assert "test" not in vars(data)
    assert "validation" in vars(data)


def test_json_round_trip(measured: ps.Measurement) -> None:
    plain = json.loads(json.dumps(measured.to_dict()))
    assert ps.Measurement.from_dict(plain) == replace(measured, predictions=None)


def test_a_row_is_flat_and_names_units(measured: ps.Measurement) -> None:
    row = measured.row()
    assert row["recipe"] == str(RECIPE)
    assert row["accuracy"] == measured.accuracy.correct / 360
    assert row["batch1_median_us"] == measured.latencies[0].median_us
    assert row["batch256_ratio"] == measured.latencies[2].ratio
    assert not any(isinstance(value, (list, dict, tuple)) for value in row.values())


@pytest.mark.parametrize("q", [1, 2, 8, 100])
def test_computed_and_measured_agree(q: int, lenet: Network, fashion: ps.Dataset) -> None:
    """The hollow point and the solid one: fused kernels may differ in a few labels."""
    baseline = Baseline(lenet, fashion)
    recipe = ps.Recipe(ps.Magnitude(threshold=0.03), ps.FixedPoint(q))
    drafted, computed = compute(lenet, recipe, baseline)
    artifact = ps.compress(lenet, recipe, fashion.train)
    measured = score(artifact, baseline)
    assert computed.computed
    assert not measured.computed
    assert drafted.onnx_bytes == artifact.onnx_bytes
    assert computed.size_bytes == measured.size_bytes
    assert computed.predictions is not None
    apart = np.mean(computed.predictions != measured.predictions)
    assert apart <= FUSED_APART


def test_small_networks_are_computed_exactly(mlp: Network, digits: ps.Dataset) -> None:
    baseline = Baseline(mlp, digits)
    for recipe in ps.grid(threshold=[0, 0.05, 0.2], q=[1, 8, 100, None]):
        _, computed = compute(mlp, recipe, baseline)
        measured = score(ps.compress(mlp, recipe, digits.train), baseline)
        assert computed.accuracy == measured.accuracy


@pytest.mark.parametrize("batch", [0, -1, 1.5])
def test_a_bad_batch(batch: float, artifact: ps.Artifact, digits: ps.Dataset) -> None:
    with pytest.raises(ParetoscopeError, match="batch must be a whole number from 1 on"):
        measure(artifact, digits, batches=(batch,))  # type: ignore[arg-type]


def test_records_of_before_open(mlp: Network, digits: ps.Dataset) -> None:
    """They say `broken` and `mended`, and all of them have a hash of a file and times."""
    baseline, recipe = Baseline(mlp, digits), ps.Recipe.parse("q(6)")
    _, computed = compute(mlp, recipe, baseline)
    measured = ps.measure(ps.compress(mlp, recipe, digits.train), digits, batches=(1,))
    for found, artifact in (
        (computed, computed.draft_sha256),
        (measured, measured.artifact_sha256),
    ):
        new = found.to_dict()
        new.pop("draft_sha256", None)
        old_change = {"broken": found.change.newly_wrong, "mended": found.change.newly_right}
        old = {"latencies": []} | new | {"artifact_sha256": artifact}
        old["change"] = old_change | {"n": found.change.n}
        assert ps.Measurement.from_dict(old) == found
    surface = {**old, "computed": True, "artifact_sha256": "", "latencies": []}
    assert ps.Measurement.from_dict(surface).file_sha256 is None
