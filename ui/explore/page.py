"""Explore's screen, from top to bottom: headline, figures, strip of sliders, charts, hints, and
what comes below."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from random import random

import streamlit as st
from paretoscope.artifact.artifact import compress
from paretoscope.artifact.quick_latency import BATCHES
from paretoscope.base.store import default_store
from paretoscope.base.wording import counted
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from paretoscope.network.outline import Outline
from streamlit.delta_generator import DeltaGenerator

from ui.base import plot
from ui.base.places import in_places
from ui.base.theme import Theme, camera, here
from ui.explore import panels, sharing, strip
from ui.explore.plan import ExplorePlan, plan_of
from ui.parts import axes, charts, figures, kernel_choice, large_figures, pins, proper_times
from ui.parts.chart_labels import HEIGHT
from ui.parts.headline import headline
from ui.state import server
from ui.state.address import View
from ui.state.measuring import MeasuringService
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import go_to, link, outdated, plain, publish

_POLL_S = 0.4
_POLL_AROUND_S = 1.0  # what stands below the main charts may come later
_WAIT_S = 0.3  # for the first figure of a network too large to compute within the page


def show(network: Network, title: str) -> None:
    """Draw what is known of the visitor's recipe and its curve, and let the rest fill in.

    A slider that moves has only this drawn anew. Figures and the two charts come first, so that
    they answer it first.
    """
    session().polling.end()
    _show(network, title)


@st.fragment
def _show(network: Network, title: str) -> None:
    view = session().view
    if outdated():
        st.rerun()
    publish()
    subject = server.subject(view.dataset, view.model, network, view.score, view.decision)
    _look_up(subject, view.recipe)
    _draw(view, subject, title)


def _look_up(subject: Subject, recipe: Recipe) -> None:
    """Have something to show of a recipe: compute it, or wait a moment for it."""
    service = server.measuring()
    for needed in (Recipe(), recipe):
        service.compute(subject, needed)
        service.wait(subject, needed, 0 if needed.trains else _WAIT_S)


@server.one_page_at_a_time
def _draw(view: View, subject: Subject, title: str) -> None:
    plan = plan_of(view, subject, frozenset(_asked()))
    polling = not _ask(plan)
    top = st.container(horizontal=True, vertical_alignment="center", key="top")
    finding = top.container(key="headline", width="stretch")
    leaving = top.container(key="leaving", width="content", horizontal=True, wrap=False)
    large, sliders, both = (st.container() for _ in range(3))  # each keeps its place
    row = st.container(horizontal=True, key="foot")
    foot, switches = row.container(width="stretch"), row.container(width="content")
    steps = st.container()
    with session().polling.drawing(needed=polling):
        places = finding, large, both, foot
        st.fragment(_main, run_every=_every(_POLL_S, polling))(view, plan, title, places)
        with leaving:
            _share(view, subject, title, plan.curve)
        with sliders:
            strip.show(subject.network, view.recipe)
        with switches:
            axes.axes(view, subject.score)
        st.fragment(panels.show, run_every=_every(_POLL_AROUND_S, polling))(
            view, plan, title, steps
        )


def _ask(plan: ExplorePlan) -> bool:
    """Say what is to be measured; whether all is there."""
    service, visitor = server.measuring(), server.visitor()
    service.ask(visitor, plan.request)
    return service.finished(visitor) and not kernel_choice.pending(plan.subject)


def _timings(plan: ExplorePlan) -> dict[str, Timing]:
    """By protocol, of the recipe that is looked at, by what they are of, if they were taken."""
    known = server.measuring().known(plan.subject, plan.recipe)
    if known is None:
        return {}
    arguments = proper_times.file_arguments(plan.subject, known)
    return proper_times.known_timings(plan.subject, arguments)


def _every(seconds: float, polling: bool) -> float | None:
    """A timer's interval, each a little other than the last.

    A browser goes on with a timer of the same interval and starts another anew: so none fires while
    it draws what a slider asked for.
    """
    return seconds + random() / 1000 if polling else None


def _share(view: View, subject: Subject, title: str, curve: Sequence[Recipe]) -> None:
    """What leaves the page. Not within what polls: a button that is drawn anew loses clicks."""
    service = server.measuring()
    known, failed = service.known(subject, view.recipe), service.failure(subject, view.recipe)
    there = known is not None or not (view.recipe.trains or failed)

    def file() -> bytes:
        return artifact_bytes(subject, view.recipe, service.known(subject, view.recipe))

    sharing.share_button(view, subject, title, curve, link(), file if there else None)
    if there:
        st.download_button(
            "Download model",
            data=file,
            file_name=f"{view.file_name}.onnx",
            mime="application/octet-stream",
            type="primary",
            on_click="ignore",
            help="This file as ONNX, ready to run. Zipped: in the menu Share.",
        )


@in_places
@server.one_page_at_a_time
def _main(view: View, plan: ExplorePlan, title: str, places: tuple[DeltaGenerator, ...]) -> None:
    """What answers a slider first, and fills in while files are measured."""
    if session().view != view:  # of a fragment's own control only the fragment would run
        st.rerun()
    service, visitor, subject = server.measuring(), server.visitor(), plan.subject
    finished = _ask(plan)
    finding, large, both, foot = places
    timings = _timings(plan)
    with finding:
        _headline(view, plan, title, timings.get("batch 1"))
    with large:
        _figures(view, subject, timings)
    service.compute_line(subject, plan.curve)
    baseline = service.before(subject)
    with both, st.container():  # written to in every run, as the other places are
        if baseline is not None and (
            baseline.latency() is not None or (subject.comes_slowly and _known(service, plan))
        ):
            _charts(service, view, plan, title)
        elif service.failure(subject, Recipe()) is None:
            st.skeleton(height=HEIGHT)
            st.caption("Measuring the uncompressed model")
    with foot:
        _foot(service, plan, visitor)
    if session().polling.active and finished:
        st.rerun()


# --- headline and figures -----------------------------------------------------------------------


def _headline(view: View, plan: ExplorePlan, title: str, timing: Timing | None) -> None:
    service, subject = server.measuring(), plan.subject
    now, before = service.known(subject, view.recipe), service.before(subject)
    time = timing or (None if now is None else now.latency())
    failed = service.failure(subject, view.recipe) is not None
    found = headline(now, before, time, margin=view.margin_of(subject), zipped=view.zipped)
    st.title("This recipe cannot be measured" if failed else found, anchor=False)
    told = f"{title} \u00b7 {subject.network.n_parameters:,} parameters"
    if subject.dataset.problem.targets == "outputs":
        told = (
            f"{told} \u00b7 no targets: {subject.score.spoken} against the uncompressed model "
            "tells what the file changes, not whether it is right"
        )
    if view.decision and not subject.decision:
        told = f"{told} \u00b7 the link's decision is of other classes and was left out"
    if subject.decision:
        told = f"{told} \u00b7 decided by {plain(subject.decision)}"
    first, why = subject.opens_with
    if why and first.name == subject.score.name:
        told = f"{told} \u00b7 judged by {first.spoken}: {plain(why)}"
    elif why:
        told = f"{told} \u00b7 {plain(why)}"
    st.caption(told)


def _figures(view: View, subject: Subject, timings: dict[str, Timing]) -> None:
    """The three large figures; for a recipe that trains, how far that is."""
    service, recipe = server.measuring(), view.recipe
    failure = service.failure(subject, recipe) or service.failure(subject, Recipe())
    if failure is not None:
        st.error(plain(failure))
        if recipe.trains:
            _asked().discard(str(recipe))
            _offer_training(service, subject, recipe)
        return
    now, before = service.known(subject, recipe), service.before(subject)
    if now is None and recipe.trains:
        _training(service, subject, recipe)
        return
    several = {rows: t for rows in BATCHES[1:] if (t := timings.get(f"batch {rows}")) is not None}
    large_figures.show(view, subject, now, before, timings.get("batch 1"), several)


def _training(service: MeasuringService, subject: Subject, recipe: Recipe) -> None:
    """A recipe that trains starts when asked, shows how far it is, and can be ended early."""
    if str(recipe) not in _asked():
        st.info("This recipe trains the compressed model, which takes seconds to minutes.")
        _offer_training(service, subject, recipe)
        return
    running = service.running(subject, recipe)
    fraction, text = running or (0.0, "waiting for its turn, or in its first epoch")
    st.progress(fraction or 0.0, text=text)
    if running is not None:
        st.button("Keep the best so far", on_click=service.interrupt, args=(subject, recipe))


def _offer_training(service: MeasuringService, subject: Subject, recipe: Recipe) -> None:
    if st.button("Train it"):
        service.try_again(subject, recipe)
        _asked().add(str(recipe))
        st.rerun()


def _asked() -> set[str]:
    """The trainings that this visitor started."""
    return session().asked


# --- charts -----------------------------------------------------------------------------------


def _charts(service: MeasuringService, view: View, plan: ExplorePlan, title: str) -> None:
    subject = plan.subject
    version, theme = service.version(subject), here()
    kernels = kernel_choice.known(subject)
    told = None if kernels is None else kernel_choice.short(kernels)
    timing = _timings(plan).get("batch 1")
    with st.container(key="charts"):
        columns = st.columns([3, 2], gap="small")
    before = service.before(subject)
    for column, asked in zip(
        columns, (charts.size_asked(view, subject), charts.time_asked(view, subject)), strict=True
    ):
        if asked.axis == "time" and (before is None or before.latency() is None):
            with column:
                st.skeleton(height=HEIGHT)
                st.caption("Timing the uncompressed model")
            continue
        plot.chart(
            _trade_off(plan, version, asked, title, timing, theme, told),
            key=f"chart-{'time' if asked.axis == 'time' else 'size'}",
            config=camera(f"paretoscope-{view.file_name}-{asked.axis}"),
            on_pick=go_to,
            place=column,
        )


@lru_cache(maxsize=128)
def _trade_off(
    plan: ExplorePlan,
    version: int,
    asked: charts.Asked,
    title: str,
    timing: Timing | None,
    theme: Theme,
    kernels: str | None,
) -> plot.Drawn:
    """A main chart, at a version of what the service knows."""
    service, subject = server.measuring(), plan.subject
    baseline = service.before(subject)
    assert baseline is not None
    record = charts.trade_off(
        asked,
        title,
        plan.recipe,
        _known(service, plan),
        baseline,
        timing,
        pins.known(service, subject, plan.pins),
        _everything(subject, version),
        kernels,
    )
    return plot.drawn(figures.trade_off_figure(record, theme), record.alt)


@lru_cache(maxsize=4)
def _everything(subject: Subject, version: int) -> list[Measurement]:
    """What is known at a version: the same for both charts, for more comes while one is drawn."""
    return server.measuring().everything(subject)


def _known(service: MeasuringService, plan: ExplorePlan) -> list[Measurement]:
    """What is known of the curve."""
    known = (service.known(plan.subject, recipe) for recipe in plan.curve)
    return [m for m in known if m is not None]


def _foot(service: MeasuringService, plan: ExplorePlan, visitor: str) -> None:
    """Where the figures of the charts come from; while files are measured, how far that is."""
    subject = plan.subject
    measured, failed, total = service.progress(visitor)
    if measured + failed < total:
        st.progress(measured / total, text=f"{measured} of {total} files measured")
        return
    told = f"All {counted(total, 'file')} of this curve measured"
    if failed:
        told = f"{counted(measured, 'file')} of this curve measured, {failed} could not be made"
    before = service.before(subject)
    if before is not None:
        told = f"{told} \u00b7 {charts.note(before, service.known(subject, plan.recipe))}"
    st.caption(f":small[{told}]")


def artifact_bytes(subject: Subject, recipe: Recipe, known: Measurement | None) -> bytes:
    """The file whose figures are shown: kept where it was trained, else made again, the same."""
    kept = None if known is None else default_store().read(known.file_sha256 or "")
    if kept is not None:
        return kept
    if isinstance(subject.network, Outline):
        made = server.at_once("file_task", subject.arguments(recipe))
        return default_store().read(made["sha256"]) or b""
    data = subject.dataset
    return compress(subject.network, recipe, data.train, data.validation).onnx_bytes
