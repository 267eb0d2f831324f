"""The history: kept whole, found again, and a sweep that was killed goes on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import paretoscope as ps
import pytest
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import default_store, sha256
from paretoscope.measurement.measurement import Measurement
from paretoscope.network.network import Network
from paretoscope.sweeps.history import History

from tests.conftest import ROOT, give, load, trained
from tests.postgres import Postgres
from tests.waiting import HANGS_S

RECIPES = ps.grid(threshold=[0.0, 0.05, 0.1, 0.2], q=[4, 8])


@pytest.fixture(params=["sqlite", "postgresql"])
def history(
    request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[History]:
    """An empty history of each kind, found as the app and the command line find it."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("database")
        monkeypatch.setenv("PARETOSCOPE_DATABASE_URL", server.fresh("test"))
    made = History()
    yield made
    made.close()


def _swept(
    mlp: Network, data: ps.Dataset, history: History | None, **how: object
) -> list[Measurement]:
    return list(ps.sweep(mlp, data, RECIPES, batches=(), history=history, **how))  # type: ignore[arg-type]


def test_what_is_added_is_found(history: History, mlp: Network, digits: ps.Dataset) -> None:
    found = _swept(mlp, digits, None)
    history.add(mlp, digits, found)
    known = history.find(mlp, digits, "validation", RECIPES)
    assert known == {str(m.recipe): m for m in found}
    assert history.find(mlp, digits, "test", RECIPES) == {}
    assert history.find(trained("digits", "cnn"), digits, "validation", RECIPES) == {}
    assert history.find(mlp, ps.load_dataset("digits", 1), "validation", RECIPES) == {}
    history.add(mlp, digits, found)  # again: replaced, not doubled
    assert history.find(mlp, digits, "validation", RECIPES) == known


def test_measured_and_computed_are_both_kept(
    history: History, mlp: Network, digits: ps.Dataset
) -> None:
    computed = _swept(mlp, digits, history, measured="none")
    assert all(m.computed for m in computed)
    measured = _swept(mlp, digits, history)
    assert not any(m.computed for m in measured)
    assert list(history.find(mlp, digits, "validation", RECIPES).values()) == measured
    known = history.find(mlp, digits, "validation", RECIPES, computed=True)
    assert {str(m.recipe): m for m in computed} == known


def test_scores_and_decisions_are_kept_apart(history: History) -> None:
    data, network = load("breast-cancer"), trained("breast-cancer", "mlp-32")
    recipes = ps.grid(threshold=[0.1], q=[8])
    ways = [("", ""), ("log-loss", ""), ("", "cut=0.9"), ("f1", "cut=0.9"), ("f1", "")]
    found = []
    for score, decision in ways:
        asked = {"score": score, "decision": decision, "measured": "none", "history": history}
        (m,) = ps.sweep(network, data, recipes, **asked)
        found.append(m)
    for (score, decision), m in zip(ways, found, strict=True):
        kept = history.find(
            network, data, "validation", recipes, score=m.score, decision=decision, computed=True
        )
        assert kept == {str(m.recipe): m}
        assert m.score == (score or "accuracy")
    assert len({(m.score, m.decision) for m in found}) == len(ways)


