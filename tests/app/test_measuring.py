"""The service: turns, failures, and visitors who leave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.base.jobs import Worker, WorkerEndedError
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network

from tests.waiting import HANGS_S, until
from ui.explore.plan import plan_of
from ui.state import measuring as module
from ui.state.address import View
from ui.state.measuring import MeasuringRequest, MeasuringService
from ui.state.subject import Subject


@pytest.fixture
def subject(mlp: Network, digits: ps.Dataset) -> Subject:
    return Subject("digits", 0, "mlp-64-32", 0, mlp, digits)


@pytest.fixture(autouse=True)
def _nobody_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Visitors who ask once are not taken for gone, however long a busy machine takes."""
    monkeypatch.setattr(module, "_AWAY_S", 1e9)
    monkeypatch.setattr(module, "_GONE_S", 1e9)


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The recipes in the order in which the worker is asked for them."""
    asked: list[str] = []
    _overhear(monkeypatch, lambda a: asked.append(f"{a['recipe']} {a['stage']}"))
    return asked


def _overhear(monkeypatch: pytest.MonkeyPatch, told: Callable[[Any], object]) -> None:
    """Tell of what services of this test ask; that of pages before it may still be at work."""

    class Overheard(Worker):
        def run(self, task: str, arguments: Any) -> Any:
            told(arguments)
            return super().run(task, arguments)

    monkeypatch.setattr(module, "Worker", Overheard)


def test_two_visitors_take_turns(subject: Subject, order: list[str]) -> None:
    service = MeasuringService()
    asked = {
        visitor: MeasuringRequest(subject, ps.grid(sparsity=sparsity, q=[3, 4, 5, 6]))
        for visitor, sparsity in (("a", 0.1), ("b", 0.2))
    }

    def ask() -> bool:
        """Said again, as pages do: who is silent for seconds has left."""
        with service._changed:  # it sees both at once
            for visitor, request in asked.items():
                service.ask(visitor, request)
        return service.finished("a") and service.finished("b")

    until(ask)
    own = [line for line in order if "measure" in line and "magnitude(sparsity=0." in line]
    # Who settled a moment earlier may be a step ahead, and never has all done before the other.
    ahead = np.cumsum([1 if "sparsity=0.1)" in line else -1 for line in own])
    assert ahead[-1] == 0
    assert np.abs(ahead).max() <= 2
    assert service.progress("a") == service.progress("b") == (4, 0, 4)


def test_a_recipe_that_cannot_be_made_does_not_stop_the_others(subject: Subject) -> None:
    service = MeasuringService()
    bad = ps.Recipe.parse("q(8);dense9=q(4)")
    good = ps.Recipe.parse("q(8)")
    service.ask("a", MeasuringRequest(subject, [bad, good]))
    until(lambda: service.finished("a"))
    assert service.progress("a") == (1, 1, 2)
    failure = service.failure(subject, bad)
    assert failure is not None
    assert "dense9" in failure
    service.try_again(subject, bad)
    assert service.failure(subject, bad) is None


def test_a_killed_worker_is_replaced_and_the_recipe_tried_again(subject: Subject) -> None:
    service = MeasuringService()
    service._worker._process.kill()
    recipe = ps.Recipe.parse("q(8)")
    service.ask("a", MeasuringRequest(subject, [recipe]))
    until(lambda: service.finished("a"))
    known = service.known(subject, recipe)
    assert known is not None
    assert not known.computed


def test_what_nobody_foresaw_does_not_end_the_service(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = MeasuringService()
    honest = Worker.run

    def run(self: Worker, task: str, arguments: Any) -> Any:
        if arguments["recipe"] == "q(7)":
            raise OSError("no more processes")
        return honest(self, task, arguments)

    monkeypatch.setattr(Worker, "run", run)
    bad, good = ps.grid(q=[7, 8])
    service.ask("a", MeasuringRequest(subject, [bad, good]))
    until(lambda: service.finished("a"))
    assert service.failure(subject, bad) == "measuring failed: OSError"
    assert service.known(subject, good) is not None


def test_wishes_of_visitors_who_left_are_dropped(
    subject: Subject, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = MeasuringService()
    service.ask("gone", MeasuringRequest(subject, ps.grid(sparsity=0.3, q=[9])))
    until(lambda: service.finished("gone"))
    monkeypatch.setattr(module, "_AWAY_S", -1.0)
    service.ask("late", MeasuringRequest(subject, ps.grid(sparsity=0.3, q=[10])))
    until(lambda: "gone" not in service._requests)
    assert "q(10)" not in " ".join(order)


def test_what_a_slider_only_passes_is_not_measured(
    subject: Subject, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of our own: nothing is measured while a slider moves, however slow a machine."""
    now_s = 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now_s))
    service = MeasuringService()
    for q in range(2, 13):
        now_s += 0.9 * module._SETTLE_S
        service.ask("a", MeasuringRequest(subject, ps.grid(q=q)))
    now_s += 1.1 * module._SETTLE_S
    with service._changed:
        service._changed.notify_all()
    until(lambda: service.finished("a"))
    assert {line.split()[0] for line in order} == {"q(12)"}


def test_a_scene_is_the_same_object_while_nothing_in_it_changes(
    subject: Subject,
) -> None:
    view = View(recipe=ps.Recipe.parse("magnitude(threshold=0.1)+q(8)"))
    plan = plan_of(view, subject, frozenset())
    again = replace(view, margin=2.0, section="time")  # neither is the service's concern
    assert plan_of(again, subject, frozenset({"another"})) is plan
    pinned = plan_of(replace(view, pins=(ps.Recipe.parse("q(4)"),)), subject, frozenset())
    assert pinned is not plan
    assert pinned.request.recipes == [*plan.request.recipes, ps.Recipe.parse("q(4)")]
    assert view.recipe in plan.curve


