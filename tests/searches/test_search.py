"""Racing finds what looking at every candidate finds, with less work."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.artifact.quick_latency import Latency
from paretoscope.artifact.size_parts import entropy_bytes
from paretoscope.base.errors import ParetoscopeError
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.measurement import Baseline
from paretoscope.network.network import Network
from paretoscope.searches.search import Found, search
from paretoscope.sweeps.surface import table

GRID = ps.grid(threshold=[0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4], q=[2, 3, 4, 6, 8, 16, 32])


def _expected(network: Network, baseline: Baseline, max_drop: float, size: str) -> ps.Recipe | None:
    """By brute force over the whole grid."""
    whole = table(network, GRID, baseline)
    sizes = whole.entropy_bytes if size == "gzip" else whole.size_bytes
    within = np.array([-change.gain for change in whole.changes]) <= max_drop + 1e-9
    if not within.any():
        return None
    return GRID[int(np.argmin(np.where(within, sizes, np.inf)))]


@pytest.mark.parametrize("max_drop", [0.0, 0.005, 0.02, 0.1])
@pytest.mark.parametrize("size", ["gzip", "file"])
def test_the_smallest_is_that_of_the_grid(
    max_drop: float, size: str, mlp: Network, digits: ps.Dataset
) -> None:
    baseline = Baseline(mlp, digits)
    found = search(mlp, GRID, baseline, Budget(drop=max_drop), aim=size)
    expected = _expected(mlp, baseline, max_drop, size)
    assert expected is not None
    assert found.best is not None
    assert found.best.recipe == expected
    assert found.evaluations < len(GRID)
    assert found.candidates == len(GRID)
    assert -found.best.change.value <= max_drop + 1e-12
    _are_near_misses(found, max_drop, len(baseline.rows))
    # Of a cheaper one that drops a row too much, no subset tells.
    whole = table(mlp, GRID, baseline)
    costs = whole.entropy_bytes if size == "gzip" else whole.size_bytes
    lost = np.array([-change.gain for change in whole.changes]) * len(baseline.rows)
    just_over = (lost > 0) & (lost < 1.5) & (costs < found.best.cost)
    if max_drop == 0 and just_over.any():
        assert found.near


def _are_near_misses(found: Found, max_drop: float, n: int) -> None:
    """Judged on all rows, over the budget, no dearer than the best, the smallest drop first."""
    drops = [-near.change.value for near in found.near]
    assert drops == sorted(drops)
    for near in found.near:
        assert -near.change.value > max_drop
        assert near.change.n == n
        assert found.best is None or near.cost <= found.best.cost


def test_many_rows_take_a_small_share_of_the_work(lenet: Network, fashion: ps.Dataset) -> None:
    baseline = Baseline(lenet, fashion)
    found = search(lenet, GRID, baseline, Budget(drop=0.005))
    assert found.best is not None
    assert found.best.recipe == _expected(lenet, baseline, 0.005, "gzip")
    assert found.evaluations < 0.35 * len(GRID)


def test_nothing_within_the_budget_is_said_with_the_nearest(
    mlp: Network, digits: ps.Dataset
) -> None:
    recipes = ps.grid(threshold=[0.2, 0.3, 0.4], q=[1, 3])
    baseline = Baseline(mlp, digits)
    found = search(mlp, recipes, baseline, Budget(drop=0.0))
    assert found.best is None
    assert found.measurement is None
    _are_near_misses(found, 0.0, len(baseline.rows))
    assert len(found.near) == 5
    every = table(mlp, recipes, baseline)
    drops = np.array([-change.gain for change in every.changes])
    assert -found.near[0].change.value == pytest.approx(drops.min())
    # Of those that are small enough only.
    sizes = sorted(every.size_bytes)
    small = search(mlp, recipes, baseline, Budget(drop=0.0, file_bytes=float(sizes[1])), aim="file")
    assert 0 < len(small.near) < 5
    assert all(near.cost <= sizes[1] for near in small.near)


def test_the_file_is_judged_too(mlp: Network, digits: ps.Dataset) -> None:
    baseline = Baseline(mlp, digits)
    tried: list[ps.Recipe] = []

    def measure(recipe: ps.Recipe) -> ps.Measurement:
        tried.append(recipe)
        honest = ps.compress(mlp, recipe, digits.train)
        if len(tried) == 1:  # as if its file lost more than float arithmetic said
            honest = ps.compress(mlp, ps.Recipe.parse("q(1)"), digits.train)
        return ps.measure(honest, digits, batches=())

    found = search(mlp, GRID, baseline, Budget(drop=0.02), measure=measure)
    assert len(tried) == 2
    assert found.best is not None
    assert found.best.recipe == tried[1]
    assert found.measurement is not None
    assert found.near[0].recipe == tried[0]


def test_bytes_are_a_limit_too(mlp: Network, digits: ps.Dataset) -> None:
    baseline = Baseline(mlp, digits)

    def measure(recipe: ps.Recipe) -> ps.Measurement:
        return ps.measure(ps.compress(mlp, recipe, digits.train), digits, batches=())

    wide = search(mlp, GRID, baseline, Budget(drop=0.01), measure=measure)
    assert wide.best is not None
    assert wide.measurement is not None
    small = Budget(drop=0.01, gzip_bytes=wide.measurement.gzip_bytes - 1)  # type: ignore[operator]
    found = search(mlp, GRID, baseline, small, measure=measure)
    # Nothing else of the grid is as small; what was made instead is said to be over.
    assert found.best is None
    assert min(m.gzip_bytes for m in found.over) == wide.measurement.gzip_bytes  # type: ignore[type-var]
    on_disk = Budget(drop=0.01, file_bytes=5_000)
    found = search(mlp, GRID, baseline, on_disk, aim="file", measure=measure)
    assert found.measurement is not None
    assert found.measurement.size_bytes <= 5_000
    assert -found.measurement.change.value <= 0.01
    none = search(mlp, GRID, baseline, Budget(drop=0.01, gzip_bytes=100), measure=measure)
    assert none.best is None


def test_the_fastest_is_of_the_fastest_kind_of_file(lenet: Network, fashion: ps.Dataset) -> None:
    """Units removed make files faster; times are made up, so that a busy machine tells the same."""
    texts = ["q(8)", "q(300)", "l2(0.3)+q(8)", "l2(0.5)+q(8)", "l2(0.9)+q(8)"]
    recipes = [ps.Recipe.parse(text) for text in texts]
    us = {"keep": 20.0, "l2(0.3)": 15.0, "l2(0.5)": 10.0, "l2(0.9)": 4.0}
    baseline = Baseline(lenet, fashion)

    @cache
    def measure(recipe: ps.Recipe) -> ps.Measurement:
        artifact = ps.compress(lenet, recipe, fashion.train)
        time_us = us.get(str(recipe.units), 20.0)
        latency = Latency(1, (time_us,) * 15, (20.0,) * 15)
        return replace(ps.measure(artifact, fashion, batches=()), latencies=(latency,))

    whole = {r: measure(r).change.value for r in recipes}
    allowed = -whole[recipes[3]] + 1e-6  # what half the units cost
    found = search(lenet, recipes, baseline, Budget(drop=allowed), aim="time", measure=measure)
    assert found.best is not None
    assert found.best.recipe == recipes[3]
    limited = Budget(drop=allowed, time_us=12.0)
    again = search(lenet, recipes, baseline, limited, aim="gzip", measure=measure)
    assert again.best is not None
    assert again.best.recipe == recipes[3]


def test_recoveries_and_layers_by_themselves_go_further(mlp: Network, digits: ps.Dataset) -> None:
    baseline = Baseline(mlp, digits)
    plain = search(mlp, GRID, baseline, Budget(drop=0.01))
    refined = search(
        mlp, GRID, baseline, Budget(drop=0.01), recoveries=[ps.Compensation()], by_layer=True
    )
    assert plain.best is not None
    assert refined.best is not None
    assert refined.best.cost < plain.best.cost
    assert refined.best.recipe.overrides or refined.best.recipe.recovery == ps.Compensation()
    artifact = ps.compress(mlp, refined.best.recipe, digits.train, digits.validation)
    labels = artifact.scores(digits.validation.X).argmax(1)
    drop = np.mean(baseline.predictions == digits.validation.y) - np.mean(
        labels == digits.validation.y
    )
    assert drop <= 0.01 + 1e-9
    assert -refined.best.change.value == pytest.approx(drop)
    codes = artifact.stored.codes.values()
    assert refined.best.cost == pytest.approx(sum(entropy_bytes(c.values) for c in codes))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"aim": "zip"}, "aim must be one of gzip, file, time; got 'zip'"),
        ({"aim": "time"}, "times and zipped sizes need files"),
    ],
)
def test_wrong_wishes_are_one_sentence(
    wrong: dict[str, str], sentence: str, mlp: Network, digits: ps.Dataset
) -> None:
    with pytest.raises(ParetoscopeError, match=sentence):
        search(mlp, GRID, Baseline(mlp, digits), Budget(drop=0.01), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"drop": -0.1}, "the budget's drop must be at least 0; got -0.1"),
        ({"drop": float("inf")}, "the budget's drop must be finite; got inf"),
        ({"file_bytes": 0}, "the budget's file_bytes must be at least 1; got 0"),
        ({"time_us": float("nan")}, "the budget's time_us must be a number from 0 on; got nan"),
    ],
)
def test_a_budget_is_checked(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ParetoscopeError, match=re.escape(sentence)):
        Budget(**wrong)


def test_a_budget_says_what_is_over(mlp: Network, digits: ps.Dataset) -> None:
    artifact = ps.compress(mlp, ps.Recipe.parse("q(2)"), digits.train)
    m = ps.measure(artifact, digits, batches=())
    assert Budget().allows(m)
    assert Budget(drop=-m.change.value, file_bytes=m.size_bytes, time_us=1e-9).allows(m)
    over = Budget(drop=0.0, file_bytes=m.size_bytes / 2, gzip_bytes=1e9).excess(m)
    assert set(over) == {"drop", "file_bytes"}
    assert over["file_bytes"] == pytest.approx(2)
