"""What Explore asks to be measured, from a view: curve, grid, and the request.

A plan is the same object for as long as nothing in it changes, so what is made of it, at a version
of what the service knows, is made once for all visitors who look at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from paretoscope.methods.recipe import Recipe
from paretoscope.sweeps.lines import in_lines

from ui.parts import controls, grid
from ui.state.address import View
from ui.state.measuring import MeasuringRequest
from ui.state.subject import Subject


@dataclass(frozen=True, eq=False)
class ExplorePlan:
    """Attributes
    ----------
    curve : recipes along the slider at hand
    lines : the grid of thresholds and Q, a line for each Q
    pins : recipes that the visitor keeps
    request : all of it, in the order in which the service is to measure it
    """

    subject: Subject
    recipe: Recipe
    curve: tuple[Recipe, ...]
    lines: tuple[tuple[Recipe, ...], ...]
    pins: tuple[Recipe, ...]
    request: MeasuringRequest


def plan_of(view: View, subject: Subject, asked: frozenset[str]) -> ExplorePlan:
    """The plan of a view; `asked` are the trainings that the visitor started."""
    linked = controls.linked_place(view.recipe)
    asked = asked if view.recipe.trains else frozenset()
    return _plan(subject, view.recipe, linked, view.pins, view.zipped, asked)


@lru_cache(maxsize=128)
def _plan(
    subject: Subject,
    recipe: Recipe,
    linked: float | None,
    pins: tuple[Recipe, ...],
    zipped: bool,
    asked: frozenset[str],
) -> ExplorePlan:
    curve = controls.curve_of(subject.network, recipe, linked)
    if recipe not in curve:  # without pruning it stands where the threshold is zero
        curve.insert(0, recipe)
    here = curve.index(recipe)
    ordered = sorted(curve, key=lambda other: abs(curve.index(other) - here))
    if recipe.trains:  # a curve of trainings would take hours: only what was asked for
        ordered = [other for other in ordered if str(other) in asked]
    lines = grid.lines_of(subject.network, recipe)
    pinned = [pin for pin in pins if not pin.trains and pin not in ordered]
    on_lines: list[Sequence[Recipe]] = [curve] if lines and not recipe.trains else []
    request = MeasuringRequest(
        subject,
        [Recipe(), *ordered, *pinned],
        lines=[[r for r in line if in_lines([r])[0]] for line in on_lines]
        + grid.nearest_first(lines, recipe),
        zipped=zipped,
    )
    return ExplorePlan(subject, recipe, tuple(curve), lines, pins, request)
