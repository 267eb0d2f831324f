"""The controls of a recipe, made from the parameters that its families' members declare."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import Choice, parameters
from paretoscope.methods.activations import ACTIVATIONS, Int8Activations
from paretoscope.methods.kernels import KERNELS
from paretoscope.methods.pruning import CRITERIA, UNITS, Criterion, smallest_kept
from paretoscope.methods.quantization import QUANTIZERS, Quantizer
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import RECOVERIES
from paretoscope.methods.storage import STORAGES
from paretoscope.network.network import Network
from paretoscope.sweeps.sweep import CURVE_POINTS, at, stops
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.mutable_expander_container import ExpanderContainer

from ui.base import words
from ui.parts import kernel_choice
from ui.parts.frame import sync_widget, versioned_key
from ui.parts.layer_controls import layer_controls
from ui.parts.method_controls import (
    AXES,
    DEFAULT_SHARE,
    axis_of,
    choose_member,
    linked_value,
    own_parameters,
    parameter,
    place_label,
    pruner_of,
    put,
    with_linked,
)
from ui.state import server, view
from ui.state.session import session

_SCOPES = {"global": "Network", "layer": "Layer", "output": "Output"}


class Places(NamedTuple):
    """Where in the sidebar the controls of values stand that are moved most."""

    pruner: DeltaGenerator
    quantizer: DeltaGenerator


@server.one_page_at_a_time
def recipe_controls(network: Network, recipe: Recipe) -> Places:
    """The controls of a recipe, in the sidebar, but those of `value_controls`.

    What is moved changes the visitor's view.
    """
    with st.sidebar:
        st.subheader("Prune", divider="gray")
        criterion = pruner_of(recipe)
        choose_member("pruner", "Criterion", criterion, CRITERIA)
        _choose_axis(criterion)
        pruner_place = st.container()
        own_parameters("pruner", criterion, network, skip={*AXES, "scope"})
        choose_member("units", "Neurons and filters", recipe.units, UNITS)
        own_parameters("units", recipe.units, network)
        st.subheader("Quantize", divider="gray")
        choose_member("quantizer", "Quantizer", recipe.quantizer, QUANTIZERS)
        quantizer_place = st.container()
        choose_member("activations", "Activations", recipe.activations, ACTIVATIONS)
        own_parameters("activations", recipe.activations, network)
        parts = [
            (recipe.recovery, RECOVERIES[0]),
            (recipe.storage, STORAGES[0]),
            (recipe.kernel, KERNELS[0]),
        ]
        told = ", ".join(part.title for part, usual in parts if type(part) is not usual)
        with _fold("Recover and store", "fold-recover", told) as fold:
            if fold.open:
                _recovery_controls(network, recipe)
        if len(network.layers) > 1:
            told = ", ".join(map(view.plain, recipe.overrides))
            with _fold("Settings of one layer", "fold-layer", told) as fold:
                if fold.open:
                    rows = server.dataset(view.current().dataset).train
                    layer_controls(network, recipe, rows)
    return Places(pruner_place, quantizer_place)


def value_controls(network: Network, recipe: Recipe, places: Places) -> None:
    """Threshold or sparsity, and the quantizer's parameters."""
    with places.pruner:
        _choose_place(network, pruner_of(recipe))
    with places.quantizer:
        own_parameters("quantizer", recipe.quantizer, network)
        st.caption(_bits(network, recipe))


def _recovery_controls(network: Network, recipe: Recipe) -> None:
    choose_member("recovery", "Recovery", recipe.recovery, RECOVERIES)
    own_parameters("recovery", recipe.recovery, network)
    choose_member("storage", "Storage of codes", recipe.storage, STORAGES)
    if kernel_choice.may_differ(network):
        choose_member("kernel", "Run codes as", recipe.kernel, KERNELS)


