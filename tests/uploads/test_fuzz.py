"""Fuzzing, with a fixed seed: the long run is ``make soak``."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from paretoscope.uploads.csvs import read_csv
from paretoscope.uploads.labelled import with_label

from tests.uploads import fuzz
from tests.uploads.cases import needs_cases


@needs_cases
def test_two_thousand_mutated_models_never_stop_the_parent() -> None:
    ends = fuzz.run(fuzz.mutants(fuzz.seeds(), 2_000))
    assert sum(ends.values()) == 2_000
    assert ends["ran"] > 50
    assert ends["refused"] > 500


@given(fuzz.MODELS)
@settings(max_examples=300, deadline=None)
def test_the_gate_raises_nothing_but_refusals(data: bytes) -> None:
    fuzz.admits_or_refuses(data)


@given(fuzz.TABLES)
@settings(max_examples=300, deadline=None)
def test_the_table_reader_raises_nothing_but_refusals(data: bytes) -> None:
    fuzz.reads_or_refuses(data)


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
