"""Where a file's bytes are."""

from __future__ import annotations

import numpy as np
import onnx
import paretoscope as ps
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from paretoscope.artifact.size_parts import entropy_bytes, size_report
from paretoscope.network.network import Network
from scipy import stats

from tests.conftest import load

RECIPES = (
    "magnitude(sparsity=0.6)+q(4)", "kmeans(3)", "float16", "q(200)", "symmetric(3)+bytes",
    "l2(0.5)+q(8)", "magnitude(sparsity=0.5)", "int8", "q(8)+gptq",
)  # fmt: skip


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_parts_are_the_file(recipe: str, any_network: Network) -> None:
    data = load("digits")
    parsed = ps.Recipe.parse(recipe)
    artifact = ps.compress(any_network, parsed, data.train)
    report = size_report(artifact.onnx_bytes, parsed, any_network, data.train)
    first, zeros, codes, file = report.steps
    assert sum(report.parts.values()) == file.size_bytes == artifact.sizes.file
    assert file.gzip_bytes == artifact.sizes.gzip
    assert sum(report.baseline_parts.values()) == first.size_bytes
    assert min(report.parts.values()) >= 0
    assert report.parts["weights"] == codes.size_bytes
    stored = artifact.stored.decoded()
    assert [layer.n_nonzero for layer in report.layers] == [
        np.count_nonzero(w) for w in stored.values()
    ]
    assert report.n_weights == sum(w.size for w in any_network.weights.values())
    kept = artifact.cut.apply(artifact.reduced.weights)
    assert zeros.size_bytes >= 4 * sum(w.size for w in kept.values())
    assert zeros.gzip_bytes is not None
    assert codes.gzip_bytes is None
    assert report.entropy_bytes <= codes.size_bytes + 1e-6


def test_biases_and_scales_are_counted_by_their_names(mlp: Network, digits: ps.Dataset) -> None:
    recipe = ps.Recipe.parse("symmetric(4,per=output)")
    artifact = ps.compress(mlp, recipe, digits.train)
    report = size_report(artifact.onnx_bytes, recipe, mlp, digits.train)
    outputs = 64 + 32 + 10
    assert report.parts["biases"] == 4 * outputs
    assert report.parts["scales and codebooks"] == 4 * outputs
    names = {t.name for t in onnx.load_model_from_string(artifact.onnx_bytes).graph.initializer}
    assert {"dense1", "dense1.bias", "dense1.scale"} <= names
    assert {layer.storage for layer in report.layers} == {"int4"}


@given(arrays.arrays(np.int8, st.integers(1, 200), elements=st.integers(-4, 4)))
def test_entropy_is_scipys(values: np.ndarray) -> None:
    _, counts = np.unique(values, return_counts=True)
    expected = stats.entropy(counts, base=2) * values.size / 8
    assert entropy_bytes(values) == pytest.approx(expected, abs=1e-9)
