"""The controls of a recipe, made from the parameters that its families' members declare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, replace
from math import floor, log10
from typing import Any

import numpy as np
import streamlit as st
from paretoscope.activations import ACTIVATIONS, FloatActivations, Int8Activations
from paretoscope.errors import ParetoscopeError
from paretoscope.network import Network
from paretoscope.parameters import Choice, Member, Parameter, format_value, parameters
from paretoscope.pruning import (
    CRITERIA,
    PRUNERS,
    UNITS,
    Criterion,
    KeepAll,
    Magnitude,
    smallest_kept,
)
from paretoscope.quantization import QUANTIZERS, FixedPoint, Float32, Quantizer, Shift
from paretoscope.recipe import Recipe, Treatment
from paretoscope.recovery import RECOVERIES
from paretoscope.storage import STORAGES
from paretoscope.sweeps import CURVE_POINTS, at, stops

from ui import view, words
from ui.frame import hold, keyed

_AXES = {"threshold": "Threshold", "sparsity": "Sparsity", "pattern": "N:M"}
_SCOPES = {"global": "Network", "layer": "Layer", "output": "Output"}
_STOPS = 40
_DEFAULT_SHARE = 0.5
# What a member is made with when it is chosen; the rest are its own defaults.
_FIRST_VALUES: dict[str, float] = {"q": 8.0, "shift": 3.0, "symmetric": 4.0, "kmeans": 8.0}
_FIRST_SHARE = 0.3


def recipe_controls(network: Network, recipe: Recipe) -> None:
    """All controls of a recipe, in the sidebar. What is moved changes the visitor's view."""
    with st.sidebar:
        st.subheader("Prune", divider="gray")
        criterion = pruner_of(recipe)
        _choose_member("pruner", "Criterion", criterion, CRITERIA)
        _choose_axis(criterion)
        _choose_place(network, criterion)
        _own_parameters("pruner", criterion, network, skip={*_AXES, "scope"})
        _choose_member("units", "Neurons and filters", recipe.units, UNITS)
        _own_parameters("units", recipe.units, network)
        st.subheader("Quantize", divider="gray")
        _choose_member("quantizer", "Quantizer", recipe.quantizer, QUANTIZERS)
        _own_parameters("quantizer", recipe.quantizer, network)
        st.caption(_bits(network, recipe))
        _choose_member("activations", "Activations", recipe.activations, ACTIVATIONS)
        _own_parameters("activations", recipe.activations, network)
        st.subheader("Recover", divider="gray")
        _choose_member("recovery", "Recovery", recipe.recovery, RECOVERIES)
        _own_parameters("recovery", recipe.recovery, network)
        _choose_member("storage", "Storage of codes", recipe.storage, STORAGES)
        if len(network.layers) > 1:
            st.subheader("One layer by itself", divider="gray")
            _one_layer(network, recipe)


def pruner_of(recipe: Recipe) -> Criterion:
    """The recipe's criterion; no pruning is shown as a threshold of zero."""
    return recipe.pruner if isinstance(recipe.pruner, Criterion) else Magnitude(threshold=0.0)


def axis_of(criterion: Criterion) -> str:
    return next(axis for axis in _AXES if getattr(criterion, axis) is not None)


def place_stops(network: Network, criterion: Criterion) -> list[float]:
    """Where the slider stops: those of the network, and the value that a link asked for."""
    axis = axis_of(criterion)
    if axis == "threshold" and criterion.needs_rows:
        found = []  # its scores are not known here, only the value itself
    else:
        found = stops(network, type(criterion), axis, CURVE_POINTS, scope=criterion.scope)
    return _with_linked(found, getattr(criterion, axis), _linked_value("pruner", criterion, axis))


def curve_of(network: Network, recipe: Recipe) -> list[Recipe]:
    """The recipes along the slider at hand, the rest of the recipe as it is."""
    criterion = pruner_of(recipe)
    axis = axis_of(criterion)
    if axis == "pattern":
        return [recipe]
    values = place_stops(network, criterion)
    return [replace(recipe, pruner=at(criterion, axis, value)) for value in values]


# --- one layer by itself ------------------------------------------------------------------------


