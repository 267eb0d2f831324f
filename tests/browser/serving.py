"""A real server of the app: for the browser tests, the benchmarks and the pictures."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import HANGS_S, until

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Server:
    """An app server of its own, on a free port of this machine."""

    url: str
    process: subprocess.Popen[str]

    @property
    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1e3


@contextmanager
def serve(home: str, port: int = 0, **environment: str) -> Iterator[Server]:
    """Start the app as `make run` does, with more in its environment; it is ended at the end."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.port",
            str(port or free_port()),
        ],
        cwd=ROOT,
        env=os.environ | {"PARETOSCOPE_HOME": home} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Server(address_of(process), process)
    finally:
        process.terminate()
        process.wait(HANGS_S)
        assert process.stdout is not None
        process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            await_health(found[0])
            return found[0]
    raise AssertionError("the server ended without an address")


def await_health(url: str) -> None:
    def is_well() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    until(is_well)
