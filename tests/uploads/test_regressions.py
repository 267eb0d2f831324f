"""Regressions from elsewhere: tables whose target is a number, and models that predict one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import paretoscope as ps
import pytest
import skops.io
from paretoscope.base.errors import ParetoscopeError
from paretoscope.measurement.measurement import Baseline
from paretoscope.problems.regression import Regression
from paretoscope.uploads.checking import Chosen, check
from sklearn import linear_model
from sklearn.metrics import root_mean_squared_error
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.conftest import load
from tests.graphs import scaled_mlp

RNG = np.random.default_rng(0)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "cases" / "graphs"
RECIPES = ["magnitude(sparsity=0.5)+q(16)", "symmetric(8)", "q(32)+gptq"]


def _csv(X: Any, y: Any, names: str = "") -> bytes:
    columns = names.split(",") if names else [f"f{k}" for k in range(X.shape[1])]
    rows = [",".join([*columns, "target"])]
    rows += [",".join(f"{v:.9g}" for v in (*x, t)) for x, t in zip(X, y, strict=True)]
    return "\n".join(rows).encode()


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Diabetes as somebody's CSV, and an MLP that they trained on the very rows that are train
    rows here, as two files."""
    folder, diabetes = tmp_path_factory.mktemp("brought"), load("diabetes")
    table = folder / "patients.csv"
    table.write_bytes(_csv(diabetes.raw.X, diabetes.raw.y))
    data = ps.load_table(table, "target")
    mlp = MLPRegressor(hidden_layer_sizes=(16,), alpha=1.0, max_iter=400, random_state=0)
    pipeline = make_pipeline(StandardScaler(), mlp).fit(data.train.X, data.train.y)
    (folder / "model.skops").write_bytes(skops.io.dumps(pipeline))
    (folder / "model.onnx").write_bytes(scaled_mlp(pipeline))
    return {"folder": folder, "data": data, "pipeline": pipeline, "table": table}


def test_a_table_of_numbers_is_recognised(brought: dict[str, Any]) -> None:
    data = brought["data"]
    assert isinstance(data.problem, Regression)
    assert data.problem.target_names == ("target",)
    assert np.array_equal(np.sort(data.raw.y), np.sort(load("diabetes").raw.y))
    assert ps.models(data)[0] == "linear-regression"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(300) / 7, "number"),
        (np.arange(300) % 3, "class"),
        (np.arange(300) % 20 / 4, "class"),  # few different ones, though fractions
        (np.arange(300) * 5 % 299, "number"),
        (np.arange(300) % 12, "class"),
    ],
)
def test_what_a_column_holds_is_told_by_its_numbers(values: Any, expected: str) -> None:
    told = check(_csv(RNG.normal(size=(300, 2)), values), "t.csv")
    assert ("a number to predict" in told.line) == (expected == "number")


def test_what_a_column_holds_can_be_said() -> None:
    data = _csv(RNG.normal(size=(300, 2)), np.arange(300) % 8)
    assert "8 classes" in check(data, "t.csv").line
    said = check(data, "t.csv", chosen=Chosen(predict="number"))
    assert "a number to predict from 0 to 7" in said.line
    text = data.replace(b"target", b"target,word").replace(b"\n0", b"\nx,0")
    with pytest.raises(ParetoscopeError):
        check(text, "t.csv", chosen=Chosen(label="word", predict="number"))


@pytest.mark.parametrize("ending", ["skops", "onnx"])
def test_a_brought_regression_gives_its_own_figures(brought: dict[str, Any], ending: str) -> None:
    """The RMSE of scikit-learn's own predictions, on the rows that choices are made on."""
    folder, data = brought["folder"], brought["data"]
    network = ps.load_model(folder / f"model.{ending}", data)
    baseline = Baseline(network, data)
    theirs = brought["pipeline"].predict(baseline.rows.X)
    found = baseline.score.figure(baseline.predicted, baseline.targets)
    assert found.value == pytest.approx(root_mean_squared_error(baseline.rows.y, theirs), rel=1e-5)


def test_both_files_give_the_same_figures_under_a_recipe(brought: dict[str, Any]) -> None:
    folder, data = brought["folder"], brought["data"]
    found = []
    for ending in ("skops", "onnx"):
        network = ps.load_model(folder / f"model.{ending}", data)
        artifact = ps.compress(network, ps.Recipe.parse(RECIPES[0]), data.train)
        found.append(ps.measure(artifact, data, batches=()))
    assert found[0].quality.value == pytest.approx(found[1].quality.value, rel=1e-5)
    assert found[0].change.value == pytest.approx(found[1].change.value, abs=1e-3)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_file_runs_to_the_rmse_that_is_said(brought: dict[str, Any], recipe: str) -> None:
    data = brought["data"]
    network = ps.load_model(brought["folder"] / "model.skops", data)
    artifact = ps.compress(network, ps.Recipe.parse(recipe), data.train, data.validation)
    measured = ps.measure(artifact, data, batches=())
    session = ort.InferenceSession(artifact.onnx_bytes)
    rows = Baseline(network, data).rows
    (outputs,) = session.run(None, {session.get_inputs()[0].name: rows.X})
    expected = root_mean_squared_error(rows.y, outputs[:, 0])
    assert measured.quality.value == pytest.approx(expected, rel=1e-6)
    assert measured.score == "rmse"


