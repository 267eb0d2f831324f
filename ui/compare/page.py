"""Compare: which criterion, quantizer, recovery or model is best at the same size; and pins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import pandas as pd
import streamlit as st
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe
from paretoscope.problems.problems import spoken
from paretoscope.sweeps.lines import in_lines
from paretoscope.training.training import models
from streamlit.delta_generator import DeltaGenerator

from ui.base import plot, words
from ui.base.places import in_places
from ui.base.theme import Theme, camera, here
from ui.compare import side_by_side
from ui.compare.curves import Curve, curves_of, shared_words
from ui.compare.finding import AtSize, finding, standing
from ui.parts import charts, figures, frame, pins
from ui.parts.axes import axes
from ui.parts.chart_labels import BROAD
from ui.parts.grid import shown_size
from ui.parts.looks import MOST_LINES
from ui.parts.method_controls import offered
from ui.state import server
from ui.state.address import CURVES, QUANTIZERS, RECOVERIES_COMPARED, View
from ui.state.control import control
from ui.state.measuring import MeasuringRequest, MeasuringService
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import change, go_to

_POLL_S = 0.6
_AS_LARGE = 1.02  # times the size is as large: lines have their points where their steps fall


def choose(view: View) -> None:
    """Which lines are drawn."""
    _pills(
        "Criteria",
        "curves",
        offered(CURVES, view.curves),
        view.curves,
        lambda chosen: change(curves=chosen),
        "What weights are ranked by. Random is the control: a criterion that does not beat it "
        "tells nothing about the weights.",
    )
    _pills(
        "Quantizers",
        "quantizers",
        QUANTIZERS,
        [text for text in view.variants if text in QUANTIZERS],
        lambda chosen: _change_variants(QUANTIZERS, chosen),
        "Each criterion with each of them. None chosen: the recipe's own.",
    )
    _pills(
        "Recoveries",
        "recoveries",
        offered(RECOVERIES_COMPARED, view.variants),
        [text for text in view.variants if text in RECOVERIES_COMPARED],
        lambda chosen: _change_variants(RECOVERIES_COMPARED, chosen),
        "Each criterion with each of them. None chosen: the recipe's own.",
    )
    others = _others(view)
    if others:
        _pills(
            "Beside other models",
            "beside",
            others,
            [name for name in view.beside if name in others],
            lambda chosen: change(beside=chosen),
            "Models of the same dataset that were trained here, compressed the same way, each from "
            "its own uncompressed file on.",
        )


def _pills(
    label: str,
    key: str,
    ways: dict[str, str],
    chosen: Sequence[str],
    then: Callable[[tuple[str, ...]], None],
    help_text: str,
) -> None:
    shown = control(key, list(chosen))
    st.pills(
        label,
        list(ways),
        selection_mode="multi",
        wrap=True,
        default=list(chosen),
        format_func=ways.__getitem__,
        key=shown.key,
        on_change=shown.then(lambda ways: then(tuple(ways))),
        help=help_text,
    )


def _change_variants(kind: dict[str, str], chosen: tuple[str, ...]) -> None:
    rest = [text for text in session().view.variants if text not in kind]
    change(variants=(*rest, *chosen))


def _others(view: View) -> dict[str, str]:
    """Other models of the dataset that are trained, with their titles."""
    return {
        name: frame.model_title(name, view.dataset)
        for name in models(view.dataset)
        if name != view.model and server.network(view.dataset, name) is not None
    }


def show(view: View, subject: Subject, title: str, places: tuple[DeltaGenerator, ...]) -> None:
    """The finding, the map with the lines, and what comes below, each in its place; all fill in
    while the service computes."""
    beside = []
    others = _others(view)
    for name in view.beside:
        network = server.network(view.dataset, name) if name in others else None
        if network is not None:
            beside.append(
                (
                    others[name],
                    server.subject(view.dataset, name, network, view.score, view.decision),
                )
            )
    curves = curves_of(subject, view.recipe, view.curves, view.variants, beside)
    service = server.measuring()
    requests = _requests(view, subject, curves)
    polls = _ask(service, requests)
    every = _POLL_S if polls else None
    st.fragment(_show, run_every=every)(view, subject, title, requests, curves, places, polls=polls)
    axes(view, subject.score)


def _requests(
    view: View, subject: Subject, curves: Sequence[Curve]
) -> tuple[MeasuringRequest, ...]:
    """What is to be computed of each network."""
    found = []
    for one in dict.fromkeys([subject, *(curve.subject for curve in curves)]):
        recipes = [curve.recipes for curve in curves if curve.subject is one]
        quick = [Recipe()]
        if one is subject:
            quick += [r for r in (view.recipe, *view.pins) if not r.trains]
        walked = [[r for r in line if in_lines([r])[0]] for line in recipes]
        rest = [r for line in recipes for r in line if not in_lines([r])[0]]
        found.append(
            MeasuringRequest(
                one,
                list(dict.fromkeys(quick)),
                context=rest,
                lines=[line for line in walked if line],
                zipped=view.zipped,
            )
        )
    return tuple(found)


def _ask(service: MeasuringService, requests: Sequence[MeasuringRequest]) -> bool:
    """Say what is to be computed of each network; whether more will come."""
    waiting = False
    for number, request in enumerate(requests):
        who = server.visitor() if number == 0 else f"{server.visitor()} {request.subject.model}"
        service.ask(who, request)
        waiting |= not service.finished(who)
    return waiting


@in_places
def _show(
    view: View,
    subject: Subject,
    title: str,
    requests: Sequence[MeasuringRequest],
    curves: Sequence[Curve],
    places: tuple[DeltaGenerator, ...],
    *,
    polls: bool,
) -> None:
    service, (place, below) = server.measuring(), places
    waiting = _ask(service, requests)
    if session().view != view or (polls and not waiting):  # a timer ends with a run of the page
        st.rerun()
    lines = [(curve, curve.known(service, zipped=view.zipped)) for curve in curves]
    size = _size(service, subject, view)
    reached = _at_size(lines, size, view)
    n_left = _n_left(service, curves, lines) if waiting else 0
    if len(curves) < 2:
        told = "Choose a second line to compare with"
    elif size is None:
        told = "The size of your recipe is not known yet"
    else:
        in_words = words.sized(size, zipped=view.zipped)
        told = finding(reached, in_words, waiting=n_left > 0)
    shared = shared_words(view.recipe, view.variants)
    frame.say(place, told, f"{title} \u00b7 {shared} \u00b7 at the size of your recipe")
    baseline = service.before(subject)
    if baseline is None:
        st.skeleton(height=int(BROAD.height))
        st.caption("Measuring the uncompressed model")
        below.empty()
        return
    version = tuple(service.version(request.subject) for request in requests)
    plot.chart(
        _drawn(view, subject, title, tuple(curves), version, here()),
        key="chart-size",
        config=camera(f"paretoscope-{view.file_name}-compare"),
        on_pick=go_to,
    )
    _foot(service, curves, lines, n_left)
    with below:
        if n_left == 0:
            _table(reached)
        side_by_side.show(view, subject)


def _n_left(
    service: MeasuringService,
    curves: Sequence[Curve],
    lines: Sequence[tuple[Curve, list[Measurement]]],
) -> int:
    """How many points of the lines are neither known nor known to fail."""
    total = sum(len(curve.recipes) for curve in curves)
    return total - sum(len(known) for _, known in lines) - _n_failed(service, curves)


def _n_failed(service: MeasuringService, curves: Sequence[Curve]) -> int:
    return sum(
        service.failure(curve.subject, recipe) is not None
        for curve in curves
        for recipe in curve.recipes
    )


def _size(service: MeasuringService, subject: Subject, view: View) -> int | None:
    """The size at which lines are compared: that of the recipe."""
    known = service.known(subject, view.recipe)
    return None if known is None else shown_size(known, view.zipped)


def _at_size(
    lines: Sequence[tuple[Curve, list[Measurement]]], size: int | None, view: View
) -> list[AtSize]:
    found = []
    for curve, known in lines:
        mine = None if curve.own is None else server.measuring().known(curve.subject, curve.own)
        within = [
            m
            for m in (*known, *([] if mine is None else [mine]))
            if size is not None and (shown_size(m, view.zipped) or 0) <= _AS_LARGE * size
        ]
        if within:
            best = max(within, key=lambda m: m.merit)
            found.append(AtSize(curve.name, curve.subject.network.sha256, best))
    return found


@lru_cache(maxsize=64)
def _drawn(
    view: View,
    subject: Subject,
    title: str,
    curves: tuple[Curve, ...],
    version: tuple[int, ...],
    theme: Theme,
) -> plot.Drawn:
    """The map with the lines, at a version of what the service knows."""
    service = server.measuring()
    baseline = service.before(subject)
    assert baseline is not None
    record = charts.trade_off(
        charts.size_asked(view, subject),
        title,
        view.recipe,
        [],
        baseline,
        pins=pins.known(service, subject, view.pins),
        others=service.everything(subject),
        lines=[(curve.name, curve.known(service, zipped=view.zipped)) for curve in curves],
    )
    return plot.drawn(figures.trade_off_figure(record, theme, BROAD), record.alt)


def _foot(
    service: MeasuringService,
    curves: Sequence[Curve],
    lines: Sequence[tuple[Curve, list[Measurement]]],
    n_left: int,
) -> None:
    """How far it is; then how many points there are."""
    total = sum(len(curve.recipes) for curve in curves)
    n_known = sum(len(known) for _, known in lines)
    n_failed = _n_failed(service, curves)
    if n_left > 0:
        st.progress(n_known / total, text=f"{n_known} of {total} points computed")
        return
    told = f"All {n_known} points computed in float arithmetic"
    if n_failed:
        told += f", {n_failed} could not be"
    if len(curves) == MOST_LINES:
        told += f"; {MOST_LINES} lines at most"
    st.caption(f"{told}. Filled: run on a file. Click a point to take it as your recipe.")


def _table(reached: Sequence[AtSize]) -> None:
    """Each line at the size of the recipe, the best first."""
    if len(reached) < 2:
        return
    leading, behind = standing(reached)
    st.subheader("At the size of your recipe", anchor="at-this-size")
    st.caption("The best file of each line that is no more than 2 % larger.")
    st.dataframe(
        pd.DataFrame(
            {
                "line": one.name,
                spoken(one.best.score): words.quality(one.best.quality),
                "95 % interval": words.interval(one.best.quality),
                "than the best": "the best"
                if one is leading[0]
                else "worse"
                if one in behind
                else "cannot tell",
                "its recipe": str(one.best.recipe),
            }
            for one in (*leading, *behind)
        ),
        hide_index=True,
        height="content",
    )
