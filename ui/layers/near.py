"""One layer from near: what is done to it, its codes, its mask, and what it looks at."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st
from paretoscope.artifact.artifact import Draft, make_draft
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import BoolArray, FloatArray
from paretoscope.data.dataset import Dataset
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from paretoscope.network.outline import Outline

from ui.base import plot, words
from ui.base.plot import Figure, Trace, bar, drawing
from ui.base.theme import Theme, camera, here, layout
from ui.parts import provenance
from ui.parts.layer_controls import FEW_LAYERS, choices_of, layer_controls
from ui.state import server
from ui.state.address import View
from ui.state.control import control
from ui.state.subject import Subject
from ui.state.view import change, plain

_TILES, _TILE_PIXELS, _MASK_PIXELS = 24, 84, 640


@lru_cache(maxsize=32)
def _draft(network: Network, data: Dataset, recipe: Recipe) -> Draft:
    return make_draft(network, recipe, None if recipe.needs_no_rows else data.train, None)


@lru_cache(maxsize=32)
def _by_a_process(
    subject: Subject, recipe: Recipe, layer: str
) -> tuple[str, npt.NDArray[np.int64], BoolArray]:
    """Of a large graph: the type that a layer's codes are stored in, their values in any order,
    and which weights are kept."""
    asked = subject.arguments(recipe) | {"layer": layer}
    found = server.at_once("layer_task", asked)
    values = np.repeat(np.array(found["values"], np.int64), found["counts"])
    bits = np.frombuffer(base64.b64decode(found["kept"]), np.uint8)
    n_in, n_out = found["shape"]
    kept = np.unpackbits(bits, count=n_in * n_out).astype(np.bool_).reshape(n_in, n_out)
    return found["storage"], values, kept


def one_layer(view: View, subject: Subject, title: str) -> None:
    """One layer: what is done to it, its codes, its mask, and what it looks at."""
    network = subject.network
    names = list(network.shapes)
    name = view.layer if view.layer in names else names[0]
    st.subheader("One layer from near", anchor="near")
    choices = choices_of(network)
    many = len(choices) > FEW_LAYERS
    shown = control("layer-found" if many else "layer-shown", name)
    on_change = shown.then(lambda layer: change(layer=layer))
    if many:
        st.selectbox(
            "Layer shown",
            choices,
            index=choices.index(name),
            key=shown.key,
            on_change=on_change,
            help="The largest first; type to search.",
        )
    else:
        st.segmented_control(
            "Layer shown",
            choices,
            default=name,
            key=shown.key,
            required=True,
            on_change=on_change,
        )
    if len(names) > 1:
        with st.expander("Treat layers by themselves"):
            layer_controls(network, view.recipe, subject.dataset.train)
    if view.recipe.trains:
        st.caption("What is inside a trained file is not shown here.")
        return
    draft: Draft | None = None
    try:
        with st.spinner(f"Making the file of {plain(str(view.recipe))}"):
            if isinstance(network, Outline):
                storage, values, kept = _by_a_process(subject, view.recipe, name)
            else:
                draft = _draft(network, subject.dataset, view.recipe)
                codes = draft.stored.codes[name]
                storage, values = codes.storage, codes.values
                kept = np.broadcast_to(draft.cut.kept[name], values.shape)
    except ParetoscopeError as error:
        st.error(plain(str(error)))
        return
    if draft is not None and draft.reduced is not draft.network:
        st.caption("Units were removed, so the weights that are left are shown.")
    left, right = st.columns(2)
    if storage not in ("float32", "float16"):
        record = occupancy(title, name, values, str(view.recipe), network)
        plot.chart(
            occupancy_figure(record, here()),
            key="chart-codes",
            alt=record.alt,
            config=camera(f"paretoscope-{view.file_name}-codes"),
            place=left,
        )
    else:
        left.caption("Weights are floats here; a quantizer gives them codes.")
    n_in, n_out = kept.shape
    sides = f"{n_in:,} inputs across, {n_out:,} outputs down"
    if _is_tall(kept):
        sides = f"{n_out:,} outputs across, {n_in:,} inputs down"
    told = f"{name}: kept weights dark, cut ones light; {sides}; {words.percent(kept.mean())} kept"
    right.image(mask_picture(kept), caption=told, alt=told, width="stretch")
    if draft is None:
        return
    if name == names[0]:
        _first_layer(subject, network.weights[name], codes.decoded())
    if len(names) == 1:
        _coefficients(subject, network.weights[name], codes.decoded())


@dataclass(frozen=True)
class Occupancy:
    """Exactly what the chart of codes draws."""

    network: str
    layer: str
    codes: tuple[int, ...]
    counts: tuple[int, ...]
    recipe: str
    provenance: str

    @property
    def alt(self) -> str:
        return (
            f"{self.network}: {len(self.codes)} different codes in {self.layer}, from "
            f"{self.codes[0]} to {self.codes[-1]}; the most frequent is "
            f"{self.codes[int(np.argmax(self.counts))]}."
        )


def occupancy(
    title: str, layer: str, codes: npt.NDArray[Any], recipe: str, network: Network
) -> Occupancy:
    values, counts = np.unique(codes, return_counts=True)
    source = f"network {network.sha256[:8]}<br>{provenance.machine()}"
    return Occupancy(title, layer, tuple(values.tolist()), tuple(counts.tolist()), recipe, source)


def occupancy_figure(record: Occupancy, theme: Theme) -> Figure:
    data: list[Trace] = [
        bar(
            x=record.codes,
            y=record.counts,
            marker={"color": theme.curve},
            hovertemplate="code %{x}: %{y:,} weights<extra></extra>",
        )
    ]
    title = f"{record.network}: codes of {record.layer}"
    base = layout(theme, title, [record.recipe], 430, record.provenance)
    return drawing(
        data,
        base,
        xaxis={"title": {"text": "Code a", "standoff": 4}},
        yaxis={"title": {"text": "Weights (log)"}, "type": "log", "gridcolor": theme.grid},
        uirevision=f"{record.network} {record.layer}",
    )


def mask_picture(kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """A mask (in, out) as a grey picture, each weight at least a pixel: outputs down, or inputs
    where it would be very tall."""
    pixels = np.array([225, 40], np.uint8)[kept.astype(np.intp)]
    pixels = pixels if _is_tall(kept) else pixels.T
    scale = max(1, _MASK_PIXELS // max(pixels.shape))
    return pixels.repeat(scale, 0).repeat(scale, 1)


def _is_tall(kept: npt.NDArray[np.bool_]) -> bool:
    return bool(kept.shape[1] > 2 * kept.shape[0])


def _first_layer(subject: Subject, before: FloatArray, after: FloatArray) -> None:
    """What the first layer of an image model looks at, before and after."""
    shape = subject.dataset.image_shape
    if shape is None or before.shape != after.shape:
        return
    n_pixels = shape[1] * shape[2]
    size = (shape[1], shape[2])
    if len(before) != n_pixels:  # filters
        side = int(np.sqrt(len(before) // shape[0]))
        size = (side, side)
    limit = float(np.abs(before).max()) or 1.0
    left, right = st.columns(2)
    n = min(_TILES, before.shape[1])
    for place, weight, what in ((left, before, "before"), (right, after, "after")):
        place.image(
            tiles(weight[: size[0] * size[1], :n], size, limit),
            caption=f"The first {n} units' weights as images, {what}: blue negative, orange "
            "positive, white zero",
            alt=f"the first {n} units' weights {what} compressing",
            width="stretch",
        )


def tiles(weight: FloatArray, size: tuple[int, int], limit: float) -> npt.NDArray[np.uint8]:
    """Columns of a weight as small pictures side by side, six in a row."""
    share = np.clip(weight / limit, -1, 1).T.reshape(-1, *size)
    away = np.abs(share)[..., None]
    end = np.where(share[..., None] < 0, np.array([0, 114, 178]), np.array([213, 94, 0]))
    colours = (255 * (1 - away) + end * away).astype(np.uint8)
    scale = max(1, _TILE_PIXELS // max(size))
    large = colours.repeat(scale, 1).repeat(scale, 2)
    large = np.pad(large, ((0, -len(large) % 6), (4, 4), (4, 4), (0, 0)), constant_values=128)
    rows, height, width = len(large) // 6, large.shape[1], large.shape[2]
    whole = large.reshape(rows, 6, height, width, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(whole.reshape(rows * height, 6 * width, 3))


def _coefficients(subject: Subject, before: FloatArray, after: FloatArray) -> None:
    """The coefficients of a linear model by the names of its features."""
    data = subject.dataset
    if len(data.feature_names) != len(before) or before.shape != after.shape:
        return
    problem = data.problem
    two = problem.targets == "classes" and before.shape[1] == 1
    names = problem.names[1:] if two else problem.names
    table: dict[str, Any] = {"feature": list(data.feature_names)}
    for j, name in enumerate(names):
        table[f"{name}, before"] = before[:, j]
        table[f"{name}, after"] = after[:, j]
    st.markdown("**What the model still looks at**")
    order = np.argsort(-np.abs(before).max(1))
    frame = pd.DataFrame(table).iloc[order]
    st.dataframe(frame.style.format(precision=3), hide_index=True)
    gone = [data.feature_names[i] for i in order if not after[i].any()]
    told = (
        f"Nothing looks at {', '.join(gone)} any more." if gone else "Every feature counts still."
    )
    st.caption(plain(told))
