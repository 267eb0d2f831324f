"""Training in the page: it starts by itself, shows how far it is, and can be stopped."""

from __future__ import annotations

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import find_source, is_present
from paretoscope.network.network import Network
from paretoscope.textbook import Textbook, from_dict

from ui.parts import frame, kernel_choice
from ui.parts.progress import follow
from ui.state import server, view
from ui.state.session import session


def network_or_progress(dataset: str, model: str) -> Network:
    """The trained network. Where there is none yet, the page shows its training and ends here.

    All of that stands in a place of its own. A timer of the page before may still draw into its
    part; a browser that finds a line of text where that part was gives the whole page up.
    """
    with st.container():
        return _network_or_progress(dataset, model)


def _network_or_progress(dataset: str, model: str) -> Network:
    if not _present(dataset):
        _offer_fetch(dataset)
        st.stop()
    try:
        network = server.network(dataset, model)
    except ParetoscopeError as error:
        st.error(view.plain(str(error)))
        st.stop()
    if network is None:
        _show_training(dataset, model)
        st.stop()
    kernel_choice.settle(network)
    return network


def textbook_or_progress() -> Textbook:
    """What the article's programs gave. While they run, the page shows that and ends here."""
    job = server.textbook()
    if job.state == "running":
        follow(job, "Textbook")
        st.stop()
    if job.result is None:
        st.error(view.plain(job.error or "The programs were stopped."))
        st.button("Run the programs again", on_click=server.run_textbook_again)
        st.stop()
    return from_dict(job.result)


def _present(dataset: str) -> bool:
    try:
        return is_present(dataset)
    except ParetoscopeError as error:
        st.error(view.plain(str(error)))
        st.stop()


def _show_training(dataset: str, model: str) -> None:
    title = frame.network_title(dataset, model)
    st.markdown(f"#### {title}")
    job = server.training(dataset, model)
    if job is None or (job.state == "stopped" and session().stopped is not job):
        server.start_training(dataset, model)
        st.rerun()
    if job.state == "running":
        follow(job, f"Training {title}")
        return
    if job.state == "failed":
        st.error(view.plain(str(job.error)))
    elif job.state == "stopped":
        st.info("The training was stopped. Nothing of it was kept.")
    elif server.network(dataset, model) is not None:  # it ended between two looks
        st.rerun()
    else:
        st.warning("The trained network is no longer on disk, or was damaged there.")
    st.button("Train", on_click=server.start_training, args=(dataset, model))


def _offer_fetch(dataset: str) -> None:
    title = find_source(dataset).title
    st.markdown(f"#### {title}")
    job = server.fetching(dataset)
    if job is not None and job.state == "running":
        follow(job, f"Fetching {title}")
        return
    st.info(
        f"{title} is not on this machine. Put its four IDX files in a folder `{dataset}` and start "
        f"Paretoscope with `PARETOSCOPE_DATA` set to the folder around it, or fetch it from OpenML."
    )
    if job is not None and job.state == "failed":
        st.error(view.plain(str(job.error)))
    st.button("Fetch from OpenML", on_click=server.start_fetching, args=(dataset,))
