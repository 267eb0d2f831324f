"""Rows that are noisy, shifted, turned and blurred."""

from __future__ import annotations

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.data.rows import Rows
from paretoscope.measurement.corruptions import (
    CORRUPTIONS,
    Blur,
    Corruption,
    Noise,
    Rotation,
    Shift,
    corruptions,
    robustness,
)
from paretoscope.network.network import Network
from paretoscope.problems.accuracy import change

from tests.conftest import load


@pytest.mark.parametrize("kind", CORRUPTIONS, ids=lambda c: c.name)
@pytest.mark.parametrize("dataset", ["digits", "fashion-mnist"])
def test_images_stay_images_and_change_more_with_strength(
    kind: type[Corruption], dataset: str
) -> None:
    data = load(dataset)
    X = data.validation.X[:80]
    kept = X.copy()
    apart = []
    for strength in kind.strengths[1:]:
        changed = kind().apply(X, strength, data)
        assert changed.shape == X.shape
        assert changed.dtype == np.float32
        assert 0 <= changed.min() <= changed.max() <= data.largest  # type: ignore[operator]
        np.testing.assert_array_equal(changed, kind().apply(X, strength, data))
        apart.append(float(np.abs(changed - X).mean()))
    assert kind.strengths[0] == 0
    assert apart == sorted(apart)
    assert apart[0] > 0
    np.testing.assert_array_equal(X, kept)


def test_noise_of_tables_is_in_each_features_own_spread() -> None:
    data = load("breast-cancer")
    X = np.repeat(data.validation.X[:1], 4_000, axis=0)
    noisy = Noise().apply(X, 0.1, data)
    np.testing.assert_allclose((noisy - X).std(0), 0.1 * data.train.X.std(0), rtol=0.05)
    assert [c.name for c in corruptions(data)] == ["noise"]


def test_a_shift_by_whole_pixels_moves_them() -> None:
    data = load("digits")
    X = data.validation.X[:8]
    shifted = Shift().apply(X, 1 / 8, data).reshape(-1, 8, 8)
    images = X.reshape(-1, 8, 8)
    np.testing.assert_allclose(shifted[0][:, 1:], images[0][:, :-1], atol=1e-4)  # to the right
    np.testing.assert_allclose(shifted[2][1:, :], images[2][:-1, :], atol=1e-4)  # down
    assert not shifted[0][:, 0].any()


def test_a_quarter_turn_is_numpys() -> None:
    data = load("digits")
    X = data.validation.X[:2]
    turned = Rotation().apply(X, 90.0, data).reshape(-1, 8, 8)
    np.testing.assert_allclose(turned[0], np.rot90(X[0].reshape(8, 8)), atol=1e-3)
    np.testing.assert_allclose(turned[1], np.rot90(X[1].reshape(8, 8), -1), atol=1e-3)


def test_blur_keeps_what_is_flat() -> None:
    data = load("digits")
    flat = np.full((1, 64), 7.0, np.float32)
    np.testing.assert_allclose(Blur().apply(flat, 0.1, data), flat, rtol=1e-5)


def test_both_files_run_on_the_same_rows(mlp: Network, digits: ps.Dataset) -> None:
    ours, baseline = (
        ps.compress(mlp, ps.Recipe.parse(r), digits.train) if r
        else ps.compress(mlp, ps.Recipe(), digits.train)
        for r in ("magnitude(sparsity=0.6)+q(4)", "")
    )  # fmt: skip
    rows = Rows(digits.validation.X, digits.validation.y)
    found = list(robustness(ours.onnx_bytes, baseline.onnx_bytes, digits, rows))
    assert len(found) == sum(len(c.strengths) for c in CORRUPTIONS)
    clean = [p for p in found if p.strength == 0]
    measured = ps.measure(ours, digits, batches=())
    assert {p.now for p in clean} == {measured.accuracy}
    assert {p.change for p in clean} == {measured.change}
    noisy = next(p for p in found if p.corruption == "noise" and p.strength == 0.4)
    X = Noise().apply(rows.X, 0.4, digits)
    labels = [ps.OnnxRuntime(a.onnx_bytes).scores(X).argmax(1) for a in (ours, baseline)]
    assert noisy.change == change(*labels, rows.y)
    assert noisy.now.value == pytest.approx(np.mean(labels[0] == rows.y))
