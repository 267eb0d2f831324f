"""The headline claims what the verdicts allow, whatever is known by now."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import paretoscope as ps
import pytest
from paretoscope.artifact.quick_latency import Latency
from paretoscope.measurement.measurement import Measurement
from paretoscope.problems.accuracy import Change

from tests.conftest import load, trained
from ui.parts.headline import headline

_TWICE = Latency(1, (50.0,) * 15, (100.0,) * 15)
_HALF = Latency(1, (200.0,) * 15, (100.0,) * 15)
_SAME = Latency(1, (100.0,) * 15, (100.0,) * 15)


@pytest.fixture(scope="module")
def pair() -> tuple[Measurement, Measurement]:
    """A recipe's measurement, a quarter as large zipped, and the uncompressed model's."""
    network, data = trained("digits", "mlp-64-32"), load("digits")
    before = ps.measure(ps.compress(network, ps.Recipe(), data.train), data, batches=())
    recipe = ps.Recipe.parse("magnitude(sparsity=0.5)+q(8)")
    now = ps.measure(ps.compress(network, recipe, data.train), data, batches=())
    return replace(now, gzip_bytes=5_000), replace(before, gzip_bytes=20_000)


def _told(pair: tuple[Measurement, Measurement], time: Latency | None, change: Change) -> str:
    now, before = pair
    return headline(replace(now, change=change), before, time, margin=0.005, zipped=True)


@pytest.mark.parametrize(
    ("change", "cost"),
    [
        (Change(40, 4, 360), ", for 10 points"),
        (Change(4, 40, 360), ", and 10 points more accurate"),
        (Change(3, 3, 360), "; 360 rows cannot tell what it costs"),
        (Change(3, 3, 30_000), ", with no measurable change in accuracy"),
    ],
)
def test_what_it_costs_is_said_as_far_as_rows_tell(
    change: Change, cost: str, pair: tuple[Measurement, Measurement]
) -> None:
    assert _told(pair, None, change) == f"4 times smaller{cost}"


@pytest.mark.parametrize(
    ("time", "speed"),
    [(_TWICE, " and 2 times faster"), (_HALF, " and 2 times slower"), (None, "")],
)
def test_a_speed_is_claimed_where_it_was_told_apart(
    time: Latency | None, speed: str, pair: tuple[Measurement, Measurement]
) -> None:
    assert _told(pair, time, Change(40, 4, 360)) == f"4 times smaller{speed}, for 10 points"


def test_whatever_is_known_by_now_makes_a_sentence(pair: tuple[Measurement, Measurement]) -> None:
    """Sizes come after accuracies, and times last."""
    now, before = pair
    inconclusive = Latency(1, (50.0, 150.0) * 8, (100.0,) * 16)
    assert inconclusive.verdict == "inconclusive"
    times = (None, inconclusive, _TWICE, _HALF, _SAME)
    for mine, first, time in product((None, 5_000), (None, 20_000), times):
        known = replace(now, gzip_bytes=mine), replace(before, gzip_bytes=first)
        told = headline(*known, time, margin=0.005, zipped=True)
        assert told[0].isdigit() or told.startswith(("No faster", "The score is known"))
        assert ("smaller" in told) == (None not in (mine, first))
    assert headline(None, before, None, margin=0.005, zipped=True) == "Measuring the first file"


@pytest.mark.parametrize(
    ("n_bytes", "told"),
    [(19_300, "A little smaller"), (20_600, "A little larger"), (20_000, "No smaller")],
)
def test_a_factor_that_rounds_to_one_is_said_in_words(
    n_bytes: int, told: str, pair: tuple[Measurement, Measurement]
) -> None:
    now, before = pair
    found = headline(replace(now, gzip_bytes=n_bytes), before, None, margin=0.005, zipped=True)
    assert found.startswith(told)


def test_a_zipped_size_that_is_an_estimate_says_so(
    pair: tuple[Measurement, Measurement],
) -> None:
    now, before = pair
    both = now, replace(now, gzip_is_estimate=True)
    known, guessed = (headline(m, before, None, margin=0.005, zipped=True) for m in both)
    assert guessed == f"About {known}"
    on_disk = {headline(m, before, None, margin=0.005, zipped=False) for m in both}
    assert len(on_disk) == 1
