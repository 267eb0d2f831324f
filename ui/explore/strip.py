"""The strip of sliders above the charts: Prune, Quantize, Recover, with a small picture each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import parameters
from paretoscope.methods.activations import Int8Activations
from paretoscope.methods.pruning import Criterion, smallest_kept
from paretoscope.methods.quantization import FixedPoint, Quantizer
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import RECOVERIES
from paretoscope.network.network import Network
from paretoscope.network.sketch import Sketch, sketch_of

from ui.base import words
from ui.base.theme import Theme, here
from ui.parts import controls
from ui.parts.method_controls import (
    axis_of,
    choose_short,
    first_parameter,
    place_label,
    pruner_of,
    put,
)
from ui.state import view

WIDTH, _HEIGHT, BARS = 300, 34, 60
_SEEN = 0.995  # the share of the weights that a picture shows: a few large ones would flatten it
_MOST_LINES = 60  # of a finer grid no line could be told from the next


def show(network: Network, recipe: Recipe) -> None:
    """Draw it; what is moved changes the visitor's view."""
    with st.container(border=True, key="strip"):
        prune, quantize, recover = st.columns([1, 1, 0.95], gap="medium")
        with prune:
            _prune(network, pruner_of(recipe))
        with quantize:
            _quantize(network, recipe)
        with recover:
            _heading("Recover", "")
            choose_short("recovery", "Recovery", recipe.recovery, RECOVERIES)


def _heading(name: str, value: str, help_text: str | None = None) -> None:
    told = f"**{name}** :blue[{view.plain(value)}]" if value else f"**{name}**"
    st.markdown(told, help=help_text)


def _prune(network: Network, criterion: Criterion) -> None:
    axis = axis_of(criterion)
    shown = "" if axis == "pattern" else place_label(criterion)(getattr(criterion, axis))
    told = (
        f"{shown} {_both_ways(sketch_of(network), criterion)}"
        if shown
        else f"{criterion.pattern} pattern"
    )
    _heading("Prune", told.strip(), parameters(type(criterion))[axis].help)
    kept = kept_per_bar(sketch_of(network), criterion)
    st.image(
        _histogram(sketch_of(network), kept, here()),
        width="stretch",
        alt=f"Histogram of the magnitudes of {network.n_weights:,} weights; what is cut is grey",
    )
    controls.choose_place(network, criterion)


def _quantize(network: Network, recipe: Recipe) -> None:
    quantizer = recipe.quantizer
    first = first_parameter(quantizer)
    bits = _bits(network, recipe)
    value = bits.removeprefix("= ") if first is None else f"{quantizer.line} {bits}"
    if isinstance(recipe.activations, Int8Activations):
        value = "codes of 8 bits, with 8-bit activations"
    _heading("Quantize", value, _rounding(quantizer))
    st.image(
        grid_picture(sketch_of(network), quantizer, here()),
        width="stretch",
        alt="Histogram of the weights, with a line at each value that can be stored",
    )
    if first is not None:
        controls.first_of_quantizer(network, recipe)
    elif not isinstance(recipe.activations, Int8Activations) and quantizer.float_bits is not None:
        st.button(
            "Quantize",
            type="tertiary",
            on_click=put,
            args=("quantizer", FixedPoint(8)),
            help="Rounds each weight to a whole number: a = round(w * Q).",
        )


# --- words --------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _both_ways(network: Network, criterion: Criterion) -> str:
    """What a threshold amounts to in sparsity, or the other way round."""
    if criterion.needs_rows:
        return "by scores on training rows"
    scores = criterion.scores(network, None)
    cut = criterion.selection(scores)
    if criterion.threshold is not None:
        return f"= {words.percent(cut.sparsity(network.weights))} zeros"
    limit = smallest_kept(scores, cut)
    if limit is None:
        return "= all"
    where = "" if criterion.scope == "global" else f" in one {criterion.scope}"
    return f"= {criterion.score} < {limit:.3g}{where}"


@lru_cache(maxsize=256)
def _bits_of_layers(network: Network, quantizer: Quantizer) -> list[int]:
    kept = np.ones(1, np.bool_)
    weights = network.weights.values()
    return [quantizer.grid(weight, kept).project(weight).bits for weight in weights]


