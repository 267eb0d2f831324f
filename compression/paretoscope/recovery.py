"""Recovery: which stored values hurt least, given what is cut and which values may be stored.

To add one, write a subclass of `Recovery` and add it to `RECOVERIES` at the foot of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from paretoscope.dataset import Rows
from paretoscope.network import Network
from paretoscope.parameters import FloatArray, Member
from paretoscope.pruning import Cut
from paretoscope.quantization import Codes, Grid


@dataclass(frozen=True)
class Stored:
    """What a compressed network keeps: codes for each weight, and biases where they are new."""

    codes: Mapping[str, Codes]
    biases: Mapping[str, FloatArray] = field(default_factory=dict)

    def decoded(self) -> dict[str, FloatArray]:
        """The weights that the codes stand for."""
        return {name: codes.decoded() for name, codes in self.codes.items()}


@dataclass(frozen=True)
class Recovery(Member):
    """Finds stored values that stay within the cut and on the grids."""

    needs_rows: ClassVar[bool] = False

    def recover(
        self,
        network: Network,
        cut: Cut,
        grids: Mapping[str, Grid],
        train_rows: Rows | None,
        validation_rows: Rows | None,
    ) -> Stored:
        """The values to store.

        Parameters
        ----------
        network : Network
            The uncompressed network.
        cut, grids
            What must stay zero, and what may be stored, for each weight.
        train_rows, validation_rows : Rows, optional
            For recoveries that calibrate, fine-tune, and choose when to stop. Never test rows.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Project(Recovery):
    """No recovery: each kept weight goes to the nearest storable value."""

    text_name = "project"
    title = "None"

    def recover(
        self,
        network: Network,
        cut: Cut,
        grids: Mapping[str, Grid],
        train_rows: Rows | None = None,
        validation_rows: Rows | None = None,
    ) -> Stored:
        weights = cut.apply(network.weights)
        return Stored({name: grids[name].project(weight) for name, weight in weights.items()})


RECOVERIES: tuple[type[Recovery], ...] = (Project,)
