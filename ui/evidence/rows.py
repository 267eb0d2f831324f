"""Which rows changed: recall by class, the confusion that grew most, and the rows themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from paretoscope.cli.results import ROWS, RowsResult
from paretoscope.measurement.classes import Confusion, Recall, worst
from paretoscope.problems.accuracy import Accuracy, Change

from ui.base import plot, words
from ui.base.plot import Figure, Trace, drawing, scatter
from ui.base.theme import Theme, camera, here, layout
from ui.parts import provenance
from ui.parts.gallery import gallery
from ui.parts.progress import result_or_progress
from ui.state.address import View
from ui.state.subject import Subject
from ui.state.view import plain

_MARGIN = 0.005  # of accuracy, where the margin is one of another score
KINDS = {
    "newly_wrong": "Newly wrong",
    "newly_right": "Newly right",
    "other": "Wrong both times, in another way",
}


@dataclass(frozen=True)
class RecallChart:
    """Exactly what the chart of recalls draws."""

    title: str
    recipe: str
    recalls: tuple[Recall, ...]
    worst: str
    provenance: str

    @property
    def alt(self) -> str:
        fell = next(r for r in self.recalls if r.name == self.worst)
        return (
            f"Recall by class before and after {self.recipe}, {len(self.recalls)} classes. The "
            f"largest drop is of {self.worst}: {words.percent(fell.before.value)} to "
            f"{words.percent(fell.now.value)}."
        )


def show(subject: Subject, view: View, arguments: dict[str, Any]) -> None:
    """Recalls, confusion and flips."""
    result = result_or_progress(subject, ROWS, arguments, "Rows")
    if result is None:
        return
    found = result.recalls
    fell = worst(found)
    _, change = total(found)
    margin = view.margin_of(subject) if subject.score.unit == "%" else _MARGIN
    st.markdown(_summary(subject, change, result, margin))
    source = provenance.of_subject(subject, result.n)
    record = RecallChart(
        f"{subject.dataset.title} · recall by class", str(view.recipe), found, fell.name,
        source,
    )  # fmt: skip
    plot.chart(
        recall_figure(record, here()),
        key="recalls",
        alt=record.alt,
        config=camera(f"paretoscope-{view.file_name}-recalls"),
    )
    st.markdown(_worst_words(fell, len(found), result.confusion))
    for kind, title in KINDS.items():
        gallery(subject, title, getattr(result, kind))
    st.caption(provenance.caption(source))


def total(recalls: Sequence[Recall]) -> tuple[Accuracy, Change]:
    """Accuracy and change over all classes."""
    n = sum(r.now.n for r in recalls)
    newly_wrong, newly_right = (
        sum(getattr(r.change, kind) for r in recalls) for kind in ("newly_wrong", "newly_right")
    )
    return Accuracy(sum(r.now.correct for r in recalls), n), Change(newly_wrong, newly_right, n)


def _summary(subject: Subject, change: Change, result: RowsResult, margin: float) -> str:
    wrong, right, other = counts = [getattr(result, kind).n for kind in KINDS]
    n_flips = sum(counts)
    return (
        f"Of {change.n:,} {words.rows(subject.baseline.split)}, **{wrong:,} newly wrong**, "
        f"**{right:,} newly right**, {other:,} wrong in another way: "
        f"{n_flips:,} flips ({words.percent(n_flips / change.n)}).  \n"
        f"Accuracy {words.change_words(change, margin)}. McNemar's exact test: "
        f"{words.probability(change.p_value)}."
    )


def _worst_words(fell: Recall, n_classes: int, confusion: Confusion | None) -> str:
    name = plain(fell.name)
    if fell.change.value >= 0:
        first = "No class is recognised less often than before."
    else:
        first = (
            f"**Worst class: {name}**, recall {words.percent(fell.before.value)} to "
            f"{words.percent(fell.now.value)}, {words.change_interval(fell.change)}, "
            f"n = {fell.now.n:,}; the largest drop of {n_classes} classes, so chance alone makes "
            "it look worse than it is."
        )
    if confusion is None:
        return f"{first}  \nNo confusion of two classes grew."
    actual, predicted = plain(confusion.actual), plain(confusion.predicted)
    return (
        f"{first}  \n**Confusion that grew most:** {actual} taken for {predicted}, "
        f"{confusion.before:,} rows before, {confusion.now:,} now."
    )


def recall_figure(record: RecallChart, theme: Theme) -> Figure:
    """Recall by class before (star) and after (circle), with 95 % whiskers."""
    names = [recall.name for recall in record.recalls]
    data: list[Trace] = []
    for label, colour, symbol, values, shift in (
        ("uncompressed", theme.ink, "star", [r.before for r in record.recalls], 0.14),
        ("this recipe", theme.curve, "circle", [r.now for r in record.recalls], -0.14),
    ):
        data.append(
            scatter(
                x=[a.value for a in values],
                y=[place + shift for place in range(len(names))],
                mode="markers",
                name=label,
                marker={"symbol": symbol, "size": 9, "color": colour},
                error_x={
                    "array": [a.interval[1] - a.value for a in values],
                    "arrayminus": [a.value - a.interval[0] for a in values],
                    "thickness": 0.9,
                    "width": 2,
                    "color": colour,
                },
                text=[f"{n}: {a.correct} of {a.n}" for n, a in zip(names, values, strict=True)],
                hovertemplate=f"{label}<br>%{{text}}<br>%{{x:.1%}}<extra></extra>",
            )
        )
    lines = [record.recipe, "whiskers: 95 % interval of each recall"]
    left = 24 + 7 * min(18, max(len(name) for name in names))
    base = layout(theme, record.title, lines, 230 + 30 * len(names), record.provenance, left)
    return drawing(
        data,
        base,
        xaxis={
            "title": {"text": "Recall"},
            "tickformat": ".0%",
            "gridcolor": theme.grid,
            "range": _range(record.recalls),
            "zeroline": False,
        },
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": [n if len(n) <= 18 else f"{n[:17]}…" for n in names],
            "autorange": "reversed",
            "gridcolor": theme.grid,
            "zeroline": False,
        },
    )


def _range(recalls: Sequence[Recall]) -> list[float]:
    lowest = min(min(r.before.interval[0], r.now.interval[0]) for r in recalls)
    return [max(-0.01, np.floor(lowest * 10) / 10 - 0.01), 1.01]
