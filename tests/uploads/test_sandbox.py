"""The sandbox: limits hold, and a process that dies at any moment leaves nothing behind."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from paretoscope.dataset import Raw, keep_own, load_dataset
from paretoscope.errors import ParetoscopeError
from paretoscope.store import home, sha256
from paretoscope.uploads import kinds
from paretoscope.uploads.checking import check
from paretoscope.uploads.models import read_model
from paretoscope.uploads.sandbox import Limits, Sandbox, SandboxError

from tests.uploads.cases import FOLDER, needs_cases

RNG = random.Random(0)


def _endless() -> bytes:
    return (FOLDER / "onnx" / "l09_loop_no_trip.onnx").read_bytes()


def _folders() -> set[str]:
    return {p.name for p in Path(tempfile.gettempdir()).glob("paretoscope-trial-*")}


@needs_cases
def test_a_wall_clock_ends_what_processor_time_does_not() -> None:
    limits = Limits(processor_s=60, wall_s=1)
    with pytest.raises(SandboxError, match="stopped after 1 s, the time limit"):
        read_model(_endless(), limits=limits)


@needs_cases
def test_fifty_kills_of_the_worker_are_fifty_sentences_and_no_folder_is_left() -> None:
    before, arguments = _folders(), {"inputs": [], "widths": []}
    arguments["inputs"] = [{"name": "X", "type": "float", "shape": [None, 4]}]  # type: ignore[list-item]
    for _ in range(50):
        with Sandbox(Limits(wall_s=20)) as sandbox:
            pid = sandbox._process.pid
            timer = threading.Timer(RNG.uniform(0, 0.25), os.kill, (pid, signal.SIGKILL))
            timer.start()
            with pytest.raises(ParetoscopeError):
                sandbox.run("try", [_endless()], arguments)
            timer.join()
    assert _folders() <= before


def test_fifty_kills_of_the_server_leave_no_torn_data() -> None:
    """Children keep data after data until they are killed; what has a name is whole."""
    for attempt in range(50):
        child = os.fork()
        if child == 0:
            rng = np.random.default_rng(attempt)
            while True:
                X = rng.random((2_000, 20), np.float32)
                y = rng.integers(0, 2, 2_000)
                names = tuple(f"f{i}" for i in range(20))
                keep_own(Raw(X, y, names, ("a", "b")), "killed")
        threading.Event().wait(RNG.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    objects = [p for p in (home() / "objects").iterdir() if not p.name.startswith(".")]
    assert len(objects) > 10
    for path in objects:
        assert sha256(path.read_bytes()) == path.name
    for key in (home() / "keys").iterdir():
        if not key.name.startswith("."):
            assert (home() / "objects" / key.read_text(encoding="ascii")).is_file()


def test_the_worker_sees_no_environment_no_folder_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "canary")
    with Sandbox() as sandbox:
        proc = Path(f"/proc/{sandbox._process.pid}")
        read_model(_small())  # time for the process to have started
        assert b"canary" not in (proc / "environ").read_bytes()
        inside = (proc / "cwd").resolve()
        assert list(inside.iterdir()) == []
        assert inside != Path.cwd()
        limits = (proc / "limits").read_text(encoding="ascii")
        assert "Max file size             0 " in limits


def _small(bad: bool = False) -> bytes:
    weight = helper.make_tensor("W", TensorProto.FLOAT, [4, 3], np.ones(12, np.float32))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["X", "W"], ["Y"])],
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", 5 if bad else 4])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["n", 3])],
        [weight],
    )
    return onnx.helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)]
    ).SerializeToString()


def test_a_small_model_is_described() -> None:
    found = check(_small(), "m.onnx")
    assert found.line.startswith("an ONNX model, opset 21: inputs X float[?, 4]")


def test_the_size_is_checked_before_anything_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "MOST_BYTES", 100)
    with pytest.raises(ParetoscopeError, match="at most"):
        check(b"\x08" * 101, "m.onnx")


def test_own_data_have_names_that_only_their_content_gives() -> None:
    X, y = np.eye(40, 3, dtype=np.float32), np.arange(40) % 2
    raw = Raw(X, y, ("a", "b", "c"), ("no", "yes"))
    name = keep_own(raw, "mine")
    assert keep_own(raw, "mine") == name
    assert keep_own(Raw(X + 1, y, ("a", "b", "c"), ("no", "yes")), "mine") != name
    found = load_dataset(name)
    assert np.array_equal(found.raw.X, X)
    assert len(name.removeprefix("own-")) == 32
    for wrong in ("own-", "own-../../etc/passwd", name[:-1], "own-" + "f" * 32):
        with pytest.raises(ParetoscopeError, match="upload the file again"):
            load_dataset(wrong)
