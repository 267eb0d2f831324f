"""How a chain's layers lie in the memory of a walk: where each input, product and weight is.

A walk (`paretoscope.sweeps.nested_sweep`) takes a chunk of rows at a time. A number of a layer
stands there once for each row of the chunk, side by side (its *lanes*); images are stored with
their padding, the channels of a pixel side by side. A convolution is a dense layer at each of its
positions: the same weights, whose inputs lie at the same distances from where the position's window
begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.network.chain import Chain, Flatten, MaxPool, Relu, Stage
from paretoscope.network.windows import Window

Places = npt.NDArray[np.int64]

# A row of `Layout.table`, all of one layer. Places are in numbers from the start of the walk's
# memory, or of the array that the comment names.
LAYER = np.dtype(
    [
        ("n_out", np.int64),  # outputs
        ("n_in", np.int64),  # weights of an output
        ("n_positions", np.int64),  # of the window over the input; 1 for a dense layer
        (
            "bases",
            np.int64,
        ),  # place in `bases`: where each position's window begins, from the input's start
        ("n_windows", np.int64),  # positions that are left after pooling
        ("window_size", np.int64),  # positions that are pooled into one
        ("pooled", np.int64),  # place in `pooled`: the positions of each pooling window
        (
            "destinations",
            np.int64,
        ),  # place in `destinations`: where a pooled position goes in the next input
        ("out_stride", np.int64),  # how far the outputs of a position are apart there
        ("n_groups", np.int64),  # channels of a convolution's input; 1 for a dense layer
        ("weights", np.int64),  # place of the layer's first weight among all weights
        ("outputs", np.int64),  # place of the layer's first output among all outputs
        ("lists", np.int64),  # place of the layer's first list, one for each group and output
        ("input", np.int64),  # the input's place
        ("product", np.int64),  # the place of the products, (positions, outputs, lanes)
        ("difference", np.int64),  # what the input changed by; of convolutions behind another
        ("rectified", np.int64),  # 1 where a ReLU follows
        (
            "dense_from",
            np.int64,
        ),  # the number of nonzero weights from which a dense product is faster
    ]
)

LANES = 64  # rows that one vector product takes
_MOST_LANES = 256
_NEAR_INPUTS = 96  # inputs of `LANES` lanes that the first cache holds, with room for more
# The share of nonzero weights from which a dense product is faster, as measured.
_DENSE_FROM_NEAR, _DENSE_FROM_FAR = 0.9, 0.3


@dataclass(frozen=True, eq=False)
class Layout:
    """The layout of a chain.

    Attributes
    ----------
    lanes : int
        Rows in a chunk.
    table : LAYER (layers,)
        The numbers of each layer.
    bases, pooled, destinations : int64
        What the table's places of those names point into.
    offsets, groups : int32, one for each weight
        How far a weight's input is from where the window begins, and its group. Weights are ordered
        by layer, input and output.
    n_numbers : int
        The size of the memory.
    input_shape : tuple
        (features,), or (channels, height, width) of images.
    pads : tuple
        Of images: (top, left, bottom, right).
    """

    lanes: int
    table: npt.NDArray[np.void]
    bases: Places
    pooled: Places
    destinations: Places
    offsets: npt.NDArray[np.int32]
    groups: npt.NDArray[np.int32]
    n_numbers: int
    input_shape: tuple[int, ...]
    pads: tuple[int, int, int, int]

    def chunks(self, inputs: FloatArray) -> FloatArray:
        """The inputs of the first layer, (n, features) or images, as chunks (c, numbers).

        The last chunk is filled up with zeros.
        """
        if len(self.input_shape) == 3:
            top, left, bottom, right = self.pads
            inputs = np.pad(inputs, ((0, 0), (0, 0), (top, bottom), (left, right)))
            inputs = inputs.transpose(0, 2, 3, 1)
        flat = inputs.reshape(len(inputs), -1)
        n_chunks = max(1, -(-len(flat) // self.lanes))
        filled = np.zeros((n_chunks * self.lanes, flat.shape[1]), np.float32)
        filled[: len(flat)] = flat
        by_chunk = filled.reshape(n_chunks, self.lanes, -1).transpose(0, 2, 1)
        return np.ascontiguousarray(by_chunk).reshape(n_chunks, -1)


@lru_cache(maxsize=8)
def layout_of(chain: Chain, n_rows: int) -> Layout:
    """The layout of a chain for chunks of about equal length.

    Raises
    ------
    ParetoscopeError
        The chain has steps between its layers that a walk does not take.
    """
    return _Builder(chain, n_rows).layout()


class _Builder:
    """Lays one layer after the other."""

    def __init__(self, chain: Chain, n_rows: int) -> None:
        self._chain = chain
        most = _MOST_LANES if all(s.window is None for s in chain.stages) else LANES
        n_chunks = max(1, -(-n_rows // most))
        self._lanes = max(1, -(-n_rows // (n_chunks * LANES))) * LANES
        self._rows: list[npt.NDArray[np.void]] = []
        self._bases: list[Places] = []
        self._pooled: list[Places] = []
        self._destinations: list[Places] = []
        self._offsets: list[npt.NDArray[np.int64]] = []
        self._groups: list[npt.NDArray[np.int64]] = []
        self._end = 0  # of the memory

    def layout(self) -> Layout:
        chain = self._chain
        shape: tuple[int, ...] = chain.preparation.image_shape or (chain.stages[0].n_in,)
        first_shape = shape
        self._end = self._input_size(chain.stages[0], shape)
        at = 0
        for stage, following in zip(chain.stages, [*chain.stages[1:], None], strict=True):
            at, shape = self._lay(stage, following, at, shape)
        window = chain.stages[0].window
        return Layout(
            self._lanes,
            np.array(self._rows, LAYER),
            np.concatenate(self._bases),
            np.concatenate(self._pooled),
            np.concatenate(self._destinations),
            np.concatenate(self._offsets).astype(np.int32),
            np.concatenate(self._groups).astype(np.int32),
            self._end + LANES,  # room for the names of classes
            first_shape,
            (0, 0, 0, 0) if window is None else window.pads,
        )

    def _lay(
        self, stage: Stage, following: Stage | None, at: int, shape: tuple[int, ...]
    ) -> tuple[int, tuple[int, ...]]:
        """Lay a layer whose input of a shape is at a place; returns the next one's."""
        window, n_out = stage.window, self._chain.weights[stage.name].shape[1]
        if (window is None) == (len(shape) == 3):
            raise ParetoscopeError(f"a walk cannot lead images into the layer {stage.name}")
        bases, offsets, groups = self._read(window, shape, stage.n_in)
        pool, after = self._after(stage, window, shape)
        out = (n_out,) if window is None else (n_out, *after)
        flattened = any(isinstance(step, Flatten) for step in stage.after)
        product, next_input = self._end, self._end + len(bases) * n_out * self._lanes
        self._end = next_input
        destinations, stride = np.zeros(len(pool), np.int64), self._lanes
        if following is not None:
            if flattened and window is not None:
                stride = len(pool) * self._lanes
                destinations = np.arange(len(pool)) * self._lanes
                out = (n_out * len(pool),)
            elif following.window is not None:
                destinations = self._pixels(following.window, out)
            self._end += self._input_size(following, out)
        difference = -1
        if window is not None and self._rows:
            difference, self._end = self._end, self._end + self._input_size(stage, shape)
        share = _DENSE_FROM_NEAR if stage.n_in <= _NEAR_INPUTS else _DENSE_FROM_FAR
        n_weights = stage.n_in * n_out
        before = self._rows[-1] if self._rows else np.zeros((), LAYER)
        n_groups = 1 if window is None else shape[0]
        row = np.zeros((), LAYER)
        row["n_out"], row["n_in"], row["n_positions"] = n_out, stage.n_in, len(bases)
        row["n_groups"] = n_groups
        row["n_windows"], row["window_size"] = pool.shape
        row["bases"], row["pooled"] = sum(map(len, self._bases)), sum(map(len, self._pooled))
        row["destinations"] = sum(map(len, self._destinations))
        row["out_stride"] = stride
        row["weights"] = before["weights"] + before["n_in"] * before["n_out"]
        row["outputs"] = before["outputs"] + before["n_out"]
        row["lists"] = before["lists"] + before["n_groups"] * before["n_out"]
        row["input"], row["product"], row["difference"] = at, product, difference
        row["rectified"] = any(isinstance(step, Relu) for step in stage.after)
        row["dense_from"] = n_weights + 1 if window is not None else int(share * n_weights)
        self._rows.append(row)
        self._bases.append(bases)
        self._pooled.append(pool.ravel())
        self._destinations.append(destinations)
        self._offsets.append(np.repeat(offsets, n_out))
        self._groups.append(np.repeat(groups, n_out))
        return next_input, out

    def _read(
        self, window: Window | None, shape: tuple[int, ...], n_in: int
    ) -> tuple[Places, Places, Places]:
        """Where each position's window begins, and each weight's distance from there and group."""
        if window is None:
            return np.zeros(1, np.int64), np.arange(n_in) * self._lanes, np.zeros(n_in, np.int64)
        n_channels, height, width = shape
        pixel = n_channels * self._lanes
        row = (width + window.pads[1] + window.pads[3]) * pixel
        out_h, out_w = window.output_shape(height, width)
        y, x = np.arange(out_h) * window.strides[0], np.arange(out_w) * window.strides[1]
        bases = (y[:, None] * row + x * pixel).ravel()
        c, i, j = np.indices((n_channels, *window.kernel)).reshape(3, -1)
        return bases, i * row + j * pixel + c * self._lanes, c

    def _after(
        self, stage: Stage, window: Window | None, shape: tuple[int, ...]
    ) -> tuple[Places, tuple[int, int]]:
        """The positions that each pooling window takes the largest of, (windows, size); and the
        height and width of what is left."""
        pools = [step.window for step in stage.after if isinstance(step, MaxPool)]
        known = all(isinstance(step, (Relu, MaxPool, Flatten)) for step in stage.after)
        if not known or len(pools) > 1 or (pools and window is None):
            raise ParetoscopeError(f"a walk does not take the steps after the layer {stage.name}")
        if window is None:
            return np.zeros((1, 1), np.int64), (1, 1)
        height, width = window.output_shape(*shape[1:])
        places = np.arange(height * width).reshape(height, width)
        if not pools:
            return places.reshape(-1, 1), (height, width)
        pool = pools[0]
        found = pool.windows(places[None, None].astype(np.float64), -1.0)[0, 0]
        out_h, out_w = found.shape[:2]
        taken = found.reshape(out_h * out_w, -1).astype(np.int64)
        return np.where(taken < 0, taken.max(1, keepdims=True), taken), (out_h, out_w)

    def _pixels(self, window: Window, shape: tuple[int, ...]) -> Places:
        """The places of an image's pixels, with the padding that a convolution wants."""
        n_channels, height, width = shape
        top, left, _, right = window.pads
        pixel = n_channels * self._lanes
        y, x = np.arange(height) + top, np.arange(width) + left
        return (y[:, None] * (width + left + right) * pixel + x * pixel).ravel()

    def _input_size(self, stage: Stage, shape: tuple[int, ...]) -> int:
        if stage.window is None:
            return int(np.prod(shape)) * self._lanes
        n_channels, height, width = shape
        top, left, bottom, right = stage.window.pads
        return n_channels * (height + top + bottom) * (width + left + right) * self._lanes
