"""What the charts of Explore draw: measurements -> a record; `ui.figures` draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.activations import FloatActivations
from paretoscope.methods.recipe import Recipe
from paretoscope.sweeps.front import is_efficient

from ui.base import words
from ui.parts import provenance

Axis = Literal["gzip", "size", "time"]

_SHOWN_DROP, _SHOWN_GAIN = 0.40, 0.03  # how far below and above the uncompressed model is drawn
AXIS_TITLES: dict[Axis, str] = {
    "gzip": "Size of the file under gzip −9 (log scale)",
    "size": "Size of the file on disk (log scale)",
    "time": "Inference time of one row (µs, median)",
}
_KERNEL_LINES = 2
_KINDS: dict[Axis, str] = {"gzip": "zipped", "size": "on disk"}


@dataclass(frozen=True)
class Point:
    """One recipe on a chart: `x` in bytes or microseconds, `shown` in words; accuracy as shares."""

    x: float
    accuracy: float
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
class TradeOff:
    """Exactly what a trade-off chart draws."""

    network: str
    finding: str
    recipe: str
    provenance: str
    axis: Axis
    curve: Line
    context_lines: tuple[Line, ...]
    front: tuple[Point, ...]
    baseline: Point | None
    band: tuple[float, float] | None
    cursor: Point | None
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    limits: tuple[float | None, float | None] = (None, None)
    pins: tuple[tuple[str, Point], ...] = ()
    lines: int = 0  # that are kept free below the provenance of some charts

    @property
    def alt(self) -> str:
        """The chart in a sentence, for screen readers."""
        what = f"{self.network}: accuracy against {AXIS_TITLES[self.axis].lower()}"
        points = len(self.curve.points)
        if self.cursor is None:
            return f"{what}. {points} points."
        return f"{what}. {points} points; the chosen recipe {self.recipe}: {self.cursor.text}."


def trade_off(
    axis: Axis,
    network: str,
    recipe: Recipe,
    curve: Sequence[Measurement],
    context_lines: Sequence[tuple[str, Sequence[Measurement]]],
    baseline: Measurement,
    curve_name: str,
    timing: Timing | None = None,
    budget: Budget | None = None,
    pins: Sequence[tuple[str, Measurement]] = (),
    others: Sequence[Measurement] = (),
    kernels: str | None = None,
) -> TradeOff:
    """What the chart of accuracy against `axis` draws.

    Measurements that lack the axis's figure are left out until it is there. `timing` is that of the
    recipe by protocol, if there is one: then the band is its noise, else quick quartiles. `pins`
    are lettered; `kernels` says how codes run here, or nothing yet. The front is that of all of
    them and of the `others`, of which nothing else is drawn.

    Times were taken at different loads of the machine. Each point stands at its ratio to the
    uncompressed model that was timed beside it, times one reference: the time of that model itself.
    """
    reference = _reference(baseline)
    start = _point(baseline, axis, reference)
    points = _points(curve, axis, reference)
    on_lines = [m for _, line in context_lines for m in line]
    every = {str(m.recipe): m for m in (*others, *on_lines, *(m for _, m in pins), *curve)}
    y_range = _y_range(baseline.accuracy.value)
    best = _front([*every.values(), baseline], axis, reference)
    front = tuple(p for p in best if p.accuracy >= y_range[0])  # others would be out of sight
    chosen = next((m for m in curve if m.recipe == recipe), None)
    cursor = None if chosen is None else _point(chosen, axis, reference)
    timing = timing if axis == "time" else None
    if timing is not None and cursor is not None and start is not None:
        start, cursor = _by_protocol(timing, start, cursor)
    return TradeOff(
        network=network,
        finding=_finding(axis, chosen, baseline, timing),
        recipe=str(recipe),
        provenance=_provenance(axis, baseline, chosen, timing, kernels),
        axis=axis,
        curve=Line(curve_name, points),
        context_lines=tuple(Line(name, _points(ms, axis, reference)) for name, ms in context_lines),
        front=front,
        baseline=start,
        band=_band(axis, baseline, timing),
        cursor=cursor,
        x_range=_x_range(
            axis, baseline.size_bytes if start is None else start.x, [*points, *front]
        ),
        y_range=y_range,
        limits=(None, None) if budget is None else _limits(budget, axis, baseline),
        lines=0 if kernels is None else _KERNEL_LINES,
        pins=tuple((letter, p) for letter, m in pins if (p := _point(m, axis, reference))),
    )


def standing(axis: Axis, chosen: Measurement, known: Sequence[Measurement]) -> str:
    """Where a recipe stands among all that is known, in a sentence: on the front, or behind which;
    of one that is better by less than the rows can tell it is not said that it beats."""
    x = _x(chosen, axis)
    if x is None or axis == "time":  # quick times of different loads rank nothing
        return ""
    placed = [(m, place) for m in known if (place := _x(m, axis)) is not None]
    right = chosen.accuracy.correct
    ahead = [
        (m, place)
        for m, place in placed
        if (place <= x and m.accuracy.correct > right)
        or (place < x and m.accuracy.correct == right)
    ]
    if not ahead:
        return f"On the front of the {len(placed):,} recipes known by now."
    best, place = max(ahead, key=lambda pair: (pair[0].accuracy.correct, -pair[1]))
    smaller = words.smaller(place, x) if place < x else "no larger"
    gain = words.points(best.accuracy.value - chosen.accuracy.value).removeprefix("+")
    if best.accuracy.correct == right:
        return f"As accurate and {smaller} {_KINDS[axis]}: {best.recipe}."
    if chosen.change.surely_below(best.change):
        return f"Beaten by {best.recipe}: {smaller} {_KINDS[axis]}, and better by {gain}."
    return (
        f"{best.recipe} is {smaller} {_KINDS[axis]} and better by {gain}, which "
        f"{chosen.accuracy.n:,} rows cannot tell for certain."
    )


def _limits(budget: Budget, axis: Axis, baseline: Measurement) -> tuple[float | None, float | None]:
    """The least accuracy and the most bytes or microseconds that the budget allows."""
    least = None if budget.drop is None else baseline.accuracy.value - budget.drop
    most = {"gzip": budget.gzip_bytes, "size": budget.file_bytes, "time": budget.time_us}[axis]
    return least, most


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


def _finding(
    axis: Axis, now: Measurement | None, before: Measurement, timing: Timing | None
) -> str:
    """What the chosen recipe gains and costs, in a line that can be shared."""
    if now is None:
        return "measuring"
    cost = f"accuracy {words.change_interval(now.change)}"
    if timing is not None:
        return f"{words.faster(timing)}, {cost}"
    latency, x, x_before = now.latency(), _x(now, axis), _x(before, axis)
    if axis == "time" and latency is not None:
        return f"{words.faster(latency)}, {cost}"
    if axis != "time" and x is not None and x_before is not None:
        return f"{words.smaller(x, x_before)} {_KINDS[axis]}, {cost}"
    return cost


def _y_range(baseline: float) -> tuple[float, float]:
    """From well below the uncompressed model to a little above: worse is out of the question."""
    return max(0.0, baseline - _SHOWN_DROP), min(1.0, baseline + _SHOWN_GAIN) + 0.005


def _front(known: Sequence[Measurement], axis: Axis, reference: float | None) -> tuple[Point, ...]:
    """The points that none beats, from left to right, each recipe's files once."""
    placed = [(m, p) for m in known if (p := _point(m, axis, reference)) is not None]
    costs = np.array([(p.x, -p.accuracy) for _, p in placed], np.float64).reshape(-1, 2)
    best = [placed[i][1] for i in np.flatnonzero(is_efficient(costs))]
    return tuple(sorted(best, key=lambda p: (p.x, p.recipe)))


