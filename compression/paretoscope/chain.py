"""A network as a chain of dense layers in numpy: what criteria and recoveries look into and train.

x -> (x - center) * factor -> [dense -> ReLU]* -> dense -> scores
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from paretoscope.errors import ParetoscopeError
from paretoscope.network import Layer, Network
from paretoscope.parameters import FloatArray

_FEATURE_OPS = {"Sub": np.subtract, "Mul": np.multiply}


@dataclass(frozen=True, eq=False)
class Chain:
    """Weights (in, out) and biases (out,) by layer name, in order; `steps` scale the features.

    `halves` is the row (-0.5, 0.5) that makes two scores of one log-odds, or None.
    """

    weights: Mapping[str, FloatArray]
    biases: Mapping[str, FloatArray]
    steps: tuple[tuple[str, FloatArray], ...]
    halves: FloatArray | None

    @property
    def names(self) -> list[str]:
        return list(self.weights)

    def features(self, X: FloatArray) -> FloatArray:
        """The input of the first layer, for rows of shape (n, d)."""
        for op, constant in self.steps:
            X = _FEATURE_OPS[op](X, constant)
        return X.astype(np.float32, copy=False)

    def forward(self, X: FloatArray) -> Iterator[tuple[str, FloatArray, FloatArray]]:
        """Layer by layer: name, input of shape (n, in), output before the ReLU of (n, out)."""
        h = self.features(X)
        for name in self.names:
            z = h @ self.weights[name] + self.biases[name]
            yield name, h, z
            h = np.maximum(z, 0)

    def scores(self, z: FloatArray) -> FloatArray:
        """The scores (n, classes) for the last layer's output."""
        return z if self.halves is None else z * self.halves

    def gradient_of_output(self, of_scores: FloatArray) -> FloatArray:
        """The gradient by the last layer's output, for one by the scores."""
        if self.halves is None:
            return of_scores
        total: FloatArray = (of_scores * self.halves).sum(1, keepdims=True, dtype=np.float32)
        return total

    def with_layers(
        self, weights: Mapping[str, FloatArray], biases: Mapping[str, FloatArray]
    ) -> Chain:
        return replace(self, weights=weights, biases={**self.biases, **biases})


def _belongs(op_type: str, constant: str, layer: Layer) -> bool:
    """Whether a node is the bias or the ReLU of the layer before it."""
    is_bias = op_type == "Add" and layer.bias == constant
    return is_bias or (op_type == "Relu" and layer.followed_by_relu)


@lru_cache(maxsize=4)
def as_chain(network: Network) -> Chain:
    """The network as a chain.

    Raises
    ------
    ParetoscopeError
        The graph is not a chain of dense layers with ReLU between them; names the node.
    """
    steps: list[tuple[str, FloatArray]] = []
    halves = None
    model = network.model()
    layers = {layer.weight: layer for layer in network.layers}
    seen: list[str] = []
    for node in model.graph:
        constants = [v for v in node.inputs if v is not None and v.is_initializer()]
        known = constants[0].const_value if len(constants) == 1 else None
        name = "" if not constants else str(constants[0].name)
        if node.op_type == "MatMul" and name in layers:
            seen.append(name)
        elif node.op_type in _FEATURE_OPS and not seen and known is not None:
            steps.append((node.op_type, known.numpy()))
        elif node.op_type == "Mul" and known is not None and len(seen) == len(layers):
            halves = known.numpy()
        elif not (seen and _belongs(node.op_type, name, layers[seen[-1]])):
            raise ParetoscopeError(
                f"this works on chains of dense layers; {node.op_type} ({node.name}) is none"
            )
    widths = [int(w.shape[1]) for w in network.weights.values()]
    biases = {
        name: network.biases.get(name, np.zeros(width, np.float32))
        for name, width in zip(network.weights, widths, strict=True)
    }
    return Chain(network.weights, biases, tuple(steps), halves)
