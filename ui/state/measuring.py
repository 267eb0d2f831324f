"""The service measures what visitors look at, one file after the other, in a process of its own.

A page says what it wants to see and draws what is known; the rest fills in. Small networks are
also computed at once, within the page, so that figures answer a slider without a wait.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from paretoscope.artifact.quick_latency import batches_for
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.jobs import Worker, WorkerEndedError
from paretoscope.measurement.measurement import Measurement, as_brought, compute
from paretoscope.methods.recipe import Recipe
from paretoscope.sweeps.surface import surface

from ui.state.subject import Key, Subject
from ui.state.team import Team

_KEPT = 20_000
_TASK = "cli.tasks:measure_task"
_TOGETHER = 8  # points that share work are computed at a time, for others wait meanwhile
_FEW = 5  # points of a line that come slowly are computed at a time, from all over it
_TASKS = {"surface": "cli.tasks:surface_task", "zip": "cli.tasks:zip_task"}
_ZIPPED_AT_A_TIME = 8  # of a large network half a second, in which others wait
_SETTLE_S = 0.15  # a slider that is still moving need not be measured, and pages draw undisturbed
_PATIENCE_S = 0.6  # advice is worked on once a visitor who stays at it said so again
_GONE_S, _LOOK_S = 3.0, 0.3  # who is silent for so long has left long work
_AWAY_S = 5.0  # a page makes its request again at every poll, so a dropped one comes back
_LOG = logging.getLogger(__name__)


Keyed = list[tuple[Recipe, Key]]
Step = tuple[Sequence[Recipe], str]  # what is done next: recipes, and the stage of work on them


@dataclass(frozen=True)
class MeasuringRequest:
    """What one visitor looks at: recipes to measure, in their order, and others to compute only.

    Lines are computed whole, those that come first first. With `zipped`, a file's zipped size comes
    with its first figures, not after all others'. A patient one waits until it was said again, a
    while after it was first said: a visitor who goes on wants no more of it. Points of lines that
    come `together` share work even where each takes long, and are computed some at a time.
    """

    subject: Subject
    recipes: Sequence[Recipe]
    context: Sequence[Recipe] = ()
    lines: Sequence[Sequence[Recipe]] = ()
    zipped: bool = False
    patient: bool = False
    together: bool = False

    @cached_property
    def wanted(self) -> frozenset[Key]:
        """The keys of all that it asks for."""
        lines = [*self.lines_keyed, self.keyed, self.context_keyed]
        return frozenset(key for line in lines for _, key in line)

    @cached_property
    def keyed(self) -> Keyed:
        """The recipes to measure, with their keys."""
        return [(recipe, self.subject.key(recipe)) for recipe in self.recipes]

    @cached_property
    def lines_keyed(self) -> list[Keyed]:
        return [[(recipe, self.subject.key(recipe)) for recipe in line] for line in self.lines]

    @cached_property
    def context_keyed(self) -> Keyed:
        return [(recipe, self.subject.key(recipe)) for recipe in self.context]


@dataclass(frozen=True)
class Apart:
    """Of so many files that were computed and then run, the largest difference of the score."""

    files: int = 0
    largest: float = 0.0


class MeasuringService:
    """Measures the requests of all visitors in turn, one file at a time in one process.

    Trainings and page draws of the same server still share the machine: the figures are quick ones.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Key, Measurement] = OrderedDict()
        self._computed: OrderedDict[Key, Measurement] = OrderedDict()  # also of what was run since
        self._singly: set[Key] = set()  # of which one failed that was computed with others
        self._failed: OrderedDict[Key, str] = OrderedDict()
        self._apart: dict[str, Apart] = {}
        self._died: Counter[Key] = Counter()
        self._interrupted: Key | None = None
        self._running: tuple[Key, float | None, str] | None = None
        self._requests: OrderedDict[str, MeasuringRequest] = OrderedDict()
        self._seen: dict[str, float] = {}
        self._settles: dict[str, float] = {}
        self._unzippable: set[Key] = set()  # of which no file can be made
        self._served: set[str] = set()  # visitors whose request is known to be fulfilled
        self._changed = threading.Condition()
        self._versions: Counter[str] = Counter()
        self._walks: bool | None = None  # whether this process walks lines; None: not tried yet
        self._worker = Worker()
        self._team = Team()
        self._unasked: set[str] = set()  # visitors with a request that the team was not asked of
        self._slow: Sequence[Key] = ()  # what is at work, where that takes long
        self._unwanted = False  # whether the step at work was ended
        threading.Thread(target=self._serve, daemon=True).start()
        threading.Thread(target=self._end_unwanted, daemon=True).start()

    def known(self, subject: Subject, recipe: Recipe) -> Measurement | None:
        """What is known of a recipe by now: measured, computed, or nothing."""
        return self._known.get(subject.key(recipe))

    def computed(self, subject: Subject, recipe: Recipe) -> Measurement | None:
        """What was computed of a recipe: of what comes slowly on its first rows, as all others."""
        return self._computed.get(subject.key(recipe))

    def before(self, subject: Subject) -> Measurement | None:
        """What recipes are compared with: the uncompressed network, in the file it came in."""
        known = self.known(subject, Recipe())
        return None if known is None else as_brought(known, subject.network)

    def everything(self, subject: Subject) -> list[Measurement]:
        """All that is known of a network by now, whoever asked for it."""
        with self._changed:
            return [m for (whose, _), m in self._known.items() if whose == subject.whose]

    def tell(self, subject: Subject, measurements: Sequence[Measurement]) -> None:
        """Let it know what others found out, as searches do."""
        for measurement in measurements:
            key = subject.key(measurement.recipe)
            if key not in self._known:
                self._learn(key, measurement)

    def version(self, subject: Subject) -> int:
        """A number that rises with all that becomes known of a network."""
        return self._versions[subject.whose]

    def failure(self, subject: Subject, recipe: Recipe) -> str | None:
        """The sentence why a recipe cannot be measured, if it cannot."""
        return self._failed.get(subject.key(recipe))

    def running(self, subject: Subject, recipe: Recipe) -> tuple[float | None, str] | None:
        """How far long work on a recipe is, and what it does; None where it is not at work."""
        now = self._running
        return now[1:] if now is not None and now[0] == subject.key(recipe) else None

    def interrupt(self, subject: Subject, recipe: Recipe) -> None:
        """Let long work on a recipe come to an end with what it has so far; once is enough."""
        key = subject.key(recipe)
        if self.running(subject, recipe) is not None and self._interrupted != key:
            self._interrupted = key
            self._worker.interrupt()

    def try_again(self, subject: Subject, recipe: Recipe) -> None:
        """Forget that a recipe failed."""
        with self._changed:
            self._failed.pop(subject.key(recipe), None)
            self._served.clear()

    def ask(self, visitor: str, request: MeasuringRequest) -> None:
        """Say, and say again while looking, what a visitor wants to see. The first comes first.

        The requests of those who no longer say so are dropped.
        """
        with self._changed:
            now = time.monotonic()
            self._seen[visitor] = now
            last = self._requests.get(visitor)
            if last is not request and last != request:
                self._settles[visitor] = now + (_PATIENCE_S if request.patient else _SETTLE_S)
                self._requests[visitor] = request
                self._served.discard(visitor)
                self._unasked.add(visitor)
                self._changed.notify_all()
            elif request.patient and self._settles[visitor] <= now:
                self._changed.notify_all()

    def compute(self, subject: Subject, recipe: Recipe) -> None:
        """Compute a point now, within the page, if nothing is known and the network is small."""
        key = subject.key(recipe)
        if key in self._known or key in self._failed or not subject.at_once(recipe):
            return
        try:
            _, computed = compute(subject.network, recipe, subject.baseline)
            self._learn(key, computed)
        except ParetoscopeError as error:
            self._fail([key], str(error))

    def compute_line(self, subject: Subject, line: Sequence[Recipe]) -> None:
        """`compute` for all of a line: at once, where this process can by now."""
        left = [recipe for recipe in line if subject.key(recipe) not in self._known]
        if len(left) > 1 and self._walks and all(map(subject.at_once, left)):
            with contextlib.suppress(ParetoscopeError):  # it is told point by point
                for place, computed in surface(subject.network, left, subject.baseline):
                    self._learn(subject.key(left[place]), computed)
        for recipe in left:
            self.compute(subject, recipe)

    def wait(self, subject: Subject, recipe: Recipe, timeout_s: float) -> None:
        """Wait a moment until something is known of a recipe."""
        key = subject.key(recipe)
        with self._changed:
            self._changed.wait_for(lambda: key in self._known or key in self._failed, timeout_s)

    def apart(self, subject: Subject) -> Apart:
        """How far computed and measured accuracies of this network lie apart, so far."""
        return self._apart.get(subject.whose, Apart())

    def progress(self, visitor: str) -> tuple[int, int, int]:
        """How many of a visitor's files are measured, how many failed, of how many."""
        request = self._requests.get(visitor)
        keys = [] if request is None else [key for _, key in request.keyed]
        failed = sum(key in self._failed for key in keys)
        return sum(self._is_measured(key) for key in keys) - failed, failed, len(keys)

    def finished(self, visitor: str) -> bool:
        """Whether nothing more will come for a visitor."""
        with self._changed:
            return visitor not in self._requests or self._step_for(visitor) is None

    # --- the thread that measures ---------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._changed:
                while (chosen := self._choose(now := time.monotonic())) is None:
                    if (idle := self._to_learn_on()) is not None:
                        break
                    self._changed.wait(self._until_settled(now))
                else:
                    self._requests.move_to_end(chosen[0])
                    request = self._requests[chosen[0]]
            if chosen is not None and chosen[0] in self._unasked:
                self._unasked.discard(chosen[0])
                self._ask_the_team(request)
            elif chosen is not None:
                self._step(request, *chosen[1:])
            elif idle is not None:
                self._learn_to_walk(idle)

    def _end_unwanted(self) -> None:
        """End long work that nobody wants any more."""
        clock = threading.Event()
        wanted_at = 0.0
        while not clock.wait(_LOOK_S):
            with self._changed:
                slow, now = self._slow, time.monotonic()
                if not slow or self._unwanted:
                    wanted_at = now
                    continue
                wanting = [v for v, r in self._requests.items() if not r.wanted.isdisjoint(slow)]
                wanted_at = max([wanted_at, *(self._seen[visitor] for visitor in wanting)])
                if now - wanted_at < _GONE_S:
                    continue
                for visitor in wanting:
                    self._forget(visitor)
                self._unwanted = True
                try:  # here, so that no other step begins with this worker
                    self._worker.close()
                except Exception:  # this thread must go on
                    _LOG.exception("a worker could not be ended")

    def _ask_the_team(self, request: MeasuringRequest) -> None:
        """Learn what other servers measured of a request."""
        left = [recipe for recipe, key in request.keyed if not self._is_measured(key)]
        for text, found in self._team.find(request.subject, left).items():
            self._learn((request.subject.whose, text), found)

    def _to_learn_on(self) -> MeasuringRequest | None:
        """When nobody waits for anything: a request whose first line this process may compute."""
        if self._walks is not None or any(map(self._step_for, self._requests)):
            return None
        requests = [
            request for request in self._requests.values() if request.lines and request.lines[0]
        ]
        return next(
            (request for request in requests if request.subject.at_once(request.lines[0][0])), None
        )

    def _learn_to_walk(self, request: MeasuringRequest) -> None:
        """Walk a line for the first time, which takes a second."""
        self._walks = False
        try:
            list(surface(request.subject.network, request.lines[0], request.subject.baseline))
            self._walks = True
        except Exception:  # this thread must go on; points are computed one by one
            _LOG.exception("walking a line of %s failed", request.subject.model)

    def _choose(self, now: float) -> tuple[str, Sequence[Recipe], str] | None:
        """The next step of the visitor whose turn it is; those with nothing to do step aside."""
        for visitor in [v for v, seen in self._seen.items() if now - seen > _AWAY_S]:
            self._forget(visitor)
        for visitor in self._requests:
            step = self._step_for(visitor) if self._has_settled(visitor, now) else None
            if step is not None:
                return visitor, *step
        return None

    def _forget(self, visitor: str) -> None:
        del self._seen[visitor], self._settles[visitor]
        self._requests.pop(visitor, None)
        self._served.discard(visitor)
        self._unasked.discard(visitor)

    def _has_settled(self, visitor: str, now: float) -> bool:
        said = self._seen[visitor] if self._requests[visitor].patient else now
        return self._settles[visitor] <= said

    def _step_for(self, visitor: str) -> Step | None:
        """The next step for a visitor; one that is served is not looked at again."""
        if visitor in self._served:
            return None
        step = self._next_step(self._requests[visitor])
        if step is None:
            self._served.add(visitor)
        return step

    def _until_settled(self, now: float) -> float | None:
        """Seconds until the next request has stood long enough; None where none is about to."""
        return min((at - now for at in self._settles.values() if at > now), default=None)

    def _next_step(self, request: MeasuringRequest) -> Step | None:
        open_ = [(r, k) for r, k in request.keyed if k not in self._failed]
        first = open_[:2]  # the uncompressed model and what is looked at
        lines = request.lines_keyed
        batches = batches_for(request.subject.network.n_features)
        return (
            self._to_look_at([r for r, _ in first], lines[:1], request)
            or self._to_compute(lines[: request.together], request)
            or self._to_measure(first)
            or self._to_compute(lines[:1], request)
            or next((([r], "compute") for r, key in open_ if key not in self._known), None)
            or self._to_measure(open_)
            or self._to_complete(first, batches)
            or self._to_compute(lines[1:], request)
            or self._to_complete(open_, batches)
            or self._of_context(request)
        )

    def _to_look_at(
        self, looked_at: Sequence[Recipe], lines: Sequence[Keyed], request: MeasuringRequest
    ) -> Step | None:
        """What is looked at, and the first points of a line that comes slowly, from all over it,
        before anything is run on all rows. One at a time: a visitor may leave."""
        if not request.subject.comes_slowly:
            return None
        if request.together:
            lines = ()
        some = [r for line in lines for r, _ in line[:: max(1, len(line) // _FEW)]]
        wanted = dict.fromkeys([*looked_at, *some])
        keyed = ((recipe, request.subject.key(recipe)) for recipe in wanted)
        open_ = (r for r, key in keyed if key not in self._known and key not in self._failed)
        return next((([r], "surface") for r in open_ if not r.trains), None)

    def _to_measure(self, keyed: Keyed) -> Step | None:
        return next((([r], "measure") for r, key in keyed if not self._is_measured(key)), None)

    def _to_compute(self, lines: Sequence[Keyed], request: MeasuringRequest) -> Step | None:
        """The points of a line, then how large their files are zipped."""
        for line in lines:
            open_ = [(r, key) for r, key in line if key not in self._failed]
            there = self._computed if request.together else self._known
            left = [r for r, key in open_ if key not in there]
            if left:
                if not request.subject.comes_slowly:
                    return left, "surface"
                several = request.together and request.subject.key(left[0]) not in self._singly
                return left[: _TOGETHER if several else 1], "surface"
            unzipped = [
                r
                for r, key in open_
                if self._known[key].gzip_bytes is None and key not in self._unzippable
            ]
            if request.zipped and unzipped:
                return unzipped[:_ZIPPED_AT_A_TIME], "zip"
        return None

    def _to_complete(self, keyed: Keyed, batches: Sequence[int]) -> Step | None:
        """Times of more rows."""
        for recipe, key in keyed:
            known = self._known.get(key)
            if known is None or recipe.trains:
                continue
            if any(known.latency(batch) is None for batch in batches):
                return [recipe], "complete"
        return None

    def _of_context(self, request: MeasuringRequest) -> Step | None:
        for recipe, key in request.context_keyed:
            if key in self._failed:
                continue
            known = self._known.get(key)
            zip_left = request.zipped and known is not None and known.gzip_bytes is None
            if known is None or (zip_left and known.computed):
                return [recipe], "compute"
        return None

    def _is_measured(self, key: Key) -> bool:
        known = self._known.get(key)
        return key in self._failed or (known is not None and not known.computed)

    def _step(self, request: MeasuringRequest, recipes: Sequence[Recipe], stage: str) -> None:
        """One step of work: on one recipe, or on all of a line."""
        keys = [request.subject.key(recipe) for recipe in recipes]
        first = keys[0]
        try:
            known = self._known.get(first)
            zipped = request.zipped and (
                known is None or known.gzip_bytes is None or known.gzip_is_estimate
            )
            arguments = request.subject.arguments(recipes[0]) | {"stage": stage, "zipped": zipped}
            if stage in _TASKS:
                arguments["recipes"] = list(map(str, recipes))
            if stage == "complete" and known is not None:
                arguments["measurement"] = known.to_dict()
            if not self._worker.alive:
                self._worker.close()
                self._worker = Worker()
            self._slow = keys if request.subject.comes_slowly else ()
            arguments["tell_each"] = request.subject.comes_slowly
            for message in self._worker.run(_TASKS.get(stage, _TASK), arguments):
                if "found" in message.get("emit", {}):
                    found = Measurement.from_dict(message["emit"]["found"])
                    self._learn(request.subject.key(found.recipe), found)
                elif "emit" in message:
                    self._running = first, message["emit"]["fraction"], message["emit"]["text"]
                elif stage == "surface":
                    plains = message["result"]["measurements"]
                    for key, plain in zip(keys, plains, strict=True):
                        self._learn(key, Measurement.from_dict(plain))
                elif stage == "zip":
                    self._learn_sizes(keys, message["result"]["gzip_bytes"])
                else:
                    found = Measurement.from_dict(message["result"])
                    self._learn(first, found)
                    if not found.computed:
                        self._team.keep(request.subject, found)
        except WorkerEndedError as error:
            self._died[first] += not self._unwanted
            if self._died[first] > 1:  # once perhaps for want of memory just then
                self._fail_step(request, keys, str(error))
        except ParetoscopeError as error:
            self._fail_step(request, keys, str(error))
        except Exception as error:  # this thread must go on for all other visitors
            if not self._unwanted:  # else its pipe was closed under it
                _LOG.exception("measuring %s failed", recipes[0])
                self._fail(keys, f"measuring failed: {type(error).__name__}")
        finally:
            with self._changed:
                self._running = self._interrupted = None
                self._slow, self._unwanted = (), False

    def _fail_step(self, request: MeasuringRequest, keys: Sequence[Key], sentence: str) -> None:
        """Of points that were computed together, those that are left are tried one by one."""
        left = [key for key in keys if key not in self._computed]
        if request.together and len(left) > 1:
            self._singly.update(left)
        else:
            self._fail(left if request.together else keys, sentence)

    def _fail(self, keys: Sequence[Key], sentence: str) -> None:
        with self._changed:
            self._failed |= dict.fromkeys(keys, sentence)
            while len(self._failed) > _KEPT:
                self._failed.popitem(last=False)
            self._changed.notify_all()

    def _learn_sizes(self, keys: Sequence[Key], sizes: Sequence[int | None]) -> None:
        with self._changed:
            for key, n_bytes in zip(keys, sizes, strict=True):
                known = self._known.get(key)
                if n_bytes is None:
                    self._unzippable.add(key)
                elif known is not None:
                    self._known[key] = replace(known, gzip_bytes=n_bytes, gzip_is_estimate=False)
                    self._versions[key[0]] += 1
            self._changed.notify_all()

    def _learn(self, key: Key, measurement: Measurement) -> None:
        with self._changed:
            if measurement.computed:
                self._computed[key] = measurement
                while len(self._computed) > _KEPT:
                    self._computed.popitem(last=False)
            known = self._known.get(key)
            same = known is not None and known.file_sha256 == measurement.file_sha256
            if known is not None and same and not known.gzip_is_estimate:
                gzip_bytes = measurement.gzip_bytes or known.gzip_bytes
                measurement = replace(measurement, gzip_bytes=gzip_bytes)
            if known is not None and measurement.entropy_bytes is None:
                measurement = replace(measurement, entropy_bytes=known.entropy_bytes)
            both = known is not None and known.computed and not measurement.computed
            if known is not None and both and known.quality.n == measurement.quality.n:
                apart = abs(known.merit - measurement.merit)
                so_far = self._apart.get(key[0], Apart())
                self._apart[key[0]] = Apart(so_far.files + 1, max(so_far.largest, apart))
            if known is None or known.computed or not measurement.computed:
                self._known[key] = measurement
                self._versions[key[0]] += 1
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
                self._served.clear()
            self._changed.notify_all()
