"""8-bit weights and activations: ONNX Runtime's quantizer behind a typed recipe."""

from __future__ import annotations

import numpy as np
import onnx
import paretoscope as ps
import pytest
from onnx.reference import ReferenceEvaluator
from paretoscope.base.errors import ParetoscopeError
from paretoscope.measurement.measurement import Baseline, compute, score
from paretoscope.network.network import Network

INT8 = ps.Recipe(activations=ps.Int8Activations())


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_the_file_computes_what_its_operators_say(
    method: str, any_network: Network, digits: ps.Dataset
) -> None:
    recipe = ps.Recipe(activations=ps.Int8Activations(rows=200, method=method))
    artifact = ps.compress(any_network, recipe, digits.train)
    model = onnx.load_model_from_string(artifact.onnx_bytes)
    X = digits.validation.X[:100]
    (expected,) = ReferenceEvaluator(model).run(None, {"features": X})
    scores = ps.OnnxRuntime(artifact.onnx_bytes).scores(X)
    assert np.mean(scores.argmax(1) == expected.argmax(1)) >= 0.98
    kinds = {t.name: t.data_type for t in model.graph.initializer}
    assert all(kinds[f"{name}_quantized"] == onnx.TensorProto.INT8 for name in any_network.weights)


def test_weights_are_within_half_a_step_and_accuracy_within_a_point(
    any_network: Network, digits: ps.Dataset
) -> None:
    artifact = ps.compress(any_network, INT8, digits.train)
    for name, codes in artifact.stored.codes.items():
        assert codes.scale is not None
        error = np.abs(codes.decoded() - any_network.weights[name])
        assert (error <= 0.5001 * codes.scale).all()
        assert codes.bits <= 8
    baseline = Baseline(any_network, digits)
    measured = score(artifact, baseline)
    _, computed = compute(any_network, INT8, baseline)
    assert measured.change.value >= -0.01
    assert abs(measured.accuracy.value - computed.accuracy.value) <= 0.01
    assert measured.size_bytes == computed.size_bytes < baseline.artifact.sizes.file / 2


def test_pruned_weights_stay_zero(mlp: Network, digits: ps.Dataset) -> None:
    recipe = ps.Recipe.parse("l2(0.25)+magnitude(sparsity=0.5)+ls+int8(rows=100)")
    artifact = ps.compress(mlp, recipe, digits.train)
    for name, codes in artifact.stored.codes.items():
        assert not codes.values[~artifact.cut.kept[name]].any()
    assert Network(artifact.onnx_bytes).metadata["recipe"] == str(recipe)


def test_twice_gives_the_same_bytes(mlp: Network, digits: ps.Dataset) -> None:
    once, twice = (ps.compress(mlp, INT8, digits.train) for _ in range(2))
    assert once.sha256 == twice.sha256


def test_what_cannot_be_is_said_before_any_work(mlp: Network) -> None:
    with pytest.raises(ParetoscopeError, match="int8 activations need training rows; got none"):
        ps.compress(mlp, INT8, None)
    for text in ("q(8)+int8", "int8;dense2=symmetric(4)"):
        with pytest.raises(ParetoscopeError, match="weights of their own; leave"):
            ps.Recipe.parse(text)
    with pytest.raises(ParetoscopeError, match="int8 takes rows, method, each once; got 'metod="):
        ps.Recipe.parse("int8(metod=entropy)")
