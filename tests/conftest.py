"""What all tests share: a store of their own, and trained networks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from paretoscope.store import home as _home

# Fashion-MNIST that `make test` had to fetch lies in the user's own store.
_FETCHED = _home() / "idx" / "fashion-mnist"
_HOME = tempfile.TemporaryDirectory(prefix="paretoscope-tests-")
os.environ["PARETOSCOPE_HOME"] = _HOME.name
for _name in ("PARETOSCOPE_DATA", "PARETOSCOPE_DATABASE_URL", "PARETOSCOPE_SCHEDULER"):
    os.environ.pop(_name, None)

if _FETCHED.is_dir():
    shutil.copytree(_FETCHED, Path(_HOME.name) / "idx" / "fashion-mnist")

import paretoscope as ps  # noqa: E402  (after the store's place is set)
from paretoscope.dataset import Dataset  # noqa: E402
from paretoscope.network import Network  # noqa: E402

from tests import graphs  # noqa: E402
from tests.postgres import Postgres, postgres  # noqa: E402

# No test asserts times; a busy machine is slow, not wrong.
_SLOW = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("paretoscope", deadline=None, suppress_health_check=_SLOW)
hypothesis.settings.load_profile("paretoscope")

ROOT = Path(__file__).resolve().parents[1]


@cache
def load(name: str) -> Dataset:
    return ps.load_dataset(name)


@cache
def trained(dataset: str, model: str) -> Network:
    return ps.train(model, load(dataset))


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


@pytest.fixture(scope="session", autouse=True)
def _remove_home() -> Iterator[None]:
    yield
    _HOME.cleanup()
