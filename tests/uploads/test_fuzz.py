"""Fuzzing: the long runs are those of ``make soak``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paretoscope.uploads.csvs import read_csv
from paretoscope.uploads.labelled import with_label

from tests.any_graphs import KINDS
from tests.uploads import fuzz
from tests.uploads.cases import needs_cases


@needs_cases
@pytest.mark.parametrize(
    "n", [2_000, pytest.param(100_000, marks=pytest.mark.soak("100,000 mutated models"))]
)
def test_mutated_models_never_stop_the_parent(
    n: int, record_property: Callable[[str, object], None]
) -> None:
    ends = fuzz.run(fuzz.mutants(fuzz.seeds(), n))
    assert sum(ends.values()) == n
    assert ends["ran"] > n // 40
    assert ends["refused"] > n // 4
    record_property("found", ", ".join(f"{n:,} {how}" for how, n in ends.most_common() if n))


@pytest.mark.parametrize(
    "n",
    [1_000, pytest.param(50_000, marks=pytest.mark.soak("50,000 mutated graphs coded in place"))],
)
def test_mutated_graphs_of_every_kind_are_coded_or_refused(
    n: int, record_property: Callable[[str, object], None]
) -> None:
    seeds = [make().data for make in KINDS.values()]
    ends = fuzz.run(fuzz.mutants(seeds, n), in_place=True)
    assert ends["ran"] + ends["refused"] + ends["stopped"] + ends["crashed"] == n
    assert ends["ran"] > n // 15
    assert ends["coded"] > n // 20
    assert ends["its file ran"] > 0.9 * ends["coded"]
    record_property("found", ", ".join(f"{n:,} {how}" for how, n in ends.most_common() if n))


@given(fuzz.MODELS)
@settings(max_examples=300, deadline=None)
def test_the_gate_raises_nothing_but_refusals(data: bytes) -> None:
    fuzz.admits_or_refuses(data)


@given(fuzz.TABLES)
@settings(max_examples=300, deadline=None)
def test_the_table_reader_raises_nothing_but_refusals(data: bytes) -> None:
    fuzz.reads_or_refuses(data)


@pytest.mark.parametrize(
    ("strategy", "judge"),
    [
        pytest.param(
            fuzz.MODELS,
            fuzz.admits_or_refuses,
            marks=pytest.mark.soak("10 minutes of random bytes for the gate of models"),
        ),
        pytest.param(
            fuzz.TABLES,
            fuzz.reads_or_refuses,
            marks=pytest.mark.soak("10 minutes of random bytes and cells for the table reader"),
        ),
    ],
    ids=["gate", "table reader"],
)
def test_ten_minutes_of_random_bytes_raise_nothing_but_refusals(
    strategy: Any, judge: Callable[[bytes], None], record_property: Callable[[str, object], None]
) -> None:
    until, n = time.monotonic() + 600, 0
    while time.monotonic() < until:
        settings(max_examples=5_000, deadline=None, database=None)(given(strategy)(judge))()
        n += 5_000
    record_property("found", f"about {n:,} examples, nothing found")


@given(
    st.lists(
        st.tuples(
            st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32), st.integers(0, 3)
        ),
        min_size=3,
        max_size=30,
    ),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
@settings(max_examples=100, deadline=None)
def test_what_was_written_is_read(
    rows: list[tuple[float, float, int]], delimiter: str, end: str
) -> None:
    lines = [delimiter.join(("a", "b", "y"))]
    lines += [delimiter.join((repr(a), repr(b), f"class {y}")) for a, b, y in rows]
    table = read_csv((end.join(lines) + end).encode())
    assert table.column("a").values.tolist() == [a for a, _, _ in rows]  # type: ignore[union-attr]
    labelled = with_label(table)
    names = [labelled.classes[k] for k in labelled.y]
    assert names == [f"class {y}" for _, _, y in rows]
