"""What the charts of Explore draw: measurements -> a record; `ui.figures` draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.activations import FloatActivations
from paretoscope.methods.pruning import Criterion
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import NoRecovery
from paretoscope.problems.accuracy import Difference
from paretoscope.problems.classification import Correct
from paretoscope.problems.score import Score
from paretoscope.sweeps.front import is_efficient

from ui.base import words
from ui.parts import provenance
from ui.parts.headline import headline, sentence
from ui.parts.method_controls import axis_of, place_label
from ui.state.address import Judged, View

Axis = Literal["gzip", "size", "ratio", "time"]

# How far below the uncompressed model is drawn, as a share of the score's range or of its
# own score: where decisions are made, and wider in steps where the chosen recipe lies lower.
_DEPTHS = (0.10, 0.20, 0.40, 1.0)
_FAR = (2.0, 4.0, 10.0)  # of scores without an end
_ABOVE = 0.08  # of the depth, above the uncompressed model at least
_CELLS = (300, 200)  # of dots that lie nearer to each other only one is drawn
AXIS_TITLES: dict[Axis, str] = {
    "gzip": "Size of the file, zipped (log scale)",
    "size": "Size of the file on disk (log scale)",
    "ratio": "How many times smaller (log scale)",
    "time": "Inference time of one row, \u00b5s (median)",
}
_SPOKEN: dict[Axis, str] = {
    "gzip": "size, zipped",
    "size": "size, on disk",
    "ratio": "compression ratio",
    "time": "time",
}
_TITLES: dict[Axis, str] = {
    "gzip": "size",
    "size": "size",
    "ratio": "compression ratio",
    "time": "time",
}
_KINDS: dict[Axis, str] = {"gzip": "zipped", "size": "on disk"}


@dataclass(frozen=True)
class Point:
    """One recipe on a chart: `x` in the axis's unit, `shown` in words; the score `y` between `low`
    and `high`."""

    x: float
    y: float
    low: float
    high: float
    computed: bool
    text: str
    x_low: float | None = None
    x_high: float | None = None
    recipe: str = ""
    shown: str = ""


@dataclass(frozen=True)
class Line:
    """The points along one parameter, in its order."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Dots:
    """Recipes that are drawn small: places, and whether the rows cannot tell one from the front."""

    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    recipes: tuple[str, ...] = ()
    undecided: tuple[bool, ...] = ()


@dataclass(frozen=True)
class TradeOff:
    """Exactly what a trade-off chart draws.

    `headline` and `sentence` stand above it where it is a picture by itself, `recipe` and
    `provenance` (lines) below; `brief` stands beside the ring. `n_known` recipes
    are what the front is of. `y_range` runs from the worse end to the better: upward is better on
    every chart, also of a score of which less is better.
    """

    network: str
    headline: str
    sentence: str
    recipe: str
    brief: str
    provenance: tuple[str, ...]
    axis: Axis
    curve: Line
    dots: Dots
    front: tuple[Point, ...]
    n_known: int
    baseline: Point | None
    band: tuple[float, float] | None
    band_name: tuple[str, ...]
    cursor: Point | None
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    limits: tuple[float | None, float | None] = (None, None)
    budget: str = ""
    pins: tuple[tuple[str, Point], ...] = ()
    lines: tuple[Line, ...] = ()
    score: str = "Accuracy"
    spoken: str = "accuracy"
    unit: str = "%"

    @property
    def title(self) -> str:
        less = "" if self.rises else " (better is up)"
        return f"{self.score} against {_TITLES[self.axis]}{less}"

    @property
    def rises(self) -> bool:
        """Whether the score's axis rises upward."""
        return self.y_range[1] > self.y_range[0]

    def height_of(self, y: float) -> float:
        """Where a score lies, as a share of the chart's height."""
        return _height(y, self.y_range)

    @property
    def alt(self) -> str:
        """The chart in a sentence, for screen readers."""
        told = [f"{self.network}: {self.spoken} against {_SPOKEN[self.axis]}"]
        if self.lines:
            told.append("; ".join(f"{line.name}: {len(line.points)} points" for line in self.lines))
        elif self.curve.points:
            told.append(f"{len(self.curve.points)} points")
        else:
            told.append(f"{self.n_known:,} recipes are known, {len(self.front)} on the front")
        if self.cursor is not None:
            told.append(f"The chosen recipe {self.recipe}: {self.cursor.text}")
        return f"{'. '.join(told)}."


