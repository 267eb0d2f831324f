"""Pictures as people have them: a ZIP archive with a folder for each class, or with a table of
names and labels beside them. They are decoded in the sandbox, some at a time, and kept as bytes.

Names of files are often names of persons: they are told to whoever brought them, and kept nowhere.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.store import default_store
from paretoscope.base.wording import counted
from paretoscope.data.rows import Part, Raw, Scaling
from paretoscope.network.signature import WHOLE
from paretoscope.problems.agreement import Agreement
from paretoscope.problems.problem import Problem
from paretoscope.sandbox.sandbox import Limits, Sandbox
from paretoscope.uploads.columns import Column
from paretoscope.uploads.csvs import Table
from paretoscope.uploads.gate import Passed, as_name, in_order, plain_label, shown
from paretoscope.uploads.kinds import kind_of
from paretoscope.uploads.picture_choice import FITS, Fit, PictureChoice, Scaled
from paretoscope.uploads.tables import read_table

MOST_PICTURES, _MOST_PIXELS = 50_000, 120_000_000
FEWEST_PICTURES = 20
_USUAL_SIDE, _LARGEST_SIDE = 224, 1_024
_MEMORY_MB, _PROCESSOR_S, _WALL_S = 2_048, 1_800, 60
_DECODED_AT_ONCE, _PIXELS_AT_ONCE = 2**24, _MOST_PIXELS  # bytes that come back; of all pictures
_MOST_NUMBERED = 10_000  # classes, where only folders that are numbers tell how many there are
_NAMED_LABELS = re.compile(r"^(y|labels?|targets?|class(es)?|categor(y|ies))$", re.IGNORECASE)
_ENDING = re.compile(rb"\.(png|jpe?g|webp|bmp|gif|tiff?|heic|avif)", re.IGNORECASE)
_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
Report = Callable[[float, str], None]


def silent(_: float, __: str) -> None:
    """Nobody looks how far it is."""


def is_pictures(data: bytes) -> bool:
    """Whether a file is a ZIP archive with pictures, by the end of its bytes: its directory is not
    read where pages are drawn."""
    if not data.startswith(b"PK\x03\x04") or kind_of(data) != "zip":
        return False
    end = data.rfind(b"PK\x05\x06")
    start = int.from_bytes(data[end + 16 : end + 20], "little") if end >= 0 else 0
    directory = data[start : start + 2**20]
    return bool(_ENDING.search(directory if directory.startswith(b"PK\x01\x02") else data[: 2**16]))


# --- what a model takes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """One picture as a model takes it.

    Attributes
    ----------
    part : Part
        The input's name and the shape of a row of it.
    axis : int
        Of that shape, the channels: 0 or 2.
    bytes_only : bool
        Whether it takes whole numbers, so that nothing is to be scaled.
    """

    part: Part
    axis: int
    bytes_only: bool = False

    @property
    def channels(self) -> int:
        return self.part.shape[self.axis]

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        first, second = (side for k, side in enumerate(self.part.shape) if k != self.axis)
        return first, second

    def laid_out(self, pictures: npt.NDArray[Any], blue_first: bool = False) -> npt.NDArray[Any]:
        """Rows of shape (n, d) for pictures of shape (n, height, width, channels)."""
        found = pictures[..., ::-1] if blue_first else pictures
        if self.axis == 0:
            found = found.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(found).reshape(len(pictures), -1)

    def scaling(self, scaled: Scaled, blue_first: bool = False) -> Scaling:
        """How rows of bytes become what the model takes."""
        step = -1 if blue_first else 1
        mean = tuple(255 * value for value in scaled.mean[::step])
        deviation = tuple(255 * value for value in scaled.deviation[::step])
        if self.channels == 1:
            mean, deviation = (float(np.mean(mean)),), (float(np.mean(deviation)),)
        return Scaling(mean, deviation, self.part.shape, self.axis, blue_first)


def open_sides(passed: Passed) -> bool:
    """Whether a model that takes pictures leaves their size open."""
    (given,) = passed.inputs
    assert given.shape is not None
    axis = _channel_axis(given.shape)
    return any(side is None for k, side in enumerate(given.shape[1:]) if k != axis)


def frame_of(passed: Passed, side: int | None = None) -> Frame:
    """What pictures become for a model, by its input.

    Raises
    ------
    ParetoscopeError
        It takes no pictures.
    """
    if len(passed.inputs) != 1:
        raise ParetoscopeError(
            f"pictures are for a model of one input; this takes {len(passed.inputs)}: give its "
            "rows as an .npz with an array for each, in a folder inputs/"
        )
    (given,) = passed.inputs
    name = shown(given.name)
    if given.shape is None or len(given.shape) != 4:
        told = "any shape" if given.shape is None else counted(len(given.shape), "dimension")
        raise ParetoscopeError(f"pictures are for an input of four dimensions, '{name}' has {told}")
    axis = _channel_axis(given.shape)
    sides = [s for k, s in enumerate(given.shape[1:]) if k != axis]
    chosen = side or _USUAL_SIDE
    if not 1 <= chosen <= _LARGEST_SIDE:
        raise ParetoscopeError(f"a picture's side is 1 to {_LARGEST_SIDE:,} pixels; got {chosen:,}")
    height, width = (chosen if one is None else one for one in sides)
    channels = given.shape[1:][axis]
    assert channels is not None
    shape = (channels, height, width) if axis == 0 else (height, width, channels)
    if given.type == "int8":
        raise ParetoscopeError(
            f"the input '{name}' takes numbers from -128 to 127, pictures are bytes from 0 to 255"
        )
    return Frame(Part(as_name(given.name), shape), axis, given.type in WHOLE)


def _channel_axis(shape: Sequence[int | None]) -> int:
    """0 where channels come before height and width, 2 where after."""
    for axis in (0, 2):
        if shape[1:][axis] in (1, 3):
            return axis
    told = " x ".join("?" if side is None else str(side) for side in shape[1:])
    raise ParetoscopeError(f"a picture has one channel or three; the model takes {told}")


# --- what an archive holds ------------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    """A picture that cannot be read, and why; or a file that is no picture by its name."""

    name: str
    reason: str
    is_picture: bool = True


class Pictures:
    """An archive that was looked at, open to be decoded; `opened` gives one.

    Attributes
    ----------
    labels : tuple of str or None
        Of each picture, by its folder or by the table; None where neither tells.
    notes : tuple of str
    wrong : list of Wrong
        Files that are no pictures, and pictures that could not be read so far.
    """

    def __init__(self, sandbox: Sandbox, data: bytes) -> None:
        self._sandbox = sandbox
        asked = {"most_files": MOST_PICTURES, "most_pixels": _MOST_PIXELS}
        found = json.loads(sandbox.run("look", [data], asked)["bytes"])
        self._names: list[str] = found["names"]
        self._sizes = [None if size is None else tuple(size) for size in found["sizes"]]
        self.labels, notes = _labels(self._names, found["tables"])
        if found["twice"]:
            notes.append(f"{counted(found['twice'], 'name')} came again: the first file counts")
        self.notes = tuple(notes)
        self.wrong = [
            Wrong(name, "it is no picture by its name", False) for name in found["others"]
        ]
        self._done: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._names)

    @property
    def side(self) -> int:
        """For a model that takes any size: theirs where they are all alike and square."""
        known = {size for size in self._sizes if size is not None}
        if len(known) == 1:
            width, height = next(iter(known))
            if width == height <= _LARGEST_SIDE:
                return int(width)
        return _USUAL_SIDE

    @property
    def done(self) -> tuple[str, ...]:
        """What was done to the pictures that were decoded."""
        return tuple(
            f"{counted(n, 'picture')} {'was' if n == 1 else 'were'} {what}"
            for what, n in sorted(self._done.items())
        )

    def decoded(
        self, places: Sequence[int], frame: Frame, fit: Fit
    ) -> Iterator[tuple[list[int], npt.NDArray[np.uint8]]]:
        """Pictures some at a time: which of them could be read, and those as bytes of shape (n,
        height, width, channels)."""
        height, width = frame.sides
        size = height * width * frame.channels
        asked = {
            "height": height, "width": width, "channels": frame.channels, "fit": fit,
            "most_pixels": _MOST_PIXELS,
        }  # fmt: skip
        for some in self._together(places, max(1, min(64, _DECODED_AT_ONCE // size))):
            answer = self._sandbox.run("draw", [], asked | {"places": some})
            self.wrong += [Wrong(self._names[k], why) for k, why in answer["wrong"]]
            self._done.update(answer["done"])
            failed = {k for k, _ in answer["wrong"]}
            kept = [k for k in some if k not in failed]
            pixels = np.frombuffer(answer.get("bytes", b""), np.uint8)
            yield kept, pixels.reshape(len(kept), height, width, frame.channels)

    def _together(self, places: Sequence[int], most: int) -> Iterator[list[int]]:
        """Some at a time: no more, and not more pixels, than are decoded in seconds."""
        some: list[int] = []
        n_pixels = 0
        for place in map(int, places):
            width, height = self._sizes[place] or (0, 0)
            if some and (len(some) == most or n_pixels + width * height > _PIXELS_AT_ONCE):
                yield some
                some, n_pixels = [], 0
            some.append(place)
            n_pixels += width * height
        if some:
            yield some

    def begin_again(self) -> None:
        """Forget what was wrong with pictures, and done to them: all are to be decoded anew."""
        self.wrong = [one for one in self.wrong if not one.is_picture]
        self._done.clear()

    def sample(self, n: int) -> list[int]:
        """So many of them, from all classes alike."""
        rng = np.random.default_rng(0)
        order = rng.permutation(len(self))
        if self.labels is None:
            return sorted(map(int, order[:n]))
        turn: Counter[str] = Counter()
        turns = []
        for place in order:
            label = self.labels[place]
            turns.append((turn[label], int(place)))
            turn[label] += 1
        return sorted(place for _, place in sorted(turns)[:n])


@contextmanager
def opened(data: bytes) -> Iterator[Pictures]:
    """An archive of pictures.

    Raises
    ------
    ParetoscopeError
        It is damaged, made to do harm, or holds too few.
    """
    limits = Limits(_MEMORY_MB + len(data) // 2**19, _PROCESSOR_S, _WALL_S)
    with Sandbox(limits, what="the archive") as sandbox:
        found = Pictures(sandbox, data)
        if len(found) < FEWEST_PICTURES:
            raise ParetoscopeError(
                f"the archive holds {counted(len(found), 'picture')}; at least {FEWEST_PICTURES} "
                "are taken"
            )
        yield found


def _labels(
    names: Sequence[str], tables: Mapping[str, str]
) -> tuple[tuple[str, ...] | None, list[str]]:
    """The label of each picture, and what is to be known of that. Names of files are told here as
    little as anywhere: notes are kept."""
    found, notes = _of_folders(names)
    if found is not None:
        if tables:
            notes.append("labels are the folders' names: a table in the archive is not read")
        return found, notes
    for text in tables.values():
        try:
            labels, told = _of_table(names, read_table(base64.b64decode(text)))
        except ParetoscopeError:  # its sentence may quote the table, which holds names
            labels, told = None, "a table in the archive cannot be read: check it by itself"
        if told:
            notes.append(told)
        if labels is not None:
            return labels, notes
    return None, [*notes, "nothing tells the pictures' classes: no folders of them, no table"]


def _of_folders(names: Sequence[str]) -> tuple[tuple[str, ...] | None, list[str]]:
    """Labels by the innermost folders that differ, which are no train and test."""
    steps = [name.split("/")[:-1] for name in names]
    for depth in range(1, 1 + max(map(len, steps))):
        there = [parts[-depth] if len(parts) >= depth else "" for parts in steps]
        if len(set(there)) < 2 or {name.lower() for name in there} <= _SPLITS:
            continue
        if "" in there:
            n = there.count("")
            raise ParetoscopeError(
                f"{counted(n, 'picture')} {'lies' if n == 1 else 'lie'} in no class's folder, the "
                "others do: put each into one"
            )
        splits = {part for parts in steps for part in parts[:-depth] if part.lower() in _SPLITS}
        notes = [f"the folders {' and '.join(sorted(splits))} are put together"] if splits else []
        return tuple(there), notes
    return None, []


def _of_table(names: Sequence[str], table: Table) -> tuple[tuple[str, ...] | None, str]:
    """Labels by a table that has a column of the pictures' names, whole or without their folders;
    None where it has none, or does not say which column the labels are."""
    short = [name.rpartition("/")[2] for name in names]
    ways = [list(names), *([short] if len(set(short)) == len(short) else [])]
    best: tuple[int, Column, list[str]] | None = None
    for column in table.columns:
        cells = {cell.strip() for cell in column.cells}
        for wanted in ways:
            n = len(cells & set(wanted))
            if n and (best is None or n > best[0]):
                best = n, column, wanted
    if best is None:
        return None, ""
    n, named, wanted = best
    if n < len(wanted):
        return None, f"a table in the archive lacks {counted(len(wanted) - n, 'picture')} of them"
    others = [c for c in table.columns if c.name != named.name]
    chosen = [c for c in others if _NAMED_LABELS.match(c.name.strip())] or others
    if len(chosen) != 1:
        return None, "a table in the archive has several columns, and none is called 'label'"
    places = {cell.strip(): k for k, cell in enumerate(named.cells)}
    labels = tuple(chosen[0].cells[places[name]].strip() for name in wanted)
    return labels, f"labels are the column '{shown(chosen[0].name)}' of a table in the archive"


# --- rows -----------------------------------------------------------------------------------------


def classes_of(
    labels: Sequence[str], n_scores: int, names: Sequence[str] = ()
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """The names of the classes in a model's order, and which of them each label is.

    Labels that are whole numbers number the classes from 0. Others are in the order of their names,
    as those who train by folders have them, where there are as many as the model tells apart.

    Raises
    ------
    ParetoscopeError
        Nothing tells which of the model's classes they are.
    """
    plain = [plain_label(label) for label in labels]
    if names:
        order = {plain_label(name): k for k, name in enumerate(names)}
        if len(order) != len(names):
            raise ParetoscopeError("a class is named twice")
        if n_scores and len(names) != n_scores:
            raise ParetoscopeError(
                f"{len(names):,} classes are named, and the model tells {n_scores:,} apart"
            )
        unknown = sorted(set(plain) - set(order))
        if unknown:
            raise ParetoscopeError(f"the folder '{shown(unknown[0])}' is none of the classes named")
        return tuple(map(as_name, names)), np.array([order[label] for label in plain], np.int64)
    found = sorted(set(plain), key=in_order)
    if all(label.isdecimal() for label in found):
        n = max(n_scores, int(found[-1]) + 1)
        if not n_scores and n > _MOST_NUMBERED:
            raise ParetoscopeError(
                f"the folder '{shown(found[-1])}' would be one of {n:,} classes: give their names"
            )
        if n_scores and n > n_scores:
            raise ParetoscopeError(
                f"the model tells {n_scores:,} classes apart, and these are numbered up to "
                f"{found[-1]}: give the names of its classes, in its order"
            )
        return tuple(map(str, range(n))), np.array(list(map(int, plain)), np.int64)
    found = sorted(set(plain))
    if n_scores and len(found) != n_scores:
        raise ParetoscopeError(
            f"the model tells {n_scores:,} classes apart, and the pictures are of {len(found):,}: "
            "give the names of its classes, in its order"
        )
    places = {label: k for k, label in enumerate(found)}
    return tuple(map(as_name, found)), np.array([places[label] for label in plain], np.int64)


def rows_of_pictures(
    pictures: Pictures,
    frame: Frame,
    choice: PictureChoice,
    n_scores: int,
    folder: Path,
    report: Report = silent,
) -> Raw:
    """All of them as rows of bytes, in a file that is mapped.

    Parameters
    ----------
    pictures : Pictures
    frame : Frame
    choice : PictureChoice
    n_scores : int
        How many classes the model tells apart; 0: not known.
    folder : Path
        Where that file may lie until they are kept.
    report : callable

    Raises
    ------
    ParetoscopeError
        Some cannot be read, and it was not said that they be left out; or there is no room.
    """
    if choice.fit not in FITS:
        raise one_of("fit", choice.fit, list(FITS))
    n, (height, width) = len(pictures), frame.sides
    d = height * width * frame.channels
    default_store().require_room(2 * n * d)  # once here, once in the store
    kept: list[int] = []
    blue_first = bool(choice.blue_first)
    try:
        with (folder / "X").open("wb") as file:
            for places, pixels in pictures.decoded(range(n), frame, choice.fit):
                file.write(frame.laid_out(pixels, blue_first).data)
                kept += places
                report(len(kept) / n, f"decoding pictures: {len(kept):,} of {n:,}")
    except OSError as error:
        raise ParetoscopeError(f"pictures cannot be written down: {error.strerror}") from error
    if len(kept) < n and not choice.without_wrong:
        raise ParetoscopeError(
            f"{counted(n - len(kept), 'picture')} cannot be read: leave them out, or mend them"
        )
    if len(kept) < FEWEST_PICTURES:
        raise ParetoscopeError(
            f"only {counted(len(kept), 'picture')} can be read; at least {FEWEST_PICTURES} are "
            "taken"
        )
    X = np.memmap(folder / "X", np.uint8, "r", shape=(len(kept), d))
    scaling = None
    if choice.scaled is not None and not frame.bytes_only:
        scaling = frame.scaling(choice.scaled, blue_first)
    if pictures.labels is None:
        y: npt.NDArray[Any] = np.zeros((len(kept), 0))
        stated: Problem | None = Agreement(labels=False)
        return Raw(X, y, (), stated=stated, parts=(frame.part,), scaling=scaling)
    classes, every = classes_of(pictures.labels, n_scores, choice.names)
    return Raw(X, every[kept], (), classes, parts=(frame.part,), scaling=scaling)
