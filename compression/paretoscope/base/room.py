"""Room for what is kept: a quota for the folder, and what goes first when it is reached.

What was used least recently goes first, never what was used within the last day, for somebody may
have it open, and never what is small, such as records of what was measured. Without room nothing is
begun: it is said in a sentence.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from paretoscope.base.errors import ParetoscopeError

QUOTA_MB, _USUAL_MB = "PARETOSCOPE_STORE_MB", "20000"
_IN_USE_S = 24 * 3600
_SMALL = 100_000  # bytes: what has fewer stays
_SAID_S = 600  # uses within it count as one
_LOOK_S = 60  # how often the folder is looked through where little comes
_MANY = 10_000_000  # bytes that come at once
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
    """Delete what was used least recently, until so many more bytes are within the quota and on the
    disk. Small files always find room: results of long work are not lost for want of it.

    Raises
    ------
    ParetoscopeError
        Too much was used within the last day. Nothing is deleted then.
    """
    now, quota = time.time(), quota_bytes()
    looked_at, total = _looked.get(folder, (0.0, 0))
    little = n_bytes < _MANY and total + n_bytes < quota and now - looked_at < _LOOK_S
    if n_bytes < _SMALL or little:
        _looked[folder] = looked_at, total + n_bytes
        return
    found = _files(folder)
    total = sum(size for _, size, _ in found)
    free = shutil.disk_usage(_existing(folder)).free
    wanted = max(total + n_bytes - quota, n_bytes + _SPARE - free)
    old = [one for one in sorted(found) if now - one[0] > _IN_USE_S and one[1] >= _SMALL]
    if sum(size for _, size, _ in old) < wanted:
        if n_bytes + _SPARE > free:
            why = f"the disk is full: {free / 1e6:,.0f} MB are free"
        else:
            why = f"the folder of kept files is full: {total / 1e6:,.0f} of {quota / 1e6:,.0f} MB"
        raise ParetoscopeError(
            f"{why}, {n_bytes / 1e6:,.0f} MB more are needed, and the rest was used within the "
            f"last day; delete data that you need no more, or raise {QUOTA_MB}"
        )
    for _, size, path in old:
        if wanted <= 0:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            wanted, total = wanted - size, total - size
    _looked[folder] = now, total + n_bytes


def _files(folder: Path) -> list[tuple[float, int, str]]:
    """When each was used last, its bytes, and its path."""
    found: list[tuple[float, int, str]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # gone meanwhile
                about = entry.stat()
                found.append((about.st_mtime, about.st_size, entry.path))
    return found


def _existing(folder: Path) -> Path:
    """The folder, or the nearest around it that there is."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
