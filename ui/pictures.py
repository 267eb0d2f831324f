"""A link as a picture, from the folder of the project: ``python -m ui.pictures LINK -o chart.png``.

Its curve is measured on this machine; Chrome or Chromium draws it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import paretoscope as ps
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import write_atomically
from paretoscope.measurement.measurement import Baseline, as_brought, compute, with_gzip
from paretoscope.sweeps.sweep import CURVE_POINTS

from ui.base import rendering
from ui.base.plot import Figure
from ui.base.theme import LETTERS, LIGHT
from ui.explore.plan import context_lines_of
from ui.parts import charts, figures
from ui.parts.frame import network_title
from ui.parts.method_controls import axis_of, pruner_of
from ui.state.address import View, parse_query


def figure_of(view: View, axis: charts.Axis) -> Figure:
    """A view's chart of accuracy against size or time, its curve measured here and now."""
    data = ps.load_dataset(view.dataset)
    network = ps.train(view.model, data)
    criterion, place = pruner_of(view.recipe), axis_of(pruner_of(view.recipe))
    curve = [view.recipe]
    if place != "pattern" and not view.recipe.trains and not criterion.needs_rows:
        curve += ps.curve(network, view.recipe, place, CURVE_POINTS)
    recipes = dict.fromkeys([ps.Recipe(), *curve, *view.pins])
    baseline = Baseline(network, data)
    found = dict(zip(recipes, ps.sweep(network, data, recipes), strict=True))
    lines = [] if view.recipe.trains else context_lines_of(list(dict.fromkeys(curve)), view.recipe)
    others = [_computed(recipe, baseline) for line in lines for recipe in line]
    record = charts.trade_off(
        axis,
        network_title(view.dataset, view.model),
        view.recipe,
        [found[recipe] for recipe in dict.fromkeys(curve)],
        [],
        as_brought(found[ps.Recipe()], network),
        charts.line_name(view.recipe),
        None,
        view.budget,
        [(letter, found[recipe]) for letter, recipe in zip(LETTERS, view.pins, strict=False)],
        others,
    )
    return figures.trade_off_figure(record, LIGHT)


def _computed(recipe: ps.Recipe, baseline: Baseline) -> ps.Measurement:
    """What the front is of, besides what is drawn, as in the app."""
    drafted, computed = compute(baseline.network, recipe, baseline)
    return with_gzip(computed, drafted)


def main(argv: Sequence[str] | None = None) -> int:
    """Write a link's chart; returns 0, or 2 after a sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m ui.pictures", description=__doc__)
    parser.add_argument("link", help="as the app's Copy link gives it")
    parser.add_argument("-o", "--output", default="chart.png", metavar="FILE")
    parser.add_argument(
        "--chart", choices=("size", "time"), default="size", help="accuracy against which"
    )
    given = parser.parse_args(argv)
    query = parse_qs(urlsplit(given.link).query, keep_blank_values=True)
    try:
        view, complaints = parse_query({name: values[0] for name, values in query.items()})
        if complaints:
            raise ParetoscopeError(f"the link is partly wrong: {complaints[0]}")
        size: charts.Axis = "gzip" if view.zipped else "size"
        picture = rendering.png(figure_of(view, size if given.chart == "size" else "time"))
        write_atomically(Path(given.output), picture)
    except ParetoscopeError as error:
        print(f"paretoscope: {error}", file=sys.stderr)
        return 2
    print(f"{given.output}: {len(picture):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
