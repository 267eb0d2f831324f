"""A fragment of a page that was left asks too late: its request never reaches the other page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

from ui.base import late_requests


@pytest.mark.parametrize(
    ("fragment", "page", "drawn", "passes"),
    [
        ("a", "explore", "explore", True),
        ("a", "explore", "evidence", False),
        ("", "evidence", "explore", True),  # a change of page
        ("a", "explore", "", True),  # the first page of a session is not known yet
    ],
)
def test_only_fragments_of_the_page_that_is_drawn_are_run(
    fragment: str, page: str, drawn: str, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[Any] = []
    monkeypatch.setattr(AppSession, "request_rerun", lambda _, asked: run.append(asked))
    monkeypatch.setattr(AppSession, "_drops_late_requests", False, raising=False)
    late_requests.begin()
    session: Any = SimpleNamespace(_client_state=ClientState(page_script_hash=drawn))
    asked = ClientState(fragment_id=fragment, page_script_hash=page)
    AppSession.request_rerun(session, asked)
    assert run == ([asked] if passes else [])
    AppSession.request_rerun(session, None)
    assert run[-1] is None
