"""Activations: whether the numbers between the layers stay floats or become whole numbers too."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paretoscope.base.parameters import Choice, FloatArray, Member, Number, parameter
from paretoscope.data.rows import Rows
from paretoscope.methods.quantization import Codes
from paretoscope.network.network import Network, as_columns

_BATCH = 100


@dataclass(frozen=True)
class Activations(Member):
    """How the numbers between the layers are held."""


@dataclass(frozen=True)
class FloatActivations(Activations):
    """Floats of 32 bits: only weights are stored in fewer."""

    name = "floats"
    title = "Floats"


@dataclass(frozen=True)
class Int8Activations(Activations):
    """Weights and activations of 8 bits, by ONNX Runtime's static quantizer in its QDQ format.

    Activations are mapped to 0 to 255 over the range that training rows give them, weights to -127
    to 127 with a scale for each output. It brings its own weights, so layers are not quantized
    otherwise. On small layers it is slower than float32.

    Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference" (arXiv 1712.05877).
    """

    name = "int8"
    title = "8-bit integers"

    rows: float = parameter(
        Number(1, 1_000_000, whole=True),
        default=1000,
        label="Calibration rows",
        help="How many training rows find the range of the activations, without their labels.",
    )
    method: str = parameter(
        Choice(("minmax", "entropy", "percentile")),
        default="minmax",
        label="Range of activations",
        help="minmax: all that was seen. entropy, percentile: rare extremes are clipped.",
    )

    def quantize(self, onnx_bytes: bytes, rows: Rows, network: Network) -> bytes:
        """The file with 8-bit weights and activations.

        Parameters
        ----------
        onnx_bytes : bytes
            A file of the network with float weights.
        rows : Rows
            Training rows; the first `self.rows` of them are used.
        network : Network
            For the names of its input and layers.
        """
        import onnx
        from onnxruntime import quantization as ort

        methods = {
            "minmax": ort.CalibrationMethod.MinMax,
            "entropy": ort.CalibrationMethod.Entropy,
            "percentile": ort.CalibrationMethod.Percentile,
        }
        with tempfile.TemporaryDirectory() as folder, _quiet():
            path = Path(folder) / "model.onnx"
            ort.quantize_static(
                onnx.load_model_from_string(onnx_bytes),
                path,
                _reader(network.input_name, rows.X[: int(self.rows)]),
                quant_format=ort.QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "MatMul"],
                per_channel=True,
                activation_type=ort.QuantType.QUInt8,
                weight_type=ort.QuantType.QInt8,
                calibrate_method=methods[self.method],
            )
            return path.read_bytes()


def codes_in(onnx_bytes: bytes, network: Network) -> dict[str, Codes]:
    """The 8-bit weights of a file that `Int8Activations.quantize` made, by layer."""
    import onnx

    model = onnx.load_model_from_string(onnx_bytes)
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    found = {}
    for name in network.weights:
        values = as_columns(arrays[f"{name}_quantized"])
        scale: FloatArray = np.atleast_1d(arrays[f"{name}_scale"]).astype(np.float32)
        found[name] = Codes(values, scale, "int8")
    return found


def _reader(name: str, X: FloatArray) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands rows out in batches, as the quantizer asks for them."""

        def __init__(self) -> None:
            self.batches: Iterator[Mapping[str, FloatArray]] = (
                {name: X[i : i + _BATCH]} for i in range(0, len(X), _BATCH)
            )

        def get_next(self) -> Mapping[str, FloatArray] | None:
            return next(self.batches, None)

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back the quantizer's advice, which goes to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


ACTIVATIONS: tuple[type[Activations], ...] = (FloatActivations, Int8Activations)
