"""Threshold by Q: the grid around a recipe as a heatmap, and what of it is within the budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.activations import FloatActivations
from paretoscope.methods.pruning import Criterion
from paretoscope.methods.quantization import FixedPoint, Float32
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import NoRecovery
from paretoscope.network.network import Network
from paretoscope.problems.problems import spoken, title
from paretoscope.sweeps.sweep import CURVE_POINTS, at, stops

from ui.base import words
from ui.base.plot import Figure, Trace, scatter
from ui.base.theme import CURSOR, Theme, layout
from ui.parts import provenance

QS = 14
BACKDROP_QS = (2.0, 4.0, 8.0, 16.0)
_HEIGHT = 500
_NEAR = 3
_TITLES = {"size": "Size", "time": "Time of one row"}

Known = dict[str, Measurement]


@lru_cache(maxsize=256)
def lines_of(network: Network, recipe: Recipe) -> tuple[tuple[Recipe, ...], ...]:
    """Lines of thresholds (or sparsities), one for each Q; empty for patterns.

    Plain recipes: without recovery, without overrides, with float activations.
    """
    criterion = recipe.pruner
    if not isinstance(criterion, Criterion) or criterion.pattern is not None:
        return ()
    axis = "sparsity" if criterion.needs_rows or criterion.threshold is None else "threshold"
    plain = replace(recipe, overrides={}, recovery=NoRecovery(), activations=FloatActivations())
    plain = replace(plain, pruner=at(criterion, axis, 0.0), quantizer=Float32())
    return tuple(_line(network, plain, axis, q) for q in _qs(network, recipe))


def nearest_first(lines: Sequence[Sequence[Recipe]], recipe: Recipe) -> list[Sequence[Recipe]]:
    """Lines in the order in which one looks at them: those of a Q near the recipe's first."""
    here = recipe.quantizer.factor or 16.0
    return sorted(lines, key=lambda line: abs(math.log((line[0].quantizer.factor or 1) / here)))


@lru_cache(maxsize=1024)
def _line(network: Network, plain: Recipe, axis: str, q: float) -> tuple[Recipe, ...]:
    """The line at one Q; the same for all places along it."""
    criterion = plain.pruner
    assert isinstance(criterion, Criterion)
    values = stops(network, type(criterion), axis, CURVE_POINTS, scope=criterion.scope)
    quantized = replace(plain, quantizer=FixedPoint(q))
    return tuple(replace(quantized, pruner=at(criterion, axis, value)) for value in values)


def _qs(network: Network, recipe: Recipe) -> list[float]:
    """Values of Q: some of the slider's stops, the recipe's own."""
    own = [] if recipe.quantizer.factor is None else [recipe.quantizer.factor]
    return sorted({*stops(network, FixedPoint, "q", QS), *BACKDROP_QS, *map(float, own)})


@dataclass(frozen=True)
class Heat:
    """Exactly what the heatmap draws: rows of values for each Q, None where nothing is known."""

    what: str
    network: str
    place: str
    columns: tuple[str, ...]
    qs: tuple[float, ...]
    values: tuple[tuple[float | None, ...], ...]
    texts: tuple[tuple[str, ...], ...]
    recipes: tuple[tuple[str, ...], ...]
    measured: tuple[tuple[int, int], ...]
    accuracies: tuple[tuple[float | None, ...], ...]
    sizes: tuple[tuple[float | None, ...], ...]
    least: float | None
    most: float | None
    cursor: tuple[float, float] | None
    provenance: str
    score: str = "accuracy"
    unit: str = "%"
    higher_is_better: bool = True

    @property
    def title(self) -> str:
        return _TITLES[self.what] if self.what in _TITLES else title(self.score)

    @property
    def alt(self) -> str:
        known = [v for row in self.values for v in row if v is not None]
        if not known:
            return f"{self.network}: {self.title} of threshold by Q, nothing known yet."
        low, high = (_shown(self.what, bound, self.unit) for bound in (min(known), max(known)))
        name = self.title.lower() if self.what in _TITLES else spoken(self.score)
        return (
            f"{self.network}: {name} over {len(self.columns)} thresholds and "
            f"{len(self.qs)} values of Q, from {low} to {high}; {len(self.measured)} of "
            f"{len(known)} measured on their files."
        )