def test_what_another_machine_measured_is_kept_apart(
    history: History, mlp: Network, digits: ps.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.add(mlp, digits, _swept(mlp, digits, None))
    monkeypatch.setattr("paretoscope.sweeps.history._here", lambda: "another")
    assert history.find(mlp, digits, "validation", RECIPES) == {}


def test_a_second_sweep_does_nothing_again(
    history: History, mlp: Network, digits: ps.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _swept(mlp, digits, history, measured="front")
    monkeypatch.setattr("paretoscope.sweeps.sweep.compress", lambda *a: pytest.fail("made again"))
    monkeypatch.setattr(
        "paretoscope.sweeps.surface._Shared.walked", lambda *a: pytest.fail("computed again")
    )
    again = _swept(mlp, digits, history, measured="front")
    assert {str(m.recipe): m for m in again} == {str(m.recipe): m for m in first}
    (sweep,) = history.sweeps()
    assert sweep["points"] == len(RECIPES)
    assert sweep["finished"] is not None


def test_a_file_that_is_gone_is_made_again(
    history: History, mlp: Network, digits: ps.Dataset
) -> None:
    first = _swept(mlp, digits, history)
    lost = first[2].artifact_sha256
    (default_store().folder / "objects" / lost).unlink()
    assert _swept(mlp, digits, history) == first
    assert default_store().read(lost) is not None


def test_the_front_is_measured_after_the_surface(
    history: History, mlp: Network, digits: ps.Dataset
) -> None:
    pin = ps.Recipe.parse("kmeans(4)")
    found = _swept(mlp, digits, history, measured="front", pins=[pin])
    computed, measured = found[: len(RECIPES)], found[len(RECIPES) :]
    assert all(m.computed for m in computed)
    assert not any(m.computed for m in measured)
    assert measured[-1].recipe == pin
    front = ps.pareto_front(computed, ("accuracy", "size"))
    assert {str(m.recipe) for m in front} <= {str(m.recipe) for m in measured}
    by_text = {str(m.recipe): m for m in computed}
    for m in measured[:-1]:  # the bound that the app states
        apart = abs(m.accuracy.correct - by_text[str(m.recipe)].accuracy.correct)
        assert apart <= 0.005 * m.accuracy.n
        assert m.size_bytes == by_text[str(m.recipe)].size_bytes


def test_writers_at_the_same_time_lose_nothing(
    history: History, mlp: Network, digits: ps.Dataset
) -> None:
    found = list(ps.sweep(mlp, digits, ps.grid(threshold=[0, 0.1], q=list(range(1, 17))),
                          measured="none"))  # fmt: skip

    def write(part: list[Measurement]) -> None:
        own = History()
        for m in part:
            own.add(mlp, digits, [m])
        own.close()

    threads = [threading.Thread(target=write, args=(found[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGS_S)
    recipes = [m.recipe for m in found]
    known = history.find(mlp, digits, "validation", recipes, computed=True)
    assert known == {str(m.recipe): m for m in found}


def test_a_database_that_goes_away_is_waited_for_and_nothing_is_lost_or_doubled(
    database: Postgres, home: Path, mlp: Network, digits: ps.Dataset
) -> None:
    """PostgreSQL crashes in the middle of a sweep and is back after a while."""
    said: list[str] = []

    def report(text: str) -> None:
        said.append(text)
        if len(said) == 1:  # it was missed: let it come back
            database.start()

    history = History(database.fresh("away"), patience_s=60, report=report)
    recipes = ps.grid(threshold=[0.0, 0.05, 0.1, 0.15, 0.2], q=list(range(1, 33)))
    swept = ps.sweep(mlp, digits, recipes, measured="none", history=history)
    found = [next(swept) for _ in range(40)]
    database.stop()
    found += list(swept)
    assert "database is away" in said[0]
    assert said[-1] == "the history's database is back"
    assert [str(m.recipe) for m in found] == list(dict.fromkeys(str(m.recipe) for m in found))
    known = history.find(mlp, digits, "validation", recipes, computed=True)
    assert known == {str(m.recipe): m for m in found}
    assert len(known) == len(recipes)
    (sweep,) = history.sweeps()
    assert sweep["finished"] is not None
    history.close()


def test_a_database_that_stays_away_is_one_sentence(
    database: Postgres, home: Path, mlp: Network, digits: ps.Dataset
) -> None:
    history = History(database.fresh("gone"), patience_s=0.5, report=lambda text: None)
    database.stop()
    try:
        with pytest.raises(ParetoscopeError, match=r"the history failed: .*connection"):
            history.sweeps()
        with pytest.raises(ParetoscopeError, match=r"cannot be opened: .*[Cc]onnection refused"):
            History(database.url)
    finally:
        database.start()
    assert history.sweeps() == []
    history.close()


@pytest.mark.parametrize(
    "url", ["mysql://somewhere/x", "sqlite:////no/such/folder/history.sqlite", "nonsense"]
)
def test_a_history_that_cannot_be_opened_is_one_sentence(url: str) -> None:
    with pytest.raises(ParetoscopeError, match="the history cannot be opened: "):
        History(url)


def test_a_damaged_history_is_one_sentence(home: Path, mlp: Network, digits: ps.Dataset) -> None:
    home.mkdir(parents=True)
    (home / "history.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(ParetoscopeError, match="the history cannot be opened: file is not a"):
        History()


def test_a_measured_that_is_none_is_refused(mlp: Network, digits: ps.Dataset) -> None:
    with pytest.raises(ParetoscopeError, match="measured must be one of all, front, none"):
        next(ps.sweep(mlp, digits, RECIPES, measured="some"))


@pytest.mark.parametrize(
    "how",
    ["points", pytest.param("100", marks=pytest.mark.soak("100 sweeps killed at random moments"))],
)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_sweep_that_was_killed_goes_on_and_nothing_is_torn(
    kind: str, how: str, request: pytest.FixtureRequest, home: Path
) -> None:
    """Killed at each point that matters, or at random; then once to the end."""
    give("digits", "mlp-64-32")
    environment = os.environ | {"PARETOSCOPE_HOME": str(home)}
    if kind == "postgresql":
        server: Postgres = request.getfixturevalue("database")
        environment["PARETOSCOPE_DATABASE_URL"] = server.fresh(f"killed_{how}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.killed_sweep", how],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"killed at {how}" in done.stdout
    for path in (home / "objects").iterdir():
        if not path.name.startswith("."):
            assert sha256(path.read_bytes()) == path.name
    if kind == "sqlite":
        database = sqlite3.connect(home / "history.sqlite")
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()
