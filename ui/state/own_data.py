"""A visitor's own data: what this browser brought or opened, listed for nobody else.

The name of own data is the key to them. It stands in links, and in nothing else that leaves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import find_source
from paretoscope.data.own_data import delete_own, is_own
from paretoscope.training.training import own_model

from ui.base import browser
from ui.state import server, view
from ui.state.session import session

_MOST_KEPT = 100
_NAME = re.compile(r"[a-z0-9-]{1,64}")


def remember(dataset: str, model: str, known_models: Sequence[str]) -> None:
    """Keep in mind what is looked at, where it is the visitor's own, and what the browser kept."""
    _learn_from_browser()
    if is_own(dataset):
        _forgotten().discard(dataset)  # opened again, by its link
        _brought().setdefault(dataset, [])
    if model not in known_models:
        models = _brought().setdefault(dataset, [])
        if model not in models:
            models.append(model)


def keep_in_browser() -> None:
    """Have the browser keep what is in mind, for its next visit. Draws nothing."""
    browser.keep(_brought(), sorted(_forgotten()))


def _learn_from_browser() -> None:
    """Own data that the browser kept from visits before, as far as they are still here."""
    for dataset, known in list(browser.kept().items())[:_MOST_KEPT]:
        if dataset in _forgotten():
            continue
        if not _NAME.fullmatch(dataset) or not is_here(dataset):
            _forgotten().add(dataset)
            continue
        so_far = _brought().setdefault(dataset, [])
        new = [m for m in known[:_MOST_KEPT] if m not in so_far and _is_own_model(m, dataset)]
        so_far += new


def _is_own_model(name: str, dataset: str) -> bool:
    return bool(_NAME.fullmatch(name)) and own_model(name, dataset) is not None


def datasets() -> list[str]:
    """Own data of this browser that are still on this server, the oldest first."""
    return [name for name in _brought() if is_own(name) and is_here(name)]


def models(dataset: str) -> list[str]:
    """Own models of this browser on a dataset."""
    return list(_brought().get(dataset, []))


def show() -> None:
    """The browser's own data, each with what can be done to it."""
    _learn_from_browser()
    keep_in_browser()
    names = datasets()
    if not names:
        return
    st.markdown("**Yours, in this browser**")
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
    if session().take("own_used"):
        st.switch_page("pages/explore.py", query_params=session().view.query())


def forget(name: str) -> None:
    """Take own data off the browser's list, and look at something else. For callbacks."""
    _brought().pop(name, None)
    _forgotten().add(name)
    if session().view.dataset == name:
        view.leave_dataset()


def _delete(name: str) -> None:
    delete_own(name)
    server.dataset.clear()
    forget(name)


def _look_at(name: str) -> None:
    models_here = models(name)
    model = models_here[-1] if models_here else "logistic-regression"
    view.change(dataset=name, model=model, pins=())
    session().own_used = True


def _brought() -> dict[str, list[str]]:
    """Datasets with the own models that were looked at on each."""
    return session().brought


def _forgotten() -> set[str]:
    """Names that the browser is to keep no longer."""
    return session().forgotten


def is_here(name: str) -> bool:
    """Whether a dataset is known and, if it is own data, still kept."""
    try:
        find_source(name)
    except ParetoscopeError:
        return False
    return True
