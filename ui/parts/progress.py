"""Long work in a page: how far it is, a stop, and its result when it has come to an end."""

from __future__ import annotations

from typing import Any

import streamlit as st
from paretoscope.base.jobs import Job
from paretoscope.cli.results import Answer, Task

from ui.base import words
from ui.state import server, view
from ui.state.session import session
from ui.state.subject import Subject

_POLL_S = 0.3


@st.fragment(run_every=_POLL_S)
def follow(job: Job, what: str) -> None:
    """How far a job is, with a stop. Runs the page anew when the job has ended."""
    if job.state != "running":
        st.rerun()
    progress = job.progress()
    remaining = progress.remaining_s
    still = f", about {words.seconds(remaining)} to go" if remaining is not None else ""
    text = f"{what}: {progress.text}, {words.seconds(progress.elapsed_s)} so far{still}"
    st.progress(progress.fraction or 0.0, text=view.plain(text))
    others = server.others_waiting(job)
    st.button("Stop", key=f"stop-{id(job)}", on_click=_stop, args=(job,), disabled=others > 0)
    if others:
        st.caption("Another visitor waits for this too, so it goes on.")


def _stop(job: Job) -> None:
    session().stopped = job
    job.stop()


def result_or_progress(
    subject: Subject,
    task: Task[Answer],
    arguments: dict[str, Any],
    what: str,
    start: str | None = None,
) -> Answer | None:
    """What a remembered task answers for a network, or None while it works.

    Until there is a result the page shows how far it is. With `start`, the words on a button, the
    work waits until that is pressed.
    """
    found = server.result(subject, task, arguments)
    if found is not None:
        return found
    job = server.work(task.name, arguments)
    if job is None and start is None:
        server.start_work(task.name, arguments)
        job = server.work(task.name, arguments)
    if job is not None and job.state == "running":
        follow(job, what)
        return None
    if job is not None and job.error:
        st.error(view.plain(job.error))
    elif job is not None and job.state == "stopped":
        st.info("This was stopped. Nothing of it was kept.")
    st.button(
        start or "Start again",
        key=f"start-{task.name}",
        on_click=server.start_work,
        args=(task.name, arguments),
    )
    return None
