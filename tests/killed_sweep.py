"""Kill a sweep at random moments until it was killed N times: ``killed_sweep.py N``.

Children are forked from a process that has imported everything, so that kills hit the sweep, not
its start. After each kill the files in the store are whole; at the end the sweep runs through and
is compared with one that was never interrupted.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from itertools import count
from pathlib import Path

import paretoscope as ps
from paretoscope.history import History
from paretoscope.store import home, sha256

MEASURED = "front"


def _sweep(history: History | None, recipes: list[ps.Recipe]) -> dict[str, ps.Measurement]:
    data = ps.load_dataset("digits")
    network = ps.train("mlp-64-32", data)
    found = ps.sweep(network, data, recipes, batches=(), measured=MEASURED, history=history)
    return {str(m.recipe): m for m in found}


def _fork_and_kill(recipes: list[ps.Recipe], rng: random.Random) -> bool:
    """Start the sweep in a child and kill it after a random while; False if it was done before."""
    child = os.fork()
    if child == 0:
        _sweep(History(), recipes)
        os._exit(0)
    time.sleep(rng.uniform(0.0, 0.25))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _check_files() -> None:
    folder = Path(home()) / "objects"
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.startswith(".") and sha256(path.read_bytes()) != path.name:
            raise SystemExit(f"torn: {path}")


def main(kills: int) -> None:
    rng = random.Random(0)
    warm = ps.grid(threshold=[0.0, 0.1], q=[3])
    _sweep(None, warm)  # trains, compiles, imports
    killed = 0
    for number in count():
        # Each round asks for more, so that there is always something left to be killed in.
        recipes = ps.grid(threshold=[0.0, 0.02, 0.05, 0.1, 0.2], q=list(range(1, 8 + 2 * number)))
        killed += _fork_and_kill(recipes, rng)
        _check_files()
        if killed >= kills:
            break
    resumed, whole = _sweep(History(), recipes), _sweep(None, recipes)
    if resumed != whole:
        raise SystemExit("the resumed sweep differs from the uninterrupted one")
    print(f"killed {killed} times, {len(recipes)} recipes")


if __name__ == "__main__":
    main(int(sys.argv[1]))
