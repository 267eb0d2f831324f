"""Confirming a choice on the test rows, and how often they were read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st
from paretoscope.base.jobs import Job
from paretoscope.cli.results import SCORES
from paretoscope.measurement.confirmation import Confirmation, confirmations
from paretoscope.problems.accuracy import Difference, Figure
from paretoscope.problems.problems import spoken

from ui.base import words
from ui.parts import provenance
from ui.parts.progress import follow, result_or_progress
from ui.state import server
from ui.state.address import WHOLE, View
from ui.state.subject import Subject
from ui.state.view import plain

_TASK = "confirm_task"


def show(subject: Subject, view: View, arguments: dict[str, Any]) -> None:
    """The test figure beside the validation figure, or the offer to read the test rows."""
    data = subject.dataset
    readings = confirmations(subject.network, data)
    chosen_on = words.rows(subject.baseline.split)
    st.markdown(
        f"The curves are drawn, and recipes chosen, on **{chosen_on}**; what is chosen as the best "
        "of many looks better there than it is. In this app the **test rows** are read only "
        "here, for a recipe that is already chosen."
    )
    times = len(readings)
    often = "not been read yet" if not times else f"been read {times} time{'s' * (times > 1)}"
    st.markdown(
        f"For this network the {len(data.test):,} test rows of {plain(data.title)} have "
        f"**{often}**." + (" Each further reading makes them a little less blind." if times else "")
    )
    mine = _reading_of(readings, subject, view, arguments.get("artifact_sha256"))
    if mine is None:
        _offer(arguments, server.work(_TASK, arguments))
    else:
        validation, test = st.columns(2)
        with validation:
            if view.section == WHOLE:  # its rows are run further up
                found = server.result(subject, SCORES, arguments)
            else:
                found = result_or_progress(subject, SCORES, arguments, "Rows")
            if found is not None:
                name = subject.score.name
                result = next(scored for scored in found.scores if scored.name == name)
                _metric("Rows chosen on", result.now, result.change, view.margin_of(subject))
        with test:
            _metric("Test rows", mine.quality, mine.change, view.margin_of(subject))
            st.caption(f"Read on {mine.date[:10]}.")
    if readings:
        st.markdown("**Every reading**")
        st.dataframe(_table(readings), hide_index=True, height="content")
        st.caption(provenance.caption(provenance.of_subject(subject, len(data.test), "test")))


def _metric(label: str, figure: Figure, change: Difference, margin: float) -> None:
    st.metric(label, words.quality(figure))
    st.caption(f"{words.change_words(change, margin)}  \n{words.quality_interval(figure)}")


def judged_so(readings: Sequence[Confirmation], subject: Subject) -> list[Confirmation]:
    """Those by the score and the decision that are looked at: others say something else."""
    asked = subject.score.name, subject.decision
    return [one for one in readings if (one.score, one.decision) == asked]


def _reading_of(
    readings: list[Confirmation], subject: Subject, view: View, artifact_sha256: str | None
) -> Confirmation | None:
    """The reading of this recipe's file."""
    return next(
        (
            reading
            for reading in reversed(judged_so(readings, subject))
            if reading.recipe == str(view.recipe)
            and artifact_sha256 in (None, reading.artifact_sha256)
        ),
        None,
    )


def _offer(arguments: dict[str, Any], job: Job | None) -> None:
    if job is not None and job.state == "running":
        follow(job, "Confirm")
        return
    if job is not None and job.error:
        st.error(plain(job.error))
    st.button(
        "Confirm on the test rows",
        on_click=server.start_work,
        args=(_TASK, arguments),
        help="Runs this recipe's file and the uncompressed model on the test rows once. The "
        "result is kept and counted.",
    )


def _table(readings: list[Confirmation]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "read on": reading.date.replace("T", " ").removesuffix("+00:00"),
                "recipe": reading.recipe,
                "score": spoken(reading.score),
                "value": words.quality(reading.quality),
                "change": words.change_interval(reading.change),
                "n": reading.quality.n,
                "file": reading.artifact_sha256[:8],
            }
            for reading in readings
        ]
    )
