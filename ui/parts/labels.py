"""Where the labels of a chart stand, so that none covers another and none is cut.

A chart is as wide as a visitor's window, which is not known here: a place must be free at several
widths. Heights are known. Places are pixels from the lower left corner of the plot area.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

# Of plot areas: columns of a laptop and of wide screens; phones have labels of their own.
WIDTHS = (340.0, 430.0, 560.0, 900.0)
BROAD_WIDTHS = (560.0, 690.0, 1000.0)
NARROW_WIDTHS = (230.0, 280.0, 330.0)
_LETTER, _LINE = 0.56, 1.3  # of the size of the letters
_EDGE, _APART = 3.0, 6.0  # pixels from the edge, and between labels
_LATER = 0.5  # what a spot further down its list must hide less

Box = tuple[float, float, float, float]  # left, bottom, right, top


@dataclass(frozen=True)
class Place:
    """A label's middle, in pixels right of and above what it names."""

    right: float
    up: float


def extent(lines: Sequence[str], size: float, wide: float = _LETTER) -> tuple[float, float]:
    """About how wide and high text is, in pixels."""
    return max(map(len, lines)) * size * wide, len(lines) * size * _LINE


def around(width: float, height: float, away: float) -> list[Place]:
    """Places at eight sides of a point, nearer ones first; those below right before others."""
    found = []
    for factor in (1.0, 1.8, 2.8, 4.0):
        x, y = width / 2 + away * factor, height / 2 + away * factor
        found += [Place(x, -y), Place(-x, -y), Place(-x, y), Place(x, y)]
        found += [Place(x, 0), Place(-x, 0), Place(0, -y), Place(0, y)]
    return found


@dataclass
class Room:
    """The plot areas, and what stands in them by now.

    Parameters
    ----------
    height : float
    widths : sequence of float
        At which each place must be free.
    """

    height: float
    widths: Sequence[float] = WIDTHS
    _marks: list[tuple[float, float, float, float]] = field(default_factory=list)
    _labels: list[tuple[float, float, Place, float, float]] = field(default_factory=list)

    def mark(self, x: float, y: float, radius: float, weight: float = 1.0) -> None:
        """Something is drawn at shares of width and height, that a label better leaves in sight."""
        self._marks.append((x, y, radius, weight))

    def line(self, points: Iterable[tuple[float, float]], weight: float = 1.0) -> None:
        """A line through points, as marks along it."""
        before: tuple[float, float] | None = None
        for x, y in points:
            if before is not None:
                n = max(1, round(24 * max(abs(x - before[0]), abs(y - before[1]))))
                for i in range(1, n):
                    share = i / n
                    at = before[0] + share * (x - before[0]), before[1] + share * (y - before[1])
                    self.mark(*at, 2.0, weight)
            self.mark(x, y, 2.0, weight)
            before = x, y

    def place(
        self, width: float, height: float, spots: Iterable[tuple[float, float, Place]]
    ) -> tuple[float, float, Place] | None:
        """The best spot for a label, which is taken then, the first ones preferred. None where each
        would be cut or cover another label at one of the widths.

        A spot is what is named, at shares of width and height, and a place beside it.
        """
        best: tuple[float, float, Place] | None = None
        least = float("inf")
        for rank, spot in enumerate(spots):
            if _LATER * rank >= least:
                break  # none that follows can be better
            boxes = [(at, _box(at, self.height, *spot, width, height)) for at in self.widths]
            if any(self._conflicts(at, box) for at, box in boxes):
                continue
            cost = _LATER * rank + sum(self._covered(at, box) for at, box in boxes)
            if cost < least:
                best, least = spot, cost
        if best is not None:
            self._labels.append((*best, width, height))
        return best

    def _covered(self, at: float, box: Box) -> float:
        """How much of what is drawn a label would hide."""
        left, bottom, right, top = box
        x, y, radius, weight = self._drawn
        hidden = (x * at > left - radius) & (x * at < right + radius)
        hidden &= (y * self.height > bottom - radius) & (y * self.height < top + radius)
        return float((weight * radius * radius)[hidden].sum())

    @cached_property
    def _drawn(self) -> npt.NDArray[np.float64]:
        """The marks as columns; all are there before the first label."""
        return np.array(self._marks or [(-9.0, -9.0, 0.0, 0.0)], np.float64).T

    def _conflicts(self, at: float, box: Box) -> bool:
        """Whether a label would be cut at the edge or lie on another label."""
        left, bottom, right, top = box
        if min(left, bottom) < _EDGE or right > at - _EDGE or top > self.height - _EDGE:
            return True
        return any(_overlap(box, _box(at, self.height, *other)) for other in self._labels)


def _box(
    at: float, height_of_all: float, x: float, y: float, place: Place, width: float, height: float
) -> Box:
    middle, up = x * at + place.right, y * height_of_all + place.up
    return middle - width / 2, up - height / 2, middle + width / 2, up + height / 2


def _overlap(one: Box, other: Box) -> bool:
    across = min(one[2], other[2]) - max(one[0], other[0])
    return across > -_APART and min(one[3], other[3]) - max(one[1], other[1]) > -_APART
