from __future__ import annotations

import gzip
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data import dataset as module
from paretoscope.data.dataset import (
    IDX_FILES,
    SPLITS,
    fetch_dataset,
    is_present,
    load_dataset,
    loads_at_once,
    split_indices,
)
from paretoscope.data.idx import idx_bytes, read_idx
from paretoscope.data.own_data import delete_own, keep_own, named_publicly, public_name
from paretoscope.data.rows import Raw


@pytest.mark.parametrize(
    ("name", "loader"),
    [
        ("iris", "load_iris"),
        ("wine", "load_wine"),
        ("breast-cancer", "load_breast_cancer"),
        ("digits", "load_digits"),
    ],
)
def test_small_datasets_are_scikit_learns(name: str, loader: str) -> None:
    from sklearn import datasets as sk

    expected = getattr(sk, loader)()
    data = load_dataset(name)
    assert np.array_equal(data.raw.X, expected.data.astype(np.float32))
    assert np.array_equal(data.raw.y, expected.target)
    assert list(data.class_names) == [str(c) for c in expected.target_names]
    assert list(data.feature_names) == list(expected.feature_names)
    again = load_dataset(name)  # now from the store
    assert again.sha256 == data.sha256
    assert loads_at_once(name)


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "digits", "fashion-mnist"])
def test_splits_are_disjoint_complete_stratified_and_seeded(name: str) -> None:
    data = load_dataset(name)
    parts = split_indices(data.raw.y, data.raw.n_test, seed=0)
    together = np.concatenate([parts[s] for s in SPLITS])
    assert np.array_equal(np.sort(together), np.arange(len(data.raw.y)))
    n_open = len(data.raw.y) - data.raw.n_test
    shares = np.bincount(data.raw.y[:n_open]) / n_open
    for split in SPLITS:
        rows = data.rows(split)
        assert np.array_equal(rows.X, data.raw.X[parts[split]].astype(np.float32))
        if not (data.raw.n_test and split == "test"):
            counts = np.bincount(rows.y, minlength=len(shares))
            assert np.abs(counts - shares * len(rows)).max() <= 1.0 + 1e-9
    other = split_indices(data.raw.y, data.raw.n_test, seed=1)
    assert not np.array_equal(other["train"], parts["train"])
    assert load_dataset(name, seed=1).sha256 != data.sha256


def test_fashion_mnist_is_the_real_one() -> None:
    data = load_dataset("fashion-mnist")
    assert [len(data.rows(s)) for s in SPLITS] == [50_000, 10_000, 10_000]
    assert np.bincount(data.raw.y[:60_000]).tolist() == [6_000] * 10
    assert np.array_equal(data.test.y, data.raw.y[60_000:])
    assert data.test.y[:5].tolist() == [9, 2, 1, 1, 6]  # ankle boot, pullover, trousers, shirt
    assert data.class_names[9] == "Ankle boot"
    assert data.train.X.dtype == np.float32
    assert data.train.X.max() == 255.0


@given(
    st.lists(st.integers(0, 4), min_size=20, max_size=300),
    st.integers(0, 2**32 - 1),
)
def test_any_split_is_a_stratified_partition(labels: list[int], seed: int) -> None:
    y = np.array(labels, np.int64)
    parts = split_indices(y, 0, seed)
    together = np.sort(np.concatenate([parts[s] for s in SPLITS]))
    assert np.array_equal(together, np.arange(len(y)))
    shares = np.bincount(y, minlength=5) / len(y)
    counts = np.bincount(y[parts["validation"]], minlength=5)
    assert np.abs(counts - shares * len(parts["validation"])).max() < 2


def test_open_rows_are_all_but_those_of_the_test() -> None:
    data = load_dataset("iris")
    parts = split_indices(data.raw.y, 0, seed=0)
    expected = data.raw.X[[*parts["validation"], *parts["train"]]].astype(np.float32)
    assert np.array_equal(data.rows("open").X, expected)
    assert len(data.open) + len(data.test) == 150
    large = load_dataset("fashion-mnist")
    assert np.array_equal(large.open.X, large.validation.X)  # as many as are judged at most


