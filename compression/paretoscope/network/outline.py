"""A kept graph of which pages hold an outline alone: its layers, some weights, its metadata.

The server that draws pages never reads such a graph; the processes that make and run files do.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import onnx

from paretoscope.base.parameters import Weights
from paretoscope.network.in_place import InPlace
from paretoscope.network.places import Place
from paretoscope.network.sketch import Sketch, sketch_of


class Outline(InPlace):
    """A graph whose bytes are read when they are asked for, each time anew.

    Parameters
    ----------
    packed : bytes
        As `outlined` gave it.
    read : callable
        What reads the graph's bytes.
    """

    def __init__(self, packed: bytes, read: Callable[[], bytes]) -> None:
        with np.load(io.BytesIO(packed)) as arrays:
            about: dict[str, Any] = json.loads(arrays["about"].tobytes())
            sample = {name: arrays[f"w{k}"] for k, name in enumerate(about["places"])}
        self.__dict__ |= {"_about": about, "_read": read, "_sample": sample}

    _about: dict[str, Any]
    _read: Callable[[], bytes]
    _sample: Weights

    @property
    def onnx_bytes(self) -> bytes:
        return self._read()

    @property
    def _proto(self) -> onnx.ModelProto:
        return onnx.load_model_from_string(self.onnx_bytes)

    @cached_property
    def sha256(self) -> str:
        return str(self._about["sha256"])

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        found: dict[str, str] = self._about["metadata"]
        return found

    @cached_property
    def opset(self) -> int:
        return int(self._about["opset"])

    @cached_property
    def apart(self) -> float:
        return float(self._about["apart"])

    @cached_property
    def places(self) -> dict[str, Place]:
        return {
            name: Place(**plain | {n: tuple(plain[n]) for n in ("shape", "operators")})
            for name, plain in self._about["places"].items()
        }

    def whole(self) -> InPlace:
        return InPlace(self.onnx_bytes)

    @property
    def weights(self) -> Weights:
        return self.whole().weights

    @cached_property
    def sketch(self) -> Sketch:
        """Some of its weights."""
        return Sketch(b"", self._sample)


def outlined(network: InPlace) -> bytes | None:
    """What `Outline` is made of; None for a graph so small that it is as well held whole."""
    sketch = sketch_of(network)
    if sketch is network:
        return None
    about = {
        "sha256": network.sha256,
        "metadata": dict(network.metadata),
        "opset": network.opset,
        "apart": network.apart,
        "places": {name: asdict(place) for name, place in network.places.items()},
    }
    arrays: dict[str, Any] = {
        f"w{k}": sketch.weights[name] for k, name in enumerate(network.places)
    }
    buffer = io.BytesIO()
    np.savez(buffer, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
    return buffer.getvalue()
