from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import Dataset
from paretoscope.data.rows import Rows
from paretoscope.methods.pruning import (
    CRITERIA,
    Criterion,
    Cut,
    KeepAll,
    L1Fit,
    Magnitude,
    OptimalBrainSurgeon,
    Pattern,
    RandomScore,
    Sparsity,
    TargetedDropout,
    Taylor,
    Threshold,
    Wanda,
    cut,
    loss,
    smallest_kept,
)
from paretoscope.methods.pruning.selections import SCOPES
from paretoscope.network.network import Network

finite = st.floats(0, 100, width=32)
arrays = npst.arrays(
    np.float32, npst.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=finite
)
scores = st.fixed_dictionaries({"a": arrays, "b": arrays})
scopes = st.sampled_from(SCOPES)


# --- laws for every criterion and selection ----------------------------------------------------


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_criterion_keeps_shapes_leaves_its_input_and_is_finite(
    criterion: type[Criterion],
    any_network: Network,
    digits: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loss, "_RETRAIN_UPDATES", 30)  # for those that train first
    before = {name: weight.copy() for name, weight in any_network.weights.items()}
    rows = Rows(digits.train.X, digits.train.y)  # scores are kept by the rows they are of
    found = criterion(sparsity=0.5).scores(any_network, rows)
    for name, weight in any_network.weights.items():
        assert found[name].shape == weight.shape
        assert np.isfinite(found[name]).all()
        assert np.array_equal(weight, before[name])


@given(scores, st.floats(0, 100), st.floats(0, 100), scopes)
def test_a_higher_threshold_cuts_a_superset(s: Any, one: float, two: float, scope: str) -> None:
    _assert_nested(Threshold(min(one, two), scope)(s), Threshold(max(one, two), scope)(s))


@given(scores, st.floats(0, 1), st.floats(0, 1), scopes)
def test_a_higher_sparsity_cuts_a_superset(s: Any, one: float, two: float, scope: str) -> None:
    _assert_nested(Sparsity(min(one, two), scope)(s), Sparsity(max(one, two), scope)(s))


def _assert_nested(low: Cut, high: Cut) -> None:
    for name in low.kept:
        assert not (high.kept[name] & ~low.kept[name]).any()


@given(scores, scopes)
def test_the_lowest_setting_cuts_nothing(s: Any, scope: str) -> None:
    for selection in (Threshold(0.0, scope), Sparsity(0.0, scope)):
        assert all(kept.all() for kept in selection(s).kept.values())


@given(scores, st.floats(0, 1))
def test_sparsity_cuts_the_smallest(s: Any, fraction: float) -> None:
    kept = Sparsity(fraction)(s).kept
    flat = np.concatenate([s[n].ravel() for n in s])
    mask = np.concatenate([kept[n].ravel() for n in s])
    assert np.count_nonzero(~mask) == int(np.floor(fraction * flat.size + 1e-9))
    if mask.any() and (~mask).any():
        assert flat[~mask].max() <= flat[mask].min()


@given(arrays, st.floats(0, 3))
def test_a_threshold_per_layer_is_in_units_of_its_root_mean_square(s: Any, value: float) -> None:
    limit = np.float32(value * np.sqrt((s.astype(np.float64) ** 2).mean()))
    assert np.array_equal(Threshold(value, "layer")({"a": s}).kept["a"], s >= limit)


def test_sparsity_per_layer_is_the_same_in_each(mlp: Network) -> None:
    criterion = Magnitude(sparsity=0.25, scope="layer")
    kept = criterion.selection(criterion.scores(mlp)).kept
    for name, weight in mlp.weights.items():
        assert np.count_nonzero(~kept[name]) == weight.size // 4


# --- the cut of a network ----------------------------------------------------------------------


def test_magnitude_by_brute_force(mlp: Network) -> None:
    found = cut(mlp, dict.fromkeys(mlp.weights, Magnitude(threshold=0.05)))
    for name, weight in mlp.weights.items():
        expected = np.where(np.abs(weight) < 0.05, 0, weight)
        assert np.array_equal(found.apply(mlp.weights)[name], expected)
    total = sum(w.size for w in mlp.weights.values())
    n_small = sum(np.count_nonzero(np.abs(w) < 0.05) for w in mlp.weights.values())
    assert found.sparsity(mlp.weights) == pytest.approx(n_small / total)


