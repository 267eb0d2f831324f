"""Rows that stay in their file are those that would be read at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.base.store import Store
from paretoscope.data import own_data, rows
from paretoscope.data.own_data import keep_own
from paretoscope.data.rows import MappedRows, Part, Raw, Rows, mapped, packed, unpacked


@pytest.fixture
def always_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_MAPPED_BYTES", 0)
    monkeypatch.setattr(rows, "_AT_ONCE", 400)
    own_data._kept.cache_clear()


def _images(n: int = 60) -> Raw:
    X = np.random.default_rng(1).integers(0, 256, (n, 75)).astype(np.uint8)
    parts = (Part("images", (3, 5, 5)),)
    return Raw(X, np.arange(n) % 3, (), ("a", "b", "c"), parts=parts)


@pytest.mark.usefixtures("always_mapped")
def test_rows_that_stay_in_their_file_are_the_same() -> None:
    raw = _images()
    data = ps.load_dataset(keep_own(raw, "images"))
    assert isinstance(data.raw.X, np.memmap)
    assert np.array_equal(data.raw.X, raw.X)
    for found in (data.train, data.validation, data.test, data.open):
        assert isinstance(found, MappedRows)
        X, chunks = found.X, list(found.chunks())
        assert X.dtype == np.float32
        assert (len(found), len(X)) == (len(found.y), len(found.y))
        assert len(chunks) > 1
        assert max(c.size for c in chunks) <= 400
        assert np.array_equal(np.concatenate(chunks), X)
        places = np.array([3, 0, 3])
        some = found.at(places)
        assert np.array_equal(some.X, X[places])
        assert np.array_equal(some.y, found.y[places])
        assert np.array_equal(some.at(np.array([1])).X, X[[0]])


@pytest.mark.usefixtures("always_mapped")
def test_a_file_that_is_mapped_is_told_by_its_name_alone() -> None:
    first, second = (ps.load_dataset(keep_own(_images(n), "images")) for n in (60, 63))
    assert first.sha256 != second.sha256
    assert first.sha256 == ps.load_dataset(first.name).sha256


def test_some_of_plain_rows() -> None:
    found = Rows(np.eye(4, dtype=np.float32), np.arange(4)).at(np.array([2, 1]))
    assert found.X.argmax(1).tolist() == found.y.tolist() == [2, 1]


@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_mapped_is_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    monkeypatch.setattr(rows, "_MAPPED_BYTES", 0)
    X, y = np.arange(24, dtype=np.uint16).reshape(6, 4), np.arange(6.0)
    data = packed(X, y, {"title": "t"})
    path = tmp_path / "kept"
    path.write_bytes(data)
    if compressed:
        with np.load(path) as arrays:
            np.savez_compressed(path, **dict(arrays))
        path = path.with_suffix(".npz")
    found, about = mapped(path)
    assert isinstance(found["X"], np.memmap) is not compressed
    assert np.array_equal(found["X"], X)
    assert np.array_equal(found["y"], unpacked(data)[0]["y"])
    assert about == {"title": "t"}


def test_damaged_bytes_have_no_path(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = store.keep("a thing", b"whole")
    path = store.path("a thing")
    assert path is not None
    assert path.read_bytes() == b"whole"
    (store.folder / "objects" / digest).write_bytes(b"torn")
    assert store.path("a thing") is None
    assert store.path("no such thing") is None
