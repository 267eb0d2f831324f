"""Processes that kill themselves at a named point of their work, so that no test guesses a moment.

``die_at(point, nth)`` in the process itself; ``killed_at(point, program)`` runs a program so; and
``python -m tests.dying POINT N MODULE [WORDS]`` is for one that knows nothing of it.
"""

from __future__ import annotations

import os
import random
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    "torn": "half of a file's bytes are on the disk",
    "written": "an object is written whole and not yet named",
    "unkeyed": "the object is named; the key that stands for it is written and not yet named",
}
TRANSACTIONS = {
    "uncommitted": "a transaction's rows are sent and not yet committed",
    "committed": "they are committed and the connection is not yet given back",
}
POINTS = FILES | TRANSACTIONS


def die_at(point: str, nth: int = 1) -> None:
    """End this process by SIGKILL when it comes to a point for the nth time."""
    left = nth

    def came() -> bool:
        """Whether this is the time; it does not return then, but for a last act."""
        nonlocal left
        left -= 1
        return left == 0

    if point == "torn":
        _at_syncs(came)
    elif point in FILES:
        _at_moves({"written": "objects", "unkeyed": "keys"}[point], came)
    elif point in TRANSACTIONS:
        _at_commits(came, before=point == "uncommitted")
    else:
        raise ValueError(f"point must be one of {', '.join(POINTS)}; got {point!r}")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at_syncs(came: Callable[[], bool]) -> None:
    def sync(file: int) -> None:
        if came():
            os.ftruncate(file, os.fstat(file).st_size // 2)
            _die()

    os.fsync = sync  # type: ignore[assignment]


def _at_moves(folder: str, came: Callable[[], bool]) -> None:
    def heard(event: str, words: tuple[Any, ...]) -> None:
        if event == "os.rename" and Path(str(words[1])).parent.name == folder and came():
            _die()

    sys.addaudithook(heard)  # it cannot be taken out again


def _at_commits(came: Callable[[], bool], before: bool) -> None:
    """Of transactions that write: reading ends with a commit, too."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import Pool

    wrote = commits = False

    def executed(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal wrote
        wrote = wrote or statement.lstrip().upper().startswith("INSERT")

    def commit(_: object) -> None:
        nonlocal commits
        commits = wrote
        if before and commits and came():
            _die()

    def given_back(*_: object) -> None:
        nonlocal wrote, commits
        if not before and commits and came():
            _die()
        wrote = commits = False

    event.listen(Engine, "after_cursor_execute", executed)
    event.listen(Engine, "commit", commit)
    event.listen(Pool, "reset", given_back)


def killed_at(point: str, program: str, *words: str, nth: int = 1) -> None:
    """Run a Python program that is killed at a point; that it came there is asserted."""
    code = f"from tests.dying import die_at\ndie_at({point!r}, {nth})\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, f"it never came to {point!r}: {done.stderr}"


def killed_at_random(rng: random.Random, program: str, *words: str, longest_s: float) -> None:
    """Run a program that works on and on, and kill it a random while after it first said a line."""
    running = subprocess.Popen(
        [sys.executable, "-c", program, *words], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    assert running.stdout.readline()
    time.sleep(rng.uniform(0, longest_s))
    running.kill()
    assert running.wait() == -signal.SIGKILL
    running.stdout.close()


if __name__ == "__main__":
    _, place, times, module, *rest = sys.argv
    die_at(place, int(times))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
