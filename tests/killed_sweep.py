"""Kill sweeps, then let one run through: it must be the same as one that was never interrupted.

``python -m tests.killed_sweep points`` kills one at each point of `tests.dying`; with a number N it
kills at random moments until N were killed. After each kill the files in the store are whole.

Children are forked from a process that has imported and compiled everything and that has no other
threads, so that kills hit the sweep and not its start.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import paretoscope as ps
from paretoscope.base.store import home, sha256
from paretoscope.sweeps.history import History

from tests.dying import POINTS, die_at

MEASURED = "front"
_LONGEST_S = 0.25


def _sweep(history: History | None, recipes: list[ps.Recipe]) -> dict[str, ps.Measurement]:
    data = ps.load_dataset("digits")
    network = ps.train("mlp-64-32", data)
    found = ps.sweep(network, data, recipes, batches=(), measured=MEASURED, history=history)
    return {str(m.recipe): m for m in found}


def _recipes(number: int) -> list[ps.Recipe]:
    """Each round asks for more, so that there is always something left to be killed in."""
    return ps.grid(threshold=[0.0, 0.02, 0.05, 0.1, 0.2], q=list(range(1, 8 + 2 * number)))


def _fork(recipes: list[ps.Recipe], prepare: Callable[[], None] = lambda: None) -> int:
    child = os.fork()
    if child == 0:
        prepare()
        _sweep(History(), recipes)
        os._exit(0)
    return child


def _was_killed(child: int) -> bool:
    _, status = os.waitpid(child, 0)
    _check_files()
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _check_files() -> None:
    folder = Path(home()) / "objects"
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.startswith(".") and sha256(path.read_bytes()) != path.name:
            raise SystemExit(f"torn: {path}")


def _at_points() -> int:
    """The second time that a sweep comes to each, so that something is there already."""
    for number, point in enumerate(POINTS):
        if not _was_killed(_fork(_recipes(number), lambda point=point: die_at(point, 2))):
            raise SystemExit(f"the sweep never came to {point!r} twice")
    return len(POINTS)


def _at_random(kills: int) -> int:
    rng, killed = random.Random(0), 0
    for number in count():
        child = _fork(_recipes(number))
        time.sleep(rng.uniform(0.0, _LONGEST_S))
        os.kill(child, signal.SIGKILL)
        killed += _was_killed(child)
        if killed == kills:
            return number
    raise AssertionError


def main(how: str) -> None:
    _sweep(None, ps.grid(threshold=[0.0, 0.1], q=[3]))  # trains, compiles, imports
    rounds = _at_points() if how == "points" else _at_random(int(how))
    recipes = _recipes(rounds)
    resumed, whole = _sweep(History(), recipes), _sweep(None, recipes)
    if resumed != whole:
        raise SystemExit("the resumed sweep differs from the uninterrupted one")
    print(f"killed at {how}, {rounds} sweeps, {len(recipes)} recipes")


if __name__ == "__main__":
    main(sys.argv[1])
