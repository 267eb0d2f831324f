"""Archives of pictures for tests: digits in colour, and networks that were trained on them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

SIDE = 16
Pixels = npt.NDArray[np.uint8]


@lru_cache(maxsize=1)
def coloured_digits(n: int = 600) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Orange digits on blue, as bytes of shape (n, 16, 16, 3), and which they are."""
    found = load_digits()
    ink = np.repeat(np.repeat(found.images[:n] / 16, 2, 1), 2, 2)[..., None]
    front, back = np.array([250, 140, 30]), np.array([20, 40, 120])
    rng = np.random.default_rng(0)
    noisy = ink * front + (1 - ink) * back + rng.normal(0, 8, (n, SIDE, SIDE, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8), found.target[:n].astype(np.int64)


def encoded(pixels: npt.NDArray[Any], ending: str = "png", **options: Any) -> bytes:
    buffer = io.BytesIO()
    kind = {"jpg": "JPEG", "jpeg": "JPEG"}.get(ending, ending.upper())
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def archive(files: Mapping[str, bytes] | Sequence[tuple[str, bytes]], **options: Any) -> bytes:
    """A ZIP of files by their names."""
    buffer = io.BytesIO()
    pairs = list(files.items()) if isinstance(files, Mapping) else files
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as made:
        for name, data in pairs:
            made.writestr(name, data)
    return buffer.getvalue()


@lru_cache(maxsize=4)
def digits_archive(n: int = 200) -> bytes:
    """A folder for each digit."""
    pixels, y = coloured_digits()
    return archive({f"digits/{k}/p{i}.png": encoded(pixels[i]) for i, k in enumerate(y[:n])})


def network_on(
    mean: Sequence[float],
    deviation: Sequence[float],
    *,
    blue_first: bool = False,
    last: bool = False,
    trained: bool = True,
    sides: tuple[int, int] | tuple[str, str] = (SIDE, SIDE),
    times: int = 1,
    of_bytes: bool = False,
    two: bool = False,
    odd: bool = False,
) -> bytes:
    """An ONNX file of a network with one hidden layer, trained on coloured digits so scaled: it
    takes (n, 3, 16, 16), or with `last` (n, 16, 16, 3); with `times` so many times larger ones, of
    which it takes means; bytes with `of_bytes`. With `two` it tells 0 from 1 by one probability,
    with `odd` it holds operators that no chain has."""
    if times > 1:
        sides = (times * SIDE, times * SIDE)
    pixels, y = coloured_digits()
    if two:
        pixels, y = pixels[y < 2], y[y < 2]
    scaled = (pixels / 255 - np.array(mean)) / np.array(deviation)
    scaled = scaled[..., ::-1] if blue_first else scaled
    X = (scaled if last else scaled.transpose(0, 3, 1, 2)).reshape(len(y), -1)
    spread = X.std()  # what is learnt does not hang on the unit, the first layer does
    model = MLPClassifier((24,), activation="tanh", max_iter=60 if trained else 1, random_state=0)
    if not trained:
        model.set_params(learning_rate_init=1e-9)
    center = X.mean(0)
    model.fit((X - center) / spread, y)
    weights = [w.astype(np.float32) for w in model.coefs_]
    biases = [b.astype(np.float32) for b in model.intercepts_]
    biases[0] = (biases[0] - center @ weights[0] / spread).astype(np.float32)
    weights[0] = (weights[0] / spread).astype(np.float32)
    shape = ["n", *sides, 3] if last else ["n", 3, *sides]
    pool = []
    if times > 1:
        sides_ = [times, times]
        pool = [
            helper.make_node(
                "AveragePool", ["image"], ["small"], kernel_shape=sides_, strides=sides_
            )
        ]
    bend = [("Sin", "between", "bent"), ("Asin", "bent", "hidden")]  # which is nothing
    bend = bend if odd else [("Identity", "between", "hidden")]
    kind = TensorProto.UINT8 if of_bytes else TensorProto.FLOAT
    given = {"w0": weights[0], "b0": biases[0], "w1": weights[1], "b1": biases[1]}
    graph = helper.make_graph(
        [
            *pool,
            helper.make_node("Cast", ["small" if pool else "image"], ["floats"], to=1),
            helper.make_node("Flatten", ["floats"], ["row"]),
            helper.make_node("Gemm", ["row", "w0", "b0"], ["before"]),
            helper.make_node("Tanh", ["before"], ["between"]),
            *(helper.make_node(kind, [a], [b]) for kind, a, b in bend),
            helper.make_node("Gemm", ["hidden", "w1", "b1"], ["score" if two else "scores"]),
            *([helper.make_node("Sigmoid", ["score"], ["scores"])] if two else []),
        ],
        "digits",
        [helper.make_tensor_value_info("image", kind, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1 if two else 10])],
        [numpy_helper.from_array(array, name) for name, array in given.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    model_ = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model_)
    serialized: bytes = model_.SerializeToString()
    return serialized


# --- archives that are made to do harm ---------------------------------------------------------


def digits_and(files: dict[str, bytes], n: int = 40) -> bytes:
    """An archive of digits and of some files more."""
    pixels, y = coloured_digits()
    plain = {f"{k}/{i}.png": encoded(pixels[i]) for i, k in enumerate(y[:n])}
    return archive(plain | files)


def png_of(width: int, height: int) -> bytes:
    """The head of a picture that would be so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def many_names(n: int, *, large: bool = False) -> bytes:
    """Names without end, each of an empty file: written by hand, for zipfile takes minutes. With
    `large` the record at the end tells of one, and that for large archives of all."""
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 5, 0) + b"a.png"
    one = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0,
                      0) + b"a.png"  # fmt: skip
    directory = one * n
    said, n_bytes = (1, len(one)) if large else (n & 0xFFFF, len(directory))
    after = b""
    if large:
        place = len(local) + len(directory)
        after = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, n, n, len(directory),
                            len(local))  # fmt: skip
        after += struct.pack("<4sLQL", b"PK\x06\x07", 0, place, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, said, said, n_bytes, len(local), 0)
    return local + directory + after + end


BOMBS: dict[str, Callable[[], bytes]] = {
    "pixels": lambda: digits_and({"3/bomb.png": png_of(60_000, 60_000)}),
    "compression": lambda: digits_and({"3/bomb.png": bytes(60_000_000)}),
    "names": lambda: many_names(3_000_000),
}
