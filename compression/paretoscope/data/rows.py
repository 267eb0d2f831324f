"""Rows with their targets: as sources give them, as they are kept, and some of them at a time.

Rows of large images stay in their file, which is mapped into memory: only those that are asked for
are read.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.parameters import FloatArray
from paretoscope.problems.classification import Classification
from paretoscope.problems.problem import Problem
from paretoscope.problems.score import Targets

_MAPPED_BYTES = 16_000_000  # of rows: fewer are read at once
_AT_ONCE = 2**24  # numbers


@dataclass(frozen=True, eq=False)
class Rows:
    """Features `X`, float32 of shape (n, d), and targets `y`: of classes int64 of shape (n,), of
    numbers float64 of shape (n,) or (n, outputs); where there are none, of shape (n, 0)."""

    X: FloatArray
    y: Targets

    def __len__(self) -> int:
        return len(self.y)

    def at(self, places: npt.NDArray[np.intp]) -> Rows:
        """Those at these places."""
        return Rows(self.X[places], self.y[places])

    def chunks(self) -> Iterator[FloatArray]:
        """The features of some rows at a time, one after the other."""
        yield self.X


@dataclass(frozen=True)
class Scaling:
    """How bytes of pictures become what a model takes: ``(byte - mean) / deviation``.

    Parameters
    ----------
    mean, deviation : tuple of float
        For each channel, or one for all, in the unit of bytes.
    shape : tuple of int
        Of a picture.
    axis : int
        That of its channels.
    blue_first : bool
        Whether these are blue, green and red; mean and deviation are in their order.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    shape: tuple[int, ...]
    axis: int = 0
    blue_first: bool = False

    def __call__(self, rows: npt.NDArray[Any]) -> FloatArray:
        """Rows of shape (n, d) as float32."""
        found = rows.reshape(-1, *self.shape).astype(np.float32)
        found -= self._by_channel(self.mean)
        found /= self._by_channel(self.deviation)
        return found.reshape(len(rows), -1)

    def picture(self, row: FloatArray) -> npt.NDArray[np.uint8]:
        """A scaled row as it was: bytes of shape (height, width, channels), red first."""
        scaled = row.reshape(1, *self.shape)
        whole = scaled * self._by_channel(self.deviation) + self._by_channel(self.mean)
        pixels = np.clip(np.round(np.moveaxis(whole[0], self.axis, -1)), 0, 255)
        found: npt.NDArray[np.uint8] = pixels.astype(np.uint8)
        return found[..., ::-1] if self.blue_first else found

    def _by_channel(self, values: tuple[float, ...]) -> FloatArray:
        sides = [1] * (len(self.shape) + 1)
        sides[self.axis + 1] = -1
        return np.array(values, np.float32).reshape(sides)


def unscaled(rows: npt.NDArray[Any]) -> FloatArray:
    """Rows as float32."""
    found: FloatArray = rows.astype(np.float32)
    return found


