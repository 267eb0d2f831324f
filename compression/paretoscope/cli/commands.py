"""The commands, one function each."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

import paretoscope as ps
from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import Number, parse_member
from paretoscope.base.store import write_atomically
from paretoscope.cli.subject import (
    MODEL_ENDINGS,
    class_names,
    grid,
    picture_choice,
    recipe_of,
    stem,
    subject,
)
from paretoscope.data.dataset import SOURCES, SPLITS, Dataset, find_source, is_present
from paretoscope.measurement.measurement import USUAL, Baseline, Measured, usual_loss
from paretoscope.measurement.provenance import record_path, remeasure, to_json
from paretoscope.methods.recovery import RECOVERIES
from paretoscope.problems.accuracy import Accuracy, Change, Difference, Figure
from paretoscope.searches.search import AIMS
from paretoscope.sweeps.export import ENDINGS, table
from paretoscope.sweeps.sweep import MEASURED
from paretoscope.training.training import MODELS

_LARGEST_MB = "1900"  # of a model that `open` takes: protobuf ends at 2 GB


def check(arguments: argparse.Namespace) -> None:
    from paretoscope.uploads.checking import Chosen, check
    from paretoscope.uploads.csvs import Reading
    from paretoscope.uploads.gate import shown
    from paretoscope.uploads.numerals import AmbiguousNumbersError
    from paretoscope.uploads.own import read_file

    model = None if arguments.model is None else read_file(arguments.model)
    names = class_names(arguments)
    if names and model is None:
        raise ParetoscopeError("--classes names the classes of a model; give one with --model")
    chosen = Chosen(
        arguments.label,
        arguments.leave_out,
        arguments.keep,
        arguments.one_hot,
        Reading(arguments.encoding, arguments.decimal),
        arguments.predict,
        picture_choice(arguments),
    )
    try:
        checked = check(
            read_file(arguments.file),
            arguments.file,
            model,
            chosen=chosen,
            correct_shape=arguments.correct_shape,
            output=arguments.scores,
            cut=arguments.cut,
            names=names,
        )
    except AmbiguousNumbersError as error:
        raise ParetoscopeError(f"{error} (--decimal point, or --decimal comma)") from None
    print(checked.line)
    if checked.compressible:
        print(f"can be compressed: {checked.compressible}")
    if checked.tried is not None:
        for one in checked.tried.tried:
            low, high = one.accuracy.interval
            told = f"{100 * one.accuracy.value:5.1f} % of {one.accuracy.n:,} right"
            print(f"scaled {one.title}: {told} ({100 * low:.1f} to {100 * high:.1f})")
    for wrong in checked.wrong:
        print(f"left out: {shown(wrong.name)}: {shown(wrong.reason)}", file=sys.stderr)
    for note in checked.notes:
        print(f"note: {note}", file=sys.stderr)


def open_in_the_app(arguments: argparse.Namespace) -> None:
    """Keep a model and its rows where the app finds them, and print the link."""
    from paretoscope.training.training import keep_own_model
    from paretoscope.uploads.kinds import UPLOAD_MB
    from paretoscope.uploads.own import title_of
    from paretoscope.uploads.own_grids import exact_recipe

    if not arguments.model.lower().endswith(MODEL_ENDINGS):
        raise ParetoscopeError(f"open takes a file (.onnx or .skops); got {arguments.model}")
    given = arguments.data
    is_named = given is None or (not Path(given).exists() and given in {s.name for s in SOURCES})
    words = [given or "made"] if is_named else []
    asked = vars(arguments) | {"words": words, "data": None if is_named else given}
    with _set(UPLOAD_MB, os.environ.get(UPLOAD_MB, _LARGEST_MB)):
        data, network = subject(argparse.Namespace(**asked, seed=0, split_seed=0))
    kept = keep_own_model(network, title_of(Path(arguments.model).name), data)
    query = {"v": "1", "dataset": data.name, "model": kept}
    exact = exact_recipe(network)
    if exact is not None:  # weights that stand for whole numbers are stored as such
        query["recipe"] = str(exact)
    print(f"{arguments.url.rstrip('/')}/?{urlencode(query)}")


@contextmanager
def _set(variable: str, value: str) -> Iterator[None]:
    """An environment variable, for a while."""
    before = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def datasets(arguments: argparse.Namespace) -> None:
    if arguments.fetch:
        folder = ps.fetch_dataset(arguments.fetch, lambda _, text: print(text, file=sys.stderr))
        print(f"{find_source(arguments.fetch).title} is in {folder}")
        return
    for source in SOURCES:
        absent = "" if is_present(source.name) else "  (not on this machine)"
        print(f"{source.name:<15} {source.title}: {source.summary}{absent}")


def models(arguments: argparse.Namespace) -> None:
    fitting = ps.models(ps.load_dataset(arguments.dataset))
    for model in MODELS:
        if model.name in fitting:
            print(f"{model.name:<20} {model.title}")


def compress(arguments: argparse.Namespace) -> None:
    recipe = recipe_of(arguments)
    path = _checked_output(arguments.output or f"{stem(arguments)}.onnx", (".onnx",))
    data, network = subject(arguments, "RECIPE")
    artifact = ps.compress(network, recipe, data.train, data.validation)
    figures = ps.measure(artifact, data, baseline=_baseline(arguments, network, data))
    write_atomically(path, artifact.onnx_bytes)
    write_atomically(record_path(path), to_json(figures))
    print(f"{path}: {artifact.sizes.file:,} bytes, {artifact.sizes.gzip:,} under gzip -9, {recipe}")
    print(f"{_quality(figures.score, figures.quality, figures.split)}; {_change(figures)}")
    print(f"{record_path(path)}: its figures, with date and machine")
    if network.brought is not None:
        _warn_of_chance(figures, data)


def _baseline(
    arguments: argparse.Namespace, network: ps.Network, data: Dataset, split: str = ""
) -> Baseline:
    """What is compared with, by the score that was asked for."""
    found = Baseline(network, data, split, arguments.score or "", arguments.decision or "")
    found.score  # noqa: B018  (refuses a score that the problem does not offer, before any work)
    return found


def _change(m: Measured) -> str:
    told = f"change {_differing(m.change.value, m.change)}"
    if m.change.interval is not None:
        low, high = (_differing(end, m.change).removesuffix(" points") for end in m.change.interval)
        told = f"{told} (95 % interval {low} to {high})"
    return f"{told} against the uncompressed model"


def _differing(value: float, change: Difference) -> str:
    """In points where the score is a share, else in its own unit."""
    if change.unit == "%":
        return f"{100 * value:+.2f} points"
    return f"{value:+.4g} {change.unit}".rstrip()


def _warn_of_chance(m: Measured, data: Dataset) -> None:
    """Say where the rows do not show that a model that was brought, uncompressed, has learned
    anything: most likely it was trained on other columns, or on these in another order."""
    if not (isinstance(m.quality, Accuracy) and isinstance(m.change, Change)):
        return
    before = Accuracy(m.quality.correct - m.change.newly_right + m.change.newly_wrong, m.change.n)
    counts = np.bincount(data.rows(m.split).y)
    if before.interval[0] <= counts.max() / m.change.n:
        print(
            f"note: the uncompressed model is right on {before.value:.1%} of these rows, always "
            f"'{data.class_names[counts.argmax()]}' would be on {counts.max() / m.change.n:.1%}: "
            "are the table's columns those that it was trained on, in its order?",
            file=sys.stderr,
        )


def measure(arguments: argparse.Namespace) -> None:
    words = arguments.words
    if len(words) == 1 and words[0].endswith(".onnx") and arguments.data is arguments.model is None:
        _measure_file(Path(words[0]))
        return
    if arguments.data is None and arguments.model is None and len(words) != 3:
        raise ParetoscopeError(
            "measure takes a dataset, a model and a recipe, or one .onnx file; got "
            f"{' '.join(words) or 'nothing'}"
        )
    recipe = recipe_of(arguments)
    _check_split(arguments.split)
    data, network = subject(arguments, "RECIPE")
    artifact = ps.compress(network, recipe, data.train, data.validation)
    baseline = _baseline(arguments, network, data, arguments.split)
    for name, value in ps.measure(artifact, data, baseline=baseline).row().items():
        print(f"{name:<20} {value:.6g}" if isinstance(value, float) else f"{name:<20} {value}")


def _measure_file(path: Path) -> None:
    found = remeasure(path)
    split = "validation" if found.recorded is None else found.recorded.split
    print(f"{path}: {found.origin.recipe} of {found.origin.model} on {found.origin.dataset}")
    print(f"here      {_quality(found.score, found.here, split)}")
    if found.recorded is None:
        print(f"recorded  nothing: {record_path(path)} is not there")
    else:
        then = f"on {found.recorded.date}, {found.recorded.environment.cpu}"
        print(f"recorded  {_quality(found.score, found.recorded.quality, split)}, {then}")
    for sentence in found.why:
        print(sentence)


def _quality(score: str, found: Figure, split: str) -> str:
    named = "" if score == USUAL else f"{score} "
    rows = f"{found.n:,} {split} rows"
    if isinstance(found, Accuracy):
        rows = f"{found.correct:,} of {rows}"
    if found.interval is None:
        return f"{named}{found.value:.4f} ({rows}, no interval: {found.why})"
    low, high = found.interval
    return f"{named}{found.value:.4f} ({rows}, 95 % interval {low:.4f} to {high:.4f})"


def sweep(arguments: argparse.Namespace) -> None:
    path = None if arguments.output is None else _checked_output(arguments.output, ENDINGS)
    _check_split(arguments.split)
    if arguments.measured not in MEASURED:
        raise one_of("--measured", arguments.measured, list(MEASURED))
    recovery: Any = parse_member(arguments.recovery, RECOVERIES)
    data, network, plain = grid(arguments)
    recipes = [replace(recipe, recovery=recovery) for recipe in plain]
    from tqdm import tqdm

    with _cluster(arguments) as cluster:
        measurements = ps.sweep(
            network,
            data,
            recipes,
            arguments.split,
            score=arguments.score or "",
            decision=arguments.decision or "",
            measured=arguments.measured,
            history=None if arguments.anew else ps.History(report=_say),
            cluster=cluster,
        )
        quiet = not sys.stderr.isatty()
        shown = tqdm(measurements, total=len(recipes), unit="recipe", disable=quiet)
        rows = [m.row() for m in shown]
    whole = table(rows, ".csv" if path is None else path.suffix)
    if path is None:
        sys.stdout.write(whole.decode())
    else:
        write_atomically(path, whole)
        print(f"{path}: {len(rows)} measurements")


def _cluster(arguments: argparse.Namespace) -> AbstractContextManager[Any]:
    """The workers that were asked for, or none."""
    if arguments.scheduler is None and arguments.workers is None:
        return nullcontext()
    if arguments.scheduler is not None and arguments.workers is not None:
        raise ParetoscopeError("--workers are processes of this machine: without --scheduler")
    if arguments.workers is not None and not 1 <= arguments.workers <= 1_000:
        raise ParetoscopeError(f"--workers must be 1 to 1,000, not {arguments.workers}")
    if arguments.measured == "all":
        raise ParetoscopeError("workers compute, they do not run files: add --measured front")
    from paretoscope.sweeps.cluster import Cluster

    return Cluster(arguments.scheduler, arguments.workers or 2)


def _say(text: str) -> None:
    print(f"paretoscope: {text}", file=sys.stderr)


def search(arguments: argparse.Namespace) -> None:
    path = None if arguments.output is None else _checked_output(arguments.output, (".onnx",))
    if arguments.aim not in AIMS:
        raise one_of("--aim", arguments.aim, list(AIMS))
    size = {"gzip_bytes" if arguments.aim == "gzip" else "file_bytes": arguments.bytes}
    recoveries: Any = [parse_member(t, RECOVERIES) for t in arguments.recover.split(",") if t]
    data, network, recipes = grid(arguments)
    baseline = _baseline(arguments, network, data)
    drop = arguments.drop
    if drop is None:
        drop = usual_loss(baseline)
    elif baseline.score.unit == "%":
        Number(0, 100).check("--drop", drop)
        drop = drop / 100
    budget = ps.Budget(drop=drop, time_us=arguments.us, **size)
    timed = arguments.aim == "time" or arguments.us is not None

    def measure(recipe: ps.Recipe) -> Measured:
        artifact = ps.compress(network, recipe, data.train, data.validation)
        return ps.measure(artifact, data, batches=(1,) if timed else (), baseline=baseline)

    found = ps.search(
        network,
        recipes,
        baseline,
        budget,
        aim=arguments.aim,
        recoveries=recoveries,
        by_layer=arguments.by_layer,
        measure=measure,
    )
    print(
        f"{found.candidates} candidates, as much work as {found.evaluations:.1f} of them on all "
        f"{len(baseline.rows):,} validation rows"
    )
    if found.best is None or found.measurement is None:
        print("none is within the budget; the nearest:")
    else:
        m = found.measurement
        print(f"{found.best.recipe}: {_quality(m.score, m.quality, m.split)}")
        print(
            f"change {_differing(m.change.value, m.change)}, {m.size_bytes:,} bytes, "
            f"{m.gzip_bytes:,} under gzip -9; chosen on these rows, so judge it on others: measure "
            "--split test"
        )
        print("cheaper, but over:" if found.near else "nothing cheaper came near")
    for near in found.near:
        print(f"  {near.recipe}: change {_differing(near.change.value, near.change)}")
    if path is not None and found.best is not None:
        artifact = ps.compress(network, found.best.recipe, data.train, data.validation)
        write_atomically(path, artifact.onnx_bytes)
        write_atomically(record_path(path), to_json(ps.measure(artifact, data, baseline=baseline)))
        print(f"{path}: written, its figures beside it")


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise one_of("--split", split, list(SPLITS))


def _checked_output(output: str, endings: Sequence[str]) -> Path:
    """The path to write to, refused before any work where it cannot be written."""
    path = Path(output)
    if path.suffix not in endings:
        raise ParetoscopeError(f"the output must end in {' or '.join(endings)}; got {output!r}")
    if not path.parent.is_dir():
        raise ParetoscopeError(f"the folder of the output must exist; got {output!r}")
    if path.is_dir():
        raise ParetoscopeError(f"the output must be a file; {output!r} is a folder")
    return path
