"""Scores beyond accuracy: each before and now, its change, and what that lets one say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st
from paretoscope.cli.results import SCORES, ScoresResult
from paretoscope.problems.comparison import Scored

from ui.base import words
from ui.parts import provenance
from ui.parts.progress import result_or_progress
from ui.state.address import View
from ui.state.subject import Subject
from ui.state.view import plain

_SOFTMAX = (
    "Log loss, Brier score and calibration error take the softmax of a model's scores for "
    "probabilities: those of a linear SVM, say, are none."
)


def show(subject: Subject, view: View, arguments: dict[str, Any]) -> None:
    """What changed for certain in a sentence, then every score."""
    result = result_or_progress(subject, SCORES, arguments, "Scores")
    if result is None:
        return
    st.markdown(finding(result))
    st.dataframe(
        pd.DataFrame(map(_row, result.scores)),
        hide_index=True,
        height="content",
        key="scores",
    )
    chance = "Of 20 intervals one misses the truth by chance: one changed score says little."
    st.caption(f"{_SOFTMAX} {chance}" if subject.has_classes else chance)
    for why, titles in _without(result.scores).items():
        st.caption(f"{words.listed(titles)}: no interval, for {why}.")
    source = provenance.of_subject(subject, result.n)
    st.caption(provenance.caption(source))


def finding(result: ScoresResult) -> str:
    """Which scores changed for certain, and whether accuracy is the one to look at."""
    told = []
    if result.why:
        usual = next(s for s in result.scores if s.name == result.opens_with)
        told.append(
            f"Accuracy is fooled here: {plain(result.why)}. Look at **{usual.title}**: "
            f"{_value(usual.now.value, usual.unit)}, {_value(usual.before.value, usual.unit)} "
            "before."
        )
    by_side: dict[str, list[str]] = {"worse": [], "better": []}
    for score in result.scores:
        if (side := standing(score)) in by_side:
            by_side[side].append(score.title)
    changed = [f"**{side}**: {words.listed(titles)}" for side, titles in by_side.items() if titles]
    if changed:
        told.append(f"For certain {'; '.join(changed)}.")
    else:
        told.append(f"{result.n:,} rows cannot tell a change of any score.")
    return " ".join(told)


def standing(score: Scored) -> str:
    """ "worse" or "better" where the whole interval of the change says so, else "cannot tell"."""
    change = score.change
    if change.interval is None:
        return "no interval"
    low, high = change.interval
    if low <= 0 <= high:
        return "cannot tell"
    return "better" if (low > 0) == change.higher_is_better else "worse"


def _row(score: Scored) -> dict[str, str]:
    change = score.change
    span = (
        "" if change.interval is None else " to ".join(_signed(e, score) for e in change.interval)
    )
    return {
        "score": score.title,
        "before": _value(score.before.value, score.unit),
        "now": _value(score.now.value, score.unit),
        "in a word": standing(score),
        "change": _signed(change.value, score),
        "95 % interval of the change": span,
        "95 % interval now": _interval(score),
        "better is": "more" if change.higher_is_better else "less",
    }


def _value(value: float, unit: str) -> str:
    if value != value:  # NaN alone differs from itself
        return "not defined"
    return words.valued(value, unit)


def _interval(score: Scored) -> str:
    if score.now.interval is None:
        return ""
    return " to ".join(_value(end, score.unit) for end in score.now.interval)


def _signed(value: float, score: Scored) -> str:
    if value != value:
        return "not defined"
    if score.unit == "%":
        return words.points(value)
    sign = words.MINUS if value < 0 else "+" if value > 0 else ""
    return f"{sign}{words.bare(abs(value), score.unit)}"


def _without(scores: Sequence[Scored]) -> dict[str, list[str]]:
    """Why some have no interval, each reason with the titles of those."""
    found: dict[str, list[str]] = {}
    for score in scores:
        if score.change.why:
            found.setdefault(score.change.why, []).append(score.title)
    return found
