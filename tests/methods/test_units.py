"""Whole units: the matrices shrink, and what is left makes up for what went."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import onnx
import paretoscope as ps
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import Dataset
from paretoscope.data.rows import Rows
from paretoscope.methods.pruning import (
    UNIT_CRITERIA,
    UnitCriterion,
    UnitNorm,
    ZeroShare,
    remove_units,
)
from paretoscope.network.building import Convolution, Dense, build
from paretoscope.network.chain import as_chain
from paretoscope.network.network import Network
from paretoscope.training import train_cnn

from tests.conftest import load, trained

METADATA = {"classes": json.dumps(["a", "b", "c"])}


def _everywhere(network: Network, units: UnitCriterion) -> dict[str, UnitCriterion]:
    return dict.fromkeys(network.weights, units)


# --- laws for every criterion --------------------------------------------------------------------


@pytest.mark.parametrize("criterion", UNIT_CRITERIA)
def test_scores_are_finite_and_one_for_each_unit(
    criterion: type[UnitCriterion], any_network: Network, digits: Dataset
) -> None:
    scores = criterion(0.5).scores(any_network, digits.train)
    for name, weight in any_network.weights.items():
        assert scores[name].shape == (weight.shape[1],)
        assert np.isfinite(scores[name]).all()


@pytest.mark.parametrize("repair", ["mean", "refit"])
@pytest.mark.parametrize("criterion", UNIT_CRITERIA)
def test_matrices_shrink_and_every_runtime_agrees(
    criterion: type[UnitCriterion], repair: str, any_network: Network, digits: Dataset
) -> None:
    recipe = ps.Recipe(quantizer=ps.FixedPoint(50), units=criterion(0.25, repair=repair))
    artifact = ps.compress(any_network, recipe, digits.train)
    names = list(any_network.weights)
    for name, weight in any_network.weights.items():
        n_in, n_out = artifact.reduced.weights[name].shape
        assert n_out == (weight.shape[1] if name == names[-1] else weight.shape[1] * 3 // 4)
        assert n_in == (len(weight) if name == names[0] else len(weight) * 3 // 4)
    model = onnx.load_model_from_string(artifact.onnx_bytes)
    onnx.checker.check_model(model, full_check=True)
    X = digits.validation.X[:40]
    (expected,) = ReferenceEvaluator(model).run(None, {"features": X})
    assert np.allclose(ps.OnnxRuntime(artifact.onnx_bytes).scores(X), expected, atol=1e-4)
    assert np.allclose(artifact.scores(X), expected, atol=1e-4)
    assert (
        artifact.sizes.file
        < ps.compress(any_network, ps.Recipe(quantizer=ps.FixedPoint(50)), digits.train).sizes.file
    )


def test_a_share_of_zero_changes_nothing(any_network: Network, digits: Dataset) -> None:
    units = _everywhere(any_network, UnitNorm(0))
    assert remove_units(any_network, units, digits.train) is any_network


def test_a_larger_share_keeps_a_subset(mlp: Network, digits: Dataset) -> None:
    kept = []
    for share in (0.3, 0.6):
        smaller = remove_units(mlp, _everywhere(mlp, UnitNorm(share)), digits.train)
        kept.append({column.tobytes() for column in smaller.weights["dense1"].T})
    assert kept[1] < kept[0]


def test_the_last_layer_keeps_its_units_and_one_unit_always_stays(
    mlp: Network, digits: Dataset
) -> None:
    smaller = remove_units(mlp, _everywhere(mlp, UnitNorm(0.99)), digits.train)
    assert {n: w.shape for n, w in smaller.weights.items()} == {
        "dense1": (64, 1),
        "dense2": (1, 1),
        "dense3": (1, 10),
    }


# --- what is left makes up for it ----------------------------------------------------------------


@pytest.mark.parametrize("repair", ["mean", "refit"])
def test_units_that_never_change_cost_nothing(repair: str) -> None:
    """Silent and constant units go first, and the next bias takes what they gave."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((5, 8)), rng.standard_normal((8, 3))
    first[:, [2, 6]] = 0
    bias = rng.standard_normal(8)
    bias[2], bias[6] = 1.5, -1.0
    layers = [
        Dense(first.astype(np.float32), bias.astype(np.float32)),
        Dense(second.astype(np.float32), np.zeros(3, np.float32)),
    ]
    network = build(layers, None, np.float32(1), METADATA)  # type: ignore[arg-type]
    rows = Rows(rng.standard_normal((200, 5)).astype(np.float32), np.zeros(200, np.int64))
    smaller = remove_units(network, {"dense1": UnitNorm(0.25, repair=repair)}, rows)
    assert smaller.weights["dense1"].shape == (5, 6)
    assert np.allclose(smaller.scores(rows.X), network.scores(rows.X), atol=1e-3)


def test_silent_filters_cost_nothing_through_pooling_and_flatten() -> None:
    rng = np.random.default_rng(1)
    shapes = ((6, 1, 3, 3), (4, 6, 3, 3))
    filters = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    biases = [rng.standard_normal(len(f)).astype(np.float32) for f in filters]
    for f, b, silent in zip(filters, biases, (3, 1), strict=True):
        f[silent], b[silent] = 0, -1
    layers = [
        *(Convolution(f, b) for f, b in zip(filters, biases, strict=True)),
        Dense(rng.standard_normal((16, 3)).astype(np.float32), np.zeros(3, np.float32)),
    ]
    network = build(layers, None, np.float32(1), METADATA, (1, 8, 8))  # type: ignore[arg-type]
    rows = Rows(rng.standard_normal((300, 64)).astype(np.float32), np.zeros(300, np.int64))
    smaller = remove_units(network, _everywhere(network, ZeroShare(0.25)), rows)
    assert [w.shape for w in smaller.weights.values()] == [(9, 5), (45, 3), (12, 3)]
    assert np.allclose(smaller.scores(rows.X), network.scores(rows.X), atol=1e-3)


