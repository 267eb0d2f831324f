"""What limits a sweep of a million points and a server with a thousand visitors.

`make bench-scale`. Claims are in docs/scaling.md, which reckons on from these figures: points a
second in this process and on two workers, rows a second into SQLite and PostgreSQL, files a second
into the store, processor time a page and memory a visitor.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import paretoscope as ps
from paretoscope.base.store import Store, home
from paretoscope.measurement.measurement import Baseline, Measurement
from paretoscope.methods.recipe import Recipe
from paretoscope.sweeps.cluster import Cluster
from paretoscope.sweeps.history import History
from paretoscope.sweeps.surface import surface

from tests.browser.serving import Server, serve
from tests.browser.visitors import stay, visit_often
from tests.postgres import postgres

RUNS = 3
BATCH = 32  # points a transaction, as a sweep keeps them
VISITORS = 40


def run() -> None:
    data = ps.load_dataset("digits")
    network = ps.train("mlp-64-32", data)
    recipes = ps.grid(threshold=np.linspace(0, 0.5, 100).tolist(), q=list(range(1, 201)))
    baseline = Baseline(network, data)
    list(surface(network, recipes[:200], baseline))  # compiles
    found = _points(network, data, recipes, baseline)
    fashion = ps.load_dataset("fashion-mnist")
    lenet = ps.train("lenet-300-100", fashion)
    few = ps.grid(threshold=np.linspace(0, 0.1, 25).tolist(), q=list(range(1, 41)))
    _points(lenet, fashion, few, Baseline(lenet, fashion))
    _rows(network, data, found[:3_200])
    _files()
    with serve(str(home())) as server:
        _pages(server)
        asyncio.run(_sessions(server))


def _points(
    network: ps.Network, data: ps.Dataset, recipes: list[Recipe], baseline: Baseline
) -> list[Measurement]:
    """Points here and on two workers, in turn."""
    here, there, found = [], [], list[Measurement]()
    before = _resident_mb()
    found = [m for _, m in surface(network, recipes, baseline, predictions=False)]
    kept = 1e3 * (_resident_mb() - before) / len(recipes)
    with Cluster(workers=2) as cluster:
        for number in range(RUNS + 1):
            start = time.perf_counter()
            found = [m for _, m in surface(network, recipes, baseline, predictions=False)]
            middle = time.perf_counter()
            n = sum(1 for _ in cluster.compute(network, data, "validation", recipes))
            assert n == len(recipes)
            if number:  # the first compiles on the workers
                here.append(middle - start)
                there.append(time.perf_counter() - middle)
    a, b = np.median(here), np.median(there)
    print(f"{network.n_parameters:,} parameters, {len(data.validation):,} rows:")
    print(f"{len(recipes):,} points here: {len(recipes) / a:,.0f} a second (n = {RUNS})")
    print(f"on two workers: {len(recipes) / b:,.0f} a second, {a / b:.2f} times as many")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"memory: {kept:.1f} kB a point, this process at most {peak:.0f} MB", flush=True)
    return found


def _rows(network: ps.Network, data: ps.Dataset, found: list[Measurement]) -> None:
    """Points into each database, as a sweep keeps them; then all of them found again."""
    with postgres() as server, tempfile.TemporaryDirectory() as folder:
        for kind, url in (
            ("SQLite", f"sqlite:///{folder}/history.sqlite"),
            ("PostgreSQL", server.fresh("scale")),
        ):
            history = History(url)
            taken = _time(
                lambda history=history: [
                    history.add(network, data, found[at : at + BATCH])
                    for at in range(0, len(found), BATCH)
                ]
            )
            asked = (network, data, "validation", [m.recipe for m in found])
            again = _time(partial(history.find, *asked, computed=True))
            print(
                f"{kind}: {len(found) / taken:,.0f} points a second in, {len(found) / again:,.0f} "
                f"out, {_bytes(history) / len(found):,.0f} bytes a point",
                flush=True,
            )
            history.close()


def _bytes(history: History) -> int:
    """What the table of measurements takes on disk."""
    import sqlalchemy as sa

    asked = {
        "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        "postgresql": "SELECT pg_total_relation_size('measurements')",
    }
    with history._engine.connect() as connection:
        kind = history._engine.dialect.name
        found: int = connection.execute(sa.text(asked[kind])).scalar_one()
    return found


def _files() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, rng = Store(Path(folder)), np.random.default_rng(0)
        contents = [rng.bytes(9_000) for _ in range(300)]
        taken = _time(lambda: [store.keep(f"file {k}", c) for k, c in enumerate(contents)])
        print(f"files of 9 kB into the store: {len(contents) / taken:,.0f} a second", flush=True)


def _pages(server: Server) -> None:
    """Processor time of one page, at one visitor's pace."""
    asyncio.run(visit_often(server.url, 4, 15, pause_s=1.0))  # until the files are measured
    before, n = _processor_s(server), 30
    asyncio.run(visit_often(server.url, 1, n, pause_s=0.3))
    taken = (_processor_s(server) - before) / (n + 1)
    print(f"a page takes the server {1e3 * taken:.0f} ms of processor time (n = {n})", flush=True)


async def _sessions(server: Server) -> None:
    """Memory of visitors who have a page open."""
    before = server.memory_mb
    query = "v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold=0.1)%2Bq(8)"
    visits = [asyncio.create_task(stay(server.url, query)) for _ in range(VISITORS)]
    await asyncio.sleep(20)
    taken = (server.memory_mb - before) / VISITORS
    for visit in visits:
        visit.cancel()
    print(f"a visitor with a page open takes {taken:.1f} MB (n = {VISITORS})")


def _resident_mb() -> float:
    status = Path("/proc/self/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if "VmRSS" in line).split()[1]) / 1e3


def _processor_s(server: Server) -> float:
    parts = Path(f"/proc/{server.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / 100


def _time(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
