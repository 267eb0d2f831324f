"""Which processor this is, how many threads products may take, and what else keeps it busy."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's name, with the widest vector instructions that decide how codes run."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    vectors = [
        f for f in ("avx2", "avx512f", "avx512_vnni") if f in fields.get("flags", "").split()
    ]
    return " ".join([fields.get("model name", platform.machine()), *vectors[-1:]])


@lru_cache(maxsize=1)
def _controller() -> Any:
    import scipy.linalg.cython_blas  # numba multiplies by scipy's library, which must be loaded
    from threadpoolctl import ThreadpoolController

    assert scipy.linalg.cython_blas is not None
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Products of this process take one thread each, for as long as this lasts."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


class Others:
    """How many processors programs other than this process and its children kept busy, from the
    time this was made to when it is asked; None where the system does not tell."""

    def __init__(self) -> None:
        self._began = _busy_s(), sum(os.times()[:4]), time.monotonic()

    def processors(self) -> float | None:
        all_before, own_before, began = self._began
        all_now, own_now, now = _busy_s(), sum(os.times()[:4]), time.monotonic()
        if all_before is None or all_now is None or now <= began:
            return None
        return max(0.0, (all_now - all_before - (own_now - own_before)) / (now - began))


def _busy_s() -> float | None:
    """Seconds that all processors together were busy since the machine started (proc(5))."""
    try:
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        user, nice, system, _idle, _wait, irq, soft_irq = map(int, words[1:8])
        return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
