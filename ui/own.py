"""A visitor's own data: what this visit brought or opened, listed for nobody else.

The name of own data is the key to them. It stands in links, and in nothing else that leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from paretoscope.dataset import delete_own, find_source, is_own
from paretoscope.errors import ParetoscopeError

from ui import server, view


def remember(dataset: str, model: str, known_models: Sequence[str]) -> None:
    """Keep in mind what is looked at, where it is the visitor's own."""
    if is_own(dataset):
        _brought().setdefault(dataset, [])
    if model not in known_models:
        models = _brought().setdefault(dataset, [])
        if model not in models:
            models.append(model)


def datasets() -> list[str]:
    """Own data of this visit that are still on this server, the oldest first."""
    return [name for name in _brought() if is_own(name) and is_here(name)]


def models(dataset: str) -> list[str]:
    """Own models of this visit on a dataset."""
    return list(_brought().get(dataset, []))


def show() -> None:
    """The visit's own data, each with what can be done to it."""
    names = datasets()
    if not names:
        return
    st.markdown("**Yours, in this visit**")
    for name in names:
        source = find_source(name)
        row = st.container(horizontal=True, vertical_alignment="center")
        row.markdown(f"{view.plain(source.title)}: {view.plain(source.summary)}")
        row.button("Explore", key=f"explore-{name}", on_click=_look_at, args=(name,))
        row.button(
            "Forget",
            key=f"forget-{name}",
            on_click=forget,
            args=(name,),
            help="Takes it off this list. Whoever has its link still finds it.",
        )
        with row.popover("Delete", key=f"deleting-{name}"):
            st.markdown("Nobody finds it any more then, not by its link either.")
            st.button(
                "Delete from the server", key=f"delete-{name}", on_click=_delete, args=(name,)
            )
    if st.session_state.pop("own-explored", False):
        st.switch_page("pages/explore.py", query_params=st.session_state.view.query())


def forget(name: str) -> None:
    """Take own data off the visit's list, and look at something else. For callbacks."""
    _brought().pop(name, None)
    if st.session_state.view.dataset == name:
        view.leave_dataset()


def _delete(name: str) -> None:
    delete_own(name)
    server.dataset.clear()
    forget(name)


def _look_at(name: str) -> None:
    models_here = models(name)
    model = models_here[-1] if models_here else "logistic-regression"
    view.change(dataset=name, model=model, pins=())
    st.session_state["own-explored"] = True


def _brought() -> dict[str, list[str]]:
    """Datasets with the own models that were looked at on each."""
    found: dict[str, list[str]] = st.session_state.setdefault("brought", {})
    return found


def is_here(name: str) -> bool:
    """Whether a dataset is known and, if it is own data, still kept."""
    try:
        find_source(name)
    except ParetoscopeError:
        return False
    return True
