from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import parameters
from paretoscope.methods.quantization import (
    LARGEST_CODE,
    QUANTIZERS,
    STORAGE,
    FixedPoint,
    Float16,
    Float32,
    Grid,
    KMeans,
    Quantizer,
    Shift,
    Symmetric,
    code_bits,
    narrowest,
)
from paretoscope.network.network import Network

weights = npst.arrays(
    np.float32,
    npst.array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.floats(-8, 8, width=32).filter(lambda w: w == 0 or abs(w) > 1e-20),
)
factors = st.one_of(st.integers(1, 4096).map(float), st.floats(1, 4096))


SYMMETRIC_CHOICES = (("output", "max"), ("tensor", "mse"), ("output", "mse"))


def _members() -> list[Quantizer]:
    """Each quantizer, at the ends and in the middle of its parameters' stops."""
    found: list[Quantizer] = []
    for family in QUANTIZERS:
        described = parameters(family)
        if not described:
            found.append(family())
            continue
        example = {"w": np.linspace(-1, 1, 50, dtype=np.float32).reshape(5, 10)}
        for which in (0, -1, 5):
            values = {n: p.stops(example, 20)[which] for n, p in described.items() if p.stops}
            found.append(family(**values))
    choices = [Symmetric(b, per, clip) for b in (2, 5) for per, clip in SYMMETRIC_CHOICES]
    return [*found, *choices, FixedPoint(5, per="output")]


def _grid(quantizer: Quantizer, weight: Any) -> Grid:
    return quantizer.grid(weight, np.ones(weight.shape, np.bool_))


# --- laws for every quantizer ------------------------------------------------------------------


@pytest.mark.parametrize("quantizer", _members(), ids=str)
@given(weight=weights)
def test_zero_stays_zero_and_projecting_twice_changes_nothing(
    quantizer: Quantizer, weight: Any
) -> None:
    before = weight.copy()
    grid = _grid(quantizer, weight)
    codes = grid.project(weight)
    assert np.array_equal(weight, before)
    decoded = codes.decoded()
    assert decoded.dtype == np.float32
    assert decoded.shape == weight.shape
    assert not decoded[weight == 0].any()
    again = grid.project(decoded)
    assert np.array_equal(again.values, codes.values)
    assert again.storage == codes.storage


@given(weights, factors)
def test_fixed_point_is_the_articles_formula(weight: Any, q: float) -> None:
    codes = _grid(FixedPoint(q), weight).project(weight)
    assert np.array_equal(codes.values, np.round(weight.astype(np.float64) * q))
    error = np.abs(codes.decoded().astype(np.float64) - weight)
    assert (error <= 1 / (2 * q) + np.abs(weight) * 2.0**-22).all()


@given(weights, factors)
def test_q_by_output_follows_the_largest_weight_of_each(weight: Any, q: float) -> None:
    """Each output as if it were a layer by itself, with a factor that makes its codes as large."""
    codes = _grid(FixedPoint(q, per="output"), weight).project(weight)
    top = np.abs(weight.astype(np.float64)).max(0)
    for k in np.flatnonzero(top > 1e-30):
        alone = _grid(FixedPoint(1), weight[:, [k]]).project(
            weight[:, [k]] * (q * top.max() / top[k])
        )
        assert np.abs(codes.values[:, k] - alone.values[:, 0]).max() <= 1 + 1e-6 * q * top.max()
        step = top[k] / (q * top.max())
        off = np.abs(codes.decoded()[:, k].astype(np.float64) - weight[:, k])
        assert (off <= step / 2 + np.abs(weight[:, k]) * 2.0**-21).all()


@given(st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=5))
def test_the_narrowest_type_that_holds_the_codes(values: list[int]) -> None:
    kinds = {
        "int2": ml_dtypes.iinfo(ml_dtypes.int2),
        "int4": ml_dtypes.iinfo(ml_dtypes.int4),
        "int8": np.iinfo(np.int8),
        "int16": np.iinfo(np.int16),
        "int32": np.iinfo(np.int32),
    }
    assert list(kinds) == list(STORAGE)
    fits = [k for k, i in kinds.items() if int(i.min) <= min(values) and max(values) <= int(i.max)]
    assert narrowest(np.array(values)) == fits[0]


@given(st.integers(0, 2**24))
def test_bits_by_the_formula(largest: int) -> None:
    expected = int(np.ceil(np.log2(2 * largest + 1)))
    assert code_bits(largest) == expected


def test_q_8_gives_4_bit_codes_for_weights_up_to_0_9() -> None:
    weight = np.array([[0.9, -0.9, 0.01]], np.float32)
    codes = _grid(FixedPoint(8), weight).project(weight)
    assert (codes.values.tolist(), codes.bits, codes.storage) == ([[7, -7, 0]], 4, "int4")


def test_float32_is_untouched(mlp: Network) -> None:
    weight = mlp.weights["dense1"]
    codes = _grid(Float32(), weight).project(weight)
    assert codes.decoded() is weight
    assert (codes.bits, codes.storage) == (32, "float32")


