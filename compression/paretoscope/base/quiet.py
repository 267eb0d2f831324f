"""Quiet while times are taken by protocol: whatever else works on this machine waits.

Who takes times holds a lock. Each of this user's workers holds one of its own while it works, and
at every step that it tells of gives it up for as long as times are taken. So the protocol knows
when all are quiet. The locks are the system's: who dies gives his up.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

LOCKS_VARIABLE = "PARETOSCOPE_LOCKS"  # a folder that containers of one machine may share
_LOOK_S = 0.1
PATIENCE_S = 20.0  # with steps that tell of nothing for long; then times are taken beside them


def machine_lock() -> FileLock:
    """What holds it is the only one of this user's processes on this machine that takes times."""
    return FileLock(f"{_begin('timing')}.lock")


@contextlib.contextmanager
def quiet(patience_s: float = PATIENCE_S) -> Iterator[bool]:
    """Have all workers pause, each after the step that it is at; gives whether they all do."""
    with machine_lock(), FileLock(f"{_begin('quiet')}.lock"):
        until = time.monotonic() + patience_s
        begin = _begin("working")
        found = list(begin.parent.glob(f"{begin.name}-*.lock"))
        yield sum(_has_paused(path, until) for path in found) == len(found)


def _has_paused(path: Path, until: float) -> bool:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=max(0.0, until - time.monotonic()))
    except Timeout:
        return False
    with contextlib.suppress(OSError):
        path.unlink()  # of one that died, or is made anew when it goes on
    lock.release()
    return True


class Working:
    """Says that this process works, until it is closed, and pauses where it may."""

    def __init__(self) -> None:
        self._lock = FileLock(f"{_begin('working')}-{os.getpid()}.lock")
        self.pause()

    def pause(self) -> None:
        """Wait while times are taken."""
        while _is_quiet():
            self._lock.release(force=True)
            time.sleep(_LOOK_S)
        if not self._lock.is_locked:
            self._lock.acquire()

    def close(self) -> None:
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                os.unlink(self._lock.lock_file)
        self._lock.release(force=True)


def _is_quiet() -> bool:
    """Whether times are taken. Who asks at the same moment may be taken for it, and asks again."""
    try:
        FileLock(f"{_begin('quiet')}.lock").acquire(timeout=0).lock.release()
    except Timeout:
        return True
    return False


def _begin(what: str) -> Path:
    """How the names of a kind of lock begin: the same for all processes of this user."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    folder = os.environ.get(LOCKS_VARIABLE) or tempfile.gettempdir()
    return Path(folder, f"paretoscope-{what}-{user}")
