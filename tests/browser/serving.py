"""A real server of the app: for the browser tests, the benchmarks and the pictures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ANSWERS_S = 60


@dataclass(frozen=True)
class Server:
    """An app server of its own, on a free port of this machine."""

    url: str
    process: subprocess.Popen[str]


@contextmanager
def serve(home: str, port: int = 0, **environment: str) -> Iterator[Server]:
    """Start the app as `make run` does, with more in its environment; it is ended at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port or _free())],
        cwd=ROOT,
        env=os.environ | {"PARETOSCOPE_HOME": home} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Server(_address(process), process)
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def _free() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            _await_health(found[0])
            return found[0]
    raise AssertionError("the server ended without an address")


def _await_health(url: str) -> None:
    deadline = time.monotonic() + ANSWERS_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            continue
    raise AssertionError("the server does not answer")
