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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paretoscope as ps
import pytest
import websockets
from paretoscope.history import History
from paretoscope.store import sha256
from playwright.sync_api import Page, expect

from benchmarks.app import _stay
from tests.browser.conftest import Server, Visitor, settle
from tests.browser.serving import ROOT, _await_health, _free, serve
from tests.conftest import load, trained
from tests.postgres import _PATH, Postgres

QUERY = "/?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.1)%2Bq(8)"
DEPLOY = ROOT / "deploy"
ALL = re.compile(r"All \d+ files of this curve measured")


@dataclass
class Team:
    """Two servers, the proxy's address, the database's, and the shared folder."""

    servers: list[Server]
    proxy: str
    database: str
    home: Path


def _nginx(folder: Path, ports: list[int]) -> tuple[subprocess.Popen[bytes], int]:
    """The configuration that is shipped, with the ports and folders of this test."""
    port = _free()
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for old, new in (
        ("127.0.0.1:8080", f"127.0.0.1:{port}"),
        ("/run/paretoscope", str(folder)),
        *((f"127.0.0.1:850{k + 1}", f"127.0.0.1:{p}") for k, p in enumerate(ports)),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    program = shutil.which("nginx", path=_PATH)
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
    ports = [_free(), _free()]
    with serve(str(home), ports[0], **more) as one, serve(str(home), ports[1], **more) as two:
        nginx, port = _nginx(folder, ports)
        try:
            _await_health(f"http://127.0.0.1:{port}")
            yield Team([one, two], f"http://127.0.0.1:{port}", url, home)
        finally:
            nginx.terminate()
            nginx.wait(20)
            shutil.rmtree(folder, ignore_errors=True)


def _upload(page: Page, path: Path) -> None:
    box = page.locator("[data-testid=stFileUploader]").filter(has_text="Table, at most")
    box.locator("input[type=file]").set_input_files(str(path))


def test_what_one_server_measured_the_other_shows_at_once(team: Team, visitor: Visitor) -> None:
    page = visitor().page
    page.goto(team.servers[0].url + QUERY)
    expect(page.get_by_text(ALL)).to_be_visible()
    data = load("digits")
    network = trained("digits", "mlp-64-32")
    curve = ps.curve(network, ps.Recipe.parse("magnitude(threshold=0.1)+q(8)"), "threshold")
    kept = History(team.database).find(network, data, "validation", curve)
    assert len(kept) >= len(curve) - 1  # of the same curve; the link's own place may be another
    figures = page.locator("[data-testid=stMetricValue]").all_inner_texts()
    other = visitor().page
    other.goto(team.servers[1].url + QUERY)
    expect(other.get_by_text(ALL)).to_be_visible()
    # Accuracy and size are those of the same file; the time is the one that the first server took.
    assert other.locator("[data-testid=stMetricValue]").all_inner_texts() == figures


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
    expect(page.get_by_text(ALL)).to_be_visible()
    page.wait_for_function("location.search.includes('dataset=own-')")
    query = page.evaluate("location.search")
    for server in team.servers:
        other = visitor().page
        other.goto(f"{server.url}/{query}")
        expect(other.get_by_role("heading", name="mine.csv · Logistic")).to_be_visible()
        expect(other.get_by_text(ALL)).to_be_visible()


def test_a_visitor_stays_with_a_server_until_it_is_gone(team: Team) -> None:
    health, name = f"{team.proxy}/_stcore/health", "paretoscope="

    def asked(**headers: str) -> list[str]:
        """The cookies of ours that come with an answer."""
        request = urllib.request.Request(health, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            given = answer.headers.get_all("Set-Cookie") or []
            return [c.partition(";")[0] for c in given if c.startswith(name)]

    cookies = [cookie for _ in range(3) for cookie in asked()]
    assert len(set(cookies)) == 3
    assert asked(Cookie=cookies[0]) == []


def test_logs_are_lines_of_json_without_what_was_uploaded(team: Team, visitor: Visitor) -> None:
    more = {"PARETOSCOPE_LOG": "json", "PARETOSCOPE_DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}
    with serve(str(team.home), **more) as server:
        said: list[str] = []
        output = server.process.stdout
        assert output is not None
        reader = threading.Thread(target=lambda: said.extend(output), daemon=True)
        reader.start()
        page = visitor().page
        page.goto(server.url + QUERY)
        expect(page.get_by_text(ALL)).to_be_visible()  # without a database it measures for itself
    events = [json.loads(line) for line in said if line.startswith("{")]
    assert any("measures for itself for a while" in e["event"] for e in events)
    assert all({"time", "level", "logger", "event"} <= set(e) for e in events)


def test_killed_servers_leave_everything_whole(team: Team) -> None:
    """Ten servers are killed at random moments while visitors' curves are measured."""
    rng = random.Random(0)
    for q in range(20, 30):
        port = _free()
        more = {"PARETOSCOPE_DATABASE_URL": team.database, "PARETOSCOPE_HOME": str(team.home)}
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=ROOT, env=os.environ | more, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        _await_health(f"http://127.0.0.1:{port}")
        query = f"v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold=0.1)%2Bq({q})"
        visit = threading.Thread(target=_visit, args=(f"http://127.0.0.1:{port}", query))
        visit.start()
        time.sleep(rng.uniform(1.5, 4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        visit.join(20)
    for path in (team.home / "objects").iterdir():
        if not path.name.startswith("."):
            assert sha256(path.read_bytes()) == path.name
    data, network = load("digits"), trained("digits", "mlp-64-32")
    recipes = [ps.Recipe.parse(f"magnitude(threshold=0.1)+q({q})") for q in range(20, 30)]
    asked = [each for recipe in recipes for each in ps.curve(network, recipe, "threshold")]
    found = History(team.database).find(network, data, "validation", asked)
    assert found  # some were finished, and read back whole
    for text, m in list(found.items())[:5]:
        again = ps.compress(network, ps.Recipe.parse(text), data.train, data.validation)
        assert again.sha256 == m.artifact_sha256


def _visit(url: str, query: str) -> None:
    """Open a link and stay, until the server is gone."""
    with contextlib.suppress(OSError, websockets.WebSocketException):
        asyncio.run(_stay(url, query))


# --- what is shipped to run servers with ---------------------------------------------------------


def test_the_dockerfiles_commands_make_a_server_that_is_well(tmp_path: Path) -> None:
    """Without an engine: its COPY, RUN, HEALTHCHECK and CMD, one by one in an empty folder."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    steps = [shlex.split(line) for line in text.splitlines() if re.match(r"(COPY|RUN) ", line)]
    port = _free()
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
        _await_health(f"http://127.0.0.1:{port}")
        asked = shlex.split(check[1].replace("8501", str(port)))
        subprocess.run(asked, cwd=tmp_path, env=environment, check=True)
    finally:
        server.terminate()
        server.wait(20)


def test_the_unit_is_one_that_systemd_takes() -> None:
    unit = (DEPLOY / "paretoscope@.service").read_text(encoding="utf-8")
    start = re.search(r"^ExecStart=/opt/paretoscope/\.venv/bin/python (.*)$", unit, re.M)
    assert start is not None
    assert shlex.split(start[1]) == ["-m", "streamlit", "run", "app.py", "--server.port", "%i"]
    for line in unit.splitlines():
        assert re.fullmatch(r"|#.*|\[\w+\]|[A-Za-z]+=.+", line)
