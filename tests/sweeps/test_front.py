from __future__ import annotations

from typing import Any

import numpy as np
import paretoscope as ps
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paretoscope.artifact.quick_latency import Latency
from paretoscope.base.errors import ParetoscopeError
from paretoscope.measurement.measurement import Measured
from paretoscope.problems.accuracy import Accuracy, Change
from paretoscope.sweeps.front import is_efficient


def _measurement(correct: int, size: int, time: float | None = None) -> ps.Measurement:
    latencies = () if time is None else (Latency(1, (time,), (1.0,)),)
    return Measured(
        recipe=ps.Recipe(), network_sha256="", artifact_sha256="", dataset="d", split="validation",
        quality=Accuracy(correct, 10), change=Change(0, 0, 10), size_bytes=size, sparsity=0.0,
        bits=(), latencies=latencies,
    )  # fmt: skip


points = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5), st.integers(1, 3)), max_size=12)


@given(points)
def test_the_front_is_what_brute_force_finds(rows: list[Any]) -> None:
    measurements = [_measurement(c, s, t) for c, s, t in rows]
    expected = []
    for m, (c, s, t) in zip(measurements, rows, strict=True):
        beaten = any(
            (c2 >= c and s2 <= s and t2 <= t) and (c2 > c or s2 < s or t2 < t)
            for c2, s2, t2 in rows
        )
        if not beaten:
            expected.append(m)
    found = ps.pareto_front(measurements, ("accuracy", "size", "time"))
    assert [id(m) for m in found] == [id(m) for m in expected]


def test_equal_points_are_all_on_the_front() -> None:
    twins = [_measurement(5, 100), _measurement(5, 100), _measurement(4, 100)]
    assert ps.pareto_front(twins) == twins[:2]


def test_what_was_not_measured_is_left_out() -> None:
    timed, untimed = _measurement(5, 100, 3.0), _measurement(9, 1)
    assert ps.pareto_front([timed, untimed], ("accuracy", "time")) == [timed]
    assert ps.pareto_front([]) == []


def test_an_unknown_objective() -> None:
    with pytest.raises(ParetoscopeError, match="objective must be one of .*got 'bytes'"):
        ps.pareto_front([], ("bytes",))


def test_no_rows() -> None:
    assert is_efficient(np.empty((0, 2))).tolist() == []