def heat(
    what: str,
    network: str,
    lines: Sequence[Sequence[Recipe]],
    known: Known,
    baseline: Measurement,
    recipe: Recipe,
    budget: Budget,
    zipped: bool,
) -> Heat:
    """What the heatmap of the score, size or time draws."""
    found = [[known.get(str(r)) for r in line] for line in lines]
    criterion = lines[0][0].pruner
    assert isinstance(criterion, Criterion)
    axis = "threshold" if criterion.threshold is not None else "sparsity"
    places = [float(getattr(r.pruner, axis)) for r in lines[0]]
    columns = [
        f"{place:.3g}" if axis == "threshold" else words.percent(place, 0) for place in places
    ]
    size_limit = budget.gzip_bytes if zipped else budget.file_bytes
    return Heat(
        what=what,
        network=network,
        place="Threshold" if axis == "threshold" else "Sparsity",
        columns=tuple(columns),
        qs=tuple(float(line[0].quantizer.q) for line in lines),  # type: ignore[attr-defined]
        values=_rows(found, lambda m: _value(what, m, zipped)),
        texts=tuple(tuple(_text(m, zipped) for m in line) for line in found),
        recipes=tuple(tuple(map(str, line)) for line in lines),
        measured=tuple(
            (i, j)
            for i, line in enumerate(found)
            for j, m in enumerate(line)
            if m is not None and not m.computed
        ),
        accuracies=_rows(found, lambda m: m.quality.value),
        sizes=_rows(found, lambda m: shown_size(m, zipped)),
        least=_least(baseline, budget),
        most=size_limit,
        cursor=_cursor(recipe, axis, places, [float(line[0].quantizer.q) for line in lines]),  # type: ignore[attr-defined]
        provenance="<br>".join(provenance.lines(baseline)),
        score=baseline.score,
        unit=baseline.change.unit,
        higher_is_better=baseline.change.higher_is_better,
    )


def _least(baseline: Measurement, budget: Budget) -> float | None:
    """The worst score within the budget."""
    if budget.drop is None:
        return None
    lost = -budget.drop if baseline.change.higher_is_better else budget.drop
    return baseline.quality.value + lost


def _rows(found: Sequence[Sequence[Measurement | None]], value: Any) -> Any:
    return tuple(tuple(None if m is None else value(m) for m in line) for line in found)


def shown_size(m: Measurement, zipped: bool) -> int | None:
    """The size that is shown; None of a zipped file that was not zipped yet."""
    return m.gzip_bytes if zipped else m.size_bytes


def _value(what: str, m: Measurement, zipped: bool) -> float | None:
    if what == "accuracy":
        return m.quality.value
    if what == "size":
        return shown_size(m, zipped)
    latency = m.latency()
    return None if latency is None else latency.median_us


def _text(m: Measurement | None, zipped: bool) -> str:
    if m is None:
        return "not known yet"
    n_bytes = shown_size(m, zipped)
    size = words.sized(
        m.size_bytes if n_bytes is None else n_bytes, zipped=n_bytes is not None and zipped
    )
    state = "computed, not yet run" if m.computed else "measured on its file"
    change = words.change_interval(m.change)
    zeros = f"{words.percent(m.sparsity)} zeros"
    return f"{words.quality(m.quality)}, {change}<br>{size}, {zeros}<br>{state}"


def _cursor(
    recipe: Recipe, axis: str, places: list[float], qs: list[float]
) -> tuple[float, float] | None:
    """Where the recipe stands, in columns and rows, between them where it is no stop."""
    place, q = getattr(recipe.pruner, axis, None), recipe.quantizer.factor
    if place is None or q is None:
        return None
    x = float(np.interp(place, places, np.arange(len(places))))
    y = float(np.interp(math.log(q), np.log(qs), np.arange(len(qs))))
    return x, y


def _shown(what: str, value: float, unit: str) -> str:
    if what == "accuracy":
        return words.valued(value, unit)
    return words.size(value) if what == "size" else words.duration(value)