@dataclass(frozen=True)
class Asked:
    """What a visitor set of a chart: the horizontal axis, whether all of the vertical one is shown,
    the budget, the drop that is asked about, and the score."""

    axis: Axis
    whole: bool = False
    zipped: bool = True
    budget: Budget = field(default_factory=Budget)
    margin: float = 0.005
    score: Score = field(default_factory=Correct)


def size_asked(view: View, judged: Judged) -> Asked:
    """What a view asks of the chart of a score against size."""
    size: Axis = "gzip" if view.zipped else "size"
    return _asked_of(view, "ratio" if view.across == "ratio" else size, judged)


def time_asked(view: View, judged: Judged) -> Asked:
    """What a view asks of the chart of a score against time."""
    return _asked_of(view, "time", judged)


def _asked_of(view: View, axis: Axis, judged: Judged) -> Asked:
    whole = view.span == "whole"
    losses = view.budget_of(judged), view.margin_of(judged)
    return Asked(axis, whole, view.zipped, *losses, judged.score)


def trade_off(
    asked: Asked,
    network: str,
    recipe: Recipe,
    curve: Sequence[Measurement],
    baseline: Measurement,
    timing: Timing | None = None,
    pins: Sequence[tuple[str, Measurement]] = (),
    others: Sequence[Measurement] = (),
    kernels: str | None = None,
    lines: Sequence[tuple[str, Sequence[Measurement]]] = (),
) -> TradeOff:
    """What the chart of a score against `asked.axis` draws.

    Measurements that lack the axis's figure are left out until it is there. `timing` is that of the
    recipe by protocol, if there is one: then the band is its noise, else quick quartiles. `pins`
    are lettered; `kernels` says how codes run here; `lines` are compared with each other, each by
    its name. Dots and front are of all of them and of the `others`; times of different loads rank
    nothing, and so have neither.

    Times were taken at different loads of the machine. Each point stands at its ratio to the
    uncompressed model that was timed beside it, times one reference: the time of that model itself.
    """
    axis = asked.axis
    scale = _Scale(axis, asked.zipped, baseline)
    start = scale.point(baseline)
    points = scale.points(curve)
    every = {str(m.recipe): m for m in (*others, *(m for _, m in pins), *curve, baseline)}
    ranked = [] if axis == "time" else [m for m in every.values() if scale.x(m) is not None]
    chosen = every.get(str(recipe))
    compared = tuple(Line(name, scale.points(line)) for name, line in lines)
    y_range = _y_range(asked, baseline, chosen, list(every.values()))
    best = _front(ranked, scale)
    front = tuple(p for p in best if _height(p.y, y_range) >= 0)  # others would be out of sight
    cursor = None if chosen is None else scale.point(chosen)
    by_protocol = timing
    timing = timing if axis == "time" else None
    if timing is not None and cursor is not None and start is not None:
        start, cursor = _by_protocol(timing, start, cursor)
    time = by_protocol or (None if chosen is None else chosen.latency())
    drawn = (*points, *front, *(p for line in compared for p in line.points))
    seen = [p for p in drawn if _height(p.y, y_range) >= 0]
    x_range = scale.range(seen)
    words_of = {"zipped": asked.zipped}
    return TradeOff(
        network=network,
        headline=headline(chosen, baseline, time, margin=asked.margin, **words_of),
        sentence="" if chosen is None else sentence(network, chosen, baseline, time, **words_of),
        recipe=str(recipe),
        brief=brief(recipe),
        provenance=_provenance(axis, baseline, chosen, timing, kernels),
        axis=axis,
        curve=Line(line_name(recipe), points),
        dots=_dots(ranked, scale, x_range, y_range),
        front=front,
        n_known=len(ranked),
        baseline=start,
        band=_band(axis, baseline, timing),
        band_name=("quartiles of the", "uncompressed")
        if timing is None
        else ("no measurable", "difference"),
        cursor=cursor,
        x_range=x_range,
        y_range=y_range,
        limits=_limits(asked, baseline),
        budget=_budget_name(asked),
        pins=tuple((letter, p) for letter, m in pins if (p := scale.point(m))),
        lines=compared,
        score=asked.score.title,
        spoken=asked.score.spoken,
        unit=asked.score.unit,
    )


