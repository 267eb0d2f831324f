"""Layers: which of them hurts, measured on files; what protecting it costs; and one from near."""

from __future__ import annotations

import math
from dataclasses import replace

import streamlit as st
from paretoscope.methods.recipe import Recipe, Treatment
from streamlit.delta_generator import DeltaGenerator

from ui.base import plot, words
from ui.base.places import in_places
from ui.base.theme import camera, here
from ui.layers.near import one_layer
from ui.layers.picture import cost_figure, finding, known_of, picture_of, stands_figure
from ui.layers.trials import Trials, trials_of
from ui.parts import frame, provenance
from ui.parts.grid import shown_size
from ui.parts.layer_controls import FEW_LAYERS
from ui.state import server
from ui.state.address import View
from ui.state.measuring import MeasuringRequest, MeasuringService
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import go_to

_POLL_S = 0.6


def show(view: View, subject: Subject, title: str, place: DeltaGenerator) -> None:
    """The finding, the measured sensitivity, which fills in, and one layer from near."""
    found = trials_of(subject.network, view.recipe, subject.dataset.train)
    if view.recipe.trains:
        frame.say(place, "A recipe that trains is not tried layer by layer", title)
        st.info("Choose another recovery on Explore to see which layer hurts.")
    else:
        request = _asked(view, subject, found)
        service, visitor = server.measuring(), server.visitor()
        service.ask(visitor, request)
        polls = not service.finished(visitor)
        st.fragment(_sensitivity, run_every=_POLL_S if polls else None)(
            view, subject, title, request, found, place, _n_drawn(subject), polls=polls
        )
    one_layer(view, subject, title)


def _asked(view: View, subject: Subject, found: Trials) -> MeasuringRequest:
    """The files of all trials; those of a graph that takes long are computed only, on its first
    rows: first what each layer gives back when left alone, then layer by layer, the largest
    first."""
    first, left_out = [Recipe(), view.recipe], list(found.one_out.values())
    if not subject.comes_slowly:
        recipes = dict.fromkeys([*first, *left_out, *found.all()])
        return MeasuringRequest(subject, list(recipes), zipped=view.zipped)
    shapes = subject.network.shapes
    by_size = sorted(shapes, key=lambda name: -math.prod(shapes[name]))
    return MeasuringRequest(
        subject,
        [],
        lines=[[*first, *left_out], *(found.of_layer(name) for name in by_size)],
        zipped=view.zipped,
        together=True,
    )


def _n_drawn(subject: Subject) -> int | None:
    """How many layers are drawn, those that cost most first; None for all."""
    n = len(subject.network.shapes)
    if n <= FEW_LAYERS:
        return None
    chosen = st.segmented_control(
        "Layers drawn",
        [f"{FEW_LAYERS} that cost most", f"All {n}"],
        default=f"{FEW_LAYERS} that cost most",
        key=f"layers-drawn-{n}",
        required=True,
        help="Left alone, they give back most. Before that is known, the largest.",
    )
    return None if chosen == f"All {n}" else FEW_LAYERS


@in_places
def _sensitivity(
    view: View,
    subject: Subject,
    title: str,
    request: MeasuringRequest,
    found: Trials,
    place: DeltaGenerator,
    n_drawn: int | None,
    *,
    polls: bool,
) -> None:
    service, visitor = server.measuring(), server.visitor()
    service.ask(visitor, request)
    if session().view != view or (polls and service.finished(visitor)):
        st.rerun()
    told = finding(service, subject, view.recipe, found)
    frame.say(place, told, f"{title} \u00b7 {subject.network.n_parameters:,} parameters")
    whole = picture_of(service, subject, title, view.recipe, found)
    record = replace(whole, rows=whole.rows[:n_drawn])
    left, right = st.columns(2, gap="small")
    for column, key, figure, alt in (
        (left, "cost", cost_figure(record, here()), record.alt_cost),
        (right, "stands", stands_figure(record, here()), record.alt_stands),
    ):
        plot.chart(
            figure,
            key=f"chart-{key}",
            alt=alt,
            config=camera(f"paretoscope-{view.file_name}-layers-{key}"),
            on_pick=go_to,
            place=column,
        )
    _protect(service, view, subject, found, [row.name for row in record.rows])
    done, total = _progress(service, visitor, subject, found)
    how = "computed" if subject.comes_slowly else "measured"
    if not service.finished(visitor):
        st.progress(done / total, text=f"{done:,} of {total:,} files {how}")
    else:
        st.caption(
            f"{'All' if done == total else f'{done:,} of'} {total:,} files {how}. Cells: change of "
            f"{subject.score.spoken} with one layer so, the others untouched. Click a cell or a "
            "mark to take that recipe.  \n" + provenance.caption(record.provenance)
        )


def _progress(
    service: MeasuringService, visitor: str, subject: Subject, found: Trials
) -> tuple[int, int]:
    """How many of the files are done, of how many."""
    if not subject.comes_slowly:
        measured, _, total = service.progress(visitor)
        return measured, total
    trials = found.all()
    return sum(known_of(service, subject, r) is not None for r in trials), len(trials)


def _protect(
    service: MeasuringService, view: View, subject: Subject, found: Trials, names: list[str]
) -> None:
    """A button a layer, the one that hurts most first: leave it alone, and what that changes."""
    if len(names) < 2 or view.recipe == Recipe():
        return
    with st.container(horizontal=True, key="protect"):
        for name in names:
            if view.recipe.overrides.get(name) == Treatment():
                others = {n: t for n, t in view.recipe.overrides.items() if n != name}
                again = replace(view.recipe, overrides=others)
                st.button(
                    f"Compress {name} again", key=f"again-{name}", on_click=go_to, args=(again,)
                )
                continue
            st.button(
                f"Protect {name}{_difference(service, view, subject, found.one_out[name])}",
                key=f"protect-{name}",
                on_click=go_to,
                args=(found.one_out[name],),
                help="Leaves this layer as it is, and all others as the recipe has them.",
            )


def _difference(service: MeasuringService, view: View, subject: Subject, other: Recipe) -> str:
    """What another recipe changes, in points and bytes, where both are known."""
    now, then = (known_of(service, subject, recipe) for recipe in (view.recipe, other))
    if now is None or then is None:
        return ""
    told = [words.differing(then.quality.value - now.quality.value, now.quality.unit)]
    mine, its = shown_size(now, view.zipped), shown_size(then, view.zipped)
    if mine is not None and its is not None:
        sign = "+" if its >= mine else "\u2212"
        told.append(f"{sign}{words.size(abs(its - mine))}")
    return f" ({', '.join(told)})"
