"""Time by protocol: five processes of its own, beside an identical copy of the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st
from paretoscope.artifact.quick_latency import MARGIN
from paretoscope.artifact.runtimes import RUNTIMES, find_runtime
from paretoscope.cli.results import TIMING
from paretoscope.measurement.latency_protocol import PROCESSES, ROUNDS, Timing

from ui.base import plot, words
from ui.base.plot import Figure, Shape, Trace, drawing, line_across, rectangle, scatter
from ui.base.theme import Theme, camera, here, layout
from ui.parts import provenance
from ui.parts.progress import result_or_progress
from ui.parts.proper_times import by_what, offer_again, timing_arguments
from ui.state.address import View
from ui.state.subject import Subject

TITLES = {
    "batch 1": "One row",
    "batch 16": "16 rows",
    "batch 256": "256 rows",
    "cold": "One row, cold caches",
    "load": "Loading the file",
}
_RUNTIME_TITLES = {runtime.name: runtime.title for runtime in RUNTIMES}


@dataclass(frozen=True)
class RatioChart:
    """Exactly what the chart of ratios draws: for each figure the ratio with its interval, and the
    interval of the identical copy."""

    title: str
    recipe: str
    runtimes: str
    rows: tuple[tuple[str, float, tuple[float, float], tuple[float, float], str], ...]
    provenance: str

    @property
    def alt(self) -> str:
        told = "; ".join(
            f"{name}: {ratio:.2f}, {verdict}" for name, ratio, _, _, verdict in self.rows
        )
        return f"Time of {self.recipe} relative to the uncompressed model. {told}."


def show(subject: Subject, view: View, arguments: dict[str, Any]) -> None:
    """Choose runtimes, measure, and read what came out."""
    st.markdown(
        f"{PROCESSES} fresh processes, one after the other, alone of their kind on this machine. "
        f"In each, {ROUNDS} rounds time this file, the uncompressed model and an **identical "
        "copy** of the uncompressed model, in random order, at least a millisecond each, on one "
        "thread. What the copy seems to differ by is noise, and no smaller difference is claimed."
    )
    runtime, against = _choose_runtimes()
    asked = timing_arguments(arguments, runtime, against)
    result = result_or_progress(subject, TIMING, asked, "Time", start="Measure properly")
    if result is None:
        return
    timings = by_what(result)
    source = provenance.of_subject(subject, len(subject.baseline.rows))
    record = ratio_chart(subject, view, timings, runtime, against, source)
    plot.chart(
        ratio_figure(record, here()),
        key="ratios",
        alt=record.alt,
        config=camera(f"paretoscope-{view.file_name}-ratios"),
    )
    offer_again(subject, asked)
    st.dataframe(_table(timings), hide_index=True, height="content")
    st.caption(
        "Median over all rounds; p90: 90 % of calls take no longer, by how far single calls spread "
        "above their median. Ratio: time relative to "
        "the uncompressed model, with its 95 % interval over processes (bootstrap of processes, "
        "then of blocks of rounds).  \n" + provenance.caption(source)
    )


def _choose_runtimes() -> tuple[str, str]:
    names = list(_RUNTIME_TITLES)
    left, right = st.columns(2)
    runtime = left.selectbox(
        "Runtime of this file",
        names,
        format_func=_RUNTIME_TITLES.__getitem__,
        key="timing-runtime",
        persist_state="session",
        help="ONNX Runtime runs the file as it is. scikit-learn, numpy and scipy run float "
        "arithmetic on the weights that its codes stand for; scipy's compressed rows (CSR) skip "
        "zeros, which may pay where most weights are zero.",
    )
    fair = find_runtime(runtime).dense_form
    against = right.selectbox(
        "Runtime of the uncompressed model",
        names,
        index=names.index(fair),
        format_func=_RUNTIME_TITLES.__getitem__,
        key=f"timing-against-{runtime}",
        persist_state="session",
        help="By default the same, or numpy where only the compressed file is sparse.",
    )
    return runtime, against


def ratio_chart(
    subject: Subject,
    view: View,
    timings: dict[str, Timing],
    runtime: str,
    against: str,
    source: str,
) -> RatioChart:
    """What the chart draws."""
    here_, there = _RUNTIME_TITLES[runtime], _RUNTIME_TITLES[against]
    how = here_ if runtime == against else f"{here_} against {there} for the uncompressed model"
    return RatioChart(
        f"{subject.dataset.title} · time relative to the uncompressed model",
        str(view.recipe),
        how,
        tuple(
            (TITLES[what], t.ratio, t.ratio_interval, t.noise_interval, t.verdict)
            for what, t in timings.items()
        ),
        source,
    )


def ratio_figure(record: RatioChart, theme: Theme) -> Figure:
    """Ratios with whiskers on a log axis; behind each the grey band of the copy's noise."""
    data: list[Trace] = []
    shapes: list[Shape] = []
    names = [name for name, *_ in record.rows]
    for place, (_, _, _, (low, high), _) in enumerate(record.rows):
        shapes.append(
            rectangle(x0=low, x1=high, y0=place - 0.32, y1=place + 0.32, fillcolor=theme.band)
        )
    dashes = {"color": theme.quiet, "width": 1, "dash": "dash"}
    shapes.append(line_across("x", 1.0, dashes))
    for edge in (1 / (1 + MARGIN), 1 + MARGIN):
        shapes.append(line_across("x", edge, {**dashes, "dash": "dot"}))
    ratios = [ratio for _, ratio, *_ in record.rows]
    data.append(
        scatter(
            x=ratios,
            y=list(range(len(names))),
            mode="markers+text",
            marker={"size": 11, "color": theme.curve, "symbol": "diamond"},
            error_x={
                "array": [high - ratio for _, ratio, (_, high), *_ in record.rows],
                "arrayminus": [ratio - low for _, ratio, (low, _), *_ in record.rows],
                "thickness": 1.2,
                "width": 4,
                "color": theme.curve,
            },
            text=[f"{ratio:.2f}, {verdict}" for _, ratio, _, _, verdict in record.rows],
            textposition="top center",
            textfont={"size": 12, "color": theme.ink},
            cliponaxis=False,
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )
    lines = [
        f"{record.recipe} · {record.runtimes}",
        "whiskers: 95 % interval; dotted: 5 % either way",
        "grey: interval of an identical copy",
    ]
    base = layout(theme, record.title, lines, 230 + 62 * len(names), record.provenance, 150)
    shown = _ticks(record.rows)
    return drawing(
        data,
        base,
        xaxis={
            "title": {"text": "Time (uncompressed = 1)"},
            "type": "log",
            "range": [math.log10(shown[0]), math.log10(shown[-1])],
            "tickvals": shown,
            "ticktext": [f"{tick:g}" for tick in shown],
            "gridcolor": theme.grid,
            "zeroline": False,
        },
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "range": [len(names) - 0.4, -0.7],
            "gridcolor": theme.grid,
            "zeroline": False,
        },
        shapes=shapes,
    )


def _ticks(rows: Sequence[tuple[Any, ...]]) -> list[float]:
    """Round ratios from below the smallest to above the largest that is drawn."""
    every = sorted({*(m * 10.0**e for e in range(-3, 4) for m in (1, 2, 5)), 0.7, 1.4})
    bounds = [b for _, _, own, noise, _ in rows for b in (*own, *noise)] + [0.8, 1.25]
    low = max((t for t in every if t <= min(bounds)), default=every[0])
    high = min((t for t in every if t >= max(bounds)), default=every[-1])
    return [t for t in every if low <= t <= high]


def _table(timings: dict[str, Timing]) -> pd.DataFrame:
    def shown(microseconds: float | None) -> str:
        return "" if microseconds is None else words.duration(microseconds)

    return pd.DataFrame(
        [
            {
                "": TITLES[what],
                "median": shown(t.median_us),
                "p90": shown(t.p90_us),
                "median before": shown(t.baseline_median_us),
                "p90 before": shown(t.baseline_p90_us),
                "ratio (95 %)": words.ratio(t),
                "copy's ratio (95 %)": "{:.2f} to {:.2f}".format(*t.noise_interval),
                "verdict": t.verdict,
            }
            for what, t in timings.items()
        ]
    )
