"""What tests of pages share: opening one through Streamlit's own harness, and waiting for it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT


def open_page(page: str | None = None, **query: str) -> AppTest:
    """The app with an address; `page` is a file of `pages/` to switch to."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    return app if page is None else app.switch_page(f"pages/{page}").run()


def charts(app: AppTest) -> dict[str, dict[str, Any]]:
    """The figures that a page draws, by their key; each has a text for screen readers."""
    found = {}
    for element in app.get("bidi_component"):
        data = json.loads(element.proto.json)
        assert data["alt"]
        found[element.key] = json.loads(data["figure"])
    return found


def address(app: AppTest) -> dict[str, str]:
    return {n: v if isinstance(v, str) else v[0] for n, v in app.query_params.items()}


def until(app: AppTest, condition: Callable[[AppTest], bool], pause_s: float = 0.2) -> AppTest:
    deadline = time.monotonic() + 60
    while not condition(app):
        assert time.monotonic() < deadline, "the page did not get there within 60 s"
        threading.Event().wait(pause_s)
        app.run()
    return app.run()  # the last of it may have come while the page was being drawn


def measured(app: AppTest) -> bool:
    return any("files of this curve measured" in c.value for c in app.caption)
