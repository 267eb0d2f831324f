"""Room for what is kept: a quota for the folder, and what goes first when it is reached.

What was used least recently goes first, and never what was used within the last hour: somebody may
have it open. Without room nothing is begun: it is said in a sentence.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from paretoscope.base.errors import ParetoscopeError

QUOTA_MB, _USUAL_MB = "PARETOSCOPE_STORE_MB", "20000"
_IN_USE_S = 3600
_SAID_S = 600  # uses within it count as one
_LOOK_S, _MANY = 60, 10_000_000  # how often the folder is looked through, and bytes that ask for it
_SPARE = 50_000_000  # bytes that are left free on the disk
_looked: dict[Path, tuple[float, int]] = {}  # by folder, when, and how many bytes were there


def quota_bytes() -> int:
    told = os.environ.get(QUOTA_MB) or _USUAL_MB
    return 1_000_000 * int(told if told.isdecimal() else _USUAL_MB)


def used(path: Path) -> None:
    """Note that a file is used now."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _SAID_S:
            os.utime(path)


def make_room(folder: Path, n_bytes: int) -> None:
    """Delete what was used least recently, until so many more bytes are within the quota.

    Raises
    ------
    ParetoscopeError
        What is left was used within the last hour, or the disk is full.
    """
    now, quota = time.time(), quota_bytes()
    looked_at, total = _looked.get(folder, (0.0, 0))
    if now - looked_at > _LOOK_S or n_bytes > _MANY or total + n_bytes > quota:
        _require_disk(folder, n_bytes)
        total = _made(folder, quota - n_bytes, now)
        looked_at = now
    if total + n_bytes > quota:
        raise ParetoscopeError(
            f"the folder of kept files is full: {total / 1e6:,.0f} of {quota / 1e6:,.0f} MB were "
            f"used within the last hour; delete data of yours that you need no more, or raise "
            f"{QUOTA_MB}"
        )
    _looked[folder] = looked_at, total + n_bytes


def _made(folder: Path, most: int, now: float) -> int:
    """Bytes that are left when there are at most so many, as far as may be."""
    found: list[tuple[float, int, str]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # gone meanwhile
                about = entry.stat()
                found.append((about.st_mtime, about.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    for used_at, size, path in sorted(found):
        if total <= most or now - used_at < _IN_USE_S:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            total -= size
    return total


def _require_disk(folder: Path, n_bytes: int) -> None:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < n_bytes + _SPARE:
        raise ParetoscopeError(
            f"the disk is full: {free / 1e6:,.0f} MB are free, and {(n_bytes + _SPARE) / 1e6:,.0f} "
            "MB are needed"
        )
