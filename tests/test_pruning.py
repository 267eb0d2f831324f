from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from paretoscope.errors import ParetoscopeError
from paretoscope.network import Network
from paretoscope.pruning import (
    CRITERIA,
    Criterion,
    Cut,
    KeepAll,
    Magnitude,
    Sparsity,
    Threshold,
    cut,
    smallest_kept,
)

finite = st.floats(0, 100, width=32)
arrays = npst.arrays(
    np.float32, npst.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=finite
)
scores = st.fixed_dictionaries({"a": arrays, "b": arrays})
both = st.sampled_from([False, True])


# --- laws for every criterion and selection ----------------------------------------------------


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_criterion_keeps_shapes_leaves_its_input_and_is_finite(
    criterion: type[Criterion], mlp: Network
) -> None:
    before = {name: weight.copy() for name, weight in mlp.weights.items()}
    found = criterion(sparsity=0.5).scores(mlp, None)
    for name, weight in mlp.weights.items():
        assert found[name].shape == weight.shape
        assert np.isfinite(found[name]).all()
        assert np.array_equal(weight, before[name])


@given(scores, st.floats(0, 100), st.floats(0, 100), both)
def test_a_higher_threshold_cuts_a_superset(s: Any, one: float, two: float, layer: bool) -> None:
    _assert_nested(Threshold(min(one, two), layer)(s), Threshold(max(one, two), layer)(s))


@given(scores, st.floats(0, 1), st.floats(0, 1), both)
def test_a_higher_sparsity_cuts_a_superset(s: Any, one: float, two: float, layer: bool) -> None:
    _assert_nested(Sparsity(min(one, two), layer)(s), Sparsity(max(one, two), layer)(s))


def _assert_nested(low: Cut, high: Cut) -> None:
    for name in low.kept:
        assert not (high.kept[name] & ~low.kept[name]).any()


@given(scores, both)
def test_the_lowest_setting_cuts_nothing(s: Any, layer: bool) -> None:
    for selection in (Threshold(0.0, layer), Sparsity(0.0, layer)):
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
    assert np.array_equal(Threshold(value, True)({"a": s}).kept["a"], s >= limit)


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
        ({}, "Magnitude takes either threshold or sparsity; got neither"),
        ({"threshold": 0.1, "sparsity": 0.1}, "got both"),
        ({"threshold": -0.1}, "Magnitude.threshold must be at least 0; got -0.1"),
        ({"threshold": float("nan")}, "Magnitude.threshold must be a number from 0 on; got nan"),
        ({"threshold": float("inf")}, "Magnitude.threshold must be finite; got inf"),
        ({"threshold": "0.1"}, "Magnitude.threshold must be a number from 0 on; got '0.1'"),
        ({"sparsity": 1.1}, "Magnitude.sparsity must be at most 1; got 1.1"),
        ({"sparsity": 0.1, "scope": "all"}, "scope must be one of global, layer; got 'all'"),
    ],
)
def test_bad_settings(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParetoscopeError) as caught:
        Magnitude(**arguments)
    assert message in str(caught.value)
