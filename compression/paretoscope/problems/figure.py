"""A score of some rows, and how it differs from the uncompressed model's on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["not worse", "worse", "cannot tell"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """A score on `n` rows.

    Attributes
    ----------
    value : float
        In the score's own unit.
    n : int
    interval : (low, high) or None
        At 95 %; None where none is known that would hold, for a reason that `why` tells.
    why : str
        One clause, or empty.
    """

    value: float
    n: int
    interval: Interval | None
    why: str = ""


@dataclass(frozen=True)
class Difference:
    """A score now minus the one of the uncompressed model on the same `n` rows.

    Attributes
    ----------
    value : float
        In the score's own unit.
    n : int
    interval : (low, high) or None
        At 95 %; None where none is known that would hold, for a reason that `why` tells.
    higher_is_better : bool
        Whether a rise is a gain.
    why : str
        One clause, or empty.
    """

    value: float
    n: int
    interval: Interval | None
    higher_is_better: bool = True
    why: str = ""

    @property
    def gain(self) -> float:
        """How much better it is, in the score's unit: below zero where it is worse."""
        return self.value if self.higher_is_better else -self.value

    def verdict(self, margin: float) -> Verdict:
        """What the interval lets one say against a loss of `margin`, in the score's unit.

        "not worse": less than the margin is lost. "worse": something is lost, and it may be as
        much as the margin. "cannot tell": neither, or no interval is known.

        >>> Difference(0.4, 360, (0.1, 0.7), higher_is_better=False).verdict(margin=0.2)
        'worse'
        >>> Difference(0.4, 360, (0.1, 0.7)).verdict(margin=0.2)
        'not worse'
        """
        if self.interval is None:
            return "cannot tell"
        low, high = self.interval
        worst, best = (low, high) if self.higher_is_better else (-high, -low)
        if worst > -margin:
            return "not worse"
        return "worse" if best < 0 else "cannot tell"
