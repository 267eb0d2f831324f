"""The article's two programs on iris: as printed, and with each mistake mended.

The article ("model compression and acceleration", sections 4.1 and 4.2) prunes and quantizes a
logistic regression on iris (test size 0.2, random state 42). As printed neither program runs; what
stops each, and what the mended programs give, is computed here.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.parameters import FloatArray
from paretoscope.methods.quantization import UniformGrid

Q_VALUES = (1, 2, 3, 5, 10, 20, 50, 100)
PRINTED_Q = 10
PRINTED_LIMIT = 0.01


@dataclass(frozen=True)
class Failure:
    """A printed line that fails: what it says, and the error that Python answers."""

    line: str
    error: str


@dataclass(frozen=True)
class Quantized:
    """The quantized model at one Q, on the test rows.

    `rescaled` divides the codes by Q again; `unscaled` leaves them as they are, beside an intercept
    on the old scale, as printed.
    """

    q: int
    rescaled: int
    unscaled: int


@dataclass(frozen=True)
class Textbook:
    """What came out. Counts are correct test rows out of `n`; those of `cut` with the 0, 1, ... 12
    smallest of the twelve weights set to zero."""

    n: int
    baseline: int
    cut: tuple[int, ...]
    failures: tuple[Failure, ...]
    quantized: tuple[Quantized, ...]
    pruned: int
    pruned_zeros: int
    l1_fit: int
    l1_zeros: int
    coefficients: list[list[float]]
    l1_coefficients: list[list[float]]
    feature_names: list[str]
    class_names: list[str]


def run() -> Textbook:
    """Run both programs, printed and mended."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    iris = load_iris()
    X_train, X_test, y_train, y_test = train_test_split(
        iris.data, iris.target, test_size=0.2, random_state=42
    )
    model = LogisticRegression().fit(X_train, y_train)
    l1 = LogisticRegression(l1_ratio=1.0, solver="saga", max_iter=10_000, random_state=0)
    l1.fit(X_train, y_train)
    mask = np.abs(model.coef_ - l1.coef_) > PRINTED_LIMIT

    def correct(coefficients: npt.NDArray[np.float64]) -> int:
        changed = copy.deepcopy(model)
        changed.coef_ = coefficients
        return int(np.count_nonzero(changed.predict(X_test) == y_test))

    def fit_liblinear() -> None:
        LogisticRegression(penalty="l1", solver="liblinear").fit(X_train, y_train)

    def predict_flattened() -> None:
        flattened = copy.deepcopy(model)
        flattened.coef_ = flattened.coef_[mask]
        flattened.predict(X_test)

    failures = (
        _failure("clf_l1 = LogisticRegression(penalty='l1', solver='liblinear')", fit_liblinear),
        _failure("clf_pruned = clf.copy()", lambda: model.copy()),
        _failure("clf_pruned.coef_ = clf_pruned.coef_[mask]", predict_flattened),
    )
    smallest = np.argsort(np.abs(model.coef_), axis=None)

    def without(count: int) -> npt.NDArray[np.float64]:
        changed: npt.NDArray[np.float64] = model.coef_.copy()
        changed.flat[smallest[:count]] = 0
        return changed

    return Textbook(
        n=len(y_test),
        baseline=correct(model.coef_),
        cut=tuple(correct(without(count)) for count in range(smallest.size + 1)),
        failures=failures,
        quantized=tuple(
            Quantized(q, correct(codes / q), correct(codes))
            for q in Q_VALUES
            for codes in [quantize(model.coef_, q).astype(np.float64)]
        ),
        pruned=correct(model.coef_ * mask),
        pruned_zeros=int(mask.size - np.count_nonzero(mask)),
        l1_fit=int(np.count_nonzero(l1.predict(X_test) == y_test)),
        l1_zeros=int(np.count_nonzero(l1.coef_ == 0)),
        coefficients=model.coef_.tolist(),
        l1_coefficients=l1.coef_.tolist(),
        feature_names=[str(name) for name in iris.feature_names],
        class_names=[str(name) for name in iris.target_names],
    )


def quantize(coefficients: npt.NDArray[np.float64], q: float) -> npt.NDArray[np.integer[Any]]:
    """The article's codes ``a = round(w * Q)``."""
    values: FloatArray = coefficients.astype(np.float32)
    return UniformGrid(q).project(values).values


def run_task(
    arguments: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """`run` as a job."""
    emit({"fraction": None, "text": "running the article's programs"})
    return asdict(run())


def from_dict(plain: Mapping[str, Any]) -> Textbook:
    return Textbook(
        **{
            **plain,
            "cut": tuple(plain["cut"]),
            "failures": tuple(Failure(**f) for f in plain["failures"]),
            "quantized": tuple(Quantized(**q) for q in plain["quantized"]),
        }
    )


def _failure(line: str, program: Callable[[], object]) -> Failure:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # penalty="l1" is deprecated: another matter
            program()
    except Exception as error:  # whatever the printed line raises is the finding
        return Failure(line, f"{type(error).__name__}: {error}")
    return Failure(line, "runs in this version of scikit-learn")
