"""One's own table and model, as a dataset and a network: what an upload becomes, and what
`load_table` and `load_model` give."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import Dataset, load_dataset
from paretoscope.data.own_data import keep_own
from paretoscope.data.rows import Raw
from paretoscope.network.chain import as_chain
from paretoscope.network.in_place import InPlace, noise
from paretoscope.network.network import Network
from paretoscope.problems.agreement import Agreement
from paretoscope.problems.problem import Problem
from paretoscope.problems.regression import Regression
from paretoscope.training.training import keep_own_model, train
from paretoscope.uploads.arrays import as_raw as arrays_as_raw
from paretoscope.uploads.arrays import is_arrays, read_arrays
from paretoscope.uploads.checking import MODEL_ENDINGS, Chosen, rows_of, score_count
from paretoscope.uploads.csvs import Reading
from paretoscope.uploads.gate import as_name, shown
from paretoscope.uploads.importing import network_for, skops_network_for, to_network
from paretoscope.uploads.judged_pictures import keep_pictures
from paretoscope.uploads.kinds import most_bytes, require_size
from paretoscope.uploads.labelled import Constant, Labelled, Predicted, require_trainable
from paretoscope.uploads.models import read_model
from paretoscope.uploads.numerals import Decimal
from paretoscope.uploads.picture_choice import PictureChoice
from paretoscope.uploads.pictures import Report, is_pictures, silent
from paretoscope.uploads.skops_files import read_skops
from paretoscope.uploads.tables import ENDINGS, read_table

MADE, MADE_ROWS = "made-up rows (noise)", 1_000
_FEWEST_MADE, _MOST_MADE = 64, 2**24  # rows, and numbers of all rows, of large ones
_NOT_IN_TITLES = re.compile(r"[^A-Za-z0-9 .-]")


def load_table(
    path: str | os.PathLike[str],
    label: str | None = None,
    *,
    leave_out: Sequence[str] = (),
    keep: Sequence[str] = (),
    one_hot: Sequence[str] = (),
    constant: Constant = "keep",
    predict: Predicted | None = None,
    decimal: Decimal | None = None,
    encoding: str | None = None,
    n_classes: int = 0,
    seed: int = 0,
) -> Dataset:
    """One's own table as a dataset, by the gate that uploads pass.

    It is kept in this machine's store under a name that its content makes, so that files made
    with it can be measured again.

    Parameters
    ----------
    path : path
        A table: .csv, .tsv, .parquet or .npz. Of an .npz with long rows, as images are, or with a
        folder ``inputs/``, arrays keep their shapes, for a model to take them.
    label : str, optional
        The column to be predicted; by default the likeliest.
    leave_out, keep, one_hot : sequence of str
        Columns that are no features; that are, though they number or name the rows; and columns of
        text of which each value becomes a column of 0 and 1.
    constant : {"keep", "leave-out"}
        What becomes of columns with one value. A model takes as many features as it was trained
        with, so they are kept.
    predict : {"class", "number", "nothing"}, optional
        What that column holds; by default what it looks like. Of "nothing" there is no target:
        files are judged by their agreement with the uncompressed model.
    decimal : {"point", "comma"}, optional
        Where numbers can be read in two ways.
    encoding : str, optional
        Of a table of text, like "cp1252".
    n_classes : int
        How many a model tells apart (`n_scores_of`), where an array of labels numbers them and
        need not hold all.
    seed : int, default 0
        Of the split.

    Raises
    ------
    ParetoscopeError
        The file cannot be read, or is no table that a model could be judged on.
    """
    reading = Reading(encoding, decimal)
    chosen = Chosen(label, leave_out, keep, one_hot, reading, predict)
    data, name = read_file(path), Path(path).name
    return load_dataset(keep_table(data, name, chosen, constant, n_classes), seed)


def load_pictures(
    path: str | os.PathLike[str],
    model: str | os.PathLike[str],
    choice: PictureChoice | None = None,
    *,
    scores: str | None = None,
    cut: float | None = None,
    seed: int = 0,
    report: Report = silent,
) -> Dataset:
    """One's own pictures as a dataset for a model, by the gate that uploads pass.

    Parameters
    ----------
    path : path
        A .zip of PNG, JPEG or WebP files: a folder for each class, or a table of names and labels
        among them. They are kept as bytes, in the size and order of channels that the model takes,
        and scaled when they are read.
    model : path
        An .onnx file with one input of shape (n, channels, height, width) or (n, height, width,
        channels), of 1 or 3 channels.
    choice : PictureChoice, optional
        By default pictures fill the frame, none may be wrong, and the scaling is the usual one
        under which the model is right most often on 200 of them.
    scores : str, optional
        The output that holds the scores, of several.
    cut : float, optional
        What tells two classes apart where the output is one number.
    seed : int, default 0
        Of the split.
    report : callable
        Is told the share that is done, and what is done.

    Raises
    ------
    ParetoscopeError
        The archive or the model is refused, pictures cannot be read, or no usual scaling is right.
    """
    data, name = read_file(path), Path(path).name
    if not is_pictures(data):
        raise ParetoscopeError(f"{shown(name)} is no ZIP archive of pictures")
    chosen = choice or PictureChoice()
    file = Path(model)
    return load_dataset(
        keep_archive(data, name, read_file(file), file.name, chosen, scores, cut, report=report),
        seed,
    )


def keep_archive(
    data: bytes,
    name: str,
    model: bytes,
    model_name: str,
    choice: PictureChoice,
    scores: str | None = None,
    cut: float | None = None,
    folder: Path | None = None,
    report: Report = silent,
) -> str:
    """Keep an archive of pictures as own data for a model; the name that `load_dataset` takes.
    Until they are kept they lie in a `folder`, by default a temporary one."""
    if model_name.lower().endswith(".skops"):
        raise ParetoscopeError("pictures are for a model that takes images: an .onnx file")
    read = read_model(model, output=scores, cut=cut)
    n_scores = score_count(read) or 0
    with contextlib.nullcontext(folder) if folder else tempfile.TemporaryDirectory() as place:
        return keep_pictures(data, title_of(name), read, n_scores, choice, Path(place), report)


def load_model(
    path: str | os.PathLike[str],
    data: Dataset | None = None,
    *,
    names: Sequence[str] = (),
    scores: str | None = None,
    cut: float | None = None,
    correct_shape: bool = False,
) -> Network:
    """One's own trained model as a network, by the gate that uploads pass.

    Nothing of the file runs in this process: its structure is read, it is tried in a process of
    its own with limits, and rewritten so that its weights can be compressed, or coded in place.

    Parameters
    ----------
    path : path
        A model: .onnx or .skops.
    data : Dataset, optional
        What it is judged on. Features and classes must fit, and the labels of the rewritten
        model are compared with those of the file, and the network is kept in this machine's store.
    names : sequence of str
        What the data call the model's classes, in its order, where that cannot be told.
    scores : str, optional
        The output that holds the scores, of several.
    cut : float, optional
        What tells two classes apart where the output is one number.
    correct_shape : bool, default False
        Where the model states another number of features than its weights take, take theirs.

    Raises
    ------
    ParetoscopeError
        The file is refused, cannot be compressed, or does not fit the data.
    """
    name = Path(path).name
    network = network_of(
        read_file(path),
        name,
        data,
        names=names,
        scores=scores,
        cut=cut,
        correct_shape=correct_shape,
    )
    if data is None:
        return network
    return train(keep_own_model(network, title_of(name), data), data)


def keep_table(
    data: bytes, name: str, chosen: Chosen, constant: Constant = "keep", n_classes: int = 0
) -> str:
    """Keep a table, or rows of arrays, as own data, by its chosen or likely label; the name that
    `load_dataset` takes. Raises a ParetoscopeError where nothing can be trained or judged on it.

    `n_classes` is how many a model tells apart, where labels number them and need not hold all.
    """
    if name.lower().rpartition(".")[2] in MODEL_ENDINGS:
        raise ParetoscopeError(f"a table is wanted ({', '.join(ENDINGS)}); got {shown(name)!r}")
    if is_arrays(data):
        arrays = read_arrays(data, chosen.label, chosen.predict)
        raw, notes = arrays_as_raw(arrays, chosen.predict, n_classes)
        return keep_own(raw, title_of(name), (*arrays.notes, *notes))
    table = read_table(data, chosen.reading)
    rows, _ = rows_of(table, chosen, constant=constant)
    require_trainable(rows)
    guessed = []
    if chosen.label is None and rows.label:
        guessed.append(f"'{shown(rows.label)}' is taken for the label")
    return keep_own(as_raw(rows), title_of(name), (*guessed, *table.notes, *rows.notes))


def network_of(
    model: bytes,
    name: str,
    data: Dataset | None = None,
    *,
    names: Sequence[str] = (),
    scores: str | None = None,
    cut: float | None = None,
    correct_shape: bool = False,
) -> Network:
    """The network of a model's bytes; see `load_model`."""
    names = tuple(map(as_name, names))
    if name.lower().endswith(".skops"):
        return read_skops(model)[0] if data is None else skops_network_for(model, data, names)
    read = read_model(model, correct_shape=correct_shape, output=scores, cut=cut)
    return to_network(read, names) if data is None else network_for(read, data, names)


