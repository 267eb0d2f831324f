from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from paretoscope.base import room
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import Store, sha256, write_atomically

from tests.dying import FILES, killed_at, killed_at_random


def test_keeps_and_finds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    name = store.keep("a key", b"some bytes")
    assert store.find("a key") == b"some bytes"
    assert store.read(name) == b"some bytes"
    assert store.find("another key") is None


def test_a_damaged_object_is_noticed_and_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    name = store.keep("key", b"x" * 1000)
    path = tmp_path / "objects" / name
    path.write_bytes(b"x" * 999 + b"y")
    assert store.find("key") is None
    assert not path.exists()
    store.keep("key", b"x" * 1000)
    assert store.find("key") == b"x" * 1000


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../../etc/passwd", b"0" * 64])
def test_a_damaged_key_is_not_trusted(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    store.keep("key", b"data")
    (tmp_path / "keys" / sha256(b"key")).write_bytes(content)
    assert store.find("key") is None


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(
        ParetoscopeError, match=r"cannot write .*below: (File exists|Not a directory)"
    ):
        write_atomically(tmp_path / "file" / "below", b"data")


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(ParetoscopeError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("point", FILES)
def test_a_writer_that_is_killed_leaves_the_old_file_whole(point: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep("key", b"a" * 300_000)
    program = (
        "import sys; from pathlib import Path; from paretoscope.base.store import Store\n"
        "Store(Path(sys.argv[1])).keep('key', b'b' * 300_000)\n"
    )
    killed_at(point, program, str(tmp_path))
    assert store.find("key") == b"a" * 300_000
    for path in (tmp_path / "objects").glob("[0-9a-f]*"):
        assert sha256(path.read_bytes()) == path.name
    store.keep("key", b"b" * 300_000)  # and the next one goes on
    assert store.find("key") == b"b" * 300_000


@pytest.mark.soak("50 writers of the store killed at random moments")
def test_fifty_writers_that_are_killed_leave_a_whole_file(tmp_path: Path) -> None:
    rng = random.Random(0)
    program = (
        "import sys; from pathlib import Path; from paretoscope.base.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "while True:\n"
        "    for byte in b'ab':\n"
        "        store.keep('key', bytes([byte]) * 300_000)\n"
        "        print('kept', flush=True)\n"
    )
    for _ in range(50):
        killed_at_random(rng, program, str(tmp_path), longest_s=0.05)
        assert Store(tmp_path).find("key") in (b"a" * 300_000, b"b" * 300_000)
        for path in (tmp_path / "objects").glob("[0-9a-f]*"):
            assert sha256(path.read_bytes()) == path.name


def _keep_many(folder: str, letter: str) -> None:
    for number in range(50):
        Store(Path(folder)).keep(f"key {number}", letter.encode() * 1000)


def test_two_writers_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_keep_many, args=(str(tmp_path), c)) for c in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    for number in range(50):
        assert Store(tmp_path).find(f"key {number}") in (b"a" * 1000, b"b" * 1000)


def _aged(path: Path, hours: float) -> Path:
    then = time.time() - 3600 * hours
    os.utime(path, (then, then))
    return path


@pytest.fixture
def small_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 bytes, of files that have at least 100, and look each time."""
    monkeypatch.setattr(room, "quota_bytes", lambda: 1000)
    monkeypatch.setattr(room, "_SMALL", 100)
    monkeypatch.setattr(room, "_LOOK_S", 0)


@pytest.mark.usefixtures("small_quota")
def test_what_was_used_least_recently_makes_room(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = store.keep("a record", b"kept for good")
    _aged(tmp_path / "objects" / record, 1000)
    names = {age: store.keep(f"{age} h", bytes([age]) * 300) for age in (40, 90, 50)}
    for age, name in names.items():
        _aged(tmp_path / "objects" / name, age)
    assert store.find("90 h") is not None  # which is a use
    store.keep("more", b"x" * 300)
    assert store.find("50 h") is None
    for key in ("90 h", "40 h", "more", "a record"):
        assert store.find(key) is not None, key
    store.keep("more", b"x" * 300)  # it is there already
    assert store.find("40 h") is not None


@pytest.mark.usefixtures("small_quota")
def test_what_is_in_use_never_makes_room(tmp_path: Path) -> None:
    store = Store(tmp_path)
    names = [store.keep(key, key.encode() * 450) for key in ("m", "o")]
    for name in names:
        _aged(tmp_path / "objects" / name, 300)
    assert store.path("m") is not None  # and so it is used now
    with pytest.raises(ParetoscopeError, match="the folder of kept files is full: 0 of 0 MB"):
        store.keep("more", b"b" * 900)
    assert store.find("more") is None
    for key in ("m", "o"):  # nothing went for what finds no room anyway
        assert store.find(key) == key.encode() * 450


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=60_000_000))
    store = Store(tmp_path)
    store.keep("small", b"a" * 100)
    old = store.keep("large", b"b" * 8_000_000)
    with pytest.raises(ParetoscopeError, match="the disk is full: 60 MB are free, 20 MB more"):
        store.require_room(20_000_000)
    assert store.find("large") is not None
    _aged(tmp_path / "objects" / old, 30)
    store.require_room(15_000_000)  # what is old makes room on the disk, too
    assert store.find("large") is None
    assert store.find("small") is not None


@pytest.mark.parametrize(("told", "megabytes"), [("7", 7), ("", 20_000), ("much", 20_000)])
def test_the_quota_is_a_setting(told: str, megabytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(room.QUOTA_MB, told)
    assert room.quota_bytes() == 1_000_000 * megabytes
