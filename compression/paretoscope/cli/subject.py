"""What a command is about, from its words and options: dataset and network, a grid of recipes."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paretoscope as ps
from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import Choice, Member, parameters
from paretoscope.data.dataset import Dataset
from paretoscope.data.own_data import own_notes
from paretoscope.methods.pruning import CRITERIA, Criterion
from paretoscope.methods.quantization import QUANTIZERS
from paretoscope.network.network import Network
from paretoscope.sweeps.sweep import CURVE_POINTS, stops
from paretoscope.uploads.picture_choice import FITS, SCALINGS, PictureChoice, scaled_by

_PLACES = {"threshold", "sparsity", "pattern"}
MODEL_ENDINGS = (".onnx", ".skops")
_OF_A_TABLE = ("label", "predict", "leave_out", "keep", "one_hot", "decimal", "encoding")
_OF_PICTURES = ("fit", "side", "scaling", "blue_first", "without_wrong")
_OF_A_MODEL = ("classes", "scores", "cut", "correct_shape")


def add_subject(command: argparse.ArgumentParser, *, recipe: bool = False) -> None:
    """The words and options that name a dataset and a network, one's own among them."""
    words = "DATASET MODEL RECIPE" if recipe else "DATASET MODEL"
    command.add_argument(
        "words",
        nargs="*",
        metavar=words,
        help="without DATASET where --data is given, without MODEL where --model is; 'made' as "
        "DATASET holds the model against itself on rows of noise"
        + ("; a recipe is like 'magnitude(threshold=0.05)+q(16)'" if recipe else ""),
    )
    command.add_argument("--data", metavar="FILE", help="one's own table in place of DATASET")
    command.add_argument(
        "--model", metavar="FILE", help="one's own .onnx or .skops file in place of MODEL"
    )
    command.add_argument(
        "--score",
        metavar="NAME",
        help="what quality is judged by, like balanced-accuracy or mae (default: accuracy, or rmse "
        "where a number is predicted)",
    )
    command.add_argument(
        "--decision",
        metavar="HOW",
        help="how classes are decided for, like 'cut=0.3' of two classes, or 'costs=0,1,5,0', what "
        "it costs to take each for each, row by row (default: the largest score)",
    )
    command.add_argument("--seed", type=int, default=0, help="of the training (default: 0)")
    command.add_argument("--split-seed", type=int, default=0, help="of the split (default: 0)")
    add_table_options(command)
    add_model_options(command, "--scores")


def add_table_options(command: argparse.ArgumentParser) -> None:
    """How one's own table is read."""
    command.add_argument(
        "--label", metavar="COLUMN", help="the column of the table to be predicted"
    )
    command.add_argument(
        "--predict",
        choices=("class", "number", "nothing"),
        help="what that column holds (default: what it looks like); nothing: there is no target, "
        "files are held against the uncompressed model",
    )
    for option, how in (
        ("--leave-out", "which is no feature; several times for several"),
        ("--keep", "as a feature, though it numbers or names the rows"),
        ("--one-hot", "of text, as a column of 0 and 1 for each of its few values"),
    ):
        command.add_argument(
            option, metavar="COLUMN", action="append", default=[], help=f"a column {how}"
        )
    command.add_argument(
        "--decimal",
        choices=("point", "comma"),
        help="the decimal mark where a column of numbers can be read in two ways",
    )
    command.add_argument(
        "--encoding", metavar="NAME", help="of a table of text, like 'cp1252' or 'gb18030'"
    )
    command.add_argument(
        "--fit", choices=tuple(FITS), help="how pictures are put into the model's frame"
    )
    command.add_argument(
        "--side",
        type=int,
        metavar="PIXELS",
        help="of a picture, where the model takes any (default: theirs where they are alike, else "
        "224)",
    )
    command.add_argument(
        "--scaling",
        metavar="NAME",
        help=f"of pictures: one of {', '.join(SCALINGS)}, or 'mean/deviation' like '0.5/0.25' "
        "(default: the one under which the model is right most often)",
    )
    command.add_argument(
        "--blue-first", action="store_true", help="the model takes blue before green and red"
    )
    command.add_argument(
        "--without-wrong", action="store_true", help="leave out pictures that cannot be read"
    )
    command.add_argument(
        "--classes",
        metavar="NAMES",
        help="what the table calls the model's classes, in its order, with commas between",
    )