def test_codes_beyond_what_float32_holds_are_refused() -> None:
    weight = np.array([[100.0]], np.float32)
    largest = LARGEST_CODE / 100
    _grid(FixedPoint(largest), weight).project(weight)
    with pytest.raises(
        ParetoscopeError, match=r"Q must be at most 1.678e\+05 for weights up to 100"
    ):
        _grid(FixedPoint(largest + 1), weight).project(weight)


@pytest.mark.parametrize(
    ("q", "message"),
    [
        (0, "q must be at least 1; got 0"),
        (-3.5, "q must be at least 1; got -3.5"),
        (float("nan"), "q must be a number from 1 to 16777216; got nan"),
        (float("inf"), "q must be at most 16777216; got inf"),
        ("8", "q must be a number from 1 to 16777216; got '8'"),
        (True, "q must be a number from 1 to 16777216; got True"),
        (None, "q must be a number from 1 to 16777216; got None"),
    ],
)
def test_bad_q(q: Any, message: str) -> None:
    with pytest.raises(ParetoscopeError) as caught:
        FixedPoint(q)
    assert str(caught.value) == message


@given(st.floats(0.01, 50), st.integers(2, 40))
def test_stops_of_q_rise_from_1_and_stay_within_10_bits(largest: float, count: int) -> None:
    weight = {"w": np.array([[largest, -largest / 2]], np.float32)}
    described = parameters(FixedPoint)["q"]
    assert described.stops is not None
    stops = list(described.stops(weight, count))
    assert stops == sorted(set(stops))
    assert stops[0] == 1
    assert 2 <= len(stops) <= count
    assert stops[-1] <= max(16, 511 / largest)


# --- the other members, each against its formula -------------------------------------------------


@given(weights, st.integers(0, 10))
def test_a_shift_is_fixed_point_with_a_power_of_two(weight: Any, k: int) -> None:
    one, other = (_grid(q, weight).project(weight) for q in (Shift(k), FixedPoint(2**k)))
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(one.decoded(), np.ldexp(one.values.astype(np.float32), -k))


@given(weights, st.integers(2, 8), st.sampled_from(["tensor", "output"]))
def test_symmetric_codes_fill_their_bits_and_err_by_half_a_step(
    weight: Any, bits: int, per: str
) -> None:
    codes = _grid(Symmetric(bits, per), weight).project(weight)
    limit = 2 ** (bits - 1) - 1
    axis = 0 if per == "output" else None
    largest = np.abs(weight).max(axis=axis)
    assert np.abs(codes.values).max(initial=0) <= limit
    assert np.array_equal(np.abs(codes.values).max(axis=axis), np.where(largest > 0, limit, 0))
    step = np.where(largest > 0, largest, 1) / limit
    error = np.abs(codes.decoded().astype(np.float64) - weight)
    assert (error <= step * (0.5 + 1e-5)).all()


@given(weights, st.integers(2, 5), st.sampled_from(["tensor", "output"]))
def test_clipping_never_adds_squared_error(weight: Any, bits: int, per: str) -> None:
    def error(clip: str) -> float:
        decoded = _grid(Symmetric(bits, per, clip), weight).project(weight).decoded()
        return float(np.square(decoded.astype(np.float64) - weight).sum())

    assert error("mse") <= error("max") * (1 + 1e-5) + 1e-9


def test_the_scale_is_of_what_is_kept() -> None:
    weight = np.array([[8.0, 0.5], [0.7, 0.1]], np.float32)
    kept = np.array([[False, True], [True, True]])
    codes = Symmetric(4).grid(weight, kept).project(np.where(kept, weight, 0))
    assert codes.values.tolist() == [[0, 5], [7, 1]]


@pytest.mark.parametrize("clusters", [2, 3, 8, 16, 50])
def test_k_means_is_a_fixed_point_of_lloyd(clusters: int, mlp: Network) -> None:
    """Each centre is the mean of its weights, up to the steps taken; scikit-learn's fit from the
    same centres is no better by more than a hundredth."""
    from sklearn.cluster import KMeans as Reference

    weight = mlp.weights["dense1"]
    codes = _grid(KMeans(clusters), weight).project(weight)
    decoded = codes.decoded()
    assert len(np.unique(decoded)) <= clusters
    used = np.unique(decoded).reshape(-1, 1)
    reference = Reference(len(used), init=used, n_init=1).fit(weight.reshape(-1, 1))
    error = float(np.square(decoded - weight, dtype=np.float64).sum())
    if clusters > 2:
        assert error <= 1.3 * reference.inertia_
    middle = (used[1:] + used[:-1]) / 2
    nearest = used.ravel()[np.searchsorted(middle.ravel(), weight)]
    assert np.array_equal(np.where(weight == 0, 0, nearest), decoded)


def test_k_means_of_nothing_is_zero() -> None:
    weight = np.zeros((3, 2), np.float32)
    assert not _grid(KMeans(4), weight).project(weight).decoded().any()


def test_float16_is_numpys(mlp: Network) -> None:
    weight = mlp.weights["dense1"]
    decoded = _grid(Float16(), weight).project(weight).decoded()
    assert np.array_equal(decoded, weight.astype(np.float16).astype(np.float32))
    with pytest.raises(ParetoscopeError, match="float16 holds weights up to 65504"):
        _grid(Float16(), weight).project(np.array([[70_000.0]], np.float32))
