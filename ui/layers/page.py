"""Layers: which of them hurts, measured on files; and what is left of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st
from paretoscope.artifact.artifact import Draft, make_draft
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.data.dataset import Dataset, Rows
from paretoscope.methods.pruning import KeepAll, Magnitude
from paretoscope.methods.quantization import Symmetric
from paretoscope.methods.recipe import Recipe, Treatment
from paretoscope.network.network import Network

from ui.base import plot, words
from ui.base.plot import Figure, Shape, Trace, bar, dashed, drawing, heatmap, line_across
from ui.base.theme import CURSOR, Theme, camera, here, layout
from ui.parts import provenance
from ui.parts.frame import sync_widget
from ui.parts.layer_controls import each_by_itself, layer_controls
from ui.state import server
from ui.state.address import View
from ui.state.measuring import MeasuringRequest, MeasuringService
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import change, go_to, plain

_POLL_S = 0.6
_SPARSITIES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
_BITS = (8.0, 6.0, 5.0, 4.0, 3.0, 2.0)
_ROW_HEIGHT, _AROUND = 46, 250
_TILES, _TILE_PIXELS, _MASK_PIXELS = 24, 84, 640


@dataclass(frozen=True)
class Trials:
    """The recipes that tell what a layer stands: by sparsity and by bits alone, and this recipe in
    that layer only, and in all but that layer."""

    by_sparsity: dict[str, tuple[Recipe, ...]]
    by_bits: dict[str, tuple[Recipe, ...]]
    one_in: dict[str, Recipe]
    one_out: dict[str, Recipe]

    def all(self) -> list[Recipe]:
        lines = [*self.by_sparsity.values(), *self.by_bits.values()]
        found = [
            *self.one_in.values(),
            *self.one_out.values(),
            *(r for line in lines for r in line),
        ]
        return list(dict.fromkeys(found))


def trials(network: Network, recipe: Recipe, rows: Rows | None = None) -> Trials:
    """For each layer of a network. The recipe's own cut is fixed once, then applied layer by layer:
    to rank one layer anew would be another cut."""
    names = list(network.weights)
    treatments = each_by_itself(network, recipe, rows)

    def alone(name: str, treatment: Treatment) -> Recipe:
        return Recipe(overrides={name: treatment})

    by_sparsity = {
        name: tuple(
            alone(name, Treatment(Magnitude(sparsity=s, scope="layer"))) for s in _SPARSITIES
        )
        for name in names
    }
    by_bits = {
        name: tuple(alone(name, Treatment(KeepAll(), Symmetric(bits))) for bits in _BITS)
        for name in names
    }
    last = names[-1]  # its units are the classes and stay
    bare = {
        n: replace(t, units=Treatment().units) if n == last else t for n, t in treatments.items()
    }
    one_in = {name: alone(name, bare[name]) for name in names}
    one_out = {name: replace(recipe, overrides={**bare, name: Treatment()}) for name in names}
    return Trials(by_sparsity, by_bits, one_in, one_out)


@lru_cache(maxsize=32)
def _trials(network: Network, recipe: Recipe, rows: Rows) -> Trials:
    try:
        return trials(network, recipe, rows)
    except ParetoscopeError:  # a recipe that cannot be: the page says so where its file is made
        return trials(network, Recipe())


def show(view: View, subject: Subject, title: str) -> None:
    """The measured sensitivity, which fills in, and one layer from near."""
    found = _trials(subject.network, view.recipe, subject.dataset.train)
    recipes = [] if view.recipe.trains else found.all()
    request = MeasuringRequest(
        subject, [Recipe(), view.recipe, *recipes] if recipes else [Recipe()]
    )
    service, visitor = server.measuring(), server.visitor()
    service.ask(visitor, request)
    every = None if service.finished(visitor) else _POLL_S
    if view.recipe.trains:
        st.info("This recipe trains the compressed model: its layers are not tried one by one.")
    else:
        st.fragment(_sensitivity, run_every=every)(view, subject, title, request, found)
    one_layer(view, subject, title)


def _sensitivity(
    view: View, subject: Subject, title: str, request: MeasuringRequest, found: Trials
) -> None:
    if session().view != view:
        st.rerun()
    service, visitor = server.measuring(), server.visitor()
    service.ask(visitor, request)
    measured, failed, total = service.progress(visitor)
    if measured + failed < total:
        st.progress(measured / total, text=f"{measured} of {total} files measured")
    else:
        st.caption(f"All {measured} files measured. Click a cell to take that recipe.")
    left, right = st.columns(2)
    for place, kind, lines, columns in (
        (left, "sparsity", found.by_sparsity, [words.percent(s, 0) for s in _SPARSITIES]),
        (right, "bits", found.by_bits, [f"{bits:g}" for bits in _BITS]),
    ):
        record = drops(service, subject, title, kind, lines, columns)
        plot.chart(
            drops_figure(record, here()),
            key=f"chart-{kind}",
            alt=record.alt,
            config=camera(f"paretoscope-{view.file_name}-layers-{kind}"),
            on_pick=go_to,
            place=place,
        )
    around = in_and_out(service, subject, title, view.recipe, found)
    plot.chart(
        in_and_out_figure(around, here()),
        key="chart-in-out",
        alt=around.alt,
        config=camera(f"paretoscope-{view.file_name}-in-out"),
        on_pick=go_to,
    )


@dataclass(frozen=True)
class Drops:
    """Exactly what the chart of layer by sparsity or bits draws: changes in points."""

    network: str
    kind: str
    columns: tuple[str, ...]
    layers: tuple[str, ...]
    changes: tuple[tuple[float | None, ...], ...]
    texts: tuple[tuple[str, ...], ...]
    recipes: tuple[tuple[str, ...], ...]
    provenance: str

    @property
    def alt(self) -> str:
        worst = []
        for name, changes in zip(self.layers, self.changes, strict=True):
            known = [c for c in changes if c is not None]
            if known:
                worst.append(f"{name} {words.points(min(known) / 100)} at worst")
        return f"{self.network}: change of accuracy with one layer by {self.kind}: " + (
            "; ".join(worst) or "nothing measured yet"
        )


def drops(
    service: MeasuringService,
    subject: Subject,
    title: str,
    kind: str,
    lines: dict[str, tuple[Recipe, ...]],
    columns: Sequence[str],
) -> Drops:
    changes, texts = [], []
    for line in lines.values():
        known = [service.known(subject, recipe) for recipe in line]
        changes.append(tuple(None if m is None else 100 * m.change.value for m in known))
        texts.append(
            tuple("not yet" if m is None else words.change_interval(m.change) for m in known)
        )
    return Drops(
        title,
        kind,
        tuple(columns),
        tuple(lines),
        tuple(changes),
        tuple(texts),
        tuple(tuple(map(str, line)) for line in lines.values()),
        provenance.of_subject(subject, len(subject.baseline.rows)),
    )


def drops_figure(record: Drops, theme: Theme) -> Figure:
    z = [[np.nan if c is None else c for c in row] for row in record.changes]
    shown = [["" if c is None else f"{c:+.1f}" for c in row] for row in record.changes]
    data: list[Trace] = [
        heatmap(
            z=z,
            x=list(record.columns),
            y=list(record.layers),
            text=shown,
            texttemplate="%{text}",
            customdata=[
                list(zip(recipes, texts, strict=True))
                for recipes, texts in zip(record.recipes, record.texts, strict=True)
            ],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
            colorscale="Cividis",
            zmin=-10,
            zmax=0,
            xgap=2,
            ygap=2,
            colorbar={"thickness": 12, "ticksuffix": " pt", "outlinewidth": 0},
        )
    ]
    what = "sparsity" if record.kind == "sparsity" else "bits"
    height = _AROUND + _ROW_HEIGHT * len(record.layers)
    lines = ["change of accuracy in points, the other layers untouched"]
    base = layout(
        theme, f"{record.network}: one layer by {what}", lines, height, record.provenance, left=80
    )
    return drawing(
        data,
        base,
        xaxis={"title": {"text": what.capitalize(), "standoff": 4}, "type": "category"},
        yaxis={"autorange": "reversed", "type": "category"},
        uirevision=record.network,
    )


@dataclass(frozen=True)
class InAndOut:
    """Exactly what the bars draw: for each layer the change with this recipe in that layer only,
    and in all but that layer, with intervals, in points."""

    network: str
    recipe: str
    rows: tuple[tuple[str, str, float, float, float, str], ...]
    whole: float | None
    provenance: str

    @property
    def alt(self) -> str:
        told = "; ".join(
            f"{layer} {kind}: {words.points(v / 100)}" for layer, kind, v, *_ in self.rows
        )
        return f"{self.network}: {self.recipe} in one layer only and in all but one. {told}"


def in_and_out(
    service: MeasuringService, subject: Subject, title: str, recipe: Recipe, found: Trials
) -> InAndOut:
    rows = []
    for kind, recipes in (("only here", found.one_in), ("all but here", found.one_out)):
        for layer, one in recipes.items():
            m = service.known(subject, one)
            if m is not None:
                low, high = m.change.interval
                value = 100 * m.change.value
                rows.append((layer, kind, value, 100 * low, 100 * high, str(one)))
    whole = service.known(subject, recipe)
    return InAndOut(
        title,
        str(recipe),
        tuple(rows),
        None if whole is None else 100 * whole.change.value,
        provenance.of_subject(subject, len(subject.baseline.rows)),
    )


def in_and_out_figure(record: InAndOut, theme: Theme) -> Figure:
    data: list[Trace] = []
    shapes: list[Shape] = []
    for kind, colour, shape in (("only here", theme.curve, ""), ("all but here", CURSOR, "/")):
        of_kind = [row for row in record.rows if row[1] == kind]
        data.append(
            bar(
                x=[row[0] for row in of_kind],
                y=[row[2] for row in of_kind],
                name=f"compressed {kind}",
                marker={"color": colour, "pattern": {"shape": shape}},
                error_y={
                    "array": [row[4] - row[2] for row in of_kind],
                    "arrayminus": [row[2] - row[3] for row in of_kind],
                    "thickness": 0.8,
                    "width": 3,
                },
                customdata=[[row[5]] for row in of_kind],
                hovertemplate="%{customdata[0]}<br>%{y:+.1f} pt<extra></extra>",
            )
        )
    if record.whole is not None:
        shapes.append(line_across("y", record.whole, dashed(theme.quiet), "above"))
    lines = [record.recipe, "dashed: in all layers; whiskers: 95 % interval"]
    base = layout(theme, f"{record.network}: one in, one out", lines, 430, record.provenance)
    base["margin"] |= {"t": 122}
    return drawing(
        data,
        base,
        yaxis={"title": {"text": "Change, points"}, "gridcolor": theme.grid},
        uirevision=record.network,
        shapes=shapes,
    )


# --- one layer from near ------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _draft(network: Network, data: Dataset, recipe: Recipe) -> Draft:
    return make_draft(network, recipe, None if recipe.needs_no_rows else data.train, None)


def one_layer(view: View, subject: Subject, title: str) -> None:
    """One layer: what is done to it, its codes, its mask, and what it looks at."""
    network = subject.network
    names = list(network.weights)
    name = view.layer if view.layer in names else names[0]
    st.subheader("One layer from near", divider="gray")
    st.segmented_control(
        "Layer shown",
        names,
        default=sync_widget("layer-shown", name),
        key="layer-shown",
        required=True,
        on_change=lambda: change(layer=st.session_state["layer-shown"]),
    )
    if len(names) > 1:
        with st.expander("Treat layers by themselves"):
            layer_controls(network, view.recipe, subject.dataset.train)
    if view.recipe.trains:
        st.caption("What is inside a trained file is not shown here.")
        return
    try:
        with st.spinner(f"Making the file of {plain(str(view.recipe))}"):
            draft = _draft(network, subject.dataset, view.recipe)
    except ParetoscopeError as error:
        st.error(plain(str(error)))
        return
    if draft.reduced is not network:
        st.caption("Units were removed, so the weights that are left are shown.")
    codes = draft.stored.codes[name]
    left, right = st.columns(2)
    if codes.storage not in ("float32", "float16"):
        record = occupancy(title, name, codes.values, str(view.recipe), network)
        plot.chart(
            occupancy_figure(record, here()),
            key="chart-codes",
            alt=record.alt,
            config=camera(f"paretoscope-{view.file_name}-codes"),
            place=left,
        )
    else:
        left.caption("Weights are floats here; a quantizer gives them codes.")
    kept = np.broadcast_to(draft.cut.kept[name], codes.values.shape)
    told = (
        f"{name}: kept weights dark, cut ones light; {kept.shape[0]:,} inputs across, "
        f"{kept.shape[1]:,} outputs down; {words.percent(kept.mean())} kept"
    )
    right.image(mask_picture(kept), caption=told, alt=told, width="stretch")
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
    """A mask (in, out) as a grey picture, outputs down, each weight at least a pixel."""
    pixels = np.array([225, 40], np.uint8)[kept.T.astype(np.intp)]
    scale = max(1, _MASK_PIXELS // max(pixels.shape))
    return pixels.repeat(scale, 0).repeat(scale, 1)


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
    names = data.class_names if before.shape[1] > 1 else data.class_names[1:]
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
        f"No class looks at {', '.join(gone)} any more." if gone else "Every feature counts still."
    )
    st.caption(plain(told))
