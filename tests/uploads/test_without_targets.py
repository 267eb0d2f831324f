"""Models without targets: an autoencoder on rows of one's own and on made-up ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import paretoscope as ps
import pytest
import skops.io
from paretoscope.base.errors import ParetoscopeError
from paretoscope.measurement.measurement import Baseline
from paretoscope.measurement.provenance import record_path, remeasure, to_json
from paretoscope.training.training import keep_own_model
from paretoscope.uploads.checking import Chosen, check
from paretoscope.uploads.own import keep_made, network_of
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.app.pages import figures, open_page, until
from tests.conftest import load
from tests.graphs import scaled_mlp

RECIPE = "magnitude(sparsity=0.4)+q(32)"


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Wine's 13 measurements through 6 numbers and back, as two files, and rows without labels."""
    folder, X = tmp_path_factory.mktemp("autoencoder"), load("wine").raw.X
    pipeline = make_pipeline(
        StandardScaler(),
        MLPRegressor(hidden_layer_sizes=(24, 6, 24), max_iter=150, random_state=0),
    ).fit(X, StandardScaler().fit_transform(X))
    (folder / "model.onnx").write_bytes(scaled_mlp(pipeline))
    (folder / "model.skops").write_bytes(skops.io.dumps(pipeline))
    names = ",".join(f"f{k}" for k in range(X.shape[1]))
    rows = "\n".join([names, *(",".join(f"{v:.7g}" for v in row) for row in X)])
    (folder / "rows.csv").write_text(rows)
    return {"folder": folder, "pipeline": pipeline}


@pytest.mark.parametrize("ending", ["onnx", "skops"])
def test_an_autoencoder_is_judged_on_rows_of_its_own(
    autoencoder: dict[str, Any], ending: str
) -> None:
    folder = autoencoder["folder"]
    data = ps.load_table(folder / "rows.csv", predict="nothing")
    assert data.problem.name == "agreement"
    assert data.raw.X.shape[1] == 13
    network = ps.load_model(folder / f"model.{ending}", data)
    theirs = autoencoder["pipeline"].predict(data.validation.X)
    assert np.allclose(network.scores(data.validation.X), theirs, rtol=1e-3, atol=1e-3)
    artifact = ps.compress(network, ps.Recipe.parse(RECIPE), data.train, data.validation)
    measured = ps.measure(artifact, data, batches=())
    session = ort.InferenceSession(artifact.onnx_bytes)
    rows = Baseline(network, data).rows.X
    (now,) = session.run(None, {session.get_inputs()[0].name: rows})
    before = network.scores(rows).astype(np.float64)
    expected = np.sqrt(np.square(now - before).sum() / np.square(before).sum())
    assert measured.score == "relative-error"
    assert measured.quality.value == pytest.approx(expected, rel=1e-4)
    low, high = measured.change.interval or (0.0, 0.0)
    assert 0 < low < measured.change.value < high
    swept = list(ps.sweep(network, data, ps.grid(threshold=[0, 0.2], q=[8, 64]), measured="front"))
    assert {m.score for m in swept} == {"relative-error"}
    finer = ps.measure(ps.compress(network, ps.Recipe.parse("q(256)"), data.train), data)
    assert finer.merit > measured.merit


def test_without_rows_they_are_made_up(autoencoder: dict[str, Any]) -> None:
    """With the mean and the spread that the model's own scaler takes off."""
    path = autoencoder["folder"] / "model.onnx"
    name = keep_made(path.read_bytes(), path.name)
    assert keep_made(path.read_bytes(), path.name) == name  # the same noise again
    data, scaler = ps.load_dataset(name), autoencoder["pipeline"][0]
    assert len(data.raw.X) == 1000
    assert np.allclose(data.raw.X.mean(0), scaler.mean_, atol=0.15 * scaler.scale_.max())
    assert np.allclose(data.raw.X.std(0), scaler.scale_, rtol=0.1)
    network = ps.load_model(path, data)
    m = ps.measure(ps.compress(network, ps.Recipe.parse(RECIPE), data.train), data, batches=())
    assert 0 < m.quality.value < 1


@pytest.mark.parametrize("recipe", ["q(16)+gptq", "l1fit(sparsity=0.3)", "q(8)+finetune(epochs=2)"])
def test_what_learns_learns_from_the_networks_own_outputs(
    autoencoder: dict[str, Any], recipe: str
) -> None:
    data = ps.load_table(autoencoder["folder"] / "rows.csv", predict="nothing")
    network = ps.load_model(autoencoder["folder"] / "model.onnx", data)
    made = ps.compress(network, ps.Recipe.parse(recipe), data.train, data.validation)
    assert ps.measure(made, data, batches=()).quality.value < 1
    with pytest.raises(ParetoscopeError, match="Taylor needs targets"):
        ps.compress(network, ps.Recipe.parse("taylor(sparsity=0.3)"), data.train)


def test_a_table_is_told_what_can_be_told(autoencoder: dict[str, Any], tmp_path: Path) -> None:
    folder = autoencoder["folder"]
    rows, model = (folder / "rows.csv").read_bytes(), (folder / "model.onnx").read_bytes()
    told = check(rows, "", model, chosen=Chosen(predict="nothing"))
    assert told.line.startswith("it gives 13 numbers for each of 178 rows")
    assert any("nothing tells whether it is right" in note for note in told.notes)
    assert "no target, 13 features" in check(rows, "r.csv", chosen=Chosen(predict="nothing")).line
    data = ps.load_table(folder / "rows.csv", predict="nothing")
    network = ps.load_model(folder / "model.onnx", data)
    artifact = ps.compress(network, ps.Recipe.parse(RECIPE), data.train)
    path = tmp_path / "small.onnx"
    path.write_bytes(artifact.onnx_bytes)
    record_path(path).write_bytes(to_json(ps.measure(artifact, data, batches=())))
    with pytest.raises(ParetoscopeError, match="agreement with the uncompressed model"):
        remeasure(path)


def test_the_page_says_what_agreement_is(autoencoder: dict[str, Any]) -> None:
    path = autoencoder["folder"] / "model.onnx"
    name = keep_made(path.read_bytes(), path.name)
    data = ps.load_dataset(name)
    model = keep_own_model(network_of(path.read_bytes(), path.name, data), "mine", data)
    app = until(open_page(dataset=name, model=model, recipe=RECIPE), figures)
    assert app.metric[0].label.startswith("Relative error")
    told = " ".join(c.value for c in app.caption).replace("\\", "")
    assert "made-up rows" in told
    assert "not whether it is right" in told
    for page in ("compare", "layers", "search", "evidence"):
        app = app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, (page, [e.value for e in app.exception])
