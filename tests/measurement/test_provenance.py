"""What a file says of itself, and the record beside it."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import paretoscope as ps
import pytest
from paretoscope.__main__ import main
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import load_dataset
from paretoscope.data.own_data import keep_own
from paretoscope.data.rows import Raw
from paretoscope.measurement.provenance import from_json, origin, record_path, remeasure, to_json
from paretoscope.network.network import Network

from tests.conftest import load

RECIPE = "magnitude(sparsity=0.6)+q(4)"


@pytest.fixture
def kept(mlp: Network, digits: ps.Dataset, tmp_path: Path) -> Path:
    artifact = ps.compress(mlp, ps.Recipe.parse(RECIPE), digits.train)
    path = tmp_path / "small.onnx"
    path.write_bytes(artifact.onnx_bytes)
    record_path(path).write_bytes(to_json(ps.measure(artifact, digits, batches=[1])))
    return path


def _change_record(path: Path, **environment: str) -> None:
    plain = json.loads(record_path(path).read_bytes())
    plain["measurement"]["environment"].update(environment)
    plain["measurement"]["quality"]["correct"] -= 1
    record_path(path).write_text(json.dumps(plain))


def test_a_file_says_what_it_was_made_of(kept: Path, mlp: Network, digits: ps.Dataset) -> None:
    found = origin(kept.read_bytes())
    assert (found.dataset, found.split_seed, found.model, found.seed) == (
        "digits", 0, "mlp-64-32", 0,
    )  # fmt: skip
    assert str(found.recipe) == RECIPE
    assert digits.sha256.startswith(found.dataset_sha256)
    assert mlp.sha256.startswith(found.network_sha256)
    assert len(found.dataset_sha256) == len(found.network_sha256) == 16
    model = onnx.load_model_from_string(kept.read_bytes())
    assert model.producer_version == "0.1.0"


def test_making_it_again_gives_the_same_bytes(kept: Path) -> None:
    found = origin(kept.read_bytes())
    data = ps.load_dataset(found.dataset, found.split_seed)
    network = ps.train(found.model, data, found.seed)
    assert ps.compress(network, found.recipe, data.train).onnx_bytes == kept.read_bytes()


def test_a_record_survives_json(mlp: Network, digits: ps.Dataset) -> None:
    measurement = ps.measure(ps.compress(mlp, ps.Recipe.parse(RECIPE), digits.train), digits)
    again = from_json(to_json(measurement))
    assert again == measurement
    assert again.date == measurement.date


def test_the_same_machine_counts_the_same(kept: Path) -> None:
    found = remeasure(kept)
    assert found.recorded is not None
    assert found.here == found.recorded.accuracy
    assert found.why == ("Both machines count the same rows as right.",)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"cpu": "Other avx2"}, "The processors differ (Other avx2 there, "),
        ({"onnxruntime": "1.0.0"}, "ONNX Runtime differs (1.0.0 there, "),
        ({}, "Neither data, processor nor runtime differ by what is recorded."),
    ],
)
def test_a_difference_is_explained(kept: Path, environment: dict[str, str], sentence: str) -> None:
    _change_record(kept, **environment)
    (told,) = remeasure(kept).why
    assert told.startswith(sentence)


def test_other_data_are_said(kept: Path) -> None:
    model = onnx.load_model_from_string(kept.read_bytes())
    for prop in model.metadata_props:
        if prop.key == "dataset_sha256":
            prop.value = "0" * 16
    kept.write_bytes(model.SerializeToString())
    record_path(kept).unlink()
    (told,) = remeasure(kept).why
    assert told.startswith("The data differ")


def test_the_command_prints_both(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(kept)]) == 0
    printed = capsys.readouterr().out
    assert f"{RECIPE} of mlp-64-32 on digits" in printed
    here, recorded = (
        next(line for line in printed.splitlines() if line.startswith(name)).split()[1]
        for name in ("here", "recorded")
    )
    assert here == recorded
    assert "of 360 validation rows" in printed


def test_compress_writes_the_record_beside_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.onnx"
    assert main(["compress", "digits", "mlp-64-32", "q(8)", "-o", str(path)]) == 0
    record = from_json((tmp_path / "a.json").read_bytes())
    assert str(record.recipe) == "q(8)"
    assert {la.batch for la in record.latencies} == {1, 16, 256}
    assert remeasure(path).here == record.accuracy
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.unlink(), "cannot read"),
        (lambda path: path.write_bytes(b"\x00\x01"), "these bytes are not an ONNX model"),
        (lambda path: record_path(path).write_text("{"), "cannot be read"),
        (lambda path: record_path(path).write_text("[]"), "is of another version, or is none"),
        (
            lambda path: record_path(path).write_text('{"record": 1, "measurement": {}}'),
            "cannot be read",
        ),
    ],
)
def test_what_is_damaged_is_one_sentence(
    kept: Path, damage: object, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(kept)  # type: ignore[operator]
    assert main(["measure", str(kept)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_file_of_own_data_finds_them_and_does_not_tell_their_key(
    home: Path, tmp_path: Path
) -> None:
    raw = load("iris").raw
    name = keep_own(Raw(raw.X, raw.y, raw.feature_names, raw.class_names), "mine")
    data = load_dataset(name)
    network = ps.train("logistic-regression", data)
    artifact = ps.compress(network, ps.Recipe.parse("q(8)"), data.train)
    measured = ps.measure(artifact, data, batches=())
    record = to_json(measured)
    key = name.removeprefix("own-").encode()
    for written in (artifact.onnx_bytes, record, str(measured.row()).encode()):
        assert key[:12] not in written
    path = tmp_path / "mine.onnx"
    path.write_bytes(artifact.onnx_bytes)
    record_path(path).write_bytes(record)
    assert remeasure(path).here == measured.accuracy


def test_a_file_of_another_tool_and_a_record_of_another_file(
    kept: Path, mlp: Network, digits: ps.Dataset
) -> None:
    model = onnx.load_model_from_string(kept.read_bytes())
    del model.metadata_props[:]
    other = kept.with_name("other.onnx")
    other.write_bytes(model.SerializeToString())
    with pytest.raises(ParetoscopeError, match="does not say what it was made of"):
        remeasure(other)
    moved = kept.with_name("moved.onnx")
    moved.write_bytes(ps.compress(mlp, ps.Recipe.parse("q(3)"), digits.train).onnx_bytes)
    record_path(moved).write_bytes(record_path(kept).read_bytes())
    with pytest.raises(ParetoscopeError, match="is the record of another file"):
        remeasure(moved)


@pytest.mark.parametrize("arguments", [["digits"], ["digits", "mlp-64-32"]])
def test_half_a_network_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", *arguments]) == 2
    assert "a dataset, a model and a recipe, or one .onnx file" in capsys.readouterr().err
