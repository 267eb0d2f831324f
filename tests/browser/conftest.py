"""A real server and a real Chromium."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    TimeoutError,
    expect,
    sync_playwright,
)

from tests.browser import chromium
from tests.browser.serving import RUNNING, Server, serve
from tests.waiting import HANGS_S

expect.set_options(timeout=HANGS_S * 1000)  # a busy machine is slow, not wrong


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the servers logged stands beside a test that failed."""
    report = yield
    if report.failed:
        for server in RUNNING:
            report.sections.append((f"log of {server.url}", "".join(tuple(server.said)[-200:])))
    return report


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


def settle(page: Page, rest_ms: int = 500, within_s: float = HANGS_S) -> None:
    """Wait until the page's script has rested for a while: a deep link is drawn twice, and a box
    that is drawn anew loses what it is given meanwhile. Pages that poll rest for 300 ms at most."""
    page.evaluate("window.lastRun = undefined")  # a rest before this call does not count
    # Not by animation frames: a page that others hide has none.
    page.wait_for_function(_RESTS, arg=rest_ms, timeout=1000 * within_s, polling=100)


def slider(page: Page, label: str) -> Locator:
    return page.locator(f'input[type=range][aria-label="{label}"]').first


def menu(page: Page) -> Locator:
    """The names of the pages."""
    return page.get_by_test_id("stTopNav")


def unfold(page: Page, group: str) -> None:
    """Open a group of controls in the sidebar. A run that draws it anew closes it again."""
    summary = page.get_by_test_id("stSidebar").locator("summary").filter(has_text=group)
    settle(page)
    summary.click()
    settle(page)
    if summary.locator("..").get_attribute("open") is None:
        summary.click()


def shows(page: Page, value: str) -> None:
    """Wait until a heading above a slider says a value, as "Q = 8" or "|w| < 0.1"."""
    strip = page.locator(".st-key-strip")
    expect(strip.get_by_text(re.compile(rf"{re.escape(value)} ="))).to_be_visible()


HOME = "?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.1)%2Bq(8)&size=gzip"
GO = "to => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')) }"
_MEASURED = re.compile(r"All \d+ files of this curve measured")
_COMPUTED = re.compile(r"All \d+ cells computed")


def box_of(page: Page, selector: str) -> dict[str, float]:
    found = page.locator(selector).first.bounding_box()
    assert found is not None, selector
    return found  # type: ignore[return-value]


def is_whole(page: Page, selector: str, height: int, share: float = 1.0) -> None:
    """So much of a part's height lies on the first screen, and all of its width."""
    box = box_of(page, selector)
    seen = min(height, box["y"] + box["height"]) - max(0.0, box["y"])
    assert seen >= share * box["height"] - 0.5, (selector, box)
    width = page.viewport_size["width"]  # type: ignore[index]
    assert box["x"] >= 0, selector
    assert box["x"] + box["width"] <= width + 0.5, selector


def all_measured(page: Page) -> None:
    """Wait until Explore has all that it will ever have."""
    expect(page.get_by_text(_MEASURED)).to_be_visible()
    expect(page.get_by_text(_COMPUTED)).to_be_visible()


def file_was_run(page: Page) -> None:
    """Wait until the large figures are those of the file."""
    expect(page.locator("[data-testid=stMetricValue]").first).not_to_have_text("…")
    expect(page.get_by_test_id("stMetricDeltaDescription").first).not_to_contain_text("computed")


@dataclass
class Visit:
    """A page with what went wrong on it, which addresses it asked for, and what it was sent."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    frames: list[bytes | str] = field(default_factory=list)
    _last_frame: float = 0.0

    def __post_init__(self) -> None:
        page = self.page
        page.set_default_timeout(HANGS_S * 1000)
        page.on("console", lambda m: self._failed(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self._failed(f"{error}\n{error.stack}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda s: s.on("framereceived", self._received))

    def _received(self, frame: bytes | str) -> None:
        self.frames.append(frame)
        self._last_frame = time.monotonic()

    def rest(self, rest_s: float = 1.5) -> None:
        """Wait until the server has sent nothing for a while: polls are over, too, and the run of
        the whole page that ends them. What is seen may be complete before."""
        self._last_frame = time.monotonic()
        while (left := self._last_frame + rest_s - time.monotonic()) > 0:
            self.page.wait_for_timeout(1000 * left)

    def _failed(self, error: str) -> None:
        self.errors.append(error)
        print(f"{self.page.url} told: {error}")  # stands beside a test that failed

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


@pytest.fixture(scope="session")
def _context(browser: Browser) -> Iterator[BrowserContext]:
    """One browser for most visits: it has the app's scripts already, and saves half of a load."""
    context = browser.new_context(accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def visitor(browser: Browser, _context: BrowserContext) -> Iterator[Visitor]:
    """Opens pages: ``visitor(width=390, color_scheme="dark")``. Each is another browser's, which
    knows nothing of the others."""
    before, others = set(_context.pages), []

    def visit(width: int = 1280, height: int = 1000, color_scheme: str = "light") -> Visit:
        context = _context
        if len(_context.pages) > len(before):
            context = browser.new_context(accept_downloads=True)
            others.append(context)
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=color_scheme)  # type: ignore[arg-type]
        return Visit(page)

    yield visit
    for context in others:
        context.close()
    for page in set(_context.pages) - before:
        page.evaluate("location.protocol === 'http:' && localStorage.clear()")
        page.close()
    _context.clear_cookies()


@pytest.fixture(scope="session")
def _explore(_context: BrowserContext, server: Server) -> Visit:
    visit = Visit(_context.new_page())
    visit.page.set_viewport_size({"width": 1280, "height": 1000})
    visit.page.goto(f"{server.url}/{HOME}")
    return visit


@pytest.fixture
def explore(_explore: Visit) -> Visit:
    """Explore at HOME, with all its files measured: one page for many tests, for a browser works
    for seconds to load one. Each test finds it as that link shows it."""
    page = _explore.page
    page.bring_to_front()  # other visits have hidden it
    page.keyboard.press("Escape")  # a menu that is open takes the next click
    try:
        settle(page, 300, within_s=30)  # a run under way writes its own address over ours
    except TimeoutError:  # seen once in some hundred tests: the server sends no more to it
        print(f"{page.url} came to no rest, and is loaded anew")
        page.reload()
        settle(page)
    page.evaluate(GO, f"/{HOME}")
    settle(page)  # what still stands there from before tells nothing
    shows(page, "|w| < 0.1")
    shows(page, "Q = 8")
    all_measured(page)
    settle(page)
    for told in (_explore.errors, _explore.requests, _explore.frames):
        told.clear()
    return _explore