@pytest.mark.parametrize(
    "model",
    [
        linear_model.LinearRegression(),
        linear_model.Ridge(fit_intercept=False),
        linear_model.Lasso(alpha=0.01),
        linear_model.HuberRegressor(),
        linear_model.SGDRegressor(),
        linear_model.BayesianRidge(),
    ],
    ids=lambda m: type(m).__name__,
)
def test_linear_regressions_are_read_from_skops(model: Any, tmp_path: Path) -> None:
    X = RNG.normal(size=(80, 3))
    y = X @ [1.0, -2.0, 0.5] + 3 + RNG.normal(size=80) / 10
    model.fit(X, y)
    (tmp_path / "t.csv").write_bytes(_csv(X, y))
    (tmp_path / "m.skops").write_bytes(skops.io.dumps(model))
    data = ps.load_table(tmp_path / "t.csv", "target")
    network = ps.load_model(tmp_path / "m.skops", data)
    assert np.allclose(network.scores(data.train.X)[:, 0], model.predict(data.train.X), rtol=1e-4)


def test_a_model_is_judged_on_a_table_by_its_error() -> None:
    X = RNG.normal(size=(120, 3))
    y = X @ [1.0, -2.0, 0.5] + 3
    model = linear_model.LinearRegression().fit(X, y)
    told = check(_csv(X, y + 0.5), "", skops.io.dumps(model))
    assert told.predicts == "number"
    assert told.line.startswith("RMSE 0.5 on 120 rows")
    assert told.beats
    noise = check(_csv(X, RNG.normal(size=120)), "", skops.io.dumps(model))
    assert not noise.beats
    assert any("always the mean" in note for note in noise.notes)


def test_a_regression_does_not_fit_classes_nor_a_classifier_numbers(tmp_path: Path) -> None:
    X, y = RNG.normal(size=(120, 4)), RNG.normal(size=120)
    iris = load("iris")
    (tmp_path / "r.skops").write_bytes(skops.io.dumps(linear_model.LinearRegression().fit(X, y)))
    with pytest.raises(ParetoscopeError, match="predicts a number, the data have classes"):
        ps.load_model(tmp_path / "r.skops", iris)
    classifier = linear_model.LogisticRegression().fit(iris.train.X, iris.train.y)
    (tmp_path / "c.skops").write_bytes(skops.io.dumps(classifier))
    (tmp_path / "t.csv").write_bytes(_csv(X, y))
    with pytest.raises(ParetoscopeError, match="tells classes apart, the data have a number"):
        ps.load_model(tmp_path / "c.skops", ps.load_table(tmp_path / "t.csv", "target"))


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (np.full(60, 2.5), "same number to predict, 2.5"),
        (np.arange(9) / 3, "fewer than 20 rows"),
    ],
)
def test_what_cannot_be_learned_from_is_one_sentence(y: Any, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(_csv(RNG.normal(size=(len(y), 2)), y))
    with pytest.raises(ParetoscopeError, match=sentence):
        ps.load_table(tmp_path / "t.csv", "target", predict="number")


def test_rows_without_a_number_are_left_out_and_said(tmp_path: Path) -> None:
    data = _csv(RNG.normal(size=(60, 2)), RNG.normal(size=60)).decode().splitlines()
    data[5] = data[5].rpartition(",")[0] + ","
    data[9] = data[9].rpartition(",")[0] + ",inf"
    told = check("\n".join(data).encode(), "t.csv")
    assert any("2 of 60 rows have no label" in note for note in told.notes)


@pytest.mark.parametrize(
    "name",
    [
        "regress_one",
        "regress_one_legacy",
        "skl_linear_regression",
        "skl_ridge",
        "skops_linear_regression",
        "skops_mlp_regressor",
    ],
)
def test_shared_regressors_are_compressed_and_judged(name: str, tmp_path: Path) -> None:
    """Against what their own frameworks said of the same rows."""
    kept = np.load(SHARED / f"{name}.npz")
    told = json.loads((SHARED / "manifest.json").read_text())
    entry = next(e for e in told if e["name"] == name)
    X, expected = _rows_of(kept, entry)
    n = X.reshape(len(X), -1).shape[1]
    many = RNG.normal(size=(200, n)).astype(np.float32) * X.std(0) + X.mean(0)
    (tmp_path / "t.csv").write_bytes(_csv(many, RNG.normal(size=200)))
    data = ps.load_table(tmp_path / "t.csv", "target")
    network = ps.load_model(SHARED / entry["file"], data)
    ours = network.scores(X.astype(np.float32))
    assert np.allclose(ours.ravel(), expected.ravel(), rtol=1e-3, atol=1e-3)
    m = ps.measure(ps.compress(network, ps.Recipe.parse("symmetric(8)"), data.train), data)
    assert m.score == "rmse"
    assert m.quality.value > 0


def _rows_of(kept: Any, entry: dict[str, Any]) -> tuple[Any, Any]:
    """The rows and outputs that lie beside a shared graph."""
    (given,), (found,) = entry["inputs"], [n for n in kept.files if n.startswith("outputs/")]
    return kept[f"inputs/{given['name']}"], kept[found]
