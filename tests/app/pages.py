"""What tests of pages share: opening one through Streamlit's own harness, and waiting for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go
from streamlit.testing.v1 import AppTest

from tests import waiting
from tests.conftest import ROOT

FOLDS = ("budget", "method", "units", "quantizer", "recover")


def open_page(page: str | None = None, *, folds: Sequence[str] = FOLDS, **query: str) -> AppTest:
    """The app with an address; `page` is a file of `pages/` to switch to, `folds` are the groups of
    controls that are open."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=waiting.HANGS_S)
    for fold in folds:
        app.session_state[f"fold-{fold}"] = True
    for name, value in query.items():
        app.query_params[name] = value
    return (app if page is None else app.switch_page(f"pages/{page}")).run()


def charts(app: AppTest) -> dict[str, dict[str, Any]]:
    """The figures that a page draws, by their key; each has a text for screen readers."""
    found = {}
    for element in app.get("bidi_component"):
        data = json.loads(element.proto.json)
        if "figure" not in data:  # what the browser keeps
            continue
        assert data["alt"]
        found[element.key] = json.loads(data["figure"])
        go.Figure(found[element.key])  # Plotly's own classes check each value
    return found


def address(app: AppTest) -> dict[str, str]:
    return {n: v if isinstance(v, str) else v[0] for n, v in app.query_params.items()}


def until(app: AppTest, condition: Callable[[AppTest], bool], pause_s: float = 0.4) -> AppTest:
    def look() -> bool:
        there = condition(app)
        if not there:
            assert not app.exception, [error.value for error in app.exception]
            app.run()
        return there

    waiting.until(look, pause_s)
    return app.run()  # the last of it may have come while the page was being drawn


def drawn(app: AppTest, name: str) -> str:
    """The key of a control of the view as it is drawn now: another where the page moved it."""
    key: str = app.session_state.session.controls[name].key
    return key


def figures(app: AppTest) -> bool:
    """Whether the large figures are there and are those of the file, which was run."""
    return bool(app.metric) and app.metric[0].value != "\u2026" and "computed" not in beside(app)[0]


def beside(app: AppTest) -> list[str]:
    """What stands beside the badges of the large figures."""
    return [metric.proto.delta_description for metric in app.metric]


def strip(app: AppTest) -> list[str]:
    """The headings above the sliders, as they are read."""
    return [m.value.replace("\\", "") for m in app.markdown if ":blue[" in m.value]


def measured(app: AppTest) -> bool:
    """Whether all files of the curve were run."""
    return any(re.search("files? of this curve measured", c.value) for c in app.caption)