def test_layers_with_the_same_criterion_are_ranked_together_others_apart(mlp: Network) -> None:
    half = Magnitude(sparsity=0.5)
    found = cut(mlp, {"dense1": half, "dense2": half, "dense3": KeepAll()})
    assert found.kept["dense3"].all()
    together = np.concatenate([np.abs(mlp.weights[n]).ravel() for n in ("dense1", "dense2")])
    kept = np.concatenate([found.kept[n].ravel() for n in ("dense1", "dense2")])
    assert np.count_nonzero(kept) == together.size - together.size // 2
    assert together[kept].min() >= together[~kept].max()


def test_a_mask_of_units_broadcasts(mlp: Network) -> None:
    kept = {name: np.ones(1, np.bool_) for name in mlp.weights}
    kept["dense1"] = np.arange(64) < 48
    units = Cut(kept)
    assert not units.apply(mlp.weights)["dense1"][:, 48:].any()
    total = sum(w.size for w in mlp.weights.values())
    assert units.sparsity(mlp.weights) == pytest.approx(64 * 16 / total)


def test_threshold_and_sparsity_show_each_other(mlp: Network) -> None:
    found = Magnitude(sparsity=0.4).scores(mlp)
    limit = smallest_kept(found, Sparsity(0.4)(found))
    assert limit is not None
    assert Threshold(limit)(found).sparsity(mlp.weights) == pytest.approx(0.4, abs=1e-3)
    assert smallest_kept(found, Sparsity(1.0)(found)) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "magnitude takes one of threshold, sparsity and pattern; got none"),
        ({"threshold": 0.1, "sparsity": 0.1}, "got threshold and sparsity"),
        ({"threshold": -0.1}, "magnitude's threshold must be at least 0; got -0.1"),
        (
            {"threshold": float("nan")},
            "magnitude's threshold must be a number from 0 to 1e30; got nan",
        ),
        ({"threshold": float("inf")}, "magnitude's threshold must be at most 1e30; got inf"),
        ({"pattern": "3:4"}, "magnitude's pattern must be one of 1:2, 2:4, 1:4, 4:8; got '3:4'"),
        ({"pattern": "2:4", "scope": "layer"}, "magnitude takes no scope with a pattern"),
        ({"threshold": "0.1"}, "magnitude's threshold must be a number from 0 to 1e30; got '0.1'"),
        ({"sparsity": 1.1}, "magnitude's sparsity must be at most 1; got 1.1"),
        (
            {"sparsity": 0.1, "scope": "all"},
            "scope must be one of global, layer, output; got 'all'",
        ),
    ],
)
def test_bad_settings(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParetoscopeError) as caught:
        Magnitude(**arguments)
    assert message in str(caught.value)


# --- N of M ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["1:2", "2:4", "1:4", "4:8"])
def test_a_pattern_keeps_the_best_n_of_every_m_inputs(pattern: str, mlp: Network) -> None:
    n, m = (int(part) for part in pattern.split(":"))
    found = cut(mlp, dict.fromkeys(mlp.weights, Magnitude(pattern=pattern)))
    for name, weight in mlp.weights.items():
        kept = found.kept[name]
        for column in range(0, weight.shape[1], 7):
            for i in range(0, weight.shape[0], m):
                group, mask = np.abs(weight[i : i + m, column]), kept[i : i + m, column]
                assert mask.sum() == n
                assert group[mask].min() >= group[~mask].max()


def test_a_pattern_that_does_not_divide_a_layer() -> None:
    with pytest.raises(ParetoscopeError, match="2:4 needs inputs in groups of 4; w has 6"):
        Pattern(2, 4)({"w": np.ones((6, 3), np.float32)})


# --- criteria by an independent calculation ------------------------------------------------------


def _inputs(network: Network, X: Any) -> dict[str, Any]:
    """Each layer's inputs, in plain numpy."""
    h, found = X * np.float32(1 / 16), {}
    for name, weight in network.weights.items():
        found[name] = h
        h = np.maximum(h @ weight + network.biases[name], 0)
    return found


def test_wanda_is_weight_times_input_norm(mlp: Network, digits: Dataset) -> None:
    found = Wanda(sparsity=0.5, scope="output").scores(mlp, digits.train)
    for name, h in _inputs(mlp, digits.train.X).items():
        norm = np.linalg.norm(h, axis=0) / np.sqrt(len(h))
        assert np.allclose(found[name], np.abs(mlp.weights[name]) * norm[:, None], rtol=1e-4)


