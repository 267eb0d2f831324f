"""A real Dask scheduler and workers, each a process of its own, on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.browser.serving import _free


@dataclass
class Dask:
    """A scheduler and its workers; each can be killed, and another one started."""

    port: int
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        self.scheduler = _module(
            "dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the scheduler does not answer")

    def start_worker(self) -> None:
        self.workers.append(
            _module("dask_worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard",
                    "--host", "127.0.0.1")
        )  # fmt: skip

    def kill_worker(self) -> None:
        self.workers.pop(0).send_signal(signal.SIGKILL)

    def kill_scheduler(self) -> None:
        assert self.scheduler is not None
        self.scheduler.send_signal(signal.SIGKILL)
        self.scheduler.wait()


@contextmanager
def dask(workers: int = 2) -> Iterator[Dask]:
    running = Dask(_free())
    try:
        running.start_scheduler()
        for _ in range(workers):
            running.start_worker()
        yield running
    finally:
        for process in (*running.workers, *([running.scheduler] if running.scheduler else [])):
            process.kill()
            process.wait()


def _module(name: str, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{name}", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
