"""Controls that show a part of the view, and which of their changes are the visitor's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from ui.state.session import session


@dataclass(frozen=True)
class Control:
    """A control as it is drawn now.

    A browser that is one run behind sends the places of all its controls, also where only a timer
    asks. Streamlit cannot tell these from moves of the visitor's, and calls back even for controls
    that are gone. So a control that the page itself moved (a link, Back, a dot that was clicked),
    or whose stops are others now, is another one from then on, and the one before is not heard.

    Attributes
    ----------
    name : str
    number : int
        How often the page moved it.
    stops : tuple
        The values among which it is moved, where these are not always the same.
    """

    name: str
    number: int = 0
    stops: tuple[object, ...] = ()

    @property
    def key(self) -> str:
        """Its key in Streamlit's session state."""
        return f"{self.name}~{self.number}" if self.number else self.name

    def then(self, do: Callable[[Any], object]) -> Callable[[], None]:
        """What a move of the visitor's does, given the new value: for `on_change`."""

        def moved() -> None:
            if session().controls.get(self.name) == self:
                do(st.session_state[self.key])

        return moved


def control(name: str, value: object, stops: Sequence[object] = ()) -> Control:
    """The control of a name that is to show `value`, which it is given as its default, too: where
    two runs follow closely, the browser is sent only what the second says.

    A control that shows the value already is left alone: a browser whose slider has moved on
    meanwhile must not be set back.
    """
    drawn: dict[str, Control] = session().controls
    now = drawn.get(name, Control(name, 0, tuple(stops)))
    if now.stops != tuple(stops) or st.session_state.get(now.key, value) != value:
        now = Control(name, now.number + 1, tuple(stops))
    drawn[name] = now
    if now.key not in st.session_state:
        st.session_state[now.key] = value
    return now


def forget_stops() -> None:
    """Hear no slider among stops any more until it is drawn anew: these are of another network."""
    drawn: dict[str, Control] = session().controls
    drawn.update({n: replace(c, number=c.number + 1) for n, c in drawn.items() if c.stops})
