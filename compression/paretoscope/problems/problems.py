"""The problems that there are. To add one, name its class here."""

from __future__ import annotations

from collections.abc import Mapping

from paretoscope.problems.agreement import Agreement
from paretoscope.problems.classification import Classification
from paretoscope.problems.problem import Problem
from paretoscope.problems.regression import Regression

PROBLEMS: Mapping[str, type[Problem]] = {
    problem.name: problem for problem in (Classification, Regression, Agreement)
}
