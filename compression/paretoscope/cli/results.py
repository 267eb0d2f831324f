"""What the tasks of worker processes answer with: a record each, by one encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from paretoscope.artifact.kernel_times import KernelTimes
from paretoscope.artifact.size_parts import SizeReport
from paretoscope.measurement.classes import Confusion, Recall
from paretoscope.measurement.corruptions import Robustness
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.measurement.measurement import Computed, Measured
from paretoscope.problems.accuracy import Difference
from paretoscope.problems.comparison import Scored

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Flipped:
    """Of the rows with another label than before those of one kind: how many there are in all, and
    the first of them as (row, actual, before, now)."""

    n: int
    shown: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class RowsResult:
    """What became of which of `n` rows: by class, the confusion of two classes that grew most, and
    the rows that are newly wrong, newly right, or wrong both times in another way."""

    recalls: tuple[Recall, ...]
    confusion: Confusion | None
    n: int
    newly_wrong: Flipped
    newly_right: Flipped
    other: Flipped


@dataclass(frozen=True)
class ScoresResult:
    """Every score on `n` rows; the name of the one to look at first, and why it is not accuracy, or
    nothing."""

    scores: tuple[Scored, ...]
    opens_with: str
    why: str
    n: int


@dataclass(frozen=True)
class FlipsResult:
    """Of `n` rows those that both of two files, only one, or neither gets right; and of `neither`
    those on which their labels differ. `flipped` are those that only one gets right, the first of
    them as (row, actual, the first file's label, the second's)."""

    both: int
    first: int
    second: int
    neither: int
    differ: int
    n: int
    flipped: Flipped


@dataclass(frozen=True)
class TimingResult:
    """Times by protocol; and how many processors other programs kept busy meanwhile, None where the
    system does not tell."""

    timings: tuple[Timing, ...]
    others: float | None


@dataclass(frozen=True)
class KernelsResult:
    """How a network's codes run on this machine: their times, None where no layer is large enough
    to differ; and the text of the faster kernel."""

    times: KernelTimes | None
    choice: str


@dataclass(frozen=True)
class RobustnessResult:
    """The score before and after compression on `n` rows, at each strength of each corruption."""

    points: tuple[Robustness, ...]
    n: int


@dataclass(frozen=True)
class SeedsResult:
    """A recipe on several networks, one for each seed, without times."""

    measurements: tuple[Measured, ...]


@dataclass(frozen=True)
class NearMiss:
    """A recipe, by its text, that is cheaper than the best but lost too much."""

    recipe: str
    change: Difference


@dataclass(frozen=True)
class SearchResult:
    """What a search within a budget found.

    Attributes
    ----------
    best : Measured or None
        The best file.
    near : tuple of NearMiss
    over : tuple of Measured
        Files that were made and are over the budget.
    candidates : int
    evaluations : float
        The work done, as evaluations of one recipe on all rows.
    n : int
        Rows.
    front : tuple of Computed
        Of all candidates, each better than the others in one of quality and size.
    """

    best: Measured | None
    near: tuple[NearMiss, ...]
    over: tuple[Measured, ...]
    candidates: int
    evaluations: float
    n: int
    front: tuple[Computed, ...]


@dataclass(frozen=True)
class Task(Generic[Answer]):
    """A task that is remembered, by the name of its function in `paretoscope.cli.tasks`."""

    name: str
    answer: type[Answer]


ROWS = Task("rows_task", RowsResult)
SCORES = Task("scores_task", ScoresResult)
FLIPS = Task("flips_task", FlipsResult)
TIMING = Task("timing_task", TimingResult)
KERNELS = Task("kernels_task", KernelsResult)
SIZES = Task("size_task", SizeReport)
ROBUSTNESS = Task("robustness_task", RobustnessResult)
SEEDS = Task("seeds_task", SeedsResult)
SEARCH = Task("search_task", SearchResult)
