"""One session of ONNX Runtime whose weights are inputs: many variants of a network, loaded once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from paretoscope.network import Network, as_filters, serialize
from paretoscope.parameters import FloatArray
from paretoscope.runtimes import OnnxRuntime

_CHUNK_ROWS = 1000


class FedNetwork:
    """A network that is given its weights with each call.

    Parameters
    ----------
    network : Network
        Of any graph that the runtime runs.
    threads : int
        Threads within an operator.
    """

    def __init__(self, network: Network, threads: int = 1) -> None:
        model = network.model()
        graph = model.graph
        self._kernels: dict[str, tuple[int, ...]] = {}
        for layer in network.layers:
            value = graph.initializers[layer.weight]
            assert value.const_value is not None
            shape = tuple(value.const_value.shape.numpy())
            self._kernels[layer.weight] = shape[2:]
            value.const_value, value.shape = None, ir.Shape(shape)
            value.type = ir.TensorType(ir.DataType.FLOAT)
            del graph.initializers[layer.weight]
            graph.inputs.append(value)
        self._input = network.input_name
        self._runtime = OnnxRuntime(serialize(model), threads)

    def labels(self, X: FloatArray, weights: Mapping[str, FloatArray]) -> npt.NDArray[np.int64]:
        """The class of each row of X, with `weights` (in, out) by layer in place of its own."""
        fed = {
            name: np.ascontiguousarray(as_filters(weight, self._kernels[name]))
            for name, weight in weights.items()
        }
        found = [
            self._runtime.fed(fed | {self._input: X[i : i + _CHUNK_ROWS]}).argmax(1)
            for i in range(0, len(X), _CHUNK_ROWS)
        ]
        labels: npt.NDArray[np.int64] = np.concatenate(found)
        return labels
