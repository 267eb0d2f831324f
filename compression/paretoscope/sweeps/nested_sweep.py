"""The inner loop of a sweep: one network at many thresholds, walked downward, in compiled code.

Thresholds are nested: what a lower one keeps is what a higher one keeps and a little more. So a
walk starts with the few weights that every threshold keeps and lets the others enter, step by step;
nothing is multiplied that is zero. A layer whose input stays the same only gains the products of
what enters. So does a convolution of whose input channels few changed, after it made up for what
these changed by. Any other layer is multiplied anew, by all that is there or, where that is much,
densely. A chunk of rows stays in the processor's cache through all steps.

Compiled by numba at the first call (some seconds, once: the machine code is kept on disk).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from paretoscope.base.parameters import FloatArray
from paretoscope.sweeps.memory_layout import LANES, Layout
from paretoscope.sweeps.vector_kernels import accumulate, choose, rectify

_ALIGNED_NUMBERS = 16


class Entries(NamedTuple):
    """The weights of a network by when they go.

    A weight *goes* at a step: it is there before, and zero from then on. Those that never go have
    the number of steps in its place.

    Attributes
    ----------
    pointers : int64 (layers' outputs times (steps + 1), and one,)
        Layer by layer, of the weights of output j that go at step s: entries from
        ``pointers[s * outputs + j]`` to the next.
    offsets, groups : int32, one for each entry
        As in the layout.
    values : float32, one for each entry
        The weights themselves.
    """

    pointers: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int32]
    groups: npt.NDArray[np.int32]
    values: FloatArray


class _Room(NamedTuple):
    """What the compiled code takes of a `Layout`."""

    lanes: int
    table: Any
    bases: Any
    pooled: Any
    destinations: Any


class _There(NamedTuple):
    """The weights that are there by now: a list for each group and output, in room for all."""

    offsets: Any
    values: Any
    lengths: Any


def walk(
    layout: Layout, chunks: FloatArray, entries: Entries, biases: FloatArray, n_steps: int
) -> npt.NDArray[np.int16]:
    """The labels of all rows at every step, of shape (steps, rows): which score is the largest.

    Parameters
    ----------
    layout : Layout
    chunks : float32 (c, numbers)
        The rows, by `Layout.chunks`.
    entries : Entries
    biases : float32
        Of all layers, one after another.
    n_steps : int
    """
    labels = np.empty((n_steps, len(chunks) * layout.lanes), np.int16)
    _begin(layout, chunks, entries, biases, labels, np.empty((n_steps, 0, 0), np.float32))
    return labels


def walk_outputs(
    layout: Layout, chunks: FloatArray, entries: Entries, biases: FloatArray, n_steps: int
) -> FloatArray:
    """As `walk`, the last layer's outputs themselves: float32 of shape (steps, outputs, rows)."""
    n_out = int(layout.table[-1]["n_out"])
    outputs = np.empty((n_steps, n_out, len(chunks) * layout.lanes), np.float32)
    _begin(layout, chunks, entries, biases, np.empty((n_steps, 0), np.int16), outputs)
    return outputs


def _begin(
    layout: Layout,
    chunks: FloatArray,
    entries: Entries,
    biases: FloatArray,
    labels: npt.NDArray[np.int16],
    outputs: FloatArray,
) -> None:
    """Fill the labels, or the outputs, whichever have room for rows."""
    memory = np.zeros(layout.n_numbers + _ALIGNED_NUMBERS, np.float32)
    start = (-memory.ctypes.data // memory.itemsize) % _ALIGNED_NUMBERS
    room = _Room(layout.lanes, layout.table, layout.bases, layout.pooled, layout.destinations)
    aligned = memory[start : start + layout.n_numbers]
    _walk(aligned, chunks, room, entries, biases, labels, outputs)


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _walk(
    memory: Any, chunks: Any, room: Any, entries: Any, biases: Any, labels: Any, outputs: Any
) -> None:
    lanes, table, pointers = room.lanes, room.table, entries.pointers
    n_steps, n_layers = labels.shape[0], table.shape[0]
    last = table[n_layers - 1]
    n_weights = last.weights + last.n_in * last.n_out
    # What is there by now: as lists, and as a matrix.
    there = _There(
        np.empty(n_weights, np.int32),
        np.empty(n_weights, np.float32),
        np.zeros(last.lists + last.n_groups * last.n_out, np.int64),
    )
    matrix = np.zeros(n_weights, np.float32)
    n_there = np.zeros(n_layers, np.int64)
    widest = 1
    for k in range(n_layers):
        widest = max(widest, table[k].n_out, table[k].n_groups)
    changed, touched = np.zeros(widest, np.bool_), np.zeros(widest, np.bool_)
    found = np.empty(lanes, np.int16)
    wants_labels = labels.shape[1] > 0
    for c in range(chunks.shape[0]):
        memory[: chunks.shape[1]] = chunks[c]
        there.lengths[:] = 0
        n_there[:] = 0
        matrix[:] = 0
        for s in range(n_steps - 1, -1, -1):
            begins = s == n_steps - 1
            n_changed = 0
            for k in range(n_layers):
                layer = table[k]
                n_out, n_groups, product = layer.n_out, layer.n_groups, layer.product
                at = (n_steps + 1) * layer.outputs + (s + 1) * n_out  # of this step's pointers
                start, stop = pointers[at], pointers[at + n_out]
                if not begins and n_changed == 0 and start == stop:
                    continue
                anew = 2 * n_changed > n_groups
                if n_changed > 0 and not anew:
                    _make_up(memory, room, layer, changed, there)
                if k > 0 or begins:
                    for j in range(n_out):
                        for e in range(pointers[at + j], pointers[at + j + 1]):
                            g = entries.groups[e]
                            of = layer.lists + g * n_out + j
                            place = layer.weights + (g * n_out + j) * (layer.n_in // n_groups)
                            there.offsets[place + there.lengths[of]] = entries.offsets[e]
                            there.values[place + there.lengths[of]] = entries.values[e]
                            there.lengths[of] += 1
                            if layer.dense_from <= layer.n_in * n_out:  # no convolution
                                column = entries.offsets[e] // lanes
                                matrix[layer.weights + j * layer.n_in + column] = entries.values[e]
                    n_there[k] += stop - start
                size = layer.n_positions * n_out * lanes
                if (anew or begins) and n_there[k] >= layer.dense_from:
                    n_in, place = layer.n_in, layer.input
                    weight = matrix[layer.weights : layer.weights + n_out * n_in]
                    np.dot(
                        weight.reshape(n_out, n_in),
                        memory[place : place + n_in * lanes].reshape(n_in, lanes),
                        memory[product : product + size].reshape(n_out, lanes),
                    )
                elif anew and not begins:
                    memory[product : product + size] = 0
                    _multiply(memory, room, layer, there)
                else:
                    if begins:
                        memory[product : product + size] = 0
                    _gain(memory, room, layer, entries, at)
                for j in range(n_out):
                    enters = pointers[at + j + 1] > pointers[at + j]
                    touched[j] = begins or n_changed > 0 or enters
                if k + 1 < n_layers:
                    following = table[k + 1]
                    _pass_on(memory, room, layer, following, biases, touched, begins)
                    n_changed = 0
                    for j in range(n_out):
                        changed[j] = touched[j]
                        n_changed += touched[j]
                    if following.n_groups == 1:
                        changed[0], n_changed = n_changed > 0, min(1, n_changed)
                elif wants_labels:
                    _label(memory, lanes, layer, biases, found)
            if wants_labels:
                labels[s, c * lanes : (c + 1) * lanes] = found
            else:
                _copy_outputs(memory, lanes, last, biases, outputs[s], c * lanes)


@numba.njit(nogil=True, cache=True)
def _gain(memory: Any, room: Any, layer: Any, entries: Any, at: Any) -> None:
    """Add the products of what enters."""
    n_out = layer.n_out
    for lane in range(0, room.lanes, LANES):
        for p in range(layer.n_positions):
            base = layer.input + room.bases[layer.bases + p] + lane
            for j in range(n_out):
                start, stop = entries.pointers[at + j], entries.pointers[at + j + 1]
                if start < stop:
                    to = layer.product + (p * n_out + j) * room.lanes + lane
                    accumulate(memory, to, base, entries.offsets, entries.values, start, stop)


@numba.njit(nogil=True, cache=True)
def _multiply(memory: Any, room: Any, layer: Any, there: Any) -> None:
    """Add the products of all that is there."""
    n_out, n_groups = layer.n_out, layer.n_groups
    size = layer.n_in // n_groups
    for lane in range(0, room.lanes, LANES):
        for p in range(layer.n_positions):
            base = layer.input + room.bases[layer.bases + p] + lane
            for j in range(n_out):
                to = layer.product + (p * n_out + j) * room.lanes + lane
                for g in range(n_groups):
                    n = there.lengths[layer.lists + g * n_out + j]
                    if n > 0:
                        start = layer.weights + (g * n_out + j) * size
                        accumulate(memory, to, base, there.offsets, there.values, start, start + n)


@numba.njit(nogil=True, cache=True)
def _make_up(memory: Any, room: Any, layer: Any, changed: Any, there: Any) -> None:
    """Add the products of what is there with what the changed channels changed by."""
    n_out, n_groups = layer.n_out, layer.n_groups
    size = layer.n_in // n_groups
    for lane in range(0, room.lanes, LANES):
        for p in range(layer.n_positions):
            base = layer.difference + room.bases[layer.bases + p] + lane
            for g in range(n_groups):
                if not changed[g]:
                    continue
                for j in range(n_out):
                    n = there.lengths[layer.lists + g * n_out + j]
                    if n > 0:
                        start = layer.weights + (g * n_out + j) * size
                        to = layer.product + (p * n_out + j) * room.lanes + lane
                        accumulate(memory, to, base, there.offsets, there.values, start, start + n)


@numba.njit(nogil=True, cache=True)
def _pass_on(
    memory: Any,
    room: Any,
    layer: Any,
    following: Any,
    biases: Any,
    touched: Any,
    begins: Any,
) -> None:
    """Pool and rectify the touched outputs into the next layer's input, and keep the difference
    where that layer makes up for it."""
    lanes, n_out, size = room.lanes, layer.n_out, layer.window_size
    floor = np.float32(0) if layer.rectified else np.float32(-np.inf)
    differs = following.difference >= 0 and not begins
    for w in range(layer.n_windows):
        out = room.destinations[layer.destinations + w]
        start = layer.pooled + w * size
        for j in range(n_out):
            if touched[j]:
                bias = biases[layer.outputs + j]
                for lane in range(0, lanes, LANES):
                    place = out + j * layer.out_stride + lane
                    difference = following.difference + place if differs else -1
                    base = layer.product + j * lanes + lane
                    rectify(
                        memory,
                        following.input + place,
                        difference,
                        base,
                        n_out * lanes,
                        room.pooled,
                        start,
                        start + size,
                        bias,
                        floor,
                    )


@numba.njit(nogil=True, cache=True)
def _label(memory: Any, lanes: Any, layer: Any, biases: Any, found: Any) -> None:
    """The labels of the last layer's products. A single output is the log-odds of the second of two
    classes."""
    n_out, start, product = layer.n_out, layer.outputs, layer.product
    names = product + n_out * lanes  # the end of the memory
    for lane in range(0, lanes, LANES):
        choose(memory, names, product + lane, lanes, biases, start, start + n_out)
        for r in range(LANES):
            if n_out > 1:
                found[lane + r] = np.int16(memory[names + r])
            else:
                found[lane + r] = memory[product + lane + r] + biases[start] > 0


@numba.njit(nogil=True, cache=True)
def _copy_outputs(
    memory: Any, lanes: Any, layer: Any, biases: Any, outputs: Any, start: Any
) -> None:
    """The last layer's products with its biases, into rows from `start` on."""
    for j in range(layer.n_out):
        base = layer.product + j * lanes
        for r in range(lanes):
            outputs[j, start + r] = memory[base + r] + biases[layer.outputs + j]


@numba.njit(nogil=True, cache=True)
def count_right(labels: Any, y: Any, was_right: Any, right: Any, still: Any) -> None:
    """How many rows are right at each step, and how many of those that were right before."""
    for s in range(len(labels)):
        n_right, n_still = 0, 0
        for r in range(len(y)):
            is_right = labels[s, r] == y[r]
            n_right += is_right
            n_still += is_right & was_right[r]
        right[s], still[s] = n_right, n_still


@numba.njit(nogil=True, cache=True)
def tally(
    codes: Any,
    ranks: Any,
    n_ranks: Any,
    ends: Any,
    sizes: Any,
    logs: Any,
    zeros: Any,
    lows: Any,
    highs: Any,
    entropy_bits: Any,
) -> None:
    """Totals of a line's codes at each step, layer by layer.

    Parameters
    ----------
    codes : int32
        Of all weights, by layer and then by the step at which they go.
    ranks : int, n_ranks : int
        A number below `n_ranks` for each different code.
    ends : int64 (layers, steps + 1)
        Where the codes of each layer that go at each step end.
    sizes : int64 (layers,)
        Weights of each layer.
    logs : float64
        ``c log2 c`` of the counts c from 0 to the largest size.
    zeros, lows, highs, entropy_bits : (layers, steps)
        Where the totals go.
    """
    n_layers, n_steps = zeros.shape
    counts = np.zeros(n_ranks, np.int64)
    for k in range(n_layers):
        counts[:] = 0
        n_left, total, low, high = 0, 0.0, 0, 0
        for s in range(n_steps, 0, -1):
            for e in range(ends[k, s - 1], ends[k, s]):
                code = codes[e]
                if code != 0:
                    n_left += 1
                    low, high = min(low, code), max(high, code)
                    n = counts[ranks[e]]
                    total += logs[n + 1] - logs[n]
                    counts[ranks[e]] = n + 1
            n_zero = sizes[k] - n_left
            zeros[k, s - 1], lows[k, s - 1], highs[k, s - 1] = n_zero, low, high
            entropy_bits[k, s - 1] = logs[sizes[k]] - total - logs[n_zero]