def heat_figure(record: Heat, theme: Theme, *, clicks: bool = True) -> Figure:
    """The heatmap with the budget's lines and a ring where the sliders are; whether `clicks` lead
    somewhere is told."""
    rows = [[math.nan if v is None else v for v in row] for row in record.values]
    z = np.array(rows)
    logarithmic = record.what == "size"
    data: list[Trace] = [
        {
            "type": "heatmap",
            "z": np.log10(z) if logarithmic else z,
            "customdata": [
                list(zip(recipes, texts, strict=True))
                for recipes, texts in zip(record.recipes, record.texts, strict=True)
            ],
            "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
            "colorscale": "Cividis",
            "reversescale": record.what != "accuracy" or not record.higher_is_better,
            "colorbar": _colorbar(record, z, logarithmic),
            "xgap": 1,
            "ygap": 1,
        }
    ]
    for limit, grid, name, dash in (
        (record.least, record.accuracies, "largest drop", "solid"),
        (record.most, record.sizes, "largest size", "dot"),
    ):
        if limit is not None:
            data.append(_iso_line(grid, limit, name, dash))
    if record.measured:
        y, x = zip(*record.measured, strict=True)
        dots = {"size": 5, "color": "#FFFFFF", "line": {"width": 1, "color": "#1A1A1A"}}
        data.append(
            scatter(x=x, y=y, mode="markers", marker=dots, hoverinfo="skip", name="file was run")
        )
    if record.cursor is not None:
        ring = {"symbol": "circle-open", "size": 20, "color": CURSOR}
        ring["line"] = {"width": 3, "color": CURSOR}
        data.append(
            scatter(
                x=[record.cursor[0]],
                y=[record.cursor[1]],
                mode="markers",
                marker=ring,
                hoverinfo="skip",
                name="your recipe",
            )
        )
    lines = ["Click a cell to go there."] if clicks else []
    heading = f"{record.network}: {record.title}"
    base = layout(theme, heading, lines, _HEIGHT, record.provenance)
    base["margin"] |= {"t": 106, "r": 8, "b": 136}
    base["annotations"][0]["yshift"] = -132
    shown = range(0, len(record.columns), 2)
    base |= {
        "xaxis": {
            "title": {"text": record.place, "standoff": 4},
            "tickvals": list(shown),
            "ticktext": [record.columns[i] for i in shown],
            "tickangle": -45,
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {
            "title": {"text": "Q"},
            "tickvals": list(range(len(record.qs))),
            "ticktext": [f"{q:g}" for q in record.qs],
            "showgrid": False,
            "zeroline": False,
        },
        "uirevision": record.network,
    }
    return {"data": data, "layout": base}


def _colorbar(record: Heat, z: Any, logarithmic: bool) -> dict[str, Any]:
    bar: dict[str, Any] = {"thickness": 12, "outlinewidth": 0, "len": 1.0}
    if record.what == "accuracy":
        return bar | ({"tickformat": ".0%"} if record.unit == "%" else {})
    if logarithmic and np.isfinite(z).any():
        low, high = np.nanmin(z), np.nanmax(z)
        ticks = [m * 10**e for e in range(1, 9) for m in (1, 2, 5) if low <= m * 10**e <= high]
        shown = [words.size(t).replace(".00", "").replace(".0", "") for t in ticks]
        return bar | {"tickvals": [math.log10(t) for t in ticks], "ticktext": shown}
    return bar | {"ticksuffix": " \u00b5s"}


def _iso_line(grid: Any, limit: float, name: str, dash: str) -> Trace:
    return {
        "type": "contour",
        "z": [[math.nan if v is None else v for v in row] for row in grid],
        "contours": {"start": limit, "end": limit, "size": 1, "coloring": "none"},
        "line": {"color": "#D55E00", "width": 2, "dash": dash},
        "showscale": False,
        "hoverinfo": "skip",
        "name": name,
        "showlegend": True,
    }


@dataclass(frozen=True)
class Advice:
    """The best recipe within the budget, and the nearest that are not."""

    best: Measurement | None
    near: tuple[tuple[Measurement, dict[str, float]], ...]
    n: int


def advice(known: Sequence[Measurement], budget: Budget, zipped: bool) -> Advice:
    """The smallest within the budget; then those with the smallest excess, smallest first. Of all
    whose size is known."""
    sized = [(n_bytes, m) for m in known if (n_bytes := shown_size(m, zipped)) is not None]
    within = [(n_bytes, m) for n_bytes, m in sized if budget.allows(m)]
    smallest, best = min(within, key=lambda one: (one[0], -one[1].merit), default=(None, None))
    over = [
        (m, excess)
        for n_bytes, m in sized
        if (excess := budget.excess(m)) and (smallest is None or n_bytes < smallest)
    ]
    near = sorted(over, key=lambda one: max(one[1].values()))[:_NEAR]
    return Advice(best, tuple(near), len(sized))
