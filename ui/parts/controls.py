"""The controls of a recipe, made from the parameters that its families' members declare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import Choice, parameters
from paretoscope.methods.activations import ACTIVATIONS
from paretoscope.methods.fitting import is_chain
from paretoscope.methods.kernels import KERNELS
from paretoscope.methods.pruning import CRITERIA, UNITS, Criterion, KeepUnits
from paretoscope.methods.quantization import QUANTIZERS
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import RECOVERIES
from paretoscope.methods.storage import STORAGES
from paretoscope.network.network import Network
from paretoscope.network.sketch import sketch_of
from paretoscope.sweeps.sweep import CURVE_POINTS, at, stops
from streamlit.elements.lib.mutable_expander_container import ExpanderContainer

from ui.base import words
from ui.parts import kernel_choice
from ui.parts.budget_fields import budget_fields, budget_words
from ui.parts.decision_controls import decision_controls
from ui.parts.layer_controls import layer_controls
from ui.parts.method_controls import (
    AXES,
    DEFAULT_SHARE,
    axis_of,
    choose_member,
    first_parameter,
    linked_value,
    own_parameters,
    parameter,
    place_label,
    pruner_of,
    put,
    with_linked,
)
from ui.state import server, view
from ui.state.address import LOSSES, MARGINS, USUAL, View
from ui.state.control import control
from ui.state.session import session
from ui.state.subject import Subject

_SCOPES = {"global": "Network", "layer": "Layer", "output": "Output"}


@server.one_page_at_a_time
def recipe_controls(network: Network, recipe: Recipe) -> None:
    """What of a recipe is set once, in the sidebar: groups that say what is chosen in them.

    What is moved changes the visitor's view.
    """
    with st.sidebar:
        now = view.current()
        subject = server.subject(now.dataset, now.model, network, now.score, now.decision)
        told = budget_words(now, subject)
        if subject.score.name != subject.dataset.problem.scores[0].name:
            told = f"{subject.score.spoken}, {told}"
        with _fold("Goal", "fold-budget", told) as fold:
            if fold.open:
                _score(subject)
                budget_fields(now, subject)
                _margin(now, subject)
        criterion = pruner_of(recipe)
        ranked = "" if axis_of(criterion) == "pattern" else f", {_SCOPES[criterion.scope].lower()}"
        with _fold("Method", "fold-method", f"{criterion.title.lower()}{ranked}") as fold:
            if fold.open:
                choose_member("pruner", "Criterion", criterion, CRITERIA)
                _choose_axis(criterion)
                own_parameters("pruner", criterion, network, skip={*AXES, "scope"})
        told = recipe.units.title.lower()
        if is_chain(network) or not isinstance(recipe.units, KeepUnits):
            with _fold("Neurons and filters", "fold-units", told) as fold:
                if fold.open:
                    choose_member("units", "Which go", recipe.units, UNITS)
                    own_parameters("units", recipe.units, network)
        with _fold("Quantizer", "fold-quantizer", recipe.quantizer.title.lower()) as fold:
            if fold.open:
                quantizer = recipe.quantizer
                choose_member("quantizer", "Quantizer", quantizer, QUANTIZERS)
                first = first_parameter(quantizer)
                skip = set() if first is None else {first}
                own_parameters("quantizer", quantizer, network, skip=skip)
                choose_member("activations", "Activations", recipe.activations, ACTIVATIONS)
                own_parameters("activations", recipe.activations, network)
        told = ", ".join(_beside(recipe)) or "as usual"
        with _fold("Recover and store", "fold-recover", told) as fold:
            if fold.open:
                _recovery_controls(network, recipe)
        if len(network.layers) > 1:
            told = ", ".join(map(view.plain, recipe.overrides)) or "none"
            with _fold("One layer by itself", "fold-layer", told) as fold:
                if fold.open:
                    rows = server.dataset(view.current().dataset).train
                    layer_controls(network, recipe, rows)


def _score(subject: Subject) -> None:
    """What quality is judged by: all figures, charts, budgets and searches go by it."""
    offered = {score.name: score.title for score in subject.problem.scores}
    shown = control("score", subject.score.name)
    st.selectbox(
        "Judged by",
        list(offered),
        index=list(offered).index(subject.score.name),
        format_func=offered.__getitem__,
        key=shown.key,
        on_change=shown.then(_judge_by),
        help="What all figures, charts, budgets and searches go by.",
    )
    if subject.has_classes:
        decision_controls(subject)


def _judge_by(name: str) -> None:
    """Another score; losses of another unit would mean something else."""
    view.change(score=name, margin=USUAL, drop=USUAL)


def _margin(now: View, subject: Subject) -> None:
    score, scale = subject.score, words.scale(subject.score.unit)
    margin = float(f"{scale * now.margin_of(subject):.6g}")
    allowed = MARGINS if score.unit == "%" else LOSSES
    shown = control("margin", margin)
    st.number_input(
        "Margin, points" if score.unit == "%" else f"Margin of {score.spoken}",
        allowed.low,
        allowed.high,
        min(max(margin, allowed.low), allowed.high),
        step=0.1 if score.unit == "%" else margin / 5,
        format="%.3g",
        key=shown.key,
        on_change=shown.then(lambda points: view.change(margin=float(points))),
        help=f"The figures say whether less {score.spoken} than this was lost, or how many rows it "
        "would take to tell."
        if score.higher_is_better
        else f"The figures say whether {score.spoken} rose by less than this, or how many rows it "
        "would take to tell.",
    )


def _beside(recipe: Recipe) -> list[str]:
    """What of recovery, storage and kernel is not as usual."""
    parts = [
        (recipe.recovery, RECOVERIES[0]),
        (recipe.storage, STORAGES[0]),
        (recipe.kernel, KERNELS[0]),
    ]
    return [part.title for part, usual in parts if type(part) is not usual]


def first_of_quantizer(network: Network, recipe: Recipe) -> None:
    """The slider of the quantizer's first parameter; its label stands beside it."""
    quantizer = recipe.quantizer
    name = first_parameter(quantizer)
    assert name is not None
    described = parameters(type(quantizer))[name]
    parameter("quantizer", quantizer, name, described, network, bare=True)


