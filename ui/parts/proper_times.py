"""Times by protocol, as pages share them: what is known, what was asked, measuring again."""

from __future__ import annotations

import os
from typing import Any

import streamlit as st
from paretoscope.artifact.runtimes import OnnxRuntime
from paretoscope.cli.results import TIMING, TimingResult
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.measurement.measurement import Measurement

from ui.state import server
from ui.state.subject import Subject

_SOME = 0.1  # processors that other programs keep busy, from which on they are named


def file_arguments(subject: Subject, now: Measurement) -> dict[str, Any]:
    """What a task is told, so that it finds the very file where it was trained."""
    found = subject.arguments(now.recipe)
    return found | {"artifact_sha256": now.file_sha256} if now.recipe.trains else found


def timing_arguments(
    arguments: dict[str, Any],
    runtime: str = OnnxRuntime.name,
    against: str = OnnxRuntime.name,
) -> dict[str, Any]:
    """What the timing task is asked."""
    return arguments | {"runtime": runtime, "against": against}


def known_timings(subject: Subject, arguments: dict[str, Any]) -> dict[str, Timing]:
    """The timings that were taken by protocol with ONNX Runtime, by what they are of; empty where
    none were."""
    found = server.result(subject, TIMING, timing_arguments(arguments))
    return {} if found is None else by_what(found)


def offer_again(subject: Subject, arguments: dict[str, Any]) -> None:
    """Where a result is inconclusive: what disturbed it, and a button to measure again."""
    found = server.result(subject, TIMING, arguments)
    if found is None or by_what(found)["batch 1"].verdict != "inconclusive":
        return
    st.caption(disturbed(found.others))
    st.button(
        "Measure again",
        key="measure-again",
        on_click=server.work_again,
        args=(subject, TIMING, arguments),
        help="Trainings, sweeps and files being measured wait meanwhile; pages still answer.",
    )


def disturbed(others: float | None) -> str:
    """What kept times from being conclusive, as far as the machine tells."""
    processors = os.cpu_count() or 1
    if others is not None and others >= _SOME:
        return (
            f"Inconclusive: other programs kept {others:.1f} of {processors} processors busy "
            "meanwhile."
        )
    if others is not None:
        return (
            "Inconclusive, though no other program was busy: this machine's clock and caches vary "
            "by more than the file differs."
        )
    return "Inconclusive: what else ran meanwhile is not known on this system."


def by_what(result: TimingResult) -> dict[str, Timing]:
    """The timings, by what they are of."""
    return {timing.what: timing for timing in result.timings}
