"""The test rows: read once for a file, and every reading counted."""

from __future__ import annotations

import threading
from pathlib import Path

import paretoscope as ps
import pytest
from paretoscope.base.store import default_store
from paretoscope.data.dataset import Dataset
from paretoscope.measurement.confirmation import confirm, confirmations
from paretoscope.network.network import Network

from tests.waiting import HANGS_S

RECIPE = ps.Recipe.parse("magnitude(sparsity=0.6)+q(4)")
OTHER = ps.Recipe.parse("q(2)")


@pytest.fixture(autouse=True)
def _empty(home: Path) -> None:
    pass


def _file(network: Network, recipe: ps.Recipe, data: Dataset) -> bytes:
    return ps.compress(network, recipe, data.train).onnx_bytes


def test_a_reading_is_what_measuring_on_test_rows_gives(mlp: Network, digits: Dataset) -> None:
    assert confirmations(mlp, digits) == []
    (reading,) = confirm(_file(mlp, RECIPE, digits), RECIPE, mlp, digits)
    expected = ps.measure(ps.compress(mlp, RECIPE, digits.train), digits, "test", batches=())
    assert reading.quality == expected.quality
    assert reading.change == expected.change
    assert reading.artifact_sha256 == expected.artifact_sha256
    assert confirmations(mlp, digits) == [reading]


def test_the_same_file_is_not_read_again_and_another_is_counted(
    mlp: Network, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ps.load_dataset("digits")
    first = confirm(_file(mlp, RECIPE, data), RECIPE, mlp, data)
    with monkeypatch.context() as patched:
        patched.setattr(Dataset, "test", property(lambda self: pytest.fail("read again")))
        assert confirm(_file(mlp, RECIPE, data), RECIPE, mlp, data) == first
    both = confirm(_file(mlp, OTHER, data), OTHER, mlp, data)
    assert [r.recipe for r in both] == [str(RECIPE), str(OTHER)]


def test_another_split_and_another_network_have_counts_of_their_own(
    mlp: Network, digits: Dataset
) -> None:
    confirm(_file(mlp, RECIPE, digits), RECIPE, mlp, digits)
    assert confirmations(mlp, ps.load_dataset("digits", seed=1)) == []
    assert confirmations(ps.train("mlp-32", digits), digits) == []


def test_readings_at_the_same_time_are_all_counted(mlp: Network, digits: Dataset) -> None:
    recipes = ps.grid(sparsity=[0.1, 0.2, 0.3, 0.4], q=8)
    files = [_file(mlp, recipe, digits) for recipe in recipes]
    threads = [
        threading.Thread(target=confirm, args=(file, recipe, mlp, digits))
        for file, recipe in zip(files, recipes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGS_S)
    assert {r.recipe for r in confirmations(mlp, digits)} == {str(recipe) for recipe in recipes}


def test_a_damaged_record_counts_as_none(mlp: Network, digits: Dataset) -> None:
    confirm(_file(mlp, RECIPE, digits), RECIPE, mlp, digits)
    for path in (default_store().folder / "objects").iterdir():
        path.write_bytes(b"torn")
    assert confirmations(mlp, digits) == []
