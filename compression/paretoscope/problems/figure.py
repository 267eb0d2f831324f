"""A score of some rows, and how it differs from the uncompressed model's on the same rows: those
that rest on an estimate of the spread. Counted ones are in `accuracy.py`, and what both are called
there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["not worse", "worse", "cannot tell"]
Interval = tuple[float, float]
MOST_ROWS = 1000.0  # times as many rows, beyond which it is not said how many would tell


@dataclass(frozen=True)
class Estimate:
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
    unit : str
        As that of the score: "%" for shares, which are kept as 0 to 1.
    """

    value: float
    n: int
    interval: Interval | None
    why: str = ""
    unit: str = ""


@dataclass(frozen=True)
class EstimatedDifference:
    """A score now minus the one of the uncompressed model on the same `n` rows.

    As an `Estimate`; where `higher_is_better`, a rise is a gain.
    """

    value: float
    n: int
    interval: Interval | None
    higher_is_better: bool = True
    why: str = ""
    unit: str = ""

    @property
    def gain(self) -> float:
        """How much better it is, in the score's unit: below zero where it is worse."""
        return self.value if self.higher_is_better else -self.value

    def verdict(self, margin: float) -> Verdict:
        """What the interval lets one say against a loss of `margin`, in the score's unit.

        "not worse": less than the margin is lost. "worse": something is lost, and it may be as
        much as the margin. "cannot tell": neither, or no interval is known.

        >>> EstimatedDifference(0.4, 360, (0.1, 0.7), higher_is_better=False).verdict(margin=0.2)
        'worse'
        >>> EstimatedDifference(0.4, 360, (0.1, 0.7)).verdict(margin=0.2)
        'not worse'
        """
        ends = self._gains()
        return "cannot tell" if ends is None else verdict_of(ends, margin)

    def surely_below(self, other: Any) -> bool:
        """Whether this is worse than another change, of the same score and network on the same
        rows: whether the intervals of the two gains lie apart. How the two vary together is not
        known, and no dependence makes their difference vary more than both together.

        >>> one, other = (EstimatedDifference(v, 360, (v - 1, v + 1)) for v in (-3, 0))
        >>> one.surely_below(other), other.surely_below(one)
        (True, False)
        """
        ours, theirs = self._gains(), other._gains()
        return ours is not None and theirs is not None and ours[1] < theirs[0]

    def rows_needed(self, margin: float) -> int | None:
        """About how many rows would tell, if the others are like these. None where this many
        already tell, or 1,000 times as many would not.

        An interval narrows with the root of the number of rows.

        >>> EstimatedDifference(-1.0, 100, (-3.0, 1.0)).rows_needed(margin=0.5)
        400
        """
        ends = self._gains()
        if ends is None or verdict_of(ends, margin) != "cannot tell":
            return None
        (low, high), gain = ends, self.gain
        # So many times narrower, it shows that less than the margin is lost, or that some is.
        enough = [(gain - low) / (gain + margin)] if gain > -margin else []
        enough += [(high - gain) / -gain] if gain < 0 else []
        times = min(enough, default=math.inf) ** 2
        return None if times > MOST_ROWS else math.ceil(self.n * times)

    def _gains(self) -> Interval | None:
        if self.interval is None:
            return None
        low, high = self.interval
        return (low, high) if self.higher_is_better else (-high, -low)


def verdict_of(gains: Interval, margin: float) -> Verdict:
    """What an interval of a gain lets one say against a loss of `margin`."""
    low, high = gains
    if low > -margin:
        return "not worse"
    return "worse" if high < 0 else "cannot tell"


def to_plain(figure: Any) -> dict[str, Any]:
    """A figure or difference as JSON types."""
    return {name: getattr(figure, name) for name in figure.__dataclass_fields__}


def of_plain(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What an estimate is made of, from JSON types."""
    interval = plain["interval"]
    return {**plain, "interval": None if interval is None else tuple(interval)}
