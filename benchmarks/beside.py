"""Time by protocol beside a sweep that is asked for at the same time, as a page's own is.

Claim: with workers that pause while times are taken, the interval of the ratio and that of the
identical copy are about as narrow as with nothing beside; with workers that do not, they are not.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import paretoscope as ps
from paretoscope.base.jobs import Worker
from paretoscope.measurement.latency_protocol import time_by_protocol
from paretoscope.network.network import Network

_SUBJECT = {"dataset": "digits", "split_seed": 0, "model": "cnn", "seed": 0, "stage": "measure",
            "zipped": True}  # fmt: skip
_RUNS = 3
# The same steps in processes that do not pause: two, as a bench and a job are.
_UNPAUSED = f"""
import itertools
from paretoscope.cli.tasks import measure_task
for k in itertools.count():
    recipe = f"magnitude(threshold={{0.001 + k % 300 / 1000:g}})+q({{4 + k % 60}})"
    measure_task({_SUBJECT!r} | {{"recipe": recipe}}, lambda message: None)
"""


def run() -> None:
    data = ps.load_dataset("digits")
    network = ps.train("cnn", data)
    recipe = ps.Recipe.parse("magnitude(sparsity=0.5)+q(8)")
    onnx_bytes = ps.compress(network, recipe, data.train).onnx_bytes
    for what, beside in (
        ("nothing beside", contextlib.nullcontext),
        ("two sweeps that do not pause", _unpaused),
        ("two sweeps that pause", _paused),
    ):
        with beside():
            for _ in range(_RUNS):
                _tell(what, onnx_bytes, network, data)


def _tell(what: str, onnx_bytes: bytes, network: Network, data: ps.Dataset) -> None:
    found = time_by_protocol(onnx_bytes, network.onnx_bytes, data.validation.X, batches=[1])[0]
    low, high = found.ratio_interval
    copy_low, copy_high = found.noise_interval
    print(
        f"{what}: ratio {found.ratio:.3f} ({low:.3f} to {high:.3f}), copy {copy_low:.3f} to "
        f"{copy_high:.3f}: {found.verdict}; median {np.median(found.median_us):.1f} us",
        flush=True,
    )


@contextlib.contextmanager
def _unpaused() -> Iterator[None]:
    started = [subprocess.Popen([sys.executable, "-c", _UNPAUSED]) for _ in range(2)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _paused() -> Iterator[None]:
    workers = [Worker() for _ in range(2)]
    done = threading.Event()

    def sweep(worker: Worker) -> None:
        for k in itertools.count():
            if done.is_set():
                return
            recipe = f"magnitude(threshold={0.001 + k % 300 / 1000:g})+q({4 + k % 60})"
            with contextlib.suppress(ps.ParetoscopeError):  # the process was ended
                list(worker.run("cli.tasks:measure_task", _SUBJECT | {"recipe": recipe}))

    threads = [threading.Thread(target=sweep, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for worker in workers:
            worker.close()
        for thread in threads:
            thread.join()
