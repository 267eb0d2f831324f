"""The command line: ``python -m paretoscope --help``."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import paretoscope as ps
from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import Choice, Member, parameters, parse_member
from paretoscope.base.store import write_atomically
from paretoscope.data.dataset import SOURCES, SPLITS, Dataset, find_source, is_present
from paretoscope.measurement.accuracy import Accuracy
from paretoscope.measurement.measurement import Baseline
from paretoscope.measurement.provenance import record_path, remeasure, to_json
from paretoscope.methods.pruning import CRITERIA, Criterion
from paretoscope.methods.quantization import QUANTIZERS
from paretoscope.methods.recovery import RECOVERIES
from paretoscope.network.network import Network
from paretoscope.searches.search import AIMS
from paretoscope.sweeps.export import ENDINGS, table
from paretoscope.sweeps.sweep import CURVE_POINTS, MEASURED, stops
from paretoscope.training.training import MODELS, models

_PLACES = {"threshold", "sparsity", "pattern"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ParetoscopeError(f"{message}; see '{self.prog} --help'")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0; 2 after a sentence on standard error; 130 when
    stopped."""
    try:
        arguments = _parser().parse_args(argv)
        arguments.run(arguments)
    except ParetoscopeError as error:
        print(f"paretoscope: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "paretoscope: stopped; no output was written; a sweep's points so far are kept",
            file=sys.stderr,
        )
        return 130
    return 0


