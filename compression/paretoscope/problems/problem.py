"""Problems: what is predicted, and how a prediction is judged. A dataset has one.

To add one, write its class with its scores in a file of its own, and name it in `problems.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from paretoscope.base.errors import one_of
from paretoscope.base.parameters import FloatArray
from paretoscope.problems.score import Labels, Predicted, Score, Targets


class Problem(ABC):
    """What is predicted, and how a prediction is judged.

    Attributes
    ----------
    name, title : str
        In files and on screen.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    @property
    @abstractmethod
    def scores(self) -> tuple[Score, ...]:
        """Those that it offers, the usual one first."""

    @abstractmethod
    def check(self, targets: Targets) -> None:
        """Raise a ParetoscopeError where targets cannot be of this problem."""

    @abstractmethod
    def strata(self, targets: Targets) -> Labels:
        """Groups of rows of which every split is to have its share, int64 of shape (n,)."""

    @abstractmethod
    def loss(self, outputs: FloatArray, targets: Targets) -> tuple[float, FloatArray]:
        """The mean loss that training lowers, and its derivative by the outputs, of their shape."""

    def predict(self, outputs: FloatArray) -> Predicted:
        """What is said of rows with these outputs."""
        return Predicted(outputs)

    def opens_with(self, targets: Targets) -> tuple[Score, str]:
        """The score to look at first, and why it is not the usual one, or nothing."""
        del targets
        return self.scores[0], ""

    def score(self, name: str) -> Score:
        """The score of a name. Raises a ParetoscopeError."""
        found = {score.name: score for score in self.scores}
        if name not in found:
            raise one_of("score", name, list(found))
        return found[name]
