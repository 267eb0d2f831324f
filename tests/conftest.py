"""What all tests share: a store of their own, and networks that are trained once for all workers.

Tests run in one process, or in several (pytest-xdist). The first process makes a folder with the
datasets and networks that most tests want; each worker starts from a copy of it. What is trained
later, in whichever worker, is kept beside it for the others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock
from paretoscope.base.store import home as home_of_the_user

_WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if _WORKER is None:
    # Fashion-MNIST that `make test` had to fetch lies in the user's own store.
    _FETCHED = home_of_the_user() / "idx" / "fashion-mnist"
    os.environ["PARETOSCOPE_TESTS"] = tempfile.mkdtemp(prefix="paretoscope-tests-")
    # Two workers share two processors: products of matrices take one thread each.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["PARETOSCOPE_NICE"] = "0"  # who waits for a job here has nothing else to do
    for _name in ("PARETOSCOPE_DATA", "PARETOSCOPE_DATABASE_URL", "PARETOSCOPE_SCHEDULER"):
        os.environ.pop(_name, None)
FOLDER = Path(os.environ["PARETOSCOPE_TESTS"])
_SHARED = FOLDER / "shared"
_OWN = FOLDER / (_WORKER or "main")
os.environ["PARETOSCOPE_HOME"] = str(_OWN)
os.environ["PARETOSCOPE_LOCKS"] = tempfile.mkdtemp(dir=FOLDER)  # none pauses the other's workers

import paretoscope as ps  # noqa: E402  (after the store's place is set)
from paretoscope.base.store import Store  # noqa: E402
from paretoscope.data.dataset import Dataset, load_dataset  # noqa: E402
from paretoscope.network.network import Network  # noqa: E402
from paretoscope.training import training  # noqa: E402
from paretoscope.training.training import find_trained, keep  # noqa: E402

from tests import graphs  # noqa: E402
from tests.postgres import Postgres, postgres  # noqa: E402

# No test asserts times; a busy machine is slow, not wrong.
_SLOW = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("paretoscope", deadline=None, suppress_health_check=_SLOW)
hypothesis.settings.load_profile("paretoscope")

ROOT = Path(__file__).resolve().parents[1]
_EARLY = (("digits", "mlp-64-32"), ("iris", "logistic-regression"))
_COMPILE = """
import paretoscope as ps
from paretoscope.measurement.measurement import Baseline
from paretoscope.sweeps.surface import surface
data = ps.load_dataset("iris")
network = ps.train("linear-svm", data)
list(surface(network, ps.grid(threshold=[0, 0.1], q=[8]), Baseline(network, data)))
"""
_LONGEST_SOAK_S = 1_800
_READ = ("iris", "wine", "breast-cancer", "digits")


def pytest_sessionstart() -> None:
    """Read and train once what most tests want; a worker takes a copy."""
    if _WORKER is not None:
        shutil.copytree(_SHARED, _OWN)
        return
    if _FETCHED.is_dir():
        shutil.copytree(_FETCHED, _SHARED / "idx" / "fashion-mnist")
    os.environ["PARETOSCOPE_HOME"] = str(_SHARED)
    # Meanwhile another process compiles what every worker needs.
    compiling = subprocess.Popen([sys.executable, "-c", _COMPILE])
    for name in _READ:
        load_dataset(name)
    for dataset, model in _EARLY:
        ps.train(model, load_dataset(dataset))
    compiling.wait()
    os.environ["PARETOSCOPE_HOME"] = str(_OWN)
    shutil.copytree(_SHARED, _OWN)


def pytest_unconfigure() -> None:
    if _WORKER is None:
        shutil.rmtree(FOLDER, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        soak = item.get_closest_marker("soak")
        if soak is not None:
            kind = item.callspec.params.get("kind") if hasattr(item, "callspec") else None
            held = f"{soak.args[0]} ({kind})" if kind else soak.args[0]
            item.user_properties.append(("held", held))
            item.add_marker(pytest.mark.timeout(_LONGEST_SOAK_S))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was held, and for how long: a row a number."""
    rows = []
    for report in chain.from_iterable(terminalreporter.stats.values()):
        told = dict(report.user_properties) if isinstance(report, pytest.TestReport) else {}
        if "held" in told and report.when == "call":
            found = told.get("found", "") if report.passed else report.outcome
            rows.append(f"| {told['held']} | {found or 'held'} | {report.duration:.0f} s |")
    if rows:
        for row in ("| what | | took |", "|---|---|---|", *sorted(rows)):
            terminalreporter.write_line(row)


@cache
def load(name: str) -> Dataset:
    return load_dataset(name)


@cache
def trained(dataset: str, model: str) -> Network:
    """A network that is trained once, whoever asks first, and kept in this worker's store."""
    data = load(dataset)
    found = find_trained(model, data, store=Store(_OWN))
    if found is None:
        with FileLock(_SHARED / f"{dataset}-{model}.lock"), pytest.MonkeyPatch.context() as few:
            few.setattr(training, "_LARGE_EPOCHS", 4)  # of many rows: good enough to be compressed
            found = ps.train(model, data, store=Store(_SHARED))
        keep(found, model, data, 0, store=Store(_OWN))
    return found


def give(dataset: str, model: str) -> Network:
    """A trained network, kept also where this test's store is: a server there has it at once."""
    network = trained(dataset, model)
    load_dataset(dataset)
    keep(network, model, load(dataset), 0)
    return network


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    """Graphs of random weights are the same in whatever order tests run."""
    graphs.restart()


@pytest.fixture(params=["mlp-64-32", "cnn"])
def any_network(request: pytest.FixtureRequest) -> Network:
    """A dense and a convolutional network on digits: laws hold for both."""
    return trained("digits", request.param)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load("digits")


@pytest.fixture(scope="session")
def mlp() -> Network:
    """MLP 64-32 on digits."""
    return trained("digits", "mlp-64-32")


@pytest.fixture(scope="session")
def fashion() -> Dataset:
    return load("fashion-mnist")


@pytest.fixture(scope="session")
def lenet() -> Network:
    """LeNet-300-100 on Fashion-MNIST."""
    return trained("fashion-mnist", "lenet-300-100")


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    """A real PostgreSQL, shared by the tests; each makes a database of its own."""
    with postgres() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store."""
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
