"""A control that the page moved is another one: what a browser sends of the one before is no move
of the visitor's."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.testing.v1 import AppTest

from tests.app.pages import address, drawn, open_page
from ui.state import view

RECIPE = "magnitude(threshold=0.1)+q(8)"
MOVED = "magnitude(threshold=0.1)+q(12)"
Q = "quantizer-q-q"


def _go(app: AppTest, monkeypatch: pytest.MonkeyPatch, where: dict[str, str]) -> None:
    for name, value in where.items():
        app.query_params[name] = value
    went = SimpleNamespace(is_history_navigation=True)
    with monkeypatch.context() as back:
        back.setattr(view, "get_script_run_ctx", lambda: went)
        app.run()


def test_a_timer_that_sends_old_places_undoes_no_step_back(monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(recipe=RECIPE)
    before = address(app)
    slider = app.select_slider(key=Q).set_value(12.0)
    slider.run()
    assert address(app)["recipe"] == MOVED
    late: WidgetState = slider._widget_state  # as the browser still has it
    _go(app, monkeypatch, before)
    assert address(app) == before
    app._run(WidgetStates(widgets=[late]))
    assert address(app) == before
    assert app.select_slider(key=drawn(app, Q)).value == 8
    app.select_slider(key=drawn(app, Q)).set_value(12.0).run()  # the visitor's own
    assert address(app)["recipe"] == MOVED


def test_a_control_of_another_network_is_not_heard() -> None:
    """Its stops mean something else there."""
    app = open_page(recipe=RECIPE)
    slider = app.select_slider(key="place")
    app.selectbox(key="dataset").select("iris").run()
    late: WidgetState = slider.set_value(float(slider.options[5].split("< ")[1]))._widget_state
    there = address(app)
    app._run(WidgetStates(widgets=[late]))
    assert address(app) == there


def test_what_the_visitor_moves_stays_the_same_control() -> None:
    """It keeps its focus: the next press of a key goes to it."""
    app = open_page(recipe=RECIPE)
    for q in (10.0, 12.0, 10.0):
        app.select_slider(key=Q).set_value(q).run()
    assert drawn(app, Q) == Q
