"""Networks that come with Paretoscope as ONNX files, for training them takes minutes:
convolutional ones were trained by `train_cnn`, the others by `paretoscope.train`."""

from __future__ import annotations

from importlib.resources import files


def find(dataset: str, model: str) -> bytes | None:
    """The bytes of a shipped network, trained with seed 0 on the split with seed 0."""
    file = files(__name__) / f"{dataset}-{model}.onnx"
    return file.read_bytes() if file.is_file() else None
