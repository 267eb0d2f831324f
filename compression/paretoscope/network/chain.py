"""A network as a chain of layers in numpy: what criteria and recoveries look into and train.

    features -> [layer -> ReLU, pooling, flatten]* -> layer -> scores

A layer is ``rows @ W + b``. For a dense layer the rows are its inputs (n, in); for a convolution
they are the receptive fields of all positions of all images, (n * positions, in), so that all that
is known of dense layers holds for convolutions too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import onnx_ir as ir

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.network.network import Network, counts_pads, n_groups, window_of
from paretoscope.network.windows import Window

_FEATURE_OPS = {"Sub": np.subtract, "Mul": np.multiply}


class Step(Protocol):
    """What happens to the output of a layer before the next one."""

    def forward(self, h: FloatArray) -> FloatArray: ...

    def backward(self, gradient: FloatArray, h: FloatArray, after: FloatArray) -> FloatArray:
        """The gradient by the step's input `h`, for one by its output `after`."""
        ...


@dataclass(frozen=True)
class Relu:
    def forward(self, h: FloatArray) -> FloatArray:
        return np.maximum(h, 0)

    def backward(self, gradient: FloatArray, h: FloatArray, after: FloatArray) -> FloatArray:
        passed: FloatArray = gradient * (after > 0)
        return passed


@dataclass(frozen=True)
class MaxPool:
    window: Window

    def forward(self, h: FloatArray) -> FloatArray:
        return self.window.largest(h)

    def backward(self, gradient: FloatArray, h: FloatArray, after: FloatArray) -> FloatArray:
        return self.window.spread(gradient, h, after)


@dataclass(frozen=True)
class AveragePool:
    """`window` is None for the mean of a whole channel, whatever the images' size."""

    window: Window | None
    count_pads: bool = False

    def forward(self, h: FloatArray) -> FloatArray:
        return self._over(h.shape).mean(h, self.count_pads)

    def backward(self, gradient: FloatArray, h: FloatArray, after: FloatArray) -> FloatArray:
        return self._over(h.shape).spread_evenly(gradient, h.shape, self.count_pads)

    def _over(self, shape: tuple[int, ...]) -> Window:
        return self.window or Window((shape[2], shape[3]))


@dataclass(frozen=True)
class Flatten:
    def forward(self, h: FloatArray) -> FloatArray:
        return h.reshape(len(h), -1)

    def backward(self, gradient: FloatArray, h: FloatArray, after: FloatArray) -> FloatArray:
        return gradient.reshape(h.shape)


