"""Pins: recipes that a visitor keeps, lettered A, B, C, on every page and in the link."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe

from ui.base import words
from ui.base.theme import LETTERS
from ui.state.address import MOST_PINS, View
from ui.state.measuring import MeasuringService
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import change, go_to, plain

_A_ROW = 3  # cards beside each other


def known(
    service: MeasuringService, subject: Subject, pins: Sequence[Recipe]
) -> list[tuple[str, Measurement]]:
    """The pins of which something is known, with their letters."""
    found = zip(LETTERS, (service.known(subject, recipe) for recipe in pins), strict=False)
    return [(letter, m) for letter, m in found if m is not None]


def pin_button(view: View) -> None:
    """Keep what is looked at, or let it go."""
    if view.recipe in view.pins:
        letter = LETTERS[view.pins.index(view.recipe)]
        st.button(f"Unpin {letter}", key="unpin-this", on_click=_unpin, args=(view.recipe,))
        return
    full = len(view.pins) >= MOST_PINS
    st.button(
        f"Pin as {LETTERS[len(view.pins)]}" if not full else "Pin",
        key="pin-this",
        on_click=lambda: change(pins=(*view.pins, view.recipe)),
        disabled=full,
        help=f"Keeps this recipe, for Compare and in the link; at most {MOST_PINS}.",
    )


def show(service: MeasuringService, subject: Subject, view: View) -> None:
    """A card for each pin, with its figures; each can be gone to and let go."""
    if not view.pins:
        return
    st.subheader("Pins", anchor="pins")
    with st.container():
        columns = st.columns(min(_A_ROW, len(view.pins)))
    for number, (letter, recipe) in enumerate(zip(LETTERS, view.pins, strict=False)):
        with columns[number % _A_ROW].container(border=True):
            st.markdown(f"**{letter}** `{recipe}`  \n{_figures(service, subject, recipe)}")
            with st.container(horizontal=True):
                if recipe != view.recipe:
                    st.button("Go", key=f"go-{letter}", on_click=go_to, args=(recipe,))
                st.button("Unpin", key=f"unpin-{letter}", on_click=_unpin, args=(recipe,))


def _figures(service: MeasuringService, subject: Subject, recipe: Recipe) -> str:
    m, failure = service.known(subject, recipe), service.failure(subject, recipe)
    if failure is not None:
        return plain(failure)
    if m is None:
        return "not measured yet"
    told = [words.quality(m.quality), words.change_interval(m.change)]
    told.append(words.sized(m.size_bytes, zipped=False))
    if m.gzip_bytes is not None:
        near = "about " if m.gzip_is_estimate else ""
        told.append(near + words.sized(m.gzip_bytes, zipped=True))
    latency = m.latency()
    if latency is not None:
        told.append(words.duration(latency.median_us))
    return ", ".join(told) + (" (computed)" if m.computed else "")


def _unpin(recipe: Recipe) -> None:
    view = session().view
    change(pins=tuple(other for other in view.pins if other != recipe))


def differences(named: list[tuple[str, Measurement]]) -> pd.DataFrame:
    """What differs between recipes: only the rows that are not the same for all."""
    rows: dict[str, list[str]] = {}
    for _, m in named:
        for name, value in _parts(m).items():
            rows.setdefault(name, []).append(value)
    differing = {name: values for name, values in rows.items() if len(set(values)) > 1}
    return pd.DataFrame.from_dict(differing, orient="index", columns=[name for name, _ in named])


def _parts(m: Measurement) -> dict[str, str]:
    recipe = m.recipe
    layers = "; ".join(f"{name}: {t}" for name, t in recipe.overrides.items())
    return {
        "criterion": str(recipe.pruner),
        "neurons and filters": str(recipe.units),
        "quantizer": str(recipe.quantizer),
        "activations": str(recipe.activations),
        "layers by themselves": layers or "none",
        "recovery": str(recipe.recovery),
        "storage": str(recipe.storage),
        "run as": recipe.kernel.title.lower(),
        "accuracy": f"{words.quality(m.quality)}, {words.quality_interval(m.quality)}",
        "change": words.change_interval(m.change),
        "zeros": words.percent(m.sparsity),
        "bits": "; ".join(f"{name}: {bits} ({kind})" for name, bits, kind in m.bits),
        "size on disk": words.size(m.size_bytes),
        "size zipped": "not known yet" if m.gzip_bytes is None else words.size(m.gzip_bytes),
        "one row": _time(m, 1),
        "16 rows": _time(m, 16),
        "256 rows": _time(m, 256),
        "how": "computed, not yet run" if m.computed else "measured on its file",
    }


def _time(m: Measurement, batch: int) -> str:
    latency = m.latency(batch)
    return "not timed" if latency is None else words.duration(latency.median_us)
