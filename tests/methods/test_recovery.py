from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import paretoscope as ps
import pytest
from paretoscope.artifact.artifact import make_draft
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.rows import Rows
from paretoscope.methods.quantization import UniformGrid
from paretoscope.methods.recovery import RECOVERIES, FineTuning, Recovery
from paretoscope.methods.recovery.layerwise import compensate, upper_factor_of_inverse
from paretoscope.network.building import Dense, build
from paretoscope.network.chain import as_chain
from paretoscope.network.gradient import backward
from paretoscope.network.network import Network
from paretoscope.uploads.importing import to_chain
from paretoscope.uploads.models import read_model
from scipy.optimize import lsq_linear

from tests import graphs
from tests.conftest import load, trained

QUICK = {FineTuning: FineTuning(epochs=4)}
EVERY = [QUICK.get(kind) or kind() for kind in RECOVERIES]
QUANTIZERS = (
    ps.Float32(),
    ps.FixedPoint(8),
    ps.Symmetric(3, per="output", clip="mse"),
    ps.KMeans(8),
    ps.Float16(),
)


def _accuracy(artifact: ps.Artifact, rows: Rows) -> float:
    labels = ps.OnnxRuntime(artifact.onnx_bytes).scores(rows.X).argmax(1)
    return float(np.mean(labels == rows.y))


# --- laws for every recovery ---------------------------------------------------------------------


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=str)
@pytest.mark.parametrize("recovery", EVERY, ids=str)
def test_a_recovery_never_leaves_the_grid_or_the_cut(
    recovery: Recovery, quantizer: Any, any_network: Network, digits: ps.Dataset
) -> None:
    recipe = ps.Recipe(ps.Magnitude(sparsity=0.5), quantizer, recovery=recovery)
    before = {name: w.copy() for name, w in any_network.weights.items()}
    artifact = ps.compress(any_network, recipe, digits.train, digits.validation)
    for name, codes in artifact.stored.codes.items():
        decoded = codes.decoded()
        assert np.isfinite(decoded).all()
        kept = artifact.cut.kept[name]
        assert not decoded[~kept].any()
        assert len(np.unique(decoded)) <= _levels(quantizer, decoded)
        assert np.array_equal(any_network.weights[name], before[name])


def _levels(quantizer: Any, decoded: Any) -> float:
    if isinstance(quantizer, ps.FixedPoint):
        codes = decoded * quantizer.q
        assert np.allclose(codes, np.round(codes), atol=1e-5)
        return np.inf
    if isinstance(quantizer, ps.Symmetric):
        return float((2**quantizer.bits - 1) * decoded.shape[1])
    return float(quantizer.clusters) if isinstance(quantizer, ps.KMeans) else np.inf


@pytest.mark.parametrize("recovery", EVERY, ids=str)
@pytest.mark.parametrize("dataset", ["breast-cancer", "iris"])
def test_every_recovery_works_on_linear_models_and_two_classes(
    recovery: Recovery, dataset: str
) -> None:
    data, network = load(dataset), trained(dataset, "logistic-regression")
    recipe = ps.Recipe(quantizer=ps.FixedPoint(4), recovery=recovery)
    artifact = ps.compress(network, recipe, data.train, data.validation)
    assert _accuracy(artifact, data.validation) > 0.8


@pytest.mark.parametrize("recovery", [r for r in EVERY if r.needs_rows], ids=str)
def test_recovery_without_rows_says_so(
    recovery: Recovery, mlp: Network, digits: ps.Dataset
) -> None:
    recipe = ps.Recipe(quantizer=ps.FixedPoint(4), recovery=recovery)
    with pytest.raises(ParetoscopeError, match="needs training rows; got none"):
        ps.compress(mlp, recipe, None)
    if recovery.needs_validation_rows:
        with pytest.raises(ParetoscopeError, match="needs validation rows; got none"):
            ps.compress(mlp, recipe, digits.train)


def test_each_recovery_is_worth_it(mlp: Network, digits: ps.Dataset) -> None:
    """At 4-bit codes and 60 % zeros: nothing < bias correction < least squares <= compensation."""
    found = {}
    for name in ("project", "bias", "ls", "gptq"):
        recipe = ps.Recipe.parse(f"magnitude(sparsity=0.6)+q(3)+{name}")
        artifact = ps.compress(mlp, recipe, digits.train)
        found[name] = _accuracy(artifact, digits.train)
    assert found["project"] < found["ls"] <= found["gptq"] + 0.02
    assert found["project"] < found["bias"]
    assert found["gptq"] > found["project"] + 0.03


# --- against independent calculations ------------------------------------------------------------