def _bits(network: Network, recipe: Recipe) -> str:
    """What the codes take, for quantizers that tell without making the file."""
    quantizer = recipe.quantizer
    if quantizer.float_bits is not None:
        return f"= {quantizer.float_bits}-bit floats"
    try:
        bits = _bits_of_layers(sketch_of(network), quantizer)
    except ParetoscopeError as error:
        return str(error)
    span = f"{min(bits)}" if min(bits) == max(bits) else f"{min(bits)} to {max(bits)}"
    return f"= codes of {span} bits"


def _rounding(quantizer: Quantizer) -> str | None:
    """What the quantizer does to a weight."""
    first = first_parameter(quantizer)
    told = None if first is None else parameters(type(quantizer))[first].help
    if quantizer.factor is None or told is None:
        return told
    return f"{told} Error at most 1 / (2 Q) = {1 / (2 * quantizer.factor):.3g} a weight."


# --- pictures -----------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def bars_of(network: Network) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64], float]:
    """Of each weight the bar in which its magnitude falls, how many fall in each, and where the
    last one ends."""
    magnitudes = np.abs(np.concatenate([w.ravel() for w in network.weights.values()]))
    end = float(np.quantile(magnitudes, _SEEN)) or 1.0
    bars = np.minimum((magnitudes * (BARS / end)).astype(np.intp), BARS)
    return bars, np.bincount(bars, minlength=BARS + 1)[:BARS], end


@lru_cache(maxsize=256)
def kept_per_bar(network: Network, criterion: Criterion) -> tuple[int, ...]:
    """How many weights of each bar are kept; all, where that takes training rows to tell, or the
    neighbours of each weight."""
    bars, counts, _ = bars_of(network)
    if criterion.needs_rows or (criterion.pattern is not None and isinstance(network, Sketch)):
        return tuple(counts.tolist())
    try:
        cut = criterion.selection(criterion.scores(network, None))
    except ParetoscopeError:  # a pattern that does not divide a layer; the page says so
        return tuple(counts.tolist())
    kept = np.concatenate(
        [np.broadcast_to(cut.kept[name], w.shape).ravel() for name, w in network.weights.items()]
    )
    return tuple(np.bincount(bars[kept], minlength=BARS + 1)[:BARS].tolist())


def _histogram(network: Network, kept: tuple[int, ...], theme: Theme) -> str:
    """The magnitudes of all weights; what is cut is grey."""
    _, counts, _ = bars_of(network)
    highest = max(1, int(counts.max()))
    width = WIDTH / BARS
    drawn = []
    for i, (n, n_kept) in enumerate(zip(counts.tolist(), kept, strict=True)):
        for part, colour in ((n, theme.cut), (n_kept, theme.curve)):
            height = (_HEIGHT - 2) * part / highest
            if part:
                drawn.append(
                    f"<rect x='{i * width:.1f}' y='{_HEIGHT - height:.1f}' "
                    f"width='{width - 1:.1f}' height='{height:.1f}' fill='{colour}'/>"
                )
    return _svg(drawn)


def grid_picture(network: Network, quantizer: Quantizer, theme: Theme) -> str:
    """All weights, mirrored about zero, with a line at each value that Q can store."""
    _, counts, end = bars_of(network)
    highest = max(1, int(counts.max()))
    mirrored = [*reversed(counts.tolist()), *counts.tolist()]
    width = WIDTH / len(mirrored)
    drawn = [
        f"<rect x='{i * width:.2f}' y='{_HEIGHT - (_HEIGHT - 2) * n / highest:.1f}' "
        f"width='{width:.2f}' height='{(_HEIGHT - 2) * n / highest:.1f}' fill='{theme.cut}'/>"
        for i, n in enumerate(mirrored)
    ]
    factor = quantizer.factor
    n_lines = 0 if factor is None else int(end * factor)
    if factor is not None and n_lines <= _MOST_LINES // 2:
        for code in range(-n_lines, n_lines + 1):
            x = WIDTH / 2 * (1 + code / (factor * end))
            drawn.append(
                f"<line x1='{x:.1f}' x2='{x:.1f}' y1='2' y2='{_HEIGHT}' stroke='{theme.curve}' "
                "stroke-width='1.5'/>"
            )
    elif factor is not None:
        drawn.append(
            f"<rect x='0' y='{_HEIGHT - 4}' width='{WIDTH}' height='4' fill='{theme.curve}'/>"
        )
    return _svg(drawn)


def _svg(parts: list[str]) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{_HEIGHT}' "
        f"viewBox='0 0 {WIDTH} {_HEIGHT}' preserveAspectRatio='none'>{''.join(parts)}</svg>"
    )
