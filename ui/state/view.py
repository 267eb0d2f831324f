"""A visitor's view: read from the address, changed by controls, written back into the address."""

from __future__ import annotations

import string
from collections import deque
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from paretoscope.methods.recipe import Recipe
from paretoscope.training.training import fits, models
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.state.address import View, parse_query, short

_ADDRESSES = 30  # a browser lags behind by a few


def current() -> View:
    """The visitor's view: the address where it was opened or changed by hand, else as it was left.

    A page change drops the address's parts; `publish` puts them back.
    """
    query = st.query_params.to_dict()
    if query and not _is_known(query):
        _addresses().append(query)
        st.session_state.pop("switch", None)
        st.session_state.view, complaints = parse_query(query)
        st.session_state.complaints = complaints
        st.session_state.linked = st.session_state.view.recipe
    if "view" not in st.session_state:
        st.session_state.first_visit = True
        st.session_state.view = View()
        st.session_state.switch = ("threshold", "global")
    view: View = st.session_state.view
    return view


def _is_known(query: dict[str, str]) -> bool:
    """Whether the view already follows an address: the last one that was read or written, or one
    before, which a browser that lags behind still sends. Going back or forward to one is the
    visitor's own doing."""
    addresses = _addresses()
    if not addresses or query == addresses[-1]:
        return bool(addresses)
    context = get_script_run_ctx()
    went = context is not None and context.is_history_navigation
    return query in addresses and not went


def _addresses() -> deque[dict[str, str]]:
    """The visitor's last addresses, those opened and those that pages wrote."""
    found: deque[dict[str, str]] = st.session_state.setdefault(
        "addresses", deque(maxlen=_ADDRESSES)
    )
    return found


def change(**parts: Any) -> None:
    """Change parts of the visitor's view. For callbacks."""
    view: View = replace(st.session_state.view, **parts)
    if not fits(view.model, view.dataset):
        view = replace(view, model=models(view.dataset)[-1])
    st.session_state.view = view
    if st.session_state.get("complaints"):
        st.session_state.outdated = True
    st.session_state.complaints = []


def leave_dataset() -> None:
    """Look at the usual dataset and model instead."""
    usual = View()
    change(dataset=usual.dataset, model=usual.model, pins=())


def outdated() -> bool:
    """Whether the page still shows complaints of a link that was left since; asked once."""
    return bool(st.session_state.pop("outdated", False))


def go_to(recipe: Recipe | str) -> None:
    """Look at another recipe, whose places the sliders keep as stops. For callbacks."""
    recipe = Recipe.parse(recipe) if isinstance(recipe, str) else recipe
    st.session_state.linked = recipe
    change(recipe=recipe)


def publish() -> None:
    """Write the visitor's view into the address."""
    query, addresses = st.session_state.view.query(), _addresses()
    if not addresses or addresses[-1] != query:
        addresses.append(query)
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)


def mend(recipe: Recipe, complaint: str) -> None:
    """Replace a recipe that does not fit the network, and say so."""
    st.session_state.view = replace(st.session_state.view, recipe=recipe)
    complaint = short(complaint, 300)
    st.session_state.complaints = [*st.session_state.get("complaints", []), complaint]
    _show_complaint(complaint)


def show_complaints() -> None:
    """Say what was wrong with the link."""
    outdated()  # not any more
    with st.container():  # so that what is below keeps its place without them
        for complaint in st.session_state.get("complaints", []):
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
    return f"{page}/?{urlencode(st.session_state.view.query())}"


def show_link() -> None:
    """The link, to copy."""
    with st.popover("Copy link", key="copy-link", on_change="rerun") as menu:
        if not menu.open:
            return
        st.code(link(), language=None, wrap_lines=True)
        st.caption("It opens this dataset, model and recipe on any Paretoscope it can reach.")
