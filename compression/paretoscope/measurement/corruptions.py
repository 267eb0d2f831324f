"""All corruptions, and how two files fare under them.

Noise fits any rows; shift, rotation and blur are of images. To add one, write a subclass of
`Corruption`, in a file of its own where it is long, and add it to `CORRUPTIONS` at the foot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from paretoscope.artifact.runtimes import OnnxRuntime
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.data.dataset import Dataset
from paretoscope.data.rows import Rows
from paretoscope.measurement.corruption import Corruption, by_turns, within
from paretoscope.problems.accuracy import Difference, Figure
from paretoscope.problems.problem import Problem
from paretoscope.problems.score import Score

_SEED = 0
_SPREAD_VALUES = 2**26


class Noise(Corruption):
    """Gaussian noise on every feature; its standard deviation is a share of a full pixel, or for
    tables of each feature's own standard deviation in the training rows."""

    name = "noise"
    title = "Noise"
    unit = "standard deviation, share of a full pixel or of the feature's own"
    axis = "share of full or own spread"
    of_images = False
    strengths = (0.0, 0.05, 0.1, 0.2, 0.4)

    def apply(self, X: FloatArray, strength: float, data: Dataset) -> FloatArray:
        rng = np.random.default_rng(_SEED)
        scale = _spread(data) if data.largest is None else data.largest
        noisy = X + (strength * scale) * rng.standard_normal(X.shape, dtype=np.float32)
        return within(noisy, data)


def _spread(data: Dataset) -> FloatArray:
    """Of each feature, by the train rows; of large ones no more than fit well."""
    n = max(2, _SPREAD_VALUES // data.train.at(np.arange(1)).X.shape[1])
    found: FloatArray = data.train.at(np.arange(min(n, len(data.train)))).X.std(0)
    return found


class Shift(Corruption):
    """Shifted by a share of the width to one of eight sides, by turns; what moves in is blank."""

    name = "shift"
    title = "Shift"
    unit = axis = "share of the width"
    strengths = (0.0, 0.04, 0.08, 0.12, 0.16)

    def apply(self, X: FloatArray, strength: float, data: Dataset) -> FloatArray:
        from scipy import ndimage

        def moved(images: FloatArray, turn: int) -> Any:
            angle = turn * np.pi / 4
            by = strength * images.shape[3] * np.array([np.sin(angle), np.cos(angle)])
            return ndimage.shift(images, (0, 0, *by), order=1)

        return by_turns(X, data, 8, moved)


class Rotation(Corruption):
    """Turned about the middle, every second image the other way; corners that open are blank."""

    name = "rotation"
    title = "Rotation"
    unit = axis = "degrees"
    strengths = (0.0, 5.0, 10.0, 20.0, 30.0)

    def apply(self, X: FloatArray, strength: float, data: Dataset) -> FloatArray:
        from scipy import ndimage

        def turned(images: FloatArray, turn: int) -> Any:
            angle = strength * (1 - 2 * turn)
            return ndimage.rotate(images, angle, axes=(2, 3), reshape=False, order=1)

        return by_turns(X, data, 2, turned)


class Blur(Corruption):
    """Blurred by a Gaussian whose standard deviation is a share of the width."""

    name = "blur"
    title = "Blur"
    unit = "standard deviation, share of the width"
    axis = "share of the width"
    strengths = (0.0, 0.02, 0.04, 0.07, 0.1)

    def apply(self, X: FloatArray, strength: float, data: Dataset) -> FloatArray:
        from scipy import ndimage

        def blurred(images: FloatArray, turn: int) -> Any:
            sigma = strength * images.shape[3]
            return ndimage.gaussian_filter(images, (0, 0, sigma, sigma))

        return by_turns(X, data, 1, blurred)


@dataclass(frozen=True)
class Robustness:
    """A score before and after compression on rows with a corruption at a strength."""

    corruption: str
    strength: float
    before: Figure
    now: Figure
    change: Difference


def corruptions(data: Dataset) -> list[Corruption]:
    """Those that fit a dataset."""
    return [c() for c in CORRUPTIONS if data.image_shape is not None or not c.of_images]


def robustness(
    onnx_bytes: bytes,
    baseline_bytes: bytes,
    data: Dataset,
    rows: Rows,
    score: Score | None = None,
    problem: Problem | None = None,
) -> Iterator[Robustness]:
    """Run both files on the same rows under each corruption at each of its strengths.

    Parameters
    ----------
    onnx_bytes, baseline_bytes : bytes
        The compressed file and the uncompressed one.
    data : Dataset
        What the rows are of.
    rows : Rows
        Validation rows.
    score : Score, optional
        By default the usual one of the dataset's problem.
    problem : Problem, optional
        By default the dataset's; another where classes are decided for otherwise.
    """
    problem = problem or data.problem
    score = score or problem.scores[0]
    ours, theirs = OnnxRuntime(onnx_bytes), OnnxRuntime(baseline_bytes)
    whole = theirs.whole
    if whole is not None and whole.all():
        raise ParetoscopeError(
            "the model takes whole numbers only, such as the places of words: no noise on them "
            "means anything"
        )
    for corruption in corruptions(data):
        for strength in corruption.strengths:
            X = corruption.apply(rows.X, strength, data) if strength else rows.X
            if whole is not None:
                X = np.where(whole, rows.X, X)
            now, before = (problem.predict(runtime.scores(X)) for runtime in (ours, theirs))
            targets = before.outputs if problem.targets == "outputs" else rows.y
            yield Robustness(
                corruption.name,
                strength,
                score.figure(before, targets),
                score.figure(now, targets),
                score.difference(now, before, targets),
            )


CORRUPTIONS: tuple[type[Corruption], ...] = (Noise, Shift, Rotation, Blur)
