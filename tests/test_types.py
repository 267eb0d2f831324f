"""The types fit: beside the other tests, for it takes a processor for a while."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT


def test_types_fit() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
