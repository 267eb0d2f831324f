"""What a visitor looks at, as one value: it is in the URL whole, so a link shows the same.

    ?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold=0.09)%2Bq(8)
        &size=gzip&margin=0.5&section=rows&drop=1&kb=none&us=none&heat=accuracy&pins=...

The address holds every part, also those that are at their default now: a default that changes
later does not change old links.
"""

from __future__ import annotations

import string
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import Number, format_value
from paretoscope.data.dataset import datasets, find_source, is_own
from paretoscope.measurement.budget import Budget
from paretoscope.methods.pruning import CRITERIA
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import RECOVERIES
from paretoscope.training.training import fits, models
from streamlit.runtime.scriptrunner import get_script_run_ctx

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
HEATS = {"accuracy": "Accuracy", "size": "Size", "time": "Time"}
AIMS = {"gzip": "smallest, zipped", "file": "smallest, on disk", "time": "fastest"}
CURVES = {c.name: c.title for c in CRITERIA}
RECOVER = {r.name: r.title for r in RECOVERIES if not r.needs_validation_rows} | {
    "layers": "Coarser codes layer by layer"
}
RECOVER.pop("project")
# What a recipe is compared with, one part changed.
VARIANTS = {
    "float32": "No quantization",
    "q(4)": "Fixed point, Q = 4",
    "q(8)": "Fixed point, Q = 8",
    "q(16)": "Fixed point, Q = 16",
    "symmetric(4)": "Symmetric, 4 bits",
    "kmeans(8)": "k-means, 8 clusters",
} | {r.name: r.title for r in RECOVERIES if not r.needs_validation_rows}
VARIANTS["project"] = "No recovery"
LIMITS = {"drop": Number(0, 100), "kb": Number(0.001, 1e9), "us": Number(0.001, 1e9)}
NO_LIMIT = "none"
BETWEEN = "|"  # stands in no recipe
MOST_PINS = 6
_ADDRESSES = 30  # a browser lags behind by a few
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
    drop: float | None = 1.0
    kb: float | None = None
    us: float | None = None
    heat: str = "accuracy"
    pins: tuple[Recipe, ...] = ()
    curves: tuple[str, ...] = ("magnitude", "random")
    aim: str = "gzip"
    over: tuple[str, ...] = ("magnitude",)
    recover: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    layer: str = ""

    @property
    def has_own_model(self) -> bool:
        """Whether the model was brought, so that its name opens it."""
        return self.model.startswith("own-model-")

    @property
    def zipped(self) -> bool:
        """Whether the size that is shown everywhere is that of the zipped file."""
        return self.size == "gzip"

    @property
    def budget(self) -> Budget:
        """The limits, on the size that is shown."""
        limit = None if self.kb is None else 1000 * self.kb
        drop = None if self.drop is None else self.drop / 100
        sizes = {"gzip_bytes" if self.zipped else "file_bytes": limit}
        return Budget(drop=drop, time_us=self.us, **sizes)

    @property
    def file_name(self) -> str:
        """How files of this dataset and model begin. The name of own data is their key, and goes
        nowhere but into links."""
        model = "own-model" if self.has_own_model else self.model
        return f"{'own-data' if is_own(self.dataset) else self.dataset}-{model}"

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
            "drop": _limit_text(self.drop),
            "kb": _limit_text(self.kb),
            "us": _limit_text(self.us),
            "heat": self.heat,
            "pins": BETWEEN.join(map(str, self.pins)),
            "curves": BETWEEN.join(self.curves),
            "aim": self.aim,
            "over": BETWEEN.join(self.over),
            "recover": BETWEEN.join(self.recover),
            "variants": BETWEEN.join(self.variants),
            "layer": self.layer,
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
    if not fits(view.model, view.dataset):
        view = replace(view, model=models(view.dataset)[-1])
    return view, complaints


def _short(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"


def _dataset(_: View, text: str) -> str:
    if is_own(text):
        find_source(text)  # says so where it is not kept here
    elif text not in datasets():
        raise one_of("dataset", text, datasets())
    return text


def _model(view: View, text: str) -> str:
    if not fits(text, view.dataset):
        allowed = models(view.dataset)
        raise one_of(f"model for {find_source(view.dataset).title}", text, allowed)
    return text


def _margin(_: View, text: str) -> float:
    margin = MARGINS.parse("margin", text)
    MARGINS.check("margin", margin)
    return margin


def _limit_text(limit: float | None) -> str:
    return NO_LIMIT if limit is None else format_value(limit)


def _limit(name: str) -> Callable[[View, str], float | None]:
    def check(_: View, text: str) -> float | None:
        if text == NO_LIMIT:
            return None
        value = LIMITS[name].parse(name, text)
        LIMITS[name].check(name, value)
        return value

    return check


def _word(name: str, words: Mapping[str, str]) -> Callable[[View, str], str]:
    """One of a few words."""

    def check(_: View, text: str) -> str:
        if text not in words:
            raise one_of(name, text, list(words))
        return text

    return check


def _several(name: str, words: Mapping[str, str]) -> Callable[[View, str], tuple[str, ...]]:
    """Some of a few words."""
    one = _word(name, words)

    def check(view: View, text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one(view, part) for part in text.split(BETWEEN) if part))

    return check


def _pins(_: View, text: str) -> tuple[Recipe, ...]:
    parts = [part for part in text.split(BETWEEN) if part]
    if len(parts) > MOST_PINS:
        raise ParetoscopeError(f"a link holds at most {MOST_PINS} pins; got {len(parts)}")
    return tuple(dict.fromkeys(map(Recipe.parse, parts)))


_CHECKS: Mapping[str, Any] = {
    "dataset": _dataset,
    "model": _model,
    "recipe": lambda _, text: Recipe.parse(text),
    "size": _word("size", SIZES),
    "margin": _margin,
    "section": _word("section", SECTIONS),
    "drop": _limit("drop"),
    "kb": _limit("kb"),
    "us": _limit("us"),
    "heat": _word("heat", HEATS),
    "pins": _pins,
    "curves": _several("curves", CURVES),
    "aim": _word("aim", AIMS),
    "over": _several("over", CURVES),
    "recover": _several("recover", RECOVER),
    "variants": _several("variants", VARIANTS),
    "layer": lambda _, text: text,
}


# --- of this visitor --------------------------------------------------------------------------


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
    complaint = _short(complaint, 300)
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
