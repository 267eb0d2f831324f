"""The three limits of a budget, as fields to type in."""

from __future__ import annotations

from functools import partial

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import format_value

from ui.base import words
from ui.state.address import DROPS, LIMITS, SIZES, Judged, View
from ui.state.control import control
from ui.state.session import session
from ui.state.view import change, plain


def budget_words(view: View, judged: Judged) -> str:
    """The budget in a few words."""
    told, drop = [], view.drop_of(judged)
    if drop is not None:
        lost = " lost" if judged.score.unit == "%" else ""
        told.append(f"at most {words.loss(drop, judged.score)}{lost}")
    if view.kb is not None:
        told.append(f"{format_value(view.kb)} kB {SIZES[view.size]}")
    if view.us is not None:
        told.append(f"{format_value(view.us)} \u00b5s")
    return ", ".join(told) or "no limit"


def budget_fields(view: View, judged: Judged) -> None:
    """The three limits; an empty field is no limit."""
    shown, score, drop = SIZES[view.size], judged.score, view.drop_of(judged)
    unit = "points" if score.unit == "%" else score.unit
    fields = (
        (
            "drop",
            f"Largest loss, {unit}" if unit else f"Largest loss of {score.spoken}",
            None if drop is None else words.scale(score.unit) * drop,
            f"Of {score.spoken} on these rows.",
        ),
        ("kb", f"Largest file, kB {shown}", view.kb, "1 kB is 1,000 bytes."),
        ("us", "Longest time, \u00b5s", view.us, "Of one row, the median, on this machine."),
    )
    row = st.container(horizontal=True)
    for name, label, value, text in fields:
        shown = "" if value is None else format_value(float(f"{value:.6g}"))
        limit = control(name, shown)
        row.text_input(
            label,
            shown,
            key=limit.key,
            placeholder="no limit",
            on_change=limit.then(partial(_set_limit, name, label, score.unit == "%")),
            help=f"{text} Empty: no limit.",
        )
    wrong = session().take("wrong_limit")
    if wrong:
        st.error(plain(wrong))


def _set_limit(name: str, label: str, in_points: bool, typed: str) -> None:
    """Take what was typed, or say what is wrong with it and leave the limit as it was."""
    typed = typed.strip().replace(",", ".")
    allowed = LIMITS[name] if in_points or name != "drop" else DROPS
    try:
        value = allowed.parse(label, typed) if typed else None
        if value is not None:
            allowed.check(label, value)
        change(**{name: value})
    except ParetoscopeError as error:
        session().wrong_limit = str(error)
