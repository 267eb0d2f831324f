"""Runtimes: what loads an ONNX file and predicts. To add one, add a class and name it at the foot.

ONNX Runtime is the one that artifacts are made for, and scored with. The others are what people
have at hand without it; they run float arithmetic on the weights that a file's codes stand for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import BoolArray, FloatArray
from paretoscope.network.chain import Chain, Stage, as_chain
from paretoscope.network.folding import fold
from paretoscope.network.in_place import session_for
from paretoscope.network.network import Network
from paretoscope.sandbox.sessions import Timed

_CHUNK_ROWS = 1000

Product = Callable[[FloatArray], FloatArray]


class Runtime(ABC):
    """Loads the bytes of a model and predicts. `name` is how it is asked for."""

    name: ClassVar[str]
    title: ClassVar[str]
    dense_form: ClassVar[str]  # the runtime that an uncompressed model is fairly compared in

    @abstractmethod
    def __init__(self, onnx_bytes: bytes, threads: int | None = None) -> None: ...

    @abstractmethod
    def caller(self, X: FloatArray) -> Callable[[], Any]:
        """A function that predicts `X` with as little around it as can be."""


class OnnxRuntime(Runtime):
    """A session of ONNX Runtime on the CPU over the bytes of a model; in the sandbox, where the
    graph is one of strangers that was coded in place.

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

    name = "onnxruntime"
    title = "ONNX Runtime"
    dense_form = "onnxruntime"

    def __init__(self, onnx_bytes: bytes, threads: int | None = None) -> None:
        self._strange = session_for(onnx_bytes, threads)
        if self._strange is not None:
            return
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
        if self._strange is not None:
            session, signature = self._strange
            return signature.scores(session.outputs(X))
        chunks = [X[i : i + _CHUNK_ROWS] for i in range(0, len(X), _CHUNK_ROWS)] or [X]
        return np.concatenate([self.run(chunk) for chunk in chunks])

    @property
    def whole(self) -> BoolArray | None:
        """Of which features whole numbers are wanted; None where all may be any numbers."""
        return None if self._strange is None else self._strange[1].whole

    def run(self, X: FloatArray) -> FloatArray:
        """One call of the session, with all rows at once."""
        if self._strange is not None:
            return self.scores(X)
        result: FloatArray = self._session.run(self._outputs, {self._input: X})[0]
        return result

    def caller(self, X: FloatArray) -> Callable[[], Any]:
        if self._strange is not None:
            return Timed(self._strange[0], X)
        run, outputs, feed = self._session.run, self._outputs, {self._input: X}
        return lambda: run(outputs, feed)


class Numpy(Runtime):
    """Dense products in numpy, as one writes them by hand. Zeros are multiplied like the rest."""

    name = "numpy"
    title = "numpy"
    dense_form = "numpy"

    def __init__(self, onnx_bytes: bytes, threads: int | None = None) -> None:
        self._chain = _chain(onnx_bytes)
        self._layers: list[tuple[Stage, Product, FloatArray]] = [
            (stage, self._product(self._chain.weights[stage.name]), self._chain.biases[stage.name])
            for stage in self._chain.stages
        ]
        self._threads = threads

    def _product(self, weight: FloatArray) -> Product:
        return lambda rows: rows @ weight

    def scores(self, X: FloatArray) -> FloatArray:
        """Scores of shape (n, classes) for features of shape (n, d)."""
        h = self._chain.preparation(X)
        for stage, product, bias in self._layers:
            z = product(stage.rows(h)) + bias
            h = stage.steps(z, h.shape)[-1]
        return self._chain.scores(z)

    def caller(self, X: FloatArray) -> Callable[[], Any]:
        _limit_blas(self._threads)
        return lambda: self.scores(X)


class ScipyCsr(Numpy):
    """Sparse products by scipy's compressed rows: only weights that are not zero are multiplied."""

    name = "scipy-csr"
    title = "scipy CSR"

    def _product(self, weight: FloatArray) -> Product:
        from scipy.sparse import csr_array

        by_output = csr_array(np.ascontiguousarray(weight.T))
        return lambda rows: (by_output @ rows.T).T


class ScikitLearn(Runtime):
    """``predict`` of a scikit-learn pipeline with the weights of the file."""

    name = "scikit-learn"
    title = "scikit-learn"
    dense_form = "scikit-learn"

    def __init__(self, onnx_bytes: bytes, threads: int | None = None) -> None:
        numbers = Network(onnx_bytes).problem.targets != "classes"
        self._pipeline = _pipeline(_chain(onnx_bytes), numbers=numbers)
        self._threads = threads

    def predict(self, X: FloatArray) -> npt.NDArray[Any]:
        """What scikit-learn says of each row: its class, or its value."""
        return np.asarray(self._pipeline.predict(X))

    def caller(self, X: FloatArray) -> Callable[[], Any]:
        _limit_blas(self._threads)
        return lambda: self._pipeline.predict(X)


def find_runtime(name: str) -> type[Runtime]:
    """The runtime of a name.

    Raises
    ------
    ParetoscopeError
        There is none of this name.
    """
    for runtime in RUNTIMES:
        if runtime.name == name:
            return runtime
    raise one_of("runtime", name, [runtime.name for runtime in RUNTIMES])


def _chain(onnx_bytes: bytes) -> Chain:
    try:
        return as_chain(fold(Network(onnx_bytes)))
    except ParetoscopeError as error:
        raise ParetoscopeError(f"only ONNX Runtime runs this file: {error}") from None


def _limit_blas(threads: int | None) -> None:
    """Limit the whole process for good: the limit of a `with` block costs more than a call."""
    if threads is not None:
        from threadpoolctl import threadpool_limits

        threadpool_limits(threads)


def _pipeline(chain: Chain, *, numbers: bool) -> Any:
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    if any(stage.window is not None for stage in chain.stages):
        raise ParetoscopeError("scikit-learn has no convolutions; choose another runtime")
    weights = [chain.weights[stage.name] for stage in chain.stages]
    biases = [chain.biases[stage.name] for stage in chain.stages]
    if chain.factor is not None:  # scikit-learn has nothing behind the last layer
        weights[-1], biases[-1] = weights[-1] * chain.factor, biases[-1] * chain.factor
    if chain.center is not None:
        biases[-1] = biases[-1] + chain.center
    n_outputs = weights[-1].shape[1]
    n_classes = max(2, n_outputs)
    classes = np.arange(n_classes)
    some = np.zeros((n_classes, len(weights[0])), np.float32)
    estimator: Any
    hidden = [w.shape[1] for w in weights[:-1]]
    if numbers and len(weights) == 1:
        estimator = LinearRegression()
        estimator.coef_, estimator.intercept_ = weights[0].T.copy(), biases[0]
    elif numbers:
        estimator = MLPRegressor(hidden_layer_sizes=hidden)
        estimator.partial_fit(some, np.zeros((n_classes, n_outputs)[: min(2, n_outputs)]))
        estimator.coefs_, estimator.intercepts_ = weights, biases
    elif len(weights) == 1:
        estimator = LogisticRegression()
        estimator.coef_, estimator.intercept_ = weights[0].T.copy(), biases[0]
        estimator.classes_ = classes
    else:
        estimator = MLPClassifier(hidden).partial_fit(some, classes, classes=classes)
        estimator.coefs_, estimator.intercepts_ = weights, biases
    # The preparation is the file's own: one step, as StandardScaler is.
    scaler = FunctionTransformer(chain.preparation)
    return make_pipeline(scaler, estimator)


RUNTIMES: tuple[type[Runtime], ...] = (OnnxRuntime, ScikitLearn, Numpy, ScipyCsr)
