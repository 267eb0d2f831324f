"""Sweeps on real Dask processes: equal to the serial one, also when a part of them dies."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import paretoscope as ps
import pytest
from paretoscope.base.errors import ParetoscopeError
from paretoscope.cli.main import main
from paretoscope.cli.tasks import surface_task
from paretoscope.measurement.measurement import Baseline, Measurement
from paretoscope.network.network import Network
from paretoscope.sweeps.cluster import Cluster, ClusterError, cluster_of_the_server
from paretoscope.sweeps.history import History
from paretoscope.sweeps.surface import surface

from tests.browser.serving import free_port
from tests.dasks import Dask, dask
from tests.postgres import Postgres
from tests.waiting import until

FEW = [
    *ps.grid(threshold=[0.0, 0.05, 0.1, 0.2], q=[4, 8, 16]),
    *map(ps.Recipe.parse, ("kmeans(4)", "magnitude(sparsity=0.5)+shift(3)")),
]


@pytest.fixture(scope="module")
def processes() -> Iterator[Dask]:
    with dask(workers=0) as found:
        yield found


@pytest.fixture
def running(processes: Dask) -> Dask:
    """A scheduler and two workers, whatever the test before did to them."""
    processes.heal()
    return processes


def _many(n: int) -> list[ps.Recipe]:
    """So many points, in lines of a hundred."""
    thresholds = np.round(np.linspace(0, 0.5, 100), 6).tolist()
    return ps.grid(threshold=thresholds, q=list(range(1, n // 100 + 1)))


def _serial(mlp: Network, data: ps.Dataset, recipes: list[ps.Recipe]) -> dict[str, Measurement]:
    return {str(m.recipe): m for _, m in surface(mlp, recipes, Baseline(mlp, data))}


def _await_workers(cluster: Cluster, n: int) -> None:
    until(lambda: cluster.n_workers >= n, pause_s=0.1)


def test_workers_of_this_machine_compute_the_same_and_rest_before_files_are_timed(
    mlp: Network, digits: ps.Dataset
) -> None:
    with Cluster(workers=2) as cluster:
        found = list(ps.sweep(mlp, digits, FEW, measured="front", batches=(1,), cluster=cluster))
        computed, measured = found[: len(FEW)], found[len(FEW) :]
        assert {str(m.recipe): m for m in computed} == _serial(mlp, digits, FEW)
        assert measured
        assert all(m.latency() is not None and not m.computed for m in measured)
        assert cluster._own is None  # ended before the first file was timed


@pytest.mark.parametrize(
    "n",
    [
        2_000,
        pytest.param(
            20_000,
            marks=pytest.mark.soak("20,000 points, a worker killed, PostgreSQL crashed meanwhile"),
        ),
    ],
)
def test_points_survive_a_lost_worker_and_a_lost_database(
    n: int, running: Dask, database: Postgres, home: Path, mlp: Network, digits: ps.Dataset
) -> None:
    recipes, said = _many(n), list[str]()

    def report(text: str) -> None:
        said.append(text)
        if len(said) == 1:  # it was missed: let it come back
            database.start()

    history = History(database.fresh(f"many_{n}"), report=report)
    with Cluster(running.address) as cluster:
        _await_workers(cluster, 2)
        swept = ps.sweep(mlp, digits, recipes, measured="none", history=history, cluster=cluster)
        found = [next(swept)]
        running.kill_worker()
        found += [next(swept) for _ in range(n // 4)]
        database.stop()
        found += list(swept)
    # Away and back; both are said once more where it refuses once more while it starts.
    assert ["is away" in text for text in said] == [True, False] * (len(said) // 2)
    assert said
    assert len(found) == len(recipes) == n
    serial = _serial(mlp, digits, recipes)
    assert {str(m.recipe): m for m in found} == serial
    assert history.find(mlp, digits, "validation", recipes, computed=True) == serial
    history.close()


@pytest.mark.parametrize(
    "n",
    [
        2_000,
        pytest.param(20_000, marks=pytest.mark.soak("20,000 points, their scheduler killed")),
    ],
)
def test_a_lost_scheduler_is_one_sentence_and_the_sweep_goes_on_after_it(
    n: int, running: Dask, home: Path, mlp: Network, digits: ps.Dataset
) -> None:
    recipes = _many(n)

    def swept(cluster: Cluster) -> Iterator[Measurement]:
        return ps.sweep(mlp, digits, recipes, measured="none", history=History(), cluster=cluster)

    with Cluster(running.address) as cluster:
        _await_workers(cluster, 2)
        points = swept(cluster)
        before = [next(points) for _ in range(50)]  # of one task: the others' are not here yet
        running.kill_scheduler()
        with pytest.raises(ClusterError, match="was lost; what was finished is kept"):
            before += list(points)
    known = History().find(mlp, digits, "validation", recipes, computed=True)
    assert {str(m.recipe) for m in before} <= set(known)
    assert len(known) < len(recipes)
    running.heal(workers=1)
    with Cluster(running.address) as cluster:
        _await_workers(cluster, 1)
        found = list(swept(cluster))
    assert len(found) == len(recipes)
    assert {str(m.recipe): m for m in found} == _serial(mlp, digits, recipes)


@pytest.mark.parametrize(
    ("kills", "n"),
    [
        (1, 2_000),
        pytest.param(
            10, 20_000, marks=pytest.mark.soak("20,000 points ten times, a worker killed in each")
        ),
    ],
)
def test_workers_are_killed_and_every_point_is_there_once(
    kills: int, n: int, running: Dask, mlp: Network, digits: ps.Dataset
) -> None:
    """Each after some points came, while there is work to be lost."""
    rng, recipes = random.Random(0), _many(n)
    serial = _serial(mlp, digits, recipes)
    with Cluster(running.address) as cluster:
        for _ in range(kills):
            _await_workers(cluster, 2)
            points = cluster.compute(mlp, digits, "validation", recipes)
            found = [next(points) for _ in range(rng.randint(1, n // 4))]
            running.kill_worker()
            running.start_worker()
            found += points
            assert sorted(place for place, _ in found) == list(range(n))
            assert {str(m.recipe): m for _, m in found} == serial


def test_what_cannot_be_is_one_sentence(
    mlp: Network, digits: ps.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paretoscope.sweeps.cluster._CONNECT_S", 1)
    with pytest.raises(ClusterError, match="no Dask scheduler answers at tcp://127.0.0.1"):
        Cluster(f"tcp://127.0.0.1:{free_port()}")
    with dask(workers=0) as running, Cluster(running.address) as cluster:
        with pytest.raises(ClusterError, match="has no workers"):
            list(ps.sweep(mlp, digits, FEW, measured="none", cluster=cluster))
        with pytest.raises(ParetoscopeError, match="measured must be front or none"):
            next(ps.sweep(mlp, digits, FEW, cluster=cluster))


def test_an_error_of_a_point_is_the_same_as_here(
    running: Dask, mlp: Network, digits: ps.Dataset
) -> None:
    bad = [ps.Recipe.parse("q(3);nowhere=q(4)")]
    with Cluster(running.address) as cluster:
        _await_workers(cluster, 1)
        with pytest.raises(ParetoscopeError, match="nowhere"):
            list(cluster.compute(mlp, digits, "validation", bad))


def test_a_server_computes_its_lines_on_the_workers_that_it_is_told_of(
    running: Dask,
    mlp: Network,
    digits: ps.Dataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = {"dataset": "digits", "split_seed": 0, "model": "mlp-64-32", "seed": 0,
             "recipes": [str(recipe) for recipe in FEW]}  # fmt: skip
    here = surface_task(asked, lambda message: None)
    used: list[int] = []
    honest = Cluster.compute

    def compute(self: Cluster, *what: Any) -> Any:
        used.append(len(what[3]))
        return honest(self, *what)

    monkeypatch.setattr(Cluster, "compute", compute)
    monkeypatch.setenv("PARETOSCOPE_SCHEDULER", running.address)
    cluster_of_the_server.cache_clear()
    assert surface_task(asked, lambda message: None) == here
    assert used == [len(FEW)]
    monkeypatch.setattr("paretoscope.sweeps.cluster._CONNECT_S", 1)
    running.kill_scheduler()  # computed here, then, and said
    assert surface_task(asked, lambda message: None) == here
    assert surface_task(asked, lambda message: None) == here
    assert "points are computed here" in caplog.text
    cluster_of_the_server.cache_clear()


def test_the_command_line_takes_workers(home: Path, tmp_path: Path) -> None:
    command = ["sweep", "iris", "logistic-regression", "--threshold", "0,0.1,0.2", "--q", "4,16",
               "--measured", "none", "--anew"]  # fmt: skip
    outputs = []
    for words in (["--workers", "2"], []):
        path = tmp_path / f"{len(words)}.csv"
        assert main([*command, *words, "-o", str(path)]) == 0
        outputs.append(pd.read_csv(path).sort_values("recipe", ignore_index=True))
    pd.testing.assert_frame_equal(*outputs)


@pytest.mark.parametrize(
    "words",
    [
        ["all", "--workers", "2"],
        ["none", "--workers", "0"],
        ["none", "--workers", "1", "--scheduler", "tcp://x:1"],
    ],
)
def test_workers_that_cannot_be_are_one_sentence(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "iris", "logistic-regression", "--threshold", "0,0.1", "--q", "4"]
    assert main([*command, "--measured", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("paretoscope: ")
    assert said.count("\n") == 1
