"""Other seeds: the same recipe on networks that were split and trained anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from paretoscope.cli.results import SEEDS
from paretoscope.measurement.measurement import Measured
from paretoscope.problems import accuracy as scored
from paretoscope.problems.figure import Estimate
from paretoscope.problems.problems import spoken

from ui.base import plot, words
from ui.base.plot import Figure, Trace, drawing, scatter
from ui.base.theme import Theme, camera, here, layout
from ui.parts import provenance
from ui.parts.progress import result_or_progress
from ui.state.address import View
from ui.state.subject import Subject

_FEWEST, _MOST, _USUAL = 2, 10, 3


@dataclass(frozen=True)
class SeedChart:
    """Exactly what the chart of seeds draws: for each seed the score before and after."""

    title: str
    finding: str
    recipe: str
    before: tuple[scored.Figure, ...]
    now: tuple[scored.Figure, ...]
    provenance: str
    score: str = "Accuracy"

    @property
    def alt(self) -> str:
        told = f"{self.score} before and after {self.recipe} for {len(self.now)} seeds"
        return f"{told}. {self.finding}."


def show(subject: Subject, view: View, arguments: dict[str, Any]) -> None:
    """Ask for how many seeds, train, and draw every seed with mean and standard deviation."""
    st.markdown(
        "One network on one split is one draw. Here the rows are **split anew and the network is "
        "trained anew** for each seed; the recipe stays as it is written, so a threshold may cut "
        "another share of other weights."
    )
    n = st.number_input(
        "Seeds", _FEWEST, _MOST, _USUAL, key="seeds", persist_state="session", width=140,
        help="How many splits with a training each. Large networks take longest.",
    )  # fmt: skip
    asked = arguments | {"seeds": int(n)}
    result = result_or_progress(subject, SEEDS, asked, "Seeds", start=f"Train {n} seeds")
    if result is None:
        return
    record = seed_chart(subject, view, result.measurements)
    plot.chart(
        seed_figure(record, here()),
        key="seeds-chart",
        alt=record.alt,
        config=camera(f"paretoscope-{view.file_name}-seeds"),
    )
    st.dataframe(
        [
            {
                "seed": m.seed,
                f"{spoken(m.score)} before": words.quality(before),
                spoken(m.score): words.quality(m.quality),
                "change": words.change_interval(m.change),
                "bytes": f"{m.size_bytes:,}",
                "bytes under gzip −9": f"{m.gzip_bytes or 0:,}",
                "zeros": words.percent(m.sparsity),
                "n": m.quality.n,
            }
            for m, before in zip(result.measurements, record.before, strict=True)
        ],
        hide_index=True,
        height="content",
    )
    st.caption(provenance.caption(record.provenance))


def seed_chart(subject: Subject, view: View, found: Sequence[Measured]) -> SeedChart:
    """What the chart draws."""
    changes, unit = [m.change.value for m in found], found[0].change.unit
    zipped = [m.gzip_bytes or 0 for m in found]
    seeds = ", ".join(str(m.seed) for m in found)
    finding = (
        f"change {words.differing(float(np.mean(changes)), unit)} on average, standard deviation "
        f"{words.amount(float(np.std(changes, ddof=1)), unit)}; zipped "
        f"{words.size(float(np.mean(zipped)))}, standard deviation "
        f"{words.size(float(np.std(zipped, ddof=1)))}"
    )
    m = found[0]
    return SeedChart(
        f"{subject.dataset.title} · {len(found)} seeds",
        finding,
        str(view.recipe),
        tuple(_before(m) for m in found),
        tuple(m.quality for m in found),
        f"{m.dataset}, n = {m.quality.n:,} {m.split} rows each<br>what varied: split, first "
        f"weights and order of training, seeds {seeds}<br>{provenance.machine(m.date)}",
        subject.score.title,
    )


def _before(m: Measured) -> scored.Figure:
    """What the uncompressed network of the same seed scored."""
    return Estimate(m.quality.value - m.change.value, m.quality.n, None, "", m.quality.unit)


def seed_figure(record: SeedChart, theme: Theme) -> Figure:
    """A line from before to after for each seed; beside them mean and standard deviation."""
    data: list[Trace] = []
    for seed, (before, now) in enumerate(zip(record.before, record.now, strict=True)):
        data.append(
            scatter(
                x=[0, 1],
                y=[before.value, now.value],
                mode="lines+markers",
                line={"color": theme.faint, "width": 1.4},
                marker={
                    "symbol": ["star", "circle"], "size": 10, "color": [theme.ink, theme.curve]
                },
                name="each seed",
                legendgroup="seeds",
                showlegend=seed == 0,
                hovertemplate=f"seed {seed}<br>%{{text}}<extra></extra>",
                text=[words.quality(before), words.quality(now)],
            )
        )  # fmt: skip
    for x, values, colour in ((-0.12, record.before, theme.ink), (1.12, record.now, theme.curve)):
        shares = [a.value for a in values]
        data.append(
            scatter(
                x=[x],
                y=[np.mean(shares)],
                mode="markers",
                marker={"symbol": "diamond", "size": 12, "color": colour},
                error_y={"array": [np.std(shares, ddof=1)], "thickness": 1.6, "width": 6},
                name="mean ± standard deviation",
                legendgroup="mean",
                showlegend=x < 0,
                hovertemplate="mean %{text}<extra></extra>",
                text=[words.valued(float(np.mean(shares)), values[0].unit)],
            )
        )
    found = [a.value for a in (*record.before, *record.now)]
    low, high, in_percent = min(found), max(found), record.now[0].unit == "%"
    room = 0.1 * (high - low)
    return drawing(
        data,
        layout(
            theme,
            record.title,
            [*record.finding.split("; "), record.recipe],
            480,
            record.provenance,
        ),
        xaxis={
            "tickvals": [0, 1],
            "ticktext": ["uncompressed", "this recipe"],
            "range": [-0.4, 1.4],
            "gridcolor": theme.grid,
            "zeroline": False,
        },
        yaxis={
            "title": {"text": record.score},
            "tickformat": ".1%" if in_percent else "",
            "range": [max(0.0, low - 0.03), 1.005] if in_percent else [low - room, high + room],
            "gridcolor": theme.grid,
            "zeroline": False,
        },
    )