def _one_layer(network: Network, recipe: Recipe) -> None:
    """What is done to one layer in place of what is done to all; the last tolerates least."""
    names = list(network.weights)
    hold("layer", st.session_state.get("layer", names[-1]))
    if st.session_state.layer not in names:
        st.session_state.layer = names[-1]
    layer = st.selectbox(
        "Layer",
        names,
        format_func=lambda name: f"{name}, by itself" if name in recipe.overrides else name,
        key="layer",
    )
    if layer not in recipe.overrides:
        st.button(
            "Set this layer by itself",
            on_click=_put,
            args=(f"quantizer@{layer}", recipe.quantizer),
            help="The layer starts with what is done to all, and can then be set otherwise.",
        )
        return
    treatment = recipe.overrides[layer]
    kind = f"pruner@{layer}"
    _choose_member(kind, "Criterion here", treatment.pruner, PRUNERS)
    if isinstance(treatment.pruner, Criterion):
        _layer_sparsity(network, layer, treatment.pruner)
    if layer != names[-1]:
        _choose_member(f"units@{layer}", "Units here", treatment.units, UNITS)
        _own_parameters(f"units@{layer}", treatment.units, network)
    _choose_member(f"quantizer@{layer}", "Quantizer here", treatment.quantizer, QUANTIZERS)
    _own_parameters(f"quantizer@{layer}", treatment.quantizer, network)
    st.button("Treat it like the others", on_click=_forget, args=(layer,))


def _layer_sparsity(network: Network, layer: str, criterion: Criterion) -> None:
    if criterion.sparsity is None:
        st.caption(view.plain(f"as the link says: {criterion}"))
        return
    key = f"sparsity@{layer}"
    described = parameters(type(criterion))["sparsity"]
    found = stops(network, type(criterion), "sparsity", CURVE_POINTS, scope=criterion.scope)
    hold(key, criterion.sparsity)
    st.select_slider(
        "Sparsity here",
        _with_linked(found, criterion.sparsity),
        format_func=_place_label(criterion),
        key=key,
        help=described.help,
        on_change=lambda: _put(
            f"pruner@{layer}", at(criterion, "sparsity", float(st.session_state[key]))
        ),
    )


def _forget(layer: str) -> None:
    recipe: Recipe = st.session_state.view.recipe
    others = {name: t for name, t in recipe.overrides.items() if name != layer}
    view.change(recipe=replace(recipe, overrides=others))


# --- a member and its parameters ----------------------------------------------------------------


def _choose_member(kind: str, label: str, member: Member, family: Sequence[type[Member]]) -> None:
    """Which member of a family; its first sentence is the help."""
    key = f"{kind}-member"
    by_name = {m.text_name: m for m in family}
    hold(key, member.text_name)
    st.selectbox(
        label,
        list(by_name),
        format_func=lambda name: by_name[name].title,
        key=key,
        help=_first_sentence(type(member)),
        on_change=lambda: _change_member(kind, by_name[st.session_state[key]]),
    )


def _change_member(kind: str, chosen: type[Member]) -> None:
    if kind.startswith("pruner@"):
        share = getattr(_part(st.session_state.view.recipe, kind), "sparsity", None)
        place = {"sparsity": _DEFAULT_SHARE if share is None else share, "scope": "layer"}
        _put(kind, chosen() if chosen is KeepAll else chosen(**place))
        return
    if kind == "pruner":
        now = pruner_of(st.session_state.view.recipe)
        kept = {name: getattr(now, name) for name in (*_AXES, "scope")}
        if chosen.needs_rows and kept["threshold"] is not None:  # type: ignore[attr-defined]
            kept |= {"threshold": None, "sparsity": _share(now)}
        _put(kind, chosen(**kept))
        return
    first = _FIRST_VALUES.get(chosen.text_name, _FIRST_SHARE)
    _put(kind, chosen(*[first for _ in _required(chosen)]))


def _share(criterion: Criterion) -> float:
    """About the share of weights that a threshold cuts here, for criteria whose scores differ."""
    network = st.session_state.get("network")
    if network is None or criterion.needs_rows:
        return _DEFAULT_SHARE
    cut = criterion.selection(criterion.scores(network, None))
    return round(20 * cut.sparsity(network.weights)) / 20


def _required(member: type[Member]) -> list[str]:
    return [f.name for f in fields(member) if f.default is MISSING]


def _own_parameters(
    kind: str, member: Member, network: Network, skip: set[str] | frozenset[str] = frozenset()
) -> None:
    """A control for each parameter of a member."""
    for name, described in parameters(type(member)).items():
        if name not in skip:
            _parameter(kind, member, name, described, network)


