"""What comes below on Explore: the file and why it gains nothing, the budget, the grid of
thresholds and Q, the weights, the layers, the pins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.cli.results import TIMING
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from paretoscope.network.sketch import sketch_of
from streamlit.delta_generator import DeltaGenerator

from ui.base import later, plot, words
from ui.base.places import in_places
from ui.base.theme import Theme, camera, here
from ui.explore import hints, weights, why_no_gain
from ui.explore.plan import ExplorePlan
from ui.parts import charts, grid, pins, proper_times, provenance
from ui.parts.layer_controls import FEW_LAYERS, choices_of
from ui.parts.progress import follow
from ui.state import server
from ui.state.address import HEATS, View
from ui.state.control import control
from ui.state.measuring import Apart
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import change, go_to, plain

_ADVICE_MS = 700  # advice waits until a visitor stays at a recipe
_AFTER_MS = 150  # figures and main charts are drawn before what stands around them

_OVER: Mapping[str, Callable[[Any], str]] = {
    "drop": lambda m: f"drop {words.differing(-m.change.gain, m.change.unit).removeprefix('+')}",
    "file_bytes": lambda m: f"{words.size(m.size_bytes)} on disk",
    "gzip_bytes": lambda m: f"{words.size(m.gzip_bytes)} zipped",
    "time_us": lambda m: words.duration(m.latency().median_us),
}


@in_places
@server.one_page_at_a_time
def show(view: View, plan: ExplorePlan, title: str, steps: DeltaGenerator) -> None:
    """Draw all of it with what is known by now, each part with a heading one can link to; the next
    steps into their place further up."""
    if session().view != view:  # of a fragment's own control only the fragment would run
        st.rerun()
    service, subject = server.measuring(), plan.subject
    now, baseline = service.known(subject, view.recipe), service.before(subject)
    with steps:  # in every run: a fragment that left a place out may not write to it later
        hints.show(service, view, plan)
    if baseline is None:
        return
    # What comes later has its place from the start: a field that moves on the page loses what is
    # being typed.
    hints.welcome()
    file = st.container()
    version = service.version(subject)
    with file:
        if now is not None:
            _file(view, subject, now, baseline)
            stands = _standing(subject, version, view.zipped, view.recipe)
            st.caption(
                f"{plain(stands)}  \n{_apart(service.apart(subject), subject)}  \n"
                f"{plain(str(view.recipe))}"
            )
    _budget(view, plan, version)
    left, right = st.columns(2)
    with left:
        st.subheader("Threshold by Q", anchor="grid")
        if plan.lines:
            _heatmap(view, plan, version, title)
        else:
            st.caption("N:M patterns have no threshold, so there is no grid to draw.")
    with right:
        st.subheader("Weights", anchor="weights")
        _histogram(view, subject, title)
    _layers(view, subject)
    pins.show(service, subject, view)
    if _advice_is_coming(view, subject, now):
        later.again("advice-later", _ADVICE_MS)


def _advice_is_coming(view: View, subject: Subject, now: Measurement | None) -> bool:
    """Ask for what may help, once all else is measured; whether that is not there yet."""
    service, visitor = server.measuring(), server.visitor()
    if now is None or not service.finished(visitor):
        return False  # what polls draws this again
    arguments = proper_times.file_arguments(subject, now)
    timing = proper_times.known_timings(subject, arguments).get("batch 1")
    service.ask(f"{visitor} advice", why_no_gain.request(service, subject, view, timing))
    return not service.finished(f"{visitor} advice")


def _file(view: View, subject: Subject, now: Measurement, baseline: Measurement) -> None:
    """What can be done with the file, where it runs, and why it gains nothing where it does not."""
    service = server.measuring()
    timings = proper_times.known_timings(subject, proper_times.file_arguments(subject, now))
    st.subheader("This file", anchor="file")
    with st.container(horizontal=True, vertical_alignment="center"):
        if not now.computed:
            _measure_properly(subject, now)
        pins.pin_button(view)
        st.page_link(
            "pages/evidence.py", label="Evidence for this recipe", query_params=view.query()
        )
    why_no_gain.show_where_it_runs(service, subject, view)
    why_no_gain.show(service, subject, now, baseline, timings.get("batch 1"), view)


@lru_cache(maxsize=128)
def _standing(subject: Subject, version: int, zipped: bool, recipe: Recipe) -> str:
    """Where a recipe stands, at a version of what the service knows."""
    service = server.measuring()
    known = service.known(subject, recipe)
    if known is None:
        return ""
    axis: charts.Axis = "gzip" if zipped else "size"
    return charts.standing(axis, known, service.everything(subject))


def _apart(apart: Apart, subject: Subject) -> str:
    """How far what was computed lies from what was measured."""
    if apart.files == 0:
        return ""
    n = len(subject.baseline.rows)
    files = "1 file was" if apart.files == 1 else f"{apart.files} files were"
    if not subject.baseline.counts_largest:
        score = subject.score
        most = words.amount(apart.largest, score.unit)
        return f"{files} computed and then run: {score.spoken} was at most {most} apart."
    right = round(apart.largest * n)
    if right == 0:
        return f"{files} computed and then run: as many of {n:,} rows were right."
    rows = "1 row" if right == 1 else f"{right} rows"
    return f"{files} computed and then run: at most {rows} of {n:,} more or fewer were right."


# What is made of the grid and the curve at a version of what the service knows.


@lru_cache(maxsize=32)
def _known(plan: ExplorePlan, version: int) -> grid.Known:
    service, every = server.measuring(), [recipe for line in plan.lines for recipe in line]
    found = ((r, service.known(plan.subject, r)) for r in (*every, *plan.curve))
    return {str(r): m for r, m in found if m is not None}


@lru_cache(maxsize=32)
def _advice(plan: ExplorePlan, version: int, budget: Budget, zipped: bool) -> grid.Advice:
    return grid.advice(list(_known(plan, version).values()), budget, zipped)


@lru_cache(maxsize=64)
def _heat(
    plan: ExplorePlan,
    version: int,
    what: str,
    title: str,
    budget: Budget,
    zipped: bool,
    theme: Theme,
) -> plot.Drawn:
    known = _known(plan, version)
    baseline = server.measuring().before(plan.subject)
    assert baseline is not None
    record = grid.heat(what, title, plan.lines, known, baseline, plan.recipe, budget, zipped)
    return plot.drawn(grid.heat_figure(record, theme), record.alt)


@lru_cache(maxsize=64)
def _weights(network: Network, title: str, layer: str, recipe: Recipe, theme: Theme) -> plot.Drawn:
    record = weights.histogram(network, title, layer, recipe)
    return plot.drawn(weights.histogram_figure(record, theme), record.alt)


def _measure_properly(subject: Subject, known: Measurement) -> None:
    """The button that starts the protocol in the background; while it runs, how far it is."""
    arguments = proper_times.timing_arguments(proper_times.file_arguments(subject, known))
    if server.result(subject, TIMING, arguments) is not None:
        if session().take("properly") == arguments:
            st.rerun()  # the figures above were drawn before it was there
        proper_times.offer_again(subject, arguments)
        return
    job = server.work(TIMING.name, arguments)
    if job is not None and job.state == "running":
        session().properly = arguments
        follow(job, "Measuring properly")
        return
    if job is not None and job.error:
        st.error(plain(job.error))
    st.button(
        "Measure properly",
        on_click=server.start_work,
        args=(TIMING.name, arguments),
        help="Times this file in five processes of its own, beside an identical copy of the "
        "uncompressed model, in about ten seconds. Sliders answer meanwhile, and what fills in by "
        "itself waits.",
    )


def _budget(view: View, plan: ExplorePlan, version: int) -> None:
    """The best recipe within the budget, and the nearest misses."""
    st.subheader("Within the budget", anchor="budget")
    with st.container():
        zipped = view.zipped
        found = _advice(plan, version, view.budget_of(plan.subject), zipped)
        if found.n == 0:
            st.caption("Nothing is known yet.")
            return
        named = [("Best", found.best, "")] if found.best is not None else []
        for number, (miss, excess) in enumerate(found.near, 1):
            over = ", ".join(_OVER[name](miss) for name in excess)
            named.append((f"Near miss {number}", miss, over))
        st.markdown(_advice_list(named, found.n, zipped))
        places = {name: m.recipe for name, m, _ in named if m.recipe != view.recipe}
        if places:
            st.segmented_control(
                "Go to", list(places), key="advice", on_change=lambda: _go_to_advice(places)
            )


def _advice_list(named: Sequence[tuple[str, Measurement, str]], n: int, zipped: bool) -> str:
    """What is within the budget and nearly so, as a list in Markdown."""
    within = any(name == "Best" for name, _, _ in named)
    told = [f"Smallest of {n} within it:" if within else f"None of {n} recipes is within it."]
    for name, m, over in named:
        size = words.sized(grid.shown_size(m, zipped) or 0, zipped=zipped)
        size = f"about {size}" if zipped and m.gzip_is_estimate else size
        size += ", computed" if m.computed else ""
        change = words.change_interval(m.change)
        why = f" ({over})" if over else ""
        told.append(f"- **{name}**{why}: `{m.recipe}`, {change}, {size}")
    return "\n".join(told)


def _go_to_advice(places: Mapping[str, Recipe]) -> None:
    chosen = st.session_state.advice
    if chosen in places:
        st.session_state.advice = None
        go_to(places[chosen])


def _heatmap(view: View, plan: ExplorePlan, version: int, title: str) -> None:
    shown = control("heat", view.heat)
    st.segmented_control(
        "Heatmap of",
        list(HEATS),
        default=view.heat,
        format_func=(HEATS | {"accuracy": plan.subject.score.title}).__getitem__,
        key=shown.key,
        required=True,
        on_change=shown.then(lambda heat: change(heat=heat)),
    )
    zipped = view.zipped
    plot.chart(
        _heat(plan, version, view.heat, title, view.budget_of(plan.subject), zipped, here()),
        key="chart-heat",
        config=camera(f"paretoscope-{view.file_name}-grid"),
        on_pick=go_to,
        wait_ms=_AFTER_MS,
    )
    known, n_cells = _known(plan, version), sum(map(len, plan.lines))
    n_known = sum(str(recipe) in known for line in plan.lines for recipe in line)
    how_many = f"All {n_cells}" if n_known == n_cells else f"{n_known} of {n_cells}"
    notes = [
        f"{how_many} cells computed in float arithmetic; a white dot marks a file that was run."
    ]
    if view.heat == "time":
        notes.append("Times are there only for files that were run.")
    if view.recipe.overrides or str(view.recipe.recovery) != "project":
        notes.append("Without recovery and with all layers alike.")
    st.caption(" ".join(notes))


def _histogram(view: View, subject: Subject, title: str) -> None:
    names, key = choices_of(subject.network), f"histogram-{len(subject.network.shapes)}"
    layer: str | None
    if len(names) > FEW_LAYERS:
        layer = st.selectbox("Weights of", names, key=key, help="The largest first.")
    else:
        layer = st.segmented_control("Weights of", names, default=names[0], key=key, required=True)
    plot.chart(
        _weights(subject.network, title, layer or names[0], view.recipe, here()),
        key="chart-weights",
        config=camera(f"paretoscope-{view.file_name}-weights"),
        wait_ms=_AFTER_MS,
    )


def _layers(view: View, subject: Subject) -> None:
    st.subheader("Layers of this file", anchor="layers")
    if not view.recipe.needs_no_rows:
        st.markdown(
            "**Layers of this file**  \nThis recipe needs training rows; the page Evidence takes "
            "its file apart."
        )
        return
    network, known = subject.network, server.measuring().known(subject, view.recipe)
    if known is None and sketch_of(network) is not network:
        st.caption("Making the file")
        return
    try:
        rows = weights.layer_table(network, view.recipe, known)
    except ParetoscopeError as error:
        st.caption(plain(str(error)))
        return
    st.dataframe(rows, hide_index=True, height="content")
    what = f"network {subject.network.sha256[:8]}, {plain(str(view.recipe))}"
    st.caption(provenance.caption(what))
