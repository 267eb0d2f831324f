"""The weights of a network under a recipe: their histogram, and the layers as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from paretoscope.artifact.artifact import make_draft
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.pruning import Criterion, Pruner, cut, smallest_kept
from paretoscope.methods.quantization import STORAGE
from paretoscope.methods.quantization.codes import UNSIGNED
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from paretoscope.network.sketch import sketch_of

from ui.base import words
from ui.base.plot import Figure, Trace, line_across, scatter
from ui.base.theme import CURSOR, Theme, layout
from ui.parts import provenance

_HEIGHT = 500
_BINS = 61
_MOST_GRID_LINES = 80
_BITS = {name: bits for name, (bits, _, _) in STORAGE.items()} | UNSIGNED
_BITS |= {"float32": 32, "float16": 16}


@dataclass(frozen=True)
class Histogram:
    """Exactly what the histogram draws: counts of weights, the range that is cut, Q's grid."""

    network: str
    layer: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    threshold: float | None
    grid: tuple[float, ...]
    step: float | None
    recipe: str
    provenance: str

    @property
    def alt(self) -> str:
        told = f"{self.network}: {sum(self.counts):,} weights of {self.layer}, from "
        told += f"{self.edges[0]:.3g} to {self.edges[-1]:.3g}"
        if self.threshold:
            told += f"; those below {self.threshold:.3g} in magnitude are cut"
        return told + (f"; values {self.step:.3g} apart can be stored." if self.step else ".")


def histogram(network: Network, title: str, layer: str, recipe: Recipe) -> Histogram:
    """The histogram of one layer's weights."""
    weight = sketch_of(network).weights[layer].ravel()
    largest = float(np.abs(weight).max()) or 1.0
    found, edges = np.histogram(weight, bins=_BINS, range=(-largest, largest))
    counts = np.rint(found * (math.prod(network.shapes[layer]) / weight.size)).astype(int)
    treatment = recipe.overrides.get(layer, recipe.default_treatment)
    threshold = _threshold(sketch_of(network), layer, treatment.pruner)
    factor = treatment.quantizer.factor
    step = None if factor is None else 1 / factor
    n = 0 if step is None else int(largest / step)
    grid = () if step is None or n > _MOST_GRID_LINES // 2 else np.arange(-n, n + 1) * step
    return Histogram(
        network=title,
        layer=layer,
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        threshold=threshold,
        grid=tuple(np.asarray(grid).tolist()),
        step=step,
        recipe=str(recipe),
        provenance=f"network {network.sha256[:8]}<br>{provenance.machine()}",
    )


def _threshold(network: Network, layer: str, pruner: Pruner) -> float | None:
    """The magnitude below which the layer's weights are cut; None where that is not what cuts."""
    if not isinstance(pruner, Criterion) or not pruner.by_magnitude:
        return None
    if pruner.pattern is not None or pruner.scope == "output":
        return None
    if pruner.scope == "global" and pruner.threshold is not None:
        return pruner.threshold
    scores = pruner.scores(network, None)
    cut = pruner.selection(scores)
    if pruner.scope == "layer":
        kept = np.abs(network.weights[layer])[np.broadcast_to(cut.kept[layer], scores[layer].shape)]
        return float(kept.min(initial=np.inf)) if kept.size else None
    return smallest_kept(scores, cut)


