"""Convolution and pooling against torch's rules, by scipy and brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from paretoscope.network.windows import Window
from scipy.signal import correlate

WINDOWS = [
    Window((3, 3), pads=(1, 1, 1, 1)),
    Window((3, 2)),
    Window((5, 5), (2, 2), (2, 2, 2, 2)),
    Window((2, 3), (2, 1), (0, 1, 1, 0)),
]


def _images(seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((3, 2, 9, 8)).astype(np.float32)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_unfolded_rows_times_filters_are_a_correlation(window: Window) -> None:
    x = _images()
    filters = np.random.default_rng(1).standard_normal((4, 2, *window.kernel)).astype(np.float32)
    top, left, bottom, right = window.pads
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    expected = np.stack(
        [
            [sum(correlate(image[c], f[c], "valid") for c in range(2)) for f in filters]
            for image in padded
        ]
    )[:, :, :: window.strides[0], :: window.strides[1]]
    found = window.unfold(x) @ filters.reshape(4, -1).T
    shape = (3, *window.output_shape(9, 8), 4)
    assert np.allclose(found.reshape(shape).transpose(0, 3, 1, 2), expected, atol=1e-4)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_fold_is_the_transpose_of_unfold(window: Window) -> None:
    x = _images().astype(np.float64)
    rows = np.random.default_rng(2).standard_normal(window.unfold(x).shape).astype(np.float32)
    assert np.vdot(window.unfold(x), rows) == pytest.approx(
        float(np.vdot(x, window.fold(rows, x.shape))), rel=1e-5
    )


@pytest.mark.parametrize("window", [Window((2, 2), (2, 2)), Window((3, 3), (2, 2), (1, 1, 1, 1))])
def test_pooling_and_its_gradient(window: Window) -> None:
    x = _images()
    found = window.largest(x)
    top, left, *_ = window.pads
    for i in range(found.shape[2]):
        for j in range(found.shape[3]):
            y, z = 2 * i - top, 2 * j - left
            part = x[:, :, max(y, 0) : y + window.kernel[0], max(z, 0) : z + window.kernel[1]]
            assert np.array_equal(found[:, :, i, j], part.max((2, 3)))
    gradient = np.random.default_rng(3).standard_normal(found.shape).astype(np.float32)
    spread = window.spread(gradient, x, found)
    assert spread.shape == x.shape
    assert spread.sum() == pytest.approx(float(gradient.sum()), rel=1e-4)
    # Along any way, what the largest change by is what the gradient says.
    way, step = np.random.default_rng(5).standard_normal(x.shape), 1e-7
    moved = (window.largest(x.astype(np.float64) + step * way) - found) / step
    assert np.vdot(moved, gradient) == pytest.approx(float(np.vdot(spread, way)), rel=1e-3)


def test_equal_pixels_share_nothing_twice() -> None:
    window = Window((2, 2), (2, 2))
    x = np.ones((1, 1, 2, 2), np.float32)
    spread = window.spread(np.full((1, 1, 1, 1), 5, np.float32), x, window.largest(x))
    assert spread.ravel().tolist() == [5, 0, 0, 0]


@pytest.mark.parametrize("count_pads", [False, True])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_means_are_those_of_onnx_and_their_gradient_is_the_transpose(
    window: Window, count_pads: bool
) -> None:
    x = _images()
    node = helper.make_node(
        "AveragePool", ["x"], ["y"], kernel_shape=window.kernel, strides=window.strides,
        pads=window.pads, count_include_pad=int(count_pads),
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    (expected,) = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    found = window.mean(x, count_pads)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    gradient = np.random.default_rng(4).standard_normal(found.shape).astype(np.float32)
    assert np.vdot(found, gradient) == pytest.approx(
        float(np.vdot(x, window.spread_evenly(gradient, x.shape, count_pads))), rel=1e-4
    )
