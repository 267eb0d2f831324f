"""Run by a Python of another environment: files in another runtime. Prints a line for each file:
its name, and the share of labels that are those of ONNX Runtime here, or "fails".

Usage: python elsewhere.py RUNTIME FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np


def scores(runtime: str, path: Path, X: Any) -> Any:
    if runtime == "openvino":
        import openvino

        core = openvino.Core()
        model = core.compile_model(core.read_model(path), "CPU")
        return next(iter(model([X]).values()))
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})[0]


def main(runtime: str, folder: Path) -> None:
    for path in sorted(folder.glob("*.onnx")):
        with np.load(path.with_suffix(".npz")) as beside:
            X, labels = beside["X"], beside["labels"]
        try:
            told = f"{(scores(runtime, path, X).argmax(1) == labels).mean():.3f}"
        except Exception:  # each runtime has errors of its own
            told = "fails"
        print(path.stem, told)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
