"""Runtimes beside ONNX Runtime: the same labels from the same file."""

from __future__ import annotations

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.artifact.runtimes import RUNTIMES, Runtime, ScikitLearn, ScipyCsr
from paretoscope.base.errors import ParetoscopeError
from paretoscope.network.folding import fold
from paretoscope.network.network import Network
from paretoscope.training.training import find_model, fit

from tests.conftest import load, trained

RECIPES = (
    "magnitude(sparsity=0.9)+q(8)", "float16", "kmeans(4)", "symmetric(2)", "l2(0.5)+q(8)",
)  # fmt: skip


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda r: r.name)
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("dataset", "model"),
    [
        ("digits", "mlp-64-32"),
        ("digits", "logistic-regression"),
        ("digits", "cnn"),
        ("breast-cancer", "mlp-32"),
        ("breast-cancer", "linear-svm"),
        ("diabetes", "mlp-32"),
        ("diabetes", "ridge"),
    ],
)
def test_every_runtime_says_what_the_file_says(
    runtime: type[Runtime], recipe: str, dataset: str, model: str
) -> None:
    data, network = load(dataset), trained(dataset, model)
    if recipe.startswith("l2") and len(network.layers) == 1:
        recipe = "q(8)"
    artifact = ps.compress(network, ps.Recipe.parse(recipe), data.train)
    X = data.validation.X
    if runtime is ScikitLearn and model == "cnn":
        with pytest.raises(ParetoscopeError, match="scikit-learn has no convolutions"):
            runtime(artifact.onnx_bytes)
        return
    ran = runtime(artifact.onnx_bytes)
    if dataset == "diabetes":
        values = ran.predict(X) if isinstance(ran, ScikitLearn) else ran.scores(X)  # type: ignore[attr-defined]
        assert np.allclose(np.ravel(values), artifact.scores(X).ravel(), rtol=1e-3)
        return
    labels = ran.predict(X) if isinstance(ran, ScikitLearn) else ran.scores(X).argmax(1)  # type: ignore[attr-defined]
    expected = artifact.scores(X).argmax(1)
    assert np.count_nonzero(labels != expected) <= 1
    assert labels.shape == (len(X),)


def test_the_pipeline_is_scikit_learns_own_of_the_uncompressed_network() -> None:
    data = load("digits")
    pipeline = fit(find_model("mlp-64-32", data), data, 0, lambda fraction, text: None)
    artifact = ps.compress(trained("digits", "mlp-64-32"), ps.Recipe(), data.train)
    X = data.validation.X
    assert np.array_equal(ScikitLearn(artifact.onnx_bytes).predict(X), pipeline.predict(X))


@pytest.mark.parametrize("recipe", RECIPES)
def test_folded_weights_are_what_the_codes_stand_for(recipe: str, any_network: Network) -> None:
    artifact = ps.compress(any_network, ps.Recipe.parse(recipe), load("digits").train)
    folded = fold(Network(artifact.onnx_bytes))
    found = list(folded.weights.values())
    expected = list(artifact.stored.decoded().values())
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_fused_file_folds_too(lenet: Network, fashion: ps.Dataset) -> None:
    artifact = ps.compress(lenet, ps.Recipe.parse("symmetric(4)"), fashion.train)
    assert b"DequantizeLinear" in artifact.onnx_bytes
    folded = fold(Network(artifact.onnx_bytes))
    X = fashion.validation.X[:200]
    np.testing.assert_allclose(folded.scores(X), artifact.scores(X), rtol=1e-5, atol=1e-4)


def test_sparse_products_hold_only_what_is_not_zero() -> None:
    network, data = trained("digits", "mlp-64-32"), load("digits")
    artifact = ps.compress(network, ps.Recipe.parse("magnitude(sparsity=0.9)"), data.train)
    sparse = ScipyCsr(artifact.onnx_bytes)
    kept = sum(np.count_nonzero(w) for w in artifact.stored.decoded().values())
    held = [cell.cell_contents for _, p, _ in sparse._layers for cell in p.__closure__]  # type: ignore[attr-defined]
    assert sum(matrix.nnz for matrix in held) == kept
