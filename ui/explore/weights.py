"""The weights of a network under a recipe: their histogram, and the layers as a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from paretoscope.artifact.artifact import make_draft
from paretoscope.methods.pruning import Criterion, Pruner, smallest_kept
from paretoscope.methods.quantization import STORAGE
from paretoscope.methods.quantization.codes import UNSIGNED
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network

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
    weight = network.weights[layer].ravel()
    largest = float(np.abs(weight).max()) or 1.0
    counts, edges = np.histogram(weight, bins=_BINS, range=(-largest, largest))
    treatment = recipe.overrides.get(layer, recipe.default_treatment)
    threshold = _threshold(network, layer, treatment.pruner)
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
def layer_table(network: Network, recipe: Recipe) -> pa.Table:
    """`layer_rows` as Streamlit sends it."""
    return pa.Table.from_pylist(layer_rows(network, recipe))


def layer_rows(network: Network, recipe: Recipe) -> list[dict[str, Any]]:
    """The layers of the file that a recipe makes, for recipes that need no rows."""
    draft = make_draft(network, recipe, None)
    total = draft.sizes.file
    rows: list[dict[str, Any]] = []
    in_layers = 0.0
    for name, codes in draft.stored.codes.items():
        n_bytes = codes.values.size * _BITS[codes.storage] / 8
        in_layers += n_bytes
        before = network.weights[name]
        rows.append(
            {
                "layer": name,
                "weights": f"{before.shape[0]:,} \u00d7 {before.shape[1]:,}",
                "kept": words.percent(1 - codes.n_zeros / codes.values.size),
                "bits a code": str(codes.bits),
                "stored as": codes.storage,
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
