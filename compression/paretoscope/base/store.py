"""The content store: bytes kept on disk under their sha256, found again by a key.

    HOME/objects/<sha256>         the bytes, whose name is their own checksum
    HOME/keys/<sha256 of key>     one line: the sha256 of the object that the key stands for

Every file is written beside its place and moved there, so a reader sees the old file, the new one
or none, never half of one. What is read is checked against its name; what fails is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

import platformdirs

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.room import make_room, used


def home() -> Path:
    """The folder for networks and datasets: ``PARETOSCOPE_HOME``, else the user's cache folder."""
    given = os.environ.get("PARETOSCOPE_HOME")
    return (
        Path(given).expanduser().absolute()
        if given
        else Path(platformdirs.user_cache_dir("paretoscope"))
    )


SHORT_SHA = 16  # hexadecimal digits of a hash in a file's own metadata: enough to tell files apart


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` whole or not at all, also when the process is killed meanwhile.

    Raises
    ------
    ParetoscopeError
        The folder cannot be written to.
    """
    _write(path, lambda file: file.write(data))


def _write(
    path: Path,
    write: Callable[[BufferedRandom], object],
    name: Callable[[BufferedRandom], str] | None = None,
) -> None:
    """As `write_atomically`, what `write` puts into a file; `name` is its name by what it holds."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        with os.fdopen(handle, "w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            if name is not None:
                file.seek(0)
                path = path.with_name(name(file))
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise ParetoscopeError(f"cannot write {path}: {error.strerror}") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


@dataclass(frozen=True)
class Store:
    """A content store in a folder, which is made when something is first kept."""

    folder: Path

    def keep(self, key: str, data: bytes) -> str:
        """Keep `data` and let `key` stand for it; returns its sha256.

        Raises
        ------
        ParetoscopeError
            There is no room for it.
        """
        name = sha256(data)
        self.require_room(0 if self._object(name).exists() else len(data))
        write_atomically(self._object(name), data)
        write_atomically(self._key(key), name.encode())
        return name

    def keep_written(self, key: str, n_bytes: int, write: Callable[[BufferedRandom], None]) -> None:
        """As `keep`, of about so many bytes that `write` puts into a file: they need not fit into
        memory."""
        self.require_room(n_bytes)
        found = []

        def name(file: BufferedRandom) -> str:
            found.append(hashlib.file_digest(file, "sha256").hexdigest())
            return found[0]

        _write(self._object("new"), write, name)
        write_atomically(self._key(key), found[0].encode())

    def require_room(self, n_bytes: int) -> None:
        """Refuse work whose result cannot be kept; what was used least recently goes first."""
        if n_bytes:
            make_room(self.folder / "objects", n_bytes)

    def find(self, key: str) -> bytes | None:
        """The bytes that `key` stands for, or None where they are missing or damaged."""
        try:
            name = self._key(key).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None
        data = self.read(name)
        if data is None:
            with contextlib.suppress(OSError):
                self._key(key).unlink(missing_ok=True)
        return data

    def path(self, key: str) -> Path | None:
        """Where the bytes lie that `key` stands for, to be mapped; None where they are missing or
        damaged."""
        try:
            name = self._key(key).read_text(encoding="ascii")
            with self._object(name).open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == name
            used(self._object(name))
        except (OSError, UnicodeDecodeError):
            return None
        return self._object(name) if whole else None

    def forget(self, key: str) -> None:
        """Delete what `key` stands for."""
        try:
            name = self._key(key).read_text(encoding="ascii")
            self._key(key).unlink(missing_ok=True)
            self._object(name).unlink(missing_ok=True)
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise ParetoscopeError(f"the store cannot be changed: {error}") from error

    def read(self, name: str) -> bytes | None:
        """The object named by its sha256, or None where it is missing or damaged."""
        if len(name) != 64 or not set(name) <= set("0123456789abcdef"):
            return None
        path = self._object(name)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if sha256(data) != name:
            with contextlib.suppress(OSError):  # a store that cannot be written to
                path.unlink(missing_ok=True)
            return None
        used(path)
        return data

    def _object(self, name: str) -> Path:
        return self.folder / "objects" / name

    def _key(self, key: str) -> Path:
        return self.folder / "keys" / sha256(key.encode())


def default_store() -> Store:
    return Store(home())
