"""All criteria, and the cut that they make of a network.

To add one, write a subclass of `Criterion` in a file of its own and add it to `CRITERIA` below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import BoolArray, Member
from paretoscope.data.rows import Rows
from paretoscope.methods.pruning.criterion import Criterion
from paretoscope.methods.pruning.cut import Cut
from paretoscope.methods.pruning.inputs import OptimalBrainSurgeon, Wanda
from paretoscope.methods.pruning.loss import L1Fit, TargetedDropout, Taylor
from paretoscope.methods.pruning.magnitude import Magnitude, RandomScore
from paretoscope.methods.pruning.selections import Pattern
from paretoscope.network.network import Network

CRITERIA: tuple[type[Criterion], ...] = (
    Magnitude,
    L1Fit,
    TargetedDropout,
    Taylor,
    Wanda,
    OptimalBrainSurgeon,
    RandomScore,
)


@dataclass(frozen=True)
class KeepAll(Member):
    """No pruning."""

    name = "keep"
    title = "No pruning"


Pruner = Criterion | KeepAll


def cut(network: Network, by_layer: Mapping[str, Pruner], rows: Rows | None = None) -> Cut:
    """The cut of a network whose layers have each a criterion.

    Layers with equal criteria are one group: a global scope ranks the weights of its group.

    Raises
    ------
    ParetoscopeError
        A criterion needs rows and there are none, or a pattern does not divide a layer.
    """
    groups = {
        pruner: [name for name, other in by_layer.items() if other == pruner]
        for pruner in dict.fromkeys(by_layer.values())
    }
    for pruner, members in groups.items():  # what cannot be is said before any work
        if isinstance(pruner, Criterion):
            if pruner.needs_rows and rows is None:
                raise ParetoscopeError(f"{pruner.name} needs training rows; got none")
            if isinstance(pruner.selection, Pattern):
                pruner.selection.check({name: network.weights[name] for name in members})
    kept: dict[str, BoolArray] = {}
    for pruner, members in groups.items():
        if isinstance(pruner, Criterion):
            scores = pruner.scores(network, rows)
            kept.update(pruner.selection({name: scores[name] for name in members}).kept)
        else:
            kept.update({name: np.ones(1, np.bool_) for name in members})
    return Cut({name: kept[name] for name in by_layer})


PRUNERS: tuple[type[Member], ...] = (KeepAll, *CRITERIA)