def standing(axis: Axis, chosen: Measurement, known: Sequence[Measurement]) -> str:
    """Where a recipe stands among all that is known, in a sentence: on the front, or behind which;
    of one that is better by less than the rows can tell it is not said that it beats."""
    x = _x(chosen, axis)
    if x is None or axis == "time":  # quick times of different loads rank nothing
        return ""
    placed = [(m, place) for m in known if (place := _x(m, axis)) is not None]
    right = chosen.merit
    ahead = [
        (m, place)
        for m, place in placed
        if (place <= x and m.merit > right) or (place < x and m.merit == right)
    ]
    if not ahead:
        return f"On the front of the {len(placed):,} recipes known by now."
    best, place = max(ahead, key=lambda pair: (pair[0].merit, -pair[1]))
    smaller = words.smaller(place, x) if place < x else "no larger"
    gain = words.amount(best.merit - right, chosen.change.unit)
    if best.merit == right:
        good = "accurate" if chosen.score == "accuracy" else "good"
        return f"As {good} and {smaller} {_KINDS[axis]}: {best.recipe}."
    if chosen.change.surely_below(best.change):
        return f"Beaten by {best.recipe}: {smaller} {_KINDS[axis]}, and better by {gain}."
    return (
        f"{best.recipe} is {smaller} {_KINDS[axis]} and better by {gain}, which "
        f"{chosen.quality.n:,} rows cannot tell for certain."
    )


def _limits(asked: Asked, baseline: Measurement) -> tuple[float | None, float | None]:
    """The worst score, and the most of the axis's unit that the budget allows (of a ratio: the
    least)."""
    budget, least = asked.budget, None
    if budget.drop is not None:
        lost = -budget.drop if asked.score.higher_is_better else budget.drop
        least = baseline.quality.value + lost
    most = {"gzip": budget.gzip_bytes, "size": budget.file_bytes, "time": budget.time_us}
    return least, most.get(asked.axis)


def _budget_name(asked: Asked) -> str:
    if asked.budget.drop is None:
        return "within your budget"
    return f"within your budget: {words.loss(asked.budget.drop, asked.score)}"


def _by_protocol(timing: Timing, start: Point, cursor: Point) -> tuple[Point, Point]:
    """Star and ring where the protocol found them; the other points stay quick ones."""
    (low, high), before = timing.quartiles_us, timing.baseline_median_us
    found = f"measured properly: {words.ratio(timing)} of the time before"
    text = f"{cursor.text}; {words.duration(timing.median_us)}, {found}"
    shown = words.duration(timing.median_us)
    ring = replace(cursor, x=timing.median_us, x_low=low, x_high=high, text=text, shown=shown)
    return replace(start, x=before), ring


def _band(axis: Axis, baseline: Measurement, timing: Timing | None) -> tuple[float, float] | None:
    """The grey band: what an identical copy of the uncompressed model takes by protocol, or the
    quick quartiles of the uncompressed model itself."""
    latency = baseline.latency()
    if axis != "time" or latency is None:
        return None
    if timing is None:
        return latency.quartiles_us
    low, high = timing.noise_interval
    return low * timing.baseline_median_us, high * timing.baseline_median_us


def _y_range(
    asked: Asked, baseline: Measurement, chosen: Measurement | None, known: Sequence[Measurement]
) -> tuple[float, float]:
    """The last stretch below the uncompressed model, so deep that the chosen recipe is in sight;
    and a little above the best."""
    score, start = asked.score, baseline.merit
    ends = sorted((score.low, score.high) if score.higher_is_better else (-score.high, -score.low))
    whole = min(ends[1] - ends[0], abs(start)) or 1.0
    if score.higher_is_better and math.isfinite(score.high) and math.isfinite(score.low):
        whole = score.high - score.low
    lost = 0.0 if chosen is None else start - chosen.merit
    if asked.whole:
        lost = max([whole if math.isfinite(ends[0]) else 0.0, *(start - m.merit for m in known)])
    steps = (*_DEPTHS, *_FAR)
    far = math.ceil(lost / (0.95 * whole))
    depth = whole * next((d for d in steps if lost <= 0.95 * d * whole), far)
    depth = min(depth, max(whole, start - ends[0]))  # no further than the worst that there is
    gained = max([0.0, *(m.merit - start for m in known)])
    # In steps, so that no new dot moves the axis, and with it a visitor's zoom.
    step = 0.01 * whole
    above = max(_ABOVE * depth, step * math.ceil(gained / step + 0.5) if gained > 0 else 0.0)
    worst, best = max(ends[0], start - depth), min(start + above, ends[1] + 0.5 * _ABOVE * depth)
    return (worst, best) if score.higher_is_better else (-worst, -best)