def _parameter(
    kind: str, member: Member, name: str, described: Parameter, network: Network
) -> None:
    key = f"{kind}-{member.text_name}-{name}"
    key = key if described.stops is None else keyed(key)
    value = getattr(member, name)
    common: dict[str, Any] = {
        "key": key,
        "help": described.help,
        "on_change": lambda: _put(kind, replace(member, **{name: st.session_state[key]})),
    }
    if isinstance(described.range, Choice):
        hold(key, value)
        st.segmented_control(described.label, described.range.options, required=True, **common)
    elif described.stops is not None:
        found = list(described.stops(network.weights, _STOPS))
        values = _with_linked(found, value, _linked_value(kind, member, name))
        hold(key, float(value))
        st.select_slider(described.label, values, format_func=format_value, **common)
    elif described.range.whole:
        hold(key, int(value))
        ends = int(described.range.low), int(min(described.range.high, 2**31))
        st.number_input(described.label, *ends, step=1, **common)
    else:
        low, high = float(described.range.low), float(min(described.range.high, 1e6))
        hold(key, float(value))
        step = 10.0 ** floor(log10(value or 1))
        st.number_input(described.label, low, high, step=step, format="%.4g", **common)


def _part(recipe: Recipe, kind: str) -> Member | None:
    """The recipe's part of a kind: "quantizer", or "quantizer@dense3" for one layer."""
    part, _, layer = kind.partition("@")
    found: Member | None = getattr(recipe.overrides.get(layer) if layer else recipe, part, None)
    return found


def _put(kind: str, member: Member) -> None:
    """Change the recipe's part of a kind. 8-bit activations and a quantizer exclude each other."""
    recipe: Recipe = st.session_state.view.recipe
    part, _, layer = kind.partition("@")
    changed: dict[str, Any] = {part: member}
    if isinstance(member, Int8Activations):
        recipe = _without_quantizers(recipe)
    elif isinstance(member, Quantizer) and not isinstance(member, Float32):
        recipe = replace(recipe, activations=FloatActivations())
    if layer:
        own = recipe.overrides.get(layer)
        own = own or Treatment(recipe.pruner, recipe.quantizer, recipe.units)
        overrides = {**recipe.overrides, layer: replace(own, **changed)}
        view.change(recipe=replace(recipe, overrides=overrides))
    else:
        view.change(recipe=replace(recipe, **changed))


def _without_quantizers(recipe: Recipe) -> Recipe:
    bare = {name: replace(t, quantizer=Float32()) for name, t in recipe.overrides.items()}
    return replace(recipe, quantizer=Float32(), overrides=bare)


# --- the criterion's place ----------------------------------------------------------------------


