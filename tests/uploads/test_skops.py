"""`.skops` files beside scikit-learn, which made and judges them."""

from __future__ import annotations

import json
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from paretoscope.base.errors import ParetoscopeError
from paretoscope.uploads.importing import skops_network_for
from paretoscope.uploads.skops_files import check_skops, read_skops
from sklearn.linear_model import (
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC

from tests.conftest import load

_LOSSES = (
    "hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", "squared_error", "huber",
    "epsilon_insensitive", "squared_epsilon_insensitive",
)  # fmt: skip
MODELS: dict[str, Any] = {
    "logistic": LogisticRegression(max_iter=300),
    "svc": LinearSVC(),
    "ridge": RidgeClassifier(),
    "perceptron": Perceptron(),
    "mlp": MLPClassifier((16, 8), max_iter=80, random_state=0),
    "mlp-sgd": MLPClassifier((8,), solver="sgd", early_stopping=True, random_state=0),
    "mlp-lbfgs": MLPClassifier((8,), solver="lbfgs", max_iter=50, random_state=0),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "scaled-twice": make_pipeline(MinMaxScaler(), MaxAbsScaler(), StandardScaler(), LinearSVC()),
    "centred": make_pipeline(StandardScaler(with_std=False), RidgeClassifier()),
    **{f"sgd-{loss}": SGDClassifier(loss=loss, random_state=0) for loss in _LOSSES},
}


def _fitted(model: Any, X: Any, y: Any) -> tuple[Any, bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few iterations are enough here
        model.fit(X, y)
        data: bytes = skops.io.dumps(model)
    return model, data


@pytest.mark.parametrize("dataset", ["iris", "breast-cancer"])
@pytest.mark.parametrize("name", MODELS)
def test_predictions_equal_those_of_scikit_learn(name: str, dataset: str) -> None:
    data = load(dataset)
    model, held = _fitted(MODELS[name], data.train.X.astype(np.float64), data.train.y)
    network = skops_network_for(held, data)
    rows = data.train.X[:200].astype(np.float64)
    ours = network.scores(rows.astype(np.float32)).argmax(1)
    apart = np.flatnonzero(ours != model.predict(rows))
    # float32 may decide a tie of float64 otherwise
    decisions = (
        np.reshape(model.decision_function(rows[apart]), (len(apart), -1))
        if (hasattr(model, "decision_function") and len(apart))
        else np.zeros((len(apart), 1))
    )
    assert len(apart) <= 1 or np.abs(decisions).min(1).max() < 1e-4
    assert check_skops(held).startswith("a scikit-learn model in .skops")


@pytest.mark.parametrize("dataset", ["iris", "breast-cancer"])
@pytest.mark.parametrize("name", ["logistic", "mlp"])
def test_scores_follow_the_order_of_the_datas_classes(name: str, dataset: str) -> None:
    data = load(dataset)
    # scikit-learn sorts classes, so these are in the other order than the data's
    renamed = {k: f"{len(data.class_names) - k} {c}" for k, c in enumerate(data.class_names)}
    words = np.array([renamed[k] for k in data.train.y])
    model, held = _fitted(MODELS[name], data.train.X, words)
    order = tuple(renamed.values())
    network, classes = read_skops(held, order)
    assert classes == order
    ours = network.scores(data.train.X).argmax(1)
    assert np.mean(np.array(order)[ours] == model.predict(data.train.X)) > 0.99


def test_other_classes_are_refused() -> None:
    data = load("iris")
    _, held = _fitted(LogisticRegression(), data.train.X, np.array(["a", "b", "c"])[data.train.y])
    with pytest.raises(ParetoscopeError, match=r"\(a, b, c\) are not those of the data \(setosa"):
        skops_network_for(held, data)


def test_a_scaler_that_divides_by_nothing_is_refused(tmp_path: Path) -> None:
    data = load("iris")
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(data.train.X, data.train.y)
    model[0].scale_[1] = 0
    with pytest.raises(ParetoscopeError, match="a scaler divides by 0"):
        check_skops(skops.io.dumps(model))


def test_a_type_beside_the_list_is_refused_wherever_it_stands() -> None:
    data = load("iris")
    _, held = _fitted(LogisticRegression(), data.train.X, data.train.y)
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(held)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                schema["content"]["content"]["extra"] = {
                    "__class__": "system",
                    "__module__": "os",
                    "__loader__": "FunctionNode",
                }
                content = json.dumps(schema).encode()
            new.writestr(name, content)
    with pytest.raises(ParetoscopeError, match=r"asks for os\.system, which is not allowed"):
        read_skops(out.getvalue())


def test_an_array_that_is_named_again_and_again_is_read_so_often_and_no_more() -> None:
    """Zeros zip well: 20 MB of them are 20 kB, and named 60 times 1.2 GB."""
    model = MLPClassifier((4,), max_iter=500, tol=1.0).fit([[0.0], [1.0]], [0, 1])
    data = skops.io.dumps(model)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        schema = json.loads(archive.read("schema.json"))
        files = {n: archive.read(n) for n in archive.namelist() if n != "schema.json"}
    coefs = schema["content"]["content"]["coefs_"]["content"]
    held = BytesIO()
    np.save(held, np.zeros(2_500_000))
    files[coefs[0]["file"]] = held.getvalue()
    coefs[1:] = [coefs[0]] * 59
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", json.dumps(schema))
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(ParetoscopeError, match="more than 200 MB together"):
        read_skops(out.getvalue())