@dataclass(frozen=True)
class Stage:
    """A layer's place in the chain: it takes rows of `n_in` columns. `window` is that of a
    convolution; `after` follows it."""

    name: str
    n_in: int
    window: Window | None
    after: tuple[Step, ...]

    def rows(self, h: FloatArray) -> FloatArray:
        """The rows that the layer multiplies."""
        return h if self.window is None else self.window.unfold(h)

    def gradient_of_input(self, of_rows: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        return of_rows if self.window is None else self.window.fold(of_rows, shape)

    def steps(self, z: FloatArray, shape: tuple[int, ...]) -> list[FloatArray]:
        """The outputs of the layer and of each step after it, for an input of `shape`."""
        found = [self._as_images(z, shape)]
        for step in self.after:
            found.append(step.forward(found[-1]))
        return found

    def gradient_of_rows(self, gradient: FloatArray, steps: list[FloatArray]) -> FloatArray:
        """The gradient by the layer's rows of outputs, for one by the input of the next stage."""
        for step, before, after in zip(
            reversed(self.after), reversed(steps[:-1]), reversed(steps[1:]), strict=True
        ):
            gradient = step.backward(gradient, before, after)
        if self.window is None:
            return gradient
        return gradient.transpose(0, 2, 3, 1).reshape(-1, gradient.shape[1])

    def _as_images(self, z: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        if self.window is None:
            return z
        positions = self.window.output_shape(shape[2], shape[3])
        return z.reshape(shape[0], *positions, z.shape[1]).transpose(0, 3, 1, 2)


@dataclass(frozen=True)
class Preparation:
    """What is done to features before the first layer; equal for networks that do the same, such as
    one and what is left of it when units are removed.

    `scaling` holds an operator with its constant's shape and float32 bytes for each step;
    `image_shape` is (channels, height, width), or None for rows.
    """

    scaling: tuple[tuple[str, tuple[int, ...], bytes], ...] = ()
    image_shape: tuple[int, ...] | None = None

    def __call__(self, X: FloatArray) -> FloatArray:
        """The input of the first layer, for rows of shape (n, d)."""
        for op, shape, constant in self.scaling:
            X = _FEATURE_OPS[op](X, np.frombuffer(constant, np.float32).reshape(shape))
        X = X.astype(np.float32, copy=False)
        return X if self.image_shape is None else X.reshape(-1, *self.image_shape)


@dataclass(frozen=True, eq=False)
class Chain:
    """Weights (in, out) and biases (out,) by layer name, in order.

    `halves` is the row (-0.5, 0.5) that makes two scores of one log-odds, or None; `factor` and
    `center`, of shape (outputs,), make numbers to predict of the last layer's output.
    """

    weights: Mapping[str, FloatArray]
    biases: Mapping[str, FloatArray]
    stages: tuple[Stage, ...]
    preparation: Preparation
    halves: FloatArray | None = None
    factor: FloatArray | None = None
    center: FloatArray | None = None

    @property
    def names(self) -> list[str]:
        return list(self.weights)

    def forward(self, X: FloatArray) -> Iterator[tuple[str, FloatArray, FloatArray]]:
        """Layer by layer: name, rows of shape (m, in), outputs before the ReLU of (m, out)."""
        h = self.preparation(X)
        for stage in self.stages:
            rows = stage.rows(h)
            z = rows @ self.weights[stage.name] + self.biases[stage.name]
            yield stage.name, rows, z
            h = stage.steps(z, h.shape)[-1]

    def scores(self, z: FloatArray) -> FloatArray:
        """The scores (n, outputs) for the last layer's output."""
        for by in (self.halves, self.factor):
            z = z if by is None else z * by
        return z if self.center is None else z + self.center

    def gradient_of_output(self, of_scores: FloatArray) -> FloatArray:
        """The gradient by the last layer's output, for one by the scores."""
        if self.factor is not None:
            of_scores = of_scores * self.factor
        if self.halves is None:
            return of_scores
        total: FloatArray = (of_scores * self.halves).sum(1, keepdims=True, dtype=np.float32)
        return total

    def with_layers(
        self, weights: Mapping[str, FloatArray], biases: Mapping[str, FloatArray]
    ) -> Chain:
        return replace(self, weights=weights, biases={**self.biases, **biases})


@lru_cache(maxsize=4)
def as_chain(network: Network) -> Chain:
    """The network as a chain.

    Raises
    ------
    ParetoscopeError
        The graph is not a chain of dense layers and convolutions with ReLU, pooling and flatten
        between them; names the node.
    """
    reader = _Reader(network)
    for node in network.model().graph:
        reader.read(node)
    reader.finish()
    biases = {
        name: network.biases.get(name, np.zeros(weight.shape[1], np.float32))
        for name, weight in network.weights.items()
    }
    return Chain(
        network.weights,
        biases,
        tuple(
            Stage(name, network.weights[name].shape[0], window, tuple(after))
            for name, window, after in reader.stages
        ),
        Preparation(tuple(reader.scaling), reader.image_shape),
        reader.halves,
        reader.factor,
        reader.center,
    )


class _Reader:
    """Reads the nodes of a graph in order; each must follow the one before."""

    def __init__(self, network: Network) -> None:
        self.layers = {layer.weight: layer for layer in network.layers}
        self.n_outputs = {name: weight.shape[1] for name, weight in network.weights.items()}
        self.stages: list[tuple[str, Window | None, list[Step]]] = []
        self.scaling: list[tuple[str, tuple[int, ...], bytes]] = []
        self.image_shape: tuple[int, ...] | None = None
        self.halves: FloatArray | None = None
        self.factor: FloatArray | None = None
        self.center: FloatArray | None = None
        self._last: Any = None

    def read(self, node: ir.Node) -> None:
        flowing = [v for v in node.inputs if v is not None and not v.is_initializer()]
        constants = [v for v in node.inputs if v is not None and v.is_initializer()]
        follows = len(flowing) == 1 and self._last in (None, flowing[0])
        if not (follows and self._take(node, constants)):
            raise ParetoscopeError(
                "this works on chains of dense layers and convolutions; "
                f"{node.op_type} ({node.name}) is none"
            )
        self._last = node.outputs[0]

    def finish(self) -> None:
        if self.stages[-1][2]:
            raise ParetoscopeError(
                "this works on chains of dense layers and convolutions; one that ends with pooling "
                "or an activation is none"
            )

    def _take(self, node: ir.Node, constants: list[ir.Value]) -> bool:
        """Put a node in its place; False where it has none."""
        name = "" if not constants else str(constants[0].name)
        known = constants[0].const_value if constants else None
        if any(name == stage for stage, *_ in self.stages):
            return False  # a weight that is used again
        if name in self.layers and node.op_type in ("MatMul", "Conv") and n_groups(node) == 1:
            self.stages.append((name, window_of(node) if node.op_type == "Conv" else None, []))
            return True
        if not self.stages:
            return self._take_feature_step(node, known)
        layer = self.layers[self.stages[-1][0]]
        after = self.stages[-1][2]
        if node.op_type == "Add" and layer.bias == name:
            return True
        if node.op_type == "Relu" and not constants:
            after.append(Relu())
        elif node.op_type == "MaxPool" and (window := window_of(node)) is not None:
            after.append(MaxPool(window))
        elif node.op_type == "AveragePool" and (window := window_of(node)) is not None:
            after.append(AveragePool(window, counts_pads(node)))
        elif node.op_type == "GlobalAveragePool":
            after.append(AveragePool(None))
        elif node.op_type == "Flatten":
            after.append(Flatten())
        elif node.op_type == "Mul" and known is not None and self._makes_two_scores(known):
            self.halves = known.numpy()
        else:
            return known is not None and self._scales_outputs(node.op_type, known)
        return True

    def _scales_outputs(self, op_type: str, known: ir.TensorProtocol) -> bool:
        """Whether a constant scales the outputs of the last layer, or moves them."""
        n = self.n_outputs[self.stages[-1][0]]
        at_the_end = len(self.stages) == len(self.layers) and not self.stages[-1][2]
        if not at_the_end or self.halves is not None or known.dtype != ir.DataType.FLOAT:
            return False
        if tuple(known.shape.numpy()) not in ((), (1,), (n,), (1, n)) or self.center is not None:
            return False
        constant = np.array(np.broadcast_to(known.numpy().reshape(-1), n))
        if op_type == "Mul" and self.factor is None:
            self.factor = constant
        elif op_type == "Add":
            self.center = constant
        else:
            return False
        return True

    def _makes_two_scores(self, constant: ir.TensorProtocol) -> bool:
        """Whether a constant makes two scores of the last layer's one."""
        return (
            self.halves is None
            and len(self.stages) == len(self.layers)
            and tuple(constant.shape.numpy()) == (1, 2)
            and self.n_outputs[self.stages[-1][0]] == 1
        )

    def _take_feature_step(self, node: ir.Node, known: ir.TensorProtocol | None) -> bool:
        first = node.inputs[0]
        if known is None or first is None or first.is_initializer():
            return False
        if node.op_type in _FEATURE_OPS and self.image_shape is None:
            constant = known.numpy().astype(np.float32)
            self.scaling.append((node.op_type, constant.shape, constant.tobytes()))
        elif node.op_type == "Reshape" and self.image_shape is None:
            self.image_shape = tuple(int(size) for size in known.numpy()[1:])
        else:
            return False
        return True
