"""Generalisation: accuracy before and after when rows are noisy, shifted, turned or blurred."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from paretoscope.cli.results import ROBUSTNESS
from paretoscope.measurement.corruptions import CORRUPTIONS, Robustness
from paretoscope.problems import accuracy as scored

from ui.base import plot, words
from ui.base.plot import Figure, Shape, Trace, drawing, line_across, scatter
from ui.base.theme import Theme, camera, here, layout
from ui.parts import provenance
from ui.parts.progress import result_or_progress
from ui.state.address import View
from ui.state.subject import Subject

_GAP_ACROSS, _GAP_DOWN = 0.04, 0.2  # between small charts, shares of the whole
_BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}


@dataclass(frozen=True)
class RobustnessChart:
    """Exactly what the charts of robustness draw: the points of each corruption, by strength."""

    title: str
    recipe: str
    corruptions: tuple[tuple[str, tuple[Robustness, ...]], ...]
    n: int
    provenance: str
    score: str = "Accuracy"

    @property
    def alt(self) -> str:
        told = "; ".join(
            f"{_BY_NAME[name].title.lower()} {points[-1].strength:g}: "
            f"{words.quality(points[-1].before)} before, "
            f"{words.quality(points[-1].now)} now"
            for name, points in self.corruptions
        )
        return f"{self.score} under corruptions, before and after {self.recipe}. {told}."


def show(subject: Subject, view: View, arguments: dict[str, Any]) -> None:
    """Curves of accuracy against strength, beside the clean accuracy, and what they say."""
    result = result_or_progress(subject, ROBUSTNESS, arguments, "Robustness")
    if result is None:
        return
    points = result.points
    source = provenance.of_subject(subject, result.n)
    by_name = {p.corruption: [q for q in points if q.corruption == p.corruption] for p in points}
    record = RobustnessChart(
        f"{subject.dataset.title} · robustness",
        str(view.recipe),
        tuple((name, tuple(of_one)) for name, of_one in by_name.items()),
        result.n,
        source,
        subject.score.title,
    )
    st.markdown(
        "Both models were trained on clean rows. Here the same rows come with noise"
        + (", shifted, turned and blurred" if len(by_name) > 1 else "")
        + ": does compression cost more when rows are not as clean?"
    )
    plot.chart(
        robustness_figure(record, here()),
        key="robustness",
        alt=record.alt,
        config=camera(f"paretoscope-{view.file_name}-robustness"),
    )
    for name, of_one in record.corruptions:
        st.markdown(_words(name, of_one, subject.score.spoken, view.margin_of(subject)))
    st.caption(provenance.caption(source))


def _words(name: str, points: Sequence[Robustness], score: str, margin: float) -> str:
    """What compression costs at each strength."""
    kind = _BY_NAME[name]
    told = ", ".join(
        f"{p.strength:g}: {words.change_interval(p.change)}" for p in points if p.strength
    )
    worst = min(points, key=lambda p: p.change.gain)
    verdict = words.verdict(worst.change, margin)
    return (
        f"**{kind.title}** ({kind.unit}). Compression changes {score} by {told}. At its worst, "
        f"{worst.strength:g}: {verdict}."
    )


def robustness_figure(record: RobustnessChart, theme: Theme) -> Figure:
    """One small chart a corruption: before dashed with stars, after solid with circles; the clean
    accuracies as dotted lines."""
    data: list[Trace] = []
    shapes: list[Shape] = []
    for place, (_, points) in enumerate(record.corruptions):
        axis = str(place + 1) if place else ""  # the first has no number
        for label, colour, dash, symbol, values in (
            ("uncompressed", theme.ink, "dash", "star", [p.before for p in points]),
            ("this recipe", theme.curve, "solid", "circle", [p.now for p in points]),
        ):
            lines = {"color": colour, "dash": dash, "width": 2}
            data.append(
                _line(points, values, label, lines, symbol)
                | {"xaxis": f"x{axis}", "yaxis": f"y{axis}", "showlegend": not axis}
            )
            clean = {"color": colour, "width": 1, "dash": "dot"}
            shape = line_across("y", values[0].value, clean)
            shapes.append(shape | {"xref": f"x{axis} domain", "yref": f"y{axis}"})
    axes, titles, n_rows = _axes(record, theme)
    lines_below = [record.recipe, "dotted: on clean rows; whiskers: 95 % interval"]
    base = layout(theme, record.title, lines_below, 250 + 240 * n_rows, record.provenance)
    base["margin"]["t"] += 36
    base["legend"] |= {"y": 1.0 + 0.09 / n_rows}
    base["annotations"] = [*titles, *base["annotations"]]
    return drawing(data, base, shapes=shapes, **axes)


def _line(
    points: Sequence[Robustness],
    values: Sequence[scored.Figure],
    label: str,
    line: dict[str, Any],
    symbol: str,
) -> Trace:
    """The score by strength, one step each, with whiskers."""
    return scatter(
        x=list(range(len(points))),
        y=[a.value for a in values],
        mode="lines+markers",
        name=label,
        line=line,
        marker={"symbol": symbol, "size": 9, "color": line["color"]},
        error_y={
            "array": [(a.interval or (0.0, a.value))[1] - a.value for a in values],
            "arrayminus": [a.value - (a.interval or (a.value, 0.0))[0] for a in values],
            "thickness": 0.9,
            "width": 2,
        },
        text=[f"{p.strength:g}: {_shown(a)}" for p, a in zip(points, values, strict=True)],
        hovertemplate=f"{label}<br>%{{text}}<extra></extra>",
    )


def _shown(figure: scored.Figure) -> str:
    if isinstance(figure, scored.Accuracy):
        return f"{figure.value:.1%}, {figure.correct} of {figure.n} right"
    return words.quality(figure)


def _axes(
    record: RobustnessChart, theme: Theme
) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Axes and titles of small charts, at most two beside each other, and how many rows of them."""
    n_columns = min(2, len(record.corruptions))
    n_rows = math.ceil(len(record.corruptions) / n_columns)
    width = (1 - _GAP_ACROSS * (n_columns - 1)) / n_columns
    height = (1 - _GAP_DOWN * (n_rows - 1)) / n_rows
    every = [a for _, ps in record.corruptions for p in ps for a in (p.before, p.now)]
    ends = [end for a in every for end in (*(a.interval or ()), a.value)]
    low, high = min(ends), max(ends)
    in_percent = every[0].unit == "%"
    axes: dict[str, Any] = {}
    titles = []
    for place, (name, points) in enumerate(record.corruptions):
        row, column = divmod(place, n_columns)
        left, top = column * (width + _GAP_ACROSS), 1 - row * (height + _GAP_DOWN)
        axis = str(place + 1) if place else ""
        plain = {"gridcolor": theme.grid, "zeroline": False}
        axes[f"xaxis{axis}"] = plain | {
            "anchor": f"y{axis}",
            "domain": [left, left + width],
            "title": {"text": _BY_NAME[name].axis, "font": {"size": 12}},
            "tickvals": list(range(len(points))),
            "ticktext": [f"{p.strength:g}" for p in points],
        }
        axes[f"yaxis{axis}"] = plain | {
            "anchor": f"x{axis}",
            "domain": [max(0.0, top - height), top],
            "tickformat": ".0%" if in_percent else "",
            "range": [max(0, low - 0.03), 1.01]
            if in_percent
            else [low - 0.05 * (high - low), high + 0.05 * (high - low)],
            "showticklabels": column == 0,
            **({"title": {"text": record.score}} if column == 0 else {"matches": "y"}),
        }
        titles.append(
            {
                "text": _BY_NAME[name].title,
                "xref": "paper",
                "yref": "paper",
                "x": left + width / 2,
                "y": top,
                "xanchor": "center",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 16},
            }
        )
    return axes, titles, n_rows