class _Slow(Subject):
    """Of a network whose points take long."""

    @property
    def comes_slowly(self) -> bool:
        return True


def test_points_that_come_slowly_begin_all_over_the_line(
    subject: Subject, order: list[str]
) -> None:
    slow = _Slow(subject.dataset_name, 0, subject.model, 0, subject.network, subject.dataset)
    line = ps.grid(sparsity=[k / 20 for k in range(20)], q=[8])
    service = MeasuringService()

    def ask() -> bool:
        service.ask("a", MeasuringRequest(slow, [Recipe(), line[7]], lines=[line]))
        return service.finished("a")

    until(ask)
    first = [text.rpartition(" ")[0] for text in order[:7]]
    assert first[:2] == [str(Recipe()), str(line[7])]
    assert first[2:6] == [str(line[k]) for k in (0, 4, 8, 12)]
    computed = [text for text in order if text.endswith("surface")]
    assert len(computed) == len(set(computed)) == 21  # each by itself, and once


def test_slow_points_that_share_work_are_computed_some_at_a_time(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any file is run on all rows, and no file of theirs is."""
    slow = _Slow(subject.dataset_name, 0, subject.model, 0, subject.network, subject.dataset)
    lines = [ps.grid(sparsity=[k / 20 for k in range(10)], q=[q]) for q in (8, 9)]
    asked: list[tuple[str, int]] = []
    _overhear(monkeypatch, lambda a: asked.append((a["stage"], len(a.get("recipes", [1])))))
    service = MeasuringService()

    def ask() -> bool:
        service.ask("a", MeasuringRequest(slow, [Recipe()], lines=lines, together=True))
        return service.finished("a")

    until(ask)
    stages = [stage for stage in asked if stage[0] != "complete"]
    assert stages == [("surface", n) for n in (1, 8, 2)] + [("measure", 1)] + [
        ("surface", n) for n in (8, 2)
    ]
    assert all(service.known(slow, recipe) for line in lines for recipe in line)


def test_one_that_fails_fails_none_that_were_computed_with_it(subject: Subject) -> None:
    slow = _Slow(subject.dataset_name, 0, subject.model, 0, subject.network, subject.dataset)
    good, bad = ps.grid(q=[8, 9, 10]), Recipe.parse("q(8);dense9=q(4)")
    line = [good[0], bad, *good[1:]]
    service = MeasuringService()

    def ask() -> bool:
        service.ask("a", MeasuringRequest(slow, [], lines=[line], together=True))
        return service.finished("a")

    until(ask)
    assert all(service.computed(slow, recipe) for recipe in good)
    failed = [service.failure(slow, recipe) is not None for recipe in line]
    assert failed == [False, True, False, False]


def test_what_was_measured_is_computed_too_where_trials_are(subject: Subject) -> None:
    """Else figures of other rows were compared."""
    slow = _Slow(subject.dataset_name, 0, subject.model, 0, subject.network, subject.dataset)
    service, recipe, data = MeasuringService(), Recipe.parse("q(8)"), slow.dataset
    service.tell(slow, [ps.measure(ps.compress(slow.network, recipe, data.train), data)])
    assert service.computed(slow, recipe) is None

    def ask() -> bool:
        service.ask("a", MeasuringRequest(slow, [], lines=[[recipe]], together=True))
        return service.finished("a")

    until(ask)
    assert service.computed(slow, recipe) is not None
    known = service.known(slow, recipe)
    assert known is not None
    assert not known.computed


def _endless(monkeypatch: pytest.MonkeyPatch, recipe: Recipe) -> threading.Event:
    """Let work on a recipe go on until its worker is ended; set once it has begun."""
    begun, honest = threading.Event(), Worker.run

    def run(self: Worker, task: str, arguments: Any) -> Any:
        if arguments["recipe"] != str(recipe):
            yield from honest(self, task, arguments)
            return
        begun.set()
        until(lambda: not self.alive)
        raise WorkerEndedError("killed")

    monkeypatch.setattr(Worker, "run", run)
    return begun


def test_long_work_that_nobody_looks_at_is_ended(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = _Slow(subject.dataset_name, 0, subject.model, 0, subject.network, subject.dataset)
    service = MeasuringService()
    monkeypatch.setattr(module, "_GONE_S", 0.2)
    endless, other = ps.grid(q=[9, 10])
    begun = _endless(monkeypatch, endless)
    service.ask("gone", MeasuringRequest(slow, [endless]))
    assert begun.wait(HANGS_S)
    until(lambda: service.finished("gone"))  # for nobody said it again
    assert service.failure(slow, endless) is None
    service.ask("next", MeasuringRequest(subject, [other]))
    until(lambda: service.finished("next"))
    assert service.known(subject, other) is not None


def test_long_work_that_a_visitor_turned_from_is_ended(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The visitor stays, and looks at something else of the same network."""
    slow = _Slow(subject.dataset_name, 0, subject.model, 0, subject.network, subject.dataset)
    service = MeasuringService()
    monkeypatch.setattr(module, "_GONE_S", 2.0)  # longer than a busy machine hesitates
    endless, other = ps.grid(q=[9, 10])
    begun = _endless(monkeypatch, endless)
    service.ask("a", MeasuringRequest(slow, [endless]))
    assert begun.wait(HANGS_S)
    then = MeasuringRequest(slow, [other])
    until(lambda: service.ask("a", then) or service.finished("a"))
    assert service.known(slow, other) is not None
    assert service.known(slow, endless) is None
    assert service.failure(slow, endless) is None