def _height(y: float, y_range: tuple[float, float]) -> float:
    worst, best = y_range
    return (y - worst) / (best - worst)


def _front(known: Sequence[Measurement], scale: _Scale) -> tuple[Point, ...]:
    """The points that none beats, from left to right, each recipe's files once."""
    costs = np.array([(scale.cost(m), -m.merit) for m in known], np.float64)
    efficient = is_efficient(costs.reshape(-1, 2))
    best = [m for m, stands in zip(known, efficient, strict=True) if stands]
    return tuple(sorted(scale.points(best), key=lambda p: (p.x, p.recipe)))


def _dots(
    known: Sequence[Measurement],
    scale: _Scale,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> Dots:
    """What is known within sight, of those at nearly one place the best. One is undecided where the
    rows cannot tell it from the best that costs no more: it is not drawn as beaten."""
    left, right = x_range
    best: Difference | None = None
    found: dict[tuple[int, int], tuple[float, float, str, bool]] = {}
    for m in sorted(known, key=lambda m: (scale.cost(m), -m.merit)):
        if best is None or m.change.gain > best.gain:
            best = m.change
        x, y = scale.x(m), m.quality.value
        assert x is not None
        height = _height(y, y_range)
        if not (left <= x <= right and 0 <= height <= 1) or m.recipe == Recipe():
            continue
        across = (math.log(x) - math.log(left)) / (math.log(right) - math.log(left))
        cell = round(across * _CELLS[0]), round(height * _CELLS[1])
        found.setdefault(cell, (x, y, str(m.recipe), not m.change.surely_below(best)))
    if not found:
        return Dots()
    return Dots(*map(tuple, zip(*found.values(), strict=True)))


@dataclass(frozen=True)
class _Scale:
    """Where measurements stand along an axis."""

    axis: Axis
    zipped: bool
    baseline: Measurement

    def x(self, m: Measurement) -> float | None:
        if self.axis == "time":
            latency = m.latency()
            return None if latency is None else latency.median_us
        if self.axis == "ratio":
            mine, first = _bytes(m, zipped=self.zipped), _bytes(self.baseline, zipped=self.zipped)
            return None if mine is None or first is None else first / mine
        return _bytes(m, zipped=self.axis == "gzip")

    def cost(self, m: Measurement) -> float:
        """Less is better. Of measurements that have a place."""
        x = self.x(m)
        assert x is not None
        return 1 / x if self.axis == "ratio" else x

    def points(self, measurements: Sequence[Measurement]) -> tuple[Point, ...]:
        return tuple(p for m in measurements if (p := self.point(m)) is not None)

    def point(self, m: Measurement) -> Point | None:
        x = self.x(m)
        if x is None:
            return None
        spread: tuple[float | None, float | None] = (None, None)
        shown = self._shown(x, m)
        told, latency, reference = shown, m.latency(), self.baseline.latency()
        if self.axis == "time" and latency is not None:
            spread = latency.quartiles_us
            if reference is not None and m.recipe != Recipe():
                x = latency.ratio * reference.median_us
                scale = x / latency.median_us
                spread = tuple(scale * end for end in latency.quartiles_us)  # type: ignore[assignment]
                beside = words.duration(latency.baseline_median_us)
                shown = f"{latency.ratio:.2f} of the time"
                told = f"{shown} ({words.duration(latency.median_us)} beside {beside})"
        state = "computed, not yet run" if m.computed else "measured on its file"
        if self.axis == "gzip" and m.gzip_is_estimate:
            state = f"{state}, its size estimated"
        text = f"{words.quality(m.quality)}, {told}, {words.percent(m.sparsity)} zeros"
        return Point(
            x,
            m.quality.value,
            *(m.quality.interval or (m.quality.value, m.quality.value)),
            m.computed,
            f"{text}, {state}",
            x_low=spread[0],
            x_high=spread[1],
            recipe=str(m.recipe),
            shown=shown,
        )

    def _shown(self, x: float, m: Measurement) -> str:
        if self.axis == "time":
            return words.duration(x)
        zipped = self.zipped if self.axis == "ratio" else self.axis == "gzip"
        near = "\u2248 " if zipped and m.gzip_is_estimate else ""
        size = near + words.size(_bytes(m, zipped=zipped) or 0)
        return f"{words.three_digits(x)}{words.TIMES}, {size}" if self.axis == "ratio" else size

    def range(self, points: Sequence[Point]) -> tuple[float, float]:
        """The same for nearly every slider position of a network, so that nothing jumps; a step
        wider where points would be out of sight. Whiskers may end out of sight: on a busy machine
        they are long."""
        start = self.x(self.baseline) or self.baseline.size_bytes
        places = [p.x for p in points]
        smallest, largest = min(places, default=start), max(places, default=start)
        if self.axis == "time":
            return 0.0, start * next((s for s in (1.25, 1.6, 2.5, 4, 6) if s * start > largest), 10)
        if self.axis == "ratio":
            return 0.8, next((float(r) for r in (10, 30, 100, 300) if r > 1.2 * largest), 1000.0)
        low = start / next((d for d in (10, 30, 100, 300) if start / d < 0.6 * smallest), 1000)
        return low, start * (1.4 if largest < 1.3 * start else 2.5)


def _bytes(m: Measurement, *, zipped: bool) -> int | None:
    return m.gzip_bytes if zipped else m.size_bytes


def _x(measurement: Measurement, axis: Axis) -> float | None:
    return None if axis not in _KINDS else _bytes(measurement, zipped=axis == "gzip")


def _provenance(
    axis: Axis,
    baseline: Measurement,
    chosen: Measurement | None,
    timing: Timing | None,
    kernels: str | None,
) -> tuple[str, ...]:
    """All that a picture by itself says of where its figures come from."""
    file = None if chosen is None else chosen.file_sha256
    rows, made, machine = provenance.lines(baseline, file=file)
    marks = "whiskers: 95 % interval; small dots: known recipes, dark where rows cannot tell"
    if axis == "time":
        marks = (
            "whiskers: 95 % interval, quartiles of quick times, each placed by its ratio; band: "
        )
        marks += "quartiles of the uncompressed model" if timing is None else "A/A noise"
    how = [kernels] if kernels else []
    return (f"{rows}, {made}", marks, *how, machine.replace("<br>", ", "))


def note(baseline: Measurement, chosen: Measurement | None) -> str:
    """The line of provenance beneath a chart on the page."""
    told = [f"{baseline.quality.n:,} {words.rows(baseline.split)}", "whiskers 95 %"]
    if chosen is not None and chosen.file_sha256:
        told.append(f"file {chosen.file_sha256[:7]}")
    return " \u00b7 ".join(told)


def brief(recipe: Recipe) -> str:
    """Threshold and quantizer in as few letters as stand beside a ring.

    >>> brief(Recipe.parse("magnitude(threshold=0.065)+q(8)")), brief(Recipe())
    ('|w| < 0.065, Q = 8', 'float32')
    """
    told = []
    if isinstance(recipe.pruner, Criterion):
        axis = axis_of(recipe.pruner)
        value = getattr(recipe.pruner, axis)
        told.append(value if axis == "pattern" else place_label(recipe.pruner)(value))
    told.append(line_name(recipe))
    told += [recipe.recovery.short or recipe.recovery.title] * (recipe.recovery != NoRecovery())
    return ", ".join(told)


def line_name(recipe: Recipe) -> str:
    """How a curve is called: by its quantizer, or its activations where they bring their own."""
    if not isinstance(recipe.activations, FloatActivations):
        return str(recipe.activations)
    return recipe.quantizer.line
