"""The command line's way in, and what each command takes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import paretoscope as ps
from paretoscope.base.errors import ParetoscopeError
from paretoscope.cli import commands
from paretoscope.cli.subject import add_family, add_model_options, add_subject, add_table_options
from paretoscope.methods.pruning import CRITERIA
from paretoscope.methods.quantization import QUANTIZERS


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ParetoscopeError(f"{message}; see '{self.prog} --help'")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0; 2 after a sentence on standard error; 130 when
    stopped."""
    try:
        parser = _parser()
        arguments, more = parser.parse_known_args(argv)  # words between options come as `more`
        if any(word.startswith("-") for word in more) or (more and "words" not in arguments):
            parser.error(f"unrecognized arguments: {' '.join(more)}")
        if more:
            arguments.words += more
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
    ways = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_datasets, _models, _compress, _measure, _sweep, _search, _check, _open):
        add(ways)
    return parser


def _datasets(ways: Any) -> None:
    command = ways.add_parser("datasets", help="list the datasets, or fetch one from OpenML")
    command.add_argument("--fetch", metavar="NAME", help="fetch an image dataset and keep it")
    command.set_defaults(run=commands.datasets)


def _models(ways: Any) -> None:
    command = ways.add_parser("models", help="list the models that fit a dataset")
    command.add_argument("dataset")
    command.set_defaults(run=commands.models)


def _compress(ways: Any) -> None:
    command = ways.add_parser(
        "compress", help="write the ONNX file that a recipe makes, and its figures as JSON beside"
    )
    add_subject(command, recipe=True)
    command.add_argument("-o", "--output", metavar="FILE", help="default: DATASET-MODEL.onnx")
    command.set_defaults(run=commands.compress)


def _measure(ways: Any) -> None:
    command = ways.add_parser(
        "measure",
        help="accuracy, size and time of a recipe's file; or of one .onnx file that Paretoscope "
        "made its accuracy here",
    )
    add_subject(command, recipe=True)
    command.add_argument(
        "--split", default="validation", help="validation (default), test or train"
    )
    command.set_defaults(run=commands.measure)


def _sweep(ways: Any) -> None:
    command = ways.add_parser("sweep", help="measure a grid of recipes into a table")
    add_subject(command)
    add_family(command, "criterion", CRITERIA)
    add_family(command, "quantizer", QUANTIZERS, default="q")
    command.add_argument(
        "--recovery", default="project", help="like 'gptq' or 'finetune(epochs=5)'"
    )
    command.add_argument(
        "--split", default="validation", help="validation (default), test or train"
    )
    tables = "a .csv, .parquet or .json file (default: CSV on standard output)"
    command.add_argument("-o", "--output", metavar="FILE", help=tables)
    command.add_argument(
        "--measured",
        default="all",
        help="all (default): every file is made and run; front: all are computed, then the files "
        "of the front made and run; none",
    )
    command.add_argument(
        "--anew", action="store_true", help="also what the history knows, of a sweep before this"
    )
    command.add_argument(
        "--workers", type=int, metavar="N", help="compute in N processes (with --measured front)"
    )
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="compute on the workers of a Dask scheduler"
    )
    command.set_defaults(run=commands.sweep)


def _search(ways: Any) -> None:
    command = ways.add_parser("search", help="the smallest or fastest recipe within a budget")
    add_subject(command)
    add_family(command, "criterion", CRITERIA)
    add_family(command, "quantizer", QUANTIZERS, default="q")
    command.add_argument(
        "--drop",
        type=float,
        help="what may be lost at most: of accuracy and other shares in points (default: 0.5), of "
        "other scores in their own unit (default: about 1 %% of the uncompressed model's)",
    )
    command.add_argument("--bytes", type=float, help="of the file, at most: zipped, or on disk")
    command.add_argument("--us", type=float, help="for one row, at most, in microseconds")
    command.add_argument(
        "--aim",
        default="gzip",
        help="gzip (default): smallest under gzip; file: smallest on disk; time: fastest",
    )
    command.add_argument(
        "--recover",
        default="",
        metavar="RECOVERIES",
        help="tried on smaller candidates, like 'ls,gptq'",
    )
    command.add_argument(
        "--by-layer", action="store_true", help="then give layers coarser codes, one by one"
    )
    command.add_argument("-o", "--output", metavar="FILE", help="where the .onnx file is written")
    command.set_defaults(run=commands.search)


def _check(ways: Any) -> None:
    command = ways.add_parser(
        "check", help="what a file of unknown origin is, by the gate that uploads pass"
    )
    command.add_argument(
        "file",
        help="a model (.onnx, .skops), a table (.csv, .tsv, .parquet, .npz), or with --model "
        "pictures (.zip)",
    )
    command.add_argument(
        "--model", metavar="FILE", help="an .onnx or .skops file to judge on the table"
    )
    add_model_options(command, "--output")
    add_table_options(command)
    command.set_defaults(run=commands.check)


def _open(ways: Any) -> None:
    command = ways.add_parser(
        "open",
        help="keep a model of this machine for the app, also one that is too large for its page, "
        "and print the link to it",
    )
    command.add_argument("model", metavar="MODEL", help="an .onnx or .skops file")
    command.add_argument(
        "--data",
        metavar="DATA",
        help="a table, arrays (.npz), pictures (.zip), or a dataset's name (default: made-up rows)",
    )
    command.add_argument(
        "--url",
        default="http://127.0.0.1:8501",
        help="where the app runs, on this machine (default: %(default)s)",
    )
    add_table_options(command)
    add_model_options(command, "--scores")
    command.set_defaults(run=commands.open_in_the_app)
