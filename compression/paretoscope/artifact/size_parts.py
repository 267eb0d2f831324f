"""Where a file's bytes are, and what each step of compressing took away."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from paretoscope.artifact.artifact import make_draft
from paretoscope.artifact.coding_in_place import CODES
from paretoscope.data.rows import Rows
from paretoscope.methods.activations import FloatActivations
from paretoscope.methods.quantization import Float32
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import NoRecovery
from paretoscope.network.network import Network
from paretoscope.network.places import constants_of

_TYPE_NAMES = {"FLOAT": "float32"}
_FEW_VALUES = 2**20
PARTS = ("weights", "biases", "scales and codebooks", "graph and metadata")


@dataclass(frozen=True)
class Step:
    """One step from the float32 file to the zipped one. `gzip_bytes` is None where the step is
    no file."""

    name: str
    size_bytes: int
    gzip_bytes: int | None


@dataclass(frozen=True)
class LayerSize:
    """One layer in the file. `entropy_bytes` is the least that its codes could take if each were
    coded by itself, by how often its value occurs (zero-order entropy)."""

    name: str
    n_weights: int
    n_nonzero: int
    storage: str
    size_bytes: int
    entropy_bytes: float


@dataclass(frozen=True)
class SizeReport:
    """What a compressed file's bytes are spent on, beside the uncompressed file's.

    Attributes
    ----------
    steps : tuple of Step
        The float32 file; the same with zeros; the codes alone; the whole file.
    parts, baseline_parts : mapping from one of `PARTS` to bytes
        Of the file, and of the uncompressed one.
    layers : tuple of LayerSize
    n_weights : int
        Of the uncompressed network.
    """

    steps: tuple[Step, ...]
    parts: Mapping[str, int]
    baseline_parts: Mapping[str, int]
    layers: tuple[LayerSize, ...]
    n_weights: int

    @property
    def n_nonzero(self) -> int:
        return sum(layer.n_nonzero for layer in self.layers)

    @property
    def entropy_bytes(self) -> float:
        """The bound for all codes together; tables, biases and graph come on top."""
        return sum(layer.entropy_bytes for layer in self.layers)


def size_report(
    onnx_bytes: bytes, recipe: Recipe, network: Network, train_rows: Rows | None
) -> SizeReport:
    """Take the file of a recipe apart.

    Parameters
    ----------
    onnx_bytes : bytes
        The file.
    recipe : Recipe
        What made it; its cut is made again, without its recovery, for the step of the zeros.
    network : Network
        The uncompressed network.
    train_rows : Rows or None
        As for `compress`.
    """
    baseline = make_draft(network, Recipe(), train_rows).onnx_bytes
    cut_only = replace(
        recipe,
        quantizer=Float32(),
        overrides={n: replace(t, quantizer=Float32()) for n, t in recipe.overrides.items()},
        activations=FloatActivations(),
        recovery=NoRecovery(),
    )
    with_zeros = make_draft(network, cut_only, train_rows).onnx_bytes
    tensors = _tensors(onnx_bytes)
    layers = tuple(_layer(name, tensors) for name in network.weights)
    codes = sum(layer.size_bytes for layer in layers)
    return SizeReport(
        steps=(
            _file("float32 file", baseline),
            _file("with zeros, still float32", with_zeros),
            Step("weights as stored", codes, None),
            _file("whole file", onnx_bytes),
        ),
        parts=_parts(onnx_bytes, network),
        baseline_parts=_parts(baseline, network),
        layers=layers,
        n_weights=sum(w.size for w in network.weights.values()),
    )


def _file(name: str, data: bytes) -> Step:
    return Step(name, len(data), len(gzip.compress(data, compresslevel=9, mtime=0)))


def _tensors(onnx_bytes: bytes) -> dict[str, onnx.TensorProto]:
    """All constants of a file by name: of the graph, of those within, and of functions."""
    model = onnx.load_model_from_string(onnx_bytes)
    return {tensor.name: tensor for tensor in constants_of(model)}


def _nbytes(tensor: onnx.TensorProto) -> int:
    return len(tensor.raw_data) or int(numpy_helper.to_array(tensor).nbytes)


def _parts(onnx_bytes: bytes, network: Network) -> dict[str, int]:
    found = dict.fromkeys(PARTS, 0)
    biases = set(network.bias_names)
    tables = tuple(f"{name}{ending}" for name in network.weights for ending in (".", "_"))
    for name, tensor in _tensors(onnx_bytes).items():
        own = name.removesuffix("_quantized").removesuffix(CODES)
        if own in network.weights:
            part = "weights"
        elif own in biases:
            part = "biases"
        elif name.startswith(tables) or name.endswith(("_scale", "_zero_point")):
            part = "scales and codebooks"
        else:
            continue
        found[part] += _nbytes(tensor)
    found["graph and metadata"] = len(onnx_bytes) - sum(found.values())
    return found


def _layer(name: str, tensors: Mapping[str, onnx.TensorProto]) -> LayerSize:
    again = (n for n in tensors if n.startswith(f"{name}~") and n.endswith(CODES))  # a taken name
    names = (f"{name}_quantized", *again, f"{name}{CODES}", name)
    tensor = next(tensors[n] for n in names if n in tensors)
    values: npt.NDArray[Any] = numpy_helper.to_array(tensor)
    codebook = tensors.get(f"{name}.codebook")
    stored = values.astype(np.float32)
    if codebook is not None:
        stored = numpy_helper.to_array(codebook)[values.astype(int)]
    kind = onnx.TensorProto.DataType.Name(tensor.data_type)
    return LayerSize(
        name,
        int(values.size),
        int(np.count_nonzero(stored)),
        _TYPE_NAMES.get(kind, kind.lower()),
        _nbytes(tensor),
        entropy_bytes(values),
    )


def entropy_bytes(values: npt.NDArray[Any]) -> float:
    """The zero-order entropy of an array, in bytes.

    >>> entropy_bytes(np.array([0, 0, 1, 1]))
    0.5
    """
    shares = _counts(values) / values.size
    return float(-(shares * np.log2(shares)).sum() * values.size / 8) + 0.0


def _counts(values: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """How often each value occurs."""
    if values.dtype.kind in "iu" and values.size:
        low, high = int(values.min()), int(values.max())
        if high - low < _FEW_VALUES:  # counted many times faster than sorted
            counts = np.bincount(values.ravel().astype(np.int64) - low)
            return counts[counts > 0]
    as_numbers = values.astype(np.float32) if values.dtype.kind not in "iuf" else values
    found: npt.NDArray[np.intp] = np.unique(as_numbers, return_counts=True)[1]
    return found
