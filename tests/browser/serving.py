"""A real server of the app: for the browser tests, the benchmarks and the pictures."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import HANGS_S, until

ROOT = Path(__file__).resolve().parents[2]
RUNNING: list[Server] = []  # what they logged stands beside a test that fails


@dataclass(frozen=True)
class Server:
    """An app server of its own, on a free port of this machine."""

    url: str
    process: subprocess.Popen[str]
    said: deque[str]  # the last lines of its log

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
    said = listen(process)
    try:
        server = Server(address_among(said, process), process, said)
        RUNNING.append(server)
        try:
            yield server
        finally:
            RUNNING.remove(server)
    finally:
        process.terminate()
        process.wait(HANGS_S)


def listen(process: subprocess.Popen[str]) -> deque[str]:
    """The lines that a program prints, the last of them: a pipe that nobody reads holds it up."""
    said: deque[str] = deque(maxlen=1000)

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as output:
            said.extend(output)

    threading.Thread(target=read, daemon=True).start()
    return said


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def address_among(said: deque[str], process: subprocess.Popen[str]) -> str:
    def found() -> re.Match[str] | None:
        return re.search(r"http://127\.0\.0\.1:\d+", "".join(tuple(said)))

    until(lambda: found() or process.poll() is not None)
    address = found()
    assert address is not None, f"the server ended without an address: {''.join(said)}"
    await_health(address[0])
    return address[0]


def await_health(url: str) -> None:
    def is_well() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    until(is_well)
