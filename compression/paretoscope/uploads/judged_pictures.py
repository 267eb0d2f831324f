"""A model on an archive of pictures: which of them can be read, how they are to be scaled, and how
often it is right; then all of them as a dataset for that model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.wording import counted
from paretoscope.data.own_data import keep_own
from paretoscope.network.network import Network
from paretoscope.problems.agreement import Agreement
from paretoscope.uploads.importing import to_network
from paretoscope.uploads.models import Model
from paretoscope.uploads.pictures import (
    FEWEST_PICTURES,
    FITS,
    Frame,
    PictureChoice,
    Pictures,
    Report,
    Wrong,
    classes_of,
    frame_of,
    open_sides,
    opened,
    rows_of_pictures,
)
from paretoscope.uploads.scalings import MOST_TRIED, Trials, try_scalings

NONE_OF_THESE = (
    "under none of the usual scalings is it right more often than chance: choose your own scaling, "
    "or look whether the classes are in its order"
)


@dataclass(frozen=True)
class Judged:
    """What a model makes of an archive of pictures.

    Attributes
    ----------
    line : str
    notes : tuple of str
    trials : Trials or None
        Of scalings; None where no label tells what is right.
    wrong : tuple of Wrong
        Files that cannot be read.
    side : int or None
        Of the frame that was taken where the model leaves it open.
    """

    line: str
    notes: tuple[str, ...]
    trials: Trials | None
    wrong: tuple[Wrong, ...]
    side: int | None


def judge_pictures(data: bytes, model: Model, n_scores: int, choice: PictureChoice) -> Judged:
    """Look at all pictures of an archive, and try scalings on some.

    Raises
    ------
    ParetoscopeError
        The archive is refused, or the model takes no pictures, or other ones.
    """
    with opened(data) as pictures:
        frame, side = _frame(model, pictures, choice)
        trials, n_classes = None, 0
        sample = pictures.sample(MOST_TRIED)
        if pictures.labels is None:
            _network(model, (), frame)
            for _ in pictures.decoded(sample, frame, choice.fit):
                pass
        else:
            classes, _ = classes_of(pictures.labels, n_scores, choice.names)
            n_classes = len(classes)
            network = _network(model, classes, frame)
            trials = _trials(network, frame, pictures, sample, n_scores, choice)
        rest = sorted(set(range(len(pictures))) - set(sample))
        for _ in pictures.decoded(rest, frame, choice.fit):
            pass
        n_kept = len(pictures) - sum(wrong.is_picture for wrong in pictures.wrong)
        if n_kept < FEWEST_PICTURES:
            raise ParetoscopeError(
                f"only {counted(n_kept, 'picture')} can be read; at least {FEWEST_PICTURES} are "
                "taken"
            )
        height, width = frame.sides
        held = f"{n_classes:,} classes" if n_classes else "no labels"
        colours = "grey" if frame.channels == 1 else "colour"
        line = f"{counted(n_kept, 'picture')}, {held}; {width:,} x {height:,} pixels in {colours}"
        notes = (*pictures.notes, *pictures.done)
        if trials is None:
            notes = (*notes, "without labels nothing tells which scaling is right: choose it")
        return Judged(line, notes, trials, tuple(pictures.wrong), side)


def _frame(model: Model, pictures: Pictures, choice: PictureChoice) -> tuple[Frame, int | None]:
    frame_of(model.passed)  # refuses what takes no pictures
    side = (choice.side or pictures.side) if open_sides(model.passed) else None
    return frame_of(model.passed, side), side


def _network(model: Model, classes: Sequence[str], frame: Frame) -> Network:
    problem = None if classes else Agreement(labels=False)
    n_features = int(np.prod(frame.part.shape))
    return to_network(model, classes, n_features, problem=problem, parts=(frame.part,))


def _trials(
    network: Network,
    frame: Frame,
    pictures: Pictures,
    sample: Sequence[int],
    n_scores: int,
    choice: PictureChoice,
) -> Trials:
    assert pictures.labels is not None
    parts: list[npt.NDArray[np.uint8]] = []
    places: list[int] = []
    for kept, pixels in pictures.decoded(sample, frame, choice.fit):
        places += kept
        parts.append(pixels)
    # Of all labels, so that classes are the same whichever pictures are in the sample.
    _, y = classes_of(pictures.labels, n_scores, choice.names)
    order = np.random.default_rng(0).permutation(len(places))  # a slow model sees the first only
    if not len(order):
        raise ParetoscopeError("none of the pictures can be read")
    return try_scalings(network, frame, np.concatenate(parts)[order], y[places][order])


def keep_pictures(
    data: bytes, title: str, model: Model, n_scores: int, choice: PictureChoice, report: Report
) -> str:
    """Keep an archive's pictures as own data for a model; the name that `load_dataset` takes.

    Where no scaling was chosen, the one is taken under which the model is right most often.

    Raises
    ------
    ParetoscopeError
        As `judge_pictures`; or no scaling was chosen, and none of the usual ones is right.
    """
    with opened(data) as pictures:
        frame, _ = _frame(model, pictures, choice)
        notes = list(pictures.notes)
        if choice.scaled is None and not frame.bytes_only:
            if pictures.labels is None:
                raise ParetoscopeError(
                    "without labels nothing tells how the pictures are to be scaled: choose it"
                )
            classes, _ = classes_of(pictures.labels, n_scores, choice.names)
            network = _network(model, classes, frame)
            sample = pictures.sample(MOST_TRIED)
            trials = _trials(network, frame, pictures, sample, n_scores, choice)
            if not trials.tells:
                raise ParetoscopeError(NONE_OF_THESE)
            best = trials.best
            choice = replace(choice, scaled=best.scaled, blue_first=best.blue_first)
            notes.append(
                f"scaled {best.title}: {100 * best.accuracy.value:.1f} % of "
                f"{best.accuracy.n:,} are right so, the most of what was tried"
            )
            pictures.wrong.clear()
        elif choice.scaled is not None:
            order = ", blue first" if choice.blue_first else ""
            notes.append(f"scaled {choice.scaled.title}{order}")
        with rows_of_pictures(pictures, frame, choice, n_scores, report) as raw:
            n_wrong = sum(wrong.is_picture for wrong in pictures.wrong)
            if n_wrong:
                notes.append(f"{counted(n_wrong, 'picture')} could not be read: left out")
            notes.append(f"fitted: {FITS[choice.fit]}")
            return keep_own(raw, title, notes)
