"""Datasets: rows with their targets, split once into train, validation and test.

To add one, write a function ``() -> Raw`` and add a `Source` at the foot of this file.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import math
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import FloatArray
from paretoscope.base.store import default_store, home, write_atomically
from paretoscope.data.idx import idx_bytes, read_idx
from paretoscope.data.own_data import is_own, own_source
from paretoscope.data.rows import MappedRows, Raw, Rows, Source, key_of, packed, unpacked, unscaled
from paretoscope.problems.problem import Problem
from paretoscope.problems.problems import names_of
from paretoscope.problems.regression import Regression
from paretoscope.problems.score import Labels

SplitName = Literal["train", "validation", "test"]
Report = Callable[[float | None, str], None]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
OPEN = "open"  # all rows but those of the test, for networks that were not trained on any of them
IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_DEBIAN = Path("/usr/share/datasets")
_VALIDATION_SHARE = _TEST_SHARE = 0.2
_MOST_OPEN = 10_000


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset with its split. `train`, `validation` and `test` are disjoint and stratified.

    Attributes
    ----------
    name, title : str
        How it is asked for, and how it is shown.
    raw : Raw
        All rows, as they came.
    seed : int
        The seed of the split.
    image_shape : (channels, height, width) or None
        How one row is drawn, for datasets of images.
    largest : float or None
        For images, the value of a full pixel; models divide by it.
    """

    name: str
    title: str
    raw: Raw
    seed: int
    image_shape: tuple[int, int, int] | None = None
    largest: float | None = None

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self.raw.feature_names

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.raw.class_names

    @cached_property
    def problem(self) -> Problem:
        """What is predicted, and how a prediction is judged."""
        return self.raw.problem

    @cached_property
    def train(self) -> Rows:
        return self._rows("train")

    @cached_property
    def validation(self) -> Rows:
        return self._rows("validation")

    @cached_property
    def test(self) -> Rows:
        return self._rows("test")

    @cached_property
    def open(self) -> Rows:
        """The validation rows, then train rows, at most 10,000 in all."""
        chosen = np.concatenate([self._indices["validation"], self._indices["train"]])
        return self._of(chosen[: max(_MOST_OPEN, len(self._indices["validation"]))])

    def rows(self, split: str) -> Rows:
        """The rows of one split, by its name: train, validation, test or open."""
        if split not in (*SPLITS, OPEN):
            raise one_of("split", split, list(SPLITS))
        rows: Rows = getattr(self, split)
        return rows

    def picture(self, row: FloatArray) -> npt.NDArray[np.uint8] | None:
        """A row as bytes of shape (height, width, channels); None where rows are no pictures."""
        if self.raw.scaling is not None:
            return self.raw.scaling.picture(row)
        if self.image_shape is None:
            return None
        pixels = row.reshape(self.image_shape).transpose(1, 2, 0)
        found: npt.NDArray[np.uint8] = np.clip(255 * pixels / (self.largest or 1), 0, 255).astype(
            np.uint8
        )
        return found

    @cached_property
    def sha256(self) -> str:
        """Of features, targets, split and problem: what a trained network depends on."""
        digest = hashlib.sha256(f"{self.seed} {self.raw.X.dtype} {self.raw.X.shape}".encode())
        if self.raw.parts and is_own(self.name):  # named after its content, which may be large
            digest.update(self.name.encode())
        else:
            digest.update(np.ascontiguousarray(self.raw.X).data)
        digest.update(np.ascontiguousarray(self.raw.y).data)
        if self.raw.stated is not None:
            digest.update(json.dumps(names_of(self.raw.stated)).encode())
        return digest.hexdigest()

    @cached_property
    def _indices(self) -> dict[SplitName, npt.NDArray[np.intp]]:
        strata = self.problem.strata(self.raw.y)
        return split_indices(strata, self.raw.n_test, self.seed)

    def _rows(self, split: SplitName) -> Rows:
        return self._of(self._indices[split])

    def _of(self, chosen: npt.NDArray[np.intp]) -> Rows:
        scaled = self.raw.scaling or unscaled
        if isinstance(self.raw.X, np.memmap):
            return MappedRows(self.raw.X, chosen, self.raw.y[chosen], scaled)
        return Rows(scaled(self.raw.X[chosen]), self.raw.y[chosen])


