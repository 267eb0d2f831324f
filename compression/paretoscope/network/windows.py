"""Convolution as a matrix product: every output position is a row, its receptive field.

Images are arrays (n, channels, height, width). The columns of a row are ordered by channel, then
height and width of the kernel, as ONNX orders the weights of a filter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from paretoscope.base.parameters import FloatArray

_FEW_PIXELS = 25  # of a kernel, of which the largest is sooner found pixel by pixel


@dataclass(frozen=True)
class Window:
    """The window of a convolution or a pooling: height before width, pads as ONNX has them
    (top, left, bottom, right)."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        top, left, bottom, right = self.pads
        return (
            (height + top + bottom - self.kernel[0]) // self.strides[0] + 1,
            (width + left + right - self.kernel[1]) // self.strides[1] + 1,
        )

    def unfold(self, x: FloatArray) -> FloatArray:
        """The windows of images as rows: (n * positions, channels * kernel height * width)."""
        found = self.windows(x, 0.0).transpose(0, 2, 3, 1, 4, 5)
        return found.reshape(-1, x.shape[1] * self.kernel[0] * self.kernel[1])

    def fold(self, rows: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        """The transpose of `unfold`: each entry is added to the pixel it came from."""
        n, c, height, width = shape
        top, left, bottom, right = self.pads
        out_h, out_w = self.output_shape(height, width)
        padded = np.zeros((n, c, height + top + bottom, width + left + right), np.float32)
        by_place = rows.reshape(n, out_h, out_w, c, *self.kernel).transpose(4, 5, 0, 3, 1, 2)
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                rows_of, columns = self._slice(i, out_h, 0), self._slice(j, out_w, 1)
                padded[:, :, rows_of, columns] += by_place[i, j]
        return padded[:, :, top : top + height, left : left + width]

    def largest(self, x: FloatArray) -> FloatArray:
        """The largest value of each window, for max pooling."""
        height, width = x.shape[2:]
        out_h, out_w = self.output_shape(height, width)
        if any(self.pads) or self.kernel[0] * self.kernel[1] > _FEW_PIXELS:
            found: FloatArray = self.windows(x, -np.inf).max((4, 5))
            return found
        places = [
            x[:, :, self._slice(i, out_h, 0), self._slice(j, out_w, 1)]
            for i in range(self.kernel[0])
            for j in range(self.kernel[1])
        ]
        largest: FloatArray = np.maximum.reduce(places)
        return largest

    def spread(self, gradient: FloatArray, x: FloatArray, largest: FloatArray) -> FloatArray:
        """The gradient of `largest` by `x`: to the first pixel that is the largest of a window."""
        out_h, out_w = largest.shape[2:]
        top, left, bottom, right = self.pads
        height, width = x.shape[2:]
        if any(self.pads):
            edges = ((0, 0), (0, 0), (top, bottom), (left, right))
            x = np.pad(x, edges, constant_values=-np.inf)
        found = np.zeros_like(x)
        taken = np.zeros(largest.shape, np.bool_)
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                place = (
                    slice(None),
                    slice(None),
                    self._slice(i, out_h, 0),
                    self._slice(j, out_w, 1),
                )
                is_first = (x[place] == largest) & ~taken
                found[place] += gradient * is_first
                taken |= is_first
        return found[:, :, top : top + height, left : left + width]

    def mean(self, x: FloatArray, count_pads: bool = False) -> FloatArray:
        """The mean of each window, for average pooling; of its pixels within the image, or, with
        `count_pads`, of the zeros around it too."""
        found: FloatArray = self.windows(x, 0.0).sum((4, 5)) / self._counts(x.shape, count_pads)
        return found

    def spread_evenly(
        self, gradient: FloatArray, shape: tuple[int, ...], count_pads: bool = False
    ) -> FloatArray:
        """The gradient of `mean` by images of `shape`."""
        shares = gradient / self._counts(shape, count_pads)
        n_pixels = self.kernel[0] * self.kernel[1]
        rows = np.repeat(shares.transpose(0, 2, 3, 1)[..., None], n_pixels, axis=4)
        return self.fold(rows, shape)

    def _counts(self, shape: tuple[int, ...], count_pads: bool) -> FloatArray:
        """How many pixels each window takes the mean of."""
        ones = np.ones((1, 1, *shape[2:]), np.float32)
        counts: FloatArray = self.windows(ones, float(count_pads)).sum((4, 5))
        return counts

    def _slice(self, start: int, count: int, axis: int) -> slice:
        stride = self.strides[axis]
        return slice(start, start + stride * (count - 1) + 1, stride)

    def windows(self, x: FloatArray, fill: float) -> FloatArray:
        """The windows of images (n, channels, out height, out width, *kernel), pads filled."""
        top, left, bottom, right = self.pads
        if any(self.pads):
            edges = ((0, 0), (0, 0), (top, bottom), (left, right))
            x = np.pad(x, edges, constant_values=fill)
        found: FloatArray = sliding_window_view(x, self.kernel, axis=(2, 3))
        return found[:, :, :: self.strides[0], :: self.strides[1]]