@pytest.fixture(scope="module")
def single() -> tuple[Network, Rows]:
    """One layer with correlated inputs, so that everything has a closed form."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6))
    X = (rng.normal(size=(500, 6)) @ mixing + 1).astype(np.float32)
    weight = rng.normal(size=(6, 3)).astype(np.float32)
    network = build([Dense(weight, rng.normal(size=3).astype(np.float32))], None,
                          np.float32(1), {})  # fmt: skip
    return network, Rows(X, rng.integers(0, 3, 500))


def test_bias_correction_keeps_the_mean_output(single: tuple[Network, Rows]) -> None:
    network, rows = single
    stored = make_draft(network, ps.Recipe.parse("q(1)+bias"), rows).stored
    now = network.scores(rows.X, stored.decoded(), stored.biases)
    assert np.allclose(now.mean(0), network.scores(rows.X).mean(0), atol=1e-4)


def test_least_squares_is_scipys(single: tuple[Network, Rows]) -> None:
    """The kept weights and the bias of least squared error, by scipy's bounded solver."""
    network, rows = single
    artifact = make_draft(network, ps.Recipe.parse("magnitude(sparsity=0.5)+ls"), rows)
    kept, decoded = artifact.cut.kept["dense1"], artifact.stored.decoded()["dense1"]
    wanted = network.scores(rows.X)
    for column in range(3):
        chosen = np.flatnonzero(kept[:, column])
        design = np.column_stack([rows.X[:, chosen], np.ones(len(rows))]).astype(np.float64)
        best = lsq_linear(design, wanted[:, column]).x
        fit, ours = (
            design @ best,
            network.scores(rows.X, {"dense1": decoded}, artifact.stored.biases),
        )
        error_best = np.square(fit - wanted[:, column]).mean()
        error_ours = np.square(ours[:, column] - wanted[:, column]).mean()
        assert error_ours <= error_best * 1.05 + 1e-6


def test_compensation_is_gptq_as_written_down(single: tuple[Network, Rows]) -> None:
    """Against the textbook form: after each rounding the inverse Hessian loses a row and column."""
    network, rows = single
    X = rows.X - rows.X.mean(0)
    H = (X.T @ X / len(X)).astype(np.float64) + 0.01 * np.eye(6)
    weight = network.weights["dense1"].astype(np.float64)
    kept = np.ones(weight.shape, np.bool_)
    kept[2, 1] = False
    found = compensate(H, weight, kept, UniformGrid(2.0))
    left, free = weight.copy(), list(np.argsort(-np.diag(H), kind="stable"))
    expected = np.zeros_like(weight)
    while free:
        i, inverse = free[0], np.linalg.inv(H[np.ix_(free, free)])
        expected[i] = np.where(kept[i], np.rint(left[i] * 2) / 2, 0)
        error = (left[i] - expected[i]) / inverse[0, 0]
        left[free] -= np.outer(inverse[:, 0], error)
        free = free[1:]
    assert np.allclose(found, expected)


