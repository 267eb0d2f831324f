"""Where one begins on a network without a recipe: at the smallest within the budget."""

from __future__ import annotations

from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.kernels import Auto, Fused
from paretoscope.methods.pruning import Criterion
from paretoscope.methods.quantization import FixedPoint
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from paretoscope.sweeps.sweep import CURVE_POINTS, stops

from ui.parts import grid
from ui.parts.method_controls import pruner_of
from ui.state import server, view
from ui.state.session import session
from ui.state.subject import Subject

# Shares of the slider, with values of Q, where nothing is known yet.
_LADDER = (
    (0.5, 4), (0.3, 4), (0.0, 4), (0.5, 8), (0.3, 8), (0.0, 8), (0.3, 16), (0.0, 16), (0.0, 64),
)  # fmt: skip


def begin_within_budget(network: Network) -> None:
    """Go to the smallest recipe within the budget that is known, or, of a small network, that is
    computed now; else stay at what was carried over from another network."""
    if not session().take("arrives"):
        return
    now = session().view
    subject = server.subject(now.dataset, now.model, network, now.score, now.decision)
    known = [m for m in server.measuring().everything(subject) if _is_plain(m)]
    if len(known) < len(_LADDER):
        known += _computed(subject, now.recipe)
    best = grid.advice(known, now.budget_of(subject), now.zipped).best
    if best is None or best.recipe == Recipe():
        return
    view.begin_at(best.recipe)


def _is_plain(m: Measurement) -> bool:
    """Whether sliders move what the recipe does: no layer has its own, nothing was trained."""
    recipe = m.recipe
    kernel = recipe.kernel in (Fused(), Auto())
    return not recipe.overrides and not recipe.trains and kernel and recipe.pruner.name != "random"


def _computed(subject: Subject, recipe: Recipe) -> list[Measurement]:
    """A few recipes of the kind that one was looking at, of a network that is computed at once."""
    criterion = pruner_of(recipe)
    if not isinstance(criterion, Criterion) or criterion.needs_rows:
        return []
    places = stops(subject.network, type(criterion), "threshold", CURVE_POINTS)
    service, found = server.measuring(), []
    service.compute(subject, Recipe())
    for share, q in _LADDER:
        place = places[int(share * (len(places) - 1))]
        tried = Recipe(type(criterion)(threshold=place), FixedPoint(q))
        service.compute(subject, tried)
        known = service.known(subject, tried)
        found += [known] if known is not None else []
    return found