def histogram_figure(record: Histogram, theme: Theme) -> Figure:
    edges = np.array(record.edges)
    middles = (edges[1:] + edges[:-1]) / 2
    cut = np.abs(middles) < (record.threshold or 0)
    data: list[Trace] = [
        {
            "type": "bar",
            "x": middles,
            "y": record.counts,
            "width": edges[1] - edges[0],
            "marker": {
                "color": [theme.grid if gone else theme.curve for gone in cut],
                "line": {"color": theme.curve, "width": 0.5},
            },
            "hovertemplate": "%{y} weights near %{x:.3g}<extra></extra>",
            "showlegend": False,
        }
    ]
    dashes = {"color": CURSOR, "width": 2, "dash": "dash"}
    edges_of_cut = (-record.threshold, record.threshold) if record.threshold else ()
    shapes = [line_across("x", edge, dashes, layer="above") for edge in edges_of_cut]
    if record.grid:
        data.append(
            scatter(
                x=record.grid,
                y=[0] * len(record.grid),
                mode="markers",
                marker={
                    "symbol": "line-ns-open",
                    "size": 16,
                    "color": theme.ink,
                    "line": {"width": 1.5},
                },
                name="values that can be stored",
                hovertemplate="%{x:.4g} can be stored<extra></extra>",
            )
        )
    told = [] if record.threshold is None else [f"dashed: cut below {record.threshold:.3g}"]
    if record.step is not None:
        told.append(f"step 1/Q = {record.step:.3g}")
    base = layout(
        theme,
        f"{record.network}: weights of {record.layer}",
        [", ".join(told) or "nothing is cut by magnitude"],
        _HEIGHT,
        record.provenance,
    )
    base["margin"] |= {"t": 106, "b": 136}
    base["annotations"][0]["yshift"] = -132
    base |= {
        "bargap": 0,
        "xaxis": {"title": {"text": "Weight", "standoff": 4}, "gridcolor": theme.grid},
        "yaxis": {"title": {"text": "Weights"}, "gridcolor": theme.grid, "rangemode": "tozero"},
        "shapes": shapes,
        "uirevision": f"{record.network} {record.layer}",
    }
    return {"data": data, "layout": base}


@lru_cache(maxsize=256)
def layer_table(network: Network, recipe: Recipe, known: Measurement | None) -> pa.Table:
    """`layer_rows` as Streamlit sends it."""
    return pa.Table.from_pylist(layer_rows(network, recipe, known))


def layer_rows(
    network: Network, recipe: Recipe, known: Measurement | None = None
) -> list[dict[str, Any]]:
    """The layers of the file that a recipe makes, for recipes that need no rows. Of a large network
    by what is known of it, the largest first, with the shares that its sketch tells."""
    if known is None or sketch_of(network) is network:
        draft = make_draft(network, recipe, None)
        total = draft.sizes.file
        codes = draft.stored.codes
        stored = [(name, c.values.size, c.bits, c.storage) for name, c in codes.items()]
        zeros = {name: c.n_zeros / c.values.size for name, c in codes.items()}
    else:
        total = known.size_bytes
        sizes = {name: math.prod(shape) for name, shape in network.shapes.items()}
        stored = [(name, sizes[name], bits, kind) for name, bits, kind in known.bits]
        stored.sort(key=lambda row: -row[1] * _BITS[row[3]])
        zeros = _zeros(sketch_of(network), recipe)
    rows: list[dict[str, Any]] = []
    in_layers = 0.0
    for name, size, bits, storage in stored:
        n_bytes = size * _BITS[storage] / 8
        in_layers += n_bytes
        n_in, n_out = network.shapes[name]
        rows.append(
            {
                "layer": name,
                "weights": f"{n_in:,} \u00d7 {n_out:,}",
                "kept": words.percent(1 - zeros[name]) if name in zeros else "",
                "bits a code": str(bits),
                "stored as": storage,
                "bytes": f"{n_bytes:,.0f}",
                "share of the file": words.percent(n_bytes / total),
            }
        )
    rest = total - in_layers
    rows.append(
        {
            "layer": "biases, scales, graph",
            "weights": "",
            "kept": "",
            "bits a code": "",
            "stored as": "",
            "bytes": f"{rest:,.0f}",
            "share of the file": words.percent(rest / total),
        }
    )
    return rows


def _zeros(sketch: Network, recipe: Recipe) -> dict[str, float]:
    """About the share of each layer's weights that is cut or rounded to zero; of a pattern
    nothing is known here."""
    treatments = recipe.treatments(sketch)
    cutting = {name: t.pruner for name, t in treatments.items()}
    if any(isinstance(p, Criterion) and p.pattern is not None for p in cutting.values()):
        return {}
    kept = cut(sketch, cutting).kept
    found = {}
    for name, weight in sketch.weights.items():
        left = np.broadcast_to(kept[name], weight.shape)
        quantizer = treatments[name].quantizer
        codes = quantizer.grid(weight, left).project(np.where(left, weight, np.float32(0)))
        found[name] = codes.n_zeros / codes.values.size
    return found
