"""Training with scikit-learn, and the step from what was fitted to a `Network`.

Training fits the train rows alone: neither validation nor test rows are looked at. To add a model,
add a `Model` at the foot of this file.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import FloatArray
from paretoscope.base.store import SHORT_SHA, Store, default_store
from paretoscope.data.dataset import Dataset, Report, check_seed, find_source, load_dataset
from paretoscope.data.own_data import public_name
from paretoscope.network.building import Convolution, Dense, TargetScale, build
from paretoscope.network.in_place import InPlace, read_network
from paretoscope.network.network import Network
from paretoscope.network.outline import Outline, outlined
from paretoscope.problems.problems import names_of
from paretoscope.training.shipped import find as find_shipped

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_OWN = "own-model-"
_OWN_DIGITS = 32  # of the network's hash: what nobody guesses
_FORMAT = 4  # raise it when trained networks change, so that kept ones are trained again
_OWN_FORMAT = 2  # of networks that were brought, which cannot be trained again
_TINY = 1e-30
_LARGE_ROWS = 5_000
_LARGE_EPOCHS = 12
_SMALL_UPDATES = 2_500
_LARGE_ALPHA, _SMALL_ALPHA = 1e-4, 1.0  # the penalty of regressors

Kind = Literal["logistic", "svm", "linear", "ridge", "mlp", "shipped"]
Layers = Sequence[Dense | Convolution]


@dataclass(frozen=True)
class Model:
    """A model. `hidden` are the widths of an MLP's hidden layers; one that is "shipped" comes as a
    file, for `datasets` alone."""

    name: str
    title: str
    kind: Kind
    hidden: tuple[int, ...] = ()
    n_pixels: int | None = None  # for images of this many pixels; None: for any rows
    datasets: tuple[str, ...] | None = None  # None: for any
    learns: tuple[str, ...] = ("classes",)  # which targets of problems


def models(data: Dataset | str) -> list[str]:
    """The names of the models that fit a dataset, which may be given by its name."""
    source = find_source(data) if isinstance(data, str) else data
    shape = source.image_shape
    n_pixels = None if shape is None else math.prod(shape)
    return [
        m.name
        for m in MODELS
        if m.n_pixels in (None, n_pixels)
        and (m.datasets is None or source.name in m.datasets)
        and source.problem.targets in m.learns
    ]


def fits(name: str, data: Dataset | str) -> bool:
    """Whether a model can be looked at on a dataset: one of its `models`, or an own one kept."""
    if name.startswith(_OWN):
        return own_model(name, data if isinstance(data, str) else data.name) is not None
    return name in models(data)


def keep_own_model(network: Network, title: str, data: Dataset) -> str:
    """Keep an uploaded network for a dataset; returns the name that `train` takes.

    The name is made of the network's hash: no list holds it.
    """
    name = f"{_OWN}{network.sha256[:_OWN_DIGITS]}"
    default_store().keep(_own_key(name, data.name), json.dumps({"title": title}).encode())
    keep(network, name, data, 0)
    return name


def own_model(name: str, dataset: str) -> Model | None:
    """What was uploaded under a name for a dataset, or None."""
    kept = default_store().find(_own_key(name, dataset))
    return None if kept is None else Model(name, str(json.loads(kept)["title"]), "shipped")


def _own_key(name: str, dataset: str) -> str:
    return f"own model {name} for {dataset}"


def find_model(name: str, data: Dataset) -> Model:
    if name.startswith(_OWN):
        found = own_model(name, data.name)
        if found is None:
            raise ParetoscopeError(
                "this own model is not, or no longer, on this machine: upload the file again"
            )
        return found
    allowed = models(data)
    if name not in allowed:
        raise one_of(f"model for {data.name}", name, allowed)
    return next(m for m in MODELS if m.name == name)


def train(
    model: str,
    data: Dataset,
    seed: int = 0,
    *,
    report: Report | None = None,
    store: Store | None = None,
) -> Network:
    """A trained network: the kept one where there is one, else trained now and kept.

    Parameters
    ----------
    model : str
        One of ``models(data)``.
    data : Dataset
    seed : int, default 0
        Seed of the first weights and of the order of the rows.
    report : callable, optional
        ``report(fraction, text)`` is told how far the training is; the fraction is None where the
        solver does not say.
    store : Store, optional
        Where networks are kept; by default in the folder that `paretoscope.base.store.home` names.

    Raises
    ------
    ParetoscopeError
        A model that does not fit the dataset, a seed that is not a whole number from 0 on, or a
        convolutional network that neither ships nor was trained here.

    Examples
    --------
    >>> network = train("logistic-regression", load_dataset("iris"))
    >>> {name: w.shape for name, w in network.weights.items()}
    {'dense1': (4, 3)}
    """
    store = store or default_store()
    network = find_trained(model, data, seed, store=store)
    if network is None:
        found = find_model(model, data)
        if model.startswith(_OWN):
            raise ParetoscopeError("an uploaded model was trained elsewhere: it has no other seeds")
        if found.kind == "shipped":
            raise ParetoscopeError(
                f"{model} ships with seed 0 for the split with seed 0; got seed {seed}, split seed "
                f"{data.seed}: train it with python -m paretoscope.training.train_cnn {data.name}"
            )
        pipeline = fit(found, data, seed, report or (lambda fraction, text: None))
        network = to_network(pipeline, data, model, seed)
        keep(network, model, data, seed, store=store)
    return network


def keep(
    network: Network, model: str, data: Dataset, seed: int, *, store: Store | None = None
) -> None:
    """Keep a network where `train` finds it."""
    store = store or default_store()
    store.keep(_key(model, data, seed), network.onnx_bytes)
    outline = outlined(network) if isinstance(network, InPlace) else None
    if outline is not None:
        store.keep(_outline_key(model, data, seed), outline)


def find_outline(model: str, data: Dataset, seed: int = 0) -> Network | None:
    """The outline of a large graph that was kept, for pages; None where there is none."""
    store = default_store()
    packed = store.find(_outline_key(model, data, seed))
    if packed is None or store.path(_key(model, data, seed)) is None:
        return None

    def read() -> bytes:
        kept = store.find(_key(model, data, seed))
        if kept is None:
            raise ParetoscopeError(
                "this own model is not, or no longer, on this machine: upload the file again"
            )
        return kept

    return Outline(packed, read)


def find_trained(
    model: str, data: Dataset, seed: int = 0, *, store: Store | None = None
) -> Network | None:
    """The network that `train` kept or that ships, or None. Never imports scikit-learn."""
    found = find_model(model, data)
    check_seed("seed", seed)
    kept = (store or default_store()).find(_key(model, data, seed))
    if kept is None and seed == data.seed == 0:
        kept = find_shipped(data.name, found.name)
    return None if kept is None else read_network(kept)


def train_task(
    arguments: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """`train` as a job: ``{"dataset", "model", "seed", "split_seed"}`` -> ``{"sha256"}``."""
    emit({"fraction": None, "text": f"reading {arguments['dataset']}"})
    data = load_dataset(arguments["dataset"], arguments["split_seed"])
    network = train(
        arguments["model"],
        data,
        arguments["seed"],
        report=lambda fraction, text: emit({"fraction": fraction, "text": text}),
    )
    return {"sha256": network.sha256}


def fit(model: Model, data: Dataset, seed: int, report: Report) -> Pipeline:
    """The fitted scikit-learn pipeline, scaler first."""
    report(None, "starting scikit-learn")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    from sklearn.svm import LinearSVC

    if data.largest is None:
        scaler: Any = StandardScaler()
    else:
        scaler = FunctionTransformer(partial(np.multiply, np.float32(1 / data.largest)))
    X, y = scaler.fit_transform(data.train.X), data.train.y
    numbers = data.problem.targets == "numbers"
    if numbers:
        scale = _target_scale(data)
        y = (y - scale.center.astype(np.float64)) / scale.factor.astype(np.float64)
    report(None, f"fitting {len(X):,} rows")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        large = len(X) > _LARGE_ROWS
        if model.kind == "mlp":
            rate = 1e-3 if large else 2e-3
            batch = min(len(X), 128 if large else 64)
            kind = MLPRegressor if numbers else MLPClassifier
            estimator = kind(
                hidden_layer_sizes=model.hidden,
                batch_size=batch,
                learning_rate_init=rate,
                random_state=seed,
            )
            if numbers:
                # Without, 2,500 updates on 264 patients end 40 % worse than a line.
                estimator.set_params(alpha=_LARGE_ALPHA if large else _SMALL_ALPHA)
                y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
            n_epochs = _n_epochs(len(X), batch, quick=large and not numbers)
            _fit_by_epochs(estimator, X, y, n_epochs, report)
        elif model.kind == "logistic":
            estimator = LogisticRegression(max_iter=200, tol=1e-3, random_state=seed).fit(X, y)
        elif model.kind == "linear":
            estimator = LinearRegression().fit(X, y)
        elif model.kind == "ridge":
            estimator = Ridge(alpha=1.0).fit(X, y)
        else:
            c = 0.01 if large else 1.0
            estimator = LinearSVC(C=c, tol=1e-2, max_iter=100, random_state=seed).fit(X, y)
    return make_pipeline(scaler, estimator)


def _n_epochs(n_rows: int, batch: int, *, quick: bool) -> int:
    if quick:
        return _LARGE_EPOCHS
    return math.ceil(_SMALL_UPDATES / math.ceil(n_rows / batch))


def _fit_by_epochs(estimator: Any, X: FloatArray, y: Any, n_epochs: int, report: Report) -> None:
    classes = {"classes": np.unique(y)} if hasattr(estimator, "predict_proba") else {}
    for epoch in range(1, n_epochs + 1):
        estimator.partial_fit(X, y, **classes)
        report(epoch / n_epochs, f"epoch {epoch} of {n_epochs}")


def to_network(pipeline: Pipeline, data: Dataset, model: str, seed: int) -> Network:
    """The ONNX network of a fitted pipeline, with what it was trained on in its metadata."""
    estimator = pipeline[-1]
    if hasattr(estimator, "coefs_"):
        pairs = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    else:
        pairs = [(np.atleast_2d(estimator.coef_).T, np.atleast_1d(estimator.intercept_))]
    layers = [Dense(_without_tiny(_float32(w)), _float32(b)) for w, b in pairs]
    if data.largest is None:
        center, factor = _float32(pipeline[0].mean_), _float32(1 / pipeline[0].scale_)
        return network_of(layers, data, model, seed, center, factor)
    return network_of(layers, data, model, seed)


def network_of(
    layers: Layers,
    data: Dataset,
    model: str,
    seed: int,
    center: FloatArray | None = None,
    factor: FloatArray | None = None,
) -> Network:
    """The network of fitted layers; images are divided by the value of a full pixel."""
    if factor is None:
        factor = _float32(1 / (data.largest or 1))
    image_shape = data.image_shape if isinstance(layers[0], Convolution) else None
    metadata = {
        "dataset": public_name(data.name),
        "model": model,
        "seed": str(seed),
        "split_seed": str(data.seed),
        "dataset_sha256": data.sha256[:SHORT_SHA],
        **names_of(data.problem),
    }
    targets = _target_scale(data) if data.problem.targets == "numbers" else None
    return build(layers, center, factor, metadata, image_shape, targets)


def _target_scale(data: Dataset) -> TargetScale:
    """Numbers are learned in standard deviations from their mean, so that weights of the last layer
    are like those of others."""
    y = data.train.y.reshape(len(data.train), -1)
    deviation = y.std(0)
    return TargetScale(_float32(np.where(deviation > 0, deviation, 1)), _float32(y.mean(0)))


def _without_tiny(weight: FloatArray) -> FloatArray:
    """Weights that decayed to nothing as zero, for their products leave the range of normal floats.

    Processors compute with those many times slower: 1,400 of LeNet-300-100's 266,200 weights, those
    of pixels that are always black, made the float32 file take 1.3 to 2.1 times as long on a Xeon.
    """
    return np.where(np.abs(weight) < _TINY, np.float32(0), weight)


def _float32(values: Any) -> FloatArray:
    return np.asarray(values, dtype=np.float32)


def _outline_key(model: str, data: Dataset, seed: int) -> str:
    return f"outline of {_key(model, data, seed)}"


def _key(model: str, data: Dataset, seed: int) -> str:
    written = _OWN_FORMAT if model.startswith(_OWN) else _FORMAT
    return f"network {model} seed {seed} on {data.sha256} format {written}"


MODELS: tuple[Model, ...] = (
    Model("logistic-regression", "Logistic regression", "logistic"),
    Model("linear-svm", "Linear SVM", "svm"),
    Model("linear-regression", "Linear regression", "linear", learns=("numbers",)),
    Model("ridge", "Ridge regression", "ridge", learns=("numbers",)),
    Model("mlp-32", "MLP 32", "mlp", (32,), learns=("classes", "numbers")),
    Model("mlp-64-32", "MLP 64-32", "mlp", (64, 32), learns=("classes", "numbers")),
    Model("cnn", "CNN", "shipped", datasets=("digits", "fashion-mnist")),
    Model("lenet-300-100", "LeNet-300-100", "mlp", (300, 100), n_pixels=784),
)
