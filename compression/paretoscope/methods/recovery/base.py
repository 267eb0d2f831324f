"""Recovery: which stored values hurt least, given what is cut and which values may be stored."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from paretoscope.base.parameters import FloatArray, Member
from paretoscope.data.dataset import Report
from paretoscope.data.rows import Rows
from paretoscope.methods.pruning import Cut
from paretoscope.methods.quantization import Codes, Grid, Quantizer
from paretoscope.network.network import Network


@dataclass(frozen=True)
class Stored:
    """What a compressed network keeps: codes for each weight, and biases where they are new."""

    codes: Mapping[str, Codes]
    biases: Mapping[str, FloatArray] = field(default_factory=dict)

    def decoded(self) -> dict[str, FloatArray]:
        """The weights that the codes stand for."""
        return {name: codes.decoded() for name, codes in self.codes.items()}


@dataclass(frozen=True, eq=False)
class RecoveryInput:
    """What a recovery works on.

    Attributes
    ----------
    network : Network
        The uncompressed network.
    cut : Cut
        What must stay zero.
    quantizers : mapping from layer to Quantizer
        What may be stored; each makes its grid for the weights that the recovery arrives at.
    train_rows, validation_rows : Rows or None
        To calibrate and train on, and to choose when to stop. Never test rows.
    report : callable
        ``report(fraction, text)`` is told how far long work is.
    """

    network: Network
    cut: Cut
    quantizers: Mapping[str, Quantizer]
    train_rows: Rows | None = None
    validation_rows: Rows | None = None
    report: Report = lambda fraction, text: None

    def kept(self, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """The mask of a layer, of its weight's shape."""
        return np.broadcast_to(self.cut.kept[name], self.network.weights[name].shape)

    def grid(self, name: str, weight: FloatArray) -> Grid:
        return self.quantizers[name].grid(weight, self.kept(name))


@dataclass(frozen=True)
class Recovery(Member):
    """Finds stored values that stay within the cut and on the grids."""

    needs_rows: ClassVar[bool] = False
    needs_validation_rows: ClassVar[bool] = False

    @abstractmethod
    def recover(self, given: RecoveryInput) -> Stored:
        """The values to store."""


@dataclass(frozen=True)
class NoRecovery(Recovery):
    """No recovery: each kept weight goes to the nearest storable value."""

    name = "project"
    title = "None"

    def recover(self, given: RecoveryInput) -> Stored:
        weights = given.cut.apply(given.network.weights)
        return Stored({name: given.grid(name, w).project(w) for name, w in weights.items()})
