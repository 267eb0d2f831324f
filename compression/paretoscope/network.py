"""A trained model as an ONNX graph whose prunable weights are named arrays.

Weights have shape (in, out), so that a layer computes ``x @ w + b``. The output is scores of shape
(n, classes), also for two classes; softmax of the scores gives probabilities where the model has
them. Scaling of the features is part of the graph and stays in float.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import onnx_ir as ir

from paretoscope.errors import ParetoscopeError
from paretoscope.parameters import FloatArray, Weights
from paretoscope.store import sha256

OPSET = 21  # the first with int4; int2 needs 25 and is asked for by the artifacts that use it
IR_VERSION = 10
_CHUNK_ROWS = 1000

_NUMPY_OPS: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "MatMul": np.matmul,
    "Relu": lambda x: np.maximum(x, 0),
}


@dataclass(frozen=True)
class Layer:
    """One prunable weight and what stands behind it in the graph."""

    weight: str
    bias: str | None
    followed_by_relu: bool


@dataclass(frozen=True, eq=False)
class Network:
    """A network, immutable; `onnx_bytes` is all of it.

    Raises
    ------
    ParetoscopeError
        When read: bytes that are no ONNX model, or a model without prunable weights.
    """

    onnx_bytes: bytes = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        return sha256(self.onnx_bytes)

    @cached_property
    def _model(self) -> ir.Model:
        import onnx

        try:
            return ir.from_proto(onnx.load_model_from_string(self.onnx_bytes))
        except Exception as error:  # protobuf and onnx-ir each have errors of their own
            raise ParetoscopeError(f"these bytes are not an ONNX model: {error}") from error

    def model(self) -> ir.Model:
        """The graph, as a copy of one's own to edit."""
        return self._model.clone()

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The prunable layers, from input to output."""
        found = []
        for node in self._model.graph:
            if node.op_type == "MatMul" and _is_prunable(node.inputs[1]):
                found.append(_layer(node))
        if not found:
            raise ParetoscopeError("this ONNX model has no dense weights that could be pruned")
        return tuple(found)

    @cached_property
    def weights(self) -> Weights:
        """The prunable weights by name, each (in, out), read-only."""
        return {layer.weight: self._array(layer.weight) for layer in self.layers}

    @cached_property
    def biases(self) -> Weights:
        """The biases by the name of their layer's weight, each (out,), read-only."""
        return {la.weight: self._array(la.bias) for la in self.layers if la.bias is not None}

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._model.metadata_props

    @property
    def input_name(self) -> str:
        return str(self._model.graph.inputs[0].name)

    @property
    def n_parameters(self) -> int:
        """Weights and biases of the prunable layers."""
        arrays = [*self.weights.values(), *self.biases.values()]
        return sum(array.size for array in arrays)

    def scores(
        self, X: FloatArray, weights: Weights | None = None, biases: Weights | None = None
    ) -> FloatArray:
        """Scores by numpy's float arithmetic, with other `weights` and `biases` where given.

        This is what an artifact's scores are checked against: it shares no code with the runtime.

        Parameters
        ----------
        X : float32 array of shape (n, d)
        weights, biases : mapping from a layer's weight name to an array, optional

        Returns
        -------
        float32 array of shape (n, classes)
        """
        values = {str(name): self._array(str(name)) for name in self._model.graph.initializers}
        values.update(weights or {})
        for layer in self.layers:
            if layer.bias is not None and biases and layer.weight in biases:
                values[layer.bias] = biases[layer.weight]
        chunks = [X[i : i + _CHUNK_ROWS] for i in range(0, len(X), _CHUNK_ROWS)] or [X]
        return np.concatenate([self._forward(chunk, dict(values)) for chunk in chunks])

    def _forward(self, X: FloatArray, values: dict[str, Any]) -> FloatArray:
        graph = self._model.graph
        values[self.input_name] = X
        for node in graph:
            if node.op_type not in _NUMPY_OPS:
                raise ParetoscopeError(
                    f"float arithmetic does not know {node.op_type} ({node.name})"
                )
            inputs = [values[str(value.name)] for value in node.inputs if value is not None]
            values[str(node.outputs[0].name)] = _NUMPY_OPS[node.op_type](*inputs)
        result: FloatArray = values[str(graph.outputs[0].name)]
        return result

    def _array(self, name: str) -> FloatArray:
        tensor = self._model.graph.initializers[name].const_value
        assert tensor is not None
        array: FloatArray = tensor.numpy()
        array.flags.writeable = False
        return array


