"""The controls of one member of a family, made from the parameters that it declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import floor, log10
from typing import Any

import streamlit as st
from paretoscope.base.parameters import (
    Choice,
    Member,
    Parameter,
    first_values,
    format_value,
    parameters,
)
from paretoscope.methods.activations import FloatActivations, Int8Activations
from paretoscope.methods.fitting import fits
from paretoscope.methods.pruning import CRITERIA, Criterion, KeepAll, Magnitude
from paretoscope.methods.quantization import Float32, Quantizer
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import RECOVERIES
from paretoscope.network.network import Network
from paretoscope.network.sketch import sketch_of
from paretoscope.sweeps.sweep import stops

from ui.base import words
from ui.state import view
from ui.state.control import control
from ui.state.session import session

AXES = {"threshold": "Threshold", "sparsity": "Sparsity", "pattern": "N:M"}
_STOPS = 40
DEFAULT_SHARE = 0.5


def pruner_of(recipe: Recipe) -> Criterion:
    """The recipe's criterion; no pruning is shown as a threshold of zero."""
    return recipe.pruner if isinstance(recipe.pruner, Criterion) else Magnitude(threshold=0.0)


def axis_of(criterion: Criterion) -> str:
    return next(axis for axis in AXES if getattr(criterion, axis) is not None)


def choose_member(kind: str, label: str, member: Member, family: Sequence[type[Member]]) -> None:
    """Which member of a family; its first sentence is the help."""
    shown = control(f"{kind}-member", member.name)
    by_name = _fitting(member, family)
    names = list(by_name)
    st.selectbox(
        label,
        names,
        index=names.index(member.name),
        format_func=lambda name: by_name[name].title,
        key=shown.key,
        help=_first_sentence(type(member)),
        on_change=shown.then(lambda name: _change_member(kind, by_name[name])),
    )


def choose_short(kind: str, label: str, member: Member, family: Sequence[type[Member]]) -> None:
    """The same for a family so small that all of it is in sight."""
    shown = control(f"{kind}-member", member.name)
    by_name = _fitting(member, family)
    st.segmented_control(
        label,
        list(by_name),
        default=member.name,
        format_func=lambda name: by_name[name].short or by_name[name].title,
        key=shown.key,
        required=True,
        label_visibility="collapsed",
        on_change=shown.then(lambda name: _change_member(kind, by_name[name])),
    )
    if len(by_name) < len(family):
        st.caption("Others need a chain of dense and convolution layers.")


def _fitting(member: Member, family: Sequence[type[Member]]) -> dict[str, type[Member]]:
    """Those that work on the network at hand, by name, and the one that is chosen."""
    network = session().network
    return {m.name: m for m in family if m is type(member) or network is None or fits(m, network)}


def offered(ways: Mapping[str, str], chosen: Sequence[str]) -> dict[str, str]:
    """Of names of criteria or recoveries with their titles those that work on the network at hand,
    and those that are chosen."""
    network = session().network
    members: dict[str, type[Member]] = {m.name: m for m in (*CRITERIA, *RECOVERIES)}
    return {
        name: title
        for name, title in ways.items()
        if name in chosen or name not in members or network is None or fits(members[name], network)
    }


def _change_member(kind: str, chosen: type[Member]) -> None:
    if kind.startswith("pruner@"):
        share = getattr(part_of(session().view.recipe, kind), "sparsity", None)
        place = {"sparsity": DEFAULT_SHARE if share is None else share, "scope": "layer"}
        put(kind, chosen() if chosen is KeepAll else chosen(**first_values(chosen) | place))
        return
    if kind == "pruner":
        now = pruner_of(session().view.recipe)
        kept = {name: getattr(now, name) for name in (*AXES, "scope")}
        if chosen.needs_rows and kept["threshold"] is not None:  # type: ignore[attr-defined]
            kept |= {"threshold": None, "sparsity": _share(now)}
        put(kind, chosen(**first_values(chosen) | kept))
        return
    put(kind, chosen(**first_values(chosen)))


def _share(criterion: Criterion) -> float:
    """About the share of weights that a threshold cuts here, for criteria whose scores differ."""
    network = session().network
    if network is None or criterion.needs_rows:
        return DEFAULT_SHARE
    sketch = sketch_of(network)
    cut = criterion.selection(criterion.scores(sketch, None))
    return round(20 * cut.sparsity(sketch.weights)) / 20


