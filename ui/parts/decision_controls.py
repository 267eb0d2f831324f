"""How classes are decided for: the cut of two classes, and what each mistake costs."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st
from paretoscope.problems.classification import Classification

from ui.state.address import USUAL
from ui.state.control import control
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import change, plain

_MOST_CLASSES = 8  # whose costs are a table that can be read
_HALF = 0.5


def decision_controls(subject: Subject) -> None:
    """A slider for two classes; a table of costs for a few."""
    problem = subject.problem
    assert isinstance(problem, Classification)
    names = problem.class_names
    if len(names) == 2:
        value = _HALF if problem.cut is None else problem.cut
        cut = control("cut", value)
        st.slider(
            f"{plain(names[1])} from a probability of",
            0.01,
            0.99,
            value,
            0.01,
            key=cut.key,
            on_change=cut.then(lambda value: _decide(problem, cut=_cut(value))),
            help=f"Rows whose probability of {plain(names[1])} is above this are taken for it. "
            "Accuracy, balanced accuracy, F1 and costs depend on it.",
        )
    if len(names) <= _MOST_CLASSES:
        with st.popover("What mistakes cost", key="costs-menu", on_change="rerun") as menu:
            if menu.open:
                _costs(problem)


def _costs(problem: Classification) -> None:
    names = [plain(name) for name in problem.class_names]
    start = problem.costs or tuple(
        tuple(float(i != j) for j in range(len(names))) for i in range(len(names))
    )
    st.caption("Row: what it is. Column: what it is taken for.")
    edited = st.data_editor(
        pd.DataFrame(start, index=names, columns=names),
        key=f"costs-{problem.decision}",
        width="content",
    )
    st.button("Judge by this cost", on_click=_take_costs, args=(problem, edited))


def _take_costs(problem: Classification, edited: pd.DataFrame) -> None:
    costs = tuple(tuple(float(c) for c in row) for row in edited.fillna(0.0).to_numpy())
    told = replace(problem, costs=costs).decision
    change(decision=told, score="cost", margin=USUAL, drop=USUAL)


def _cut(value: float) -> float | None:
    return None if abs(value - _HALF) < 1e-9 else round(float(value), 2)


def _decide(problem: Classification, cut: float | None) -> None:
    told = replace(problem, cut=cut).decision
    change(decision=told, score=session().view.score)
