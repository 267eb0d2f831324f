"""Pins side by side: a card for each, what differs, and the rows that two of them label
differently."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from paretoscope.cli.results import FLIPS
from paretoscope.measurement.measurement import Measurement
from paretoscope.problems.accuracy import Change

from ui.base import words
from ui.parts import pins
from ui.parts.gallery import gallery
from ui.parts.progress import result_or_progress
from ui.state import server
from ui.state.address import View
from ui.state.subject import Subject


def show(view: View, subject: Subject) -> None:
    """The visitor's pins."""
    service = server.measuring()
    if not view.pins:
        st.subheader("Pins", anchor="pins")
        st.info("Pin recipes on Explore, or the one above here, to compare them side by side.")
    pins.show(service, subject, view)
    if view.recipe not in view.pins:  # each pin has a button of its own to let it go
        pins.pin_button(view)
    named = pins.known(service, subject, view.pins)
    if len(named) > 1:
        st.markdown("**What differs between the pins**")
        st.dataframe(pins.differences(named), height="content")
        if subject.has_classes:
            _flips(subject, named)


def _flips(subject: Subject, named: list[tuple[str, Measurement]]) -> None:
    st.markdown("**Rows that two of them label differently**")
    letters = [letter for letter, _ in named]
    left, right = st.columns(2)
    first = left.selectbox("First", letters, key="flip-first", persist_state="session")
    rest = [letter for letter in letters if letter != first]
    second = right.selectbox("Second", rest, key="flip-second")
    by_letter = dict(named)
    one, other = by_letter[first], by_letter[second]
    arguments = subject.arguments(one.recipe) | {"other": str(other.recipe)}
    result = result_or_progress(subject, FLIPS, arguments, "Flips")
    if result is None:
        return
    change_of = Change(result.first, result.second, result.n)
    st.dataframe(
        pd.DataFrame(
            {
                f"{second} right": [f"{result.both:,}", f"{result.second:,}"],
                f"{second} wrong": [f"{result.first:,}", f"{result.neither:,}"],
            },
            index=[f"{first} right", f"{first} wrong"],
        ),
        height="content",
    )
    st.caption(
        f"n = {result.n:,} {words.rows(subject.baseline.split)}. {second} against {first}: "
        f"{words.change_interval(change_of)}, McNemar's exact "
        f"{words.probability(change_of.p_value)}. Of the {result.neither:,} that both get wrong "
        f"they give {result.differ:,} different labels."
    )
    gallery(subject, "Only one of them right", result.flipped, f"actual: {first} \u2192 {second}")
