"""At most two next steps, each from figures that were computed, each one click away."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st
from paretoscope.measurement.budget import Budget
from paretoscope.methods.recipe import Recipe

from ui.base import words
from ui.explore import why_no_gain
from ui.explore.plan import ExplorePlan
from ui.parts import grid
from ui.state import server
from ui.state.address import View
from ui.state.measuring import MeasuringService
from ui.state.session import session
from ui.state.view import go_to, plain

_LEAST_GAIN = 0.001  # a tenth of a point is not worth a sentence


def show(service: MeasuringService, view: View, plan: ExplorePlan) -> None:
    """Draw them beside each other."""
    version = service.version(plan.subject)
    found = [
        hint
        for hint in (
            _within_budget(plan, version, view.budget_of(plan.subject), view.zipped),
            _compensated(service, plan),
        )
        if hint is not None
    ]
    with st.container(horizontal=True, key="hints"):
        for number, (told, label, recipe) in enumerate(found):
            with st.container(key=f"hint-{number}", horizontal=True, vertical_alignment="center"):
                st.markdown(told)
                st.button(
                    label, key=f"take-{number}", type="tertiary", on_click=go_to, args=(recipe,),
                    help=plain(str(recipe)),
                )  # fmt: skip


Hint = tuple[str, str, Recipe]


@lru_cache(maxsize=64)
def _within_budget(plan: ExplorePlan, version: int, budget: Budget, zipped: bool) -> Hint | None:
    """The smallest of all that is known, unless one looks at it."""
    service = server.measuring()
    best = grid.advice(service.everything(plan.subject), budget, zipped).best
    if best is None or best.recipe in (Recipe(), plan.recipe):
        return None
    told = (
        f"Within your budget the smallest is **{words.size(grid.shown_size(best, zipped) or 0)}**, "
        f"{words.differing(best.change.value, best.change.unit)}: {plain(str(best.recipe))}."
    )
    return told, "Go there", best.recipe


def _compensated(service: MeasuringService, plan: ExplorePlan) -> Hint | None:
    """What GPTQ would give back."""
    other = why_no_gain.compensated(plan.recipe)
    now = service.known(plan.subject, plan.recipe)
    then = None if other is None else service.known(plan.subject, other)
    if now is None or then is None or other is None:
        return None
    gain = then.quality.value - now.quality.value
    if gain < _LEAST_GAIN:
        return None
    told = f"GPTQ compensation would give back **{100 * gain:.1f} points** at about this size."
    return told, "Try it", other


def welcome() -> None:
    """What a visitor who followed no link is told, until it is put away."""
    place = st.container()  # so that all below keeps its place when this is put away
    if not session().first_visit:
        return
    with place.container(border=True):
        text, button = st.columns([6, 1], vertical_alignment="center")
        text.markdown(
            "Each filled point is this model in a smaller file that was run and weighed (hollow: "
            "only computed), beside the uncompressed one (star). Slide the threshold to cut small "
            "weights and Q to round the others: figures and charts follow, with what the data can "
            "and cannot tell. Click a point to go there, and download the very file whose figures "
            "you see."
        )
        button.button("Got it", on_click=_put_away, width="stretch")


def _put_away() -> None:
    session().first_visit = False
