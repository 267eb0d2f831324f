"""What the safe path of a model costs over the unsafe one.

Claim: gate, sandbox and a trial run take less than 0.6 s more for a small model than loading and
running it in this process, which nobody should do.
"""

from __future__ import annotations

import time

import numpy as np
import onnxruntime as ort
import paretoscope as ps
from paretoscope.uploads.checking import read_model

RUNS = 15


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
