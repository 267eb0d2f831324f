"""Compare: curves of criteria, quantizers and recoveries on one chart, and pins side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pandas as pd
import streamlit as st
from paretoscope.cli.results import FLIPS
from paretoscope.measurement.accuracy import Change
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.activations import FloatActivations
from paretoscope.methods.pruning import CRITERIA, Criterion, Magnitude
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import NoRecovery
from paretoscope.network.network import Network
from paretoscope.sweeps.lines import in_lines
from paretoscope.sweeps.sweep import CURVE_POINTS, at, stops

from ui.base import plot, words
from ui.base.plot import Figure, Shape, Trace, dashed, drawing, line_across, scatter
from ui.base.theme import DARK, LETTERS, Theme, camera, here, layout, log_bytes, pin_colour
from ui.parts import pins, provenance
from ui.parts.charts import AXIS_TITLES
from ui.parts.frame import sync_widget
from ui.parts.grid import shown_size
from ui.parts.progress import result_or_progress
from ui.state import server
from ui.state.address import CURVES, VARIANTS, View
from ui.state.measuring import MeasuringRequest, MeasuringService
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import change, go_to

_HEIGHT = 560
_POLL_S = 0.6
_FEW_POINTS = 11  # of curves whose points take a second each
_STYLES = (
    ("#0072B2", "circle", "solid"),
    ("#D55E00", "square", "dash"),
    ("#009E73", "diamond", "dashdot"),
    ("#CC79A7", "triangle-up", "longdash"),
    ("#E69F00", "cross", "solid"),
    ("#56B4E9", "star", "dash"),
    ("#999999", "x", "dashdot"),
    ("#8C6D1F", "pentagon", "longdash"),
)
_ON_DARK = {"#0072B2": "#56B4E9", "#56B4E9": "#B8E0F8", "#8C6D1F": "#C9A94E"}

Curve = tuple[str, tuple[Recipe, ...]]


def choose(view: View) -> None:
    """Which curves are drawn."""
    left, right = st.columns(2)
    left.pills(
        "Criteria",
        list(CURVES),
        selection_mode="multi",
        wrap=True,
        default=sync_widget("curves", list(view.curves)),
        format_func=CURVES.__getitem__,
        key="curves",
        on_change=lambda: change(curves=tuple(st.session_state.curves)),
        help="Each with the recipe's quantizer and recovery. Random is the control: a criterion "
        "that does not beat it tells nothing about the weights.",
    )
    right.pills(
        "The recipe's criterion with",
        list(VARIANTS),
        selection_mode="multi",
        wrap=True,
        default=sync_widget("variants", list(view.variants)),
        format_func=VARIANTS.__getitem__,
        key="variants",
        on_change=lambda: change(variants=tuple(st.session_state.variants)),
        help="The same criterion with another quantizer or another recovery.",
    )


@lru_cache(maxsize=64)
def curves_of(
    network: Network, recipe: Recipe, criteria: tuple[str, ...], variants: tuple[str, ...]
) -> tuple[Curve, ...]:
    """The curves to compare: name and recipes along the sparsity."""
    plain = replace(recipe, overrides={}, activations=FloatActivations())
    if plain.trains:
        plain = replace(plain, recovery=NoRecovery())
    found = [
        (criterion.title, _along(network, plain, criterion))
        for criterion in CRITERIA
        if criterion.name in criteria
    ]
    own = type(recipe.pruner) if isinstance(recipe.pruner, Criterion) else Magnitude
    for text in variants:
        other = Recipe.parse(text)
        if other.recovery != NoRecovery() or text == "project":
            changed = replace(plain, recovery=other.recovery)
        else:
            changed = replace(plain, quantizer=other.quantizer)
        found.append((f"{own.title}, {VARIANTS[text]}", _along(network, changed, own)))
    return tuple(found)


def _along(network: Network, recipe: Recipe, kind: type[Criterion]) -> tuple[Recipe, ...]:
    same = type(recipe.pruner) is kind
    criterion = recipe.pruner if same else kind(sparsity=0.0)
    assert isinstance(criterion, Criterion)
    count = _FEW_POINTS if recipe.recovery.needs_rows else CURVE_POINTS
    values = stops(network, kind, "sparsity", count)
    return tuple(replace(recipe, pruner=at(criterion, "sparsity", value)) for value in values)


def show(view: View, subject: Subject, title: str) -> None:
    """The chart fills in while the service computes."""
    curves = curves_of(subject.network, view.recipe, view.curves, view.variants)
    lines = [line for _, line in curves if in_lines(line[:1])[0]]
    others = [recipe for _, line in curves if not in_lines(line[:1])[0] for recipe in line]
    quick = [recipe for recipe in (*view.pins, view.recipe) if not recipe.trains]
    request = MeasuringRequest(
        subject, [Recipe(), *dict.fromkeys(quick)], context=others, lines=lines, zipped=view.zipped
    )
    service, visitor = server.measuring(), server.visitor()
    service.ask(visitor, request)
    every = None if service.finished(visitor) else _POLL_S
    st.fragment(_show, run_every=every)(view, subject, title, request, curves)


def _show(
    view: View, subject: Subject, title: str, request: MeasuringRequest, curves: Sequence[Curve]
) -> None:
    if session().view != view:
        st.rerun()
    service, visitor = server.measuring(), server.visitor()
    service.ask(visitor, request)
    every = [recipe for _, line in curves for recipe in line]
    known = [service.known(subject, recipe) for recipe in every]
    n_known = sum(m is not None and shown_size(m, view.zipped) is not None for m in known)
    n_failed = sum(service.failure(subject, recipe) is not None for recipe in every)
    record = compare_chart(service, subject, view, title, curves)
    plot.chart(
        compare_figure(record, here()),
        key="chart-compare",
        alt=record.alt,
        config=camera(f"paretoscope-{view.file_name}-compare"),
        on_pick=go_to,
    )
    if n_known + n_failed < len(every) and not service.finished(visitor):
        st.progress(n_known / len(every), text=f"{n_known} of {len(every)} points computed")
    else:
        st.caption(
            f"All {n_known} points computed in float arithmetic"
            + (f", {n_failed} could not be" if n_failed else "")
            + ". Filled: run on a file. Click a point to take it as your recipe."
        )
    pins.show(service, subject, view)
    if not view.pins:
        st.info("Pin recipes on Explore, or the one above here, to compare them side by side.")
    if view.recipe not in view.pins:  # each pin has a button of its own to let it go
        pins.pin_button(view)
    named = pins.known(service, subject, view.pins)
    if len(named) > 1:
        _side_by_side(view, subject, named)


def _side_by_side(view: View, subject: Subject, named: list[tuple[str, Measurement]]) -> None:
    st.markdown("**What differs between the pins**")
    st.dataframe(pins.differences(named), height="content")
    st.markdown("**Rows that two of them label differently**")
    letters = [letter for letter, _ in named]
    left, right = st.columns(2)
    first = left.selectbox("First", letters, key="flip-first", persist_state="session")
    rest = [letter for letter in letters if letter != first]
    second = right.selectbox("Second", rest, key="flip-second")
    by_letter = dict(named)
    one, other = by_letter[first], by_letter[second]
    arguments = subject.arguments(one.recipe) | {"other": str(other.recipe)}
    result = result_or_progress(subject, FLIPS, arguments, "Flips")
    if result is None:
        return
    change_of = Change(result.first, result.second, result.n)
    st.dataframe(
        pd.DataFrame(
            {
                f"{second} right": [f"{result.both:,}", f"{result.second:,}"],
                f"{second} wrong": [f"{result.first:,}", f"{result.neither:,}"],
            },
            index=[f"{first} right", f"{first} wrong"],
        ),
        height="content",
    )
    st.caption(
        f"n = {result.n:,} {words.rows(subject.baseline.split)}. {second} against {first}: "
        f"{words.change_interval(change_of)}, McNemar's exact p = "
        f"{words.probability(change_of.p_value)}. Of the {result.neither:,} that both get wrong "
        f"they give {result.differ:,} different labels."
    )


@dataclass(frozen=True)
class CompareChart:
    """Exactly what the chart draws: for each curve its points (size, accuracy, zeros, computed,
    recipe, words), the pins, the recipe and the uncompressed model."""

    network: str
    recipe: str
    axis: str
    curves: tuple[tuple[str, tuple[tuple[float, float, bool, str, str], ...]], ...]
    pins: tuple[tuple[str, float, float, str, str], ...]
    baseline: float | None
    provenance: str

    @property
    def alt(self) -> str:
        told = "; ".join(f"{name}: {len(points)} points" for name, points in self.curves)
        return f"{self.network}: accuracy against size. {told}."


def compare_chart(
    service: MeasuringService, subject: Subject, view: View, title: str, curves: Sequence[Curve]
) -> CompareChart:
    def point(m: Measurement) -> tuple[float, float, bool, str, str]:
        size = shown_size(m, view.zipped)
        assert size is not None
        text = f"{words.percent(m.accuracy.value)}, {words.change_interval(m.change)}, "
        text += f"{words.sized(size, zipped=view.zipped)}, {words.percent(m.sparsity)} zeros"
        return size, m.accuracy.value, m.computed, str(m.recipe), text

    def has_size(m: Measurement) -> bool:
        return shown_size(m, view.zipped) is not None

    baseline = service.before(subject)
    found = []
    for name, line in curves:
        known = [m for r in line if (m := service.known(subject, r)) is not None]
        found.append((name, tuple(point(m) for m in known if has_size(m))))
    pinned = []
    for letter, m in pins.known(service, subject, view.pins):
        if has_size(m):
            x, y, _, recipe, text = point(m)
            pinned.append((letter, x, y, recipe, text))
    return CompareChart(
        network=title,
        recipe=str(view.recipe),
        axis=AXIS_TITLES["gzip" if view.zipped else "size"],
        curves=tuple(found),
        pins=tuple(pinned),
        baseline=None if baseline is None else baseline.accuracy.value,
        provenance=provenance.of_subject(subject, len(subject.baseline.rows)),
    )


def compare_figure(record: CompareChart, theme: Theme) -> Figure:
    data: list[Trace] = []
    shapes: list[Shape] = []
    for number, (name, points) in enumerate(record.curves):
        colour, symbol, dash = _STYLES[number % len(_STYLES)]
        if name.startswith("Random"):
            colour, symbol, dash = theme.quiet, "circle", "dot"
        colour = _ON_DARK.get(colour, colour) if theme is DARK else colour
        filled = [theme.paper if p[2] else colour for p in points]
        marker = {"symbol": symbol, "size": 8, "color": filled}
        data.append(
            scatter(
                x=[p[0] for p in points],
                y=[p[1] for p in points],
                mode="lines+markers",
                name=name,
                line={"color": colour, "width": 2, "dash": dash},
                marker=marker | {"line": {"color": colour, "width": 1.5}},
                customdata=[[p[3], p[4]] for p in points],
                hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
            )
        )
    for letter, x, y, recipe, text in record.pins:
        colour = pin_colour(LETTERS.index(letter), theme)
        data.append(
            scatter(
                x=[x],
                y=[y],
                mode="markers+text",
                marker={"symbol": "square", "size": 17, "color": colour},
                text=[f"<b>{letter}</b>"],
                textfont={"size": 11, "color": theme.paper},
                customdata=[[recipe, text]],
                hovertemplate=f"{letter}: %{{customdata[0]}}<br>%{{customdata[1]}}<extra></extra>",
                showlegend=False,
            )
        )
    if record.baseline is not None:
        shapes.append(line_across("y", record.baseline, dashed(theme.quiet), "above"))
    lines = [f"around {record.recipe}", "dashed: uncompressed; hollow: computed"]
    base = layout(theme, f"{record.network}: compared", lines, _HEIGHT, record.provenance)
    base["margin"] |= {"t": 150, "b": 126}
    base["annotations"][0]["yshift"] = -122
    axis: dict[str, Any] = {"gridcolor": theme.grid, "zeroline": False}
    return drawing(
        data,
        base,
        xaxis=axis | log_bytes(record.axis),
        yaxis=axis | {"tickformat": ".0%", "title": {"text": "Accuracy"}},
        uirevision=record.network,
        shapes=shapes,
    )