def test_the_name_of_own_data_is_in_no_file(home: Path) -> None:
    raw = load_dataset("iris").raw
    name = keep_own(Raw(raw.X, raw.y, raw.feature_names, raw.class_names), "mine")
    mark = public_name(name)
    assert name.removeprefix("own-")[:8] not in mark
    assert named_publicly(mark) == name
    assert public_name("iris") == named_publicly("iris") == "iris"
    with pytest.raises(ParetoscopeError, match="dataset must be one of"):
        load_dataset(mark)  # a mark opens nothing
    delete_own(name)
    with pytest.raises(ParetoscopeError, match="which are not on this machine"):
        named_publicly(mark)


def test_an_unknown_name_and_split() -> None:
    with pytest.raises(ParetoscopeError, match="dataset must be one of iris, .*got 'irs'"):
        load_dataset("irs")
    with pytest.raises(ParetoscopeError, match="split must be one of train, .*got 'valid'"):
        load_dataset("iris").rows("valid")


# --- IDX ---------------------------------------------------------------------------------------


@given(npst.arrays(np.uint8, npst.array_shapes(min_dims=1, max_dims=3, max_side=6)), st.booleans())
def test_idx_round_trip(tmp_path_factory: pytest.TempPathFactory, array: Any, zipped: bool) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    data = idx_bytes(array)
    path.write_bytes(data if zipped else gzip.decompress(data))
    assert np.array_equal(read_idx(path, array.ndim), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file of bytes with 3 dimensions"),
        (b"<html>", "is not an IDX file"),
        (b"\x00\x00\x08\x01" + struct.pack(">I", 3) + b"abc", "with 3 dimensions"),
        (b"\x00\x00\x0d\x03" + struct.pack(">3I", 1, 1, 1) + b"abcd", "of bytes"),
        (b"\x00\x00\x08\x03" + struct.pack(">3I", 2, 2, 2) + b"abc", "states 8 values .* holds 3"),
        (b"\x1f\x8b\x08", "damaged gzip file"),
        # Without its time: the processes that share the tests must agree on their names.
        (gzip.compress(b"\x00\x00\x08\x03" * 100, mtime=0)[:-12], "damaged gzip file"),
    ],
)
def test_a_file_that_is_no_idx_file_is_one_sentence(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ParetoscopeError, match=message):
        read_idx(tmp_path / "file", 3)


def _write_mnist(folder: Path, n_train: int = 60, n_test: int = 20, side: int = 28) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for stem in IDX_FILES:
        n = n_train if stem.startswith("train") else n_test
        shape = (n,) if "labels" in stem else (n, side, side)
        array = np.resize(np.arange(10), n) if "labels" in stem else rng.integers(0, 256, shape)
        (folder / f"{stem}.gz").write_bytes(idx_bytes(array.astype(np.uint8)))


@pytest.mark.parametrize("place", ["mnist", "."])
def test_mnist_from_a_folder(home: Path, tmp_path: Path, monkeypatch: Any, place: str) -> None:
    folder = tmp_path / "data"
    _write_mnist(folder / place if place != "." else folder)
    monkeypatch.setenv("PARETOSCOPE_DATA", str(folder))
    data = load_dataset("mnist")
    assert [len(data.rows(s)) for s in SPLITS] == [50, 10, 20]
    assert np.array_equal(data.test.y, np.resize(np.arange(10), 20))
    assert data.image_shape == (1, 28, 28)


def test_a_folder_named_after_another_dataset_is_not_taken(
    home: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    _write_mnist(tmp_path / "fashion-mnist")
    monkeypatch.setenv("PARETOSCOPE_DATA", str(tmp_path / "fashion-mnist"))
    assert not is_present("mnist")
    assert len(load_dataset("fashion-mnist").test) == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_test": 0}, "has 0 test images but 0 test labels"),
        ({"side": 8}, "must be 28 x 28 images .* got 8 x 8"),
    ],
)
def test_files_that_are_not_mnist(
    home: Path, tmp_path: Path, monkeypatch: Any, changes: dict[str, int], message: str
) -> None:
    _write_mnist(tmp_path / "mnist", **changes)
    monkeypatch.setenv("PARETOSCOPE_DATA", str(tmp_path))
    with pytest.raises(ParetoscopeError, match=message):
        load_dataset("mnist")


