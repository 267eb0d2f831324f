"""Racing finds what looking at every candidate finds, with less work."""

from __future__ import annotations

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.errors import ParetoscopeError
from paretoscope.measurement import Baseline
from paretoscope.network import Network
from paretoscope.search import smallest
from paretoscope.surface import table

GRID = ps.grid(threshold=[0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4], q=[2, 3, 4, 6, 8, 16, 32])


def _expected(network: Network, baseline: Baseline, max_drop: float, size: str) -> ps.Recipe | None:
    """By brute force over the whole grid."""
    whole = table(network, GRID, baseline)
    sizes = whole.entropy_bytes if size == "entropy" else whole.size_bytes
    within = whole.broken - whole.mended <= max_drop * len(baseline.rows) + 1e-9
    if not within.any():
        return None
    return GRID[int(np.argmin(np.where(within, sizes, np.inf)))]


@pytest.mark.parametrize("max_drop", [0.0, 0.005, 0.02, 0.1])
@pytest.mark.parametrize("size", ["entropy", "file"])
def test_the_smallest_is_that_of_the_grid(
    max_drop: float, size: str, mlp: Network, digits: ps.Dataset
) -> None:
    baseline = Baseline(mlp, digits)
    found = smallest(mlp, GRID, baseline, max_drop, size=size)
    expected = _expected(mlp, baseline, max_drop, size)
    assert (None if found.best is None else found.best.recipe) == expected
    assert found.evaluations < len(GRID)
    assert found.candidates == len(GRID)
    if found.best is not None:
        assert -found.best.change.value <= max_drop + 1e-12
    for near in found.near:
        assert -near.change.value > max_drop
        assert near.change.n == len(baseline.rows)


def test_many_rows_take_a_small_share_of_the_work(lenet: Network, fashion: ps.Dataset) -> None:
    baseline = Baseline(lenet, fashion)
    found = smallest(lenet, GRID, baseline, 0.005)
    assert found.best is not None
    assert found.best.recipe == _expected(lenet, baseline, 0.005, "entropy")
    assert found.evaluations < 0.35 * len(GRID)


def test_nothing_within_the_budget_is_said_with_the_nearest(
    mlp: Network, digits: ps.Dataset
) -> None:
    recipes = ps.grid(threshold=[0.3, 0.4], q=[2, 3])
    found = smallest(mlp, recipes, Baseline(mlp, digits), 0.0)
    assert found.best is None
    assert found.measurement is None


def test_the_file_is_judged_too(mlp: Network, digits: ps.Dataset) -> None:
    baseline = Baseline(mlp, digits)
    tried: list[ps.Recipe] = []

    def measure(recipe: ps.Recipe) -> ps.Measurement:
        tried.append(recipe)
        honest = ps.compress(mlp, recipe, digits.train)
        if len(tried) == 1:  # as if its file lost more than float arithmetic said
            honest = ps.compress(mlp, ps.Recipe.parse("q(1)"), digits.train)
        return ps.measure(honest, digits, batches=())

    found = smallest(mlp, GRID, baseline, 0.02, measure=measure)
    assert len(tried) == 2
    assert found.best is not None
    assert found.best.recipe == tried[1]
    assert found.measurement is not None
    assert found.near[0].recipe == tried[0]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"max_drop": -0.1}, "max_drop must be a share from 0 to 1; got -0.1"),
        ({"max_drop": 0.01, "size": "zip"}, "size must be one of entropy, file"),
    ],
)
def test_wrong_wishes_are_one_sentence(
    wrong: dict[str, object], sentence: str, mlp: Network, digits: ps.Dataset
) -> None:
    with pytest.raises(ParetoscopeError, match=sentence):
        smallest(mlp, GRID, Baseline(mlp, digits), **wrong)  # type: ignore[arg-type]
