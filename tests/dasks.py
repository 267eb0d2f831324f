"""A real Dask scheduler and workers, each a process of its own, on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.browser.serving import free_port
from tests.waiting import until


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
        until(self._answers, pause_s=0.1)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def start_worker(self) -> None:
        self.workers.append(
            _module("dask_worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard",
                    "--host", "127.0.0.1")
        )  # fmt: skip

    def heal(self, workers: int = 2) -> None:
        """A scheduler and so many workers, in place of those that are gone."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            self.kill_workers()  # they are about to notice that theirs is gone
            self.start_scheduler()
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        for _ in range(workers - len(self.workers)):
            self.start_worker()

    def kill_worker(self) -> None:
        self.workers.pop(0).send_signal(signal.SIGKILL)

    def kill_workers(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers = []

    def kill_scheduler(self) -> None:
        assert self.scheduler is not None
        self.scheduler.send_signal(signal.SIGKILL)
        self.scheduler.wait()


@contextmanager
def dask(workers: int = 2) -> Iterator[Dask]:
    running = Dask(free_port())
    try:
        running.heal(workers)
        yield running
    finally:
        running.kill_workers()
        if running.scheduler is not None:
            running.scheduler.kill()
            running.scheduler.wait()


def _module(name: str, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{name}", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