@pytest.mark.parametrize("smallest", [1.0, -1e-3])
def test_compensation_is_damped_until_it_holds(smallest: float) -> None:
    """Also where rounding left a matrix of moments that is not positive definite."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    H = (turn * np.r_[np.linspace(1, 3, 11), smallest]) @ turn.T
    U = upper_factor_of_inverse(H)
    np.testing.assert_array_equal(U, np.triu(U))
    damping = np.linalg.inv(U.T @ U) - H
    added = np.diag(damping).mean()
    np.testing.assert_allclose(damping, added * np.eye(12), atol=1e-9)
    if smallest > 0:
        np.testing.assert_allclose(U, np.linalg.cholesky(np.linalg.inv(H)).T, atol=1e-12)
    else:
        assert -smallest < added < 0.1
    with pytest.raises(ParetoscopeError, match="no finite numbers"):
        upper_factor_of_inverse(np.full((2, 2), np.nan))


@pytest.mark.parametrize("recovery", ["ls", "gptq"])
def test_inputs_that_are_the_same_in_all_rows_are_no_obstacle(
    mlp: Network, digits: ps.Dataset, recovery: str
) -> None:
    """As behind a layer that was cut whole, which leaves its bias."""
    recipe = ps.Recipe.parse(
        f"magnitude(sparsity=0.3)+q(8)+{recovery};dense1=magnitude(sparsity=1)"
    )
    artifact = ps.compress(mlp, recipe, digits.train)
    scores = ps.OnnxRuntime(artifact.onnx_bytes).scores(digits.validation.X)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores, axis=0)) == 1


def test_compensation_has_less_error_than_rounding(lenet: Network, fashion: ps.Dataset) -> None:
    X = fashion.validation.X[:2000]
    wanted = lenet.scores(X)
    errors = {}
    for name in ("project", "gptq"):
        stored = make_draft(lenet, ps.Recipe.parse(f"q(4)+{name}"), fashion.train).stored
        now = lenet.scores(X, stored.decoded(), stored.biases)
        errors[name] = float(np.square(now - wanted).mean())
    assert errors["gptq"] < 0.2 * errors["project"]


@pytest.mark.parametrize("kind", ["dense", "maxima", "means"])
def test_gradients_are_numerical_differences(kind: str, digits: ps.Dataset) -> None:
    if kind == "means":
        network = to_chain(read_model(graphs.averaging()))
    else:
        network = trained("digits", {"dense": "mlp-64-32", "maxima": "cnn"}[kind])
    chain, rows = as_chain(network), Rows(digits.train.X[:32], digits.train.y[:32])
    targets = np.eye(10)[rows.y]
    gradients = backward(chain, chain.preparation(rows.X), rows.y, digits.problem.loss)

    def loss(weights: Any, biases: Any) -> float:
        scores = network.scores(rows.X, weights, biases).astype(np.float64)
        shifted = scores - scores.max(1, keepdims=True)
        log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return float(-(targets * log).sum(1).mean())

    for name in network.weights:
        direction = gradients[name][0] / np.linalg.norm(gradients[name][0])
        values = [
            loss({name: network.weights[name] + sign * np.float32(1e-2) * direction}, {})
            for sign in (1, -1)
        ]
        assert (values[0] - values[1]) / 2e-2 == pytest.approx(
            float((gradients[name][0] * direction).sum()), rel=0.05
        )
        place = int(np.abs(gradients[name][1]).argmax())
        moved = [network.biases[name].copy() for _ in range(2)]
        moved[0][place] += 1e-2
        moved[1][place] -= 1e-2
        values = [loss({}, {name: bias}) for bias in moved]
        assert (values[0] - values[1]) / 2e-2 == pytest.approx(gradients[name][1][place], rel=0.05)


# --- fine-tuning ---------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", ["labels", "scores"])
def test_fine_tuning_recovers_what_cannot_be_rounded(
    targets: str, mlp: Network, digits: ps.Dataset
) -> None:
    def accuracy(recovery: Recovery) -> float:
        recipe = ps.Recipe(ps.Magnitude(sparsity=0.8), ps.FixedPoint(3), recovery=recovery)
        artifact = ps.compress(mlp, recipe, digits.train, digits.validation)
        return _accuracy(artifact, digits.test)

    assert accuracy(FineTuning(epochs=30, targets=targets)) > accuracy(ps.NoRecovery()) + 0.15
    assert accuracy(FineTuning(epochs=30, targets=targets)) > 0.92


def test_learning_from_scores_does_not_look_at_labels(mlp: Network, digits: ps.Dataset) -> None:
    blind = Rows(digits.train.X, np.zeros(len(digits.train), np.int64))
    recipe = ps.Recipe.parse("magnitude(sparsity=0.5)+q(4)+finetune(epochs=3,targets=scores)")
    one, other = (
        ps.compress(mlp, recipe, rows, digits.validation).sha256 for rows in (digits.train, blind)
    )
    assert one == other


def test_fine_tuning_tells_how_far_it_is(mlp: Network, digits: ps.Dataset) -> None:
    told: list[float | None] = []
    recipe = ps.Recipe.parse("q(4)+finetune(epochs=4)")
    ps.compress(mlp, recipe, digits.train, digits.validation, lambda f, text: told.append(f))
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_an_interrupted_fine_tuning_keeps_the_best_so_far(mlp: Network, digits: ps.Dataset) -> None:
    def interrupt_at(share: float) -> Any:
        def report(fraction: float | None, text: str) -> None:
            if fraction is not None and fraction >= share:
                raise KeyboardInterrupt

        return report

    recipe = ps.Recipe.parse("magnitude(sparsity=0.5)+q(4)+finetune(epochs=10)")
    artifact = ps.compress(mlp, recipe, digits.train, digits.validation, interrupt_at(0.8))
    assert _accuracy(artifact, digits.validation) > 0.9
    early = ps.compress(mlp, recipe, digits.train, digits.validation, interrupt_at(0.1))
    for name, codes in early.stored.codes.items():  # after an epoch there is something to keep
        assert not codes.decoded()[~early.cut.kept[name]].any()


def test_fine_tuning_holds_a_pattern(mlp: Network, digits: ps.Dataset) -> None:
    recipe = ps.Recipe.parse("magnitude(pattern=2:4)+q(16)+finetune(epochs=2)")
    artifact = ps.compress(mlp, recipe, digits.train, digits.validation)
    for codes in artifact.stored.codes.values():
        groups = codes.decoded().reshape(-1, 4, codes.values.shape[1])
        assert (np.count_nonzero(groups, axis=1) <= 2).all()


# --- every combination is a file that runs -----------------------------------------------------


@pytest.mark.parametrize("storage", [ps.Packed(), ps.Bytes()], ids=str)
@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=str)
def test_storages_hold_the_same_values(
    quantizer: Any, storage: Any, mlp: Network, digits: ps.Dataset
) -> None:
    recipe = ps.Recipe(quantizer=quantizer, storage=storage)
    artifact = ps.compress(mlp, recipe, digits.train)
    session = ort.InferenceSession(artifact.onnx_bytes, providers=["CPUExecutionProvider"])
    scores = session.run(None, {"features": digits.validation.X})[0]
    expected = mlp.scores(digits.validation.X, artifact.stored.decoded())
    assert np.allclose(scores, expected, rtol=1e-5, atol=1e-4)
    packed = ps.compress(mlp, ps.Recipe(quantizer=quantizer), digits.train)
    assert artifact.sizes.file >= packed.sizes.file - 20
