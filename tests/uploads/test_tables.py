"""Parquet and NPZ as tables, beside pandas and numpy, which wrote them."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import split_indices
from paretoscope.sandbox import sandbox
from paretoscope.sandbox.sandbox import Limits, Sandbox, SandboxError
from paretoscope.uploads.checking import check
from paretoscope.uploads.csvs import MOST_CELLS, read_csv, read_text
from paretoscope.uploads.labelled import Labelled, require_trainable, with_label
from paretoscope.uploads.tables import read_table

RNG = np.random.default_rng(0)


def _parquet(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.to_parquet(out, index=False)
    return out.getvalue()


def _npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def _frame(n: int = 60) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "length": RNG.normal(5, 1, n),
            "short": RNG.normal(size=n).astype(np.float32),
            "count": RNG.integers(0, 9, n),
            "flag": RNG.integers(0, 2, n).astype(bool),
            "when": pd.date_range("2026-01-01", periods=n),
            "kind": pd.Categorical(RNG.choice(["a,b", 'quoted "c"', "é"], n)),
        }
    )


def test_parquet_holds_what_pandas_wrote() -> None:
    frame = _frame()
    frame.loc[3, "length"] = np.nan
    table = read_table(_parquet(frame))
    assert table.names == list(frame.columns)
    for name in ("length", "short", "count", "flag"):
        values = table.column(name).values
        assert values is not None
        np.testing.assert_array_equal(values, frame[name].astype(np.float64))
    assert table.column("kind").cells == tuple(map(str, frame["kind"]))
    assert table.column("when").kind == "date"
    assert check(_parquet(frame.drop(columns="when"))).line.startswith(
        "a table of 60 rows; label 'kind' with 3 classes"
    )


def test_npz_holds_features_and_labels() -> None:
    X, y = RNG.normal(size=(40, 3)).astype(np.float32), RNG.integers(0, 3, 40)
    table = read_table(_npz(y=y, X=X))
    assert table.names == ["X 0", "X 1", "X 2", "y"]
    rows = with_label(table)
    np.testing.assert_array_equal(rows.X, X)
    np.testing.assert_array_equal(rows.y, y)
    named = read_table(_npz(y=y, X=X, feature_names=np.array(["a", "b", "c"])))
    assert named.names == ["a", "b", "c", "y"]
    images = read_table(_npz(images=RNG.random((30, 4, 4)), label=np.array(["cat", "dog"] * 15)))
    assert len(images.names) == 17
    assert images.column("label").kind == "text"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (_npz(X=np.array([{"a": 1}, 2], object)), "holds objects, which only a pickle could hold"),
        (_npz(X=np.ones((5, 2)), y=np.ones(4)), r"different numbers of rows \(X 5, y 4\)"),
        (_npz(X=np.ones(5, complex), y=np.ones(5)), "'X' holds complex128, not numbers"),
        (_npz(X=np.float32(1)), "holds no arrays"),
        (_npz(X=np.zeros((3_000, 1_999), bool), y=np.ones(3_000)), "at most 5,000,000 cells"),
        (_npz(X=np.zeros((30_000, 10_000))), "at most 5,000,000 cells|more memory"),
        (_parquet(pd.DataFrame({"x": [[1, 2], [3]], "y": [0, 1]})), "'x' holds list"),
        (_parquet(pd.DataFrame({"x": [b"a", b"b"], "y": [0, 1]})), "'x' holds binary"),
        (_parquet(_frame())[:-9], "damaged"),
        (b"PAR1" + bytes(40) + b"PAR1", "damaged"),
        (_npz(X=np.ones((9, 2)))[:200], "ZIP|damaged"),
    ],
    ids=[
        "objects", "lengths", "complex", "scalar", "cells", "bomb", "lists", "binary", "cut",
        "empty-parquet", "cut-npz",
    ],
)  # fmt: skip
def test_what_is_no_table_gets_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(ParetoscopeError, match=sentence):
        read_table(data)


def test_mutations_of_both_kinds_are_tables_or_sentences() -> None:
    arrays = _npz(X=RNG.normal(size=(20, 2)), y=np.arange(20) % 2)
    ends = []
    for kind, good in (("parquet", _parquet(_frame(20))), ("npz", arrays)):
        asked = {"kind": kind, "most_cells": MOST_CELLS, "most_bytes": 10**6}
        with Sandbox() as one:
            for _ in range(150):
                bad = bytearray(good)
                for place in RNG.integers(0, len(bad), 3):
                    bad[place] = RNG.integers(0, 256)
                try:
                    text = one.run("table", [bytes(bad)], asked)["bytes"].decode()
                    ends.append(f"{read_text(text).n_rows} rows")
                except SandboxError:
                    raise
                except ParetoscopeError as error:
                    assert 10 < len(str(error)) < 400
                    ends.append("refused")
    assert {"20 rows", "refused"} <= set(ends)


def test_many_rows_in_few_bytes_are_refused_before_they_are_unpacked() -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"x": pa.array(np.zeros(MOST_CELLS)), "y": [0] * MOST_CELLS}), out)
    assert len(out.getvalue()) < 100_000
    with pytest.raises(ParetoscopeError, match="at most 5,000,000 cells"):
        read_table(out.getvalue())


def test_a_csv_of_too_many_cells_is_refused() -> None:
    head, row = ",".join(f"c{k}" for k in range(2_000)), ",".join(["1"] * 2_000)
    with pytest.raises(ParetoscopeError, match="more than 5,000,000 cells"):
        read_csv("\n".join([head, *[row] * 2_501]).encode())


@pytest.mark.parametrize("missing", ["median", "zero"])
def test_missing_cells_are_filled_as_asked(missing: Any) -> None:
    frame = _frame()[["length", "count", "kind"]]
    frame.loc[[3, 9], "length"] = np.nan
    filled = with_label(read_table(_parquet(frame)), missing=missing)
    wanted = frame["length"].fillna(frame["length"].median() if missing == "median" else 0)
    np.testing.assert_allclose(filled.X[:, 0], wanted, rtol=1e-6)
    assert any("2 missing cells in length are filled" in note for note in filled.notes)
    left = with_label(read_table(_parquet(frame)))
    assert len(left.X) == 58


def _few_of_a_class(n: int) -> Labelled:
    """Forty rows of one class and n of another."""
    rows = "".join(f"{k},{'rare' if k < n else 'often'}\n" for k in range(40 + n))
    return with_label(read_csv(f"a,y\n{rows}".encode()))


def test_a_class_is_split_where_each_part_gets_a_row_of_it() -> None:
    with pytest.raises(ParetoscopeError, match="fewer than 5 rows cannot be split: 'rare'"):
        require_trainable(_few_of_a_class(4))
    rows = _few_of_a_class(5)
    require_trainable(rows)
    for seed in range(20):
        for part in split_indices(rows.y, 0, seed).values():
            assert set(rows.y[part]) == {0, 1}


def test_columns_with_one_value_are_left_out_or_kept_as_asked() -> None:
    frame = _frame()[["length", "count", "kind"]].assign(edge=0.0)
    table = read_table(_parquet(frame))
    assert [c.name for c in table.columns if c.is_constant] == ["edge"]
    assert with_label(table, "kind").features == ("length", "count")
    kept = with_label(table, "kind", constant="keep")
    assert kept.features == ("length", "count", "edge")
    assert "columns with one value in all rows are kept: edge" in kept.notes


def test_a_name_that_is_no_zip_member_of_arrays_is_no_table() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ParetoscopeError, match="ZIP archive"):
        read_table(out.getvalue())


def test_few_sandboxes_run_at_a_time_and_give_their_turns_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sandbox, "_LONGEST_WAIT_S", 0.05)
    held = [Sandbox(Limits()) for _ in range(sandbox._AT_A_TIME)]
    with pytest.raises(SandboxError, match="try again in a minute"):
        Sandbox()
    for one in held:
        one.close()
        one.close()
    for _ in range(2 * sandbox._AT_A_TIME):
        with Sandbox():
            pass
