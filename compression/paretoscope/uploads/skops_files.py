"""scikit-learn's models from `.skops` files: read as data, without making any of their objects.

A file is a ZIP of arrays and one JSON that names types. Types that are not listed here are refused
wherever they stand; of the listed ones only numbers are taken, from which the network is built.
Neither skops nor scikit-learn nor a pickle has a part in that, so nothing a file says is called.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.base.wording import counted
from paretoscope.network.building import Dense, build
from paretoscope.network.network import Network
from paretoscope.problems.classification import Classification
from paretoscope.problems.problem import Problem
from paretoscope.problems.problems import names_of
from paretoscope.problems.regression import Regression
from paretoscope.uploads.gate import as_name, plain_label, shown
from paretoscope.uploads.kinds import require

_MOST_SCHEMA_BYTES = 5_000_000
_MOST_UNPACKED_BYTES = 200_000_000
_MOST_DEPTH = 30
_LINEAR = (
    "LogisticRegression", "LinearSVC", "RidgeClassifier", "SGDClassifier", "Perceptron",
    "PassiveAggressiveClassifier",
)  # fmt: skip
_LINEAR_REGRESSIONS = (
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV",
    "BayesianRidge", "ARDRegression", "Lars", "LassoLars", "OrthogonalMatchingPursuit",
    "HuberRegressor", "SGDRegressor", "LinearSVR", "PassiveAggressiveRegressor",
    "QuantileRegressor", "TheilSenRegressor",
)  # fmt: skip
_MLPS = ("MLPClassifier", "MLPRegressor")
_SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler")
_MODELS = ("Pipeline", *_MLPS, *_LINEAR, *_LINEAR_REGRESSIONS, *_SCALERS)
# What fitted models carry beside their numbers: looked through, then ignored.
_BESIDE = {
    "builtins": ("dict", "list", "tuple", "str", "set", "slice"),
    "numpy": (
        "ndarray", "dtype", "bool_", "bool", "int32", "int64", "float32", "float64", "str_",
    ),
    "collections": ("OrderedDict", "defaultdict"),
    "sklearn": (
        "LabelBinarizer", "AdamOptimizer", "SGDOptimizer",
        "Hinge", "SquaredHinge", "ModifiedHuber", "EpsilonInsensitive",
        "SquaredEpsilonInsensitive", "CyHalfBinomialLoss", "CyHalfSquaredError", "CyHuberLoss",
        "Log", "SquaredLoss", "Huber",  # of scikit-learn before 1.6
    ),
}  # fmt: skip


def check_skops(data: bytes) -> str:
    """What a `.skops` file holds, in one line.

    Raises
    ------
    ParetoscopeError
        It is refused.
    """
    network, classes = read_skops(data)
    layers = ", ".join(f"{w.shape[0]:,} × {w.shape[1]:,}" for w in network.weights.values())
    told = f"{len(classes)} classes ({', '.join(map(shown, classes[:8]))})"
    if not classes:
        told = f"a regression of {counted(network.n_scores, 'number')}"
    return (
        f"a scikit-learn model in .skops: {counted(network.n_features, 'feature')}, layers "
        f"{layers}, {told}"
    )


def read_skops(
    data: bytes, order: Sequence[str] = (), names: Sequence[str] = ()
) -> tuple[Network, tuple[str, ...]]:
    """The network of a file, and the names of its classes; of a regression there are none.

    Parameters
    ----------
    data : bytes
    order : sequence of str, optional
        Names of the same classes in the order the scores are to have. Classes that are numbered
        from 0 and have none of these names are taken for their places.
    names : sequence of str, optional
        Other names for the file's classes, in its order.

    Raises
    ------
    ParetoscopeError
        The only error there is, whatever the bytes.
    """
    require(data, ("zip",), "an ONNX model or a .skops file")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _network(_File(archive), tuple(order), tuple(names))
    except ParetoscopeError:
        raise
    except zipfile.BadZipFile:
        raise ParetoscopeError("the .skops file is damaged: its ZIP archive is cut short") from None
    except Exception as error:  # what nobody thought of is no reason to let it in
        raise ParetoscopeError(
            f"the .skops file cannot be read ({type(error).__name__})"
        ) from error


class _File:
    """The schema, checked throughout, and the arrays it names."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        sizes = {i.filename: i.file_size for i in archive.infolist()}
        if "schema.json" not in sizes:
            raise ParetoscopeError("this ZIP is no .skops file: it has no schema.json")
        if sizes["schema.json"] > _MOST_SCHEMA_BYTES:
            raise ParetoscopeError(
                f"its schema.json unpacks to {sizes['schema.json'] / 1e6:.0f} MB; at most "
                f"{_MOST_SCHEMA_BYTES / 1e6:.0f} MB are taken"
            )
        if sum(sizes.values()) > _MOST_UNPACKED_BYTES:
            raise ParetoscopeError(f"it unpacks to {sum(sizes.values()) / 1e6:.0f} MB")
        self._archive = archive
        self._n_read = 0
        try:
            self.root = json.loads(self._read("schema.json", _MOST_SCHEMA_BYTES))
        except RecursionError:
            raise ParetoscopeError("its schema.json nests too deeply") from None
        except ValueError:
            raise ParetoscopeError("its schema.json is no JSON") from None
        _require_known(self.root, 0)

    def _read(self, name: str, most: int) -> bytes:
        with self._archive.open(name) as file:  # what the directory says of sizes can be untrue
            found = file.read(most + 1)
        if len(found) > most:
            raise ParetoscopeError(f"its {shown(name)} is larger than its directory says")
        return found

    def array(self, node: Any) -> npt.NDArray[Any]:
        """The array of a node, of numbers or of text."""
        if not isinstance(node, dict) or "file" not in node:
            raise ParetoscopeError("a number of the model is not an array")
        held = self._read(str(node["file"]), _MOST_UNPACKED_BYTES)
        self._n_read += len(held)
        if self._n_read > _MOST_UNPACKED_BYTES:  # one array may be named again and again
            raise ParetoscopeError(
                f"its arrays have more than {_MOST_UNPACKED_BYTES / 1e6:.0f} MB together"
            )
        try:
            found: npt.NDArray[Any] = np.load(io.BytesIO(held), allow_pickle=False)
        except ValueError:
            raise ParetoscopeError("an array of the model is damaged, or holds objects") from None
        return found

    def numbers(self, node: Any) -> FloatArray:
        found = self.array(node)
        if found.dtype.kind not in "fiu" or not np.isfinite(found).all():
            raise ParetoscopeError("an array of the model holds other than finite numbers")
        return found.astype(np.float32)