def _fold(label: str, key: str, told: str) -> ExpanderContainer:
    """A group of controls that is drawn only while it is open: what few change costs every page.

    It starts open where something in it is set, which `told` says while it is closed.
    """
    if key not in st.session_state:
        st.session_state[key] = bool(told)
    fold = st.expander(label, key=key, on_change="rerun")
    if told and not fold.open:
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
    st.segmented_control(
        "Cut by",
        axes,
        default=sync_widget("axis", axis_of(criterion)),
        format_func=AXES.__getitem__,
        key="axis",
        required=True,
        help=" ".join(f"{AXES[axis]}: {described[axis].help}" for axis in axes),
        on_change=lambda: _switch(st.session_state.axis, criterion.scope),
    )
    if axis_of(criterion) == "pattern":
        return
    st.segmented_control(
        "Ranked within",
        list(_SCOPES),
        default=sync_widget("scope", criterion.scope),
        format_func=_SCOPES.__getitem__,
        key="scope",
        required=True,
        help=described["scope"].help,
        on_change=lambda: _switch(axis_of(criterion), st.session_state.scope),
    )


def _choose_place(network: Network, criterion: Criterion) -> None:
    axis = axis_of(criterion)
    described = parameters(type(criterion))[axis]
    if axis == "pattern":
        assert isinstance(described.range, Choice)
        parameter("pruner", criterion, "pattern", described, network)
        return
    values = place_stops(network, criterion, linked_value("pruner", criterion, axis))
    key = versioned_key("place")
    st.select_slider(
        described.label,
        values,
        value=sync_widget(key, getattr(criterion, axis)),
        format_func=place_label(criterion),
        key=key,
        help=described.help,
        disabled=len(values) < 2,
        on_change=lambda: _move_place(float(st.session_state[key])),
    )
    st.caption(_both_ways(network, criterion))


@lru_cache(maxsize=256)
def _both_ways(network: Network, criterion: Criterion) -> str:
    """What a threshold amounts to in sparsity, or the other way round."""
    if criterion.needs_rows:
        return "= by scores on training rows"
    scores = criterion.scores(network, None)
    cut = criterion.selection(scores)
    if criterion.threshold is not None:
        n_weights = sum(w.size for w in network.weights.values())
        return f"= {words.percent(cut.sparsity(network.weights))} of {n_weights:,} weights cut"
    limit = smallest_kept(scores, cut)
    if limit is None:
        return "= every weight cut"
    ranking = "" if criterion.scope == "global" else f"in the {criterion.scope} cut least, "
    what = "weights" if criterion.by_magnitude else "scores"
    return f"= {ranking}{what} below {limit:.3g} cut"


@lru_cache(maxsize=256)
def _bits_of_layers(network: Network, quantizer: Quantizer) -> list[int]:
    kept = np.ones(1, np.bool_)
    weights = network.weights.values()
    return [quantizer.grid(weight, kept).project(weight).bits for weight in weights]


def _bits(network: Network, recipe: Recipe) -> str:
    """What the codes take, for quantizers that tell without making the file."""
    quantizer = recipe.quantizer
    if isinstance(recipe.activations, Int8Activations):
        return "= codes of 8 bits, with 8-bit activations"
    if quantizer.float_bits is not None:
        return f"{quantizer.float_bits}-bit floats"
    try:
        bits = _bits_of_layers(network, quantizer)
    except ParetoscopeError as error:
        return view.plain(str(error))
    span = f"{min(bits)}" if min(bits) == max(bits) else f"{min(bits)} to {max(bits)}"
    codes = f"= codes of {span} bits"
    if quantizer.factor is not None:
        return f"{codes}, error at most {1 / (2 * quantizer.factor):.3g} a weight"
    return codes


# --- what moving a control does -----------------------------------------------------------------


def _move_place(value: float) -> None:
    criterion = pruner_of(session().view.recipe)
    put("pruner", at(criterion, axis_of(criterion), value))


def _switch(axis: str, scope: str) -> None:
    """Remember a change of axis or scope: finding the same place takes the network."""
    session().switch = (axis, scope)


def drop_unknown_layers(network: Network) -> None:
    """Take out of the recipe what it says of layers that this network does not have."""
    recipe: Recipe = session().view.recipe
    known = {name: t for name, t in recipe.overrides.items() if name in network.weights}
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
        scores = criterion.scores(network, None)
        share = criterion.selection(scores).sparsity(network.weights)
    rescoped = replace(at(criterion, axis, 0.0), scope=scope)
    scores = rescoped.scores(network, None)
    linked = linked_value("pruner", rescoped, axis)
    candidates = [at(rescoped, axis, value) for value in place_stops(network, rescoped, linked)]
    moved = min(
        candidates, key=lambda c: abs(c.selection(scores).sparsity(network.weights) - share)
    )
    put("pruner", moved)
