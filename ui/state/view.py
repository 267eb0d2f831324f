"""A visitor's view: read from the address, changed by controls, written back into the address."""

from __future__ import annotations

import string
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import streamlit as st
from paretoscope.methods.recipe import Recipe
from paretoscope.training.training import fits, models
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.state.address import View, parse_query, short
from ui.state.session import session

_NEAR = ("127.0.0.1", "localhost", "::1")


def current() -> View:
    """The visitor's view: the address where it was opened or changed by hand, else as it was left.

    A page change drops the address's parts; `publish` puts them back.
    """
    query = st.query_params.to_dict()
    if query and not _is_known(query):
        session().addresses.append(query)
        session().switch = None
        mine = session()
        mine.view, mine.complaints = parse_query(query)
        mine.linked, mine.opened = mine.view.recipe, True
        mine.arrives = "recipe" not in query
    if not session().opened:
        session().opened = session().first_visit = session().arrives = True
        session().switch = ("threshold", "global")
    return session().view


def _is_known(query: dict[str, str]) -> bool:
    """Whether the view already follows an address: the last one that was read or written, or one
    before, which a browser that lags behind still sends. Going back or forward to one is the
    visitor's own doing."""
    addresses = session().addresses
    if not addresses or query == addresses[-1]:
        return bool(addresses)
    context = get_script_run_ctx()
    went = context is not None and context.is_history_navigation
    return query in addresses and not went


def change(**parts: Any) -> None:
    """Change parts of the visitor's view. For callbacks."""
    view: View = replace(session().view, **parts)
    if not fits(view.model, view.dataset):
        view = replace(view, model=models(view.dataset)[-1])
    beside = tuple(name for name in view.beside if name in models(view.dataset))
    session().view = replace(view, beside=beside)
    if session().complaints:
        session().outdated = True
    session().complaints = []


def leave_dataset() -> None:
    """Look at the usual dataset and model instead."""
    usual = View()
    change(dataset=usual.dataset, model=usual.model, pins=())


def outdated() -> bool:
    """Whether the page still shows complaints of a link that was left since; asked once."""
    return bool(session().take("outdated"))


def go_to(recipe: Recipe | str) -> None:
    """Look at another recipe, whose places the sliders keep as stops. For callbacks."""
    recipe = Recipe.parse(recipe) if isinstance(recipe, str) else recipe
    session().linked, session().arrives = recipe, False
    change(recipe=recipe)


def begin_at(recipe: Recipe) -> None:
    """Look at a recipe that nobody asked for; what was wrong with the link stays said."""
    session().linked, session().switch = recipe, None
    session().view = replace(session().view, recipe=recipe)


def publish() -> None:
    """Write the visitor's view into the address."""
    query, addresses = session().view.query(), session().addresses
    if not addresses or addresses[-1] != query:
        addresses.append(query)
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)


def mend(recipe: Recipe, complaint: str) -> None:
    """Replace a recipe that does not fit the network, and say so."""
    session().view = replace(session().view, recipe=recipe)
    complaint = short(complaint, 300)
    session().complaints = [*session().complaints, complaint]
    _show_complaint(complaint)


def show_complaints() -> None:
    """Say what was wrong with the link."""
    outdated()  # not any more
    with st.container():  # so that what is below keeps its place without them
        for complaint in session().complaints:
            _show_complaint(complaint)


def _show_complaint(complaint: str) -> None:
    st.warning(plain(f"The link is partly wrong: {complaint}"))


def plain(text: str) -> str:
    """Text of unknown origin for a Markdown element, so that it shows as it is.

    >>> plain("a*b_[c]")
    'a\\\\*b\\\\_\\\\[c\\\\]'
    """
    return "".join(f"\\{c}" if c in string.punctuation else c for c in " ".join(text.split()))


def link() -> str:
    """The link to what is looked at."""
    page = (st.context.url or "").split("?")[0].rstrip("/")
    return f"{page}/?{urlencode(session().view.query())}"


def show_link() -> None:
    """The link, to copy."""
    with st.popover("Copy link", key="copy-link", on_change="rerun") as menu:
        if not menu.open:
            return
        link_to_copy()


def link_to_copy() -> None:
    """The link with a button that copies it, and who can open it."""
    st.code(link(), language=None, wrap_lines=True)
    told = "It opens this dataset, model and recipe on any Paretoscope it can reach."
    if urlsplit(link()).hostname in _NEAR:
        told = "It opens this dataset, model and recipe, on this computer only."
    st.caption(told)
