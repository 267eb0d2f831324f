"""How codes run on this machine: by integer kernels or as floats, as measured for each network."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from paretoscope.artifact.kernel_times import KernelTimes
from paretoscope.artifact.writing import may_fuse_any
from paretoscope.cli.results import KERNELS as KERNELS_TIMED
from paretoscope.methods.kernels import KERNELS, Auto, Folded, Fused, Kernel
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network

from ui.base import words
from ui.parts.progress import result_or_progress
from ui.state import server, view
from ui.state.session import session
from ui.state.subject import Subject


def may_differ(network: Network) -> bool:
    """Whether a layer is large enough for integer kernels."""
    return may_fuse_any(network)


def settle(network: Network) -> None:
    """Where the visitor's recipe leaves open how its codes run, let it say what is faster here.

    The first time for a network it is measured, in seconds in which the page shows that and ends.
    """
    now = session().view
    if now.recipe.kernel != Auto():
        return
    kernel: Kernel = Fused()  # which no layer is large enough for: it says nothing
    if may_differ(network):
        subject = server.subject(now.dataset, now.model, network, now.score, now.decision)
        job = server.work(KERNELS_TIMED.name, _arguments(subject))
        if job is not None and job.state in ("failed", "stopped"):
            kernel = Folded()  # what runs everywhere as fast as float32
        else:
            found = result_or_progress(
                subject, KERNELS_TIMED, _arguments(subject), "Timing how codes run"
            )
            if found is None:
                st.stop()
            kernel = next(k() for k in KERNELS if k.name == found.choice)
    view.change(recipe=replace(now.recipe, kernel=kernel))
    st.rerun()


def known(subject: Subject) -> KernelTimes | None:
    """The times for a network; started where they were not taken yet, None until they are there or
    where no layer is large enough."""
    if not may_differ(subject.network):
        return None
    arguments = _arguments(subject)
    found = server.result(subject, KERNELS_TIMED, arguments)
    if found is None:
        if server.work(KERNELS_TIMED.name, arguments) is None:
            server.start_work(KERNELS_TIMED.name, arguments)
        return None
    return found.times


def pending(subject: Subject) -> bool:
    """Whether the times of a network are being taken."""
    job = (
        server.work(KERNELS_TIMED.name, _arguments(subject))
        if may_differ(subject.network)
        else None
    )
    return job is not None and job.state == "running"


def short(times: KernelTimes) -> str:
    """The times in two lines beneath a chart."""
    told = {
        name: ", ".join(f"{t.ratio:.2f}" for t in of_kernel)
        for name, of_kernel in (("integers", times.fused), ("floats", times.folded))
    }
    rows = words.listed([str(t.batch) for t in times.fused])
    return (
        f"8-bit codes as integers: {told['integers']} of float32's time at {rows} rows"
        f"<br>as floats: {told['floats']}"
    )


def _arguments(subject: Subject) -> dict[str, object]:
    return subject.arguments(Recipe())
