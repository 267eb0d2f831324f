"""Which scaling of pictures a model was trained with: the usual ones are tried, and how often it is
right under each tells. A wrong one is the commonest mistake, and shows nowhere else."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretoscope.network.in_place import InPlace
from paretoscope.network.network import Network
from paretoscope.problems.accuracy import Accuracy
from paretoscope.uploads.picture_choice import SCALINGS, Scaled
from paretoscope.uploads.pictures import Frame

MOST_TRIED, _FEWEST_TRIED, _TRIED_S = 200, 32, 40.0
_AT_ONCE = 16
_SURE = 0.01  # probability of so many right by chance, over all that is tried
_SHUFFLES, _FEWEST_SHUFFLED = 2_000, 5


@dataclass(frozen=True)
class Tried:
    """How often a model was right under one scaling."""

    scaled: Scaled
    blue_first: bool
    accuracy: Accuracy

    @property
    def title(self) -> str:
        return f"{self.scaled.title}, blue first" if self.blue_first else self.scaled.title


@dataclass(frozen=True)
class Trials:
    """What was tried, in this order, and whether the best of it is more than chance."""

    tried: tuple[Tried, ...]
    tells: bool

    @property
    def best(self) -> Tried:
        """The one with most right; of equal ones the first."""
        return max(self.tried, key=lambda one: one.accuracy.correct)


def try_scalings(
    network: Network,
    frame: Frame,
    pictures: npt.NDArray[np.uint8],
    y: npt.NDArray[np.int64],
    blue_first: bool | None = None,
) -> Trials:
    """Run a model on pictures under each usual scaling, in colour also with blue first.

    Parameters
    ----------
    network : Network
    frame : Frame
        What it takes.
    pictures : uint8 array of shape (n, height, width, channels)
        Fewer of them are taken where a model is slow.
    y : int array of shape (n,)
        Their classes.
    blue_first : bool, optional
        The order of colours, where it is known.
    """
    n = min(len(pictures), MOST_TRIED)
    chosen: list[Scaled] = [SCALINGS["0 to 255"]] if frame.bytes_only else list(SCALINGS.values())
    if frame.channels == 1 and not frame.bytes_only:
        chosen.remove(SCALINGS["ImageNet"])
    orders = (False, True) if frame.channels == 3 else (False,)
    orders = orders if blue_first is None else (blue_first,)
    start = time.perf_counter()
    _predicted(network, frame, pictures[:_AT_ONCE], chosen[0], False)  # loads it, too
    _predicted(network, frame, pictures[:_AT_ONCE], chosen[0], False)
    taken_s = (time.perf_counter() - start) / 2
    affordable = int(_AT_ONCE * _TRIED_S / (taken_s * len(chosen) * len(orders)))
    n = min(n, max(_FEWEST_TRIED, affordable))
    pictures, y = pictures[:n], y[:n]
    found: list[tuple[Tried, npt.NDArray[np.intp]]] = []
    for blue in orders:
        for scaled in chosen:
            labels = _predicted(network, frame, pictures, scaled, blue)
            accuracy = Accuracy(int((labels == y).sum()), len(y))
            found.append((Tried(scaled, blue, accuracy), labels))
    tried = tuple(one for one, _ in found)
    labels = max(found, key=lambda one: one[0].accuracy.correct)[1]
    return Trials(tried, _tells(labels, y, len(tried)))


def _predicted(
    network: Network,
    frame: Frame,
    pictures: npt.NDArray[np.uint8],
    scaled: Scaled,
    blue_first: bool,
) -> npt.NDArray[np.intp]:
    scaling = frame.scaling(scaled, blue_first)
    session = network.session(network.onnx_bytes) if isinstance(network, InPlace) else None
    found = []
    for start in range(0, len(pictures), _AT_ONCE):
        rows = frame.laid_out(pictures[start : start + _AT_ONCE], blue_first)
        X = rows.astype(np.float32) if frame.bytes_only else scaling(rows)
        if session is not None and isinstance(network, InPlace):
            scores = network.signature.scores(session.outputs(X))
        else:
            scores = network.scores(X)
        found.append(np.nan_to_num(scores, nan=-np.inf).argmax(1))
    return np.concatenate(found)


def _tells(labels: npt.NDArray[np.intp], y: npt.NDArray[np.int64], n_tried: int) -> bool:
    """Whether so many right are more than chance: more than always the commonest class has, and
    more than with the classes' names shuffled, for also a network that knows nothing may give most
    pictures of a class the same answer."""
    from scipy.stats import binomtest  # not where pages start

    right = int((labels == y).sum())
    commonest = float(np.bincount(y).max()) / len(y)
    if binomtest(right, len(y), commonest, "greater").pvalue > _SURE / n_tried:
        return False
    classes = np.unique(y)
    if len(classes) < _FEWEST_SHUFFLED:
        return True
    given = np.array([[(labels[y == k] == other).sum() for other in classes] for k in classes])
    rng, places = np.random.default_rng(0), np.arange(len(classes))
    by_chance = [given[places, rng.permutation(places)].sum() for _ in range(_SHUFFLES)]
    return bool((sum(n >= right for n in by_chance) + 1) / (_SHUFFLES + 1) <= _SURE)
