"""Jobs: long work in a process of its own, with progress, a stop, and a whole result or none.

A worker is ``python -m paretoscope.base.jobs``. It reads one task per line from its standard input
(``{"task": "training.training:train_task", "arguments": {...}}``), answers with lines of JSON and
waits for the next. When its input closes, because its parent closed it or died, it ends at once.

A task is a function ``task(arguments, emit) -> result`` in a module of this package; what it is
given, emits and returns is JSON. Large things travel through the content store instead.

    {"emit": {"fraction": 0.4, "text": "epoch 8 of 20"}}     any number of times
    {"emit": {"found": {...}}}                               a part of the result that is there
    {"result": {...}}  or  {"error": "one sentence"}         once, last

Not multiprocessing: inside Streamlit its children would run the app's script again.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.quiet import Working

_LOG = logging.getLogger(__name__)
NICE_VARIABLE = "PARETOSCOPE_NICE"
_NICE = 10  # unless the variable says another
# Threads of numpy's OpenBLAS spin for 2^this cycles after a product, 2^26 by default: small ones in
# a row then keep a second processor busy with nothing, beside pages and what is being timed.
_SPIN = "4"
_PATIENCE_S = 0.2  # a job that waits so long is not just about to start
_MOST_OF_ONE = 4  # jobs of one visitor that run or wait
_TAKE_TIMES = (
    "cli.tasks:timing_task",
    "cli.tasks:kernels_task",
    "measurement.latency_protocol:process_task",
)  # all others pause meanwhile
_REMEMBERED = 500  # jobs of a server, ended ones among them

Arguments = Mapping[str, Any]
Emit = Callable[[Mapping[str, Any]], None]
State = Literal["running", "done", "failed", "stopped"]


class WorkerEndedError(ParetoscopeError):
    """The process ended before its result: killed, or out of memory."""


class Worker:
    """A process that does one task after another.

    Starting is cheap for the caller (the process imports what a task needs when it comes).
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="paretoscope-job-")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "paretoscope.base.jobs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder.name,
            env={"OPENBLAS_THREAD_TIMEOUT": _SPIN} | os.environ | _absolute_folders(),
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )

    def run(self, task: str, arguments: Arguments) -> Iterator[dict[str, Any]]:
        """Do `task`; yields what it emits, last ``{"result": ...}``.

        Raises
        ------
        ParetoscopeError
            The task failed with a sentence of its own, or the process ended before its result.
        """
        line = json.dumps({"task": task, "arguments": dict(arguments)}) + "\n"
        try:
            self._input.write(line)
            self._input.flush()
        except (OSError, ValueError):
            raise self._ended(task) from None
        for answer in self._output:
            try:
                message = json.loads(answer)
            except ValueError:  # a line cut off by the process's end
                break
            if "error" in message:
                raise ParetoscopeError(message["error"])
            yield message
            if "result" in message:
                return
        raise self._ended(task)

    def interrupt(self) -> None:
        """Ask the task at hand to come to an end: it may return what it has so far."""
        if self.alive:
            self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End the process at once, also in the middle of a task. Closing twice does no harm."""
        self._process.kill()
        self._process.wait()
        for stream in (self._input, self._output):
            with contextlib.suppress(OSError):  # the pipe may hold a task that nobody will read
                stream.close()
        self._folder.cleanup()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def _input(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _ended(self, task: str) -> WorkerEndedError:
        code = self._process.wait()
        return WorkerEndedError(
            f"the process for {task} ended before its result (exit code {code})"
        )


@dataclass(frozen=True)
class Progress:
    """How far a job is. `fraction` is None where that is not known."""

    text: str
    fraction: float | None
    elapsed_s: float

    @property
    def remaining_s(self) -> float | None:
        """Time still to go, judged by the share done so far; None before 2 % are done."""
        if self.fraction is None or self.fraction < 0.02:
            return None
        return self.elapsed_s * (1 - self.fraction) / self.fraction


class _Turns:
    """Lets a number of jobs work at a time, in the order in which they came."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: list[object] = []
        self._changed = threading.Condition()

    def enter(self, who: object) -> None:
        with self._changed:
            self._waiting.append(who)

    def wait(self, who: object, given_up: Callable[[], bool]) -> bool:
        """Wait for the turn of one who entered; False if it gave up meanwhile."""
        with self._changed:
            self._changed.wait_for(
                lambda: given_up() or (self._free > 0 and self._waiting[0] is who)
            )
            self._waiting.remove(who)
            gone = given_up()
            self._free -= not gone
            self._changed.notify_all()
            return not gone

    def leave(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def look_again(self) -> None:
        """One of those who wait may have given up."""
        with self._changed:
            self._changed.notify_all()

    def ahead(self, who: object) -> int | None:
        """How many come before one who waits; None where it does not wait."""
        with self._changed:
            return self._waiting.index(who) if who in self._waiting else None


class Job:
    """One task in a worker of its own. `result` is there when `state` is "done", else None.

    A job that waits for its turn is "running" too; its progress says how many come before it.
    """

    def __init__(
        self,
        task: str,
        arguments: Arguments,
        turns: _Turns | None = None,
        owner: str | None = None,
        *,
        refused: bool = False,
    ) -> None:
        self.task = task
        self.owner = owner
        self.result: dict[str, Any] | None = None
        self.error: str | None = None
        self.state: State = "running"
        self._started = time.monotonic()
        self.found: list[Any] = []
        self._last: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._worker: Worker | None = None
        self._turns = turns or _Turns(1)
        if refused:
            self._end(
                "failed",
                error=f"you have {_MOST_OF_ONE} jobs on this server that run or wait: stop one, or "
                "wait for it",
            )
            return
        self._turns.enter(self)
        threading.Thread(target=self._follow, args=(arguments,), daemon=True).start()

    def progress(self) -> Progress:
        elapsed = time.monotonic() - self._started
        ahead = self._turns.ahead(self)
        if ahead is not None and elapsed > _PATIENCE_S:
            before = f", {ahead} before it" if ahead else ", the next one"
            return Progress(f"waiting for its turn{before}", None, elapsed)
        return Progress(self._last.get("text", "starting"), self._last.get("fraction"), elapsed)

    def stop(self) -> None:
        """End the job now. A job that has ended stays as it is."""
        self._end("stopped")
        with self._lock:
            worker = self._worker
        if worker is not None:
            worker.close()
        self._turns.look_again()

    def wait(self, timeout_s: float | None = None) -> State:
        """Wait until the job has ended, at most `timeout_s` seconds; returns its state."""
        self._ended.wait(timeout_s)
        return self.state

    def _follow(self, arguments: Arguments) -> None:
        if not self._turns.wait(self, lambda: self.state != "running"):
            return
        try:
            self._work(arguments)
        finally:
            self._turns.leave()

    def _work(self, arguments: Arguments) -> None:
        try:
            worker = Worker()
        except OSError as error:
            self._end("failed", error=f"no process for {self.task}: {error.strerror}")
            return
        with self._lock:  # a stop before this finds no worker, one after it closes it
            self._worker, self._started = worker, time.monotonic()
            stopped = self.state != "running"
        if stopped:
            worker.close()
            return
        try:
            for message in worker.run(self.task, arguments):
                if "result" in message:
                    self._end("done", result=message["result"])
                else:
                    self._last = self._last | message["emit"]
                    if "found" in message["emit"]:
                        self.found.append(message["emit"]["found"])
        except ParetoscopeError as error:
            self._end("failed", error=str(error))
        except (OSError, ValueError):  # the pipe was closed under us by stop()
            self._end("stopped")
        worker.close()

    def _end(
        self, state: State, *, result: dict[str, Any] | None = None, error: str | None = None
    ) -> None:
        with self._lock:
            if self.state == "running":
                self.state, self.result, self.error = state, result, error
                self._ended.set()
                _LOG.info(
                    "job %s %s after %.1f s", self.task, state, time.monotonic() - self._started
                )


class Jobs:
    """The jobs of one server. The same task with the same arguments is one job while it runs.

    Parameters
    ----------
    limit : int, default 2
        How many work at a time; the others wait in the order in which they came.
    """

    def __init__(self, limit: int = 2) -> None:
        self._jobs: dict[str, Job] = {}
        self._turns = _Turns(limit)
        self._lock = threading.Lock()

    def start(self, task: str, arguments: Arguments, owner: str | None = None) -> Job:
        """Start a job, or join the one that already does this.

        The job of an `owner` with too many others that run or wait has failed already, with a
        sentence on that.
        """
        key = json.dumps([task, arguments], sort_keys=True)
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.state != "running":
                own = [j for j in self._jobs.values() if j.owner == owner and j.state == "running"]
                refused = owner is not None and len(own) >= _MOST_OF_ONE
                job = self._jobs[key] = Job(task, arguments, self._turns, owner, refused=refused)
                self._forget()
            return job

    def find(self, task: str, arguments: Arguments) -> Job | None:
        """The job last started with this task and these arguments, running or ended."""
        with self._lock:
            return self._jobs.get(json.dumps([task, arguments], sort_keys=True))

    def _forget(self) -> None:
        """Forget the oldest that have ended."""
        ended = [key for key, job in self._jobs.items() if job.state != "running"]
        for key in ended[: max(0, len(self._jobs) - _REMEMBERED)]:
            del self._jobs[key]


def _absolute_folders() -> dict[str, str]:
    """The folders that the environment names, so that they are the same from a worker's folder."""
    names = ("PARETOSCOPE_HOME", "PARETOSCOPE_DATA")
    return {n: os.path.abspath(os.path.expanduser(os.environ[n])) for n in names if n in os.environ}


def _perform(line: str, emit: Emit) -> dict[str, Any]:
    """Do the task of one input line; what comes back is the last line of the answer."""
    request = json.loads(line)
    module, _, function = request["task"].partition(":")
    working = None
    try:
        if request["task"] not in _TAKE_TIMES:
            working = Working()

        def tell(message: Mapping[str, Any]) -> None:
            emit(message)
            if working is not None:
                working.pause()

        task = getattr(importlib.import_module(f"paretoscope.{module}"), function)
        return {"result": task(request["arguments"], tell)}
    except ParetoscopeError as error:
        return {"error": str(error)}
    except KeyboardInterrupt:
        return {"error": f"{request['task']} was interrupted before it had a result"}
    except MemoryError:
        return {"error": f"{request['task']} ran out of memory"}
    except Exception as error:  # the worker's own boundary: the cause goes to the server's log
        import traceback

        traceback.print_exc()
        return {"error": f"{request['task']} failed: {type(error).__name__}: {error}"}
    finally:
        if working is not None:
            working.close()


def _step_back() -> None:
    """Let pages and browsers of this machine answer first.

    Linux weighs whole sessions against each other (sched(7), autogroup): in a session of its own a
    process steps back only if its session does.
    """
    told = os.environ.get(NICE_VARIABLE, "")
    nice = int(told) if told.isdecimal() else _NICE
    if hasattr(os, "nice"):
        os.nice(nice)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(f"{nice}\n", encoding="ascii")


def _work() -> None:
    # Answers leave by a private copy of standard output; what libraries print goes to the log.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _step_back()
    # A server that was started in the background has it ignored, and so would its workers.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tasks: list[str] = []
    arrived = threading.Condition()

    def say(message: Mapping[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    def read() -> None:
        for line in sys.stdin:
            with arrived:
                tasks.append(line)
                arrived.notify()
        os._exit(0)  # the parent is gone or wants no more: end also in the middle of a task

    threading.Thread(target=read, daemon=True).start()
    while True:
        with contextlib.suppress(KeyboardInterrupt), arrived:  # it came after the task's end
            arrived.wait_for(lambda: tasks)
        if not tasks:
            continue
        say(_perform(tasks.pop(0), lambda message: say({"emit": message})))


if __name__ == "__main__":
    _work()
