"""A fragment whose places are gone has the whole page drawn anew, where they are made again."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests import waiting


def _page() -> None:
    import streamlit as st
    from streamlit.errors import StreamlitInvalidLayoutContextError

    from ui.base.places import in_places

    runs = st.session_state.setdefault("runs", [])
    runs.append(len(runs))

    @in_places
    def draw() -> None:
        if len(runs) == 1:
            raise StreamlitInvalidLayoutContextError("no place")
        st.title(f"run {len(runs)}")

    draw()


def test_a_lost_place_is_made_again() -> None:
    app = AppTest.from_function(_page, default_timeout=waiting.HANGS_S).run()
    assert not app.exception
    assert [title.value for title in app.title] == ["run 2"]
