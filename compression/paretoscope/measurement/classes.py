"""Accuracy by class, before and after: recall, confusions, and the rows whose label flipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretoscope.problems.accuracy import Accuracy, Change, accuracy, change

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Recall:
    """How many rows of one class are recognised, before and after, on the same rows.

    With many classes some intervals miss the truth by chance: one in twenty.
    """

    name: str
    before: Accuracy
    now: Accuracy
    change: Change


@dataclass(frozen=True)
class Confusion:
    """How many rows of class `actual` are taken for class `predicted`, before and after."""

    actual: str
    predicted: str
    before: int
    now: int


@dataclass(frozen=True, eq=False)
class Flips:
    """The rows that are labelled otherwise than before, by their places among the rows.

    Those of `other` are wrong both times, in different ways.
    """

    newly_wrong: npt.NDArray[np.intp]
    newly_right: npt.NDArray[np.intp]
    other: npt.NDArray[np.intp]
    n: int

    @property
    def share(self) -> float:
        """Of all rows."""
        return (len(self.newly_wrong) + len(self.newly_right) + len(self.other)) / self.n


def recalls(now: Labels, before: Labels, y: Labels, names: Sequence[str]) -> list[Recall]:
    """One for each class that has rows, in the classes' order.

    Parameters
    ----------
    now, before, y : int64 arrays of shape (n,)
        Labels predicted by the compressed and the uncompressed network, and the true ones.
    names : sequence of str
        Of the classes.
    """
    found = []
    for label, name in enumerate(names):
        own = y == label
        if own.any():
            parts = now[own], before[own], y[own]
            found.append(
                Recall(name, accuracy(parts[1], y[own]), accuracy(parts[0], y[own]), change(*parts))
            )
    return found


def worst(found: Sequence[Recall]) -> Recall:
    """The class whose recall fell most; of equals the one with the lower recall now."""
    return min(found, key=lambda recall: (recall.change.value, recall.now.value))


def grown_confusion(
    now: Labels, before: Labels, y: Labels, names: Sequence[str]
) -> Confusion | None:
    """The confusion of one class with another that grew most, or None where none grew."""
    counts_now, counts_before = (_confusions(labels, y, len(names)) for labels in (now, before))
    grown = counts_now - counts_before
    np.fill_diagonal(grown, 0)
    if grown.max(initial=0) <= 0:
        return None
    actual, predicted = divmod(int(grown.argmax()), len(names))
    return Confusion(
        names[actual],
        names[predicted],
        int(counts_before[actual, predicted]),
        int(counts_now[actual, predicted]),
    )


def flips(now: Labels, before: Labels, y: Labels) -> Flips:
    """The rows whose label changed."""
    changed = now != before
    right, was_right = now == y, before == y
    return Flips(
        np.flatnonzero(changed & was_right),
        np.flatnonzero(changed & right),
        np.flatnonzero(changed & ~right & ~was_right),
        len(y),
    )


def _confusions(labels: Labels, y: Labels, n_classes: int) -> npt.NDArray[np.int64]:
    """How often each actual class (rows) is taken for each class (columns)."""
    pairs = np.bincount(y * n_classes + labels, minlength=n_classes * n_classes)
    counts: npt.NDArray[np.int64] = pairs.reshape(n_classes, n_classes)
    return counts
