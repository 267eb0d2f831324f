"""Points computed by other processes and machines, through Dask: for grids one process is slow at.

Accuracy and size are computed anywhere and come out the same; times are measured only here, once
the workers rest. Points travel by whole lines (`paretoscope.sweeps.lines`), many to a task. A
worker that dies loses nothing: its tasks go to others. A scheduler that dies is one sentence, and
what was finished is in the history, from which the same sweep goes on.

Whoever reaches a Dask scheduler can run code on its workers: keep it on a network of your own, or
use Dask's TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import Dataset
from paretoscope.measurement.measurement import Baseline, Computed
from paretoscope.methods.recipe import Recipe
from paretoscope.network.in_place import read_network
from paretoscope.network.network import Network
from paretoscope.sweeps.lines import in_lines
from paretoscope.sweeps.surface import surface

SCHEDULER_VARIABLE = "PARETOSCOPE_SCHEDULER"
_CONNECT_S = 10
_FRUITLESS_ROUNDS = 6  # without one task done, after which workers are taken to die of the tasks
_PAUSE_S = 0.5
_POINTS_OF_A_TASK = 1_000  # at most, so that a task is seconds and a lost one no matter
_TASKS_A_WORKER = 6  # at least, so that all end at about the same time
_REST_S = 60
_NAMES = [f.name for f in fields(Computed) if f.name not in ("recipe", "predictions")]
_VALUES = attrgetter(*_NAMES)


class ClusterError(ParetoscopeError):
    """The scheduler or its workers cannot be reached, or were lost."""


class Cluster:
    """Workers that compute. Use it in a ``with``.

    Parameters
    ----------
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://host:8786``.
    workers : int, default 2
        Without a scheduler: how many processes to start on this machine.

    Raises
    ------
    ClusterError
        Nothing answers there, or the package `distributed` is not installed.
    """

    def __init__(self, scheduler: str | None = None, workers: int = 2) -> None:
        try:
            import distributed
        except ImportError:
            raise ClusterError(
                "workers need the package distributed, which is not installed: pip install "
                "distributed"
            ) from None
        for name in ("distributed", "distributed.client", "distributed.core"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong, we say
        self._dask: Any = distributed
        self._own: Any = None
        try:
            if scheduler is None:
                self._own = self._dask.LocalCluster(
                    n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1",
                    dashboard_address=None, silence_logs=logging.CRITICAL,
                )  # fmt: skip
            self.address = scheduler or str(self._own.scheduler_address)
            self._client: Any = self._dask.Client(
                self.address, timeout=_CONNECT_S, set_as_default=False
            )
        except (OSError, ValueError, TimeoutError) as error:
            self._close_own()
            raise ClusterError(
                f"no Dask scheduler answers at {scheduler}: {str(error).splitlines()[0]}"
            ) from error

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def n_workers(self) -> int:
        return len(self._client.scheduler_info(n_workers=-1).get("workers", ()))

    def compute(
        self,
        network: Network,
        data: Dataset,
        split: str,
        recipes: Sequence[Recipe],
        score: str = "",
        decision: str = "",
    ) -> Iterator[tuple[int, Computed]]:
        """`paretoscope.sweeps.surface.surface`, on the workers.

        Raises
        ------
        ClusterError
            The scheduler was lost, or workers die of the tasks.
        """
        left = dict(enumerate(self._tasks(recipes)))
        fruitless = 0
        while left:
            before = len(left)
            try:
                judged = split, score, decision
                for number, found in self._round(network, data, judged, recipes, left):
                    if found is None:
                        continue
                    for place, values in zip(left.pop(number), found, strict=True):
                        named = dict(zip(_NAMES, values, strict=True))
                        yield place, Computed(recipe=recipes[place], **named)
            except (OSError, TimeoutError, asyncio.CancelledError) as error:
                raise self._lost() from error
            if left and self._client.status != "running":
                raise self._lost()
            fruitless = fruitless + 1 if len(left) == before else 0
            if fruitless >= _FRUITLESS_ROUNDS:
                raise ClusterError(f"workers died {fruitless} times of what they were to compute")
            if fruitless:
                time.sleep(_PAUSE_S)

    def rest(self) -> None:
        """Let no worker of ours load this machine, so that times can be measured on it."""
        if self._own is not None:
            self.close()
            return
        deadline = time.monotonic() + _REST_S
        with contextlib.suppress(OSError):
            while any(self._client.processing().values()) and time.monotonic() < deadline:
                time.sleep(0.1)

    def close(self) -> None:
        """Leave the scheduler; end the workers that were started here. Twice does no harm."""
        with contextlib.suppress(Exception):  # nobody may be there to take leave of
            self._client.close(timeout=2)
        self._close_own()

    def _close_own(self) -> None:
        if self._own is not None:
            with contextlib.suppress(Exception):
                self._own.close(timeout=10)
            self._own = None

    def _tasks(self, recipes: Sequence[Recipe]) -> list[list[int]]:
        """Places among the recipes that are computed together: whole lines, then the others."""
        lines, others = in_lines(recipes)
        share = len(recipes) // (_TASKS_A_WORKER * max(1, self.n_workers)) + 1
        most, found, now = min(_POINTS_OF_A_TASK, share), [], list[int]()
        for places in [*(list(line.places) for line in lines), *([place] for place in others)]:
            now += places
            if len(now) >= most:
                found.append(now)
                now = []
        return [*found, now] if now else found

    def _round(
        self,
        network: Network,
        data: Dataset,
        judged: tuple[str, str, str],
        recipes: Sequence[Recipe],
        tasks: dict[int, list[int]],
    ) -> Iterator[tuple[int, list[tuple[Any, ...]] | None]]:
        """Each task's result as it comes; None where it was lost with what it ran on."""
        deadline = time.monotonic() + _CONNECT_S
        while self.n_workers == 0:  # a lost one may be about to start again
            if self._client.status != "running":
                raise self._lost()
            if time.monotonic() > deadline:
                raise ClusterError(f"the scheduler at {self.address} has no workers")
            time.sleep(0.1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of rows that are many megabytes
            # A task, not scattered data: it is done again where all who held its result died.
            shared = self._client.submit(_given, network.onnx_bytes, data, judged, pure=False)
        texts = {n: [str(recipes[place]) for place in places] for n, places in tasks.items()}
        futures = {
            self._client.submit(_compute, shared, texts[n], pure=False, retries=2): n for n in tasks
        }
        try:
            for future in self._dask.as_completed(futures, loop=self._client.loop):
                found: list[tuple[Any, ...]] | None = None
                try:
                    found = future.result()
                except ParetoscopeError:
                    raise
                except Exception as error:  # a worker died of it or with it, or the scheduler did
                    if self._client.status != "running":
                        raise self._lost() from error
                yield futures[future], found
        finally:
            with contextlib.suppress(Exception):
                self._client.cancel([*futures, shared])

    def _lost(self) -> ClusterError:
        return ClusterError(
            f"the Dask scheduler at {self.address} was lost; what was finished is kept in the "
            "history, and the same sweep goes on from there"
        )


@lru_cache(maxsize=1)
def cluster_of_the_server() -> Cluster | None:
    """The cluster that `PARETOSCOPE_SCHEDULER` names; None where it names none, or none answers."""
    address = os.environ.get(SCHEDULER_VARIABLE)
    if not address:
        return None
    try:
        return Cluster(address)
    except ClusterError as error:
        logging.getLogger(__name__).warning("%s: points are computed here from now on", error)
        return None


_baselines: dict[
    tuple[str, str, tuple[str, str, str]], Baseline
] = {}  # of a worker: few, for they hold rows


def _given(*what: Any) -> tuple[Any, ...]:
    return what


def _compute(given: tuple[bytes, Dataset, tuple[str, str, str]], texts: list[str]) -> list[Any]:
    """A task, on a worker: for each recipe the values of its measurement, but for the recipe
    and the labels of its rows."""
    onnx_bytes, data, judged = given
    network = read_network(onnx_bytes)
    key = (network.sha256, data.sha256, judged)
    if key not in _baselines:
        _baselines.clear()
        _baselines[key] = Baseline(network, data, *judged)
    baseline = _baselines[key]
    recipes = [Recipe.parse(text) for text in texts]
    found = dict(surface(baseline.network, recipes, baseline, predictions=False))
    return [_VALUES(found[place]) for place in range(len(texts))]
