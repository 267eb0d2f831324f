"""Sessions of ONNX Runtime over graphs of strangers: each runs in a sandbox, never in this process.

The sessions of one network and of its files share a process, which starts with the first call and
ends a minute after the last; those of another network have another one, so that nobody waits for a
stranger's model. There are few at a time: one that rests makes room for a new one.
"""

from __future__ import annotations

import atexit
import itertools
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.sandbox.sandbox import Limits, Sandbox, SandboxError

Floats = npt.NDArray[np.float32]
# Long work has stops of its own; these end what never would.
LIMITS = Limits(memory_mb=6144, processor_s=24 * 3600, wall_s=600)
_IDLE_S = 60
_MOST_PROCESSES = 4
_LONGEST_WAIT_S, _LOOK_S = 60, 0.05  # for one of them to rest
_BYTES_AT_ONCE = 2**26  # of rows that are handed over, and of outputs that come back
_numbers = itertools.count(1)


class Session:
    """A loaded model.

    Parameters
    ----------
    model : bytes
    signature : mapping
        As `paretoscope.network.signature.Signature` is as JSON types.
    owner : str
        What tells networks apart: sessions of the same owner share a process.
    threads : int, optional
        Within an operator; by default as many as ONNX Runtime takes.
    plain : bool, default False
        Whether operators run as they stand in the file, without any optimisation.
    wall_s : int, optional
        Seconds that a call may take; by default ten minutes.

    Raises
    ------
    ParetoscopeError
        ONNX Runtime does not load the model, or a limit was reached.
    """

    def __init__(
        self,
        model: bytes,
        signature: Mapping[str, Any],
        owner: str,
        threads: int | None = None,
        *,
        plain: bool = False,
        wall_s: int | None = None,
    ) -> None:
        self._name = f"model {next(_numbers)}"
        self._signature = dict(signature)
        self._asked = {"signature": self._signature, "threads": threads, "plain": plain}
        self._model, self._owner, self._wall_s = model, owner, wall_s
        self._loaded: Sandbox | None = None
        self._timed: Floats | None = None
        with _POOL.of(owner) as process:
            self._load(process)  # so that what cannot be loaded is refused here

    def outputs(self, X: Floats, *, every: bool = False) -> Floats:
        """What the judged output, or every one side by side, gives for rows of shape (n, d):
        float32 of shape (n, numbers)."""
        n_outputs = int(self._signature["n_outputs"])
        n_all = n_outputs + (sum(self._signature["other_widths"]) if every else 0)
        step = max(1, _BYTES_AT_ONCE // (4 * max(X.shape[1], n_all)))
        found = [np.empty((0, n_outputs), np.float32)] if not len(X) else []
        for start in range(0, len(X), step):
            rows = np.ascontiguousarray(X[start : start + step], np.float32)
            answer = self._run("outputs", [rows.tobytes()], n=len(rows), all=int(every))
            flat = np.frombuffer(answer["bytes"], np.float32)
            found.append(flat.reshape(len(rows), sum(answer["widths"])))
        return np.concatenate(found)

    def seconds(self, X: Floats, calls: int) -> float:
        """How long so many calls, each with all rows, take by the sandbox's own clock."""
        with _POOL.of(self._owner) as process:
            self._load(process)  # after a new start it knows of no rows
            parts = [] if self._timed is X else [np.ascontiguousarray(X, np.float32).tobytes()]
            asked = {"name": self._name, "n": len(X), "calls": calls}
            answer = process.run("seconds", parts, asked)
            self._timed = X
        return float(answer["seconds"])

    def _run(self, job: str, parts: Sequence[bytes], **arguments: int) -> dict[str, Any]:
        with _POOL.of(self._owner) as process:
            self._load(process)
            asked = {"name": self._name, **arguments}
            return process.run(job, parts, asked, wall_s=self._wall_s)

    def _load(self, process: Sandbox) -> None:
        """Put this model into its owner's process, where it is not yet."""
        if self._loaded is not process:
            asked = {"name": self._name, **self._asked}
            process.run("open", [self._model], asked, wall_s=self._wall_s)
            self._loaded, self._timed = process, None
            # Not at once: it may be called in the middle of another call.
            weakref.finalize(self, _POOL.gone.append, (self._owner, self._name))


class Walk:
    """Rows on their way through a graph that is run piece by piece.

    Parameters
    ----------
    signature : mapping
        As for `Session`.
    owner : str
        As for `Session`.
    X : float32 array of shape (n, d)

    Raises
    ------
    ParetoscopeError
        A piece cannot be run, or what stands between two of them cannot be kept.
    """

    def __init__(self, signature: Mapping[str, Any], owner: str, X: Floats) -> None:
        self._name, self._owner = f"walk {next(_numbers)}", owner
        self._output, self._n_outputs = str(signature["output"]), int(signature["n_outputs"])
        asked = {"name": self._name, "signature": dict(signature), "n": len(X)}
        with _POOL.of(owner) as self._process:
            answer = self._process.run(
                "begin", [np.ascontiguousarray(X, np.float32).tobytes()], asked
            )
        weakref.finalize(self, _POOL.gone.append, (owner, self._name))
        self.known: dict[str, tuple[str, list[int | None]]] = answer["kinds"]

    def go_on(self, piece: bytes, makes: Sequence[str], keeps: Sequence[str]) -> None:
        """Run a piece; what it `makes` and what it `keeps` is `known` after it."""
        self.known = self._run("go on", [piece], makes=list(makes), keeps=list(keeps))["kinds"]

    def finish(self, fills: bytes, gap: int, rest: bytes | None = None) -> Floats:
        """What the judged output is, of shape (n, numbers), by all that is left.

        Parameters
        ----------
        fills : bytes
            What is written into a gap of that model.
        gap : int
            Where in its bytes.
        rest : bytes, optional
            The model; by default that of the last call.
        """
        parts = [fills] if rest is None else [fills, rest]
        answer = self._run("finish", parts, output=self._output, gap=gap)
        return np.frombuffer(answer["bytes"], np.float32).reshape(-1, self._n_outputs)

    def _run(self, job: str, parts: Sequence[bytes], **arguments: Any) -> dict[str, Any]:
        with _POOL.of(self._owner) as process:
            if process is not self._process:
                raise SandboxError("the process that kept the rows has ended")
            return process.run(job, parts, {"name": self._name, **arguments})


@dataclass(frozen=True, eq=False)
class Timed:
    """Calls of a session with the same rows, which the sandbox times itself."""

    session: Session
    X: Floats

    def __call__(self) -> None:
        self.seconds(1)

    def seconds(self, calls: int) -> float:
        """How long so many take."""
        return self.session.seconds(self.X, calls)


class _Process:
    """One owner's process, and who uses it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.sandbox: Sandbox | None = None
        self.used_at = time.monotonic()

    def close(self) -> None:
        if self.sandbox is not None:
            self.sandbox.close()
        self.sandbox = None


class _Pool:
    """The processes that there are, by their owners."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: dict[str, _Process] = {}
        self._watched = False
        # Owners and names of models that nobody holds any more.
        self.gone: deque[tuple[str, str]] = deque()

    @contextmanager
    def of(self, owner: str) -> Iterator[Sandbox]:
        """The owner's process for one exchange, started where there is none."""
        with self._held(owner) as process:
            if process.sandbox is None or not process.sandbox.alive:
                process.close()
                process.sandbox = Sandbox(LIMITS, in_turn=False)
            gone = []
            with suppress(IndexError):  # another owner empties it, too
                while True:
                    gone.append(self.gone.popleft())
            self.gone.extend(one for one in gone if one[0] != owner)
            names = [name for whose, name in gone if whose == owner]
            if names:
                process.sandbox.run("close", [], {"names": names})
            try:
                yield process.sandbox
            finally:
                process.used_at = time.monotonic()

    @contextmanager
    def _held(self, owner: str) -> Iterator[_Process]:
        while True:
            process = self._process(owner)
            with process.lock:
                if self._processes.get(owner) is process:  # else it was ended just now
                    yield process
                    return

    def _process(self, owner: str) -> _Process:
        deadline = time.monotonic() + _LONGEST_WAIT_S
        while True:
            with self._lock:
                self._watch()
                if owner in self._processes:
                    return self._processes[owner]
                if len(self._processes) < _MOST_PROCESSES or self._made_room():
                    return self._processes.setdefault(owner, _Process())
            if time.monotonic() > deadline:
                raise SandboxError("other models keep this server busy: try again in a minute")
            time.sleep(_LOOK_S)

    def _made_room(self) -> bool:
        """End the process that has rested longest, where one rests."""
        for owner in sorted(self._processes, key=lambda o: self._processes[o].used_at):
            if self._end(owner):
                return True
        return False

    def _end(self, owner: str) -> bool:
        process = self._processes[owner]
        if not process.lock.acquire(blocking=False):
            return False
        try:
            process.close()
            del self._processes[owner]
        finally:
            process.lock.release()
        return True

    def _watch(self) -> None:
        """End what has rested for a minute."""
        if not self._watched:
            self._watched = True
            threading.Thread(target=self._end_idle, daemon=True).start()

    def _end_idle(self) -> None:
        while True:
            time.sleep(_IDLE_S / 4)
            with self._lock:
                for owner, process in list(self._processes.items()):
                    if time.monotonic() - process.used_at > _IDLE_S:
                        self._end(owner)
                if not self._processes:
                    self._watched = False
                    return

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            for process in self._processes.values():
                process.close()
            self._processes.clear()


_POOL = _Pool()
atexit.register(_POOL.close)
