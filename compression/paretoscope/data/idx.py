"""The IDX format of MNIST and its relatives: big-endian arrays of bytes, mostly gzipped.

Format: Yann LeCun's "THE IDX FILE FORMAT": two zero bytes, a type byte (8 = unsigned byte), the
number of dimensions, each dimension as a 32-bit big-endian integer, then the data.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError

_LARGEST_BYTES = 1 << 30


def read_idx(path: Path, n_dims: int) -> npt.NDArray[np.uint8]:
    """The array in an IDX file, gzipped or not.

    Raises
    ------
    ParetoscopeError
        Unreadable, no IDX file of unsigned bytes with `n_dims` dimensions, or cut short.
    """
    try:
        raw = path.read_bytes()
        data = _unzip(raw) if raw[:2] == b"\x1f\x8b" else raw
    except OSError as error:
        raise ParetoscopeError(f"cannot read {path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise ParetoscopeError(f"{path} is a damaged gzip file: {error}") from error
    head = 4 + 4 * n_dims
    if len(data) < head or data[:4] != bytes([0, 0, 8, n_dims]):
        raise ParetoscopeError(f"{path} is not an IDX file of bytes with {n_dims} dimensions")
    shape = struct.unpack(f">{n_dims}I", data[4:head])
    if len(data) - head != math.prod(shape):
        raise ParetoscopeError(
            f"{path} states {math.prod(shape):,} values of shape {shape} but holds "
            f"{len(data) - head:,}"
        )
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)


def idx_bytes(array: npt.NDArray[np.uint8]) -> bytes:
    """The gzipped IDX file of an array of bytes."""
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes(), compresslevel=6, mtime=0)


def _unzip(raw: bytes) -> bytes:
    """`gzip.decompress` with a ceiling, for a small file can hold gigabytes."""
    inflate = zlib.decompressobj(wbits=31)
    data = inflate.decompress(raw, _LARGEST_BYTES)
    if not inflate.eof:
        raise EOFError("it ends early or holds more than 1 GiB")
    return data
