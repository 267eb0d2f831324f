"""Search: a budget in; the best recipe, what came near and the front out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st
from paretoscope.cli.results import SEARCH, SearchResult
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe

from ui.base import plot, words
from ui.base.plot import Figure, Shape, Trace, dashed, dotted, drawing, line_across, scatter
from ui.base.theme import CURSOR, Theme, camera, here, layout, log_bytes
from ui.parts import provenance
from ui.parts.budget_fields import budget_fields
from ui.parts.charts import AXIS_TITLES
from ui.parts.frame import sync_widget
from ui.parts.grid import shown_size
from ui.parts.progress import result_or_progress
from ui.state import server
from ui.state.address import AIMS, CURVES, RECOVER, View
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import change, go_to

_HEIGHT = 470


def ask(view: View) -> None:
    """The controls: the budget, what is aimed at, and what is searched over."""
    budget_fields(view)
    aim, criteria, recover = st.columns([2, 4, 4])
    aim.selectbox(
        "Aim",
        list(AIMS),
        index=list(AIMS).index(sync_widget("aim", view.aim)),
        format_func=AIMS.__getitem__,
        key="aim",
        on_change=lambda: change(aim=st.session_state.aim, size=_size_of(st.session_state.aim)),
        help="What is best among the recipes within the budget.",
    )
    criteria.pills(
        "Criteria",
        list(CURVES),
        selection_mode="multi",
        wrap=True,
        default=sync_widget("over", list(view.over)),
        format_func=CURVES.__getitem__,
        key="over",
        on_change=lambda: change(over=tuple(st.session_state.over)),
        help="Thresholds (or sparsities) of each of them by values of Q are the candidates.",
    )
    recover.pills(
        "Then try",
        list(RECOVER),
        selection_mode="multi",
        wrap=True,
        default=sync_widget("recover", list(view.recover)),
        format_func=RECOVER.__getitem__,
        key="recover",
        on_change=lambda: change(recover=tuple(st.session_state.recover)),
        help="Recoveries are tried on smaller candidates, coarser codes layer by layer at the end.",
    )


def _size_of(aim: str) -> str:
    return "file" if aim == "file" else "gzip"


def arguments_of(subject: Subject, view: View) -> dict[str, Any]:
    """What the search task is asked."""
    asked = subject.arguments(Recipe())
    del asked["recipe"]
    return asked | {
        "budget": asdict(view.budget),
        "aim": view.aim,
        "criteria": list(view.over),
        "recoveries": [name for name in view.recover if name != "layers"],
        "by_layer": "layers" in view.recover,
    }


def show(subject: Subject, view: View, title: str) -> None:
    """Search when asked, and show what was found."""
    if not view.over:
        st.info("Choose at least one criterion to search over.")
        return
    arguments = arguments_of(subject, view)
    result = result_or_progress(subject, SEARCH, arguments, "Search", start="Search")
    if result is None:
        st.caption(
            "Candidates are raced on growing parts of the rows, the cheapest first; the "
            "first within the budget is the best, and its file is made, run and judged again. Then "
            "the front of all candidates is computed. Other pages answer meanwhile."
        )
        return
    best = result.best
    _tell(view, result)
    found = [*result.front, *result.over, *([] if best is None else [best])]
    server.measuring().tell(subject, found)
    record = front_chart(subject, view, title, result.front, best, result.over)
    plot.chart(
        front_figure(record, here()),
        key="chart-front",
        alt=record.alt,
        config=camera(f"paretoscope-{view.file_name}-front"),
        on_pick=_take,
    )
    st.caption(
        f"{result.candidates:,} candidates, compared on growing parts of the rows: as much work "
        f"as {result.evaluations:.1f} of them on all {result.n:,} rows. What is chosen on "
        "these rows looks better there than it is: confirm it on test rows (page Evidence).  \n"
        + provenance.caption(record.provenance)
    )


def _take(recipe: str) -> None:
    go_to(recipe)
    session().taken = True


def _tell(view: View, result: SearchResult) -> None:
    best = result.best
    if best is None:
        st.warning(
            f"None of the {result.candidates:,} candidates is within the budget. The nearest "
            "are below; a larger drop or a recovery would help."
        )
    else:
        with st.container(border=True):
            text, button = st.columns([5, 1], vertical_alignment="center")
            zipped = f", {words.sized(best.gzip_bytes, zipped=True)}" if best.gzip_bytes else ""
            latency = best.latency()
            time = f", {words.duration(latency.median_us)}" if latency is not None else ""
            text.markdown(
                f"**{AIMS[view.aim].capitalize()}, within the budget:** `{best.recipe}`  \n"
                f"{words.percent(best.accuracy.value)}, {words.change_interval(best.change)}, "
                f"{words.sized(best.size_bytes, zipped=False)}{zipped}{time}; measured on its file"
            )
            button.button("Take to Explore", on_click=_take, args=(str(best.recipe),))
    if result.near:
        st.markdown("**Cheaper, but over:**" if best is not None else "**Nearest:**")
        for number, near in enumerate(result.near):
            text, button = st.columns([5, 1], vertical_alignment="center")
            text.markdown(f"`{near.recipe}`, {words.change_interval(near.change)}")
            taken = (near.recipe,)
            button.button("Take to Explore", key=f"near-{number}", on_click=_take, args=taken)


@dataclass(frozen=True)
class FrontChart:
    """Exactly what the chart draws: for each point size, accuracy, interval, recipe and words."""

    network: str
    aim: str
    axis: str
    front: tuple[tuple[float, float, str, str], ...]
    over: tuple[tuple[float, float, str, str], ...]
    best: tuple[float, float, str, str] | None
    baseline: float
    least: float | None
    most: float | None
    provenance: str

    @property
    def alt(self) -> str:
        told = f"{self.network}: {len(self.front)} recipes on the front of accuracy against size"
        if self.best is None:
            return f"{told}; none within the budget."
        return f"{told}; the best within the budget is {self.best[2]}: {self.best[3]}."


def front_chart(
    subject: Subject,
    view: View,
    title: str,
    front: Sequence[Measurement],
    best: Measurement | None,
    over: Sequence[Measurement],
) -> FrontChart:
    zipped = view.aim == "gzip"

    def point(m: Measurement) -> tuple[float, float, str, str]:
        size = shown_size(m, zipped)
        assert size is not None  # the search zips what it shows
        told = words.sized(size, zipped=zipped)
        change = words.change_interval(m.change)
        state = "computed" if m.computed else "measured on its file"
        text = f"{words.percent(m.accuracy.value)}, {change}, {told}, {state}"
        return size, m.accuracy.value, str(m.recipe), text

    budget, n = view.budget, len(subject.baseline.rows)
    baseline = subject.baseline
    right = float((baseline.predictions == baseline.rows.y).mean())
    return FrontChart(
        network=title,
        aim=AIMS[view.aim],
        axis=AXIS_TITLES["gzip" if zipped else "size"],
        front=tuple(sorted(point(m) for m in front)),
        over=tuple(point(m) for m in over),
        best=None if best is None else point(best),
        baseline=right,
        least=None if budget.drop is None else right - budget.drop,
        most=budget.gzip_bytes if zipped else budget.file_bytes,
        provenance=provenance.of_subject(subject, n),
    )


def front_figure(record: FrontChart, theme: Theme) -> Figure:
    data: list[Trace] = []
    shapes: list[Shape] = []
    hover = "%{customdata[0]}<br>%{customdata[1]}<extra></extra>"

    def add(points: Sequence[tuple[float, float, str, str]], name: str, **style: Any) -> None:
        data.append(
            scatter(
                x=[p[0] for p in points],
                y=[p[1] for p in points],
                customdata=[[p[2], p[3]] for p in points],
                hovertemplate=hover,
                name=name,
                **style,
            )
        )

    hollow = {"size": 8, "color": theme.paper, "line": {"color": theme.curve, "width": 1.5}}
    line = {"color": theme.curve, "width": 1.5, "shape": "hv"}
    add(record.front, "front, computed", mode="lines+markers", marker=hollow, line=line)
    if record.over:
        cross = {"symbol": "x", "size": 10, "color": theme.quiet}
        add(record.over, "file over the budget", mode="markers", marker=cross)
    if record.best is not None:
        star = {"symbol": "star-diamond", "size": 18, "color": CURSOR}
        add([record.best], "best within the budget", mode="markers", marker=star)
    shapes.append(line_across("y", record.baseline, dashed(theme.quiet), "above"))
    if record.least is not None:
        shapes.append(line_across("y", record.least, dotted(theme.budget), "above"))
    if record.most is not None:
        shapes.append(line_across("x", record.most, dotted(theme.budget), "above"))
    lines = [f"{record.aim}; dashed: uncompressed, dotted: the budget. Click a point to take it."]
    base = layout(theme, f"{record.network}: the front", lines, _HEIGHT, record.provenance)
    base["margin"] |= {"t": 110}
    return drawing(
        data,
        base,
        xaxis=log_bytes(record.axis) | {"gridcolor": theme.grid},
        yaxis={"title": {"text": "Accuracy"}, "tickformat": ".0%", "gridcolor": theme.grid},
        uirevision=record.network,
        shapes=shapes,
    )