def _choose_axis(criterion: Criterion) -> None:
    described = parameters(type(criterion))
    axes = [axis for axis in _AXES if axis != "threshold" or not criterion.needs_rows]
    if axis_of(criterion) not in axes:
        axes.insert(0, axis_of(criterion))
    hold("axis", axis_of(criterion))
    st.segmented_control(
        "Cut by",
        axes,
        format_func=_AXES.__getitem__,
        key="axis",
        required=True,
        help=" ".join(f"{_AXES[axis]}: {described[axis].help}" for axis in axes),
        on_change=lambda: _switch(st.session_state.axis, criterion.scope),
    )
    if axis_of(criterion) == "pattern":
        return
    hold("scope", criterion.scope)
    st.segmented_control(
        "Ranked within",
        list(_SCOPES),
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
        _parameter("pruner", criterion, "pattern", described, network)
        return
    values = place_stops(network, criterion)
    key = keyed("place")
    hold(key, getattr(criterion, axis))
    st.select_slider(
        described.label,
        values,
        format_func=_place_label(criterion),
        key=key,
        help=described.help,
        disabled=len(values) < 2,
        on_change=lambda: _move_place(float(st.session_state[key])),
    )
    st.caption(_both_ways(network, criterion))


def _place_label(criterion: Criterion) -> Callable[[float], str]:
    if axis_of(criterion) == "sparsity":
        return lambda value: f"{words.percent(value, 0)} zeros"
    score = "|w|" if isinstance(criterion, Magnitude) else "score"
    unit = "" if criterion.scope == "global" else f" × rms of the {criterion.scope}"
    return lambda value: f"{score} < {value:.3g}{unit}"


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
    what = "weights" if isinstance(criterion, Magnitude) else "scores"
    return f"= {ranking}{what} below {limit:.3g} cut"


@st.cache_data(max_entries=500, show_spinner=False)
def _bits_of_layers(_network: Network, sha256: str, _quantizer: Quantizer, text: str) -> list[int]:
    """Bits of each layer's codes; `sha256` and `text` stand for network and quantizer."""
    kept = np.ones(1, np.bool_)
    weights = _network.weights.values()
    return [_quantizer.grid(weight, kept).project(weight).bits for weight in weights]


def _bits(network: Network, recipe: Recipe) -> str:
    """What the codes take, for quantizers that tell without making the file."""
    quantizer = recipe.quantizer
    if isinstance(recipe.activations, Int8Activations):
        return "= codes of 8 bits, with 8-bit activations"
    if quantizer.text_name == "float32":
        return "32-bit floats"
    if quantizer.text_name == "float16":
        return "16-bit floats"
    try:
        bits = _bits_of_layers(network, network.sha256, quantizer, str(quantizer))
    except ParetoscopeError as error:
        return view.plain(str(error))
    span = f"{min(bits)}" if min(bits) == max(bits) else f"{min(bits)} to {max(bits)}"
    codes = f"= codes of {span} bits"
    if isinstance(quantizer, (FixedPoint, Shift)):
        q = quantizer.q if isinstance(quantizer, FixedPoint) else 2.0**quantizer.k
        return f"{codes}, error at most {1 / (2 * q):.3g} a weight"
    return codes


# --- what moving a control does -----------------------------------------------------------------


def _move_place(value: float) -> None:
    criterion = pruner_of(st.session_state.view.recipe)
    _put("pruner", at(criterion, axis_of(criterion), value))


def _switch(axis: str, scope: str) -> None:
    """Remember a change of axis or scope: finding the same place takes the network."""
    st.session_state.switch = (axis, scope)


def drop_unknown_layers(network: Network) -> None:
    """Take out of the recipe what it says of layers that this network does not have."""
    recipe: Recipe = st.session_state.view.recipe
    known = {name: t for name, t in recipe.overrides.items() if name in network.weights}
    if len(known) < len(recipe.overrides):
        try:
            recipe.treatments(network)
        except ParetoscopeError as error:
            text = f"{error}. What it says of other layers was left out."
            view.mend(replace(recipe, overrides=known), text)


def apply_switch(network: Network) -> None:
    """Carry out a change of axis or scope: about the same share of weights, cut the other way."""
    st.session_state.network = network
    switch = st.session_state.pop("switch", None)
    if switch is None:
        return
    axis, scope = switch
    criterion = pruner_of(st.session_state.view.recipe)
    if axis == "pattern":
        place: dict[str, Any] = {"threshold": None, "sparsity": None, "pattern": "2:4"}
        _put("pruner", replace(criterion, **place, scope="global"))
        return
    if criterion.needs_rows or criterion.pattern is not None:
        share = criterion.sparsity if criterion.sparsity is not None else _DEFAULT_SHARE
        if axis == "sparsity":
            _put("pruner", replace(at(criterion, "sparsity", share), scope=scope))
            return
        if criterion.threshold is not None:  # of scores that are not known here
            _put("pruner", replace(criterion, scope=scope))
            return
    else:
        scores = criterion.scores(network, None)
        share = criterion.selection(scores).sparsity(network.weights)
    rescoped = replace(at(criterion, axis, 0.0), scope=scope)
    scores = rescoped.scores(network, None)
    candidates = [at(rescoped, axis, value) for value in place_stops(network, rescoped)]
    moved = min(
        candidates, key=lambda c: abs(c.selection(scores).sparsity(network.weights) - share)
    )
    _put("pruner", moved)


# --- small things -------------------------------------------------------------------------------


def _with_linked(values: list[float], *others: float | None) -> list[float]:
    return sorted({*values, *(float(other) for other in others if other is not None)})


def _linked_value(kind: str, member: Member, name: str) -> float | None:
    """The value that a link asked for, which the slider keeps as one more stop."""
    linked = st.session_state.get("linked")
    other = None if linked is None else _part(linked, kind)
    if type(other) is not type(member):
        return None
    if isinstance(member, Criterion) and getattr(other, "scope", None) != member.scope:
        return None
    value: float | None = getattr(other, name)
    return value


def _first_sentence(member: type[Member]) -> str:
    text = (member.__doc__ or "").split("\n\n")[0].replace("``", "`")
    return " ".join(text.split())
