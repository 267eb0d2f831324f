"""A link as a picture, from the project's folder: ``python -m ui.pictures LINK -o chart.png``.

Its curve is measured on this machine; Chrome or Chromium draws it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import paretoscope as ps
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import write_atomically
from paretoscope.measurement.measurement import Baseline, as_brought, compute, with_gzip
from paretoscope.methods.activations import FloatActivations
from paretoscope.sweeps.sweep import CURVE_POINTS

from ui.base import rendering
from ui.base.plot import Figure
from ui.base.theme import DARK, LETTERS, LIGHT, Theme
from ui.parts import charts, figures, grid
from ui.parts.frame import network_title
from ui.parts.method_controls import axis_of, pruner_of
from ui.state.address import View, parse_query
from ui.state.subject import Subject


def figure_of(view: View, chart: str, theme: Theme = LIGHT, *, square: bool = False) -> Figure:
    """A view's chart of its score against size or time, its curve measured here and now."""
    data = ps.load_dataset(view.dataset)
    network = ps.train(view.model, data)
    criterion, place = pruner_of(view.recipe), axis_of(pruner_of(view.recipe))
    curve = [view.recipe]
    if place != "pattern" and not view.recipe.trains and not criterion.needs_rows:
        curve += ps.curve(network, view.recipe, place, CURVE_POINTS)
    curve = list(dict.fromkeys(curve))
    recipes = dict.fromkeys([ps.Recipe(), *curve, *view.pins])
    subject = Subject(
        view.dataset, data.seed, view.model, 0, network, data, view.score, view.decision
    )
    baseline = subject.baseline
    measured = ps.sweep(network, data, recipes, score=subject.score.name, decision=subject.decision)
    found = dict(zip(recipes, measured, strict=True))
    record = charts.trade_off(
        charts.size_asked(view, subject) if chart == "size" else charts.time_asked(view, subject),
        network_title(view.dataset, view.model),
        view.recipe,
        [found[recipe] for recipe in curve],
        as_brought(found[ps.Recipe()], network),
        None,
        [(letter, found[recipe]) for letter, recipe in zip(LETTERS, view.pins, strict=False)],
        [_computed(recipe, baseline) for recipe in around(network, view.recipe, curve)],
    )
    return figures.picture(record, theme, square=square)


def around(network: ps.Network, recipe: ps.Recipe, curve: Sequence[ps.Recipe]) -> list[ps.Recipe]:
    """What the front is of, besides the curve: the same at a few other Q."""
    if recipe.trains or not isinstance(recipe.activations, FloatActivations):
        return []
    others = [replace(r, quantizer=ps.FixedPoint(q)) for q in grid.BACKDROP_QS for r in curve]
    return [r for r in dict.fromkeys(others) if r not in curve]


def _computed(recipe: ps.Recipe, baseline: Baseline) -> ps.Measurement:
    """As in the app, before a file is run."""
    drafted, computed = compute(baseline.network, recipe, baseline)
    return with_gzip(computed, drafted)


def main(argv: Sequence[str] | None = None) -> int:
    """Write a link's chart; returns 0, or 2 after a sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m ui.pictures", description=__doc__)
    parser.add_argument("link", help="as the app's menu Share gives it")
    parser.add_argument("-o", "--output", default="chart.png", metavar="FILE")
    parser.add_argument(
        "--chart", choices=("size", "time"), default="size", help="accuracy against which"
    )
    parser.add_argument("--dark", action="store_true", help="light on dark")
    parser.add_argument("--square", action="store_true", help="1080 x 1080 in place of 1200 x 630")
    given = parser.parse_args(argv)
    query = parse_qs(urlsplit(given.link).query, keep_blank_values=True)
    try:
        view, complaints = parse_query({name: values[0] for name, values in query.items()})
        if complaints:
            raise ParetoscopeError(f"the link is partly wrong: {complaints[0]}")
        theme = DARK if given.dark else LIGHT
        figure = figure_of(view, given.chart, theme, square=given.square)
        picture = rendering.drawn(figure, Path(given.output).suffix or ".png")
        write_atomically(Path(given.output), picture)
    except ParetoscopeError as error:
        print(f"paretoscope: {error}", file=sys.stderr)
        return 2
    print(f"{given.output}: {len(picture):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
