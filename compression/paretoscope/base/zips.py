"""How long a ZIP archive's directory is, before anything reads it: each name in it takes memory,
and a file of 200 MB can hold millions."""

from __future__ import annotations

_END, _LARGE_PLACE, _LARGE_END = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_END_BYTES, _PLACE_BYTES, _RECORD_BYTES = 22, 20, 56


def directory_size(data: bytes) -> tuple[int, int] | None:
    """The number of names and the bytes of the directory, by the records at the archive's end that
    `zipfile` goes by; of two the larger. None where there is no such end."""
    end = len(data) - _END_BYTES
    if not (data[end : end + 4] == _END and data[-2:] == b"\0\0"):
        end = data.rfind(_END)
    if end < 0:
        return None
    n, n_bytes = (
        int.from_bytes(data[end + a : end + b], "little") for a, b in ((10, 12), (12, 16))
    )
    place = data[max(0, end - _PLACE_BYTES) : end]
    if place.startswith(_LARGE_PLACE):
        stated = int.from_bytes(place[8:16], "little")
        for start in (stated, end - _PLACE_BYTES - _RECORD_BYTES):
            record = data[start : start + _RECORD_BYTES]
            if record.startswith(_LARGE_END):
                n = max(n, int.from_bytes(record[32:40], "little"))
                n_bytes = max(n_bytes, int.from_bytes(record[40:48], "little"))
    return n, n_bytes