class MappedRows(Rows):
    """Rows of a large array, which need not be in memory: `X` reads all of them each time.

    Parameters
    ----------
    source : array of shape (all rows, d)
    places : array of int
        Which of its rows these are.
    y : array
        Their targets.
    scaled : callable
        What makes float32 of them.
    """

    def __init__(
        self,
        source: npt.NDArray[Any],
        places: npt.NDArray[np.intp],
        y: Targets,
        scaled: Callable[[npt.NDArray[Any]], FloatArray] = unscaled,
    ) -> None:
        given = {"_source": source, "_places": places, "y": y, "_scaled": scaled}
        for name, value in given.items():
            object.__setattr__(self, name, value)

    _source: npt.NDArray[Any]
    _places: npt.NDArray[np.intp]
    _scaled: Callable[[npt.NDArray[Any]], FloatArray]

    @property
    def X(self) -> FloatArray:  # noqa: N802 - as it is of all rows
        return self._read(self._places)

    def at(self, places: npt.NDArray[np.intp]) -> Rows:
        return MappedRows(self._source, self._places[places], self.y[places], self._scaled)

    def chunks(self) -> Iterator[FloatArray]:
        n = max(1, _AT_ONCE // max(1, self._source.shape[1]))
        for start in range(0, max(1, len(self)), n):
            yield self._read(self._places[start : start + n])

    def _read(self, places: npt.NDArray[np.intp]) -> FloatArray:
        return self._scaled(self._source[places])


@dataclass(frozen=True)
class Part:
    """One input's share of a row: its name and shape. Parts lie side by side."""

    name: str
    shape: tuple[int, ...]

    @property
    def told(self) -> str:
        """Its shape in words, like "3 × 224 × 224"."""
        return " × ".join(f"{side:,}" for side in self.shape) or "one number"


@dataclass(frozen=True)
class Raw:
    """What a source gives: all rows, and how many of the last ones are official test rows.

    Without a problem, the targets are labels of the classes that are named. Rows that are no table
    say of which `parts` they are; bytes of pictures, how they are scaled when they are read.
    """

    X: npt.NDArray[Any]
    y: Targets
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    n_test: int = 0
    stated: Problem | None = None
    parts: tuple[Part, ...] = ()
    scaling: Scaling | None = None

    @property
    def problem(self) -> Problem:
        return self.stated or Classification(self.class_names)


# --- where they come from, and how they are kept ------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A dataset that can be loaded: its names, its problem and shape, and the function that reads
    it."""

    name: str
    title: str
    summary: str
    read: Callable[[], Raw]
    image_shape: tuple[int, int, int] | None = None
    largest: float | None = None
    openml_id: int | None = None
    problem: type[Problem] = Classification


def key_of(name: str) -> str:
    return f"dataset {name} format 1"


def packed(X: FloatArray, y: Targets, about: Mapping[str, Any]) -> bytes:
    """Rows and what is known of them as the store keeps them; `unpacked` is its inverse."""
    buffer = io.BytesIO()
    pack(buffer, X, y, about)
    return buffer.getvalue()


def pack(file: IO[bytes], X: npt.NDArray[Any], y: Targets, about: Mapping[str, Any]) -> None:
    """As `packed`, into a file: of a mapped array only a part is in memory at a time."""
    np.savez(file, X=X, y=y, names=np.frombuffer(json.dumps(dict(about)).encode(), np.uint8))


Unpacked = tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]


@lru_cache(maxsize=8)
def unpacked(kept: bytes) -> Unpacked:
    """The arrays "X" and "y", and what is known of them."""
    with np.load(io.BytesIO(kept)) as arrays:  # numpy refuses pickled arrays unless told otherwise
        about: dict[str, Any] = json.loads(arrays["names"].tobytes())
        return {"X": arrays["X"], "y": arrays["y"]}, about


def mapped(path: Path) -> Unpacked:
    """As `unpacked`, of a file; where the rows are large, X is mapped and not read."""
    with np.load(path) as arrays:
        about: dict[str, Any] = json.loads(arrays["names"].tobytes())
        y = arrays["y"]
        there = _member(path, "X.npy")
        if there is None or there.nbytes < _MAPPED_BYTES:
            return {"X": arrays["X"], "y": y}, about
    return {"X": there, "y": y}, about


def _member(path: Path, name: str) -> npt.NDArray[Any] | None:
    """An array of an archive where it lies in the file; None where it is compressed."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        return None
    with path.open("rb") as file:
        file.seek(info.header_offset)
        head = file.read(30)  # of a ZIP's local header, whose last two numbers are lengths
        lengths = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        file.seek(info.header_offset + 30 + lengths)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        order = "F" if fortran else "C"
        there: npt.NDArray[Any] = np.memmap(path, dtype, "r", file.tell(), shape, order)  # type: ignore[call-overload]
        return there
