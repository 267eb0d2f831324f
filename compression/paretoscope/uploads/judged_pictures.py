"""A model on an archive of pictures: which of them can be read, how they are to be scaled, and how
often it is right; then all of them as a dataset for that model."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.wording import counted
from paretoscope.data.own_data import keep_own
from paretoscope.network.network import Network
from paretoscope.problems.agreement import Agreement
from paretoscope.problems.classification import Classification
from paretoscope.uploads.importing import to_network
from paretoscope.uploads.models import Model
from paretoscope.uploads.picture_choice import FITS, Fit, PictureChoice
from paretoscope.uploads.pictures import (
    FEWEST_PICTURES,
    Frame,
    Pictures,
    Report,
    Wrong,
    classes_of,
    frame_of,
    open_sides,
    opened,
    rows_of_pictures,
    silent,
)
from paretoscope.uploads.scalings import MOST_TRIED, Trials, try_scalings

_N_SHOWN, _SHOWN_SIDE = 8, 112
NONE_OF_THESE = (
    "under none of the usual scalings is it right more often than chance: choose your own scaling, "
    "or look whether the classes are in its order"
)


@dataclass(frozen=True)
class Shown:
    """A picture as the model takes it, small: PNG in base64, and its label."""

    png: str
    label: str


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
    frame : Frame
        What pictures become for the model.
    shown : tuple of Shown
        Some of them as the model takes them.
    """

    line: str
    notes: tuple[str, ...]
    trials: Trials | None
    wrong: tuple[Wrong, ...]
    side: int | None
    frame: Frame
    shown: tuple[Shown, ...] = ()


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
        order = pictures.sample(MOST_TRIED)
        sample = _Sample.of(pictures, order, frame, choice.fit)
        if pictures.labels is None:
            _network(model, (), frame)
        else:
            classes, _ = classes_of(pictures.labels, n_scores, choice.names)
            n_classes = len(classes)
            trials = _trials(_network(model, classes, frame), frame, sample, n_scores, choice)
        rest = sorted(set(range(len(pictures))) - set(order))
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
        if trials is None and not frame.bytes_only:
            notes = (*notes, "without labels nothing tells which scaling is right: choose it")
        return Judged(line, notes, trials, tuple(pictures.wrong), side, frame, sample.shown())


def _frame(model: Model, pictures: Pictures, choice: PictureChoice) -> tuple[Frame, int | None]:
    frame_of(model.passed)  # refuses what takes no pictures
    side = (choice.side or pictures.side) if open_sides(model.passed) else None
    return frame_of(model.passed, side), side


def _network(model: Model, classes: Sequence[str], frame: Frame) -> Network:
    problem = Classification(tuple(classes)) if classes else Agreement(labels=False)
    n_features = int(np.prod(frame.part.shape))
    return to_network(model, classes, n_features, problem=problem, parts=(frame.part,))


@dataclass(frozen=True, eq=False)
class _Sample:
    """Some pictures as bytes (n, height, width, channels), which they are, and all labels."""

    pixels: npt.NDArray[np.uint8]
    places: list[int]
    labels: tuple[str, ...] | None

    @classmethod
    def of(cls, pictures: Pictures, order: Sequence[int], frame: Frame, fit: Fit) -> _Sample:
        parts: list[npt.NDArray[np.uint8]] = []
        places: list[int] = []
        for kept, pixels in pictures.decoded(order, frame, fit):
            places += kept
            parts.append(pixels)
        if not places:
            raise ParetoscopeError("none of the pictures can be read")
        return cls(np.concatenate(parts), places, pictures.labels)

    def shown(self) -> tuple[Shown, ...]:
        found = []
        for place in np.linspace(0, len(self.places) - 1, _N_SHOWN).astype(int):
            pixels = self.pixels[place]
            image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
            image.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            label = "" if self.labels is None else self.labels[self.places[place]]
            found.append(Shown(base64.b64encode(buffer.getvalue()).decode(), label))
        return tuple(found)


def _trials(
    network: Network, frame: Frame, sample: _Sample, n_scores: int, choice: PictureChoice
) -> Trials:
    assert sample.labels is not None
    # Of all labels, so that classes are the same whichever pictures are in the sample.
    _, y = classes_of(sample.labels, n_scores, choice.names)
    # A slow model sees the first only.
    order = np.random.default_rng(0).permutation(len(sample.places))
    pixels, known = sample.pixels[order], y[sample.places][order]
    return try_scalings(network, frame, pixels, known, choice.blue_first)


def keep_pictures(
    data: bytes,
    title: str,
    model: Model,
    n_scores: int,
    choice: PictureChoice,
    folder: Path,
    report: Report = silent,
) -> str:
    """Keep an archive's pictures as own data for a model; the name that `load_dataset` takes.
    Until they are kept they lie in a folder, which is the caller's to take away.

    Where no scaling was chosen, the one is taken under which the model is right most often.

    Raises
    ------
    ParetoscopeError
        As `judge_pictures`; or no scaling was chosen, and none of the usual ones is right.
    """
    with opened(data) as pictures:
        frame, _ = _frame(model, pictures, choice)
        notes = list(pictures.notes)
        known = frame.bytes_only and (choice.blue_first is not None or frame.channels == 1)
        if choice.scaled is None and not known and pictures.labels is not None:
            classes, _ = classes_of(pictures.labels, n_scores, choice.names)
            network = _network(model, classes, frame)
            sample = _Sample.of(pictures, pictures.sample(MOST_TRIED), frame, choice.fit)
            trials = _trials(network, frame, sample, n_scores, choice)
            if not trials.tells:
                raise ParetoscopeError(NONE_OF_THESE)
            best = trials.best
            choice = replace(choice, scaled=best.scaled, blue_first=best.blue_first)
            notes.append(
                f"scaled {best.title}: {100 * best.accuracy.value:.1f} % of "
                f"{best.accuracy.n:,} are right so, the most of what was tried"
            )
            pictures.begin_again()
        elif choice.scaled is None and not frame.bytes_only:
            raise ParetoscopeError(
                "without labels nothing tells how the pictures are to be scaled: choose it"
            )
        else:
            scaled = None if choice.scaled is None or frame.bytes_only else choice.scaled.title
            notes.append(f"scaled {scaled}" if scaled else "not scaled: the model takes bytes")
            notes += ["blue first"] if choice.blue_first else []
        raw = rows_of_pictures(pictures, frame, choice, n_scores, folder, report)
        n_wrong = sum(wrong.is_picture for wrong in pictures.wrong)
        if n_wrong:
            notes.append(f"{counted(n_wrong, 'picture')} could not be read: left out")
        notes += [*pictures.done, f"fitted: {FITS[choice.fit]}"]
        return keep_own(raw, title, notes)
