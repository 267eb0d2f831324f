"""The libraries that requirements.txt names, and no others, in an environment made in seconds.

`make test` begins with installing them; the files of that installation are linked. So what an
environment for a run lacks shows, and pip finds all it is asked for.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def link_libraries(venv: Path, requirements: str = "requirements.txt") -> None:
    """Put them where a virtual environment will be made, with the programs that come with them."""
    lines = (ROOT / requirements).read_text(encoding="utf-8").splitlines()
    named = {_plain(line.split("==")[0]) for line in lines if "==" in line}
    for found in distributions():
        if _plain(found.metadata["Name"]) in named:
            _link(found, venv)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _link(distribution: Distribution, venv: Path) -> None:
    here = Path(sys.prefix).resolve()
    for file in distribution.files or ():
        source = Path(os.path.normpath(str(file.locate())))
        to = venv / source.relative_to(here)
        if not source.exists():
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        if to.parent == venv / "bin":  # the first line of a program names its environment
            text = source.read_bytes().replace(str(here).encode(), str(venv).encode(), 1)
            to.write_bytes(text)
            to.chmod(0o755)
        else:
            _link_or_copy(source, to)


def _link_or_copy(source: Path, to: Path) -> None:
    try:
        os.link(source, to)
    except OSError:  # another disk
        to.write_bytes(source.read_bytes())
