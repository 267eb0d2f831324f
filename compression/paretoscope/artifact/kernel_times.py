"""Which way of running codes is faster on this machine: measured once for each shape of network.

Only shapes and types of codes decide, not the weights themselves, so what was measured is kept for
this processor and this version of the runtime.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from paretoscope.artifact.quick_latency import BATCHES, MARGIN, Latency, time_in_turn
from paretoscope.artifact.runtimes import OnnxRuntime
from paretoscope.artifact.writing import can_fuse
from paretoscope.base.blas import processor
from paretoscope.base.parameters import FloatArray
from paretoscope.base.store import default_store, sha256
from paretoscope.methods.kernels import Folded, Fused, Kernel
from paretoscope.methods.recovery import Stored
from paretoscope.network.network import Network

_FORMAT = 2  # raise it when files are written otherwise, so that kept times are taken again
_SESSIONS, _ROUNDS = 7, 9


@dataclass(frozen=True)
class KernelTimes:
    """Times of the same codes, run by integer kernels and as floats, against float32.

    Attributes
    ----------
    fused, folded : tuple of Latency
        One for each batch of 1, 16 and 256 rows, on one thread, in turn with float32.
    processor : str
    """

    fused: tuple[Latency, ...]
    folded: tuple[Latency, ...]
    processor: str

    @property
    def choice(self) -> Kernel:
        """Integer kernels where they are slower than float32 for no number of rows, and faster for
        some; else floats. What the times leave open is decided for floats."""
        never_slower = all(t.ratio_interval[1] <= 1 + MARGIN for t in self.fused)
        pays = any(t.verdict == "faster" for t in self.fused)
        return Fused() if never_slower and pays else Folded()

    def to_dict(self) -> dict[str, Any]:
        """As JSON types. `from_dict` is its inverse."""
        plain = {
            name: [[t.batch, t.samples_us, t.baseline_us] for t in getattr(self, name)]
            for name in ("fused", "folded")
        }
        return plain | {"processor": self.processor}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> KernelTimes:
        fused, folded = (
            tuple(Latency(batch, tuple(ours), tuple(base)) for batch, ours, base in plain[name])
            for name in ("fused", "folded")
        )
        return cls(fused, folded, plain["processor"])


def fastest(
    reduced: Network, stored: Stored, files: Mapping[str, bytes], X: FloatArray
) -> KernelTimes:
    """The times of codes of these shapes and types: those kept, else taken now, in a second or two.

    Parameters
    ----------
    reduced : Network
        With float32 weights of the shapes that the files have.
    stored : Stored
        Codes, of which some can be run by integer kernels.
    files : mapping
        The bytes of the same codes as "fused" and "folded".
    X : float32 array of shape (n, d)
        Rows to time with; they repeat where there are fewer than a batch.
    """
    key = _key(reduced, stored)
    kept = default_store().find(key)
    if kept is not None:
        return KernelTimes.from_dict(json.loads(kept))
    # Float32 with the values of the codes: a trained weight of 1e-40 makes products slow.
    plain = reduced.with_layers(stored.decoded(), stored.biases)
    arms = [plain.onnx_bytes, files["fused"], files["folded"]]
    found: dict[str, list[Latency]] = {"fused": [], "folded": []}
    for batch in BATCHES:
        rows = np.ascontiguousarray(np.resize(X, (batch, reduced.n_features)))
        for name, latency in zip(("fused", "folded"), against_first(arms, rows), strict=True):
            found[name].append(latency)
    times = KernelTimes(tuple(found["fused"]), tuple(found["folded"]), processor())
    default_store().keep(key, json.dumps(times.to_dict()).encode())
    return times


def against_first(files: Sequence[bytes], rows: FloatArray) -> list[Latency]:
    """The times of files against that of the first, one call with all rows, on one thread.

    Each is loaded several times: where its weights come to lie in memory moves the time of a call
    by up to a tenth, and stays as it is for as long as a session lives.
    """
    samples: list[tuple[float, ...]] = [()] * len(files)
    for _ in range(_SESSIONS):
        calls = [OnnxRuntime(onnx_bytes, threads=1).caller(rows) for onnx_bytes in files]
        taken = time_in_turn(*calls, rounds=_ROUNDS)
        samples = [
            (*so_far, *(1e6 * s for s in new)) for so_far, new in zip(samples, taken, strict=True)
        ]
    first, *others = samples
    return [Latency(len(rows), other, first) for other in others]


def known(reduced: Network, stored: Stored) -> KernelTimes | None:
    """The times of codes of these shapes and types, if they were taken on this machine."""
    kept = default_store().find(_key(reduced, stored))
    return None if kept is None else KernelTimes.from_dict(json.loads(kept))


def _key(reduced: Network, stored: Stored) -> str:
    """Names what decides: shapes, which layers fuse, the work between them, processor, runtime."""
    layers = [(w.shape, can_fuse(stored.codes[name])) for name, w in reduced.weights.items()]
    work = reduced.n_features, reduced.n_values
    shapes = sha256(json.dumps([layers, work]).encode())
    here = f"{processor()}, ONNX Runtime {version('onnxruntime')}"
    return f"kernel times {_FORMAT} of {shapes} on {here}"
