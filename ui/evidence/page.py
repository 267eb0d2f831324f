"""Evidence: the verdict on one recipe in a sentence, then what stands behind it as a report."""

from __future__ import annotations

from typing import Any

import streamlit as st
from paretoscope.artifact.quick_latency import BATCHES
from paretoscope.measurement.confirmation import confirmations
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.methods.recipe import Recipe
from streamlit.delta_generator import DeltaGenerator

from ui.base import words
from ui.base.places import in_places
from ui.evidence import confirmation, robustness, rows, scores, seeds, sizes, times
from ui.parts import frame, large_figures, proper_times
from ui.parts.headline import headline
from ui.state import server
from ui.state.address import SECTIONS, WHOLE, View
from ui.state.control import control
from ui.state.measuring import MeasuringRequest
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import change

_POLL_S = 0.6
_DRAWN = {
    "rows": rows, "scores": scores, "test": confirmation, "time": times, "size": sizes,
    "robustness": robustness, "seeds": seeds,
}  # fmt: skip


def show(
    view: View, subject: Subject, title: str, arguments: dict[str, Any], finding: DeltaGenerator
) -> None:
    """The verdict with its three figures, then the parts, or the one that was chosen."""
    recipes = [Recipe()] if view.recipe.trains else [Recipe(), view.recipe]
    request = MeasuringRequest(subject, recipes, zipped=view.zipped)
    service, visitor = server.measuring(), server.visitor()
    service.ask(visitor, request)
    polls = not service.finished(visitor)
    large = st.container()
    st.fragment(_verdict, run_every=_POLL_S if polls else None)(
        view, subject, title, request, (finding, large), polls=polls
    )
    sections = [name for name in SECTIONS if name != "rows" or subject.has_classes]
    chosen = view.section if view.section in sections else WHOLE
    section = control("section", chosen)
    st.segmented_control(
        "Evidence",
        sections,
        default=chosen,
        format_func=SECTIONS.__getitem__,
        key=section.key,
        required=True,
        label_visibility="collapsed",
        on_change=section.then(lambda name: change(section=name)),
    )
    shown = [name for name in sections if name != WHOLE] if chosen == WHOLE else [chosen]
    for name in shown:
        with st.container():
            st.subheader(SECTIONS[name], anchor=name)
            _DRAWN[name].show(subject, view, arguments)


@in_places
def _verdict(
    view: View,
    subject: Subject,
    title: str,
    request: MeasuringRequest,
    places: tuple[DeltaGenerator, DeltaGenerator],
    *,
    polls: bool,
) -> None:
    service, visitor, (finding, large) = server.measuring(), server.visitor(), places
    service.ask(visitor, request)
    if session().view != view or (polls and service.finished(visitor)):
        st.rerun()
    now, before = service.known(subject, view.recipe), service.before(subject)
    timings: dict[str, Timing] = {}
    if now is not None:
        timings = proper_times.known_timings(subject, proper_times.file_arguments(subject, now))
    time = timings.get("batch 1") or (None if now is None else now.latency())
    found = headline(now, before, time, margin=view.margin_of(subject), zipped=view.zipped)
    frame.say(finding, found, f"{title} \u00b7 {_test_words(subject, view)}")
    several = {n: t for n in BATCHES[1:] if (t := timings.get(f"batch {n}")) is not None}
    with large:
        large_figures.show(view, subject, now, before, timings.get("batch 1"), several)


def _test_words(subject: Subject, view: View) -> str:
    """What the test rows said of the recipe, if they were read."""
    readings = confirmation.judged_so(confirmations(subject.network, subject.dataset), subject)
    mine = [one for one in readings if one.recipe == str(view.recipe)]
    if not mine:
        return "not confirmed on test rows yet"
    change_there = mine[-1].change
    return f"on {change_there.n:,} test rows {words.change_interval(change_there)}"
