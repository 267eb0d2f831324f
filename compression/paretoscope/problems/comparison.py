"""Every score of a problem, of a file and of the uncompressed model on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

from paretoscope.base.parameters import FloatArray
from paretoscope.problems.accuracy import Difference, Figure
from paretoscope.problems.problem import Problem
from paretoscope.problems.score import Targets


@dataclass(frozen=True)
class Scored:
    """One score before and now, and its change.

    Attributes
    ----------
    name, title, unit : str
        The score's own.
    before, now : Figure
    change : Difference
    """

    name: str
    title: str
    unit: str
    before: Figure
    now: Figure
    change: Difference


def compare(
    problem: Problem, now: FloatArray, before: FloatArray, targets: Targets
) -> tuple[Scored, ...]:
    """All scores that a problem offers, in its order.

    Parameters
    ----------
    problem : Problem
    now, before : float arrays of shape (n, k)
        What the file and the uncompressed model give for the same rows.
    targets : array of shape (n,) or (n, outputs)
        Those of the rows.

    Raises
    ------
    ParetoscopeError
        Targets that cannot be of this problem.
    """
    problem.check(targets)
    ours, theirs = problem.predict(now), problem.predict(before)
    return tuple(
        Scored(
            score.name,
            score.title,
            score.unit,
            score.figure(theirs, targets),
            score.figure(ours, targets),
            score.difference(ours, theirs, targets),
        )
        for score in problem.scores
    )