def test_the_refit_is_numpys_least_squares(digits: Dataset, mlp: Network) -> None:
    smaller = remove_units(mlp, {"dense1": UnitNorm(0.5, repair="refit")}, digits.train)
    X = digits.train.X

    def hidden(network: Network) -> Any:
        h = as_chain(network).preparation(X) @ network.weights["dense1"] + network.biases["dense1"]
        return np.maximum(h, 0).astype(np.float64)

    wanted = hidden(mlp) @ mlp.weights["dense2"]
    now = hidden(smaller)
    now, wanted = now - now.mean(0), wanted - wanted.mean(0)
    # Damping pulls towards the old weights: as many more rows.
    pull = np.sqrt(0.01 * np.square(now).mean() * len(X)) * np.eye(now.shape[1])
    kept = np.isin(mlp.weights["dense1"][20], smaller.weights["dense1"][20])  # no black pixel
    old = mlp.weights["dense2"][kept]
    best, *_ = np.linalg.lstsq(np.vstack([now, pull]), np.vstack([wanted, pull @ old]), rcond=None)
    assert np.allclose(smaller.weights["dense2"], best, atol=1e-3)


def test_refitting_loses_less_than_the_mean(lenet: Network, fashion: Dataset) -> None:
    rows = fashion.validation
    correct = {}
    for repair in ("mean", "refit"):
        units = _everywhere(lenet, UnitNorm(0.5, repair=repair))
        scores = remove_units(lenet, units, fashion.train).scores(rows.X)
        correct[repair] = float(np.mean(scores.argmax(1) == rows.y))
    assert correct["refit"] > correct["mean"] + 0.02


# --- refusals ------------------------------------------------------------------------------------


def test_no_rows_is_said_before_any_work(mlp: Network) -> None:
    with pytest.raises(ParetoscopeError, match="l2 needs training rows; got none"):
        ps.compress(mlp, ps.Recipe(units=UnitNorm(0.5)), None)


@pytest.mark.parametrize("op", ["Sigmoid", "Softmax", "BatchNormalization"])
def test_a_graph_where_it_is_not_safe_is_refused_with_the_nodes_name(
    op: str, mlp: Network, digits: Dataset
) -> None:
    model = onnx.load_model_from_string(mlp.onnx_bytes)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type, relu.name = op, "the_odd_one"
    network = Network(model.SerializeToString())
    with pytest.raises(ParetoscopeError, match=rf"{op} \(the_odd_one\)"):
        remove_units(network, _everywhere(network, UnitNorm(0.5)), digits.train)


def test_a_layer_without_a_bias_is_refused(mlp: Network, digits: Dataset) -> None:
    model = onnx.load_model_from_string(mlp.onnx_bytes)
    add = next(n for n in model.graph.node if "dense2.bias" in n.input)
    following = next(n for n in model.graph.node if add.output[0] in n.input)
    following.input[0] = add.input[0]
    model.graph.node.remove(add)
    network = Network(model.SerializeToString())
    with pytest.raises(ParetoscopeError, match="dense2 has no bias"):
        remove_units(network, _everywhere(network, UnitNorm(0.5)), digits.train)


def test_a_second_branch_is_refused(mlp: Network, digits: Dataset) -> None:
    model = onnx.load_model_from_string(mlp.onnx_bytes)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    added = helper.make_node("Add", [relu.output[0], relu.output[0]], ["twice"], name="branch")
    following = next(n for n in model.graph.node if n.input and n.input[0] == relu.output[0])
    model.graph.node.insert(list(model.graph.node).index(following), added)
    following.input[0] = "twice"
    network = Network(model.SerializeToString())
    with pytest.raises(ParetoscopeError, match="Add"):
        remove_units(network, _everywhere(network, UnitNorm(0.5)), digits.train)


# --- the shipped convolutional networks ---------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "least", "n_weights"), [("digits", 0.98, 6_000), ("fashion-mnist", 0.91, 150_000)]
)
def test_shipped_networks(dataset: str, least: float, n_weights: int) -> None:
    """Their accuracy on test rows: 99.7 % and 91.5 % when they were trained."""
    data, network = load(dataset), trained(dataset, "cnn")
    labels = ps.OnnxRuntime(network.onnx_bytes).scores(data.test.X).argmax(1)
    assert np.mean(labels == data.test.y) >= least
    assert sum(w.size for w in network.weights.values()) == pytest.approx(n_weights, rel=0.1)
    X = data.test.X[:64]
    (expected,) = ReferenceEvaluator(network.onnx_bytes).run(None, {"features": X})
    assert np.allclose(network.scores(X), expected, atol=1e-4)


def test_another_seed_of_a_shipped_network_says_how_to_train_it(digits: Dataset) -> None:
    with pytest.raises(ParetoscopeError, match="paretoscope.training.train_cnn digits"):
        ps.train("cnn", digits, seed=7)


def test_training_them_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert train_cnn.main(["digits"]) == 2
    assert capsys.readouterr().err.strip() == (
        "training the CNNs needs PyTorch: pip install 'paretoscope[torch]'"
    )
    with pytest.raises(SystemExit):
        train_cnn.main(["digits", "--seed", "1", "--ship"])
    assert "only networks of seed 0 ship; got seed 1" in capsys.readouterr().err
