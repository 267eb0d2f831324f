from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.jobs import NICE_VARIABLE, Job, Jobs, Progress, Worker
from paretoscope.data.dataset import load_dataset
from paretoscope.measurement.measurement import Measurement
from paretoscope.network.network import Network
from paretoscope.training.training import find_trained

from tests.waiting import HANGS_S, until

TRAIN = "training.training:train_task"
SLOW = {"dataset": "fashion-mnist", "model": "linear-svm", "seed": 1, "split_seed": 0}


def _small(model: str = "logistic-regression") -> dict[str, object]:
    return {"dataset": "iris", "model": model, "seed": 0, "split_seed": 0}


def test_a_job_trains_and_the_network_is_kept(home: Path) -> None:
    job = Job(TRAIN, _small("mlp-32"))
    assert job.wait(HANGS_S) == "done"
    assert job.result is not None
    network = find_trained("mlp-32", load_dataset("iris"))
    assert network is not None
    assert network.sha256 == job.result["sha256"]
    assert job.progress().fraction == 1.0


def test_a_stopped_job_leaves_nothing(home: Path) -> None:
    job = Job(TRAIN, SLOW)
    until(lambda: job.progress().text != "starting")
    assert job.state == "running"
    job.stop()
    assert job.state == "stopped"
    assert job.result is None
    assert find_trained("linear-svm", load_dataset("fashion-mnist"), 1) is None
    job.stop()  # once more does no harm
    assert job.state == "stopped"


def test_a_refusal_is_its_sentence(home: Path) -> None:
    job = Job(TRAIN, _small("lenet-300-100"))
    assert job.wait(HANGS_S) == "failed"
    assert job.error is not None
    assert job.error.startswith("model for iris must be one of")


def test_an_unforeseen_failure_is_a_sentence_too() -> None:
    job = Job("nowhere:task", {})
    assert job.wait(HANGS_S) == "failed"
    assert job.error == (
        "nowhere:task failed: ModuleNotFoundError: No module named 'paretoscope.nowhere'"
    )


def test_a_killed_process_is_a_sentence(home: Path) -> None:
    job = Job(TRAIN, SLOW)
    until(lambda: job._worker is not None)
    assert job._worker is not None
    os.kill(job._worker._process.pid, signal.SIGKILL)
    assert job.wait(HANGS_S) == "failed"
    assert job.error == f"the process for {TRAIN} ended before its result (exit code -9)"


