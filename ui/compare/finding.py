"""What a comparison found: which line is best at one size, as far as the rows can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paretoscope.measurement.measurement import Measurement

from ui.base import words


@dataclass(frozen=True)
class AtSize:
    """The best of a line's files that are no larger than a size."""

    name: str
    network: str
    best: Measurement

    def is_below(self, other: AtSize) -> bool:
        """Whether it is worse than another for certain: of one network by the rows that changed, of
        two by their intervals."""
        if self.network == other.network:
            return self.best.change.surely_below(other.best.change)
        ours, theirs = self.best.quality.interval, other.best.quality.interval
        if ours is None or theirs is None:
            return False
        if self.best.change.higher_is_better:
            return ours[1] < theirs[0]
        return ours[0] > theirs[1]


def standing(found: Sequence[AtSize]) -> tuple[list[AtSize], list[AtSize]]:
    """Those that the rows cannot tell from the best, and the others, each best first."""
    ordered = sorted(found, key=lambda one: -one.best.merit)
    leading = [one for one in ordered if not one.is_below(ordered[0])]
    return leading, [one for one in ordered if one not in leading]


def finding(found: Sequence[AtSize], size: str, *, waiting: bool) -> str:
    """The answer in a sentence.

    Parameters
    ----------
    found : sequence of AtSize
        Of the lines that reach the size.
    size : str
        In words.
    waiting : bool
        Whether points of the lines are still to be computed: a half of them finds nothing.
    """
    if waiting:
        return "Computing the lines"
    if len(found) < 2:
        return f"No two lines reach down to {size}"
    leading, behind = standing(found)
    n = found[0].best.quality.n
    best = leading[0]
    if len(leading) == 1:
        second = behind[0]
        ahead = best.best.merit - second.best.merit
        by = words.amount(ahead, best.best.quality.unit).replace("pt", "points")
        return f"{best.name} is best at {size}: {by} ahead of {second.name}"
    if not behind:
        return f"At {size}, {n:,} rows cannot tell which of these {len(found)} is best"
    names = words.listed([one.name for one in leading])
    if len(leading) > 3:
        names = f"{len(leading)} of these {len(found)}"
    worse = words.listed([one.name for one in behind])
    if len(behind) > 2:
        worse = f"the other {len(behind)}"
    are = "is" if len(behind) == 1 else "are"
    return f"At {size}, {n:,} rows cannot tell {names} apart; {worse} {are} worse"
