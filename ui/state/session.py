"""What a visitor's session keeps besides the values of its widgets: all of it, in one place."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from paretoscope.base.jobs import Job
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network

from ui.state.address import View

_ADDRESSES = 30  # a browser lags behind by a few


@dataclass
class Polling:
    """Whether timers draw parts of Explore anew, until all that it asked for is measured.

    The run of a timer that finds all measured asks for a run of the whole page, which ends the
    timers. Other runs must not: they would draw the page twice.
    """

    active: bool = False

    def end(self) -> None:
        """A run of the whole page ends all timers."""
        self.active = False

    @contextmanager
    def drawing(self, needed: bool) -> Iterator[None]:
        """While the parts are first drawn no timer runs; then they do where that is `needed`."""
        was, self.active = self.active, False
        try:
            yield
        finally:
            self.active = was or needed


@dataclass
class Session:
    """A visitor's session.

    Attributes
    ----------
    visitor : str
        A name for the visitor, known to this server only.
    routed : bool
        Whether `app.py` has run, so that a page may be drawn.
    opened : bool
        Whether there was a view: the address's, or the usual one.
    view : View
    addresses : deque of dict
        The last addresses, those opened and those that pages wrote.
    linked : Recipe or None
        The recipe of the link or click that was followed: sliders keep its values as stops.
    first_visit : bool
        Whether to welcome the visitor.
    complaints : list of str
        What was wrong with the link.
    outdated : bool
        Whether the page still shows complaints of a link that was left since.
    arrives : bool
        Whether a network was chosen and no recipe: one is found that suits it.
    switch : (axis, scope) or None
        What the place of the slider is to be found for anew, once the network is there.
    network : Network or None
        The one that the controls are about.
    controls : dict of str to Control
        Those that are drawn, by their names (`ui.state.control`).
    asked : set of str
        The trainings that the visitor started.
    stopped : Job or None
        The job that the visitor stopped.
    polling : Polling
    properly : dict or None
        What was to be measured properly, until that has begun.
    wrong_limit : str or None
        What is wrong with a limit of the budget that was typed.
    taken : bool
        Whether a search's result was taken, so that Explore is next.
    own_kept : int
        Files of the visitor's own that this visit has kept.
    own_wrong : str or None
        Why the button that was pressed did nothing.
    own_used : bool
        Whether own data or an own model was taken, so that Explore is next.
    upload : (Brought, list of files) or None
        The model that *Your files* shows, with what it was given.
    example : str or None
        The example of Your files that the visitor tries.
    brought : dict of str to list of str
        Datasets with the own models that were looked at on each.
    forgotten : set of str
        Names that the browser is to keep no longer.
    """

    visitor: str = field(default_factory=lambda: uuid.uuid4().hex)
    routed: bool = False
    opened: bool = False
    view: View = field(default_factory=View)
    addresses: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=_ADDRESSES))
    linked: Recipe | None = None
    first_visit: bool = False
    complaints: list[str] = field(default_factory=list)
    outdated: bool = False
    arrives: bool = False
    switch: tuple[str, str] | None = None
    network: Network | None = None
    controls: dict[str, Any] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    stopped: Job | None = None
    polling: Polling = field(default_factory=Polling)
    properly: dict[str, Any] | None = None
    wrong_limit: str | None = None
    taken: bool = False
    own_kept: int = 0
    own_wrong: str | None = None
    own_used: bool = False
    upload: tuple[Any, list[Any]] | None = None
    example: str | None = None
    brought: dict[str, list[str]] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)

    def take(self, name: str) -> Any:
        """What is kept under a name, which is then as at first: for what is said or done once."""
        found, unset = getattr(self, name), Session()
        setattr(self, name, getattr(unset, name))
        return found


def session() -> Session:
    """The session of the visitor whose page runs."""
    if "session" not in st.session_state:
        st.session_state.session = Session()
    found: Session = st.session_state.session
    return found
