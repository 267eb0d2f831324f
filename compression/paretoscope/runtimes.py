"""Runtimes: what loads an ONNX file and predicts. ONNX Runtime on the CPU is the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from paretoscope.errors import ParetoscopeError
from paretoscope.parameters import FloatArray

_CHUNK_ROWS = 1000


class OnnxRuntime:
    """A session of ONNX Runtime on the CPU over the bytes of a model.

    Parameters
    ----------
    onnx_bytes : bytes
        The model.
    threads : int, optional
        Threads within an operator; by default as many as ONNX Runtime takes.

    Raises
    ------
    ParetoscopeError
        ONNX Runtime does not load the model.
    """

    def __init__(self, onnx_bytes: bytes, threads: int | None = None) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = threads
        try:
            self._session = ort.InferenceSession(
                onnx_bytes, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions share no base class but Exception
            raise ParetoscopeError(f"ONNX Runtime cannot load the model: {error}") from error
        self._input = self._session.get_inputs()[0].name
        self._outputs = [self._session.get_outputs()[0].name]

    def scores(self, X: FloatArray) -> FloatArray:
        """Scores of shape (n, classes) for features of shape (n, d)."""
        chunks = [X[i : i + _CHUNK_ROWS] for i in range(0, len(X), _CHUNK_ROWS)] or [X]
        return np.concatenate([self.run(chunk) for chunk in chunks])

    def run(self, X: FloatArray) -> FloatArray:
        """One call of the session, with all rows at once."""
        result: FloatArray = self._session.run(self._outputs, {self._input: X})[0]
        return result

    def caller(self, X: FloatArray) -> Callable[[], Any]:
        """A function that runs the session on `X` with as little around it as can be."""
        run, outputs, feed = self._session.run, self._outputs, {self._input: X}
        return lambda: run(outputs, feed)