def _recovery_controls(network: Network, recipe: Recipe) -> None:
    st.caption(f"Recovery: {recipe.recovery.title}")
    own_parameters("recovery", recipe.recovery, network)
    choose_member("storage", "Storage of codes", recipe.storage, STORAGES)
    if kernel_choice.may_differ(network):
        choose_member("kernel", "Run codes as", recipe.kernel, KERNELS)


def _fold(label: str, key: str, told: str) -> ExpanderContainer:
    """A group of controls that is drawn only while it is open: what few change costs every page.

    What is chosen in it is `told` on it; not in its label, for one with another label is another
    one, and closes.
    """
    with st.container(key=f"group-{key}"):
        fold = st.expander(label, key=key, on_change="rerun")
        st.caption(told)
    return fold


def place_stops(network: Network, criterion: Criterion, linked: float | None) -> list[float]:
    """Where the slider stops: those of the network, and the value that a link asked for."""
    axis = axis_of(criterion)
    if axis == "threshold" and criterion.needs_rows:
        found = []  # its scores are not known here, only the value itself
    else:
        found = stops(network, type(criterion), axis, CURVE_POINTS, scope=criterion.scope)
    return with_linked(found, getattr(criterion, axis), linked)


def linked_place(recipe: Recipe) -> float | None:
    """The place on the slider at hand that a link asked for."""
    criterion = pruner_of(recipe)
    return linked_value("pruner", criterion, axis_of(criterion))


def curve_of(network: Network, recipe: Recipe, linked: float | None) -> list[Recipe]:
    """The recipes along the slider at hand, the rest of the recipe as it is."""
    criterion = pruner_of(recipe)
    axis = axis_of(criterion)
    if axis == "pattern":
        return [recipe]
    values = place_stops(network, criterion, linked)
    return [replace(recipe, pruner=at(criterion, axis, value)) for value in values]


# --- the criterion's place ----------------------------------------------------------------------


