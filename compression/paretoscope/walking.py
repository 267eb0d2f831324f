"""The inner loop of a sweep: one network at many thresholds, walked downward, in compiled code.

Thresholds are nested: what a lower one keeps is what a higher one keeps and a little more. So the
first layer's products start with the few weights that every threshold keeps, and only gain the
others; the later layers, whose inputs change at every step, are multiplied anew. A chunk of rows
stays in the processor's cache through all steps.

Compiled by numba at the first call (some seconds, once: the machine code is kept on disk).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from paretoscope.parameters import FloatArray

CHUNK_ROWS = 256


def in_chunks(X: FloatArray, rows: int = CHUNK_ROWS) -> FloatArray:
    """Rows (n, d) as chunks (c, d, r), each transposed, the last one filled up with zeros.

    The chunks are about `rows` long, all alike, and a multiple of 16.
    """
    n, d = X.shape
    n_chunks = max(1, -(-n // rows))
    length = -(-n // n_chunks)
    length = -(-length // 16) * 16
    filled = np.zeros((n_chunks * length, d), np.float32)
    filled[:n] = X
    return np.ascontiguousarray(filled.reshape(n_chunks, length, d).transpose(0, 2, 1))


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def walk(
    chunks: Any,
    first: Any,
    pointers: Any,
    inputs: Any,
    values: Any,
    tail: Any,
    shapes: Any,
    going: Any,
    going_pointers: Any,
    changes: Any,
    biases: Any,
    labels: Any,
) -> None:
    """The labels of all rows at every step.

    A weight *goes* at a step: it is there before, and zero from then on. Those that never go have
    the number of steps in its place.

    Parameters
    ----------
    chunks : float32 (c, d, r)
        The rows, by `in_chunks`.
    first : float32 (h, d)
        Weights of the first layer, transposed, that never go and are not among the entries.
    pointers : int64 ((steps + 1) * h + 1,), inputs : int32 (m,), values : float32 (m,)
        The first layer's other weights: for those of output j that go at step s the entries from
        ``pointers[s * h + j]`` to ``pointers[s * h + j + 1]``, each an input and its weight.
    tail : float32 (k,), shapes : int64 (layers - 1, 2)
        The other layers' weights, transposed to (out, in), one after another.
    going : int64 (q,), going_pointers : int64 (steps + 1,)
        The places in `tail` that go at each step.
    changes : bool (steps,)
        Whether a step has other weights than the next one, so that its labels can differ.
    biases : float32 (b,)
        Of all layers, one after another.
    labels : int16 (steps, c * r)
        Where the labels go. A single output is the log-odds of the second of two classes.
    """
    n_chunks, _, length = chunks.shape
    steps, hidden, n_tail = labels.shape[0], first.shape[0], shapes.shape[0]
    widest = hidden
    for k in range(n_tail):
        widest = max(widest, shapes[k, 0])
    here = np.empty((widest, length), np.float32)
    there = np.empty((widest, length), np.float32)
    z = np.empty((hidden, length), np.float32)
    best, found = np.empty(length, np.float32), np.empty(length, np.int16)
    weights, dense = tail.copy(), np.any(first)
    zero, low = np.float32(0), np.float32(-np.inf)
    for c in range(n_chunks):
        x = chunks[c]
        if dense:
            np.dot(first, x, z)
        else:
            z[:] = zero
        weights[going] = zero
        for s in range(steps - 1, -1, -1):
            if not changes[s]:
                labels[s, c * length : (c + 1) * length] = found
                continue
            floor = zero if n_tail else low  # ReLU between layers only
            for j in range(hidden):
                row = z[j]
                e, stop = pointers[(s + 1) * hidden + j], pointers[(s + 1) * hidden + j + 1]
                while e + 8 <= stop:  # eight at a time: the row is read and written once
                    i0, i1, i2, i3 = inputs[e], inputs[e + 1], inputs[e + 2], inputs[e + 3]
                    i4, i5, i6, i7 = inputs[e + 4], inputs[e + 5], inputs[e + 6], inputs[e + 7]
                    v0, v1, v2, v3 = values[e], values[e + 1], values[e + 2], values[e + 3]
                    v4, v5, v6, v7 = values[e + 4], values[e + 5], values[e + 6], values[e + 7]
                    for r in range(length):
                        a = v0 * x[i0, r] + v1 * x[i1, r] + v2 * x[i2, r] + v3 * x[i3, r]
                        b = v4 * x[i4, r] + v5 * x[i5, r] + v6 * x[i6, r] + v7 * x[i7, r]
                        row[r] += a + b
                    e += 8
                while e < stop:
                    i0, v0 = inputs[e], values[e]
                    for r in range(length):
                        row[r] += v0 * x[i0, r]
                    e += 1
                bias = biases[j]
                for r in range(length):
                    here[j, r] = max(row[r] + bias, floor)
            if s + 1 < steps:
                for q in range(going_pointers[s + 1], going_pointers[s + 2]):
                    weights[going[q]] = tail[going[q]]
            width, place, at = hidden, 0, hidden
            for k in range(n_tail):
                n_out, n_in = shapes[k, 0], shapes[k, 1]
                w = weights[place : place + n_out * n_in].reshape(n_out, n_in)
                np.dot(w, here[:n_in], there[:n_out])
                floor = zero if k + 1 < n_tail else low
                for j in range(n_out):
                    bias = biases[at + j]
                    for r in range(length):
                        there[j, r] = max(there[j, r] + bias, floor)
                here, there = there, here
                width, place, at = n_out, place + n_out * n_in, at + n_out
            for r in range(length):
                best[r] = here[0, r]
                found[r] = 0
            if width == 1:
                for r in range(length):
                    found[r] = 1 if best[r] > 0 else 0
            for j in range(1, width):
                for r in range(length):
                    better = here[j, r] > best[r]
                    best[r] = here[j, r] if better else best[r]
                    found[r] = j if better else found[r]
            labels[s, c * length : (c + 1) * length] = found
