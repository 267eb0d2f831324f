"""What a person chooses of pictures: how they fit into a model's frame, and how they are scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from paretoscope.base.errors import ParetoscopeError

Fit = Literal["fill", "margin", "stretch"]
FITS: dict[Fit, str] = {
    "fill": "fill the frame, cut off what stands out",
    "margin": "so, and without an eighth of the frame around, as many networks are tested",
    "stretch": "stretch to the frame's shape",
}
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Scaled:
    """What a byte of a picture becomes: ``(byte / 255 - mean) / deviation``.

    Parameters
    ----------
    title : str
    mean, deviation : tuple of float
        For each channel, or one for all, of pictures from 0 to 1.
    """

    title: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


SCALINGS = {
    one.title: one
    for one in (
        Scaled("0 to 255", (0.0,), (1 / 255,)),
        Scaled("0 to 1", (0.0,), (1.0,)),
        Scaled("-1 to 1", (0.5,), (0.5,)),
        Scaled("ImageNet", _IMAGENET_MEAN, _IMAGENET_DEVIATION),
    )
}


def scaled_by(mean: Sequence[float], deviation: Sequence[float]) -> Scaled:
    """One's own scaling.

    Raises
    ------
    ParetoscopeError
        A number is missing, not finite, or a deviation not positive.
    """
    for what, numbers in (("mean", mean), ("deviation", deviation)):
        if len(numbers) not in (1, 3) or not np.isfinite(list(numbers)).all():
            raise ParetoscopeError(f"the {what} is one number, or one each for red, green and blue")
    if min(deviation) <= 0:
        raise ParetoscopeError("each deviation must be larger than 0")
    return Scaled("own", tuple(map(float, mean)), tuple(map(float, deviation)))


@dataclass(frozen=True)
class PictureChoice:
    """What a person chose of pictures.

    Attributes
    ----------
    fit : {"fill", "margin", "stretch"}
    side : int or None
        Of the frame, where the model leaves it open.
    scaled : Scaled or None
        None: the one of the usual ones under which the model is right most often.
    blue_first : bool or None
        Whether the model takes blue before green and red; None: as it is right most often where
        that is tried, else not.
    names : tuple of str
        What the model's classes are called, in its order, where folders do not tell.
    without_wrong : bool
        Whether pictures that cannot be read are left out.
    """

    fit: Fit = "fill"
    side: int | None = None
    scaled: Scaled | None = None
    blue_first: bool | None = None
    names: tuple[str, ...] = ()
    without_wrong: bool = False
