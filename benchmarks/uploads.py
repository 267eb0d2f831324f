"""What the safe path of a model costs over the unsafe one, and what a neighbour feels of it.

Claims: gate, sandbox and a trial run take less than 0.6 s more for a small model than loading and
running it in this process, which nobody should do. While one visitor's model runs without end,
another's page answers within 300 ms. Archives of pictures that are made to do harm, by pixels, by
compression and by names, are refused within 5 s, and the process that asks is no larger for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import paretoscope as ps
import psutil
from onnx import TensorProto, helper
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import home
from paretoscope.uploads.checking import Chosen
from paretoscope.uploads.models import read_model
from paretoscope.uploads.picture_choice import SCALINGS, PictureChoice
from paretoscope.uploads.pictures import opened
from paretoscope.uploads.taking import Brought, judged, take

from benchmarks.app import spread
from tests.archives import BOMBS, archive, coloured_digits, encoded, network_on
from tests.browser.serving import serve
from tests.browser.visitors import visit_often

RUNS = 15
ANSWERS = 12
PICTURES = 10_000


def run() -> None:
    for dataset, model in (("iris", "logistic-regression"), ("digits", "mlp-64-32")):
        data = ps.load_dataset(dataset)
        onnx_bytes = ps.train(model, data).onnx_bytes
        rows = data.train.X[:2]
        safe, unsafe = [], []
        for _ in range(RUNS):
            start = time.perf_counter()
            ort.InferenceSession(onnx_bytes).run(None, {"features": rows})
            middle = time.perf_counter()
            read_model(onnx_bytes)
            unsafe.append(middle - start)
            safe.append(time.perf_counter() - middle)
        a, b = np.median(safe), np.median(unsafe)
        print(
            f"{dataset}, {model}: gate and sandbox {1e3 * a:.0f} ms, in this process "
            f"{1e3 * b:.1f} ms: {a - b:.2f} s more (n = {RUNS})"
        )
    _bombs()
    _ten_thousand_pictures()
    _neighbour()


def _bombs() -> None:
    for name, made in BOMBS.items():
        data = made()
        before, start = _memory_mb(), time.perf_counter()
        try:
            with opened(data):
                told = "taken"
        except ParetoscopeError as error:
            told = f"refused: {error}"
        taken, more = time.perf_counter() - start, _memory_mb() - before
        print(f"{name}, {len(data) / 1e6:.1f} MB: {taken:.1f} s, {more:+.1f} MB; {told}")


def _ten_thousand_pictures() -> None:
    """Judged and kept for a model: how large this process was at most, mapped files counted."""
    pixels, y = coloured_digits()
    large = np.ones((14, 14, 1), np.uint8)
    drawn = [encoded(np.kron(one, large), "jpg", quality=80) for one in pixels]
    names = [(f"{y[k % len(y)]}/{k}.jpg", drawn[k % len(y)]) for k in range(PICTURES)]
    model = network_on((0.5,), (0.5,), times=14, odd=True)
    chosen = Chosen(pictures=PictureChoice(scaled=SCALINGS["-1 to 1"]))
    brought = Brought(model, "model.onnx", archive(names), "pictures.zip", chosen=chosen)
    start = time.perf_counter()
    line = judged(brought).line
    middle = time.perf_counter()
    kept = ps.load_dataset(take(brought).dataset)
    end = time.perf_counter()
    status = Path("/proc/self/status").read_text("ascii")
    most = int(status.split("VmHWM:")[1].split()[0]) / 1e3
    print(
        f"{line}: judged in {middle - start:.0f} s, kept in {end - middle:.0f} s; at most "
        f"{most:,.0f} MB, {kept.raw.X.nbytes / 1e6:,.0f} MB of them a mapped file"
    )


def _memory_mb() -> float:
    return psutil.Process().memory_info().rss / 1e6


def _neighbour() -> None:
    with serve(str(home())) as server:
        asyncio.run(visit_often(server.url, 2, 25, pause_s=1.0))  # until the files are measured
        alone = asyncio.run(visit_often(server.url, 1, ANSWERS, pause_s=0.5))
        endless = threading.Thread(target=_judge_endless)
        endless.start()
        time.sleep(1)
        beside = asyncio.run(visit_often(server.url, 1, ANSWERS, pause_s=0.5))
        still = endless.is_alive()
        endless.join()
    print(f"a page alone: {spread(alone)} ms")
    print(
        f"beside an endless model: {spread(beside)} ms, at most {max(beside):.0f}"
        + ("" if still else " (the model had ended before)")
    )


def _judge_endless() -> None:
    try:
        read_model(_endless())
    except ParetoscopeError as error:
        print(f"the endless model: {error}")


def _endless() -> bytes:
    """A loop without a trip count whose condition stays true."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c_in"], ["c_out"]),
            helper.make_node("Mul", ["v_in", "v_in"], ["v_out"]),
        ],
        "body",
        [
            value("i", TensorProto.INT64, []),
            value("c_in", TensorProto.BOOL, []),
            value("v_in", TensorProto.FLOAT, ["n", 4]),
        ],
        [value("c_out", TensorProto.BOOL, []), value("v_out", TensorProto.FLOAT, ["n", 4])],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["", "go", "X"], ["Y"], body=body)],
        "g",
        [value("X", TensorProto.FLOAT, ["n", 4])],
        [value("Y", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor("go", TensorProto.BOOL, [], [True])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found: bytes = made.SerializeToString()
    return found
