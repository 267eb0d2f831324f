"""A real server and a real Chromium."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import chromium
from tests.conftest import ROOT

ANSWERS_S = 60
expect.set_options(timeout=ANSWERS_S * 1000)  # a busy machine is slow, not wrong


@dataclass(frozen=True)
class Server:
    """An app server of its own, on a free port of this machine."""

    url: str
    process: subprocess.Popen[str]


@contextmanager
def serve(home: str, port: int = 0) -> Iterator[Server]:
    """Start the app as `make run` does; it is ended at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port or _free())],
        cwd=ROOT,
        env=os.environ | {"PARETOSCOPE_HOME": home},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Server(_address(process), process)
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def _free() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            _await_health(found[0])
            return found[0]
    raise AssertionError("the server ended without an address")


def _await_health(url: str) -> None:
    deadline = time.monotonic() + ANSWERS_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            continue
    raise AssertionError("the server does not answer")


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
