"""Sessions of ONNX Runtime over graphs of strangers: each runs in a sandbox, never in this process.

The sessions of one network and of its files share a process, which starts with the first call and
ends a minute after the last; those of another network get another one.
"""

from __future__ import annotations

import atexit
import itertools
import threading
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.sandbox.sandbox import Limits, Sandbox

Floats = npt.NDArray[np.float32]
# Long work has stops of its own; these end what never would.
LIMITS = Limits(memory_mb=6144, processor_s=24 * 3600, wall_s=600)
_IDLE_S = 60
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
    ) -> None:
        self._name = f"model {next(_numbers)}"
        self._signature = dict(signature)
        self._asked = {"signature": self._signature, "threads": threads, "plain": plain}
        self._model, self._owner = model, owner
        self._loaded: Sandbox | None = None
        self._timed: Floats | None = None
        with _PROCESS.lock:
            self._process()  # so that what cannot be loaded is refused here

    def outputs(self, X: Floats, *, every: bool = False) -> Floats:
        """What the judged output, or every one side by side, gives for rows of shape (n, d):
        float32 of shape (n, numbers)."""
        n_outputs = int(self._signature["n_outputs"])
        step = max(1, _BYTES_AT_ONCE // (4 * max(X.shape[1], n_outputs)))
        found = [np.empty((0, n_outputs), np.float32)] if not len(X) else []
        for start in range(0, len(X), step):
            rows = np.ascontiguousarray(X[start : start + step], np.float32)
            answer = self._run("outputs", [rows.tobytes()], n=len(rows), all=int(every))
            flat = np.frombuffer(answer["bytes"], np.float32)
            found.append(flat.reshape(len(rows), sum(answer["widths"])))
        return np.concatenate(found)

    def seconds(self, X: Floats, calls: int) -> float:
        """How long so many calls, each with all rows, take by the sandbox's own clock."""
        with _PROCESS.lock:
            self._process()  # after a new start it knows of no rows
            parts = [] if self._timed is X else [np.ascontiguousarray(X, np.float32).tobytes()]
            answer = self._run("seconds", parts, n=len(X), calls=calls)
            self._timed = X
        return float(answer["seconds"])

    def _run(self, job: str, parts: Sequence[bytes], **arguments: int) -> dict[str, Any]:
        with _PROCESS.lock:
            return self._process().run(job, parts, {"name": self._name, **arguments})

    def _process(self) -> Sandbox:
        """The owner's process, with this model in it."""
        process = _PROCESS.of(self._owner)
        if self._loaded is not process:
            process.run("open", [self._model], {"name": self._name, **self._asked})
            self._loaded, self._timed = process, None
            # Not at once: it may be called in the middle of another call.
            weakref.finalize(self, _PROCESS.gone.append, self._name)
        return process


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
    """The one process that there is at a time, and whose it is."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.sandbox: Sandbox | None = None
        self._owner = ""
        self.gone: deque[str] = deque()  # names of models that nobody holds any more
        self._clock: threading.Timer | None = None

    def of(self, owner: str) -> Sandbox:
        if self.sandbox is None or not self.sandbox.alive or self._owner != owner:
            self.close()
            self.sandbox, self._owner = Sandbox(LIMITS, in_turn=False), owner
        names = [self.gone.popleft() for _ in range(len(self.gone))]
        if names:
            self.sandbox.run("close", [], {"names": names})
        self._wind()
        return self.sandbox

    def _wind(self) -> None:
        """Begin to wait anew."""
        if self._clock is not None:
            self._clock.cancel()
        self._clock = threading.Timer(_IDLE_S, self.close)
        self._clock.daemon = True
        self._clock.start()

    def close(self) -> None:
        with self.lock:
            if self._clock is not None:
                self._clock.cancel()
            if self.sandbox is not None:
                self.sandbox.close()
            self.sandbox = None


_PROCESS = _Process()
atexit.register(_PROCESS.close)
