"""An upload from files on disk: what it is, and then a dataset and a network in the store.

A server lets a process of its own do this with large files, so that neither the model nor its rows
are ever read where pages are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paretoscope.artifact.writing import may_fuse_any
from paretoscope.base.encoding import decode, encode
from paretoscope.base.store import default_store
from paretoscope.data.dataset import load_dataset
from paretoscope.training.training import keep_own_model
from paretoscope.uploads.arrays import is_arrays
from paretoscope.uploads.checking import Checked, Chosen, check
from paretoscope.uploads.own import (
    keep_archive,
    keep_made,
    keep_table,
    n_scores_of,
    network_of,
    title_of,
)
from paretoscope.uploads.own_grids import exact_recipe
from paretoscope.uploads.pictures import is_pictures


@dataclass(frozen=True)
class Brought:
    """A model with what was given and chosen beside it.

    Attributes
    ----------
    data, name : bytes, str
        The model's file.
    rows, rows_name : bytes or None, str
        A table's, or that of arrays.
    fix : bool
        Whether the number of features is that of the weights.
    chosen : Chosen
        Of the table.
    output : str or None
        The one that holds the scores.
    names : tuple of str
        What the table calls the model's classes.
    cut : float or None
        What tells two classes apart by one number.
    """

    data: bytes
    name: str
    rows: bytes | None = None
    rows_name: str = ""
    fix: bool = False
    chosen: Chosen = field(default_factory=Chosen)
    output: str | None = None
    names: tuple[str, ...] = ()
    cut: float | None = None


@dataclass(frozen=True)
class Taken:
    """The names under which an upload was kept, the recipe that stores its weights exactly where
    they stand for whole numbers, and whether integer kernels may pay."""

    dataset: str
    model: str
    exact: str | None
    may_fuse: bool


def judged(brought: Brought) -> Checked:
    """What a model is, and how right it is on the rows beside it. Raises a ParetoscopeError."""
    asked: dict[str, Any] = {
        "correct_shape": brought.fix, "output": brought.output, "cut": brought.cut
    }  # fmt: skip
    if brought.rows is None:
        return check(brought.data, brought.name, **asked)
    return check(
        brought.rows, "", brought.data, chosen=brought.chosen, names=brought.names, **asked
    )


def take(brought: Brought, dataset: str = "", folder: Path | None = None) -> Taken:
    """Keep a model for the rows beside it, else for a dataset, else for made-up rows. Pictures lie
    in a `folder` until they are kept, by default a temporary one.

    Raises
    ------
    ParetoscopeError
        The model is refused, or does not fit, or there is no room to keep it.
    """
    default_store().require_room(len(brought.data) + len(brought.rows or b""))
    if brought.rows is not None and is_pictures(brought.rows):
        dataset = keep_archive(
            brought.rows,
            brought.rows_name,
            brought.data,
            brought.name,
            brought.chosen.pictures,
            brought.output,
            brought.cut,
            folder,
        )
    elif brought.rows is not None:
        scored = is_arrays(brought.rows)
        n = n_scores_of(brought.data, brought.name, brought.output) if scored else 0
        dataset = keep_table(brought.rows, brought.rows_name, brought.chosen, n_classes=n)
    elif not dataset:
        asked = {"scores": brought.output, "correct_shape": brought.fix}
        dataset = keep_made(brought.data, brought.name, **asked)
    on = load_dataset(dataset)
    network = network_of(
        brought.data,
        brought.name,
        on,
        names=brought.names,
        scores=brought.output,
        cut=brought.cut,
        correct_shape=brought.fix,
    )
    kept = keep_own_model(network, title_of(brought.name), on)
    exact = exact_recipe(network)
    return Taken(dataset, kept, None if exact is None else str(exact), may_fuse_any(network))


def put_down(brought: Brought, folder: Path) -> dict[str, Any]:
    """Its files in a folder, and the rest as JSON types; `picked_up` is the inverse."""
    (folder / "model").write_bytes(brought.data)
    if brought.rows is not None:
        (folder / "rows").write_bytes(brought.rows)
    return {
        "folder": str(folder),
        "name": brought.name,
        "rows_name": brought.rows_name,
        "fix": brought.fix,
        "output": brought.output,
        "names": list(brought.names),
        "cut": brought.cut,
        "chosen": encode(brought.chosen),
    }


def picked_up(plain: Mapping[str, Any]) -> Brought:
    """What `put_down` put there."""
    given = dict(plain)
    folder = Path(given.pop("folder"))
    rows = folder / "rows"
    return Brought(
        (folder / "model").read_bytes(),
        rows=rows.read_bytes() if rows.exists() else None,
        chosen=decode(Chosen, given.pop("chosen")),
        names=tuple(given.pop("names")),
        **given,
    )
