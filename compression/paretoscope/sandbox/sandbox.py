"""A process of its own for what a file makes a runtime do, with limits that the system enforces.

Each sandbox has a new empty folder to be in, no environment, and limits on memory, processor time,
files and their size, set before it imports anything; a wall clock beside it ends what sleeps. It is
given bytes on its standard input and answers in JSON. What it runs is `trial.py` with the jobs
beside it, without the rest of the library.

Few run at a time, so that uploads leave the server to its visitors: the others wait their turn.
Linux only: elsewhere memory and processor time cannot be held, and `limits_hold` says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paretoscope.base.errors import ParetoscopeError

_PROGRAM = Path(__file__).with_name("trial.py")
_MOST_ANSWER_BYTES = 8_000_000
MOST_BYTES_AFTER = 150_000_000  # such as a table as text
# A second one, so that a model without end does not hold up all others' uploads.
_AT_A_TIME = max(2, (os.cpu_count() or 2) // 2)
_LONGEST_WAIT_S = 60
_ENDING_S = 5  # for a process that has closed its output to end
_turns = threading.BoundedSemaphore(_AT_A_TIME)
_OUT_OF_MEMORY = ("bad_alloc", "Failed to allocate memory", "MemoryError", "bad allocation")


@dataclass(frozen=True)
class Limits:
    """What one sandbox may take.

    Parameters
    ----------
    memory_mb : int, default 2048
        Of address space.
    processor_s, wall_s : int, default 10 and 20
        Wall clock counts for each job, processor time for all jobs of a sandbox.
    """

    memory_mb: int = 2048
    processor_s: int = 10
    wall_s: int = 20


def limits_hold() -> bool:
    """Whether this system enforces the limits."""
    return sys.platform == "linux"


class SandboxError(ParetoscopeError):
    """The job was stopped by a limit, or its process died."""


class Sandbox:
    """One process that does job after job, until one ends it. Use it in a ``with``.

    Parameters
    ----------
    limits : Limits, optional
    in_turn : bool, default True
        Whether it takes one of the few turns that uploads have; jobs have turns of their own.
    what : str
        That is worked on, as sentences call it.

    Raises
    ------
    SandboxError
        Others took all turns for a minute.
    """

    def __init__(
        self, limits: Limits | None = None, *, in_turn: bool = True, what: str = "the model"
    ) -> None:
        self.limits = limits or Limits()
        self._what = what
        if in_turn and not _turns.acquire(timeout=_LONGEST_WAIT_S):
            raise SandboxError("other uploads keep this server busy: try again in a minute")
        self._has_turn = in_turn
        try:
            self._start()
        except BaseException:
            self._give_turn_back()
            raise

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="paretoscope-trial-")
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_PROGRAM), json.dumps(asdict(self.limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            env={},
            start_new_session=True,
        )

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def run(
        self,
        job: str,
        parts: Sequence[bytes],
        arguments: Mapping[str, Any] | None = None,
        *,
        most_bytes: int = MOST_BYTES_AFTER,
        wall_s: int | None = None,
    ) -> dict[str, Any]:
        """Do one job.

        Parameters
        ----------
        job : str
            One of `JOBS` in `trial.py`.
        parts : sequence of bytes
            Such as a model and rows.
        arguments : mapping, optional
            JSON.
        most_bytes : int
            That it may give beside JSON.
        wall_s : int, optional
            Seconds for this job, in place of those of the limits.

        Returns
        -------
        dict
            The job's result; under "bytes" what it gave beside JSON.

        Raises
        ------
        SandboxError
            A limit was reached, or the process died of the file. The sandbox is of no more use.
        ParetoscopeError
            The job itself says what is wrong, in a sentence.
        """
        head = {"job": job, "sizes": [len(p) for p in parts], "arguments": dict(arguments or {})}
        late = threading.Event()

        def end() -> None:
            late.set()
            self._kill()

        wall_s = wall_s or self.limits.wall_s
        clock = threading.Timer(wall_s, end)
        clock.start()
        try:
            answer = self._exchange(json.dumps(head).encode() + b"\n", parts, most_bytes)
        except BaseException:
            self._kill()  # half an exchange: what comes next would be the answer to this one
            self._process.wait()
            raise
        finally:
            clock.cancel()
        if answer is None:
            raise SandboxError(self._cause(wall_s if late.is_set() else None))
        if "error" in answer:
            text = str(answer["error"])
            if any(sign in text for sign in _OUT_OF_MEMORY):
                raise SandboxError(self._memory())
            raise ParetoscopeError(text)
        result: dict[str, Any] = answer["result"]
        return result

    def close(self) -> None:
        """End the process and take its folder away. Closing twice does no harm."""
        try:
            self._end()
        finally:
            self._give_turn_back()

    def _give_turn_back(self) -> None:
        if self._has_turn:
            self._has_turn = False
            _turns.release()

    def _end(self) -> None:
        self._kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._folder.cleanup()

    def _exchange(
        self, head: bytes, parts: Sequence[bytes], most_bytes: int
    ) -> dict[str, Any] | None:
        """The answer; None where the process ended without a whole one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(head)
            for part in parts:
                self._process.stdin.write(part)
            self._process.stdin.flush()
        except OSError:
            return None
        line = self._process.stdout.readline(_MOST_ANSWER_BYTES)
        try:
            found = json.loads(line)
        except ValueError:
            return None
        if not isinstance(found, dict) or not {"result", "error"} & set(found):
            return None
        n_bytes = found.get("n_bytes", 0)
        if n_bytes:
            if n_bytes > most_bytes:
                self._kill()
                raise SandboxError(
                    f"the answer has {n_bytes / 1e6:,.0f} MB; at most {most_bytes / 1e6:,.0f} MB "
                    "are taken"
                )
            found["result"]["bytes"] = self._process.stdout.read(n_bytes)
            if len(found["result"]["bytes"]) < n_bytes:
                return None
        return found

    def _kill(self) -> None:
        if self.alive:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _cause(self, late_s: int | None) -> str:
        """Why there was no answer; `late_s` is after how long it was stopped, if it was."""
        try:
            code = self._process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
            return f"{self._what} made its process say what is no answer"
        if late_s is not None:
            return f"{self._what} was stopped after {late_s} s, the time limit"
        if -code in (signal.SIGXCPU, signal.SIGKILL):
            limit = self.limits.processor_s
            return f"{self._what} was stopped after {limit} s of processor time, the limit"
        if code < 0:
            name = signal.Signals(-code).name
            return f"{self._what} crashed the runtime ({name})"
        return self._memory()

    def _memory(self) -> str:
        return f"{self._what} needs more memory than the limit of {self.limits.memory_mb:,} MB"
