"""Image networks at full width and 224 pixels, made with onnx alone, and rows for them.

``python -m benchmarks.large_models FOLDER`` writes both networks and their rows there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, CLASSES = 224, 1000
_GRAIN = 8  # pixels of a patch of one colour


class _Graph:
    """A graph that grows node by node; weights are random, as large as keeps values in range."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def array(self, name: str, values: npt.NDArray[np.float32]) -> str:
        self.arrays.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def conv(
        self, x: str, n_in: int, n_out: int, side: int, stride: int = 1, groups: int = 1
    ) -> str:
        shape = n_out, n_in // groups, side, side
        spread = np.sqrt(2 / np.prod(shape[1:]))
        place = len(self.arrays)
        weight = self.array(f"conv{place}.weight", self.rng.normal(0, spread, shape))
        bias = self.array(f"conv{place}.bias", np.zeros(n_out, np.float32))
        pads = [side // 2] * 4
        return self.node(
            "Conv", x, weight, bias, strides=[stride] * 2, pads=pads, group=groups,
            kernel_shape=[side, side],
        )  # fmt: skip

    def finish(self, x: str, n_in: int) -> bytes:
        x = self.node("Flatten", self.node("GlobalAveragePool", x))
        weight = self.array("head.weight", self.rng.normal(0, 0.03, (n_in, CLASSES)))
        bias = self.array("head.bias", np.zeros(CLASSES, np.float32))
        self.nodes.append(helper.make_node("Gemm", [x, weight, bias], ["scores"]))
        taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
        given = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", CLASSES])
        graph = helper.make_graph(self.nodes, "large", [taken], [given], self.arrays)
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def mobilenet_v2() -> bytes:
    """3.5 million weights, 14 MB."""
    graph = _Graph()
    graph.array("zero", np.zeros(()))
    graph.array("six", np.full((), 6))

    def clipped(x: str) -> str:
        return graph.node("Clip", x, "zero", "six")

    x, width = clipped(graph.conv("image", 3, 32, 3, stride=2)), 32
    blocks = (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)
    for expansion, n_out, n_blocks, stride in (*blocks, (6, 160, 3, 2), (6, 320, 1, 1)):
        for number in range(n_blocks):
            step, inner, y = stride if number == 0 else 1, width * expansion, x
            if expansion > 1:
                y = clipped(graph.conv(y, width, inner, 1))
            y = clipped(graph.conv(y, inner, inner, 3, stride=step, groups=inner))
            y = graph.conv(y, inner, n_out, 1)
            x = graph.node("Add", x, y) if step == 1 and width == n_out else y
            width = n_out
    return graph.finish(clipped(graph.conv(x, width, 1280, 1)), 1280)


def resnet50() -> bytes:
    """25.5 million weights, 102 MB."""
    graph = _Graph()
    x = graph.node("Relu", graph.conv("image", 3, 64, 7, stride=2))
    x = graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    width = 64
    for inner, n_blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(n_blocks):
            step, beside = stride if number == 0 else 1, x
            y = graph.node("Relu", graph.conv(x, width, inner, 1))
            y = graph.node("Relu", graph.conv(y, inner, inner, 3, stride=step))
            y = graph.conv(y, inner, 4 * inner, 1)
            if number == 0:
                beside = graph.conv(x, width, 4 * inner, 1, stride=step)
            # Halved, so that sums of blocks do not grow without end.
            half = graph.array(f"half{len(graph.arrays)}", np.full((), 0.5))
            x = graph.node("Relu", graph.node("Mul", graph.node("Add", y, beside), half))
            width = 4 * inner
    return graph.finish(x, width)


MODELS = {"mobilenet_v2": mobilenet_v2, "resnet50": resnet50}


def images(n: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Images of shape (n, 3, 224, 224): patches of colour with noise, which no archive shrinks."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (n, 3, SIDE // _GRAIN, SIDE // _GRAIN), np.int16)
    large = patches.repeat(_GRAIN, 2).repeat(_GRAIN, 3)
    noise = rng.integers(-20, 21, large.shape, np.int16)
    found: npt.NDArray[np.uint8] = np.clip(large + noise, 0, 255).astype(np.uint8)
    return found


def labels(model: bytes, X: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """What a model says of images, a fifth of it replaced by any class: an accuracy of 80 %."""
    import onnxruntime as ort

    session = ort.InferenceSession(model)
    batches: Iterator[npt.NDArray[np.uint8]] = (X[i : i + 10] for i in range(0, len(X), 10))
    said = [session.run(None, {"image": b.astype(np.float32)})[0].argmax(1) for b in batches]
    found: npt.NDArray[np.int64] = np.concatenate(said)
    rng = np.random.default_rng(1)
    wrong = rng.random(len(found)) < 0.2
    found[wrong] = rng.integers(0, CLASSES, wrong.sum())
    return found


def write(folder: Path, name: str, n_rows: int) -> tuple[Path, Path]:
    """A network and an archive of rows for it; their paths."""
    model, X = MODELS[name](), images(n_rows)
    onnx_path, rows_path = folder / f"{name}.onnx", folder / f"{name}.npz"
    onnx_path.write_bytes(model)
    np.savez(rows_path, images=X, labels=labels(model, X))
    return onnx_path, rows_path


if __name__ == "__main__":
    for model_name in MODELS:
        print(*write(Path(sys.argv[1]), model_name, 500))
