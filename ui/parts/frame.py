"""The frame around every page: the menu, and which dataset and model are looked at."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import streamlit as st
from paretoscope.artifact.writing import may_fuse_any
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import SOURCES, find_source
from paretoscope.methods.kernels import Auto, Fused, Kernel
from paretoscope.methods.pruning import Criterion
from paretoscope.network.sketch import sketch_of
from paretoscope.problems.classification import Classification
from paretoscope.sweeps.sweep import at
from paretoscope.training.training import MODELS, models, own_model
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from ui.base.plot import MARK
from ui.base.theme import here
from ui.state import own_data, server, view
from ui.state.address import USUAL
from ui.state.control import control, forget_stops
from ui.state.session import session

_NAME = "font-family='Source Sans 3, Segoe UI, sans-serif' font-weight='700' font-size='17'"
STYLE = Path(__file__).resolve().parents[1] / "base" / "style.css"
_MODEL_TITLES = {model.name: model.title for model in MODELS}


def pages() -> list[StreamlitPage]:
    """The pages, in the order of the menu. To add one, write its file and name it here."""
    return [
        st.Page("pages/explore.py", title="Explore", default=True),
        st.Page("pages/compare.py", title="Compare"),
        st.Page("pages/layers.py", title="Layers"),
        st.Page("pages/search.py", title="Search"),
        st.Page("pages/evidence.py", title="Evidence"),
        st.Page("pages/files.py", title="Your files"),
        st.Page("pages/learn.py", title="Learn"),
        *(st.Page(f"pages/{old}.py", visibility="hidden") for old in ("textbook", "methods")),
    ]


def show_mark() -> None:
    """The mark with the name beside it, and the style of all pages."""
    ink = here().ink
    name = f"<text x='34' y='19' {_NAME} fill='{ink}'>Paretoscope</text>"
    whole = f"<svg xmlns='http://www.w3.org/2000/svg' width='150' height='26'>{_mark()}{name}</svg>"
    st.logo(whole, icon_image=str(MARK))
    st.html(STYLE)


@cache
def _mark() -> str:
    return MARK.read_text(encoding="utf-8")


def require_router() -> None:
    """The first line of every page.

    On a fresh server Streamlit runs a page that is opened by its address without `app.py`, and so
    without frame and menu, until any visitor has called `st.navigation`. This calls it.
    """
    if not session().routed:
        st.navigation(pages(), position="hidden")
        st.rerun()


def choose_network() -> None:
    """The controls for dataset and model, in the sidebar."""
    now = view.current()
    if not own_data.is_here(now.dataset):  # deleted meanwhile, by whoever had the key
        view.leave_dataset()
        now = view.current()
    own_data.remember(now.dataset, now.model, models(now.dataset))
    names = [*(source.name for source in SOURCES), *own_data.datasets()]
    dataset, model = control("dataset", now.dataset), control("model", now.model)
    st.sidebar.selectbox(
        "Dataset",
        names,
        index=names.index(now.dataset),
        format_func=_title,
        key=dataset.key,
        help=find_source(now.dataset).summary,
        on_change=dataset.then(lambda name: _change_network(dataset=name)),
    )
    fitting = [*models(now.dataset), *own_data.models(now.dataset)]
    st.sidebar.selectbox(
        "Model",
        fitting,
        index=fitting.index(now.model),
        format_func=lambda name: model_title(name, now.dataset),
        key=model.key,
        on_change=model.then(lambda name: _change_network(model=name)),
    )
    with st.sidebar:
        own_data.keep_in_browser()


def _change_network(**parts: str) -> None:
    """Another network, at the same sparsity: thresholds mean something else there."""
    forget_stops()
    now = session().view
    criterion = now.recipe.pruner
    try:
        old = server.network(now.dataset, now.model)
    except ParetoscopeError:  # the page says so; leaving it must be possible
        old = None
    recipe = now.recipe
    if (
        old is not None
        and isinstance(criterion, Criterion)
        and criterion.threshold is not None
        and not criterion.needs_rows
    ):
        sketch = sketch_of(old)
        share = criterion.selection(criterion.scores(sketch, None)).sparsity(sketch.weights)
        recipe = replace(recipe, pruner=at(criterion, "sparsity", round(share, 3)))
        session().switch = ("threshold", criterion.scope)
    kinds = [find_source(name).problem for name in (now.dataset, parts.get("dataset", now.dataset))]
    if kinds != [Classification, Classification] and "dataset" in parts:
        # Losses of another unit would mean something else.
        parts |= {"score": "", "margin": USUAL, "drop": USUAL}
    if "dataset" in parts:
        parts["decision"] = ""  # of other classes
    view.change(recipe=recipe, **parts)
    now = session().view
    view.change(recipe=replace(recipe, kernel=_first_kernel(now.dataset, now.model)))
    session().arrives = True


def _first_kernel(dataset: str, model: str) -> Kernel:
    """How codes of another network are to run: to be measured, where it may make a difference."""
    try:
        network = server.network(dataset, model)
    except ParetoscopeError:
        network = None
    small = network is not None and not may_fuse_any(network)
    return Fused() if small else Auto()


def head() -> DeltaGenerator:
    """What a page opens with: a place for its finding, which `say` fills, and the link right of
    it."""
    top = st.container(horizontal=True, vertical_alignment="center", key="top")
    finding = top.container(key="headline", width="stretch")
    with top.container(key="leaving", width="content", horizontal=True, wrap=False):
        view.show_link()
    return finding


def say(place: DeltaGenerator, finding: str, beneath: str) -> None:
    """A page's finding, in words that can be quoted, and beneath it what it is of."""
    place.title(finding, anchor=False)
    place.caption(beneath)


def network_title(dataset: str, model: str) -> str:
    return f"{_title(dataset)} · {model_title(model, dataset)}"


def model_title(model: str, dataset: str) -> str:
    own = None if model in _MODEL_TITLES else own_model(model, dataset)
    return own.title if own is not None else _MODEL_TITLES.get(model, model)


def _title(dataset: str) -> str:
    return find_source(dataset).title
