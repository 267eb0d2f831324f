"""The controls of a recipe, made from the parameters that criteria and quantizers declare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st
from paretoscope.network import Network
from paretoscope.parameters import parameters
from paretoscope.pruning import Criterion, Magnitude
from paretoscope.quantization import FixedPoint, Float32, code_bits
from paretoscope.recipe import Recipe
from paretoscope.sweeps import CURVE_POINTS, at, stops

from ui import view, words
from ui.frame import hold

_Q_STOPS = 40
_FLOAT = "off"


def recipe_controls(network: Network, recipe: Recipe) -> None:
    """Pruning and quantization, in the sidebar. What is moved changes the visitor's view."""
    st.sidebar.subheader("Prune", divider="gray")
    criterion = pruner_of(recipe)
    _choose_axis(criterion)
    _choose_place(network, criterion)
    st.sidebar.subheader("Quantize", divider="gray")
    _choose_q(network, recipe)


def pruner_of(recipe: Recipe) -> Criterion:
    """The recipe's criterion; no pruning is shown as a threshold of zero."""
    return recipe.pruner if isinstance(recipe.pruner, Criterion) else Magnitude(threshold=0.0)


def axis_of(criterion: Criterion) -> str:
    return "threshold" if criterion.threshold is not None else "sparsity"


def place_stops(network: Network, criterion: Criterion) -> list[float]:
    """Where the slider stops: those of the network, and the value that a link asked for."""
    axis = axis_of(criterion)
    found = stops(network, type(criterion), axis, CURVE_POINTS, scope=criterion.scope)
    return _with_linked(found, getattr(criterion, axis), _linked_place(criterion))


def q_stops(network: Network, recipe: Recipe) -> list[float]:
    now = recipe.quantizer.q if isinstance(recipe.quantizer, FixedPoint) else None
    linked = getattr(_linked(), "quantizer", None)
    asked = linked.q if isinstance(linked, FixedPoint) else None
    return _with_linked(stops(network, FixedPoint, "q", _Q_STOPS), now, asked)


def _choose_axis(criterion: Criterion) -> None:
    described = parameters(type(criterion))
    hold("scope", criterion.scope)
    hold("axis", axis_of(criterion))
    st.sidebar.segmented_control(
        "Cut by",
        ["threshold", "sparsity"],
        format_func={"threshold": "Threshold", "sparsity": "Sparsity"}.__getitem__,
        key="axis",
        required=True,
        help=f"Threshold: {described['threshold'].help} Sparsity: {described['sparsity'].help}",
        on_change=_switch_axis,
    )
    st.sidebar.segmented_control(
        "Ranked",
        ["global", "layer"],
        format_func={"global": "Whole network", "layer": "Each layer"}.__getitem__,
        key="scope",
        required=True,
        help=described["scope"].help,
        on_change=_switch_scope,
    )


def _choose_place(network: Network, criterion: Criterion) -> None:
    axis = axis_of(criterion)
    values = place_stops(network, criterion)
    hold("place", getattr(criterion, axis))
    unit = " × rms of the layer" if criterion.scope == "layer" else ""
    labels = {
        "threshold": lambda v: f"|w| < {v:.3g}{unit}",
        "sparsity": lambda v: f"{words.percent(v, 0)} zeros",
    }
    st.sidebar.select_slider(
        parameters(type(criterion))[axis].label,
        values,
        format_func=labels[axis],
        key="place",
        help=parameters(type(criterion))[axis].help,
        on_change=_move_place,
    )
    scores = criterion.scores(network, None)
    cut = criterion.selection(scores)
    st.sidebar.caption(_both_ways(network, criterion, cut.sparsity(network.weights)))


