"""Networks built from weights: chains of convolutions and dense layers with ReLU between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from paretoscope.base.parameters import FloatArray
from paretoscope.network.network import IR_VERSION, OPSET, Network, constant, serialize


@dataclass(frozen=True)
class Dense:
    """A layer to build: `weight` (in, out) and `bias` (out,)."""

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class Convolution:
    """A layer to build: `weight` (out, channels, height, width) and `bias` (out,), padded so that
    images keep their size, and followed by max pooling of `pool` by `pool` pixels."""

    weight: FloatArray
    bias: FloatArray
    pool: int = 2


@dataclass(frozen=True)
class TargetScale:
    """What makes numbers to predict of a last layer's outputs z: ``z * factor + center``, each of
    shape (outputs,). It stays in float, as the scaling of the features does."""

    factor: FloatArray
    center: FloatArray


def build(
    layers: Sequence[Dense | Convolution],
    center: FloatArray | None,
    factor: FloatArray,
    metadata: Mapping[str, str],
    image_shape: tuple[int, int, int] | None = None,
    targets: TargetScale | None = None,
) -> Network:
    """A chain of layers with ReLU between them, behind ``(x - center) * factor``.

    Convolutions come first and need `image_shape` (channels, height, width). A last layer of width
    1 is the log-odds z of the second of two classes and becomes the two scores (-z/2, z/2), whose
    softmax is the model's probability. Where the metadata name another problem than classification
    the outputs are numbers, made by `targets` where these are given.
    """
    n_features = layers[0].weight.shape[0] if image_shape is None else math.prod(image_shape)
    features = ir.Value(
        name="features", shape=ir.Shape(["n", n_features]), type=ir.TensorType(ir.DataType.FLOAT)
    )
    builder = _Builder()
    value = features
    if center is not None:
        value = builder.op("Sub", value, builder.constant("center", center))
    value = builder.op("Mul", value, builder.constant("factor", factor))
    if image_shape is not None:
        shape = builder.constant("image_shape", np.array([-1, *image_shape]))
        value = builder.op("Reshape", value, shape)
    for number, layer in enumerate(layers, start=1):
        last = number == len(layers)
        if isinstance(layer, Convolution):
            value = builder.convolution(value, f"conv{number}", layer)
            if isinstance(layers[number], Dense):
                value = builder.op("Flatten", value)
        else:
            value = builder.dense(value, f"dense{number}", layer, relu=not last)
    n_outputs = layers[-1].weight.shape[1]
    if targets is not None:
        value = builder.op("Mul", value, builder.constant("target_factor", targets.factor))
        value = builder.op("Add", value, builder.constant("target_center", targets.center))
    elif n_outputs == 1 and "problem" not in metadata:
        halves = np.array([[-0.5, 0.5]], np.float32)
        value = builder.op("Mul", value, builder.constant("two_classes", halves))
        n_outputs = 2
    value.name, value.shape = "scores", ir.Shape(["n", n_outputs])
    value.type = ir.TensorType(ir.DataType.FLOAT)
    return Network(builder.finish(features, value, metadata))


class _Builder:
    def __init__(self) -> None:
        self._nodes: list[ir.Node] = []
        self._constants: list[ir.Value] = []

    def dense(self, value: ir.Value, name: str, layer: Dense, *, relu: bool) -> ir.Value:
        value = self.op("MatMul", value, self.constant(name, layer.weight))
        value = self.op("Add", value, self.constant(f"{name}.bias", layer.bias))
        return self.op("Relu", value) if relu else value

    def convolution(self, value: ir.Value, name: str, layer: Convolution) -> ir.Value:
        constants = self.constant(name, layer.weight), self.constant(f"{name}.bias", layer.bias)
        kernel = [int(size) for size in layer.weight.shape[2:]]
        pads = [size // 2 for size in kernel] * 2
        value = self.op("Conv", value, *constants, kernel_shape=kernel, pads=pads)
        value = self.op("Relu", value)
        pool = [layer.pool, layer.pool]
        return (
            value if layer.pool == 1 else self.op("MaxPool", value, kernel_shape=pool, strides=pool)
        )

    def constant(self, name: str, array: npt.NDArray[Any]) -> ir.Value:
        dtype = np.int64 if array.dtype.kind == "i" else np.float32
        self._constants.append(constant(name, ir.tensor(array.astype(dtype), name=name)))
        return self._constants[-1]

    def op(self, op_type: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        number = len(self._nodes)
        node = ir.node(op_type, list(inputs), attributes, name=f"n{number}")
        node.outputs[0].name = f"v{number}"
        self._nodes.append(node)
        return node.outputs[0]

    def finish(self, x: ir.Value, scores: ir.Value, metadata: Mapping[str, str]) -> bytes:
        graph = ir.Graph(
            [x],
            [scores],
            nodes=self._nodes,
            initializers=self._constants,
            opset_imports={"": OPSET},
            name="paretoscope",
        )
        model = ir.Model(graph, ir_version=IR_VERSION, producer_name="paretoscope")
        model.metadata_props.update(metadata)
        return serialize(model)
