"""A layer's own settings: what is done to it in place of what is done to all."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import parameters
from paretoscope.data.rows import Rows
from paretoscope.methods.pruning import PRUNERS, UNITS, Criterion, cut
from paretoscope.methods.quantization import QUANTIZERS
from paretoscope.methods.recipe import Recipe, Treatment
from paretoscope.network.network import Network
from paretoscope.network.sketch import sketch_of
from paretoscope.sweeps.sweep import CURVE_POINTS, at, stops

from ui.parts.method_controls import choose_member, own_parameters, place_label, put, with_linked
from ui.state import view
from ui.state.control import control
from ui.state.session import session

FEW_LAYERS = 12  # that buttons beside each other have room for


def choices_of(network: Network) -> list[str]:
    """The layers to choose from: in their order, or, of so many that one searches, by size."""
    names = list(network.shapes)
    if len(names) <= FEW_LAYERS:
        return names
    return sorted(names, key=lambda name: -math.prod(network.shapes[name]))


def each_by_itself(
    network: Network, recipe: Recipe, rows: Rows | None = None
) -> dict[str, Treatment]:
    """What a recipe does to each layer, said of that layer alone.

    Where all layers are ranked together, the share that falls to each is fixed, so that one layer
    by itself is cut as it is among the others. Neurons that are removed first are counted as if
    they were there.

    Raises
    ------
    ParetoscopeError
        A criterion needs rows and there are none.
    """
    found = recipe.treatments(network)
    together = {name: pruner for name, t in found.items() if (pruner := _ranked_with_others(t))}
    if not together:
        return found
    needs_all = any(pruner.needs_rows for pruner in together.values())
    kept = cut(network if needs_all else sketch_of(network), together, rows).kept
    for name, pruner in together.items():
        n, n_kept = kept[name].size, int(np.count_nonzero(kept[name]))
        own = replace(at(pruner, "sparsity", _share(n - n_kept, n)), scope="layer")
        found[name] = replace(found[name], pruner=own)
    return found


def _ranked_with_others(treatment: Treatment) -> Criterion | None:
    """Its criterion, where that gives a share of all layers' weights."""
    pruner = treatment.pruner
    if not isinstance(pruner, Criterion) or pruner.scope != "global":
        return None
    return None if pruner.sparsity is None else pruner


def _share(n_cut: int, n: int) -> float:
    """The shortest number that is `n_cut` of `n` rounded down."""
    for digits in range(2, 15):
        share = float(math.ceil(n_cut / n * 10**digits) / 10**digits)
        if math.floor(share * n + 1e-9) == n_cut:
            return share
    return n_cut / n


def layer_controls(network: Network, recipe: Recipe, rows: Rows) -> None:
    """What is done to one layer in place of what is done to all; the last tolerates least."""
    names = list(network.shapes)
    if st.session_state.get("layer") not in names:
        st.session_state.layer = names[-1]
    layer = st.selectbox(
        "Layer",
        names,
        index=names.index(st.session_state.layer),
        format_func=lambda name: f"{name}, own settings" if name in recipe.overrides else name,
        key="layer",
        help="The last layer tolerates least: it can keep more weights or finer codes.",
    )
    if layer not in recipe.overrides:
        st.button(
            "Give this layer its own settings",
            on_click=_set_by_itself,
            args=(network, layer, rows),
            help="They begin as what is done to the layer now, and can then be changed.",
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
    st.button("Remove its own settings", on_click=_forget, args=(layer,))


def _layer_sparsity(network: Network, layer: str, criterion: Criterion) -> None:
    if criterion.sparsity is None:
        st.caption(view.plain(f"as the link says: {criterion}"))
        return
    described = parameters(type(criterion))["sparsity"]
    found = stops(network, type(criterion), "sparsity", CURVE_POINTS, scope=criterion.scope)
    values = with_linked(found, criterion.sparsity)
    shown = control(f"sparsity@{layer}", criterion.sparsity)
    st.select_slider(
        "Sparsity here",
        values,
        value=criterion.sparsity,
        format_func=place_label(criterion),
        key=shown.key,
        help=described.help,
        on_change=shown.then(
            lambda share: put(f"pruner@{layer}", at(criterion, "sparsity", float(share)))
        ),
    )


def _set_by_itself(network: Network, layer: str, rows: Rows) -> None:
    recipe: Recipe = session().view.recipe
    try:
        own = each_by_itself(network, recipe, rows)[layer]
    except ParetoscopeError:  # the page says what is wrong with the recipe
        own = recipe.default_treatment
    view.change(recipe=replace(recipe, overrides={**recipe.overrides, layer: own}))


def _forget(layer: str) -> None:
    recipe: Recipe = session().view.recipe
    others = {name: t for name, t in recipe.overrides.items() if name != layer}
    view.change(recipe=replace(recipe, overrides=others))