def _both_ways(network: Network, criterion: Criterion, sparsity: float) -> str:
    """What a threshold amounts to in sparsity, or the other way round."""
    if criterion.threshold is not None:
        return f"= {words.percent(sparsity)} of {_n_weights(network):,} weights cut"
    from paretoscope.pruning import smallest_kept

    scores = criterion.scores(network, None)
    limit = smallest_kept(scores, criterion.selection(scores))
    if limit is None:
        return "= every weight cut"
    ranking = "in the layer cut least, " if criterion.scope == "layer" else ""
    return f"= {ranking}weights below {limit:.3g} cut"


def _choose_q(network: Network, recipe: Recipe) -> None:
    values: list[Any] = [*q_stops(network, recipe), _FLOAT]
    quantizer = recipe.quantizer
    hold("q", quantizer.q if isinstance(quantizer, FixedPoint) else _FLOAT)
    st.sidebar.select_slider(
        "Q",
        values,
        format_func=lambda q: "off (float32)" if q == _FLOAT else f"{q:g}",
        key="q",
        help=parameters(FixedPoint)["q"].help,
        on_change=_move_q,
    )
    st.sidebar.caption(_bits(network, recipe))


def _bits(network: Network, recipe: Recipe) -> str:
    if not isinstance(recipe.quantizer, FixedPoint):
        return "32-bit floats"
    q = recipe.quantizer.q
    bits = [code_bits(round(float(abs(w).max()) * q)) for w in network.weights.values()]
    span = f"{min(bits)}" if min(bits) == max(bits) else f"{min(bits)} to {max(bits)}"
    error = f"error at most {1 / (2 * q):.3g}"
    return f"= codes of {span} bits, {error} a weight"


# --- what moving a control does ---------------------------------------------------------------


def _move_place() -> None:
    recipe: Recipe = st.session_state.view.recipe
    criterion = pruner_of(recipe)
    moved = at(criterion, axis_of(criterion), float(st.session_state.place))
    view.change(recipe=replace(recipe, pruner=moved))


def _move_q() -> None:
    q = st.session_state.q
    quantizer = Float32() if q == _FLOAT else FixedPoint(float(q))
    view.change(recipe=replace(st.session_state.view.recipe, quantizer=quantizer))


def _switch_axis() -> None:
    """Same place on the other scale: the stops of both stand at the same shares of weights."""
    _switch(st.session_state.axis, pruner_of(st.session_state.view.recipe).scope)


def _switch_scope() -> None:
    _switch(axis_of(pruner_of(st.session_state.view.recipe)), st.session_state.scope)


def _switch(axis: str, scope: str) -> None:
    st.session_state.switch = (axis, scope)


def apply_switch(network: Network) -> None:
    """Carry out a change of axis or scope, which needs the network to find the same place."""
    switch = st.session_state.pop("switch", None)
    if switch is None:
        return
    axis, scope = switch
    recipe: Recipe = st.session_state.view.recipe
    criterion = pruner_of(recipe)
    scores = criterion.scores(network, None)
    share = criterion.selection(scores).sparsity(network.weights)
    rescoped = replace(at(criterion, axis, 0.0), scope=scope)
    candidates = [at(rescoped, axis, value) for value in place_stops(network, rescoped)]
    moved = min(
        candidates, key=lambda c: abs(c.selection(scores).sparsity(network.weights) - share)
    )
    view.change(recipe=replace(recipe, pruner=moved))


# --- small things -----------------------------------------------------------------------------


def _with_linked(values: list[float], *others: float | None) -> list[float]:
    return sorted({*values, *(other for other in others if other is not None)})


def _linked() -> Recipe | None:
    linked: Recipe | None = st.session_state.get("linked")
    return linked


def _linked_place(criterion: Criterion) -> float | None:
    linked = _linked()
    if linked is None or not isinstance(linked.pruner, Criterion):
        return None
    if linked.pruner.scope != criterion.scope:
        return None
    value: float | None = getattr(linked.pruner, axis_of(criterion))
    return value


def _n_weights(network: Network) -> int:
    return sum(w.size for w in network.weights.values())
