"""A real server and a real Chromium."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.browser import chromium
from tests.browser.serving import ANSWERS_S, Server, serve

expect.set_options(timeout=ANSWERS_S * 1000)  # a busy machine is slow, not wrong


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for the tests that do not need a fresh one, with its networks trained."""
    with serve(os.environ["PARETOSCOPE_HOME"]) as running:
        yield running


@pytest.fixture
def fresh_server() -> Iterator[Server]:
    """A server that no visitor has seen."""
    with serve(os.environ["PARETOSCOPE_HOME"]) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium.find()
    assert path is not None, "run 'make chromium' first"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
        yield running
        running.close()


_RESTS = """rest => {
  const state = document.querySelector('[data-testid=stApp]')?.dataset.testScriptState;
  const now = performance.now();
  if (state !== 'notRunning' || window.lastRun === undefined) window.lastRun = now;
  return now - window.lastRun > rest;
}"""


def settle(page: Page, rest_ms: int = 500) -> None:
    """Wait until the page's script has rested for a while: a deep link is drawn twice, and a box
    that is drawn anew loses what it is given meanwhile. Pages that poll rest for 300 ms at most."""
    page.wait_for_function(_RESTS, arg=rest_ms)


def slider(page: Page, label: str) -> Locator:
    box = page.locator("[data-testid=stSelectSlider], [data-testid=stSlider]")
    return box.filter(has=page.get_by_text(label, exact=True)).locator("input[type=range]").first


@dataclass
class Visit:
    """A page with what went wrong on it and which addresses it asked for."""

    page: Page
    errors: list[str]
    requests: list[str]

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_selector("[data-testid=stMetric], [data-testid=stAlert]")

    @property
    def query(self) -> str:
        address: str = self.page.evaluate("decodeURIComponent(location.search)")
        return address

    def main_text(self) -> str:
        return self.page.inner_text("[data-testid=stMain]")


Visitor = Callable[..., Visit]


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """Opens pages: ``visitor(width=390, color_scheme="dark")``."""
    contexts = []

    def visit(width: int = 1280, height: int = 1000, color_scheme: str = "light") -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=color_scheme,  # type: ignore[arg-type]
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(ANSWERS_S * 1000)
        found = Visit(page, [], [])
        page.on("console", lambda m: found.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: found.errors.append(str(error)))
        page.on("request", lambda request: found.requests.append(request.url))
        return found

    yield visit
    for context in contexts:
        context.close()
