"""What runs in a sandbox: it holds itself to its limits, then does the jobs it is given.

A program, not a module: it is started by its path, so that it holds itself before anything else is
loaded, and of the library only what does its jobs. A job is a line of JSON on standard input,
``{"job", "sizes", "arguments"}``, followed by so many bytes for each part; its answer is a line of
JSON on standard output, and after it the bytes that the line counts as ``n_bytes``. To add one,
write ``(parts, arguments) -> dict`` and name it at the foot of this file.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

_WATCH_S = 0.5


def _hold(limits: Mapping[str, int]) -> None:
    """Set the limits, before anything else is imported."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    n_bytes = limits["memory_mb"] * 2**20
    wanted = {
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CPU": limits["processor_s"],
        "RLIMIT_AS": n_bytes,
    }
    if sys.platform == "linux":
        for name, limit in wanted.items():
            resource.setrlimit(getattr(resource, name), (limit, limit))


def _step_back() -> None:
    """Stand as far back as the process that started this one: Linux weighs whole sessions against
    each other (sched(7), autogroup), and this is one of its own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as file:
            file.write(f"{os.nice(0)}\n")


def _end_with_parent() -> None:
    """A worker that was killed in the middle of a job leaves no process behind that goes on."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    _step_back()
    _hold(json.loads(sys.argv[1]))
    _end_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a runtime prints is no answer
    from paretoscope.sandbox.refused import RefusedError

    source = sys.stdin.buffer
    while line := source.readline():
        head = json.loads(line)
        parts = [source.read(size) for size in head["sizes"]]
        answer: dict[str, Any]
        after = b""
        try:
            result = _job(head["job"])(parts, head["arguments"])
            after = result.pop("bytes", b"")
            answer = {"result": result, "n_bytes": len(after)}
        except MemoryError:
            answer = {"error": "MemoryError"}
        except RefusedError as error:
            answer = {"error": str(error)}
        except Exception as error:
            answer = {"error": _sentence(head["job"], error)}
        answers.write(json.dumps(answer).encode() + b"\n" + after)
        answers.flush()


def _job(name: str) -> Callable[[Sequence[bytes], Mapping[str, Any]], dict[str, Any]]:
    module, function = JOBS[name]
    found: Callable[[Sequence[bytes], Mapping[str, Any]], dict[str, Any]]
    found = getattr(import_module(f"paretoscope.sandbox.{module}"), function)
    return found


def _sentence(job: str, error: Exception) -> str:
    """The runtime's own words, on one line and not too many."""
    text = " ".join(str(error).split())
    if JOBS[job][0] in ("row_jobs", "picture_jobs"):
        return f"the file is damaged: {text[:200]}"
    return f"ONNX Runtime refuses it, so export it again: {text[:300]}"


JOBS = {
    "try": ("model_jobs", "try_model"),
    "predict": ("model_jobs", "predict"),
    "constants": ("model_jobs", "constants"),
    "open": ("model_jobs", "open_model"),
    "outputs": ("model_jobs", "outputs"),
    "seconds": ("model_jobs", "seconds"),
    "begin": ("walk_jobs", "begin"),
    "go on": ("walk_jobs", "go_on"),
    "finish": ("walk_jobs", "finish"),
    "close": ("walk_jobs", "close"),
    "table": ("row_jobs", "table"),
    "arrays": ("row_jobs", "arrays"),
    "look": ("picture_jobs", "look"),
    "draw": ("picture_jobs", "draw"),
}

if __name__ == "__main__":
    main()
