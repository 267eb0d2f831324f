"""What a visitor looks at, as one value: it is in the URL whole, so a link shows the same.

    ?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold=0.09)%2Bq(8)
        &size=gzip&margin=0.5&section=rows

The address holds every part, also those that are at their default now: a default that changes
later does not change old links.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn
from urllib.parse import urlencode

import streamlit as st
from paretoscope.dataset import datasets, find_source
from paretoscope.errors import ParetoscopeError, one_of
from paretoscope.parameters import Number, format_value
from paretoscope.recipe import Recipe
from paretoscope.training import models

VERSION = "1"
MARGINS = Number(0.1, 20.0)  # points
SECTIONS = {
    "rows": "Rows and classes",
    "test": "Test rows",
    "time": "Time",
    "size": "Size",
    "robustness": "Robustness",
    "seeds": "Other seeds",
}
SIZES = {"gzip": "zipped", "file": "on disk"}
_DEFAULT_RECIPE = "magnitude(sparsity=0.4)+q(8)"


@dataclass(frozen=True)
class View:
    """Dataset, model, recipe, which size the charts show, the drop that is asked about, in points,
    and which evidence is looked at."""

    dataset: str = "digits"
    model: str = "mlp-64-32"
    recipe: Recipe = field(default_factory=lambda: Recipe.parse(_DEFAULT_RECIPE))
    size: str = "gzip"
    margin: float = 0.5
    section: str = "rows"

    def query(self) -> dict[str, str]:
        """The parts of the address."""
        return {
            "v": VERSION,
            "dataset": self.dataset,
            "model": self.model,
            "recipe": str(self.recipe),
            "size": self.size,
            "margin": format_value(self.margin),
            "section": self.section,
        }


def parse_query(query: Mapping[str, str]) -> tuple[View, list[str]]:
    """The view of an address, and a sentence for each part that is wrong and was replaced."""
    view, complaints = View(), []
    unknown = [name for name in query if name not in view.query()]
    if unknown:
        names = ", ".join(_short(name) for name in unknown)
        complaints.append(f"this page does not know {names}, so it was left out.")
    if query.get("v", VERSION) != VERSION:
        complaints.append(
            f"v must be {VERSION}; got {_short(repr(query['v']))}. It was read as if it were."
        )
    for name, check in _CHECKS.items():
        if name not in query:
            continue
        try:
            view = replace(view, **{name: check(view, query[name])})
        except ParetoscopeError as error:
            complaints.append(f"{_short(str(error), 300)}. The default is shown instead.")
    if view.model not in models(view.dataset):
        view = replace(view, model=models(view.dataset)[-1])
    return view, complaints


def _short(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"


def _dataset(_: View, text: str) -> str:
    if text not in datasets():
        raise one_of("dataset", text, datasets())
    return text


def _model(view: View, text: str) -> str:
    allowed = models(view.dataset)
    if text not in allowed:
        raise one_of(f"model for {find_source(view.dataset).title}", text, allowed)
    return text


def _size(_: View, text: str) -> str:
    if text not in SIZES:
        raise one_of("size", text, list(SIZES))
    return text


def _margin(_: View, text: str) -> float:
    margin = MARGINS.parse("margin", text)
    MARGINS.check("margin", margin)
    return margin


def _section(_: View, text: str) -> str:
    if text not in SECTIONS:
        raise one_of("section", text, list(SECTIONS))
    return text


_CHECKS: Mapping[str, Any] = {
    "dataset": _dataset,
    "model": _model,
    "recipe": lambda _, text: Recipe.parse(text),
    "size": _size,
    "margin": _margin,
    "section": _section,
}


# --- of this visitor --------------------------------------------------------------------------


def current() -> View:
    """The visitor's view: the address where it was opened or changed by hand, else as it was left.

    A page change drops the address's parts; `publish` puts them back.
    """
    query = st.query_params.to_dict()
    if st.session_state.pop("changed", False):
        st.session_state.read = query  # the browser's address lags behind the control just moved
    known = st.session_state.get("published"), st.session_state.get("read")
    if query and query not in known:
        st.session_state.read = query
        st.session_state.pop("switch", None)
        st.session_state.view, complaints = parse_query(query)
        st.session_state.complaints = complaints
        st.session_state.linked = st.session_state.view.recipe
    if "view" not in st.session_state:
        st.session_state.view = View()
        st.session_state.switch = ("threshold", "global")
    view: View = st.session_state.view
    return view


def change(**parts: Any) -> None:
    """Change parts of the visitor's view. For callbacks."""
    view: View = replace(st.session_state.view, **parts)
    if view.model not in models(view.dataset):
        view = replace(view, model=models(view.dataset)[-1])
    st.session_state.view = view
    st.session_state.changed = True
    st.session_state.complaints = []


def rerun() -> NoReturn:
    """Run the page anew from within a fragment, with the view as it is.

    The address that comes with a fragment's run can be one change old.
    """
    st.session_state.changed = True
    st.rerun()
    raise AssertionError  # st.rerun does not return, which its type does not say


def publish() -> None:
    """Write the visitor's view into the address."""
    query = st.session_state.view.query()
    st.session_state.published = query
    st.session_state.pop("read", None)
    st.session_state.pop("changed", None)
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)


def mend(recipe: Recipe, complaint: str) -> None:
    """Replace a recipe that does not fit the network, and say so."""
    st.session_state.view = replace(st.session_state.view, recipe=recipe)
    complaint = _short(complaint, 300)
    st.session_state.complaints = [*st.session_state.get("complaints", []), complaint]
    _show_complaint(complaint)


def show_complaints() -> None:
    """Say what was wrong with the link."""
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


def show_link() -> None:
    """The link to what is looked at, to copy."""
    with st.popover("Copy link"):
        page = (st.context.url or "").split("?")[0].rstrip("/")
        st.code(
            f"{page}/?{urlencode(st.session_state.view.query())}", language=None, wrap_lines=True
        )
        st.caption("It opens this dataset, model and recipe on any Paretoscope it can reach.")
