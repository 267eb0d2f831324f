"""Measurements as tables: read back by pandas, and harmless to a spreadsheet."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import paretoscope as ps
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paretoscope.artifact.quick_latency import Latency
from paretoscope.base.errors import ParetoscopeError
from paretoscope.network.network import Network
from paretoscope.sweeps.export import ENDINGS, harmless, per_repeat, table


@pytest.fixture(scope="module")
def rows(mlp: Network, digits: ps.Dataset) -> list[dict[str, object]]:
    from dataclasses import replace

    artifact = ps.compress(mlp, ps.Recipe.parse("q(8)"), digits.train)
    untimed = ps.measure(artifact, digits, batches=())
    latencies = (Latency(1, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), Latency(256, (7.0,), (8.0,)))
    return per_repeat([untimed, replace(untimed, latencies=latencies)])


def test_there_is_a_row_for_each_repeat(rows: list[dict[str, object]]) -> None:
    assert [(r["batch"], r["repeat"], r["time_us"], r["baseline_time_us"]) for r in rows] == [
        (None, None, None, None), (1, 1, 1.0, 4.0), (1, 2, 2.0, 5.0), (1, 3, 3.0, 6.0),
        (256, 1, 7.0, 8.0),
    ]  # fmt: skip
    assert {r["recipe"] for r in rows} == {"q(8)"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_kind_of_table_reads_back(ending: str, rows: list[dict[str, object]]) -> None:
    data = table(rows, ending)
    if ending == ".json":
        assert json.loads(data) == rows
        return
    read = pd.read_csv if ending == ".csv" else pd.read_parquet
    back = read(io.BytesIO(data))
    assert list(back["recipe"]) == [r["recipe"] for r in rows]
    np.testing.assert_allclose(back["accuracy"], [r["accuracy"] for r in rows])  # type: ignore[arg-type]
    assert back["time_us"].dropna().tolist() == [1.0, 2.0, 3.0, 7.0]


@given(st.text(min_size=1))
def test_no_cell_is_a_formula(text: str) -> None:
    cell = harmless(text)
    assert cell[0] not in "=+-@\t\r"
    assert cell.removeprefix("'") == text or cell == text


def test_formulas_in_texts_and_names_are_harmless_in_csv() -> None:
    data = table([{"=cmd|'/C calc'!A0": "+1", "plain": -0.5}], ".csv")
    head, row = data.decode().splitlines()
    assert head == "'=cmd|'/C calc'!A0,plain"
    assert row == "'+1,-0.5"


def test_another_ending_is_one_sentence() -> None:
    with pytest.raises(ParetoscopeError, match="the ending of a table must be one of .csv"):
        table([], ".xls")