def _is_prunable(value: ir.Value | None) -> bool:
    if value is None or not value.is_initializer() or value.const_value is None:
        return False
    return value.const_value.dtype == ir.DataType.FLOAT and len(value.const_value.shape) == 2


def _layer(node: ir.Node) -> Layer:
    weight, bias = node.inputs[1], None
    after = node.outputs[0].consumers()
    assert weight is not None
    if len(after) == 1 and after[0].op_type == "Add":
        other = after[0].inputs[1]
        if other is not None and other.is_initializer():
            bias, after = str(other.name), after[0].outputs[0].consumers()
    relu = len(after) == 1 and after[0].op_type == "Relu"
    return Layer(str(weight.name), bias, relu)


@dataclass(frozen=True)
class Dense:
    """A layer to build: `weight` (in, out) and `bias` (out,)."""

    weight: FloatArray
    bias: FloatArray


def build_dense(
    layers: Sequence[Dense],
    center: FloatArray | None,
    factor: FloatArray,
    metadata: Mapping[str, str],
) -> Network:
    """A chain of dense layers with ReLU between them, behind ``(x - center) * factor``.

    A last layer of width 1 is the log-odds z of the second of two classes and becomes the two
    scores (-z/2, z/2), whose softmax is the model's probability.
    """
    n_features = layers[0].weight.shape[0]
    features = ir.Value(
        name="features", shape=ir.Shape(["n", n_features]), type=ir.TensorType(ir.DataType.FLOAT)
    )
    builder = _Builder()
    value = features
    if center is not None:
        value = builder.op("Sub", value, builder.constant("center", center))
    value = builder.op("Mul", value, builder.constant("factor", factor))
    for number, layer in enumerate(layers, start=1):
        name = f"dense{number}"
        value = builder.op("MatMul", value, builder.constant(name, layer.weight))
        value = builder.op("Add", value, builder.constant(f"{name}.bias", layer.bias))
        if number < len(layers):
            value = builder.op("Relu", value)
    if layers[-1].weight.shape[1] == 1:
        halves = np.array([[-0.5, 0.5]], np.float32)
        value = builder.op("Mul", value, builder.constant("two_classes", halves))
    n_classes = max(2, layers[-1].weight.shape[1])
    value.name, value.shape = "scores", ir.Shape(["n", n_classes])
    value.type = ir.TensorType(ir.DataType.FLOAT)
    return Network(builder.finish(features, value, metadata))


class _Builder:
    def __init__(self) -> None:
        self._nodes: list[ir.Node] = []
        self._constants: list[ir.Value] = []

    def constant(self, name: str, array: FloatArray) -> ir.Value:
        self._constants.append(constant(name, ir.tensor(array.astype(np.float32), name=name)))
        return self._constants[-1]

    def op(self, op_type: str, *inputs: ir.Value) -> ir.Value:
        number = len(self._nodes)
        node = ir.node(op_type, list(inputs), name=f"n{number}")
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


def constant(name: str, tensor: Any) -> ir.Value:
    """An initializer of a graph."""
    return ir.Value(
        name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )


def serialize(model: ir.Model) -> bytes:
    data: bytes = ir.to_proto(model).SerializeToString(deterministic=True)
    return data


def class_names(network: Network) -> tuple[str, ...]:
    """The names of the classes, as the network's metadata has them."""
    return tuple(json.loads(network.metadata.get("classes", "[]")))
