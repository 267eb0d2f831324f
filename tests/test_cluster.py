"""Sweeps on real Dask processes: equal to the serial one, also when a part of them dies."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import paretoscope as ps
import pytest
from paretoscope.cluster import Cluster, ClusterError, cluster_of_the_server
from paretoscope.errors import ParetoscopeError
from paretoscope.history import History
from paretoscope.measurement import Baseline, Measurement
from paretoscope.network import Network
from paretoscope.surface import surface
from paretoscope.tasks import surface_task

from tests.browser.serving import _free
from tests.dasks import Dask, dask
from tests.postgres import Postgres

FEW = [
    *ps.grid(threshold=[0.0, 0.05, 0.1, 0.2], q=[4, 8, 16]),
    *map(ps.Recipe.parse, ("kmeans(4)", "magnitude(sparsity=0.5)+shift(3)")),
]


@pytest.fixture
def running() -> Iterator[Dask]:
    with dask() as found:
        yield found


def _serial(mlp: Network, data: ps.Dataset, recipes: list[ps.Recipe]) -> dict[str, Measurement]:
    return {str(m.recipe): m for _, m in surface(mlp, recipes, Baseline(mlp, data))}


def _await_workers(cluster: Cluster, n: int) -> None:
    deadline = time.monotonic() + 60
    while cluster.n_workers < n:
        assert time.monotonic() < deadline
        time.sleep(0.1)


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


def test_twenty_thousand_points_survive_a_lost_worker_and_a_lost_database(
    running: Dask, database: Postgres, home: Path, mlp: Network, digits: ps.Dataset
) -> None:
    thresholds = np.round(np.linspace(0, 0.5, 100), 6).tolist()
    recipes = ps.grid(threshold=thresholds, q=list(range(1, 201)))
    said: list[str] = []
    history = History(database.fresh("many"), report=said.append)
    with Cluster(running.address) as cluster:
        _await_workers(cluster, 2)
        swept = ps.sweep(mlp, digits, recipes, measured="none", history=history, cluster=cluster)
        found = [next(swept) for _ in range(500)]
        running.kill_worker()
        found += [next(swept) for _ in range(4_000)]
        database.stop()
        back = threading.Timer(10, database.start)
        back.start()
        found += list(swept)
        back.join()
    assert len(found) == len(recipes) == 20_000
    assert len(said) == 2  # away, and back
    serial = _serial(mlp, digits, recipes)
    assert {str(m.recipe): m for m in found} == serial
    assert history.find(mlp, digits, "validation", recipes, computed=True) == serial
    history.close()


def test_a_lost_scheduler_is_one_sentence_and_the_sweep_goes_on_after_it(
    running: Dask, home: Path, mlp: Network, digits: ps.Dataset
) -> None:
    recipes = ps.grid(threshold=np.linspace(0, 0.5, 100).tolist(), q=list(range(1, 201)))
    with Cluster(running.address) as cluster:
        _await_workers(cluster, 2)
        swept = ps.sweep(mlp, digits, recipes, measured="none", history=History(), cluster=cluster)
        before = [next(swept) for _ in range(100)]
        running.kill_scheduler()
        with pytest.raises(ClusterError, match="was lost; what was finished is kept"):
            before += list(swept)
    known = History().find(mlp, digits, "validation", recipes, computed=True)
    assert {str(m.recipe) for m in before} <= set(known)
    assert len(known) < len(recipes)
    running.start_scheduler()
    running.start_worker()
    with Cluster(running.address) as cluster:
        _await_workers(cluster, 1)
        found = list(
            ps.sweep(mlp, digits, recipes, measured="none", history=History(), cluster=cluster)
        )
    assert len(found) == len(recipes)
    assert {str(m.recipe): m for m in found} == _serial(mlp, digits, recipes)


def test_ten_workers_are_killed_and_every_point_is_there_once(
    running: Dask, mlp: Network, digits: ps.Dataset
) -> None:
    """Each at a random moment after something came, so that there is always work to be lost."""
    rng, killed = random.Random(0), 0
    came, done = threading.Event(), threading.Event()
    recipes = ps.grid(threshold=np.linspace(0, 0.5, 100).tolist(), q=list(range(1, 201)))
    serial = _serial(mlp, digits, recipes)
    with Cluster(running.address) as cluster:
        _await_workers(cluster, 2)

        def kill() -> None:
            nonlocal killed
            while not done.is_set():
                came.wait(1)
                if came.is_set() and not done.wait(rng.uniform(0, 0.3)):
                    running.kill_worker()
                    running.start_worker()
                    killed += 1
                    came.clear()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            while killed < 10:
                found = []
                for point in cluster.compute(mlp, digits, "validation", recipes):
                    found.append(point)
                    came.set()
                assert sorted(place for place, _ in found) == list(range(len(recipes)))
                assert {str(m.recipe): m for _, m in found} == serial
        finally:
            done.set()
            killer.join()


def test_what_cannot_be_is_one_sentence(
    mlp: Network, digits: ps.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paretoscope.cluster._CONNECT_S", 1)
    with pytest.raises(ClusterError, match="no Dask scheduler answers at tcp://127.0.0.1"):
        Cluster(f"tcp://127.0.0.1:{_free()}")
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
    monkeypatch.setattr("paretoscope.cluster._CONNECT_S", 1)
    running.kill_scheduler()  # computed here, then, and said
    assert surface_task(asked, lambda message: None) == here
    assert surface_task(asked, lambda message: None) == here
    assert "points are computed here" in caplog.text
    cluster_of_the_server.cache_clear()


def test_the_command_line_takes_workers(home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "paretoscope", "sweep", "iris", "logistic-regression",
               "--threshold", "0,0.1,0.2", "--q", "4,16", "--measured"]  # fmt: skip
    outputs = []
    for words in (["none", "--workers", "2"], ["none"]):
        path = tmp_path / f"{len(words)}.csv"
        done = subprocess.run([*command, *words, "--anew", "-o", str(path)], capture_output=True,
                              text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        outputs.append(pd.read_csv(path).sort_values("recipe", ignore_index=True))
    pd.testing.assert_frame_equal(*outputs)
    for words in (["all", "--workers", "2"], ["none", "--workers", "0"],
                  ["none", "--workers", "1", "--scheduler", "tcp://x:1"]):  # fmt: skip
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("paretoscope: ")
        assert "Traceback" not in done.stderr