def _require_known(node: Any, depth: int) -> None:
    """That no type stands anywhere in the schema that is not listed."""
    if depth > 3 * _MOST_DEPTH:
        raise ParetoscopeError("its schema.json nests too deeply")
    if isinstance(node, list):
        for part in node:
            _require_known(part, depth + 1)
    if not isinstance(node, dict):
        return
    for part in node.values():  # first, so that what is deepest is named
        _require_known(part, depth + 1)
    if "__class__" in node:
        _require_type(str(node.get("__module__")), str(node["__class__"]), node)


def _require_type(module: str, name: str, node: Mapping[str, Any]) -> None:
    package = module.split(".")[0]
    if module.startswith("numpy.random") and name in ("RandomState", "mtrand"):
        _require_sane_random_state(node)
        return
    if package == "sklearn" and name in _MODELS:
        return
    if name not in _BESIDE.get(package, ()):
        raise ParetoscopeError(
            f"the file asks for {shown(module)}.{shown(name)}, which is not allowed; export models "
            "that are not linear or MLPs to ONNX"
        )


def _require_sane_random_state(node: Mapping[str, Any]) -> None:
    found = node.get("content", {}).get("content", {})
    place = found.get("pos", found.get("state", {}).get("content", {}).get("pos", {}))
    try:
        sane = 0 <= int(json.loads(place["content"])) <= 624
    except (KeyError, TypeError, ValueError):
        sane = False
    if not sane:
        raise ParetoscopeError("a random state of the model is invalid")


def _attributes(node: Any) -> Mapping[str, Any]:
    found = node.get("content", {}).get("content", {}) if isinstance(node, dict) else {}
    if not isinstance(found, dict):
        raise ParetoscopeError("a part of the model has no attributes")
    return found


def _value(node: Any) -> Any:
    """A text, number or truth value."""
    return json.loads(node["content"]) if isinstance(node, dict) and node.get("is_json") else None


def _items(node: Any) -> list[Any]:
    found = node.get("content", []) if isinstance(node, dict) else []
    return found if isinstance(found, list) else []


def _network(
    file: _File, order: tuple[str, ...], names: tuple[str, ...]
) -> tuple[Network, tuple[str, ...]]:
    steps = [file.root]
    if file.root.get("__class__") == "Pipeline":
        steps = [_items(step)[1] for step in _items(_attributes(file.root).get("steps"))]
    if not steps:
        raise ParetoscopeError("the pipeline has no steps")
    *scalers, model = steps
    layers, classes = _layers(file, model)
    if not classes:
        order = names = ()
    if names and len(names) != len(classes):
        raise ParetoscopeError(f"{len(names)} classes are named, the model has {len(classes)}")
    classes = names or classes
    if order:
        layers[-1] = _in_order(layers[-1], tuple(map(as_name, classes)), order)
        classes = order
    n_features = layers[0].weight.shape[0]
    center, factor = np.zeros(n_features, np.float32), np.ones(n_features, np.float32)
    for scaler in scalers:  # each is x -> (x - c) * f, and so is their chain
        with np.errstate(divide="ignore", invalid="ignore"):
            own_center, own_factor = _scaling(file, scaler, n_features)
        center = center + own_center / factor
        factor = factor * own_factor
    problem: Problem = Classification(classes) if classes else _regression(layers)
    metadata = {"dataset": "", "model": "skops", "seed": "0", **names_of(problem)}
    return build(layers, center, factor, metadata), classes