def own_parameters(
    kind: str, member: Member, network: Network, skip: set[str] | frozenset[str] = frozenset()
) -> None:
    """A control for each parameter of a member."""
    for name, described in parameters(type(member)).items():
        if name not in skip:
            parameter(kind, member, name, described, network)


def first_parameter(member: Member) -> str | None:
    """The name of the one that is moved most: the first with stops for a slider."""
    described = parameters(type(member))
    return next((name for name, one in described.items() if one.stops is not None), None)


def parameter(
    kind: str,
    member: Member,
    name: str,
    described: Parameter,
    network: Network,
    *,
    bare: bool = False,
) -> None:
    """The control of one parameter; a `bare` one has its label beside it, drawn by others."""
    value, values = getattr(member, name), []
    if described.stops is not None:
        found = stops(network, type(member), name, _STOPS)
        values = with_linked(found, value, linked_value(kind, member, name))
    if not isinstance(described.range, Choice):
        value = int(value) if described.range.whole and not values else float(value)
    shown = control(f"{kind}-{member.name}-{name}", value, values)
    common: dict[str, Any] = {
        "key": shown.key,
        "help": described.help,
        "on_change": shown.then(lambda new: _put_value(kind, member, **{name: new})),
        "label_visibility": "collapsed" if bare else "visible",
    }
    if isinstance(described.range, Choice):
        options = described.range.options
        st.segmented_control(described.label, options, default=value, required=True, **common)
    elif values:
        st.select_slider(described.label, values, value=value, format_func=format_value, **common)
    elif described.range.whole:
        ends = int(described.range.low), int(min(described.range.high, 2**31))
        st.number_input(described.label, *ends, value, step=1, **common)
    else:
        low, high = float(described.range.low), float(min(described.range.high, 1e6))
        step = 10.0 ** floor(log10(value or 1))
        st.number_input(described.label, low, high, value, step=step, format="%.4g", **common)


def part_of(recipe: Recipe, kind: str) -> Member | None:
    """The recipe's part of a kind: "quantizer", or "quantizer@dense3" for one layer."""
    part, _, layer = kind.partition("@")
    found: Member | None = getattr(recipe.overrides.get(layer) if layer else recipe, part, None)
    return found


def put(kind: str, member: Member) -> None:
    """Change the recipe's part of a kind. 8-bit activations and a quantizer exclude each other."""
    session().arrives = False
    recipe: Recipe = session().view.recipe
    part, _, layer = kind.partition("@")
    changed: dict[str, Any] = {part: member}
    if isinstance(member, Int8Activations):
        recipe = _without_quantizers(recipe)
    elif isinstance(member, Quantizer) and not isinstance(member, Float32):
        recipe = replace(recipe, activations=FloatActivations())
    if layer:
        own = recipe.overrides.get(layer, recipe.default_treatment)
        overrides = {**recipe.overrides, layer: replace(own, **changed)}
        view.change(recipe=replace(recipe, overrides=overrides))
    else:
        view.change(recipe=replace(recipe, **changed))


def _put_value(kind: str, member: Member, **values: Any) -> None:
    """Change values of a member, as it is now: since its control was drawn others have moved."""
    now = part_of(session().view.recipe, kind)
    put(kind, replace(now if type(now) is type(member) else member, **values))


def _without_quantizers(recipe: Recipe) -> Recipe:
    bare = {name: replace(t, quantizer=Float32()) for name, t in recipe.overrides.items()}
    return replace(recipe, quantizer=Float32(), overrides=bare)


def place_label(criterion: Criterion) -> Callable[[float], str]:
    if axis_of(criterion) == "sparsity":
        return lambda value: f"{words.percent(value, 0)} zeros"
    unit = "" if criterion.scope == "global" else f" × rms of the {criterion.scope}"
    return lambda value: f"{criterion.score} < {value:.3g}{unit}"


def with_linked(values: list[float], *others: float | None) -> list[float]:
    return sorted({*values, *(float(other) for other in others if other is not None)})


def linked_value(kind: str, member: Member, name: str) -> float | None:
    """The value that a link asked for, which the slider keeps as one more stop."""
    linked = session().linked
    other = None if linked is None else part_of(linked, kind)
    if type(other) is not type(member):
        return None
    if isinstance(member, Criterion) and getattr(other, "scope", None) != member.scope:
        return None
    value: float | None = getattr(other, name)
    return value


def _first_sentence(member: type[Member]) -> str:
    text = (member.__doc__ or "").split("\n\n")[0].replace("``", "`")
    return " ".join(text.split())