def split_indices(strata: Labels, n_test: int, seed: int) -> dict[SplitName, npt.NDArray[np.intp]]:
    """Row numbers of a stratified split, each stratum within one row of its share.

    With `n_test` official test rows at the end, those are the test rows and a sixth of the others
    the validation rows; without, 20 % each are test and validation rows, rounded up.
    """
    n_open = len(strata) - n_test
    order = _stratified_order(strata[:n_open], np.random.default_rng(seed))
    if n_test:
        n_validation, test = n_open // 6, np.arange(n_open, len(strata))
    else:
        n_validation, n_held = (math.ceil(s * n_open) for s in (_VALIDATION_SHARE, _TEST_SHARE))
        test = order[n_validation : n_validation + n_held]
        order = np.delete(order, np.s_[n_validation : n_validation + n_held])
    parts = {"train": order[n_validation:], "validation": order[:n_validation], "test": test}
    return {name: np.sort(parts[name]) for name in SPLITS}


def _stratified_order(strata: Labels, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Rows in an order of which every stretch holds the strata in their proportions."""
    place = np.empty(len(strata))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        place[rng.permutation(members)] = (np.arange(len(members)) + rng.random()) / len(members)
    return np.argsort(place, kind="stable")


# --- where rows come from ---------------------------------------------------------------------


def load_dataset(name: str, seed: int = 0) -> Dataset:
    """Load a dataset and split its rows.

    Never uses the network: `fetch_dataset` does, when asked.

    Parameters
    ----------
    name : str
        One of `datasets()`.
    seed : int, default 0
        Seed of the split.

    Raises
    ------
    ParetoscopeError
        Unknown name, or files that are missing or damaged.

    Examples
    --------
    >>> data = load_dataset("iris")
    >>> len(data.train), len(data.validation), len(data.test)
    (90, 30, 30)
    """
    source = find_source(name)
    check_seed("split seed", seed)
    return Dataset(
        source.name, source.title, source.read(), seed, source.image_shape, source.largest
    )


def check_seed(what: str, seed: object) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ParetoscopeError(f"{what} must be a whole number from 0 to 4294967295; got {seed!r}")


def datasets() -> list[str]:
    """The names that `load_dataset` takes."""
    return [source.name for source in SOURCES]


def find_source(name: str) -> Source:
    """The source of a name, also of a visitor's own data, which no list shows.

    Raises
    ------
    ParetoscopeError
        Unknown name, or own data that this machine does not keep.
    """
    if is_own(name):
        return own_source(name)
    for source in SOURCES:
        if source.name == name:
            return source
    raise one_of("dataset", name, datasets())


def is_present(name: str) -> bool:
    """Whether the dataset can be loaded without fetching it."""
    source = find_source(name)
    return source.openml_id is None or _idx_folder(source.name) is not None


def loads_at_once(name: str) -> bool:
    """Whether the dataset can be loaded without the import of scikit-learn, which takes seconds."""
    source = find_source(name)
    if source.openml_id is not None or is_own(name) or name == "bikes":
        return is_present(name)
    return default_store().find(key_of(source.name)) is not None


# --- what comes with scikit-learn, and files of images -----------------------------------------


def _read_sklearn(name: str, loader: str) -> Raw:
    """One of scikit-learn's own datasets, kept in the store: later starts do not import it."""
    store, key = default_store(), key_of(name)
    kept = store.find(key)
    if kept is None:
        from sklearn import datasets as sk

        bunch = getattr(sk, loader)()
        names = {"classes": list(map(str, bunch.target_names))}
        names["features"] = list(map(str, bunch.feature_names))
        X, y = bunch.data.astype(np.float32), bunch.target.astype(np.int64)
        kept = packed(X, y, names)
        store.keep(key, kept)
    arrays, about = unpacked(kept)
    return Raw(arrays["X"], arrays["y"], tuple(about["features"]), tuple(about["classes"]))


def _read_diabetes() -> Raw:
    """In the units that were measured, not as scikit-learn scales them."""
    store, key = default_store(), key_of("diabetes")
    kept = store.find(key)
    if kept is None:
        from sklearn.datasets import load_diabetes

        bunch = load_diabetes(scaled=False)
        X, y = bunch.data.astype(np.float32), bunch.target.astype(np.float64)
        kept = packed(X, y, {"features": list(map(str, bunch.feature_names))})
        store.keep(key, kept)
    arrays, about = unpacked(kept)
    problem = Regression(("progression after a year",))
    return Raw(arrays["X"], arrays["y"], tuple(about["features"]), stated=problem)


@lru_cache(maxsize=1)
def _read_bikes() -> Raw:
    with gzip.open(Path(__file__).with_name("bikes.csv.gz"), "rt", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    numbers = np.array(rows, np.float64)
    problem = Regression((names[-1],))
    X = numbers[:, :-1].astype(np.float32)
    return Raw(X, numbers[:, -1], tuple(names[:-1]), stated=problem)


def _read_mnist_like(name: str, class_names: Sequence[str]) -> Raw:
    folder = _idx_folder(name)
    if folder is None:
        raise ParetoscopeError(_absent(name))
    X, y, X_test, y_test = (
        read_idx(_idx_file(folder, stem), n_dims=1 if "labels" in stem else 3) for stem in IDX_FILES
    )
    for images, labels, what in ((X, y, "train"), (X_test, y_test, "test")):
        if len(images) != len(labels) or len(images) == 0:
            raise ParetoscopeError(
                f"{folder} has {len(images):,} {what} images but {len(labels):,} {what} labels"
            )
        if images.shape[1:] != (28, 28) or labels.max() >= len(class_names):
            raise ParetoscopeError(
                f"the {what} rows in {folder} must be 28 x 28 images with labels from 0 to "
                f"{len(class_names) - 1}; got {images.shape[1]} x {images.shape[2]} and up to "
                f"{labels.max()}"
            )
    features = tuple(f"pixel {r + 1},{c + 1}" for r in range(28) for c in range(28))
    return Raw(
        np.concatenate([X, X_test]).reshape(-1, 28 * 28),
        np.concatenate([y, y_test]).astype(np.int64),
        features,
        tuple(class_names),
        n_test=len(y_test),
    )


def _idx_folder(name: str) -> Path | None:
    """The first folder that holds the four IDX files of `name`.

    Looked for in ``PARETOSCOPE_DATA/<name>``, in ``PARETOSCOPE_DATA`` itself unless that is named
    after the other dataset, where an earlier fetch put them, and where Debian's packages do.
    """
    folders = [home() / "idx" / name, _DEBIAN / name]
    given = os.environ.get("PARETOSCOPE_DATA")
    if given:
        if not Path(given).is_dir():
            raise ParetoscopeError(f"PARETOSCOPE_DATA must name a folder; got {given!r}")
        folders.insert(0, Path(given) / name)
        others = {s.name for s in SOURCES if s.openml_id is not None and s.name != name}
        if Path(given).name not in others:
            folders.insert(1, Path(given))
    for folder in folders:
        if all(_idx_file(folder, stem).is_file() for stem in IDX_FILES):
            return folder
    return None


def _idx_file(folder: Path, stem: str) -> Path:
    plain = folder / stem
    return plain if plain.is_file() else folder / f"{stem}.gz"


def _absent(name: str) -> str:
    return (
        f"{find_source(name).title} is not on this machine: put its four IDX files "
        f"({IDX_FILES[0]}.gz and so on) in a folder '{name}' and set PARETOSCOPE_DATA to the "
        f"folder around it, or fetch it from OpenML with "
        f"'python -m paretoscope datasets --fetch {name}'"
    )


def fetch_dataset(name: str, report: Report | None = None) -> Path:
    """Fetch an image dataset from OpenML with scikit-learn and keep it as IDX files.

    Returns the folder. Nothing is kept unless all of it arrived.

    Raises
    ------
    ParetoscopeError
        It is not on OpenML, the network cannot be reached, or what came is something else.
    """
    source = find_source(name)
    if source.openml_id is None:
        raise ParetoscopeError(f"{source.title} comes with scikit-learn and need not be fetched")
    report = report or (lambda fraction, text: None)
    from sklearn.datasets import fetch_openml

    cache = home() / "openml"
    report(None, "asking OpenML")
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(cache, report, done), daemon=True)
    watcher.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it warns of each retry
            bunch = fetch_openml(
                data_id=source.openml_id, data_home=cache, as_frame=False, parser="liac-arff"
            )
    except (
        Exception
    ) as error:  # the fetcher lets whatever urllib, gzip and its parser raise through
        raise ParetoscopeError(f"OpenML cannot be reached ({error}); {_absent(name)}") from error
    finally:
        done.set()
        watcher.join()
    images, labels = np.asarray(bunch.data), np.asarray(bunch.target).astype(np.int64)
    if images.shape != (70_000, 784):
        raise ParetoscopeError(f"OpenML sent {images.shape} for {name}; expected (70000, 784)")
    report(None, "keeping 70,000 images")
    folder = home() / "idx" / name
    bytes_of = {"images": images.reshape(-1, 28, 28), "labels": labels}
    for stem in IDX_FILES:
        array = bytes_of["images" if "images" in stem else "labels"]
        part = array[:60_000] if stem.startswith("train") else array[60_000:]
        write_atomically(folder / f"{stem}.gz", idx_bytes(part.astype(np.uint8)))
    return folder


def fetch_task(arguments: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """`fetch_dataset` as a job."""
    fetch_dataset(arguments["dataset"], lambda f, text: emit({"fraction": f, "text": text}))
    return {}


def _watch(folder: Path, report: Report, done: threading.Event) -> None:
    """Report how much has arrived, for scikit-learn's fetcher tells nothing on its way."""
    while not done.wait(0.5):
        arrived = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        if arrived:
            report(None, f"{arrived / 1e6:.1f} MB fetched")


_DIGITS = tuple(str(digit) for digit in range(10))
_FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

SOURCES: tuple[Source, ...] = (
    Source(
        "iris",
        "Iris",
        "150 flowers, 4 lengths, 3 species",
        lambda: _read_sklearn("iris", "load_iris"),
    ),
    Source(
        "wine",
        "Wine",
        "178 wines, 13 measurements, 3 growers",
        lambda: _read_sklearn("wine", "load_wine"),
    ),
    Source(
        "breast-cancer",
        "Breast cancer",
        "569 tumours, 30 measurements, 2 findings",
        lambda: _read_sklearn("breast-cancer", "load_breast_cancer"),
    ),
    Source(
        "digits",
        "Digits",
        "1,797 images of 8 x 8, 10 digits",
        lambda: _read_sklearn("digits", "load_digits"),
        (1, 8, 8),
        16.0,
    ),
    Source(
        "fashion-mnist",
        "Fashion-MNIST",
        "70,000 images of 28 x 28, 10 kinds of clothes",
        lambda: _read_mnist_like("fashion-mnist", _FASHION),
        (1, 28, 28),
        255.0,
        openml_id=40996,
    ),
    Source(
        "mnist",
        "MNIST",
        "70,000 images of 28 x 28, 10 digits",
        lambda: _read_mnist_like("mnist", _DIGITS),
        (1, 28, 28),
        255.0,
        openml_id=554,
    ),
    Source(
        "diabetes",
        "Diabetes",
        "442 patients, 10 measurements, how far the disease went in a year",
        _read_diabetes,
        problem=Regression,
    ),
    Source(
        "bikes",
        "Bikes",
        "8,645 hours, 11 facts of day and weather, how many bicycles were rented",
        _read_bikes,
        problem=Regression,
    ),
)
