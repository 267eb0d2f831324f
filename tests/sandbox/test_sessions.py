"""Sessions in the sandbox: each owner's own, whole after whatever happens to their process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from paretoscope.network.signature import Feed, Signature
from paretoscope.sandbox import sessions
from paretoscope.sandbox.sandbox import Sandbox, SandboxError
from paretoscope.sandbox.sessions import Session, Timed

from tests.any_graphs import N, graph_of
from tests.waiting import until

W = np.arange(6, dtype=np.float32).reshape(3, 2)
X = np.eye(3, dtype=np.float32)
SIGNATURE = Signature((Feed("x", "float", (3,)),), "y", 2).plain()


def _model(w: Any = W) -> bytes:
    data: bytes = graph_of(
        [N("MatMul", ["x", "w"], ["y"])], {"w": w}, {"x": ["n", 3]}
    ).SerializeToString()
    return data


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Any:
    """One of this test's own."""
    own = sessions._Pool()
    monkeypatch.setattr(sessions, "_POOL", own)
    yield own
    own.close()


def _process(session: Session) -> Sandbox:
    assert session._loaded is not None
    return session._loaded


def test_owners_have_processes_of_their_own() -> None:
    one, two, other = (
        Session(_model(k * W), SIGNATURE, o) for k, o in ((1, "a"), (2, "a"), (3, "b"))
    )
    for factor, session in ((1, one), (2, two), (3, other)):
        assert np.array_equal(session.outputs(X), factor * W)
    assert _process(one) is _process(two) is not _process(other)


def test_a_process_that_died_is_started_again() -> None:
    session = Session(_model(), SIGNATURE, "a")
    before = _process(session)
    assert Timed(session, X).seconds(2) > 0
    os.kill(before._process.pid, signal.SIGKILL)
    before._process.wait()
    assert np.array_equal(session.outputs(X), W)
    assert Timed(session, X).seconds(2) > 0
    assert _process(session) is not before


class _Stopped(BaseException):
    """As KeyboardInterrupt is, which test workers keep for themselves."""


def test_a_call_that_was_interrupted_answers_no_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(_model(), SIGNATURE, "a")

    def interrupted(*_: object) -> bytes:
        raise _Stopped

    exchange = _process(session)._process.stdout
    assert exchange is not None

    class Interrupted:
        readline = staticmethod(interrupted)
        close = exchange.close

    monkeypatch.setattr(_process(session)._process, "stdout", Interrupted())
    with pytest.raises(_Stopped):
        session.outputs(5 * X)
    assert np.array_equal(session.outputs(X), W)


def test_a_process_that_rests_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_MOST_PROCESSES", 1)
    one = Session(_model(), SIGNATURE, "a")
    first = _process(one)
    other = Session(_model(2 * W), SIGNATURE, "b")
    assert not first.alive
    assert np.array_equal(one.outputs(X), W)
    assert np.array_equal(other.outputs(X), 2 * W)


def test_models_that_nobody_holds_leave_the_process() -> None:
    kept = Session(_model(), SIGNATURE, "a")
    for _ in range(3):
        Session(_model(), SIGNATURE, "a").outputs(X)
    kept.outputs(X)
    assert not sessions._POOL.gone


def test_what_cannot_be_loaded_is_a_sentence() -> None:
    with pytest.raises(Exception, match="ONNX Runtime refuses it"):
        Session(b"no model", SIGNATURE, "a")


def test_a_call_without_end_is_stopped() -> None:
    body = helper.make_graph(
        [N("Identity", ["go"], ["on"]), N("Identity", ["v"], ["u"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("u", TensorProto.FLOAT, None),
        ],
    )
    nodes = [N("Loop", ["", "true", "x"], ["y"], body=body)]
    model = graph_of(nodes, {"true": np.array(True)}, {"x": ["n", 3]})
    session = Session(model.SerializeToString(), SIGNATURE, "a", wall_s=2)
    process = _process(session)
    with pytest.raises(SandboxError, match="stopped after 2 s, the time limit"):
        session.outputs(X)
    assert not process.alive


def test_no_process_stays_behind_one_that_was_killed() -> None:
    """In the middle of a call without end: nothing reads its input then."""
    program = (
        "import numpy as np; from tests.sandbox import test_sessions as t; "
        "s = t.Session(t._model(), t.SIGNATURE, 'a'); "
        "print(s._loaded._process.pid, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().split()[2] != "Z"
    except OSError:
        return False
