"""The three limits of a budget, as fields to type in."""

from __future__ import annotations

from functools import partial

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import format_value

from ui.state.address import LIMITS, SIZES, View
from ui.state.control import control
from ui.state.session import session
from ui.state.view import change, plain


def budget_words(view: View) -> str:
    """The budget in a few words."""
    told = []
    if view.drop is not None:
        told.append(f"at most {view.drop:g} point{'' if view.drop == 1 else 's'} lost")
    if view.kb is not None:
        told.append(f"{format_value(view.kb)} kB {SIZES[view.size]}")
    if view.us is not None:
        told.append(f"{format_value(view.us)} \u00b5s")
    return ", ".join(told) or "no limit"


def budget_fields(view: View) -> None:
    """The three limits; an empty field is no limit."""
    shown = SIZES[view.size]
    fields = (
        (
            "drop",
            "Largest drop, points",
            view.drop,
            "Of accuracy on these rows.",
        ),
        ("kb", f"Largest file, kB {shown}", view.kb, "1 kB is 1,000 bytes."),
        ("us", "Longest time, \u00b5s", view.us, "Of one row, the median, on this machine."),
    )
    row = st.container(horizontal=True)
    for name, label, value, text in fields:
        shown = "" if value is None else format_value(value)
        limit = control(name, shown)
        row.text_input(
            label,
            shown,
            key=limit.key,
            placeholder="no limit",
            on_change=limit.then(partial(_set_limit, name, label)),
            help=f"{text} Empty: no limit.",
        )
    wrong = session().take("wrong_limit")
    if wrong:
        st.error(plain(wrong))


def _set_limit(name: str, label: str, typed: str) -> None:
    """Take what was typed, or say what is wrong with it and leave the limit as it was."""
    typed = typed.strip().replace(",", ".")
    try:
        value = LIMITS[name].parse(label, typed) if typed else None
        if value is not None:
            LIMITS[name].check(label, value)
        change(**{name: value})
    except ParetoscopeError as error:
        session().wrong_limit = str(error)
