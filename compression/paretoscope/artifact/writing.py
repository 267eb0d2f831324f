"""How stored values are spelt in an ONNX graph, so that ONNX Runtime runs them fast and right.

Which spelling is a matter of the recipe (`paretoscope.methods.kernels`); where fused is asked for,
this file says for which layers it may pay.

Two spellings of a layer ``x @ (codes * scale) + bias``:

folded  ``Cast(codes) -> Mul(scale) -> MatMul``, or ``Gather(codebook, Cast(places))``. The runtime
        computes the float weight once, when it loads the file: small on disk, exactly as fast and
        as exact as float32.
fused   ``[Cast to int8 ->] DequantizeLinear(axis=1, one scale per column) -> MatMul``, which the
        runtime replaces by its integer kernel ``MatMulNBits``: faster or slower than float32 by
        processor and number of rows (docs/measuring.md), slower for small layers. A ReLU behind it
        is written ``Max(x, 0)``, because ``Add -> Relu`` would be fused first and leave the
        dequantization in every call. Codes of 2 and 4 bits are cast to int8 at load: the 2-bit
        kernel of ONNX Runtime 1.32 is wrong at widths that 4 does not divide, the 4-bit one slower
        than float32 at batch 256.

The figures behind these choices are in docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from paretoscope.base.parameters import FloatArray
from paretoscope.methods.kernels import Spelling
from paretoscope.methods.quantization import Codes
from paretoscope.methods.recovery import Stored
from paretoscope.network.in_place import InPlace
from paretoscope.network.network import Network, as_filters, constant, serialize

_FUSED_STORAGE = ("int2", "int4", "int8")
_FUSED_MIN_INPUTS = 512
_FUSED_MIN_WEIGHTS = 200_000
_NUMPY_TYPES = {
    "int2": ml_dtypes.int2,
    "int4": ml_dtypes.int4,
    "uint2": ml_dtypes.uint2,
    "uint4": ml_dtypes.uint4,
}
_INT2_OPSET, _INT2_IR_VERSION = 25, 13
_VERSION = version("paretoscope")  # looked up once: it takes as long as a third of a small file


def can_fuse(codes: Codes) -> bool:
    """Whether the fused spelling is right for a layer with these codes, and may pay."""
    return may_fuse(codes.storage, codes.values)


def may_fuse(storage: str, values: npt.NDArray[Any]) -> bool:
    """The same for a layer whose values, of shape (in, out), would be stored in a type."""
    if storage not in _FUSED_STORAGE or values.ndim != 2:
        return False
    return values.shape[0] >= _FUSED_MIN_INPUTS and values.size >= _FUSED_MIN_WEIGHTS


def may_fuse_any(network: Network) -> bool:
    """Whether a layer is large enough for integer kernels, were its codes of 8 bits. Of a graph
    that stays as it is all run as floats."""
    if isinstance(network, InPlace):
        return False
    return any(may_fuse("int8", weight) for weight in network.weights.values())


def write(
    network: Network, stored: Stored, metadata: Mapping[str, str], spelling: Spelling
) -> bytes:
    """The ONNX bytes of a network with `stored` in place of its weights.

    With "fused", the layers for which it pays are written so; "folded" uses it nowhere.
    """
    model = network.model()
    graph = model.graph
    for layer in network.layers:
        codes = stored.codes[layer.weight]
        users = graph.initializers[layer.weight].consumers()
        node = users[0] if len(users) == 1 else next(n for n in graph if n in users)
        if codes.storage == "float32":
            _replace_initializer(graph, layer.weight, codes.decoded())
        elif spelling == "fused" and _is_one_dense(users) and can_fuse(codes):
            _write_fused(graph, node, layer.weight, codes)
            if layer.followed_by_relu:
                _relu_as_max(graph, _relu_behind(node))
        else:
            _write_folded(graph, node, layer.weight, codes)
        if layer.bias is not None and layer.weight in stored.biases:
            bias = stored.biases[layer.weight]
            graph.initializers[layer.bias].const_value = ir.tensor(bias, name=layer.bias)
    if any(codes.storage in ("int2", "uint2") for codes in stored.codes.values()):
        graph.opset_imports[""] = max(graph.opset_imports[""], _INT2_OPSET)
        model.ir_version = max(model.ir_version, _INT2_IR_VERSION)
    for node in graph:
        node.name = None  # names of operators are for readers, and cost bytes
    model.metadata_props.update(metadata)
    model.producer_version = _VERSION
    return serialize(model)


def _write_folded(graph: ir.Graph, node: ir.Node, name: str, codes: Codes) -> None:
    value = _replace_initializer(graph, name, as_stored(codes))
    kind = ir.DataType.FLOAT if codes.codebook is None else ir.DataType.INT32
    nodes = [ir.node("Cast", [value], {"to": kind.value})]
    if codes.codebook is not None:
        codebook = _add_constant(graph, f"{name}.codebook", codes.codebook)
        nodes.append(ir.node("Gather", [codebook, nodes[0].outputs[0]]))
    elif codes.scale is not None:
        by_filter = codes.scale if node.op_type == "MatMul" else codes.scale.reshape(-1, 1, 1, 1)
        scale = _add_constant(graph, f"{name}.scale", by_filter)
        nodes.append(ir.node("Mul", [nodes[0].outputs[0], scale]))
    _insert(graph, node, name, *nodes)


def _is_one_dense(users: Sequence[ir.Node]) -> bool:
    """Whether what multiplies with a weight is one dense layer."""
    return len(users) == 1 and users[0].op_type == "MatMul"


def _write_fused(graph: ir.Graph, matmul: ir.Node, name: str, codes: Codes) -> None:
    assert codes.scale is not None
    value = _replace_initializer(graph, name, as_stored(codes))
    nodes = []
    if codes.storage != "int8":
        nodes.append(ir.node("Cast", [value], {"to": ir.DataType.INT8.value}))
        value = nodes[0].outputs[0]
    per_column = np.broadcast_to(codes.scale, codes.values.shape[1]).copy()
    scale = _add_constant(graph, f"{name}.scale", per_column)
    nodes.append(ir.node("DequantizeLinear", [value, scale], {"axis": 1}))
    _insert(graph, matmul, name, *nodes)


def _relu_behind(matmul: ir.Node) -> ir.Node:
    node = matmul
    while node.op_type != "Relu":
        node = node.outputs[0].consumers()[0]
    return node


def _relu_as_max(graph: ir.Graph, relu: ir.Node) -> None:
    zero = graph.initializers.get("zero")
    if zero is None:
        zero = _add_constant(graph, "zero", np.zeros((), np.float32))
    maximum = ir.node("Max", [relu.inputs[0], zero], name=relu.name)
    ir.convenience.replace_nodes_and_values(
        graph, relu, [relu], [maximum], relu.outputs, maximum.outputs
    )


def as_stored(codes: Codes) -> npt.NDArray[Any]:
    return codes.values.astype(_NUMPY_TYPES.get(codes.storage, codes.storage))


def _replace_initializer(graph: ir.Graph, name: str, columns: npt.NDArray[Any]) -> ir.Value:
    """Put (in, out) values in the place of the float weight, under the same name."""
    value = graph.initializers[name]
    assert value.const_value is not None
    kernel = tuple(value.const_value.shape.numpy()[2:])
    tensor = ir.tensor(np.ascontiguousarray(as_filters(columns, kernel)), name=name)
    value.const_value, value.type = tensor, ir.TensorType(tensor.dtype)
    return value


def _add_constant(graph: ir.Graph, name: str, array: FloatArray) -> ir.Value:
    value = constant(name, ir.tensor(array.astype(np.float32), name=name))
    graph.register_initializer(value)
    return value


def _insert(graph: ir.Graph, layer: ir.Node, name: str, *nodes: ir.Node) -> None:
    """Put `nodes` before `layer`, the first that takes a weight: that of all that do becomes the
    output of the last of them."""
    weight = layer.inputs[1]
    assert weight is not None
    users = [node for node in weight.consumers() if node not in nodes]
    for number, node in enumerate(nodes):
        node.name = node.outputs[0].name = f"{name}.{number}"
    graph.insert_before(layer, nodes)
    for user in users:
        user.replace_input_with(1, nodes[-1].outputs[0])
