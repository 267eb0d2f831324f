"""While times are taken by protocol, what else works pauses, and then goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paretoscope.base import quiet as module
from paretoscope.base.jobs import Worker
from paretoscope.base.quiet import Working, quiet

from tests.waiting import HANGS_S, until


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From other tests' workers: locks of their own, also of the workers started here."""
    monkeypatch.setenv(module.LOCKS_VARIABLE, str(tmp_path))


def _steps(worked: list[int], stop: threading.Event) -> None:
    working = Working()
    while not stop.is_set():
        worked[0] += 1
        time.sleep(0.001)
        working.pause()
    working.close()


@pytest.fixture
def worked() -> Iterator[list[int]]:
    """How many steps a worker made so far."""
    found, stop = [0], threading.Event()
    thread = threading.Thread(target=_steps, args=(found, stop), daemon=True)
    thread.start()
    until(lambda: found[0] > 3)
    yield found
    stop.set()
    thread.join(HANGS_S)
    assert not thread.is_alive()


def test_a_worker_pauses_while_times_are_taken_and_goes_on(worked: list[int]) -> None:
    with quiet() as calm:
        assert calm
        before = worked[0]
        time.sleep(0.3)
        assert worked[0] == before
    until(lambda: worked[0] > before)


def test_a_worker_that_begins_meanwhile_waits() -> None:
    begun = threading.Event()

    def begin() -> None:
        working = Working()
        begun.set()
        working.close()

    thread = threading.Thread(target=begin, daemon=True)
    with quiet():
        thread.start()
        assert not begun.wait(0.3)
    assert begun.wait(HANGS_S)


def test_what_does_not_pause_is_not_waited_for_without_end() -> None:
    busy = Working()
    with quiet(patience_s=0.0) as calm:
        assert not calm
    busy.close()
    with quiet(patience_s=0.0) as calm:
        assert calm


def test_who_died_at_work_is_no_obstacle(tmp_path: Path) -> None:
    left = tmp_path / f"{module._begin('working').name}-{2**22 + 1}.lock"
    left.touch()
    with quiet(patience_s=0.0) as calm:
        assert calm
    assert not left.exists()


def test_a_training_pauses_between_its_epochs() -> None:
    worker, told, begun = Worker(), [], threading.Event()
    arguments = {"dataset": "digits", "model": "mlp-64-32", "seed": 7, "split_seed": 0}

    def follow() -> None:
        for message in worker.run("training.training:train_task", arguments):
            told.append(message)
            if len(told) > 1:
                begun.set()

    def has_told_all() -> bool:
        """What it told before it paused may still be on its way."""
        n = len(told)
        time.sleep(0.5)
        return len(told) == n

    thread = threading.Thread(target=follow, daemon=True)
    try:
        thread.start()
        assert begun.wait(HANGS_S)
        with quiet(HANGS_S) as calm:
            assert calm
            until(has_told_all)
            assert "result" not in told[-1]
        thread.join(HANGS_S)
        assert "result" in told[-1]
    finally:
        worker.close()