def add_model_options(command: argparse.ArgumentParser, output: str) -> None:
    """How one's own model is read; `output` is what the option is called that names its output."""
    command.add_argument(
        "--correct-shape",
        action="store_true",
        help="where the model states another number of features than its weights take, take theirs",
    )
    command.add_argument(
        output, metavar="NAME", dest="scores", help="the output to judge by, of several"
    )
    command.add_argument(
        "--cut",
        type=float,
        metavar="NUMBER",
        help="what tells two classes apart where the output is one number (default: 0.5 behind "
        "Sigmoid or Softmax, else 0)",
    )


def add_family(
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


def class_names(arguments: argparse.Namespace) -> list[str]:
    """What was given as the names of a model's classes."""
    if arguments.classes is None:
        return []
    return [name.strip() for name in next(csv.reader([arguments.classes]), [])]


def recipe_of(arguments: argparse.Namespace) -> ps.Recipe:
    """The last of a command's words."""
    return ps.Recipe.parse(_named(arguments, "RECIPE")["RECIPE"])


def stem(arguments: argparse.Namespace) -> str:
    """What a file is called that a command writes, where nothing else is said."""
    named = _named(arguments, "RECIPE")
    return f"{Path(named['DATASET']).stem}-{Path(named['MODEL']).stem}"


def subject(arguments: argparse.Namespace, *more: str) -> tuple[Dataset, Network]:
    """Dataset and network: trained now or before, or one's own.

    Parameters
    ----------
    arguments : Namespace
    more : str
        The words that the command takes besides them, like "RECIPE".
    """
    named = _named(arguments, *more)
    is_file = named["MODEL"].lower().endswith(MODEL_ENDINGS)
    if arguments.data is None:
        _refuse(arguments, _OF_A_TABLE, "is about your own table: name it with --data")
        _refuse(arguments, _OF_PICTURES, "is about your own pictures: name them with --data")
    if not is_file:
        _refuse(arguments, _OF_A_MODEL, "is about your own model: name its file with --model")
    elif arguments.seed:
        raise ParetoscopeError("--seed is of a training, and your own model is trained already")
    if named["DATASET"] == "made" and is_file:
        from paretoscope.uploads.own import keep_made, read_file

        asked = {"scores": arguments.scores, "correct_shape": arguments.correct_shape}
        path = named["MODEL"]
        made = keep_made(read_file(path), Path(path).name, **asked)
        for note in own_notes(made):
            print(f"note: {note}", file=sys.stderr)
        data = ps.load_dataset(made, arguments.split_seed)
    elif arguments.data is None:
        data = ps.load_dataset(named["DATASET"], arguments.split_seed)
    else:
        data = _own_table(arguments)
    if is_file:
        network = ps.load_model(
            named["MODEL"],
            data,
            names=class_names(arguments),
            scores=arguments.scores,
            cut=arguments.cut,
            correct_shape=arguments.correct_shape,
        )
        return data, network
    return data, _trained(named["MODEL"], data, arguments.seed)


def _refuse(arguments: argparse.Namespace, options: Sequence[str], why: str) -> None:
    """Say of an option that it would change nothing."""
    for name in options:
        given = getattr(arguments, name)
        if given is not None and given is not False and given != []:
            raise ParetoscopeError(f"--{name.replace('_', '-')} {why}")


def picture_choice(arguments: argparse.Namespace) -> PictureChoice:
    """What was chosen of an archive of pictures."""
    scaled = None
    if arguments.scaling is not None:
        scaled = SCALINGS.get(arguments.scaling)
        if scaled is None:
            mean, slash, deviation = arguments.scaling.partition("/")
            try:
                parts = [list(map(float, part.split(","))) for part in (mean, deviation)]
            except ValueError:
                slash = ""
            if not slash:
                raise one_of("scaling", arguments.scaling, [*SCALINGS, "mean/deviation"])
            scaled = scaled_by(*parts)
    return PictureChoice(
        arguments.fit or "fill",
        arguments.side,
        scaled=scaled,
        blue_first=arguments.blue_first or None,
        names=tuple(class_names(arguments)),
        without_wrong=arguments.without_wrong,
    )


def _own_pictures(arguments: argparse.Namespace) -> Dataset:
    from tqdm import tqdm

    if arguments.model is None:
        raise ParetoscopeError("pictures are for a model of yours: name its file with --model")
    _refuse(arguments, _OF_A_TABLE, "is about a table, and the data are pictures")
    with tqdm(
        total=1.0, disable=not sys.stderr.isatty(), leave=False, bar_format="{l_bar}{bar}"
    ) as bar:

        def report(share: float, text: str) -> None:
            bar.set_description(text)
            bar.update(share - bar.n)

        chosen, scores = picture_choice(arguments), arguments.scores
        data = ps.load_pictures(
            arguments.data,
            arguments.model,
            chosen,
            scores=scores,
            cut=arguments.cut,
            seed=arguments.split_seed,
            report=report,
        )
    for note in own_notes(data.name):
        print(f"note: {note}", file=sys.stderr)
    return data


def _own_table(arguments: argparse.Namespace) -> Dataset:
    from paretoscope.uploads.own import read_file
    from paretoscope.uploads.pictures import is_pictures

    if is_pictures(read_file(arguments.data)):
        return _own_pictures(arguments)
    _refuse(arguments, _OF_PICTURES, "is about pictures, and the data are none")
    return _own_rows(arguments)


def _own_rows(arguments: argparse.Namespace) -> Dataset:
    from paretoscope.uploads.numerals import AmbiguousNumbersError

    try:
        data = ps.load_table(
            arguments.data,
            arguments.label,
            leave_out=arguments.leave_out,
            keep=arguments.keep,
            one_hot=arguments.one_hot,
            predict=arguments.predict,
            decimal=arguments.decimal,
            encoding=arguments.encoding,
            n_classes=_n_classes(arguments),
            seed=arguments.split_seed,
        )
    except AmbiguousNumbersError as error:
        raise ParetoscopeError(f"{error} (--decimal point, or --decimal comma)") from None
    for note in own_notes(data.name):
        print(f"note: {note}", file=sys.stderr)
    return data


def _n_classes(arguments: argparse.Namespace) -> int:
    """How many classes one's own model tells apart, where that matters to rows of arrays."""
    from paretoscope.uploads.arrays import is_arrays
    from paretoscope.uploads.own import n_scores_of, read_file

    if arguments.model is None or not is_arrays(read_file(arguments.data)):
        return 0
    return n_scores_of(read_file(arguments.model), arguments.model, arguments.scores)


def _named(arguments: argparse.Namespace, *more: str) -> dict[str, str]:
    """What the words and options of a command name, by what it is."""
    options = {"DATASET": arguments.data, "MODEL": arguments.model}
    found = {what: option for what, option in options.items() if option is not None}
    wanted = [what for what in (*options, *more) if what not in found]
    words = arguments.words
    if len(words) != len(wanted):
        takes, got = " ".join(wanted) or "no words", " ".join(words) or "nothing"
        raise ParetoscopeError(f"with these options the command takes {takes}; got {got}")
    return found | dict(zip(wanted, words, strict=True))


def _trained(model: str, data: Dataset, seed: int) -> Network:
    from tqdm import tqdm

    with tqdm(
        total=1.0, disable=not sys.stderr.isatty(), leave=False, bar_format="{l_bar}{bar}"
    ) as bar:

        def report(fraction: float | None, text: str) -> None:
            bar.set_description(text)
            bar.update((fraction or bar.n) - bar.n)

        return ps.train(model, data, seed, report=report)


def grid(arguments: argparse.Namespace) -> tuple[Dataset, Network, list[ps.Recipe]]:
    """The network, and the recipes that the options ask for, with stops for what was not given."""
    criterion: Any = _member("criterion", arguments.criterion, CRITERIA)
    quantizer: Any = _member("quantizer", arguments.quantizer, QUANTIZERS)
    axes = _axes(arguments, criterion) | _axes(arguments, quantizer)
    place = {} if _PLACES & set(axes) else {_default_place(criterion): [0.0]}
    ps.grid(criterion, quantizer, **(place | axes))  # refuses bad values before any work
    data, network = subject(arguments)
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
