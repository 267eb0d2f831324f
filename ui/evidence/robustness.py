"""Generalisation: accuracy before and after when rows are noisy, shifted, turned or blurred."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from paretoscope.measurement.accuracy import Accuracy, Change
from paretoscope.measurement.corruptions import CORRUPTIONS, Robustness
from plotly.subplots import make_subplots

from ui.base import plot, words
from ui.base.theme import Theme, camera, here, layout
from ui.parts import provenance
from ui.parts.progress import result_or_progress
from ui.state.address import View
from ui.state.subject import Subject

_BY_NAME = {corruption.name: corruption for corruption in CORRUPTIONS}


@dataclass(frozen=True)
class RobustnessChart:
    """Exactly what the charts of robustness draw: the points of each corruption, by strength."""

    title: str
    recipe: str
    corruptions: tuple[tuple[str, tuple[Robustness, ...]], ...]
    n: int
    provenance: str

    @property
    def alt(self) -> str:
        told = "; ".join(
            f"{_BY_NAME[name].title.lower()} {points[-1].strength:g}: "
            f"{words.percent(points[-1].before.value)} before, "
            f"{words.percent(points[-1].now.value)} now"
            for name, points in self.corruptions
        )
        return f"Accuracy under corruptions, before and after {self.recipe}. {told}."


def show(subject: Subject, view: View, arguments: dict[str, Any]) -> None:
    """Curves of accuracy against strength, beside the clean accuracy, and what they say."""
    result = result_or_progress(subject, "robustness_task", arguments, "Robustness")
    if result is None:
        return
    points = [_point(plain) for plain in result["points"]]
    source = provenance.of_subject(subject, result["n"])
    by_name = {p.corruption: [q for q in points if q.corruption == p.corruption] for p in points}
    record = RobustnessChart(
        f"{subject.dataset.title} · robustness",
        str(view.recipe),
        tuple((name, tuple(of_one)) for name, of_one in by_name.items()),
        result["n"],
        source,
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
        st.markdown(_words(name, of_one, view.margin / 100))
    st.caption(provenance.caption(source))


def _point(given: Mapping[str, Any]) -> Robustness:
    return Robustness(
        given["corruption"],
        given["strength"],
        Accuracy(**given["before"]),
        Accuracy(**given["now"]),
        Change.from_dict(given["change"]),
    )


def _words(name: str, points: Sequence[Robustness], margin: float) -> str:
    """What compression costs at each strength."""
    kind = _BY_NAME[name]
    told = ", ".join(
        f"{p.strength:g}: {words.change_interval(p.change)}" for p in points if p.strength
    )
    worst = min(points, key=lambda p: p.change.value)
    verdict = words.verdict(worst.change, margin)
    return (
        f"**{kind.title}** ({kind.unit}). Compression changes accuracy by {told}. At its worst, "
        f"{worst.strength:g}: {verdict}."
    )


def robustness_figure(record: RobustnessChart, theme: Theme) -> go.Figure:
    """One small chart a corruption: before dashed with stars, after solid with circles; the clean
    accuracies as dotted lines."""
    columns = min(2, len(record.corruptions))
    rows = math.ceil(len(record.corruptions) / columns)
    places = [(1 + i // columns, 1 + i % columns) for i in range(len(record.corruptions))]
    figure = make_subplots(
        rows,
        columns,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        vertical_spacing=0.2,
        subplot_titles=[_BY_NAME[name].title for name, _ in record.corruptions],
    )
    lowest = 1.0
    for (row, column), (_, points) in zip(places, record.corruptions, strict=True):
        for label, colour, dash, symbol, values in (
            ("uncompressed", theme.ink, "dash", "star", [p.before for p in points]),
            ("this recipe", theme.curve, "solid", "circle", [p.now for p in points]),
        ):
            lowest = min(lowest, *(a.interval[0] for a in values))
            figure.add_trace(
                go.Scatter(
                    x=list(range(len(points))),
                    y=[a.value for a in values],
                    mode="lines+markers",
                    name=label,
                    showlegend=row == column == 1,
                    line={"color": colour, "dash": dash, "width": 2},
                    marker={"symbol": symbol, "size": 9},
                    error_y={
                        "array": [a.interval[1] - a.value for a in values],
                        "arrayminus": [a.value - a.interval[0] for a in values],
                        "thickness": 0.9,
                        "width": 2,
                    },
                    text=[
                        f"{p.strength:g}: {a.value:.1%}, {a.correct} of {a.n} right"
                        for p, a in zip(points, values, strict=True)
                    ],
                    hovertemplate=f"{label}<br>%{{text}}<extra></extra>",
                ),
                row,
                column,
            )
            clean = {"color": colour, "width": 1, "dash": "dot"}
            figure.add_hline(values[0].value, line=clean, layer="below", row=row, col=column)
    lines = [record.recipe, "dotted: on clean rows; whiskers: 95 % interval"]
    base = layout(theme, record.title, lines, 250 + 240 * rows, record.provenance)
    base["margin"]["t"] += 36
    base["legend"] |= {"y": 1.0 + 0.09 / rows}
    base["annotations"] = [*figure.layout.annotations, *base["annotations"]]
    figure.update_layout(**base)
    for (row, column), (name, points) in zip(places, record.corruptions, strict=True):
        figure.update_xaxes(
            title={"text": _BY_NAME[name].axis, "font": {"size": 12}},
            tickvals=list(range(len(points))),
            ticktext=[f"{p.strength:g}" for p in points],
            gridcolor=theme.grid, zeroline=False, row=row, col=column,
        )  # fmt: skip
    figure.update_yaxes(
        tickformat=".0%", gridcolor=theme.grid, zeroline=False, range=[max(0, lowest - 0.03), 1.01]
    )
    figure.update_yaxes(title={"text": "Accuracy"}, col=1)
    return figure
