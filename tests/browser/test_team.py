"""Two real servers behind a real nginx, on one PostgreSQL and one shared folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import paretoscope as ps
import pytest
import websockets
from paretoscope.base.store import sha256
from paretoscope.sweeps.history import History
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Visitor, file_was_run, settle, shows, slider
from tests.browser.serving import ROOT, await_health, free_port, serve
from tests.browser.visitors import look, stay
from tests.conftest import load, trained
from tests.libraries import link_libraries
from tests.postgres import PATH, Postgres
from tests.waiting import HANGS_S, until

QUERY = "/?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.1)%2Bq(8)"
DEPLOY = ROOT / "deploy"


@dataclass
class Team:
    """Two servers, the proxy's address, the database's, and the shared folder."""

    servers: list[Server]
    proxy: str
    database: str
    home: Path


def _nginx(folder: Path, ports: list[int]) -> tuple[subprocess.Popen[bytes], int]:
    """The configuration that is shipped, with the ports and folders of this test."""
    port = free_port()
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for old, new in (
        ("127.0.0.1:8080", f"127.0.0.1:{port}"),
        ("/run/paretoscope", str(folder)),
        *((f"127.0.0.1:850{k + 1}", f"127.0.0.1:{p}") for k, p in enumerate(ports)),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    program = shutil.which("nginx", path=PATH)
    assert program is not None, "run 'make servers' first"
    command = [program, "-c", str(folder / "nginx.conf"), "-g", "daemon off; user root;"]
    return subprocess.Popen(command if os.geteuid() == 0 else command[:-2]), port


@pytest.fixture(scope="module")
def team(database: Postgres) -> Iterator[Team]:
    trained("digits", "mlp-64-32")
    url = database.fresh("team")
    folder = Path(tempfile.mkdtemp(prefix="paretoscope-team-"))
    home = Path(os.environ["PARETOSCOPE_HOME"])
    more = {"PARETOSCOPE_DATABASE_URL": url, "PARETOSCOPE_LOG": "json"}
    ports = [free_port(), free_port()]
    with serve(str(home), ports[0], **more) as one, serve(str(home), ports[1], **more) as two:
        nginx, port = _nginx(folder, ports)
        try:
            await_health(f"http://127.0.0.1:{port}")
            yield Team([one, two], f"http://127.0.0.1:{port}", url, home)
        finally:
            nginx.terminate()
            nginx.wait(HANGS_S)
            shutil.rmtree(folder, ignore_errors=True)


def _upload(page: Page, path: Path) -> None:
    box = page.locator("[data-testid=stFileUploader]").filter(has_text="Table, at most")
    box.locator("input[type=file]").set_input_files(str(path))


def test_a_link_of_one_server_shows_the_same_on_the_other(team: Team, visitor: Visitor) -> None:
    """Also what the first one measured is there at once."""
    page = visitor().page
    page.goto(team.servers[0].url + QUERY)
    shows(page, "Q = 8")
    settle(page)
    slider(page, "Q").press("ArrowLeft")
    shows(page, "Q = 6")
    file_was_run(page)
    data, network = load("digits"), trained("digits", "mlp-64-32")
    recipe = ps.Recipe.parse("magnitude(threshold=0.1)+q(6)")
    history = History(team.database)
    until(lambda: len(history.find(network, data, "validation", [ps.Recipe(), recipe])) == 2)
    figures = page.locator("[data-testid=stMetricValue]").all_inner_texts()
    address = page.evaluate("location.href")
    other = visitor().page
    other.goto(address.replace(team.servers[0].url, team.servers[1].url))
    # Accuracy and size are those of the same file; the time is the one that the first server took.
    expect(other.locator("[data-testid=stMetricValue]")).to_have_text(figures)
    query = "location.search"
    assert other.evaluate(query) == page.evaluate(query)
    # The files of its curve are kept like that of the recipe.
    curve = ps.curve(network, recipe, "threshold")
    until(lambda: len(history.find(network, data, "validation", curve)) > 2)
    history.close()


def _shown(url: str, query: str) -> tuple[str, list[str]]:
    """The text and the large figures that a visitor of a link is shown."""
    with ThreadPoolExecutor(1) as other:  # Playwright's loop runs in this thread
        drawn = [d.new_element for d in other.submit(asyncio.run, look(url, query)).result()]
    text = " ".join(e.markdown.body for e in drawn if e.WhichOneof("type") == "markdown")
    return text, [e.metric.body for e in drawn if e.WhichOneof("type") == "metric"]


def test_a_link_to_own_data_opens_on_the_other_server(
    team: Team, visitor: Visitor, tmp_path: Path
) -> None:
    rows = "\n".join(f"{k % 7},{k % 5},{'ab'[k % 2]}" for k in range(80))
    (tmp_path / "mine.csv").write_text(f"x,z,kind\n{rows}\n", encoding="utf-8")
    page = visitor().page
    page.goto(f"{team.proxy}/files")
    settle(page)
    _upload(page, tmp_path / "mine.csv")
    page.get_by_role("button", name="Use these data").click()
    expect(page.get_by_role("heading", name="mine.csv · Logistic regression")).to_be_visible()
    page.wait_for_function("location.search.includes('dataset=own-')")
    query = page.evaluate("location.search").removeprefix("?")
    for server in team.servers:
        until(lambda url=server.url: "%" in "".join(_shown(url, query)[1]), pause_s=0.5)
        assert "mine.csv · Logistic regression" in _shown(server.url, query)[0]


def test_a_visitor_stays_with_a_server_until_it_is_gone(team: Team) -> None:
    health, name = f"{team.proxy}/_stcore/health", "paretoscope="

    def asked(**headers: str) -> list[str]:
        """The cookies of ours that come with an answer."""
        request = urllib.request.Request(health, headers=headers)
        with urllib.request.urlopen(request, timeout=HANGS_S) as answer:
            given = answer.headers.get_all("Set-Cookie") or []
            return [c.partition(";")[0] for c in given if c.startswith(name)]

    cookies = [cookie for _ in range(3) for cookie in asked()]
    assert len(set(cookies)) == 3
    assert asked(Cookie=cookies[0]) == []


def test_logs_are_lines_of_json_and_a_server_does_without_its_database(team: Team) -> None:
    more = {"PARETOSCOPE_LOG": "json", "PARETOSCOPE_DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}
    with serve(str(team.home), **more) as server:
        query = QUERY.removeprefix("/?")
        until(lambda: "%" in "".join(_shown(server.url, query)[1]), pause_s=0.5)
        until(lambda: any("measures for itself for a while" in line for line in tuple(server.said)))
    events = [json.loads(line) for line in server.said if line.startswith("{")]
    assert any("measures for itself for a while" in e["event"] for e in events)
    assert all({"time", "level", "logger", "event"} <= set(e) for e in events)


@dataclass
class Killed:
    """A server that a visitor looks at until it is killed, and what it left in a new database."""

    team: Team
    database: str
    recipe: ps.Recipe

    def run(self, *program: str, then: Callable[[subprocess.Popen[bytes]], None]) -> None:
        """Start it as a program and let one visitor look; it must have been killed after that."""
        port = free_port()
        more = {"PARETOSCOPE_DATABASE_URL": self.database, "PARETOSCOPE_HOME": str(self.team.home)}
        process = subprocess.Popen(
            [sys.executable, *program, "run", "app.py", "--server.port", str(port)],
            cwd=ROOT, env=os.environ | more, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            await_health(f"http://127.0.0.1:{port}")
            recipe = str(self.recipe).replace("+", "%2B")
            query = f"v=1&dataset=digits&model=mlp-64-32&recipe={recipe}"
            visit = threading.Thread(target=_visit, args=(f"http://127.0.0.1:{port}", query))
            visit.start()
            then(process)
            assert process.wait(HANGS_S) == -signal.SIGKILL
            visit.join(HANGS_S)
        finally:
            process.kill()
            process.wait()

    def found(self) -> dict[str, ps.Measurement]:
        """What the server measured and kept."""
        network = trained("digits", "mlp-64-32")
        asked = [ps.Recipe(), self.recipe, *ps.curve(network, self.recipe, "threshold")]
        history = History(self.database)
        found = history.find(network, load("digits"), "validation", asked)
        history.close()
        return found

    def check(self) -> None:
        """Files in the store are whole, and rows are those of files that come out the same."""
        for path in (self.team.home / "objects").iterdir():
            if not path.name.startswith("."):
                assert sha256(path.read_bytes()) == path.name
        data, network = load("digits"), trained("digits", "mlp-64-32")
        for text, m in list(self.found().items())[:5]:
            again = ps.compress(network, ps.Recipe.parse(text), data.train, data.validation)
            assert again.sha256 == m.artifact_sha256


@pytest.mark.parametrize(("point", "kept"), [("uncommitted", 2), ("committed", 3)])
def test_a_server_that_is_killed_leaves_everything_whole(
    point: str, kept: int, team: Team, database: Postgres
) -> None:
    """At the third file that it measures for a visitor."""
    recipe = ps.Recipe.parse("magnitude(threshold=0.1)+q(20)")
    killed = Killed(team, database.fresh(f"killed_{point}"), recipe)
    killed.run("-m", "tests.dying", point, "3", "streamlit", then=lambda process: None)
    assert len(killed.found()) == kept
    killed.check()


@pytest.mark.soak("10 servers killed at random moments while a curve is measured")
def test_ten_servers_that_are_killed_leave_everything_whole(team: Team, database: Postgres) -> None:
    """At random moments after a first file was measured."""
    rng = random.Random(0)
    for q in range(20, 30):
        recipe = ps.Recipe.parse(f"magnitude(threshold=0.1)+q({q})")
        killed = Killed(team, database.fresh(f"killed_{q}"), recipe)

        def kill(process: subprocess.Popen[bytes], killed: Killed = killed) -> None:
            until(killed.found)
            time.sleep(rng.uniform(0, 1.5))
            process.kill()

        killed.run("-m", "streamlit", then=kill)
        assert killed.found()
        killed.check()


def _visit(url: str, query: str) -> None:
    """Open a link and stay, until the server is gone."""
    with contextlib.suppress(OSError, websockets.WebSocketException):
        asyncio.run(stay(url, query))


# --- what is shipped to run servers with ---------------------------------------------------------


def test_the_dockerfiles_commands_make_a_server_that_is_well(tmp_path: Path) -> None:
    """Without an engine: its COPY, RUN, HEALTHCHECK and CMD, one by one in a folder that has our
    libraries, so that pip finds them there."""
    link_libraries(tmp_path / ".venv", "requirements-dev.txt")
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    steps = [shlex.split(line) for line in text.splitlines() if re.match(r"(COPY|RUN) ", line)]
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path),
                   "PARETOSCOPE_HOME": str(tmp_path / "home")} | {
        name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))
    }  # fmt: skip
    for word, *rest in steps:
        if word == "COPY":
            *sources, target = rest
            for source in sources:
                to = tmp_path / target / source if target == "./" else tmp_path / target
                to.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, to)
        elif rest[0] == "useradd":
            continue  # the system's, not the folder's
        else:
            program = sys.executable if rest[0] == "python" else rest[0]
            done = subprocess.run([program, *rest[1:]], cwd=tmp_path, env=environment,
                                  capture_output=True, text=True, check=False)  # fmt: skip
            assert done.returncode == 0, done.stderr
    check = re.search(r"^HEALTHCHECK .*? CMD (.*)$", text, re.M)
    start = re.search(r"^CMD (\[.*\])$", text, re.M)
    assert check is not None
    assert start is not None
    command = [w.replace("0.0.0.0", "127.0.0.1").replace("8501", str(port))
               for w in json.loads(start[1])]  # fmt: skip
    server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        await_health(f"http://127.0.0.1:{port}")
        asked = shlex.split(check[1].replace("8501", str(port)))
        subprocess.run(asked, cwd=tmp_path, env=environment, check=True)
    finally:
        server.terminate()
        server.wait(HANGS_S)


def test_the_unit_is_one_that_systemd_takes() -> None:
    unit = (DEPLOY / "paretoscope@.service").read_text(encoding="utf-8")
    start = re.search(r"^ExecStart=/opt/paretoscope/\.venv/bin/python (.*)$", unit, re.M)
    assert start is not None
    assert shlex.split(start[1]) == ["-m", "streamlit", "run", "app.py", "--server.port", "%i"]
    for line in unit.splitlines():
        assert re.fullmatch(r"|#.*|\[\w+\]|[A-Za-z]+=.+", line)
