"""Problems: what is predicted, and how a prediction is judged. A dataset has one.

To add one, write its class with its scores in a file of its own, and name it in `problems.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Self

import numpy as np

from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import FloatArray
from paretoscope.problems.score import Hits, Labels, Predicted, Score, Targets

_OFF = 0.02


class Problem(ABC):
    """What is predicted, and how a prediction is judged.

    Attributes
    ----------
    name, title : str
        In files and on screen.
    offers : tuple of classes
        The scores of every such problem, the usual one first.
    targets : str
        "classes": labels, of which models give a score each; "numbers": what models are to give;
        "outputs": none, so those of the uncompressed model.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    offers: ClassVar[tuple[type[Score], ...]]
    targets: ClassVar[Literal["classes", "numbers", "outputs"]]

    @classmethod
    @abstractmethod
    def of(cls, names: tuple[str, ...]) -> Self:
        """The problem of outputs with these names."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Of its classes or of the numbers to predict: `of` makes the same problem of them."""

    def deciding(self, decision: str) -> Problem:
        """The same with another decision than the usual one, by its text; "" is the usual one.
        Raises a ParetoscopeError."""
        if decision:
            raise ParetoscopeError(f"{self.title.lower()} takes no decision; got {decision!r}")
        return self

    @property
    def takes_largest(self) -> bool:
        """Whether what is said of a row is which of its outputs is the largest."""
        return False

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
        """The mean loss that training lowers, and its derivative by the outputs, of their shape.

        The targets are those of rows, or what `as_targets` made of another model's outputs.
        """

    def as_targets(self, outputs: FloatArray) -> Targets:
        """What to learn from another model's outputs."""
        return outputs

    def told_apart(self, outputs: FloatArray, expected: FloatArray) -> Hits:
        """Of which rows outputs say something else than the expected ones, of shape (n,). By
        default those with an output that is off by more than 2 % of its standard deviation over
        the rows, which adds 0.02 % to an error as large as that deviation."""
        allowed = _OFF * expected.std(0, keepdims=True)
        off = np.abs(outputs - expected) > allowed
        found: Hits = off.reshape(len(off), -1).any(1)
        return found

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