def _points(
    measurements: Sequence[Measurement], axis: Axis, reference: float | None
) -> tuple[Point, ...]:
    return tuple(p for m in measurements if (p := _point(m, axis, reference)) is not None)


def _point(measurement: Measurement, axis: Axis, reference: float | None) -> Point | None:
    x = _x(measurement, axis)
    if x is None:
        return None
    spread: tuple[float | None, float | None] = (None, None)
    latency = measurement.latency()
    shown = words.duration(x) if axis == "time" else words.sized(x, zipped=axis == "gzip")
    told = shown
    if axis == "time" and latency is not None:
        spread = latency.quartiles_us
        if reference is not None and measurement.recipe != Recipe():
            x = latency.ratio * reference
            scale = x / latency.median_us
            spread = tuple(scale * end for end in latency.quartiles_us)  # type: ignore[assignment]
            beside = words.duration(latency.baseline_median_us)
            shown = f"{latency.ratio:.2f} of the time"
            told = f"{shown} ({words.duration(latency.median_us)} beside {beside})"
    accuracy = measurement.accuracy
    state = "computed, not yet run" if measurement.computed else "measured on its file"
    text = f"{words.percent(accuracy.value)}, {told}, {words.percent(measurement.sparsity)} zeros"
    return Point(
        x,
        accuracy.value,
        *accuracy.interval,
        measurement.computed,
        f"{text}, {state}",
        x_low=spread[0],
        x_high=spread[1],
        recipe=str(measurement.recipe),
        shown=shown,
    )


def _reference(baseline: Measurement) -> float | None:
    """The time in microseconds at which the uncompressed model stands."""
    latency = baseline.latency()
    return None if latency is None else latency.median_us


def _x(measurement: Measurement, axis: Axis) -> float | None:
    if axis == "gzip":
        return measurement.gzip_bytes
    if axis == "size":
        return measurement.size_bytes
    latency = measurement.latency()
    return None if latency is None else latency.median_us


def _x_range(axis: Axis, baseline: float, points: Sequence[Point]) -> tuple[float, float]:
    """The same for nearly every slider position of a network, so that nothing jumps; a step wider
    where points would be out of sight. Whiskers may end out of sight: on a busy machine they are
    long."""
    places = [p.x for p in points]
    smallest, largest = min(places, default=baseline), max(places, default=baseline)
    if axis == "time":
        return 0.0, baseline * next((s for s in (1.6, 2.5, 4, 6) if s * baseline > largest), 10)
    low = baseline / next((d for d in (30, 100, 300) if baseline / d < smallest), 1000)
    return low, baseline * (1.25 if largest < 1.25 * baseline else 2.5)


def _provenance(
    axis: Axis,
    baseline: Measurement,
    chosen: Measurement | None,
    timing: Timing | None,
    kernels: str | None,
) -> str:
    file = None if chosen is None else chosen.file_sha256
    *what, machine = provenance.lines(baseline, file=file)
    marks = "whiskers: 95 % interval of accuracy"
    if axis == "time":
        marks += ", quartiles of quick times, each placed by its ratio<br>grey band: "
        marks += "quartiles of the uncompressed model" if timing is None else "A/A noise"
        marks += f"<br>{kernels}" if kernels else ""
    return "<br>".join([*what, marks, machine])


def line_name(recipe: Recipe) -> str:
    """How a curve is called: by its quantizer, or its activations where they bring their own."""
    if not isinstance(recipe.activations, FloatActivations):
        return str(recipe.activations)
    return recipe.quantizer.line
