"""Pictures made on the server and on the command line, in a real Chromium."""

from __future__ import annotations

import struct
from pathlib import Path

import psutil
import pytest

from tests.conftest import trained
from tests.waiting import HANGS_S, until
from ui import pictures
from ui.base import rendering
from ui.state.address import parse_query

LINK = "http://127.0.0.1:8501/?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.1)"


def _size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])  # type: ignore[return-value]


def test_a_link_becomes_a_picture_of_the_size_that_links_show(tmp_path: Path) -> None:
    trained("digits", "mlp-64-32")
    out = tmp_path / "chart.png"
    assert pictures.main([f"{LINK}%2Bq(8)", "-o", str(out), "--chart", "time"]) == 0
    assert _size(out.read_bytes()) == (2400, 1260)
    assert len(out.read_bytes()) > 50_000  # an empty one is a tenth of that


def test_a_picture_may_be_square_and_dark_and_drawn_in_lines(tmp_path: Path) -> None:
    trained("digits", "mlp-64-32")
    png, svg = tmp_path / "chart.png", tmp_path / "chart.svg"
    assert pictures.main([f"{LINK}%2Bq(8)", "-o", str(png), "--square", "--dark"]) == 0
    assert _size(png.read_bytes()) == (2160, 2160)
    assert pictures.main([f"{LINK}%2Bq(8)", "-o", str(svg)]) == 0
    drawn = svg.read_text(encoding="utf-8")
    assert "times smaller" in drawn
    assert "magnitude(threshold=0.1)+q(8)" in drawn
    with pytest.raises(ValueError, match="ending must be one of"):
        rendering.drawn({"data": [], "layout": {}}, ".gif")


def test_the_front_of_a_links_picture_is_that_of_other_q_too() -> None:
    trained("digits", "mlp-64-32")
    view, _ = parse_query({"dataset": "digits", "recipe": "magnitude(threshold=0.1)+q(2)"})
    figure = pictures.figure_of(view, "size")
    (front,) = [trace for trace in figure["data"] if trace.get("name") == "Pareto front"]
    assert len({recipe.partition("+")[2] for recipe, _ in filter(None, front["customdata"])}) > 2


@pytest.mark.parametrize(
    ("link", "sentence"),
    [("?v=1&dataset=none", "dataset"), ("?v=1&recipe=q(-3)", "q"), ("?colour=red", "colour")],
)
def test_a_wrong_link_is_one_sentence_and_no_file(
    link: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "chart.png"
    assert pictures.main([link, "-o", str(out)]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1
    assert not out.exists()


def test_without_a_browser_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "possible", lambda: False)
    with pytest.raises(ValueError, match="pictures need Chrome"):
        rendering.drawn({"data": [], "layout": {"height": 300, "width": 300}})


def test_a_browser_that_hangs_is_ended_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first process waits for ever, with a child of its own; the second one draws."""
    pids, first = tmp_path / "pids", tmp_path / "first"
    hangs = tmp_path / "hangs.py"
    hangs.write_text(
        "import os, pathlib, runpy, subprocess, sys, time\n"
        f"first, pids = pathlib.Path({str(first)!r}), pathlib.Path({str(pids)!r})\n"
        "if first.exists():\n"
        f"    runpy.run_path({str(rendering._PROGRAM)!r}, run_name='__main__')\n"
        "else:\n"
        "    first.touch()\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    pids.write_text(f'{os.getpid()} {child.pid}')\n"
        "    time.sleep(600)\n"
    )
    monkeypatch.setattr(rendering, "_PROGRAM", hangs)
    monkeypatch.setattr(rendering, "_WAITS_S", (4, HANGS_S))
    figure = {"data": [], "layout": {"height": 300, "width": 300}}
    assert _size(rendering.drawn(figure)) == (600, 600)
    for pid in map(int, pids.read_text().split()):
        until(
            lambda pid=pid: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
        )
