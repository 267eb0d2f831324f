"""Where a file's bytes are, and what each step of compressing took away."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from paretoscope.artifact.artifact import make_draft
from paretoscope.data.dataset import Rows
from paretoscope.methods.activations import FloatActivations
from paretoscope.methods.quantization import Float32
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import NoRecovery
from paretoscope.network.network import Network

_TYPE_NAMES = {"FLOAT": "float32"}
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
    initializers = _initializers(onnx_bytes)
    layers = tuple(_layer(name, initializers) for name in network.weights)
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


def _initializers(onnx_bytes: bytes) -> dict[str, ir.TensorProtocol]:
    import onnx

    graph = ir.from_proto(onnx.load_model_from_string(onnx_bytes)).graph
    return {
        str(name): value.const_value
        for name, value in graph.initializers.items()
        if value.const_value is not None
    }


def _parts(onnx_bytes: bytes, network: Network) -> dict[str, int]:
    found = dict.fromkeys(PARTS, 0)
    biases = set(network.bias_names)
    tables = tuple(f"{name}{ending}" for name in network.weights for ending in (".", "_"))
    for name, tensor in _initializers(onnx_bytes).items():
        own = name.removesuffix("_quantized")
        if own in network.weights:
            part = "weights"
        elif own in biases:
            part = "biases"
        elif name.startswith(tables) or name.endswith(("_scale", "_zero_point")):
            part = "scales and codebooks"
        else:
            continue
        found[part] += tensor.nbytes
    found["graph and metadata"] = len(onnx_bytes) - sum(found.values())
    return found


def _layer(name: str, initializers: Mapping[str, ir.TensorProtocol]) -> LayerSize:
    quantized = f"{name}_quantized"
    tensor = initializers[quantized if quantized in initializers else name]
    values = tensor.numpy()
    codebook = initializers.get(f"{name}.codebook")
    stored = values.astype(np.float32) if codebook is None else codebook.numpy()[values.astype(int)]
    return LayerSize(
        name,
        int(values.size),
        int(np.count_nonzero(stored)),
        _TYPE_NAMES.get(tensor.dtype.name, tensor.dtype.name.lower()),
        tensor.nbytes,
        entropy_bytes(values),
    )


def entropy_bytes(values: npt.NDArray[Any]) -> float:
    """The zero-order entropy of an array, in bytes.

    >>> entropy_bytes(np.array([0, 0, 1, 1]))
    0.5
    """
    as_numbers = values.astype(np.float32) if values.dtype.kind not in "iuf" else values
    _, counts = np.unique(as_numbers, return_counts=True)
    shares = counts / values.size
    return float(-(shares * np.log2(shares)).sum() * values.size / 8) + 0.0
