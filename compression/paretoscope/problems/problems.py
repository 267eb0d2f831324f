"""The problems that there are. To add one, name its class here."""

from __future__ import annotations

import json
from collections.abc import Mapping

from paretoscope.problems.agreement import Agreement
from paretoscope.problems.classification import Classification
from paretoscope.problems.problem import Problem
from paretoscope.problems.regression import Regression

PROBLEMS: Mapping[str, type[Problem]] = {
    problem.name: problem for problem in (Classification, Regression, Agreement)
}


def names_of(problem: Problem) -> dict[str, str]:
    """What a network's metadata say of its outputs; `problem_of` is the inverse."""
    names = json.dumps(problem.names, separators=(",", ":"))
    if isinstance(problem, Classification):
        return {"classes": names}
    return {"problem": problem.name, "targets": names}


def problem_of(metadata: Mapping[str, str], n_outputs: int) -> Problem:
    """What a network's outputs say, as its metadata tell; without, which class."""
    kind = PROBLEMS.get(metadata.get("problem", ""), Classification)
    names = json.loads(metadata.get("targets", metadata.get("classes", "[]")))
    return kind.of(tuple(names) or tuple(map(str, range(n_outputs))))


def title(score: str) -> str:
    """What a score of some problem is called on screen."""
    return _SCORES[score].title


def spoken(score: str) -> str:
    """What a score of some problem is called within a sentence."""
    return _SCORES[score].spoken


_SCORES = {score.name: score for problem in PROBLEMS.values() for score in problem.offers}
