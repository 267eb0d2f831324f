"""The picture of Layers: a row a layer, the one that costs most first; its bytes and what the
recipe costs there, and what it stands by sparsity and by bits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network

from ui.base import words
from ui.base.plot import Figure, Shape, Trace, bar, drawing, heatmap, scatter
from ui.base.theme import CURSOR, FONT, PLAIN, Theme
from ui.layers.trials import BITS, SPARSITIES, Trials
from ui.parts import provenance
from ui.state.measuring import MeasuringService
from ui.state.subject import Subject

_ROW, _AROUND, _LEAST = 52, 128, 300
_DEEPEST = -10  # points, from which on cells are equally dark
_FLOAT_BITS = 32

Spread = tuple[float, float, float]  # a change and its interval, in points


@dataclass(frozen=True)
class LayerRow:
    """One layer: its shape, bytes before and now, and changes of accuracy in points (None where
    they are not measured yet): with the recipe here only and in all but here, and by sparsity and
    by bits with their recipes and words."""

    name: str
    shape: tuple[int, ...]
    bytes_before: int
    bytes_now: int | None
    only_here: Spread | None
    all_but_here: Spread | None
    by_sparsity: tuple[float | None, ...]
    by_bits: tuple[float | None, ...]
    recipes: tuple[str, ...]
    texts: tuple[str, ...]
    one_in: str
    one_out: str

    @property
    def label(self) -> str:
        shape = " \u00d7 ".join(f"{n:,}" for n in self.shape)
        name = self.name if len(self.name) <= 14 else f"\u2026{self.name[-13:]}"
        return f"{name}<br><span style='font-size:11px'>{shape}</span>"


@dataclass(frozen=True)
class LayersPicture:
    """Exactly what the two charts draw, rows from the top; `whole` is the change with the recipe in
    all layers, in points. Of other scores than shares all are gains in their own unit: below zero
    is worse. From `deepest` on cells are equally dark."""

    network: str
    recipe: str
    rows: tuple[LayerRow, ...]
    whole: float | None
    provenance: str
    spoken: str = "accuracy"
    in_points: bool = True
    deepest: float = _DEEPEST

    @property
    def unit(self) -> str:
        return "points" if self.in_points else self.spoken

    def short(self, change: float) -> str:
        if not self.in_points:
            digits = max(0, 2 - math.floor(math.log10(-self.deepest)))
            return f"{change:+.{digits}f}".replace("-", words.MINUS)
        told = f"{change:+.0f}" if abs(change) >= 9.95 else f"{change:+.1f}"
        return told.replace("-", words.MINUS)

    @property
    def alt_cost(self) -> str:
        told = [
            f"{row.name}: {self.short(row.only_here[0])} {self.unit} here only" for row in self.rows
            if row.only_here is not None
        ]  # fmt: skip
        return f"{self.network}: what {self.recipe} costs by layer. {'; '.join(told)}."

    @property
    def alt_stands(self) -> str:
        told = []
        for row in self.rows:
            known = [c for c in (*row.by_sparsity, *row.by_bits) if c is not None]
            if known:
                told.append(f"{row.name} {self.short(min(known))} {self.unit} at worst")
        return (
            f"{self.network}: change of {self.spoken} with one layer by sparsity and by bits. "
            f"{'; '.join(told) or 'nothing measured yet'}."
        )


def known_of(service: MeasuringService, subject: Subject, recipe: Recipe) -> Measurement | None:
    """What is known of a trial: of a graph that takes long what was computed, on the same rows for
    all, also where its file was run since."""
    kept = service.computed if subject.comes_slowly else service.known
    return kept(subject, recipe)


def picture_of(
    service: MeasuringService, subject: Subject, title: str, recipe: Recipe, found: Trials
) -> LayersPicture:
    """What is known by now."""
    whole = known_of(service, subject, recipe)
    before = known_of(service, subject, Recipe())
    rows = [_row(service, subject, name, found, before, whole) for name in subject.network.shapes]
    # First the layer that gives back most when it is left alone, else the largest.
    rows.sort(key=lambda row: (-(row.all_but_here or (-np.inf,))[0], -row.bytes_before))
    return LayersPicture(
        title,
        str(recipe),
        tuple(rows),
        None if whole is None else words.scale(whole.change.unit) * whole.change.gain,
        provenance.of_subject(subject, _n_rows(service, subject, found)),
        subject.score.spoken,
        subject.score.unit == "%",
        _DEEPEST if subject.score.unit == "%" else -20 * subject.usual_loss,
    )


def _n_rows(service: MeasuringService, subject: Subject, found: Trials) -> int:
    """How many rows the trials were judged by: of a graph that takes long, the first."""
    known = (known_of(service, subject, recipe) for recipe in found.one_out.values())
    counts = (m.quality.n for m in known if m is not None)
    return next(counts, len(subject.baseline.rows))


def _row(
    service: MeasuringService,
    subject: Subject,
    name: str,
    found: Trials,
    before: Measurement | None,
    whole: Measurement | None,
) -> LayerRow:
    scale = words.scale(subject.score.unit)

    def spread(recipe: Recipe) -> Spread | None:
        m = known_of(service, subject, recipe)
        if m is None:
            return None
        # Loss downward, whichever the score: what is drawn is what is gained.
        sign = 1 if m.change.higher_is_better else -1
        low, high = sorted(sign * end for end in m.change.interval or [m.change.value] * 2)
        return scale * m.change.gain, scale * low, scale * high

    lines = (*found.by_sparsity[name], *found.by_bits[name])
    known = [known_of(service, subject, recipe) for recipe in lines]
    scale = words.scale(subject.score.unit)
    changes = tuple(None if m is None else scale * m.change.gain for m in known)
    n = len(SPARSITIES)
    return LayerRow(
        name,
        subject.network.shapes[name],
        _stored(subject.network, name, before) or _FLOAT_BITS // 8 * _count(subject.network, name),
        _stored(subject.network, name, whole),
        spread(found.one_in[name]),
        spread(found.one_out[name]),
        changes[:n],
        changes[n:],
        tuple(map(str, lines)),
        tuple("not yet" if m is None else words.change_interval(m.change) for m in known),
        str(found.one_in[name]),
        str(found.one_out[name]),
    )


def _count(network: Network, name: str) -> int:
    n_in, n_out = network.shapes[name]
    return n_in * n_out


def _stored(network: Network, name: str, m: Measurement | None) -> int | None:
    """Bytes of a layer's weights as they are stored in a file, before it is zipped."""
    if m is None:
        return None
    storage = {layer: kind for layer, _, kind in m.bits}.get(name)
    if storage is None:
        return None
    width = int(re.sub(r"\D", "", storage))
    return -(-_count(network, name) * width // 8)


def finding(service: MeasuringService, subject: Subject, recipe: Recipe, found: Trials) -> str:
    """Which layer hurts, as far as the rows can tell."""
    whole = known_of(service, subject, recipe)
    if recipe == Recipe():
        return "Nothing is compressed: which layer would stand it?"
    left_alone = {
        name: m for name, one in found.one_out.items() if (m := known_of(service, subject, one))
    }
    if whole is None or len(left_alone) < len(found.one_out):
        return "Measuring which layer hurts"
    if len(left_alone) == 1:
        return f"One layer holds all weights: {words.change_interval(whole.change)}"
    best = max(left_alone.values(), key=lambda m: m.merit)
    if not whole.change.surely_below(best.change):
        return f"{whole.quality.n:,} rows cannot tell which layer hurts most"
    leading = [
        name
        for name, m in left_alone.items()
        if whole.change.surely_below(m.change) and not m.change.surely_below(best.change)
    ]
    unit = whole.change.unit
    back = words.bare(best.merit - whole.merit, unit)
    of = f"{back} of {words.bare(max(0.0, -whole.change.gain), unit)}"
    of = f"{of} points" if unit == "%" else f"{of} of {subject.score.spoken}"
    if len(leading) == 1:
        return f"{leading[0]} hurts most: left alone, {of} come back"
    if len(leading) < len(left_alone) and len(leading) <= 3:
        return f"{words.listed(leading)} hurt about as much: left alone, each gives back up to {of}"
    return f"No layer stands out: left alone, the best gives back {of}"


# --- figures ------------------------------------------------------------------------------------


def cost_figure(record: LayersPicture, theme: Theme) -> Figure:
    """Bytes before and now, and what the recipe costs here only and in all but here."""
    names = [row.name for row in record.rows]
    hover = "%{y}: %{x:.2f} kB<extra></extra>"
    data: list[Trace] = [
        bar(
            x=[row.bytes_before / 1000 for row in record.rows], y=names, orientation="h",
            name="before", marker={"color": theme.grid}, hovertemplate=f"before, {hover}",
        ),
        bar(
            x=[None if row.bytes_now is None else row.bytes_now / 1000 for row in record.rows],
            y=names, orientation="h", width=0.4, name="now", marker={"color": theme.curve},
            hovertemplate=f"now, {hover}",
        ),
    ]  # fmt: skip
    for kind, symbol, colour in (
        ("only here", "circle", theme.curve),
        ("all but here", "square", CURSOR),
    ):
        data.append(_spreads(record, kind, symbol, colour))
    shapes: list[Shape] = []
    if record.whole is not None:
        shapes.append(
            {
                "type": "line", "xref": "x2", "yref": "paper", "y0": 0, "y1": 1,
                "x0": record.whole, "x1": record.whole,
                "line": {"color": theme.ink, "width": 1, "dash": "dash"},
            }
        )  # fmt: skip
    changes = f"Change of {record.spoken}, points"
    if not record.in_points:
        changes = f"Gain in {record.spoken}"
    whole = _layout(record, theme, ("Kilobytes of weights", changes))
    bytes_word = _word("before and <b>now</b>", 0.0, theme.quiet)
    wide, narrow = (
        "\u25cf recipe only here  \u25a0 all but here  \u2506 everywhere",
        "\u25cf only here  \u25a0 all but here",
    )
    whole["annotations"] += [bytes_word, _word(wide, 0.44, theme.quiet)]
    whole["meta"] = {"narrow": [bytes_word, _word(narrow, 0.4, theme.quiet)]}
    return drawing(
        data,
        whole | {"barmode": "overlay"},
        shapes=shapes,
        xaxis2=whole["xaxis2"] | {"zeroline": True, "zerolinecolor": theme.quiet},
        uirevision=f"{record.network} cost",
    )


def _spreads(record: LayersPicture, kind: str, symbol: str, colour: str) -> Trace:
    found = [
        (row.name, spread, recipe)
        for row in record.rows
        for spread, recipe in [
            (row.only_here, row.one_in) if kind == "only here" else (row.all_but_here, row.one_out)
        ]
        if spread is not None
    ]
    return scatter(
        x=[spread[0] for _, spread, _ in found],
        y=[name for name, _, _ in found],
        xaxis="x2",
        mode="markers",
        name=f"compressed {kind}",
        marker={"symbol": symbol, "size": 10, "color": colour},
        error_x={
            "array": [high - value for _, (value, _, high), _ in found],
            "arrayminus": [value - low for _, (value, low, _), _ in found],
            "thickness": 1.2,
            "width": 0,
            "color": colour,
        },
        customdata=[[recipe] for *_, recipe in found],
        hovertemplate=f"{kind}<br>%{{customdata[0]}}<br>%{{x:+.1f}} pt<extra></extra>",
    )


def stands_figure(record: LayersPicture, theme: Theme) -> Figure:
    """Changes of accuracy with one layer by sparsity, and by bits, the others untouched."""
    n = len(SPARSITIES)
    data: list[Trace] = []
    for axis, columns, part in (
        ("x", [f"{100 * s:g}" for s in SPARSITIES], slice(0, n)),
        ("x2", [f"{b:g}" for b in BITS], slice(n, None)),
    ):
        changes = [(*row.by_sparsity, *row.by_bits)[part] for row in record.rows]
        data.append(
            heatmap(
                z=[[np.nan if c is None else c for c in row] for row in changes],
                x=columns,
                y=[row.name for row in record.rows],
                xaxis=axis,
                text=[["" if c is None else record.short(c) for c in row] for row in changes],
                texttemplate="%{text}",
                textfont={"size": 11},
                customdata=[
                    list(zip(row.recipes[part], row.texts[part], strict=True))
                    for row in record.rows
                ],
                hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
                colorscale="Cividis",
                zmin=record.deepest,
                zmax=0,
                xgap=2,
                ygap=3,
                showscale=False,
            )
        )
    whole = _layout(record, theme, ("% of its weights cut", "Bits a weight"))
    whole["annotations"] += [
        _word(f"{record.unit} by <b>sparsity</b>", 0.0, theme.quiet),
        _word(f"{record.unit} by <b>bits</b>", 0.54, theme.quiet),
    ]
    whole["xaxis"] |= {"domain": [0, 0.48], "type": "category"}
    whole["xaxis2"] |= {"domain": [0.54, 1], "type": "category"}
    return drawing(data, whole, uirevision=f"{record.network} stands")


def _word(text: str, x: float, colour: str) -> dict[str, Any]:
    return {
        "text": text, "xref": "paper", "yref": "paper", "x": x, "y": 1, "xanchor": "left",
        "yanchor": "bottom", "yshift": 8, "showarrow": False,
        "font": {"size": 12, "color": colour},
    }  # fmt: skip


def _layout(record: LayersPicture, theme: Theme, titles: Sequence[str]) -> dict[str, Any]:
    """Two columns that share their rows."""
    first, second = titles
    axis = {"gridcolor": theme.grid, "zeroline": False, "tickfont": {"size": 11}}
    font = {"size": 12, "color": theme.quiet}
    return {
        "template": PLAIN,
        "height": max(_LEAST, _AROUND + _ROW * len(record.rows)),
        "font": {"color": theme.ink, "size": 13, "family": FONT},
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "margin": {"l": 98, "r": 14, "t": 34, "b": 46},
        "showlegend": False,
        "annotations": [],
        "xaxis": axis | {"title": {"text": first, "font": font}, "domain": [0, 0.38]},
        "xaxis2": axis | {"title": {"text": second, "font": font}, "domain": [0.44, 1]},
        "yaxis": {
            "type": "category",
            # By itself the axis would leave a twentieth of many rows blank at either end.
            "range": [len(record.rows) - 0.5, -0.5],
            "ticks": "",
            "tickvals": [row.name for row in record.rows],
            "ticktext": [row.label for row in record.rows],
        },
    }
