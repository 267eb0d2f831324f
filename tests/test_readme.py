"""The README says what works: its commands and its session are run."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_wine

from tests import docs_check
from tests.browser.serving import await_health
from tests.conftest import ROOT, trained
from tests.libraries import link_libraries
from tests.waiting import HANGS_S

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()
]


def test_every_command_is_tested_here() -> None:
    kinds = {"make", "python", ".venv/bin/streamlit"}
    assert {shlex.split(command)[0] for command in COMMANDS} == kinds
    assert "make run" in COMMANDS
    assert "make test" in COMMANDS


@pytest.fixture
def own_files(tmp_path: Path) -> Path:
    """A folder with a table and a model as somebody might bring them."""
    X, y = load_wine(return_X_y=True)
    table = pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])
    table.assign(cultivar=load_wine().target_names[y]).to_csv(tmp_path / "mine.csv", index=False)
    (tmp_path / "mine.onnx").write_bytes(trained("wine", "mlp-32").onnx_bytes)
    return tmp_path


def test_the_session_prints_what_the_readme_prints(
    own_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_files)
    failures, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert tried >= 10
    assert failures == 0


def test_the_command_line_does_what_the_readme_says(own_files: Path) -> None:
    """One after the other in one folder: some use what others wrote."""
    commands = [c for c in COMMANDS if c.startswith("python ")]
    assert len(commands) >= 6
    for command in commands:
        program = [sys.executable, *shlex.split(command)[1:]]
        done = subprocess.run(program, cwd=own_files, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout
        for output in re.findall(r"-o (\S+)", command):
            assert (own_files / output).stat().st_size > 0


def _serves(command: list[str], folder: Path, home: Path) -> str:
    """Start a command that serves the app; returns the address it prints once it answers there."""
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "MAKEFLAGS")}
    server = subprocess.Popen(
        command, cwd=folder, env=environment | {"PARETOSCOPE_HOME": str(home)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    printed = ""
    try:
        for line in server.stdout:
            printed += line
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                await_health(found[0])
                return found[0]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(HANGS_S)
        server.stdout.close()
    raise AssertionError(printed)


def test_make_run_in_a_fresh_clone_serves_the_app(tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    link_libraries(folder / ".venv")
    assert _serves(["make", "run"], folder, tmp_path / "home")
    installed = (folder / ".venv" / "run.stamp").stat().st_mtime
    assert _serves(["make", "run"], folder, tmp_path / "home")  # a second run installs nothing
    assert (folder / ".venv" / "run.stamp").stat().st_mtime == installed


def test_make_test_checks_and_tests_everything() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "test"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for step in (
        "ruff format --check",
        "ruff check",
        "chromium.py",
        "fashion.py",
        "bin/pytest",
    ):
        assert step in done.stdout
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["pytest"]["ini_options"]["testpaths"] == ["tests", "compression", "ui"]


def test_serving_to_colleagues(tmp_path: Path) -> None:
    """The options are accepted; here with this machine's own address in place of all."""
    (command,) = (c for c in COMMANDS if c.startswith(".venv/bin/streamlit"))
    program = shlex.split(command.replace("0.0.0.0", "127.0.0.1"))
    program[:1] = [sys.executable, "-m", "streamlit"]
    assert _serves([*program, "--server.port", "8599"], ROOT, tmp_path)


def test_the_docs_name_every_member() -> None:
    methods = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert docs_check.missing(methods) == []
    assert docs_check.missing(methods.replace("| Blur (`blur`) |", "")) != []


def test_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target
