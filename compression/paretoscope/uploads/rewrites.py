"""What each operator of an uploaded model becomes.

Layers in all their spellings become ``MatMul -> Add`` and ``Conv``, batch normalisation is folded
into them, and what is left of the others keeps rows apart and states the shape of one.

To add an operator, write ``(to, node, inputs) -> value`` and name it at the foot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from paretoscope.base.errors import ParetoscopeError
from paretoscope.uploads.rewriting import FLOATS, N_ROWS, Array, Rewrite, Rewriting, attributes_of


def _alias(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    return to.made(inputs[0])


def _cast(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Between floats of any size, which are all float32 here."""
    if attributes_of(node).get("to") not in FLOATS:
        raise ParetoscopeError("a Cast rounds values of rows to whole numbers")
    return to.made(inputs[0])


def _dropout(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    training = to.array(inputs[2]) if len(inputs) > 2 and inputs[2] else None
    if training is not None and training.any():
        raise ParetoscopeError("a Dropout is in training mode")
    return to.made(inputs[0])


def _gemm(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    given = attributes_of(node)
    weight = to.array(inputs[1])
    bias = _bias(to, inputs)
    if weight is None or weight.ndim != 2 or given.get("transA"):
        raise ParetoscopeError("a Gemm has no constant matrix of weights on its right")
    weight = weight.T if given.get("transB") else weight
    alpha, beta = np.float32(given.get("alpha", 1.0)), np.float32(given.get("beta", 1.0))
    return to.dense(to.made(inputs[0]), weight * alpha, None if bias is None else bias * beta)


def _bias(to: Rewriting, inputs: list[str]) -> Array | None:
    """The constant third input of a layer, where it has one."""
    if len(inputs) < 3 or not inputs[2]:
        return None
    bias = to.array(inputs[2])
    if bias is None:
        raise ParetoscopeError("a layer has a bias that is made of rows")
    return bias


def _matmul(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    weight = to.array(inputs[1])
    if weight is None or weight.ndim != 2:
        raise ParetoscopeError("a MatMul has no constant matrix of weights on its right")
    return to.dense(to.made(inputs[0]), weight, None)


def _add(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    x, other = (inputs[0], to.array(inputs[1]))
    if other is None:
        x, other = inputs[1], to.array(inputs[0])
    if other is None:
        return _of_two(to, node, inputs)
    layer = to.layer(to.made(x))
    folds = layer is not None and layer.axis == 1 and to.is_for_one(x)
    if (
        layer is not None
        and folds
        and other.shape[-1:] == to.constants[layer.bias].shape
        and (other.size == other.shape[-1])
    ):
        to.constants[layer.bias] = to.constants[layer.bias] + other.ravel().astype(np.float32)
        return to.made(x)
    return _elementwise(to, "Sub", to.made(x), -other.astype(np.float32))


def _elementwise(
    to: Rewriting, op_type: str, x: str, other: Array, *, on_left: bool = False
) -> str:
    """An operation with a constant that leaves the shape as it is."""
    try:
        same = np.broadcast_shapes((1, *to.shapes[x]), other.shape) == (1, *to.shapes[x])
    except ValueError:
        same = False
    if not same:
        raise ParetoscopeError(f"a {op_type} changes the shape of its values")
    constant = to.constant(f"c{len(to.constants)}", other.astype(np.float32))
    operands = (constant, x) if on_left else (x, constant)
    return to.op(op_type, *operands, shape=to.shapes[x])


def _scaling(sign: str) -> Rewrite:
    def rewrite(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
        x, other = inputs[0], to.array(inputs[1])
        if other is None and sign == "Mul":
            x, other = inputs[1], to.array(inputs[0])
        if other is None:
            left = to.array(inputs[0])
            if left is None:
                return _of_two(to, node, inputs)
            return _elementwise(to, sign, to.made(inputs[1]), left, on_left=True)
        other = other.astype(np.float32)
        op_type, other = ("Mul", 1 / other) if sign == "Div" else (sign, other)
        return _elementwise(to, op_type, to.made(x), other)

    return rewrite


def _of_two(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """An operation with two of the graph's own values, as in residual networks and gates."""
    a, b = map(to.made, inputs)
    first, second = to.shapes[a], to.shapes[b]
    try:
        shape = np.broadcast_shapes(first, second)
    except ValueError:
        shape = ()
    if len(first) != len(second) or len(shape) != len(first):
        raise ParetoscopeError(f"a {node.op_type} joins values of other shapes")
    return to.op(node.op_type, a, b, shape=shape)


def _activation(*names: str) -> Rewrite:
    """A function of each value by itself, with its attributes."""

    def rewrite(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
        x, given = to.made(inputs[0]), attributes_of(node)
        own = {name: given[name] for name in names if name in given}
        return to.op(node.op_type, x, shape=to.shapes[x], **own)

    return rewrite


def _clip(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Its bounds are attributes up to opset 10, and inputs since."""
    given, most = attributes_of(node), np.finfo(np.float32).max
    bounds = [np.float32(given.get("min", -most)), np.float32(given.get("max", most))]
    for place, name in enumerate(inputs[1:3]):
        if name:
            bound = to.array(name)
            if bound is None or bound.size != 1:
                raise ParetoscopeError("a Clip's bounds are made at run time")
            bounds[place] = np.float32(bound.ravel()[0])
    x = to.made(inputs[0])
    places = [to.constant(f"c{len(to.constants)}", np.asarray(bound)) for bound in bounds]
    return to.op("Clip", x, *places, shape=to.shapes[x])


def _quantize(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Values of rows rounded to whole numbers, which stay floats here: what a DequantizeLinear
    makes of them is the same."""
    scale, zero = _grid(to, node, inputs)
    x = to.made(inputs[0])
    shape = to.shapes[x]
    x = to.op("Div", x, to.constant(f"c{len(to.constants)}", scale), shape=shape)
    x = to.op("Round", x, shape=shape)
    if zero:
        shift = to.constant(f"c{len(to.constants)}", np.array(zero, np.float32))
        x = to.op("Add", x, shift, shape=shape)
    ends = np.iinfo(zero.dtype.type)
    places = [
        to.constant(f"c{len(to.constants)}", np.array(e, np.float32)) for e in (ends.min, ends.max)
    ]
    return to.op("Clip", x, *places, shape=shape)


def _dequantize(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    scale, zero = _grid(to, node, inputs)
    x = to.made(inputs[0])
    if zero:
        x = _elementwise(to, "Sub", x, np.array(zero, np.float32))
    return _elementwise(to, "Mul", x, scale)


def _grid(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> tuple[Array, Array]:
    """The step of the whole numbers and the one that stands for 0, both of one value."""
    scale = to.array(inputs[1])
    zero = to.array(inputs[2]) if len(inputs) > 2 and inputs[2] else np.array(0, np.uint8)
    if scale is None or zero is None or scale.size != 1 or zero.size != 1:
        raise ParetoscopeError(f"a {node.op_type} rounds values of rows by channels")
    if zero.dtype.kind not in "iu":
        raise ParetoscopeError(f"a {node.op_type} rounds values of rows to other than integers")
    return scale.reshape(()).astype(np.float32), zero.reshape(())


def _prelu(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    slope = to.array(inputs[1])
    if slope is None:
        raise ParetoscopeError("a PRelu's slope is made at run time")
    return _elementwise(to, "PRelu", to.made(inputs[0]), slope)


def _flatten(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    x = to.made(inputs[0])
    if attributes_of(node).get("axis", 1) not in (1, -len(to.shapes[x])):
        raise ParetoscopeError("a Flatten does not keep rows apart")
    return _flat(to, x)


def _flat(to: Rewriting, x: str) -> str:
    return to.op("Flatten", x, shape=(math.prod(to.shapes[x]),))


def _reshape(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    shape = to.array(inputs[1])
    if shape is None or shape.size < 2:
        raise ParetoscopeError("a Reshape's shape is made at run time")
    x = to.made(inputs[0])
    sides = (0, *to.shapes[x])
    n_rows, *dims = [
        sides[axis] if side == 0 and axis < len(sides) else int(side)  # 0: as it was
        for axis, side in enumerate(shape.ravel())
    ]
    n, known = math.prod(to.shapes[x]), math.prod(d for d in dims if d != -1)
    dims = [d if d != -1 else n // max(1, known) for d in dims]
    keeps = n_rows in (0, -1, N_ROWS, to.stated_rows) and math.prod(dims) == n
    if not keeps or (attributes_of(node).get("allowzero") and not shape.all()):
        raise ParetoscopeError("a Reshape does not keep rows apart")
    return _shaped(to, x, dims)


def _shaped(to: Rewriting, x: str, dims: Sequence[int]) -> str:
    if len(dims) <= 1:
        return _flat(to, x)
    place = to.constant(f"s{len(to.constants)}", np.array([-1, *dims]))
    return to.op("Reshape", x, place, shape=tuple(dims))


def _conv(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    given, weight = attributes_of(node), to.array(inputs[1])
    bias = _bias(to, inputs)
    if weight is not None and weight.ndim == 3:
        raise ParetoscopeError(
            "convolutions over sequences (of one dimension) are run and judged, but not compressed "
            "here; as a Conv over images of height 1 the same layer would be"
        )
    if weight is None or weight.ndim != 4:
        raise ParetoscopeError("a Conv has no constant weights for images")
    if set(given.get("dilations", [1])) != {1}:
        raise ParetoscopeError("convolutions with dilations are not compressed here")
    x = _images(to, node, inputs)
    window = _window(given, weight.shape[2:], to.shapes[x])
    return to.convolution(x, weight, bias, window, int(given.get("group", 1)))


def _pool(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    given, x = attributes_of(node), _images(to, node, inputs)
    if given.get("ceil_mode") or set(given.get("dilations", [1])) != {1}:
        raise ParetoscopeError(f"a {node.op_type} rounds up or has dilations")
    window = _window(given, given["kernel_shape"], to.shapes[x])
    shape = to.shapes[x][0], *to.windowed(x, window)
    if node.op_type == "AveragePool":
        window["count_include_pad"] = int(bool(given.get("count_include_pad", 0)))
    return to.op(node.op_type, x, shape=shape, **window)


def _pool_all(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    x = _images(to, node, inputs)
    return to.op(node.op_type, x, shape=(to.shapes[x][0], 1, 1))


def _mean(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Of images over height and width, as PyTorch writes ``x.mean((2, 3))``."""
    x, given = _images(to, node, inputs), attributes_of(node)
    axes = to.array(inputs[1]) if len(inputs) > 1 and inputs[1] else np.array(given.get("axes", ()))
    if axes is None or sorted(int(axis) % 4 for axis in axes.ravel()) != [2, 3]:
        raise ParetoscopeError("a ReduceMean is over other than height and width")
    pooled = to.op("GlobalAveragePool", x, shape=(to.shapes[x][0], 1, 1))
    return pooled if given.get("keepdims", 1) else _flat(to, pooled)


def _concat(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    if any(to.array(name) is not None for name in inputs):
        raise ParetoscopeError("a Concat joins a constant")
    values = [to.made(name) for name in inputs]
    shapes = [to.shapes[value] for value in values]
    n_axes = len(shapes[0]) + 1
    axis = int(attributes_of(node)["axis"]) % n_axes
    rest = {shape[: axis - 1] + shape[axis:] for shape in shapes}
    if axis == 0 or len(rest) != 1 or {len(shape) for shape in shapes} != {n_axes - 1}:
        raise ParetoscopeError("a Concat joins values of other shapes")
    total = sum(shape[axis - 1] for shape in shapes)
    shape = (*shapes[0][: axis - 1], total, *shapes[0][axis:])
    return to.op("Concat", *values, shape=shape, axis=axis)


def _transpose(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    x = to.made(inputs[0])
    n_axes = len(to.shapes[x]) + 1
    order = list(attributes_of(node).get("perm", range(n_axes - 1, -1, -1)))
    if sorted(order) != list(range(n_axes)) or order[0] != 0:
        raise ParetoscopeError("a Transpose does not keep rows apart")
    shape = tuple(to.shapes[x][axis - 1] for axis in order[1:])
    return to.op("Transpose", x, shape=shape, perm=order)


def _unsqueeze(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Its axes are an attribute up to opset 12, and an input since."""
    x, given = to.made(inputs[0]), attributes_of(node).get("axes")
    axes = to.array(inputs[1]) if len(inputs) > 1 else np.array(given or ())
    if axes is None or not 0 < axes.size < 6:
        raise ParetoscopeError("an Unsqueeze does not state its axes")
    n_axes = len(to.shapes[x]) + 1 + axes.size
    new = {int(axis) % n_axes for axis in axes.ravel()}
    old = iter(to.shapes[x])
    if 0 in new or len(new) != axes.size:
        raise ParetoscopeError("an Unsqueeze does not keep rows apart")
    return _shaped(to, x, [1 if axis in new else next(old) for axis in range(1, n_axes)])


def _squeeze(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Its axes are an attribute up to opset 12, and an input since."""
    x, given = to.made(inputs[0]), attributes_of(node).get("axes")
    sides = (0, *to.shapes[x])
    axes = to.array(inputs[1]) if len(inputs) > 1 and inputs[1] else np.array(given or ())
    if axes is None or not axes.size:
        raise ParetoscopeError("a Squeeze does not state its axes")
    gone = {int(axis) % len(sides) for axis in axes.ravel()}
    if any(sides[axis] != 1 for axis in gone):
        raise ParetoscopeError("a Squeeze takes away more than sides of 1")
    left = [side for axis, side in enumerate(sides) if axis and axis not in gone]
    if not left or 0 in gone:
        raise ParetoscopeError("a Squeeze leaves rows without a side")
    return _shaped(to, x, left)


def _pad(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """With a constant; the pads are an attribute up to opset 10, and an input since, beside which
    opset 18 can name the axes."""
    x, given = to.made(inputs[0]), attributes_of(node)
    n_axes = len(to.shapes[x]) + 1
    pads = to.array(inputs[1]) if len(inputs) > 1 else np.array(given.get("pads", ()))
    fill = to.array(inputs[2]) if len(inputs) > 2 and inputs[2] else np.array(given.get("value", 0))
    axes = to.array(inputs[3]) if len(inputs) > 3 and inputs[3] else np.arange(n_axes)
    if (
        given.get("mode", b"constant") != b"constant"
        or pads is None
        or fill is None
        or axes is None
    ):
        raise ParetoscopeError("a Pad is by other than a constant")
    every = np.zeros((2, n_axes), np.int64)
    every[:, axes.ravel() % n_axes] = pads.reshape(2, -1)
    pads = every.ravel()
    if pads.min() < 0 or pads[0] or pads[n_axes]:
        raise ParetoscopeError("a Pad cuts off, or does not keep rows apart")
    sides = zip(to.shapes[x], pads[1:n_axes], pads[n_axes + 1 :], strict=True)
    shape = tuple(side + int(before) + int(after) for side, before, after in sides)
    places = to.constant(f"s{len(to.constants)}", pads.astype(np.int64))
    value = to.constant(f"c{len(to.constants)}", np.asarray(fill, np.float32).reshape(()))
    return to.op("Pad", x, places, value, shape=shape)


def _sum(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Of two, as older residual networks have it."""
    if len(inputs) != 2:
        raise ParetoscopeError("a Sum is of other than two values")
    return _add(to, helper.make_node("Add", inputs, node.output), inputs)


def _unknown_shape(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    raise ParetoscopeError("the shape of a constant is asked for at run time")


def _images(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    x = to.made(inputs[0])
    if len(to.shapes[x]) != 3:
        raise ParetoscopeError(f"a {node.op_type} is given other than images")
    return x


def _window(
    given: Mapping[str, Any], kernel: Sequence[int], images: tuple[int, ...]
) -> dict[str, Any]:
    """Kernel, strides and pads over images of a shape (channels, height, width)."""
    automatic = given.get("auto_pad", b"NOTSET").decode()
    kernel, strides = list(map(int, kernel)), list(given.get("strides", [1, 1]))
    pads = [0] * 4 if automatic == "VALID" else list(given.get("pads", [0] * 4))
    if automatic.startswith("SAME") and len(kernel) == len(strides) == 2 and min(strides) > 0:
        # As many pixels as make the output ceil(side / stride); an odd one goes to the side named.
        lacking = [
            max(0, (-(-side // stride) - 1) * stride + size - side)
            for side, size, stride in zip(images[1:], kernel, strides, strict=True)
        ]
        less, more = [n // 2 for n in lacking], [n - n // 2 for n in lacking]
        pads = [*less, *more] if automatic == "SAME_UPPER" else [*more, *less]
    return {"kernel_shape": kernel, "strides": strides, "pads": pads}


def _batch_norm(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """Folded into the layer before it; a factor and a shift of their own where there is none."""
    value = to.made(inputs[0])
    layer, arrays = to.layer(value), [to.array(name) for name in inputs[1:5]]
    if any(a is None for a in arrays) or attributes_of(node).get("training_mode"):
        raise ParetoscopeError("a BatchNormalization has statistics that are made at run time")
    scale, shift, mean, variance = known = [a for a in arrays if a is not None]
    if {a.shape for a in known} != {to.shapes[value][:1]}:
        raise ParetoscopeError("a BatchNormalization has other than a number for each channel")
    factor = scale / np.sqrt(variance + np.float32(attributes_of(node).get("epsilon", 1e-5)))
    if layer is None or not to.is_for_one(inputs[0]):
        spread = (-1,) + (1,) * (len(to.shapes[value]) - 1)
        value = _elementwise(to, "Mul", value, factor.reshape(spread))
        return _elementwise(to, "Sub", value, (mean * factor - shift).reshape(spread))
    weight = to.constants[layer.weight]
    shape = (-1, 1, 1, 1) if layer.axis == 0 else (1, -1)
    to.constants[layer.weight] = (weight * factor.reshape(shape)).astype(np.float32)
    to.constants[layer.bias] = ((to.constants[layer.bias] - mean) * factor + shift).astype(
        np.float32
    )
    return value


def _linear(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    """scikit-learn's linear classifier, and its linear regression."""
    given = attributes_of(node)
    n_targets = int(given.get("targets", 1))
    bias = np.array(given.get("intercepts", [0.0] * n_targets), np.float32)
    weight = np.array(given["coefficients"], np.float32).reshape(len(bias), -1).T
    labels = given.get("classlabels_ints") or given.get("classlabels_strings") or []
    opposite = len(bias) == 2 and all(
        np.allclose(a[..., 0], -a[..., 1], rtol=1e-6, atol=0) for a in (weight, bias)
    )
    if len(labels) == 2 and opposite:
        weight, bias = weight[:, 1:], bias[1:]  # written twice, with either sign
    return to.dense(to.made(inputs[0]), weight, bias)


def _scaler(to: Rewriting, node: onnx.NodeProto, inputs: list[str]) -> str:
    given = attributes_of(node)
    value = to.made(inputs[0])
    for op_type, name in (("Sub", "offset"), ("Mul", "scale")):
        if name in given:
            value = _elementwise(to, op_type, value, np.array(given[name], np.float32))
    return value


REWRITES: Mapping[str, Rewrite] = {
    "Identity": _alias,
    "Dropout": _dropout,
    "Cast": _cast,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Sum": _sum,
    "Sub": _scaling("Sub"),
    "Mul": _scaling("Mul"),
    "Div": _scaling("Div"),
    "Relu": _activation(),
    "LeakyRelu": _activation("alpha"),
    "PRelu": _prelu,
    "Elu": _activation("alpha"),
    "Sigmoid": _activation(),
    "HardSigmoid": _activation("alpha", "beta"),
    "HardSwish": _activation(),
    "Tanh": _activation(),
    "Erf": _activation(),
    "Softplus": _activation(),
    "Gelu": _activation("approximate"),
    "Selu": _activation("alpha", "gamma"),
    "Mish": _activation(),
    "Clip": _clip,
    "Round": _activation(),
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Pad": _pad,
    "Concat": _concat,
    "Shape": _unknown_shape,
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _pool_all,
    "GlobalMaxPool": _pool_all,
    "ReduceMean": _mean,
    "BatchNormalization": _batch_norm,
    "LinearClassifier": _linear,
    "LinearRegressor": _linear,
    "Scaler": _scaler,
}
