"""A trained model as an ONNX graph whose prunable weights are named arrays.

Weights have shape (in, out), so that a layer computes ``x @ w + b``; those of a convolution are
seen so too, one column a filter, its rows ordered by channel, height and width. The output is
scores of shape (n, outputs): for classes one each, also for two, of which softmax gives
probabilities where the model has them; else the numbers that are predicted. Scaling of the features
and of such numbers is part of the graph and stays in float.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray, Weights
from paretoscope.base.store import sha256
from paretoscope.network.operators import OPERATORS
from paretoscope.network.windows import Window
from paretoscope.problems.problem import Problem
from paretoscope.problems.problems import problem_of

OPSET = 21  # the first with int4; int2 needs 25 and is asked for by the artifacts that use it
IR_VERSION = 10
_MOST_ROWS, _MOST_VALUES = 1000, 2**27  # of a chunk: rows, and numbers computed of them


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
        """The prunable layers, from input to output; one that is used again stands there once."""
        found: dict[str, Layer] = {}
        for node in self._model.graph:
            if node.op_type == "MatMul" and _is_float(node.inputs[1], 2):
                layer = _dense_layer(node)
            elif node.op_type == "Conv" and _is_float(node.inputs[1], 4) and window_of(node):
                layer = _convolution(node)
            else:
                continue
            found.setdefault(layer.weight, layer)
        if not found:
            raise ParetoscopeError(
                "this ONNX model has no dense or convolution weights that could be pruned"
            )
        return tuple(found.values())

    @cached_property
    def weights(self) -> Weights:
        """The prunable weights by name, each (in, out), read-only."""
        return {layer.weight: as_columns(self._array(layer.weight)) for layer in self.layers}

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, int]]:
        """The shapes (in, out) of the prunable weights, by name."""
        return {name: (w.shape[0], w.shape[1]) for name, w in self.weights.items()}

    def whole(self) -> Network:
        """Itself with all of it in memory."""
        return self

    @property
    def n_weights(self) -> int:
        """Prunable weights of all layers."""
        return sum(n_in * n_out for n_in, n_out in self.shapes.values())

    @cached_property
    def biases(self) -> Weights:
        """The biases by the name of their layer's weight, each (out,), read-only."""
        return {la.weight: self._array(la.bias) for la in self.layers if la.bias is not None}

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._model.metadata_props

    @property
    def brought(self) -> tuple[int, int] | None:
        """Bytes of the file that this network was read from, on disk and zipped; None where it was
        trained here."""
        found = self.metadata.get("brought")
        if found is None:
            return None
        size, zipped = map(int, found.split(","))
        return size, zipped

    @cached_property
    def problem(self) -> Problem:
        """What its outputs say, as its metadata tell; without, which class."""
        return problem_of(self.metadata, self.n_scores)

    def with_metadata(self, **more: str) -> Network:
        """The same network with more in its metadata."""
        model = self.model()
        model.metadata_props.update(more)
        return Network(serialize(model))

    @property
    def input_name(self) -> str:
        return str(self._model.graph.inputs[0].name)

    @property
    def n_features(self) -> int:
        """Features of a row."""
        shape = self._model.graph.inputs[0].shape
        assert shape is not None
        return int(str(shape[1]))

    @property
    def n_scores(self) -> int:
        """Scores of a row."""
        shape = self._model.graph.outputs[0].shape
        assert shape is not None
        return int(str(shape[1]))

    @property
    def n_parameters(self) -> int:
        """Weights and biases of the prunable layers, each once."""
        biases = {name: self._array(name).size for name in self.bias_names}
        return self.n_weights + sum(biases.values())

    @cached_property
    def bias_names(self) -> tuple[str, ...]:
        """The biases of all uses of the prunable weights."""
        names = {layer.weight for layer in self.layers}
        found = [
            (_dense_layer(node) if node.op_type == "MatMul" else _convolution(node)).bias
            for node in self._model.graph
            if node.op_type in ("MatMul", "Conv") and str(node.inputs[1].name) in names  # type: ignore[union-attr]
        ]
        return tuple(dict.fromkeys(name for name in found if name is not None))

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
        values.update(self.weights)
        values.update(weights or {})
        for layer in self.layers:
            if layer.bias is not None and biases and layer.weight in biases:
                values[layer.bias] = biases[layer.weight]
        n = self.rows_at_a_time
        chunks = [X[i : i + n] for i in range(0, len(X), n)] or [X]
        return np.concatenate([self._forward(chunk, dict(values)) for chunk in chunks])

    @property
    def rows_at_a_time(self) -> int:
        """So many that what is computed of them fits into memory."""
        return max(1, min(_MOST_ROWS, _MOST_VALUES // self.n_values))

    @cached_property
    def n_values(self) -> int:
        """Numbers that are computed of a row, receptive fields counted; one row of zeros tells."""
        values = {str(name): self._array(str(name)) for name in self._model.graph.initializers}
        values.update(self.weights)
        self._forward(np.zeros((1, self.n_features), np.float32), values, keep=True)
        n = 0
        for node in self._model.graph:
            made, window = values[str(node.outputs[0].name)], window_of(node)
            n += made.size
            if window is not None and node.inputs[0] is not None:
                channels = values[str(node.inputs[0].name)].shape[1]
                n += math.prod(window.kernel) * channels * math.prod(made.shape[2:])
        return n

    def _forward(self, X: FloatArray, values: dict[str, Any], *, keep: bool = False) -> FloatArray:
        """The scores; `values` is left with every node's output, or, unless they are to be kept,
        with those that are still wanted."""
        graph = self._model.graph
        values[self.input_name] = X
        for place, node in enumerate(graph):
            inputs = [values[str(value.name)] for value in node.inputs if value is not None]
            outputs = self._outputs(node, inputs)
            values.update(zip((str(o.name) for o in node.outputs), outputs, strict=True))
            if not keep:
                for name in self._last_uses.get(place, ()):
                    del values[name]
        result: FloatArray = values[str(graph.outputs[0].name)]
        return result

    def _outputs(self, node: ir.Node, inputs: list[Any]) -> list[Any]:
        """What a node makes of its inputs."""
        window = window_of(node)
        try:
            if window is not None:
                return [_windowed(node, window, *inputs)]
            if node.op_type in OPERATORS:
                attributes = {name: a.value for name, a in node.attributes.items()}
                return [OPERATORS[node.op_type](*inputs, **attributes)]
            return _by_reference(self._model, node, inputs)
        except Exception as error:  # operators fail with errors of any kind
            raise ParetoscopeError(
                f"float arithmetic cannot run {node.op_type} ({node.name}): {error}"
            ) from error

    @cached_property
    def _last_uses(self) -> dict[int, list[str]]:
        """The values that no later node takes, by the place of the last one that does."""
        graph = self._model.graph
        last = {
            str(value.name): place
            for place, node in enumerate(graph)
            for value in (*node.inputs, *node.outputs)
            if value is not None and not value.is_initializer()
        }
        del last[str(graph.outputs[0].name)]
        found: dict[int, list[str]] = {}
        for name, place in last.items():
            found.setdefault(place, []).append(name)
        return found

    def with_layers(self, weights: Weights, biases: Weights) -> Network:
        """The same graph with other weights (in, out) and biases (out,), which may be smaller."""
        model = self.model()
        initializers = model.graph.initializers
        for layer in self.layers:
            kernel = self._array(layer.weight).shape[2:]
            weight = as_filters(weights[layer.weight], kernel)
            for name, array in ((layer.weight, weight), (layer.bias, biases.get(layer.weight))):
                if name is not None and array is not None:
                    tensor = ir.tensor(np.ascontiguousarray(array, np.float32), name=name)
                    initializers[name].const_value = tensor
                    initializers[name].shape = ir.Shape(array.shape)
        return Network(serialize(model))

    def _array(self, name: str) -> FloatArray:
        tensor = self._model.graph.initializers[name].const_value
        assert tensor is not None
        array: FloatArray = tensor.numpy()
        array.flags.writeable = False
        return array


def as_columns(weight: FloatArray) -> FloatArray:
    """A weight as (in, out); the filters (out, channels, height, width) as columns."""
    return weight if weight.ndim == 2 else weight.reshape(len(weight), -1).T


def as_filters(weight: npt.NDArray[Any], kernel: tuple[int, ...]) -> npt.NDArray[Any]:
    """The inverse of `as_columns`, for a kernel (height, width), or () for a dense layer."""
    return weight if not kernel else weight.T.reshape(weight.shape[1], -1, *kernel)


def window_of(node: ir.Node) -> Window | None:
    """The window of a convolution or a pooling that this library computes with, else None."""
    if node.op_type not in ("Conv", "MaxPool", "AveragePool"):
        return None
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    kernel = attributes.get("kernel_shape")
    if kernel is None and node.op_type == "Conv" and node.inputs[1] is not None:
        kernel = node.inputs[1].shape[2:] if node.inputs[1].shape is not None else None
    plain = (
        set(attributes.get("dilations", [1])) == {1}
        and attributes.get("auto_pad", "NOTSET") == "NOTSET"
        and not attributes.get("ceil_mode", 0)
    )
    if not plain or kernel is None or len(kernel) != 2:
        return None
    sizes = [tuple(int(s) for s in attributes.get(n, d)) for n, d in _WINDOW_DEFAULTS]
    return Window((int(kernel[0]), int(kernel[1])), *sizes)  # type: ignore[arg-type]


_WINDOW_DEFAULTS = (("strides", (1, 1)), ("pads", (0, 0, 0, 0)))


def n_groups(convolution: ir.Node) -> int:
    """Into how many groups a convolution splits its channels; 1 for any other node."""
    group = convolution.attributes.get("group")
    return 1 if group is None else int(group.as_int())


def counts_pads(pooling: ir.Node) -> bool:
    """Whether an average pooling counts the zeros around an image."""
    counts = pooling.attributes.get("count_include_pad")
    return counts is not None and bool(counts.as_int())


def _windowed(node: ir.Node, window: Window, x: FloatArray, *weights: FloatArray) -> FloatArray:
    if node.op_type == "MaxPool":
        return window.largest(x)
    if node.op_type == "AveragePool":
        return window.mean(x, counts_pads(node))
    z = _in_groups(window.unfold(x), weights[0], n_groups(node))
    z += weights[1] if len(weights) > 1 else np.float32(0)
    positions = window.output_shape(x.shape[2], x.shape[3])
    return z.reshape(len(x), *positions, -1).transpose(0, 3, 1, 2)


def _in_groups(rows: FloatArray, weight: FloatArray, groups: int) -> FloatArray:
    """Rows (m, in) times a weight (in / groups, out), each group of outputs by its own inputs."""
    if groups == 1:
        return rows @ weight
    by_group = rows.reshape(len(rows), groups, -1).transpose(1, 0, 2)
    weights = weight.reshape(len(weight), groups, -1).transpose(1, 0, 2)
    return (by_group @ weights).transpose(1, 0, 2).reshape(len(rows), -1)


def _by_reference(model: ir.Model, node: ir.Node, inputs: list[Any]) -> list[Any]:
    """The outputs of an operator that is not ours, by ONNX's own reference evaluator."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    empty = onnx.helper.make_empty_tensor_value_info
    names = [str(value.name) for value in node.inputs if value is not None]
    outputs = [str(value.name) for value in node.outputs]
    graph = onnx.helper.make_graph(
        [ir.to_proto(node)], "one", [*map(empty, names)], [*map(empty, outputs)]
    )
    opsets = [onnx.helper.make_opsetid(d, v) for d, v in model.graph.opset_imports.items()]
    one = onnx.helper.make_model(graph, opset_imports=opsets)
    return list(ReferenceEvaluator(one).run(None, dict(zip(names, inputs, strict=True))))


def _is_float(value: ir.Value | None, n_axes: int) -> bool:
    if value is None or not value.is_initializer() or value.const_value is None:
        return False
    tensor = value.const_value
    return tensor.dtype == ir.DataType.FLOAT and len(tensor.shape) == n_axes


def _convolution(node: ir.Node) -> Layer:
    weight, bias = node.inputs[1], node.inputs[2] if len(node.inputs) > 2 else None
    assert weight is not None
    after = node.outputs[0].consumers()
    relu = len(after) == 1 and after[0].op_type == "Relu"
    return Layer(str(weight.name), None if bias is None else str(bias.name), relu)


def _dense_layer(node: ir.Node) -> Layer:
    weight, bias = node.inputs[1], None
    after = node.outputs[0].consumers()
    assert weight is not None
    if len(after) == 1 and after[0].op_type == "Add":
        other = after[0].inputs[1]
        if other is not None and other.is_initializer():
            bias, after = str(other.name), after[0].outputs[0].consumers()
    relu = len(after) == 1 and after[0].op_type == "Relu"
    return Layer(str(weight.name), bias, relu)


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
