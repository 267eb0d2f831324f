"""How a row of numbers becomes the inputs of any graph, and its output the scores of a row.

A row is the inputs' values side by side, as float32 of shape (d,). The runtime lays them out as
each input's shape and type say. What comes back is turned into scores: of probabilities their
logarithms, so that softmax gives them back; of one number for two classes two, half of it each way.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import BoolArray, FloatArray

KEY = "signature"  # in the metadata of a graph and of its files
Meaning = Literal["scores", "probabilities", "score", "probability"]
WHOLE = ("int32", "int64", "uint32", "uint64", "int16", "uint16", "int8", "uint8")
_SMALLEST = 1e-12  # of a probability


@dataclass(frozen=True)
class Feed:
    """One input: its name, its type as ONNX Runtime says it ("float", "int64"), and the shape of
    one row of it. `below` is the number of rows of the table that its whole numbers look up."""

    name: str
    type: str
    row: tuple[int, ...]
    below: int | None = None

    @property
    def width(self) -> int:
        return math.prod(self.row)


@dataclass(frozen=True)
class Signature:
    """What a graph takes and gives for rows.

    Attributes
    ----------
    inputs : tuple of Feed
    output : str
        The one that is judged.
    n_outputs : int
        Numbers that it gives for a row.
    others : tuple of str
        Other outputs of floats, which are only compared.
    other_widths : tuple of int
        Numbers that each of them gives for a row.
    batch : int or None
        Rows that each call must have, where the graph fixes them.
    means : {"scores", "probabilities", "score", "probability"}
        What the output's numbers are; the last two are one number for two classes.
    cut : float
        Above it that one number tells the second class.
    order : tuple of int
        Which of the scores are to come first, second ...; () as they are.
    """

    inputs: tuple[Feed, ...]
    output: str
    n_outputs: int
    others: tuple[str, ...] = ()
    other_widths: tuple[int, ...] = ()
    batch: int | None = None
    means: Meaning = "scores"
    cut: float = 0.0
    order: tuple[int, ...] = ()

    @property
    def n_features(self) -> int:
        return sum(feed.width for feed in self.inputs)

    @property
    def whole(self) -> BoolArray:
        """Of which values of a row the graph takes whole numbers only."""
        return np.concatenate(
            [np.full(f.width, f.type in WHOLE or f.type == "bool") for f in self.inputs]
        )

    @property
    def n_scores(self) -> int:
        return 2 if self.means in ("score", "probability") else self.n_outputs

    def scores(self, outputs: FloatArray) -> FloatArray:
        """Scores of shape (n, scores) for outputs of shape (n, n_outputs)."""
        found = outputs
        if self.means in ("score", "probability"):
            one = outputs.astype(np.float64)
            if self.means == "probability":
                p, cut = np.clip(one, _SMALLEST, 1 - _SMALLEST), self.cut
                one = np.log(p / (1 - p)) - math.log(cut / (1 - cut))
            else:
                one = one - self.cut
            found = np.concatenate([-one / 2, one / 2], 1)
        elif self.means == "probabilities":
            found = np.log(np.maximum(outputs, _SMALLEST))
        if self.order:
            found = found[:, list(self.order)]
        return np.ascontiguousarray(found, np.float32)

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of a row of each output, the judged one first."""
        return (self.n_outputs, *self.other_widths)

    def plain(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    def to_text(self) -> str:
        """As JSON. `parse` is its inverse."""
        return json.dumps(self.plain(), separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Raises a ParetoscopeError where it is none."""
        try:
            given: dict[str, Any] = json.loads(text)
            feeds = [Feed(**feed | {"row": tuple(feed["row"])}) for feed in given.pop("inputs")]
            for name in ("others", "other_widths", "order"):
                given[name] = tuple(given[name])
            return cls(tuple(feeds), **given)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ParetoscopeError(f"the file's signature cannot be read: {error}") from error