def _parser() -> _Parser:
    parser = _Parser(prog="python -m paretoscope", description=ps.__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    datasets = commands.add_parser("datasets", help="list the datasets, or fetch one from OpenML")
    datasets.add_argument("--fetch", metavar="NAME", help="fetch an image dataset and keep it")
    datasets.set_defaults(run=_datasets)

    listing = commands.add_parser("models", help="list the models that fit a dataset")
    listing.add_argument("dataset")
    listing.set_defaults(run=_models)

    compress = commands.add_parser(
        "compress", help="write the ONNX file that a recipe makes, and its figures as JSON beside"
    )
    _add_network(compress)
    compress.add_argument("recipe", help="like 'magnitude(threshold=0.05)+q(16)'")
    compress.add_argument("-o", "--output", metavar="FILE", help="default: DATASET-MODEL.onnx")
    compress.set_defaults(run=_compress)

    measure = commands.add_parser(
        "measure", help="accuracy, size and time of a recipe's file; or a file's accuracy here"
    )
    measure.add_argument("dataset", help="or a .onnx file that Paretoscope made, alone")
    measure.add_argument("model", nargs="?")
    measure.add_argument("recipe", nargs="?", help="like 'magnitude(threshold=0.05)+q(16)'")
    _add_seeds(measure)
    measure.add_argument(
        "--split", default="validation", help="validation (default), test or train"
    )
    measure.set_defaults(run=_measure)

    sweep = commands.add_parser("sweep", help="measure a grid of recipes into a table")
    _add_network(sweep)
    _add_family(sweep, "criterion", CRITERIA)
    _add_family(sweep, "quantizer", QUANTIZERS, default="q")
    sweep.add_argument("--recovery", default="project", help="like 'gptq' or 'finetune(epochs=5)'")
    sweep.add_argument("--split", default="validation", help="validation (default), test or train")
    tables = "a .csv, .parquet or .json file (default: CSV on standard output)"
    sweep.add_argument("-o", "--output", metavar="FILE", help=tables)
    sweep.add_argument(
        "--measured",
        default="all",
        help="all (default): every file is made and run; front: all are computed, then the files "
        "of the front made and run; none",
    )
    sweep.add_argument(
        "--anew", action="store_true", help="also what the history knows, of a sweep before this"
    )
    sweep.add_argument(
        "--workers", type=int, metavar="N", help="compute in N processes (with --measured front)"
    )
    sweep.add_argument(
        "--scheduler", metavar="ADDRESS", help="compute on the workers of a Dask scheduler"
    )
    sweep.set_defaults(run=_sweep)

    search = commands.add_parser("search", help="the smallest or fastest recipe within a budget")
    _add_network(search)
    _add_family(search, "criterion", CRITERIA)
    _add_family(search, "quantizer", QUANTIZERS, default="q")
    search.add_argument(
        "--drop", type=float, default=0.5, help="of accuracy, at most, in points (default: 0.5)"
    )
    search.add_argument("--bytes", type=float, help="of the file, at most: zipped, or on disk")
    search.add_argument("--us", type=float, help="for one row, at most, in microseconds")
    search.add_argument(
        "--aim",
        default="gzip",
        help="gzip (default): smallest under gzip; file: smallest on disk; time: fastest",
    )
    search.add_argument(
        "--recover",
        default="",
        metavar="RECOVERIES",
        help="tried on smaller candidates, like 'ls,gptq'",
    )
    search.add_argument(
        "--by-layer", action="store_true", help="then give layers coarser codes, one by one"
    )
    search.add_argument("-o", "--output", metavar="FILE", help="where the .onnx file is written")
    search.set_defaults(run=_search)

    check = commands.add_parser(
        "check", help="what a file of unknown origin is, by the gate that uploads pass"
    )
    check.add_argument(
        "file", help="a model (.onnx, .skops) or a table (.csv, .tsv, .parquet, .npz)"
    )
    check.add_argument(
        "--model", metavar="FILE", help="an .onnx or .skops file to judge on the table"
    )
    check.add_argument(
        "--correct-shape",
        action="store_true",
        help="where the model states another number of features than its weights take, take theirs",
    )
    check.add_argument("--output", metavar="NAME", help="the output to judge by, of several")
    check.add_argument(
        "--cut",
        type=float,
        metavar="NUMBER",
        help="what tells two classes apart where the output is one number (default: 0.5 behind "
        "Sigmoid or Softmax, else 0)",
    )
    check.add_argument("--label", metavar="COLUMN", help="the column of the table to be predicted")
    for option, how in (
        ("--leave-out", "which is no feature; several times for several"),
        ("--keep", "as a feature, though it numbers or names the rows"),
        ("--one-hot", "of text, as a column of 0 and 1 for each of its few values"),
    ):
        check.add_argument(
            option, metavar="COLUMN", action="append", default=[], help=f"a column {how}"
        )
    check.add_argument(
        "--decimal",
        choices=("point", "comma"),
        help="the decimal mark where a column of numbers can be read in two ways",
    )
    check.add_argument(
        "--encoding", metavar="NAME", help="of a table of text, like 'cp1252' or 'gb18030'"
    )
    check.add_argument(
        "--classes",
        metavar="NAMES",
        help="what the table calls the model's classes, in its order, with commas between",
    )
    check.set_defaults(run=_check)
    return parser


def _add_network(command: argparse.ArgumentParser) -> None:
    command.add_argument("dataset")
    command.add_argument("model")
    _add_seeds(command)


def _add_seeds(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=int, default=0, help="of the training (default: 0)")
    command.add_argument("--split-seed", type=int, default=0, help="of the split (default: 0)")


def _add_family(
    command: argparse.ArgumentParser,
    kind: str,
    family: Sequence[type[Member]],
    default: str | None = None,
) -> None:
    """An option to choose a member of a family, and one for each parameter of any member."""
    names = [member.name for member in family]
    command.add_argument(
        f"--{kind}", default=default or names[0], help=f"one of {', '.join(names)}"
    )
    described = {n: p for member in family for n, p in parameters(member).items()}
    for name, parameter in described.items():
        how = "" if isinstance(parameter.range, Choice) else "; several with commas"
        command.add_argument(f"--{name}", metavar="VALUES", help=f"{parameter.range}{how}")


def _check(arguments: argparse.Namespace) -> None:
    from paretoscope.uploads.checking import Chosen, check
    from paretoscope.uploads.csvs import Reading
    from paretoscope.uploads.numerals import AmbiguousNumbersError

    model = None if arguments.model is None else _read(arguments.model)
    names: list[str] = []
    if arguments.classes is not None:
        if model is None:
            raise ParetoscopeError("--classes names the classes of a model; give one with --model")
        names = [name.strip() for name in next(csv.reader([arguments.classes]), [])]
    chosen = Chosen(
        arguments.label,
        arguments.leave_out,
        arguments.keep,
        arguments.one_hot,
        Reading(arguments.encoding, arguments.decimal),
    )
    try:
        checked = check(
            _read(arguments.file),
            arguments.file,
            model,
            chosen=chosen,
            correct_shape=arguments.correct_shape,
            output=arguments.output,
            cut=arguments.cut,
            names=names,
        )
    except AmbiguousNumbersError as error:
        raise ParetoscopeError(f"{error} (--decimal point, or --decimal comma)") from None
    print(checked.line)
    if checked.compressible:
        print(f"can be compressed: {checked.compressible}")
    for note in checked.notes:
        print(f"note: {note}", file=sys.stderr)


def _read(name: str) -> bytes:
    """A file that is not too large."""
    from paretoscope.uploads.kinds import MOST_BYTES, require_size

    try:
        with Path(name).open("rb") as file:
            require_size(os.fstat(file.fileno()).st_size)
            data = file.read(MOST_BYTES + 1)  # of a pipe, too, no more than is taken
    except OSError as error:
        raise ParetoscopeError(f"{name} cannot be read: {error.strerror}") from error
    return data


def _datasets(arguments: argparse.Namespace) -> None:
    if arguments.fetch:
        folder = ps.fetch_dataset(arguments.fetch, lambda _, text: print(text, file=sys.stderr))
        print(f"{find_source(arguments.fetch).title} is in {folder}")
        return
    for source in SOURCES:
        absent = "" if is_present(source.name) else "  (not on this machine)"
        print(f"{source.name:<15} {source.title}: {source.summary}{absent}")


def _models(arguments: argparse.Namespace) -> None:
    fitting = models(ps.load_dataset(arguments.dataset))
    for model in MODELS:
        if model.name in fitting:
            print(f"{model.name:<20} {model.title}")


def _compress(arguments: argparse.Namespace) -> None:
    output = arguments.output or f"{arguments.dataset}-{arguments.model}.onnx"
    path = _checked_output(output, (".onnx",))
    recipe = ps.Recipe.parse(arguments.recipe)
    data, network = _network(arguments)
    artifact = ps.compress(network, recipe, data.train, data.validation)
    figures = ps.measure(artifact, data)
    write_atomically(path, artifact.onnx_bytes)
    write_atomically(record_path(path), to_json(figures))
    print(f"{path}: {artifact.sizes.file:,} bytes, {artifact.sizes.gzip:,} under gzip -9, {recipe}")
    print(f"{record_path(path)}: its figures, with date and machine")


def _measure(arguments: argparse.Namespace) -> None:
    if arguments.model is None and arguments.dataset.endswith(".onnx"):
        _measure_file(Path(arguments.dataset))
        return
    if arguments.model is None or arguments.recipe is None:
        raise ParetoscopeError(
            "measure takes a dataset, a model and a recipe, or one .onnx file; got "
            f"{arguments.dataset!r}"
        )
    recipe = ps.Recipe.parse(arguments.recipe)
    _check_split(arguments.split)
    data, network = _network(arguments)
    artifact = ps.compress(network, recipe, data.train, data.validation)
    for name, value in ps.measure(artifact, data, arguments.split).row().items():
        print(f"{name:<20} {value:.6g}" if isinstance(value, float) else f"{name:<20} {value}")


def _measure_file(path: Path) -> None:
    found = remeasure(path)
    split = "validation" if found.recorded is None else found.recorded.split
    print(f"{path}: {found.origin.recipe} of {found.origin.model} on {found.origin.dataset}")
    print(f"here      {_accuracy(found.here, split)}")
    if found.recorded is None:
        print(f"recorded  nothing: {record_path(path)} is not there")
    else:
        then = f"on {found.recorded.date}, {found.recorded.environment.cpu}"
        print(f"recorded  {_accuracy(found.recorded.accuracy, split)}, {then}")
    for sentence in found.why:
        print(sentence)


def _accuracy(found: Accuracy, split: str) -> str:
    low, high = found.interval
    return (
        f"{found.value:.4f} ({found.correct:,} of {found.n:,} {split} rows, 95 % interval "
        f"{low:.4f} to {high:.4f})"
    )


def _sweep(arguments: argparse.Namespace) -> None:
    path = None if arguments.output is None else _checked_output(arguments.output, ENDINGS)
    _check_split(arguments.split)
    if arguments.measured not in MEASURED:
        raise one_of("--measured", arguments.measured, list(MEASURED))
    recovery: Any = parse_member(arguments.recovery, RECOVERIES)
    data, network, grid = _grid(arguments)
    recipes = [replace(recipe, recovery=recovery) for recipe in grid]
    from tqdm import tqdm

    with _cluster(arguments) as cluster:
        measurements = ps.sweep(
            network,
            data,
            recipes,
            arguments.split,
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


def _search(arguments: argparse.Namespace) -> None:
    path = None if arguments.output is None else _checked_output(arguments.output, (".onnx",))
    if arguments.aim not in AIMS:
        raise one_of("--aim", arguments.aim, list(AIMS))
    size = {"gzip_bytes" if arguments.aim == "gzip" else "file_bytes": arguments.bytes}
    budget = ps.Budget(drop=arguments.drop / 100, time_us=arguments.us, **size)
    recoveries: Any = [parse_member(t, RECOVERIES) for t in arguments.recover.split(",") if t]
    data, network, recipes = _grid(arguments)
    baseline = Baseline(network, data)
    timed = arguments.aim == "time" or arguments.us is not None

    def measure(recipe: ps.Recipe) -> ps.Measurement:
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
        f"{found.candidates} candidates, the work of {found.evaluations:.1f} evaluations on all "
        f"{len(baseline.rows):,} validation rows"
    )
    if found.best is None or found.measurement is None:
        print("none is within the budget; the nearest:")
    else:
        m = found.measurement
        print(f"{found.best.recipe}: {_accuracy(m.accuracy, m.split)}")
        print(
            f"change {100 * m.change.value:+.2f} points, {m.size_bytes:,} bytes, {m.gzip_bytes:,} "
            "under gzip -9; chosen on these rows, so judge it on others: measure --split test"
        )
        print("cheaper, but over:" if found.near else "nothing cheaper came near")
    for near in found.near:
        print(f"  {near.recipe}: change {100 * near.change.value:+.2f} points")
    if path is not None and found.best is not None:
        artifact = ps.compress(network, found.best.recipe, data.train, data.validation)
        write_atomically(path, artifact.onnx_bytes)
        write_atomically(record_path(path), to_json(ps.measure(artifact, data)))
        print(f"{path}: written, its figures beside it")


def _grid(arguments: argparse.Namespace) -> tuple[Dataset, Network, list[ps.Recipe]]:
    """The network, and the recipes that the options ask for, with stops for what was not given."""
    criterion: Any = _member("criterion", arguments.criterion, CRITERIA)
    quantizer: Any = _member("quantizer", arguments.quantizer, QUANTIZERS)
    axes = _axes(arguments, criterion) | _axes(arguments, quantizer)
    place = {} if _PLACES & set(axes) else {_default_place(criterion): [0.0]}
    ps.grid(criterion, quantizer, **(place | axes))  # refuses bad values before any work
    data, network = _network(arguments)
    recipes = []
    for scope in axes.pop("scope", ["global"]):  # each has thresholds of its own
        whole = _with_stops(network, criterion, quantizer, axes, scope)
        recipes += ps.grid(criterion, quantizer, **whole, scope=scope)
    return data, network, recipes


def _with_stops(
    network: Network, criterion: Any, quantizer: Any, axes: dict[str, list[Any]], scope: str
) -> dict[str, list[Any]]:
    """The axes, with the slider's stops for what was not given."""
    whole: dict[str, list[Any]] = {}
    if not _PLACES & set(axes):
        place = _default_place(criterion)
        whole[place] = stops(network, criterion, place, CURVE_POINTS, scope=scope)
    for name, described in parameters(quantizer).items():
        if name not in axes and described.stops is not None:
            whole[name] = stops(network, quantizer, name, CURVE_POINTS)
    return whole | axes


def _default_place(criterion: type[Criterion]) -> str:
    """Thresholds where a criterion's scores are the weights' own, else shares of the weights."""
    return "sparsity" if criterion.needs_rows else "threshold"


def _axes(arguments: argparse.Namespace, member: type[Member]) -> dict[str, list[Any]]:
    axes = {}
    for name, described in parameters(member).items():
        text = getattr(arguments, name)
        if text is not None:
            axes[name] = [described.range.parse(f"--{name}", part) for part in text.split(",")]
    return axes


def _member(what: str, name: str, family: Sequence[type[Member]]) -> type[Member]:
    for member in family:
        if member.name == name:
            return member
    raise one_of(f"--{what}", name, [member.name for member in family])


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


def _network(arguments: argparse.Namespace) -> tuple[Dataset, Network]:
    data = ps.load_dataset(arguments.dataset, arguments.split_seed)
    from tqdm import tqdm

    with tqdm(
        total=1.0, disable=not sys.stderr.isatty(), leave=False, bar_format="{l_bar}{bar}"
    ) as bar:

        def report(fraction: float | None, text: str) -> None:
            bar.set_description(text)
            bar.update((fraction or bar.n) - bar.n)

        return data, ps.train(arguments.model, data, arguments.seed, report=report)


if __name__ == "__main__":
    sys.exit(main())
