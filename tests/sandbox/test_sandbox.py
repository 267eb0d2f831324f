"""The sandbox: limits hold, and a process that dies at any moment leaves nothing behind."""

from __future__ import annotations

import random
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import sha256
from paretoscope.data.dataset import load_dataset
from paretoscope.data.own_data import keep_own
from paretoscope.data.rows import Raw
from paretoscope.sandbox import sandbox as module
from paretoscope.sandbox.sandbox import Limits, Sandbox, SandboxError
from paretoscope.uploads import kinds
from paretoscope.uploads.checking import check
from paretoscope.uploads.models import read_model

from tests.dying import FILES, killed_at, killed_at_random
from tests.uploads.cases import FOLDER, needs_cases


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's sandboxes have their folders, and nobody else's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _endless() -> bytes:
    return (FOLDER / "onnx" / "l09_loop_no_trip.onnx").read_bytes()


_INPUTS = {"inputs": [{"name": "X", "type": "float", "shape": [None, 4]}], "widths": []}


@needs_cases
def test_a_wall_clock_ends_what_processor_time_does_not() -> None:
    limits = Limits(processor_s=60, wall_s=1)
    with pytest.raises(SandboxError, match="stopped after 1 s, the time limit"):
        read_model(_endless(), limits=limits)


class _Stream:
    """One end of a pipe to a process that is killed before this end is used for the nth time."""

    def __init__(self, process: subprocess.Popen[bytes], stream: IO[bytes], nth: int) -> None:
        self._process, self._stream, self._left = process, stream, nth

    def _use(self) -> IO[bytes]:
        self._left -= 1
        if self._left == 0:
            self._process.kill()
            self._process.wait()
        return self._stream

    def write(self, data: bytes) -> int:
        return self._use().write(data)

    def flush(self) -> None:
        self._stream.flush()

    def readline(self, most: int) -> bytes:
        return self._use().readline(most)

    def close(self) -> None:
        self._stream.close()


@needs_cases
@pytest.mark.parametrize(
    ("stream", "nth"),
    [("stdin", 1), ("stdin", 2), ("stdin", 3), ("stdout", 1)],
    ids=["before the question", "before its first part", "between its parts", "while it works"],
)
def test_a_worker_that_is_killed_is_a_sentence_and_leaves_nothing(
    stream: str, nth: int, folder: Path
) -> None:
    """Nothing else ends it: the model runs without end, and there are minutes."""
    with Sandbox(Limits(processor_s=240, wall_s=240)) as sandbox:
        process = sandbox._process
        setattr(process, stream, _Stream(process, getattr(process, stream), nth))
        with pytest.raises(SandboxError, match="the model was stopped after 240 s of processor"):
            sandbox.run("try", [_endless(), b"more"], _INPUTS)
    assert process.returncode == -signal.SIGKILL
    assert list(folder.iterdir()) == []
    with Sandbox() as another:  # its turn was given back
        assert another.run("try", [_small()], _INPUTS)["outputs"]


@needs_cases
@pytest.mark.soak("50 sandboxes killed at random moments")
def test_fifty_workers_that_are_killed_are_sentences_and_leave_nothing(folder: Path) -> None:
    rng = random.Random(0)
    for _ in range(50):
        with Sandbox(Limits(processor_s=240, wall_s=240)) as sandbox:
            timer = threading.Timer(rng.uniform(0, 0.6), sandbox._process.kill)
            timer.start()
            with pytest.raises(SandboxError, match="the model was stopped after 240 s of proc"):
                sandbox.run("try", [_endless()], _INPUTS)
            timer.join()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "said", ["", '{"result": ', "[]\n", '{"result": {}, "n_bytes": 9}\n1234'], ids=repr
)
def test_an_answer_that_is_cut_off_is_none(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"import sys\nsys.stdout.write({said!r})\n", encoding="utf-8")
    monkeypatch.setattr(module, "_PROGRAM", program)
    with Sandbox() as sandbox, pytest.raises(SandboxError):
        sandbox.run("try", [], {})


_KEEPS = (
    "import numpy as np\n"
    "from itertools import count\n"
    "from paretoscope.data.own_data import keep_own\n"
    "from paretoscope.data.rows import Raw\n"
    "for number in count():\n"
    "    X = np.random.default_rng(number).random((2_000, 20), np.float32)\n"
    "    names = tuple(f'f{i}' for i in range(20))\n"
    "    keep_own(Raw(X, np.arange(2_000) % 2, names, ('a', 'b')), 'killed')\n"
    "    print(number, flush=True)\n"
)


def _is_whole(home: Path) -> None:
    """What has a name is what it says, and each key stands for something."""
    objects, keys = ([p for p in (home / f).iterdir() if not p.name.startswith(".")]
                     for f in ("objects", "keys"))  # fmt: skip
    assert objects
    assert keys
    for path in objects:
        assert sha256(path.read_bytes()) == path.name
    for key in keys:
        assert (home / "objects" / key.read_text(encoding="ascii")).is_file()


@pytest.mark.parametrize("point", FILES)
def test_a_server_that_is_killed_leaves_no_torn_data(point: str, home: Path) -> None:
    killed_at(point, _KEEPS, nth=3)
    _is_whole(home)


@pytest.mark.soak("50 keepers of own data killed at random moments")
def test_fifty_servers_that_are_killed_leave_no_torn_data(home: Path) -> None:
    rng = random.Random(0)
    for _ in range(50):
        killed_at_random(rng, _KEEPS, longest_s=0.06)
        _is_whole(home)


def test_the_worker_sees_no_environment_no_folder_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "canary")
    with Sandbox() as sandbox:
        sandbox.run("try", [_small()], _INPUTS)  # it has started, then
        proc = Path(f"/proc/{sandbox._process.pid}")
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
    monkeypatch.setattr(kinds, "most_bytes", lambda: 100)
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