def n_scores_of(model: bytes, name: str, scores: str | None = None) -> int:
    """How many classes a model tells apart, by the output that is judged."""
    if name.lower().endswith(".skops"):
        return read_skops(model)[0].n_scores
    return score_count(read_model(model, output=scores)) or 0


def as_raw(rows: Labelled) -> Raw:
    """Rows as a dataset keeps them: names are those that can be shown."""
    features, classes = map(as_name, rows.features), map(as_name, rows.classes)
    stated: Problem | None = None
    if rows.predicts == "number":
        stated = Regression((as_name(rows.label),))
    elif rows.predicts == "nothing":
        stated = Agreement(labels=False)
    return Raw(rows.X, rows.y, tuple(features), tuple(classes), stated=stated)


def made_rows(network: Network, n: int = MADE_ROWS) -> Raw:
    """Noise to hold files against the uncompressed network on, where there are no rows at all.

    Normal, from seed 0; with the mean and the spread that the network's own scaling of its features
    takes off, where it has one, else 0 and 1. What is found on it is true of such noise: real rows
    lie otherwise, and are handled with more care by what was trained on them.
    """
    if isinstance(network, InPlace):
        n = max(_FEWEST_MADE, min(n, _MOST_MADE // network.n_features))
        names = tuple(f"value {k + 1}" for k in range(network.n_features))
        X = noise(network.signature, n)
        return Raw(X, np.zeros((n, 0)), names, stated=Agreement(labels=False))
    mean, spread = np.zeros(network.n_features), np.ones(network.n_features)
    with contextlib.suppress(ParetoscopeError):  # no chain: its scaling is not known apart
        prepare = as_chain(network).preparation
        ends = np.stack([np.zeros(network.n_features), np.ones(network.n_features)])
        at_zero, at_one = prepare(ends.astype(np.float32)).reshape(2, -1).astype(np.float64)
        slope = at_one - at_zero
        usable = slope != 0
        mean[usable], spread[usable] = -at_zero[usable] / slope[usable], 1 / np.abs(slope[usable])
    drawn = np.random.default_rng(0).standard_normal((n, network.n_features))
    X = (mean + spread * drawn).astype(np.float32)
    names = tuple(f"feature {k + 1}" for k in range(network.n_features))
    return Raw(X, np.zeros((n, 0)), names, stated=Agreement(labels=False))


def keep_made(model: bytes, name: str, **asked: Any) -> str:
    """Keep noise for a model that nobody has rows for; the name that `load_dataset` takes."""
    network = network_of(model, name, **asked)
    how = "with the mean and spread that the model's scaling takes off"
    if isinstance(network, InPlace):
        how = (
            "numbers of 0 and 1 for mean and spread, whole numbers that its tables hold, masks of 1"
        )
    made = made_rows(network)
    note = f"{len(made.X):,} rows of noise, made up: normal, {how} where it has one, else 0 and 1"
    return keep_own(made, MADE, (note,))


def title_of(name: str) -> str:
    """A file's name as a title.

    >>> title_of("my_own table.csv")
    'my own table.csv'
    """
    return _NOT_IN_TITLES.sub(" ", name)[:40].strip() or "own file"


def read_file(path: str | os.PathLike[str]) -> bytes:
    """A file that is not too large."""
    try:
        with Path(path).open("rb") as file:
            require_size(os.fstat(file.fileno()).st_size)
            return file.read(most_bytes() + 1)  # of a pipe, too, no more than is taken
    except OSError as error:
        raise ParetoscopeError(f"{os.fspath(path)} cannot be read: {error.strerror}") from error
