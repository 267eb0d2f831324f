"""A network that numpy cannot walk: any graph, whose weights are coded where they stand.

The graph stays as it came, with its own inputs and outputs. It is never run in this process: a
session in the sandbox is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray, Weights
from paretoscope.base.store import SHORT_SHA, sha256
from paretoscope.network.network import Layer, Network
from paretoscope.network.places import Held, Place, held_weights, opset_of
from paretoscope.network.signature import KEY, WHOLE, Signature
from paretoscope.sandbox.sessions import Session

_APART = 1e-3  # of an output, relative to the largest one
_HALF_APART = 0.05  # the same where the graph computes in 16-bit floats
_MASK, _BYTES = "mask", {"uint8": (0, 256), "int8": (-128, 128)}
OURS = "paretoscope."  # begins the names of our metadata in the graphs of others
OWNER = "network_sha256"  # in a file's metadata: the network that it was made of
_MOST_ROWS, _MOST_VALUES = 1000, 2**20


@dataclass(frozen=True, eq=False)
class InPlace(Network):
    """A graph with its signature in its metadata; see `paretoscope.network.signature`."""

    @cached_property
    def _proto(self) -> onnx.ModelProto:
        return onnx.load_model_from_string(self.onnx_bytes)

    def proto(self) -> onnx.ModelProto:
        """The graph, as a copy of one's own to edit."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self._proto)
        return copy

    def model(self) -> ir.Model:
        raise ParetoscopeError(
            "this network is no chain of dense and convolution layers: its weights are coded where "
            "they stand"
        )

    @cached_property
    def signature(self) -> Signature:
        return Signature.parse(self.metadata[KEY])

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """Ours alone: the graph's own may use the same words."""
        found = self._proto.metadata_props
        return {e.key.removeprefix(OURS): e.value for e in found if e.key.startswith(OURS)}

    def with_metadata(self, **more: str) -> InPlace:
        proto = self.proto()
        note(proto, more)
        return InPlace(proto.SerializeToString(deterministic=True))

    @cached_property
    def opset(self) -> int:
        """The version of ONNX's own operators that it is written in."""
        return opset_of(self._proto)

    @cached_property
    def apart(self) -> float:
        """How far outputs may be from those expected, as `close` takes it."""
        halves = any(t.data_type == onnx.TensorProto.FLOAT16 for t in self._proto.graph.initializer)
        return _HALF_APART if halves else _APART

    @cached_property
    def _held(self) -> list[Held]:
        return held_weights(self._proto)

    @cached_property
    def places(self) -> dict[str, Place]:
        """Where each weight stands, by its name."""
        return {held.place.name: held.place for held in self._held}

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(Layer(name, None, followed_by_relu=False) for name in self.places)

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, int]]:
        return {name: place.sides for name, place in self.places.items()}

    @cached_property
    def weights(self) -> Weights:
        found = {}
        for held in self._held:
            array = numpy_helper.to_array(held.tensor).astype(np.float32)
            columns = held.place.columns(array)
            columns.flags.writeable = False
            found[held.place.name] = columns
        return found

    @cached_property
    def biases(self) -> Weights:
        return {}

    @cached_property
    def bias_names(self) -> tuple[str, ...]:
        return ()

    @property
    def input_name(self) -> str:
        return self.signature.inputs[0].name

    @property
    def n_features(self) -> int:
        return self.signature.n_features

    @property
    def n_scores(self) -> int:
        return self.signature.n_scores

    @cached_property
    def n_values(self) -> int:
        """Numbers of a row's inputs and outputs; what is between them is the runtime's."""
        return self.signature.n_features + self.signature.n_outputs

    @property
    def rows_at_a_time(self) -> int:
        """So many that the graph, as it stands, takes them in seconds."""
        return max(8, min(_MOST_ROWS, _MOST_VALUES // self.n_values))

    def scores(
        self, X: FloatArray, weights: Weights | None = None, biases: Weights | None = None
    ) -> FloatArray:
        """Scores by the graph's own operators, each as it stands, with other `weights` where given.

        An artifact's scores are checked against these: weights are plain floats here, and the
        runtime optimises nothing.
        """
        return self.signature.scores(self.plain_session(weights).outputs(X))

    def session(self, onnx_bytes: bytes, threads: int | None = None) -> Session:
        """A file that was made of it, run as people run it."""
        return Session(onnx_bytes, self.signature.plain(), self.sha256[:SHORT_SHA], threads)

    def plain_session(self, weights: Weights | None = None) -> Session:
        """The graph with plain floats for weights, run as it stands."""
        network = self if weights is None else self.with_layers(weights, {})
        owner = self.sha256[:SHORT_SHA]
        return Session(network.onnx_bytes, self.signature.plain(), owner, plain=True)

    def with_layers(self, weights: Weights, biases: Weights) -> InPlace:
        """The same graph with other weights (in, out)."""
        proto = self.proto()
        for held in held_weights(proto):
            array = held.place.restored(np.asarray(weights[held.place.name], np.float32))
            put(held.tensor, array, held.tensor.data_type)
        note(proto, {OWNER: self.sha256[:SHORT_SHA]})
        return InPlace(proto.SerializeToString(deterministic=True))


def note(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Write metadata of ours into a model, beside its own."""
    there = {entry.key: entry for entry in model.metadata_props}
    for name, value in metadata.items():
        entry = there.get(OURS + name) or model.metadata_props.add()
        entry.key, entry.value = OURS + name, value


def put(tensor: onnx.TensorProto, array: FloatArray, kind: int) -> None:
    """Write an array into a tensor of a model, as `kind`, under its own name."""
    name = tensor.name
    as_kind = onnx.helper.tensor_dtype_to_np_dtype(kind)
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array, as_kind), name))


def close(
    found: FloatArray, expected: FloatArray, apart: float, widths: Sequence[int] = ()
) -> bool:
    """Whether outputs are those expected.

    Parameters
    ----------
    found, expected : float32 arrays of shape (n, numbers)
    apart : float
        How far a number may be off, relative to the largest of its output, or to one if that is
        larger. What is no finite number must be the same.
    widths : sequence of int
        Numbers of each output, where several stand side by side; by default they are one.
    """
    start = 0
    for width in widths or (expected.shape[1],):
        ours, theirs = (a[:, start : start + width] for a in (found, expected))
        start += width
        finite = np.isfinite(theirs)
        if not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True):
            return False
        largest = max(1.0, float(np.abs(theirs[finite]).max(initial=0)))
        if not (np.abs(ours - theirs)[finite] <= apart * largest).all():
            return False
    return True


def noise(signature: Signature, n: int, seed: int = 0) -> FloatArray:
    """Rows of what each input may hold: normal numbers; places in the table that whole numbers look
    up; bytes of any value; ones for masks; 0 and 1 for other whole numbers."""
    rng = np.random.default_rng(seed)
    parts: list[npt.NDArray[Any]] = []
    for feed in signature.inputs:
        shape = n, feed.width
        if feed.below is not None:
            parts.append(rng.integers(0, feed.below, shape))
        elif feed.type == "bool" or _MASK in feed.name.lower():
            parts.append(np.ones(shape))
        elif feed.type in _BYTES:
            low, high = _BYTES[feed.type]
            parts.append(rng.integers(low, high, shape))
        elif feed.type in WHOLE:
            parts.append(rng.integers(0, 2, shape))
        else:
            parts.append(rng.standard_normal(shape))
    return np.concatenate(parts, 1).astype(np.float32)


def read_network(onnx_bytes: bytes) -> Network:
    """The network that bytes hold, of either kind."""
    return _in_place(onnx_bytes) or Network(onnx_bytes)


def session_for(onnx_bytes: bytes, threads: int | None = None) -> tuple[Session, Signature] | None:
    """A session in the sandbox for a file that was coded in place, and for its network; None for
    any other file."""
    network = _in_place(onnx_bytes)
    if network is None:
        return None
    owner = network.metadata.get(OWNER) or sha256(onnx_bytes)[:SHORT_SHA]
    signature = network.signature
    return Session(onnx_bytes, signature.plain(), owner, threads), signature


def _in_place(onnx_bytes: bytes) -> InPlace | None:
    """The graph with its signature; None for a chain, whose names may say the same word."""
    if (OURS + KEY).encode() not in onnx_bytes:
        return None
    network = InPlace(onnx_bytes)
    return network if KEY in network.metadata else None
