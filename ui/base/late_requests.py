"""What a page that was left still asks for is not run on the page that came after it.

A slider or a timer of a fragment may speak a moment after the visitor went to another page.
Streamlit 1.67 runs that fragment once the other page is drawn, finds it gone, and has told the
browser by then that the old page is back. The browser empties what it shows, and stays blank.
"""

from __future__ import annotations

from functools import wraps

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

_MARK = "_drops_late_requests"


def begin() -> None:
    """Have all sessions of this server drop such requests; once is enough."""
    if getattr(AppSession, _MARK, False):
        return
    passed_on = AppSession.request_rerun

    @wraps(passed_on)
    def request_rerun(session: AppSession, asked: ClientState | None) -> None:
        if asked is None or not is_late(asked, session._client_state.page_script_hash):
            passed_on(session, asked)

    AppSession.request_rerun = request_rerun  # type: ignore[method-assign,assignment]
    setattr(AppSession, _MARK, True)


def is_late(asked: ClientState, drawn: str) -> bool:
    """Whether a fragment of another page asks than the one, by its hash, that is drawn or was
    drawn last."""
    return bool(asked.fragment_id and drawn) and asked.page_script_hash != drawn
