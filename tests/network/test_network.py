from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import paretoscope as ps
import pytest
from onnx.reference import ReferenceEvaluator
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.rows import Raw
from paretoscope.network.building import Dense, build
from paretoscope.network.network import Network
from paretoscope.training import training
from paretoscope.training.training import find_model, find_trained, fit, models, to_network
from scipy.special import softmax

from tests.conftest import load

EVERY = [
    (dataset, model)
    for dataset in ("iris", "wine", "breast-cancer", "digits", "fashion-mnist")
    for model in models(dataset)
    if model != "cnn"
]
TOLERANCE = {"rtol": 1e-5, "atol": 1e-4}


def _few_rows(data: ps.Dataset) -> ps.Dataset:
    """Of 70,000 rows the first 4,000: what is trained of them is the same kind of network."""
    raw = data.raw
    if len(raw.y) <= 4_000:
        return data
    few = Raw(raw.X[:4_000], raw.y[:4_000], raw.feature_names, raw.class_names, n_test=500)
    return replace(data, raw=few)


@pytest.mark.parametrize(("dataset", "model"), EVERY)
def test_scores_are_scikit_learns(
    dataset: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every dataset and model: logits, decision function, probabilities and labels, which a
    few steps of training tell as well as all."""
    monkeypatch.setattr(training, "_SMALL_UPDATES", 200)
    data = _few_rows(load(dataset))
    pipeline = fit(find_model(model, data), data, 0, lambda fraction, text: None)
    network = to_network(pipeline, data, model, 0)
    X = data.validation.X[:1000]
    scores = ps.OnnxRuntime(network.onnx_bytes).scores(X)
    assert scores.shape == (len(X), len(data.class_names))
    assert np.allclose(network.scores(X), scores, **TOLERANCE)
    if hasattr(pipeline, "decision_function"):
        expected = pipeline.decision_function(X)
        given = scores if expected.ndim == 2 else scores[:, 1] - scores[:, 0]
        assert np.allclose(given, expected, **TOLERANCE)
    if hasattr(pipeline, "predict_proba"):
        assert np.allclose(softmax(scores, axis=1), pipeline.predict_proba(X), **TOLERANCE)
    assert np.mean(scores.argmax(1) == pipeline.predict(X)) >= 0.999


@pytest.mark.parametrize("model", ["logistic-regression", "mlp-32"])
def test_what_is_kept_is_what_was_fitted(model: str, home: object) -> None:
    data = load("iris")
    pipeline = fit(find_model(model, data), data, 0, lambda fraction, text: None)
    expected = to_network(pipeline, data, model, 0)
    assert ps.train(model, data).sha256 == expected.sha256
    found = find_trained(model, data)
    assert found is not None
    assert found.onnx_bytes == expected.onnx_bytes


def test_training_twice_gives_the_same_file(
    digits: ps.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_SMALL_UPDATES", 200)
    once, twice, other = (
        to_network(
            fit(find_model("mlp-32", digits), digits, seed, lambda f, t: None), digits, "m", 0
        )
        for seed in (3, 3, 4)
    )
    assert once.sha256 == twice.sha256 != other.sha256


def test_the_file_is_sound_onnx(mlp: Network, digits: ps.Dataset) -> None:
    model = onnx.load_model_from_string(mlp.onnx_bytes)
    onnx.checker.check_model(model, full_check=True)
    X = digits.validation.X[:20]
    (expected,) = ReferenceEvaluator(model).run(None, {mlp.input_name: X})
    assert np.allclose(mlp.scores(X), expected, **TOLERANCE)


def test_layers_weights_and_metadata(mlp: Network) -> None:
    assert {name: w.shape for name, w in mlp.weights.items()} == {
        "dense1": (64, 64),
        "dense2": (64, 32),
        "dense3": (32, 10),
    }
    assert [layer.followed_by_relu for layer in mlp.layers] == [True, True, False]
    assert {name: b.shape for name, b in mlp.biases.items()} == {
        "dense1": (64,),
        "dense2": (32,),
        "dense3": (10,),
    }
    assert mlp.n_parameters == 64 * 64 + 64 * 32 + 32 * 10 + 64 + 32 + 10
    assert mlp.metadata["dataset"] == "digits"
    assert mlp.metadata["classes"] == '["0","1","2","3","4","5","6","7","8","9"]'


def test_a_network_cannot_be_changed(mlp: Network) -> None:
    with pytest.raises(ValueError, match="read-only"):
        mlp.weights["dense1"][0, 0] = 1.0
    before = mlp.onnx_bytes
    mlp.model().graph.initializers["dense1"].const_value = None
    assert np.isfinite(mlp.weights["dense1"]).all()
    assert mlp.onnx_bytes == before


def test_two_classes_have_two_scores() -> None:
    z = np.array([[-2.0], [0.0], [3.0]], np.float32)
    layer = Dense(np.ones((1, 1), np.float32), np.zeros(1, np.float32))
    network = build([layer], None, np.float32(1), {})
    assert np.allclose(softmax(network.scores(z), axis=1)[:, 1], 1 / (1 + np.exp(-z[:, 0])))
    assert network.scores(z).argmax(1).tolist() == [0, 0, 1]


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x80\x04K\x01.", b"PK\x03\x04"])
def test_bytes_that_are_no_network(content: bytes) -> None:
    with pytest.raises(ParetoscopeError):
        _ = Network(content).weights


def test_a_damaged_kept_network_is_trained_again(home: object) -> None:
    from paretoscope.base.store import default_store

    data = ps.load_dataset("iris")
    network = ps.train("logistic-regression", data)
    path = default_store().folder / "objects" / network.sha256
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    assert find_trained("logistic-regression", data) is None
    assert ps.train("logistic-regression", data).sha256 == network.sha256
    assert path.read_bytes() == network.onnx_bytes


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "0"])
def test_a_bad_seed(seed: object) -> None:
    with pytest.raises(ParetoscopeError, match="seed must be a whole number from 0"):
        ps.train("mlp-32", load("iris"), seed)  # type: ignore[arg-type]


def test_models_that_fit() -> None:
    assert "lenet-300-100" in ps.models(load("fashion-mnist"))
    assert "lenet-300-100" not in ps.models(load("digits"))
    with pytest.raises(ParetoscopeError, match="model for digits must be one of"):
        ps.train("lenet-300-100", load("digits"))