def test_obs_is_the_error_left_when_the_others_make_up(mlp: Network, digits: Dataset) -> None:
    """Against the definition: remove one weight, solve for the others, take the squared error."""
    found = OptimalBrainSurgeon(sparsity=0.5, scope="layer").scores(mlp, digits.train)
    h = _inputs(mlp, digits.train.X)["dense2"].astype(np.float64)
    H = h.T @ h / len(h)
    diagonal = np.diag(H).copy()
    diagonal[diagonal == 0] = 1
    np.fill_diagonal(H, diagonal + 0.01 * diagonal.mean())
    w = mlp.weights["dense2"][:, 3].astype(np.float64)
    for removed in np.flatnonzero(np.diag(h.T @ h) > 0)[:5]:
        others = np.delete(np.arange(len(w)), removed)
        # min over d of d^T H d / 2 with d_removed = -w_removed
        inner = np.linalg.solve(H[np.ix_(others, others)], H[others, removed] * w[removed])
        d = np.zeros(len(w))
        d[removed], d[others] = -w[removed], inner
        assert found["dense2"][removed, 3] == pytest.approx(d @ H @ d / 2, rel=1e-3)


def test_taylor_is_the_squared_gradient_times_weight(mlp: Network, digits: Dataset) -> None:
    """Against numerical differences of the loss."""
    rows = Rows(digits.train.X[:64], digits.train.y[:64])
    found = Taylor(sparsity=0.5).scores(mlp, rows)

    def loss(weights: dict[str, Any]) -> float:
        scores = mlp.scores(rows.X, weights).astype(np.float64)
        shifted = scores - scores.max(1, keepdims=True)
        log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return float(-log[np.arange(64), rows.y].mean())

    largest = np.unravel_index(found["dense3"].argmax(), (32, 10))
    step = 1e-2
    moved = {sign: {n: w.copy() for n, w in mlp.weights.items()} for sign in (1, -1)}
    for sign, weights in moved.items():
        weights["dense3"][largest] += sign * step
    gradient = (loss(moved[1]) - loss(moved[-1])) / (2 * step)
    weight = mlp.weights["dense3"][largest]
    assert found["dense3"][largest] == pytest.approx((gradient * weight) ** 2, rel=0.1)


def test_an_l1_fit_pulls_weights_to_zero_and_a_harder_one_more(
    mlp: Network, digits: Dataset
) -> None:
    zeros = []
    for strength in (0.001, 0.02, 0.1):
        scores = L1Fit(sparsity=0.5, strength=strength).scores(mlp, digits.train)
        zeros.append(np.mean([np.mean(s == 0) for s in scores.values()]))
    assert zeros[0] < zeros[1] < zeros[2] < 1


def test_targeted_dropout_parts_the_weights(mlp: Network, digits: Dataset) -> None:
    """What was at risk shrinks against what was not, more than without."""
    before = Magnitude(sparsity=0.5).scores(mlp)["dense1"]
    after = TargetedDropout(sparsity=0.5).scores(mlp, digits.train)["dense1"]
    limit = np.quantile(before, 0.25, axis=0)
    assert (after[before > limit].mean() / before[before > limit].mean()) > 0.95
    assert not np.allclose(after, before)


def test_random_is_seeded_and_blind(mlp: Network) -> None:
    one, same, other = (
        RandomScore(sparsity=0.5, draw=draw).scores(mlp)["dense1"] for draw in (0, 0, 1)
    )
    assert np.array_equal(one, same)
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(one.ravel(), np.abs(mlp.weights["dense1"]).ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("criterion", [c for c in CRITERIA if c is not RandomScore])
def test_every_criterion_beats_the_random_control(
    criterion: type[Criterion], mlp: Network, digits: Dataset
) -> None:
    def accuracy(chosen: Criterion) -> float:
        kept = cut(mlp, dict.fromkeys(mlp.weights, chosen), digits.train).apply(mlp.weights)
        labels = mlp.scores(digits.validation.X, kept).argmax(1)
        return float(np.mean(labels == digits.validation.y))

    control = np.mean(
        [accuracy(RandomScore(sparsity=0.5, draw=s, scope="layer")) for s in range(5)]
    )
    assert accuracy(criterion(sparsity=0.5, scope="layer")) > control + 0.1


def test_criteria_that_need_rows_say_so(mlp: Network) -> None:
    for criterion in CRITERIA:
        if criterion.needs_rows:
            with pytest.raises(ParetoscopeError, match="needs training rows; got none"):
                cut(mlp, dict.fromkeys(mlp.weights, criterion(sparsity=0.5)), None)