def test_a_worker_does_one_task_after_another_and_survives_a_refusal(home: Path) -> None:
    worker = Worker()
    first = [m for m in worker.run(TRAIN, _small()) if "result" in m]
    with pytest.raises(ParetoscopeError, match="dataset must be one of"):
        list(worker.run(TRAIN, _small() | {"dataset": "irs"}))
    second = [m for m in worker.run(TRAIN, _small()) if "result" in m]
    assert first == second != []
    worker.close()
    assert not worker.alive
    with pytest.raises(ParetoscopeError, match="ended before its result"):
        list(worker.run(TRAIN, _small()))


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="no priorities here")
@pytest.mark.parametrize(("told", "expected"), [(None, 10), ("3", 3), ("0", 0), ("much", 10)])
def test_a_worker_steps_back_behind_pages(
    told: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its session, which Linux weighs as a whole where sessions are grouped."""
    monkeypatch.delenv(NICE_VARIABLE)
    if told is not None:
        monkeypatch.setenv(NICE_VARIABLE, told)
    worker = Worker()
    with pytest.raises(ParetoscopeError, match="dataset must be one of"):
        list(worker.run(TRAIN, _small() | {"dataset": "irs"}))  # it has started, then
    pid, own = worker._process.pid, os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(own + expected, 19)
    if Path("/proc/self/autogroup").exists():
        assert _niceness_of_session(str(pid)) == expected
    worker.close()


def _niceness_of_session(process: str) -> int:
    """Zero for a process that began outside any session, of whose group Linux tells nothing."""
    told = Path(f"/proc/{process}/autogroup").read_text(encoding="ascii").split()
    return int(told[-1]) if told else 0


def test_the_same_work_is_one_job_while_it_runs(home: Path) -> None:
    jobs = Jobs()
    job = jobs.start(TRAIN, SLOW)
    assert jobs.start(TRAIN, dict(reversed(SLOW.items()))) is job
    assert jobs.find(TRAIN, SLOW) is job
    job.stop()
    again = jobs.start(TRAIN, SLOW)
    assert again is not job
    again.stop()
    assert jobs.find(TRAIN, _small()) is None


def test_a_worker_ends_with_its_parent(home: Path) -> None:
    program = (
        "from paretoscope.base.jobs import Job\n"
        f"job = Job({TRAIN!r}, {SLOW!r})\n"
        "while job._worker is None: pass\n"
        "print(job._worker._process.pid, flush=True)\n"
        "job.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    try:
        until(lambda: not _runs(child))
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        raise


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_remaining_time_is_the_share_still_to_do() -> None:
    assert Progress("", 0.25, 10.0).remaining_s == pytest.approx(30.0)
    assert Progress("", None, 10.0).remaining_s is None
    assert Progress("", 0.01, 10.0).remaining_s is None


def _measuring(epochs: int) -> dict[str, object]:
    return {
        "dataset": "digits", "split_seed": 0, "model": "mlp-64-32", "seed": 0, "stage": "measure",
        "recipe": f"magnitude(sparsity=0.5)+q(4)+finetune(epochs={epochs})", "zipped": False,
    }  # fmt: skip


def test_an_interrupted_task_gives_what_it_has(mlp: Network) -> None:
    """Fine-tuning ends early with the best so far."""
    worker = Worker()
    told: list[float] = []
    for message in worker.run("cli.tasks:measure_task", _measuring(60)):
        if "result" in message:
            break
        told.append(message["emit"]["fraction"])
        if told[-1] > 0.7:
            worker.interrupt()
    assert max(told) < 1.0
    measured = Measurement.from_dict(message["result"])
    assert measured.accuracy.value > 0.9
    running = worker.run("cli.tasks:measure_task", _measuring(61))
    next(running)  # after its first epoch there is something to keep
    worker.interrupt()
    assert "result" in list(running)[-1]
    again = list(worker.run("cli.tasks:measure_task", _measuring(2)))  # and the worker goes on
    assert "result" in again[-1]
    worker.close()


# --- turns --------------------------------------------------------------------------------------


def test_two_work_at_a_time_and_the_others_say_where_they_stand(home: Path) -> None:
    jobs = Jobs(limit=2)
    first, second, third, fourth = (jobs.start(TRAIN, SLOW | {"seed": seed}) for seed in range(4))
    until(lambda: third.progress().text == "waiting for its turn, the next one")
    until(lambda: fourth.progress().text == "waiting for its turn, 1 before it")
    assert "waiting" not in first.progress().text + second.progress().text
    third.stop()  # before its turn: nothing was started, and the next one moves up
    assert third.state == "stopped"
    assert third._worker is None
    until(lambda: fourth.progress().text == "waiting for its turn, the next one")
    first.stop()
    until(lambda: "waiting" not in fourth.progress().text)
    for job in (second, fourth):
        job.stop()
        assert job.wait(HANGS_S) == "stopped"


def test_who_came_first_has_the_next_turn(home: Path) -> None:
    jobs = Jobs(limit=1)
    first, second, third = (jobs.start(TRAIN, SLOW | {"seed": seed}) for seed in range(3))
    until(lambda: third.progress().text == "waiting for its turn, 1 before it")
    first.stop()
    until(lambda: "waiting" not in second.progress().text)
    until(lambda: third.progress().text == "waiting for its turn, the next one")
    third.stop()
    second.stop()


def test_a_turn_is_given_back_after_a_failure_too(home: Path) -> None:
    jobs = Jobs(limit=1)
    started = [jobs.start("nowhere:task", {"number": number}) for number in range(3)]
    assert [job.wait(HANGS_S) for job in started] == ["failed"] * 3


def test_ended_jobs_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paretoscope.base.jobs._REMEMBERED", 2)
    jobs = Jobs()
    for number in range(4):
        jobs.start("nowhere:task", {"number": number}).wait(HANGS_S)
    assert jobs.find("nowhere:task", {"number": 0}) is None
    assert jobs.find("nowhere:task", {"number": 3}) is not None


def test_one_visitor_cannot_fill_the_queue(home: Path) -> None:
    jobs = Jobs(limit=1)
    own = [jobs.start(TRAIN, {**SLOW, "seed": seed}, "one") for seed in range(5)]
    other = jobs.start(TRAIN, _small(), "another")
    assert [job.state for job in own] == ["running"] * 4 + ["failed"]
    assert own[4].error is not None
    assert own[4].error.startswith("you have 4 jobs on this server that run or wait")
    assert other.state == "running"
    for job in own:
        job.stop()
    assert other.wait(HANGS_S) == "done"
    again = jobs.start(TRAIN, {**SLOW, "seed": 4}, "one")
    assert again.state == "running"  # there is room again
    again.stop()
