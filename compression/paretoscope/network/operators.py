"""ONNX operators in numpy: the float arithmetic that files are checked against.

Each takes its inputs in order and its attributes by name, as the operator's page of the ONNX
specification has them (opset 21). Layers, pooling with windows and everything that is not here are
`paretoscope.network.network`'s. ONNX's own reference evaluator, which runs what is not here,
computes some activations value by value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = Any  # floats of one type: numpy's own types lose track of float32 here

_SELU_ALPHA, _SELU_GAMMA = 1.6732632423543772, 1.0507009873554805


def _flatten(x: Array, axis: int = 1) -> Array:
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _reshape(x: Array, shape: Any, allowzero: int = 0) -> Array:
    """However many rows a shape says, it is those that are there."""
    return x.reshape(-1, *shape[1:])


def _leaky_relu(x: Array, alpha: float = 0.01) -> Array:
    return np.where(x < 0, np.float32(alpha) * x, x)


def _prelu(x: Array, slope: Array) -> Array:
    return np.where(x < 0, slope * x, x)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x < 0, np.float32(alpha) * np.expm1(np.minimum(x, 0)), x)


def _selu(x: Array, alpha: float = _SELU_ALPHA, gamma: float = _SELU_GAMMA) -> Array:
    return np.float32(gamma) * _elu(x, alpha)


def _sigmoid(x: Array) -> Array:
    below = np.exp(-np.abs(x))  # never too large
    return np.where(x < 0, below, 1) / (1 + below)


def _hard_sigmoid(x: Array, alpha: float = 0.2, beta: float = 0.5) -> Array:
    return np.clip(np.float32(alpha) * x + np.float32(beta), 0, 1)


def _hard_swish(x: Array) -> Array:
    return x * _hard_sigmoid(x, 1 / 6)


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, np.float32(0))


def _mish(x: Array) -> Array:
    return x * np.tanh(_softplus(x))


def _erf(x: Array) -> Array:
    from scipy.special import erf

    return erf(x)


def _gelu(x: Array, approximate: str | bytes = "none") -> Array:
    if approximate in ("tanh", b"tanh"):
        inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)
        return x * (1 + np.tanh(inner)) / 2
    return x * (1 + _erf(x * np.float32(np.sqrt(0.5)))) / 2


def _concat(*values: Array, axis: int) -> Array:
    return np.concatenate(values, axis)


def _pad(x: Array, pads: Any, value: Any = 0.0, mode: str = "constant") -> Array:
    edges = list(zip(pads[: x.ndim].tolist(), pads[x.ndim :].tolist(), strict=True))
    if mode != "constant":
        return np.pad(x, edges, mode=mode)  # type: ignore[call-overload]
    return np.pad(x, edges, constant_values=value)


def _gather(x: Array, places: Any, axis: int = 0) -> Array:
    return np.take(x, places, axis)


def _transpose(x: Array, perm: Sequence[int]) -> Array:
    return x.transpose(*perm)


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "MatMul": np.matmul,
    "Relu": lambda x: np.maximum(x, 0),
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Elu": _elu,
    "Selu": _selu,
    "Sigmoid": _sigmoid,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Tanh": np.tanh,
    "Erf": _erf,
    "Gelu": _gelu,
    "Softplus": _softplus,
    "Mish": _mish,
    "Clip": np.clip,
    "Round": np.rint,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdims=True),
    "GlobalMaxPool": lambda x: x.max((2, 3), keepdims=True),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concat": _concat,
    "Pad": _pad,
    "Gather": _gather,
}