def _regression(layers: Sequence[Dense]) -> Regression:
    n = layers[-1].weight.shape[1]
    return Regression(tuple(f"target {k + 1}" for k in range(n)) if n > 1 else ("target",))


def _in_order(layer: Dense, classes: tuple[str, ...], order: tuple[str, ...]) -> Dense:
    """The last layer with its scores in another order of the classes."""
    if not set(classes) & set(order) and classes == tuple(map(str, range(len(order)))):
        return layer
    if set(classes) != set(order) or len(classes) != len(order):
        raise ParetoscopeError(
            f"the model's classes ({', '.join(map(shown, classes[:5]))}) are not those of the data "
            f"({', '.join(map(shown, order[:5]))})"
        )
    if layer.weight.shape[1] == 1:  # log-odds of the second of two classes
        sign = np.float32(1 if classes == order else -1)
        return Dense(layer.weight * sign, layer.bias * sign)
    places = [classes.index(name) for name in order]
    return Dense(layer.weight[:, places], layer.bias[places])


def _scaling(file: _File, node: Any, n_features: int) -> tuple[FloatArray, FloatArray]:
    """Center and factor of ``(x - center) * factor``."""
    name, found = node.get("__class__"), _attributes(node)
    zeros, ones = np.zeros(n_features, np.float32), np.ones(n_features, np.float32)
    if name == "StandardScaler":
        center = file.numbers(found["mean_"]) if _value(found.get("with_mean")) else zeros
        factor = 1 / file.numbers(found["scale_"]) if _value(found.get("with_std")) else ones
    elif name == "MinMaxScaler":
        factor = file.numbers(found["scale_"])
        center = -file.numbers(found["min_"]) / factor
    elif name == "MaxAbsScaler":
        center, factor = zeros, 1 / file.numbers(found["scale_"])
    else:
        raise ParetoscopeError(
            f"a pipeline may hold scalers before the model; got {shown(str(name))}"
        )
    if not (np.isfinite(center).all() and np.isfinite(factor).all()):
        raise ParetoscopeError("a scaler divides by 0")
    if center.shape != (n_features,) or factor.shape != (n_features,):
        raise ParetoscopeError("a scaler takes another number of features than the model")
    return center.astype(np.float32), factor.astype(np.float32)


def _layers(file: _File, node: Any) -> tuple[list[Dense], tuple[str, ...]]:
    name, found = node.get("__class__"), _attributes(node)
    if name in _MLPS:
        if _value(found.get("activation")) != "relu":
            raise ParetoscopeError("only MLPs with ReLU are supported")
        weights = [file.numbers(w) for w in _items(found.get("coefs_"))]
        biases = [file.numbers(b) for b in _items(found.get("intercepts_"))]
    elif name in (*_LINEAR, *_LINEAR_REGRESSIONS):
        coef = np.atleast_2d(file.numbers(found["coef_"]))
        kept = found["intercept_"]
        bias = file.numbers(kept) if "file" in kept else np.full(1, _value(kept) or 0.0)
        weights = [coef.T]
        biases = [np.broadcast_to(bias, (len(coef),)).astype(np.float32)]
    else:
        raise ParetoscopeError(f"{shown(str(name))} is not supported; linear models and MLPs are")
    if not weights or len(weights) != len(biases):
        raise ParetoscopeError("the model has no weights, or not as many biases: was it fitted?")
    for w, b, following in zip(weights, biases, [*weights[1:], None], strict=True):
        fits = following is None or w.shape[1] == following.shape[0]
        if w.ndim != 2 or b.shape != (w.shape[1],) or not fits:
            raise ParetoscopeError("the shapes of the model's weights do not fit together")
    if name in ("MLPRegressor", *_LINEAR_REGRESSIONS):
        if _value(found.get("out_activation_")) not in (None, "identity"):
            raise ParetoscopeError("only regressions without an activation at their end are taken")
        return [Dense(w, b) for w, b in zip(weights, biases, strict=True)], ()
    classes = tuple(plain_label(str(c)) for c in file.array(found["classes_"]).ravel().tolist())
    if len(classes) != max(2, weights[-1].shape[1]):
        raise ParetoscopeError("the model's classes are not as many as its scores")
    return [Dense(w, b) for w, b in zip(weights, biases, strict=True)], classes
