"""One layer by itself: what is done to it in place of what is done to all."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from paretoscope.network import Network
from paretoscope.parameters import parameters
from paretoscope.pruning import PRUNERS, UNITS, Criterion
from paretoscope.quantization import QUANTIZERS
from paretoscope.recipe import Recipe
from paretoscope.sweeps import CURVE_POINTS, at, stops

from ui import view
from ui.frame import hold
from ui.members import choose_member, own_parameters, place_label, put, with_linked


def layer_controls(network: Network, recipe: Recipe) -> None:
    """What is done to one layer in place of what is done to all; the last tolerates least."""
    names = list(network.weights)
    if st.session_state.get("layer") not in names:
        st.session_state.layer = names[-1]
    layer = st.selectbox(
        "Layer",
        names,
        index=names.index(st.session_state.layer),
        format_func=lambda name: f"{name}, by itself" if name in recipe.overrides else name,
        key="layer",
        help="The last layer tolerates least: it can keep more weights or finer codes.",
    )
    if layer not in recipe.overrides:
        st.button(
            "Set this layer by itself",
            on_click=lambda: put(f"quantizer@{layer}", st.session_state.view.recipe.quantizer),
            help="The layer starts with what is done to all, and can then be set otherwise.",
        )
        return
    treatment = recipe.overrides[layer]
    kind = f"pruner@{layer}"
    choose_member(kind, "Criterion here", treatment.pruner, PRUNERS)
    if isinstance(treatment.pruner, Criterion):
        _layer_sparsity(network, layer, treatment.pruner)
    if layer != names[-1]:
        choose_member(f"units@{layer}", "Units here", treatment.units, UNITS)
        own_parameters(f"units@{layer}", treatment.units, network)
    choose_member(f"quantizer@{layer}", "Quantizer here", treatment.quantizer, QUANTIZERS)
    own_parameters(f"quantizer@{layer}", treatment.quantizer, network)
    st.button("Treat it like the others", on_click=_forget, args=(layer,))


def _layer_sparsity(network: Network, layer: str, criterion: Criterion) -> None:
    if criterion.sparsity is None:
        st.caption(view.plain(f"as the link says: {criterion}"))
        return
    key = f"sparsity@{layer}"
    described = parameters(type(criterion))["sparsity"]
    found = stops(network, type(criterion), "sparsity", CURVE_POINTS, scope=criterion.scope)
    st.select_slider(
        "Sparsity here",
        with_linked(found, criterion.sparsity),
        value=hold(key, criterion.sparsity),
        format_func=place_label(criterion),
        key=key,
        help=described.help,
        on_change=lambda: put(
            f"pruner@{layer}", at(criterion, "sparsity", float(st.session_state[key]))
        ),
    )


def _forget(layer: str) -> None:
    recipe: Recipe = st.session_state.view.recipe
    others = {name: t for name, t in recipe.overrides.items() if name != layer}
    view.change(recipe=replace(recipe, overrides=others))
