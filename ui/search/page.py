"""Search: a budget in; the best recipe within it, what came near, and the front of all that is
known, which is there before a search, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

import streamlit as st
from paretoscope.cli.results import SEARCH, SearchResult
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe
from streamlit.delta_generator import DeltaGenerator

from ui.base import plot, words
from ui.base.places import in_places
from ui.base.theme import Theme, camera, here
from ui.parts import charts, figures, frame, grid, large_figures, provenance
from ui.parts.axes import span
from ui.parts.budget_fields import budget_fields, budget_words
from ui.parts.chart_labels import BROAD
from ui.parts.method_controls import offered
from ui.parts.progress import result_or_progress
from ui.search.finding import finding
from ui.state import server
from ui.state.address import AIMS, CURVES, RECOVER, View
from ui.state.control import control
from ui.state.measuring import MeasuringRequest, MeasuringService
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import change, go_to

_POLL_S = 0.6


def ask(view: View, subject: Subject) -> None:
    """The controls: the budget, what is aimed at, and what is searched over."""
    budget_fields(view, subject)
    aim = control("aim", view.aim)
    st.selectbox(
        "Aim",
        list(AIMS),
        index=list(AIMS).index(view.aim),
        format_func=AIMS.__getitem__,
        key=aim.key,
        on_change=aim.then(_set_aim),
        help="What is best among the recipes within the budget.",
    )
    over = control("over", list(view.over))
    st.pills(
        "Criteria",
        list(offered(CURVES, view.over)),
        selection_mode="multi",
        wrap=True,
        default=list(view.over),
        format_func=CURVES.__getitem__,
        key=over.key,
        on_change=over.then(lambda chosen: change(over=tuple(chosen))),
        help="Thresholds (or sparsities) of each of them by values of Q are the candidates.",
    )
    recover = control("recover", list(view.recover))
    st.pills(
        "Then try",
        list(offered(RECOVER, view.recover)),
        selection_mode="multi",
        wrap=True,
        default=list(view.recover),
        format_func=RECOVER.__getitem__,
        key=recover.key,
        on_change=recover.then(lambda chosen: change(recover=tuple(chosen))),
        help="Recoveries are tried on smaller candidates, coarser codes layer by layer at the end.",
    )


def _set_aim(aim: str) -> None:
    change(aim=aim, size="file" if aim == "file" else "gzip")


def arguments_of(subject: Subject, view: View) -> dict[str, Any]:
    """What the search task is asked."""
    asked = subject.arguments(Recipe())
    del asked["recipe"]
    return asked | {
        "budget": asdict(view.budget_of(subject)),
        "aim": view.aim,
        "criteria": list(view.over),
        "recoveries": [name for name in view.recover if name != "layers"],
        "by_layer": "layers" in view.recover,
    }


def show(view: View, subject: Subject, title: str, places: tuple[DeltaGenerator, ...]) -> None:
    """The finding, the map of all that is known, the best and what came near, each in its place; a
    search when asked."""
    finding_place, side, below = places
    service, visitor = server.measuring(), server.visitor()
    with side:
        result = _searched(subject, view)
    best = [] if result is None or result.best is None else [result.best]
    if result is not None:
        service.tell(subject, [*result.front, *result.over, *best])
    request = _request(view, subject, [m.recipe for m in best])
    service.ask(visitor, request)
    polls = not service.finished(visitor) or _is_searching(subject, view)
    every = _POLL_S if polls else None
    st.fragment(_show, run_every=every)(
        view, subject, title, request, result, (finding_place, below), polls=polls
    )
    span(view, subject.score)


def _searched(subject: Subject, view: View) -> SearchResult | None:
    """What the search found; before that its button, or how far it is."""
    if not view.over:
        st.info("Choose at least one criterion to search over.")
        return None
    arguments = arguments_of(subject, view)
    return result_or_progress(subject, SEARCH, arguments, "Search", start="Search")


def _is_searching(subject: Subject, view: View) -> bool:
    job = server.work(SEARCH.name, arguments_of(subject, view)) if view.over else None
    return job is not None and job.state == "running"


def _request(view: View, subject: Subject, found: Sequence[Recipe]) -> MeasuringRequest:
    """Times of what was found; and the grid around the recipe, so that the map is not empty before
    a search."""
    lines = grid.nearest_first(grid.lines_of(subject.network, view.recipe), view.recipe)
    recipes = [Recipe(), *found, *([] if view.recipe.trains else [view.recipe])]
    return MeasuringRequest(
        subject, list(dict.fromkeys(recipes)), lines=lines, zipped=view.aim == "gzip"
    )


@in_places
def _show(
    view: View,
    subject: Subject,
    title: str,
    request: MeasuringRequest,
    result: SearchResult | None,
    places: tuple[DeltaGenerator, ...],
    *,
    polls: bool,
) -> None:
    service, visitor, (place, below) = server.measuring(), server.visitor(), places
    service.ask(visitor, request)
    searching = _is_searching(subject, view)
    waiting = searching or not service.finished(visitor)
    if session().view != view or (polls and not waiting):  # a timer ends with a run of the page
        st.rerun()
    if searching:
        _tell_found(service, subject, view)
    before, best = service.before(subject), _best(service, subject, view, result)
    told = finding(best, before, view, subject, searched=result is not None, searching=searching)
    frame.say(place, told, f"{title} \u00b7 {budget_words(view, subject)} \u00b7 {AIMS[view.aim]}")
    if before is None:
        st.skeleton(height=int(BROAD.height))
        st.caption("Measuring the uncompressed model")
        below.empty()
        return
    known = service.everything(subject)
    record = _drawn(view, subject, title, best, service.version(subject), here())
    plot.chart(
        record,
        key="chart-size",
        config=camera(f"paretoscope-{view.file_name}-front"),
        on_pick=_take,
    )
    st.caption(_foot(len(known), result))
    with below:
        _card(view, subject, best, before, result)


def _tell_found(service: MeasuringService, subject: Subject, view: View) -> None:
    """Let the map have the files that a search made by now."""
    job = server.work(SEARCH.name, arguments_of(subject, view))
    if job is not None:
        service.tell(subject, [Measurement.from_dict(plain) for plain in list(job.found)])


def _best(
    service: MeasuringService, subject: Subject, view: View, result: SearchResult | None
) -> Measurement | None:
    """What a search found, else the smallest within the budget that is known. Times of different
    loads rank nothing, so the fastest is only what a search found."""
    if result is not None and result.best is not None:
        return service.known(subject, result.best.recipe) or result.best
    if result is not None or view.aim == "time":
        return None
    best = grid.advice(
        service.everything(subject), view.budget_of(subject), view.aim == "gzip"
    ).best
    return None if best is None or best.recipe == Recipe() else best


@lru_cache(maxsize=64)
def _drawn(
    view: View, subject: Subject, title: str, best: Measurement | None, version: int, theme: Theme
) -> plot.Drawn:
    """The map of all that is known, with a ring at the best."""
    service = server.measuring()
    baseline = service.before(subject)
    assert baseline is not None
    record = charts.trade_off(
        charts.size_asked(replace(view, across="size"), subject),
        title,
        Recipe() if best is None else best.recipe,
        [],
        baseline,
        others=[*service.everything(subject), *([] if best is None else [best])],
    )
    return plot.drawn(figures.trade_off_figure(record, theme, BROAD), record.alt)


def _foot(n_known: int, result: SearchResult | None) -> str:
    """What stands behind the picture."""
    if result is None:
        return (
            f"{n_known:,} recipes are known. A search races many more on growing parts of the "
            "rows, the cheapest first, makes the file of the first within the budget, runs and "
            "judges it. Other pages answer meanwhile."
        )
    return (
        f"{result.candidates:,} candidates, compared on growing parts of the rows: as much work as "
        f"{result.evaluations:.1f} of them on all {result.n:,} rows."
    )


def _take(recipe: str) -> None:
    go_to(recipe)
    session().taken = True


def _card(
    view: View,
    subject: Subject,
    best: Measurement | None,
    before: Measurement,
    result: SearchResult | None,
) -> None:
    """The best with its figures, to take; then what came near."""
    if best is not None:
        with st.container(border=True, key="best"):
            large_figures.show(view, subject, best, before, None, {})
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"`{best.recipe}`")
                st.button("Take it", type="primary", on_click=_take, args=(str(best.recipe),))
            st.caption(
                f"Chosen on these {best.quality.n:,} rows, it looks better on them than it is: "
                "confirm it on test rows (page Evidence).  \n"
                + provenance.caption(provenance.of_subject(subject, best.quality.n))
            )
    elif result is not None:
        st.warning(
            f"None of the {result.candidates:,} candidates is within the budget. The nearest are "
            "below; a larger drop or a recovery would help."
        )
    if result is not None and result.near:
        st.markdown("**Cheaper, but over the budget**" if best is not None else "**Nearest**")
        for number, near in enumerate(result.near):
            text, button = st.columns([5, 1], vertical_alignment="center")
            text.markdown(f"`{near.recipe}`, {words.change_interval(near.change)}")
            button.button("Take it", key=f"near-{number}", on_click=_take, args=(near.recipe,))
