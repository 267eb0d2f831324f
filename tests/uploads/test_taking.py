"""Uploads that a process of its own judges and keeps: the same as at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from paretoscope.base.encoding import decode, encode
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.jobs import Worker
from paretoscope.cli.tasks import judge_upload_task
from paretoscope.uploads.checking import Checked, Chosen, UnknownLabelsError
from paretoscope.uploads.csvs import Reading
from paretoscope.uploads.taking import Brought, Taken, judged, picked_up, put_down, take

from tests import graphs

TABLE = "a,b,c,d,e,kind\n" + "".join(
    f"{k % 7},{k % 3},{k % 5},{k % 11 / 2},{k % 4},{k % 3}\n" for k in range(90)
)


def _brought(**more: object) -> Brought:
    rows = TABLE.encode()
    return replace(Brought(graphs.gemm(0), "m.onnx", rows, "t.csv"), **more)  # type: ignore[arg-type]


def test_what_is_put_down_is_picked_up(tmp_path: Path) -> None:
    chosen = Chosen("kind", ("a",), ("d",), (), Reading("utf-8", "point"), "class")
    given = _brought(chosen=chosen, names=("x", "y"), cut=0.25, output="s", fix=True)
    found = picked_up(put_down(given, tmp_path))
    assert encode(found.chosen.reading) == encode(chosen.reading)
    assert list(found.chosen.leave_out) == ["a"]
    assert (found.data, found.rows) == (given.data, given.rows)
    assert (found.names, found.cut, found.output, found.fix) == (("x", "y"), 0.25, "s", True)
    assert picked_up(put_down(_brought(rows=None), tmp_path / _folder(tmp_path))).rows is None


def _folder(inside: Path) -> str:
    (inside / "other").mkdir()
    return "other"


def test_a_process_of_its_own_judges_and_keeps_the_same(tmp_path: Path) -> None:
    given = _brought(rows=None)
    worker = Worker()
    try:
        *_, last = worker.run("cli.tasks:judge_upload_task", put_down(given, tmp_path))
        assert decode(Checked, last["result"]["checked"]) == judged(given)
        told = put_down(given, tmp_path) | {"dataset": ""}
        *_, last = worker.run("cli.tasks:take_upload_task", told)
        assert decode(Taken, last["result"]) == take(given)
    finally:
        worker.close()


def test_labels_that_nobody_knows_come_back_as_such(tmp_path: Path) -> None:
    rows = TABLE.replace(",0\n", ",red\n").replace(",1\n", ",green\n").replace(",2\n", ",blue\n")
    given = _brought(rows=rows.encode(), chosen=Chosen("kind"))
    with pytest.raises(UnknownLabelsError) as error:
        judged(given)
    found = judge_upload_task(put_down(given, tmp_path), lambda _: None)
    assert found == {"unknown": [error.value.labels, error.value.classes, error.value.outputs]}


def test_a_refusal_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ParetoscopeError, match="pickle"):
        judge_upload_task(put_down(Brought(b"\x80\x04.", "m.onnx"), tmp_path), lambda _: None)


def test_an_estimate_of_a_zipped_size_is_near() -> None:
    from paretoscope.artifact.artifact import Sizes

    rng = np.random.default_rng(0)
    for codes in (
        rng.normal(0, 3, 2_000_000).round().astype(np.int8),
        (rng.normal(0, 30, 2_000_000) * (rng.random(2_000_000) < 0.3)).round().astype(np.int8),
        np.concatenate([rng.normal(0, s, 300_000).round().astype(np.int8) for s in range(1, 9)]),
    ):
        sizes = Sizes(codes.tobytes())
        assert sizes.gzip_estimate == pytest.approx(sizes.gzip, rel=0.06)