def _choose_axis(criterion: Criterion) -> None:
    described = parameters(type(criterion))
    axes = [axis for axis in AXES if axis != "threshold" or not criterion.needs_rows]
    if axis_of(criterion) not in axes:
        axes.insert(0, axis_of(criterion))
    axis = control("axis", axis_of(criterion))
    st.segmented_control(
        "Cut by",
        axes,
        default=axis_of(criterion),
        format_func=AXES.__getitem__,
        key=axis.key,
        required=True,
        help=" ".join(f"{AXES[axis]}: {described[axis].help}" for axis in axes),
        on_change=axis.then(lambda chosen: _switch(chosen, criterion.scope)),
    )
    if axis_of(criterion) == "pattern":
        return
    scope = control("scope", criterion.scope)
    st.segmented_control(
        "Ranked within",
        list(_SCOPES),
        default=criterion.scope,
        format_func=_SCOPES.__getitem__,
        key=scope.key,
        required=True,
        help=described["scope"].help,
        on_change=scope.then(lambda chosen: _switch(axis_of(criterion), chosen)),
    )


def choose_place(network: Network, criterion: Criterion) -> None:
    """The slider of threshold or sparsity; its label stands beside it."""
    axis = axis_of(criterion)
    described = parameters(type(criterion))[axis]
    if axis == "pattern":
        assert isinstance(described.range, Choice)
        parameter("pruner", criterion, "pattern", described, network, bare=True)
        return
    values = place_stops(network, criterion, linked_value("pruner", criterion, axis))
    value = getattr(criterion, axis)
    place = control("place", value, values)
    st.select_slider(
        described.label,
        values,
        value=value,
        format_func=place_label(criterion),
        key=place.key,
        help=described.help,
        disabled=len(values) < 2,
        label_visibility="collapsed",
        on_change=place.then(_move_place),
    )


# --- what moving a control does -----------------------------------------------------------------


def _move_place(value: float) -> None:
    criterion = pruner_of(session().view.recipe)
    put("pruner", at(criterion, axis_of(criterion), float(value)))


def _switch(axis: str, scope: str) -> None:
    """Remember a change of axis or scope: finding the same place takes the network."""
    session().switch = (axis, scope)


def drop_unknown_layers(network: Network) -> None:
    """Take out of the recipe what it says of layers that this network does not have."""
    recipe: Recipe = session().view.recipe
    known = {name: t for name, t in recipe.overrides.items() if name in network.shapes}
    if len(known) < len(recipe.overrides):
        try:
            recipe.treatments(network)
        except ParetoscopeError as error:
            text = f"{error}. What it says of other layers was left out."
            view.mend(replace(recipe, overrides=known), text)


def apply_switch(network: Network) -> None:
    """Carry out a change of axis or scope: about the same share of weights, cut the other way."""
    session().network = network
    switch = session().take("switch")
    if switch is None:
        return
    axis, scope = switch
    criterion = pruner_of(session().view.recipe)
    if axis == "pattern":
        place: dict[str, Any] = {"threshold": None, "sparsity": None, "pattern": "2:4"}
        put("pruner", replace(criterion, **place, scope="global"))
        return
    if criterion.needs_rows or criterion.pattern is not None:
        share = criterion.sparsity if criterion.sparsity is not None else DEFAULT_SHARE
        if axis == "sparsity":
            put("pruner", replace(at(criterion, "sparsity", share), scope=scope))
            return
        if criterion.threshold is not None:  # of scores that are not known here
            put("pruner", replace(criterion, scope=scope))
            return
    else:
        scores = criterion.scores(sketch_of(network), None)
        share = criterion.selection(scores).sparsity(sketch_of(network).weights)
    rescoped = replace(at(criterion, axis, 0.0), scope=scope)
    scores = rescoped.scores(sketch_of(network), None)
    linked = linked_value("pruner", rescoped, axis)
    candidates = [at(rescoped, axis, value) for value in place_stops(network, rescoped, linked)]
    weights = sketch_of(network).weights
    moved = min(candidates, key=lambda c: abs(c.selection(scores).sparsity(weights) - share))
    put("pruner", moved)
