"""What all visitors of one server share: datasets, networks, jobs, the measuring service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.jobs import Job, Jobs, Worker
from paretoscope.cli.results import Answer, Task
from paretoscope.cli.tasks import find_result
from paretoscope.data.dataset import Dataset, load_dataset, loads_at_once
from paretoscope.network.network import Network
from paretoscope.training.training import find_outline, find_trained

from ui.base.collector import collector
from ui.state.measuring import MeasuringService
from ui.state.session import session
from ui.state.subject import Subject

P = ParamSpec("P")
R = TypeVar("R")
SEED = SPLIT_SEED = 0
_LOOKING_S = 3.0  # pages that show a job look several times a second
_KEPT_RESULTS = 500
_KEPT_MISSING = 20_000
_TRAIN = "training.training:train_task"
_FETCH = "data.dataset:fetch_task"
_TEXTBOOK = "textbook:run_task"


_turn = threading.RLock()


def one_page_at_a_time(draw: Callable[P, R]) -> Callable[P, R]:
    """Let a page be drawn by one visitor's thread at a time.

    Drawing is work of the one interpreter. Threads that draw at once hand it to each other, and to
    the loop that sends, hundreds of times a page, each time for milliseconds: pages of twenty
    visitors then take a second, one after the other a tenth of that (docs/decisions.md). What is
    drawn so must not wait for anything.
    """

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with _turn:
            result = draw(*args, **kwargs)
            collector().drawn = time.monotonic()
            return result

    return drawn


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    return Jobs()


@st.cache_resource(show_spinner=False)
def measuring() -> MeasuringService:
    return MeasuringService()


def visitor() -> str:
    """A name for the visitor whose page runs."""
    return session().visitor


@st.cache_resource(show_spinner=False)
def _looks() -> dict[Job, dict[str, float]]:
    return {}


def others_waiting(job: Job) -> int:
    """How many other visitors look at a job too. Being asked is this visitor's own look."""
    now = time.monotonic()
    looks = _looks().setdefault(job, {})
    looks[visitor()] = now
    for ended in [j for j in list(_looks()) if j.state != "running"]:
        _looks().pop(ended, None)
    return sum(now - seen < _LOOKING_S for seen in list(looks.values())) - 1


@st.cache_resource(show_spinner=False, max_entries=4)
def dataset(name: str) -> Dataset:
    return load_dataset(name, SPLIT_SEED)


@st.cache_resource(show_spinner=False)
def _networks() -> dict[tuple[str, str], Network]:
    return {}


def network(dataset_name: str, model: str) -> Network | None:
    """The trained network, or None where it must be trained first. Never imports scikit-learn."""
    found = _networks().get((dataset_name, model))
    if found is None and loads_at_once(dataset_name):
        data = dataset(dataset_name)
        found = find_outline(model, data, SEED) or find_trained(model, data, SEED)
        if found is not None:
            _networks()[dataset_name, model] = found
    return found


def training(dataset_name: str, model: str) -> Job | None:
    """The job that trains or trained the network, if there is one."""
    return jobs().find(_TRAIN, _arguments(dataset_name, model))


def start_training(dataset_name: str, model: str) -> None:
    """Start the job, or join the one that runs."""
    jobs().start(_TRAIN, _arguments(dataset_name, model), visitor())


def start_fetching(dataset_name: str) -> None:
    jobs().start(_FETCH, {"dataset": dataset_name}, visitor())


def fetching(dataset_name: str) -> Job | None:
    """The job that fetches or fetched a dataset, if there is one."""
    return jobs().find(_FETCH, {"dataset": dataset_name})


def textbook() -> Job:
    """The job that runs the article's programs; started when a page first asks."""
    return jobs().find(_TEXTBOOK, {}) or jobs().start(_TEXTBOOK, {})


def run_textbook_again() -> None:
    jobs().start(_TEXTBOOK, {})


def work(task: str, arguments: dict[str, Any]) -> Job | None:
    """The job that does or did a task of `paretoscope.cli.tasks`, if there is one."""
    return jobs().find(f"cli.tasks:{task}", arguments)


def start_work(task: str, arguments: dict[str, Any]) -> None:
    """Start the job, or join the one that runs."""
    jobs().start(f"cli.tasks:{task}", arguments, visitor())


def at_once(task: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a task of `paretoscope.cli.tasks` answers, by a process of its own; the page waits.

    Raises
    ------
    ParetoscopeError
        The task's own sentence, or its process ended.
    """
    worker = Worker()
    try:
        *_, last = worker.run(f"cli.tasks:{task}", arguments)
    finally:
        worker.close()
    answer: dict[str, Any] = last["result"]
    return answer


def work_again(subject: Subject, task: Task[Answer], arguments: dict[str, Any]) -> None:
    """Do a remembered task anew; until it is done there is no result."""
    _results().pop(_result_key(subject, task, arguments), None)
    start_work(task.name, arguments)


def _result_key(subject: Subject, task: Task[Answer], arguments: dict[str, Any]) -> str:
    return f"{task.name} {sorted(arguments.items())} {subject.network.sha256}"


@st.cache_resource(show_spinner=False)
def _results() -> dict[str, Any]:
    return {}


@st.cache_resource(show_spinner=False)
def _missing() -> set[str]:
    """What was looked for in the store and is not there: only a job of this server puts it there,
    or another server's, which is then seen after a restart."""
    return set()


def result(subject: Subject, task: Task[Answer], arguments: dict[str, Any]) -> Answer | None:
    """What a remembered task answered, now or before a restart, or None."""
    key = _result_key(subject, task, arguments)
    if key not in _results():
        job = work(task.name, arguments)
        if job is None and key in _missing():
            return None
        if job is None or job.state == "done":
            found = find_result(task, arguments, subject.network)
            if found is None:
                if len(_missing()) >= _KEPT_MISSING:
                    _missing().clear()
                _missing().add(key)
                return None
            while len(_results()) >= _KEPT_RESULTS:
                _results().pop(next(iter(_results())))
            _results()[key] = found
    answer: Answer | None = _results().get(key)
    return answer


@st.cache_resource(show_spinner=False, max_entries=8)
def _subject(
    dataset_name: str, model: str, score: str, decision: str, sha256: str, _trained: Network
) -> Subject:
    data = dataset(dataset_name)
    try:
        problem = data.problem.deciding(decision)
    except ParetoscopeError:  # of a link: other classes than these
        problem, decision = data.problem, ""
    if score not in [offered.name for offered in problem.scores]:
        score = ""
    return Subject(dataset_name, SPLIT_SEED, model, SEED, _trained, data, score, decision)


def subject(
    dataset_name: str, model: str, trained: Network, score: str = "", decision: str = ""
) -> Subject:
    """What the service needs to know to measure recipes of a network by a score, by default by what
    suits the data, and with a decision."""
    found: Subject = _subject(dataset_name, model, score, decision, trained.sha256, trained)
    return found


def _arguments(dataset_name: str, model: str) -> dict[str, object]:
    return {"dataset": dataset_name, "model": model, "seed": SEED, "split_seed": SPLIT_SEED}