def test_more_labels_than_images(home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    _write_mnist(tmp_path / "mnist")
    labels = tmp_path / "mnist" / f"{IDX_FILES[1]}.gz"
    labels.write_bytes(idx_bytes(np.zeros(61, np.uint8)))
    monkeypatch.setenv("PARETOSCOPE_DATA", str(tmp_path))
    with pytest.raises(ParetoscopeError, match="has 60 train images but 61 train labels"):
        load_dataset("mnist")


def test_absent_says_both_ways(home: Path) -> None:
    assert not is_present("mnist")
    with pytest.raises(ParetoscopeError, match=r"PARETOSCOPE_DATA .* fetch it from OpenML"):
        load_dataset("mnist")


def test_a_data_folder_that_is_none(home: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PARETOSCOPE_DATA", "/no/such/folder")
    with pytest.raises(ParetoscopeError, match="must name a folder; got '/no/such/folder'"):
        load_dataset("mnist")


# --- OpenML ------------------------------------------------------------------------------------


def _openml(monkeypatch: Any, answer: Any) -> None:
    import sklearn.datasets

    def fetch(**arguments: Any) -> Any:
        assert arguments["data_id"] == 554
        (arguments["data_home"]).mkdir(parents=True)
        (arguments["data_home"] / "part").write_bytes(b"x" * 100_000)
        return answer() if callable(answer) else answer

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)


def test_fetching_keeps_idx_files(home: Path, monkeypatch: Any) -> None:
    pixels = np.zeros((70_000, 784), np.uint8)
    pixels[:, 0] = np.arange(70_000) % 256
    labels = (np.arange(70_000) % 10).astype(str)
    _openml(monkeypatch, SimpleNamespace(data=pixels, target=labels))
    told: list[str] = []
    folder = fetch_dataset("mnist", lambda _, text: told.append(text))
    assert folder == home / "idx" / "mnist"
    data = load_dataset("mnist")
    assert [len(data.rows(s)) for s in SPLITS] == [50_000, 10_000, 10_000]
    assert np.array_equal(data.test.X[:, 0], (np.arange(60_000, 70_000) % 256))
    assert told[0] == "asking OpenML"
    assert told[-1] == "keeping 70,000 images"


def test_progress_tells_what_arrived(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"x" * 1_230_000)
    told: list[str] = []
    module._watch(tmp_path, lambda _, text: told.append(text), _Once())
    assert told == ["1.2 MB fetched"]


class _Once:
    """An event that is set at the second look."""

    def __init__(self) -> None:
        self.looks = 0

    def wait(self, _: float) -> bool:
        self.looks += 1
        return self.looks > 1


def test_offline_is_one_sentence_and_leaves_nothing(home: Path, monkeypatch: Any) -> None:
    def offline() -> None:
        raise OSError("Name or service not known")

    _openml(monkeypatch, offline)
    with pytest.raises(ParetoscopeError, match=r"cannot be reached \(Name or.*PARETOSCOPE_DATA"):
        fetch_dataset("mnist")
    assert not is_present("mnist")
    assert not (home / "idx").exists()


def test_something_else_than_the_dataset(home: Path, monkeypatch: Any) -> None:
    _openml(monkeypatch, SimpleNamespace(data=np.zeros((3, 4)), target=np.zeros(3)))
    with pytest.raises(ParetoscopeError, match=r"sent \(3, 4\) for mnist"):
        fetch_dataset("mnist")
    assert not (home / "idx").exists()


def test_what_comes_with_scikit_learn_is_not_fetched() -> None:
    with pytest.raises(ParetoscopeError, match="Iris comes with scikit-learn"):
        fetch_dataset("iris")
