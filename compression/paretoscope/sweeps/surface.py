"""The computed surface: quality and size of many recipes at once, without making their files.

Recipes on a line (`paretoscope.sweeps.lines`) share everything: each weight goes at one step and
stays gone, so codes, zeros, bits and entropy are running totals, and products only gain what enters
when the line is walked downward (`paretoscope.sweeps.nested_sweep`, and `plain_sweep` where that
cannot be loaded). Networks that cannot be walked run through a session of ONNX Runtime a step. What
is on no line is computed point by point, and so is a graph that is coded in place.

Accuracy needs no more than labels, which are counted in compiled code; other scores are judged by
the outputs at each step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.artifact.predicted_size import file_bytes
from paretoscope.artifact.runtimes import OnnxRuntime
from paretoscope.base.blas import one_blas_thread
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.data.own_data import public_name
from paretoscope.measurement.measurement import Baseline, Computed, compute, environment
from paretoscope.methods.pruning import KeepUnits, remove_units
from paretoscope.methods.quantization import STORAGE, Codes
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.storage import Storage
from paretoscope.network.chain import as_chain
from paretoscope.network.in_place import InPlace
from paretoscope.network.network import Network
from paretoscope.problems.accuracy import Accuracy, Change, Difference
from paretoscope.problems.classification import decide
from paretoscope.problems.figure import Estimate
from paretoscope.sweeps import plain_sweep
from paretoscope.sweeps.lines import Line, Order, in_lines
from paretoscope.sweeps.memory_layout import Layout, layout_of
from paretoscope.sweeps.one_layer import groups_of, walked

_LOG = logging.getLogger(__name__)
_FLOATS = ("float32", "float16")
_FEW_CODES = 2**16  # of which a table by value is small
_TYPES = np.array(list(STORAGE))


@dataclass(frozen=True, eq=False)
class Table:
    """What was computed of recipes, one value for each in their order.

    `quality` is the score, `changes` are against the uncompressed network; `size_bytes` is exact,
    `entropy_bytes` the bound for the zipped weights; `sparsity` is the share of stored weights
    that is zero, `storages` the types that the layers' codes are stored in.
    """

    quality: npt.NDArray[np.float64]
    changes: list[Difference]
    size_bytes: npt.NDArray[np.int64]
    entropy_bytes: npt.NDArray[np.float64]
    sparsity: npt.NDArray[np.float64]
    storages: list[tuple[str, ...]]


def table(
    network: Network, recipes: Sequence[Recipe], baseline: Baseline, *, threads: int = 1
) -> Table:
    """The surface as arrays: what a heatmap draws and a search looks through.

    Parameters
    ----------
    network, recipes, baseline, threads
        As for `surface`.
    """
    n = len(recipes)
    quality, entropy, sparsity = (np.zeros(n) for _ in range(3))
    none = Change(0, 0, 1)
    found = Table(quality, [none] * n, np.zeros(n, np.int64), entropy, sparsity, [()] * n)
    for done in _walks(network, recipes, baseline, threads, whole=False):
        if isinstance(done, _Walked):
            places = list(done.line.places)
            found.quality[places] = done.judged.values
            for place, change in zip(places, done.judged.changes, strict=True):
                found.changes[place] = change
            found.size_bytes[places] = done.size_bytes
            found.entropy_bytes[places] = done.entropy_bytes
            found.sparsity[places] = done.sparsity
            for place, kinds in zip(places, done.storages, strict=True):
                found.storages[place] = kinds
        else:
            place, m = done
            found.quality[place], found.changes[place] = m.quality.value, m.change
            found.size_bytes[place], found.sparsity[place] = m.size_bytes, m.sparsity
            found.entropy_bytes[place] = m.entropy_bytes or 0.0
            found.storages[place] = tuple(kind for _, _, kind in m.bits)
    return found


def surface(
    network: Network,
    recipes: Sequence[Recipe],
    baseline: Baseline,
    *,
    threads: int = 1,
    predictions: bool = True,
) -> Iterator[tuple[int, Computed]]:
    """Compute recipes in float arithmetic on the values that their files would hold.

    Parameters
    ----------
    network : Network
    recipes : sequence of Recipe
    baseline : Baseline
        Whose rows are scored.
    threads : int, default 1
        Lines that are computed at the same time. Until the last is done, numpy's products of this
        process run on one thread each.
    predictions : bool, default True
        Whether measurements hold the label of each row: of 10,000 rows 80 kB a recipe.

    Yields
    ------
    (place, Computed)
        As they come: a recipe's place in `recipes`, and its measurement with `computed` set, with
        the exact size of the file, its zipped size unknown and `entropy_bytes` in its place.
    """
    for done in _walks(network, recipes, baseline, threads):
        if isinstance(done, _Walked):
            for step, place in enumerate(done.line.places):
                yield place, done.figures(step, predictions)
        else:
            place, m = done
            yield place, m if predictions else replace(m, predictions=None)


def _walks(
    network: Network,
    recipes: Sequence[Recipe],
    baseline: Baseline,
    threads: int,
    *,
    whole: bool = True,
) -> Iterator[_Walked | tuple[int, Computed]]:
    """Whole lines first, then the points that are on none. Where not `whole`, scores that are not
    counted come without intervals of their own, which take longer than all else."""
    lines, others = in_lines(recipes)
    if isinstance(network, InPlace):  # which nothing walks: the files themselves are run
        lines, others = [], list(range(len(recipes)))
    shared = _Shared(network, baseline, whole)
    with one_blas_thread():
        if threads == 1 or len(lines) < 2:
            yield from map(shared.walked, lines)
        else:
            yield shared.walked(lines[0])  # what all share is made once
            with ThreadPoolExecutor(threads) as pool:
                for done in as_completed([pool.submit(shared.walked, line) for line in lines[1:]]):
                    yield done.result()
    if isinstance(network, InPlace):
        groups, others = groups_of(network, recipes)
        for group in groups:
            told = set()
            try:
                for place, computed in walked(network, recipes, group, baseline):
                    told.add(place)
                    yield place, computed
            except Exception as error:  # whatever it is, whole passes can do without
                _LOG.info("layers of %s are not run from near: %s", network.sha256[:8], error)
            of_group = [place for of_layer in group.by_layer.values() for place in of_layer]
            others = sorted({*others, *of_group} - told)
    for place in others:
        _, computed = compute(network, recipes[place], baseline)
        yield place, computed


@lru_cache(maxsize=1)
def nested_sweep() -> Any:
    """The compiled module, imported late, for numba takes a while; None where it cannot be loaded,
    for want of numba or of a compiler that knows this processor."""
    try:
        from paretoscope.sweeps import nested_sweep
    except Exception as error:  # numba and llvmlite have errors of their own
        _LOG.warning("sweeps are computed in numpy, slowly: %s: %s", type(error).__name__, error)
        return None
    return nested_sweep


@lru_cache(maxsize=64)
def _stored_as(storage: Storage, kind: str) -> str:
    """The type that codes of a type are stored in."""
    return storage.store(Codes(np.zeros((0, 0), np.int32), None, kind)).storage


class _Shared:
    """What the lines of a network share: rows in chunks, scores, and when each weight goes."""

    def __init__(self, network: Network, baseline: Baseline, whole: bool) -> None:
        self.network, self.baseline = network, baseline
        self._judge = baseline.judge if whole else self._in_brief
        self._scores: dict[str, dict[str, FloatArray]] = {}
        self._orders: dict[str, Order] = {}
        self._reduced: dict[str, Network] = {}
        self._rows: FloatArray | None = None

    def walked(self, line: Line) -> _Walked:
        """A line with all that was found along it."""
        compiled = nested_sweep()
        network = self._network(line)
        order = self._order(network, line)
        stored = _Stored.of(network, line)
        layout = _layout(network, len(self.baseline.rows))
        judged: _Counted | _Judged
        if layout is None or compiled is None:
            X, decoded = self.baseline.rows.X, stored.decoded
            way = self._session_outputs if layout is None else plain_sweep.outputs_at_steps
            outputs = way(network, X, order, decoded)
            if self.baseline.counts_largest:
                labels = np.stack([decide(of_step) for of_step in outputs]).astype(np.int16)
                judged = self._counted(labels, plain_sweep)
            else:
                judged = _Judged([self._judge(of_step) for of_step in outputs])
        elif self.baseline.counts_largest and as_chain(network).factor is None:
            labels = self._walk(network, layout, order, stored.decoded, compiled.walk)
            judged = self._counted(labels[:, : len(self.baseline.rows)], compiled)
        else:
            walked = self._walk(network, layout, order, stored.decoded, compiled.walk_outputs)
            chain, n = as_chain(network), len(self.baseline.rows)
            outputs = (chain.scores(z[:, :n].T) for z in walked)
            judged = _Judged([self._judge(of_step) for of_step in outputs])
        return _Walked(line, self.baseline, self.network, network, stored.totals(order), judged)

    def _in_brief(self, outputs: FloatArray) -> dict[str, Any]:
        change = self.baseline.difference(outputs)
        quality = Estimate(self.baseline.value + change.value, change.n, None)
        return {"quality": quality, "change": change}

    def _counted(self, labels: npt.NDArray[np.int16], counting: Any) -> _Counted:
        correct, still = (np.empty(len(labels), np.int64) for _ in range(2))
        counting.count_right(labels, self._y, self._was_right, correct, still)
        newly_wrong, newly_right = np.count_nonzero(self._was_right) - still, correct - still
        return _Counted(labels, correct, newly_wrong, newly_right)

    def _walk(
        self,
        network: Network,
        layout: Layout,
        order: Order,
        decoded: FloatArray,
        walk: Callable[..., npt.NDArray[Any]],
    ) -> npt.NDArray[Any]:
        """What `walk` gives for a network with these values."""
        from paretoscope.sweeps.nested_sweep import Entries

        values = decoded[order.places]
        matters = values != 0  # what is zero anyway leaves no trace
        entries = order.places[matters]
        ends = np.concatenate([[0], np.cumsum(matters)])
        return walk(
            layout,
            self._chunks(network, layout),
            Entries(
                ends[np.concatenate([[0], order.ends])],
                layout.offsets[entries],
                layout.groups[entries],
                values[matters],
            ),
            np.concatenate(list(as_chain(network).biases.values())).astype(np.float32),
            order.n,
        )

    @staticmethod
    def _session_outputs(
        network: Network, X: FloatArray, order: Order, decoded: FloatArray
    ) -> Iterator[FloatArray]:
        """As `plain_sweep.outputs_at_steps`, by a session a step."""
        ends = np.cumsum([w.size for w in network.weights.values()])
        weights = dict(zip(network.weights, np.split(decoded, ends[:-1]), strict=True))
        for step in range(order.n):
            there = {
                name: np.where(steps > step, weights[name].reshape(steps.shape), np.float32(0))
                for name, steps in order.steps.items()
            }
            yield OnnxRuntime(network.with_layers(there, {}).onnx_bytes, threads=1).scores(X)

    def _chunks(self, network: Network, layout: Layout) -> FloatArray:
        """The rows as walks take them; removed units change nothing of them."""
        if self._rows is None:
            self._rows = layout.chunks(as_chain(network).preparation(self.baseline.rows.X))
        return self._rows

    def _network(self, line: Line) -> Network:
        """The network without the units that the line's recipes remove."""
        recipe = line.recipes[0]
        if isinstance(recipe.units, KeepUnits):
            return self.network
        key = str(recipe.units)
        if key not in self._reduced:
            units = dict.fromkeys(self.network.weights, recipe.units)
            self._reduced[key] = remove_units(self.network, units, self.baseline.dataset.train)
        return self._reduced[key]

    def _order(self, network: Network, line: Line) -> Order:
        criterion = line.criterion
        whose = f"{network.sha256} {criterion}"
        if whose not in self._scores:
            rows = self.baseline.dataset.train if criterion.needs_rows else None
            self._scores[whose] = dict(criterion.scores(network, rows))
        key = f"{whose} {line.values}"
        if key not in self._orders:
            self._orders[key] = line.order(network, self._scores[whose])
        return self._orders[key]

    @cached_property
    def _y(self) -> npt.NDArray[np.int16]:
        return self.baseline.rows.y.astype(np.int16)

    @cached_property
    def _was_right(self) -> npt.NDArray[np.bool_]:
        right: npt.NDArray[np.bool_] = self.baseline.predictions == self.baseline.rows.y
        return right


@dataclass(frozen=True, eq=False)
class _Counted:
    """Accuracy at each step of a line, by the labels of shape (steps, rows)."""

    labels: npt.NDArray[np.int16]
    correct: npt.NDArray[np.int64]
    newly_wrong: npt.NDArray[np.int64]
    newly_right: npt.NDArray[np.int64]

    @property
    def values(self) -> npt.NDArray[np.float64]:
        return np.asarray(self.correct / self.labels.shape[1], np.float64)

    @property
    def changes(self) -> Iterator[Difference]:
        n = self.labels.shape[1]
        for counts in zip(self.newly_wrong.tolist(), self.newly_right.tolist(), strict=True):
            yield Change(*counts, n)

    def at(self, step: int) -> dict[str, Any]:
        """As `Baseline.judge`."""
        n = self.labels.shape[1]
        return {
            "quality": Accuracy(int(self.correct[step]), n),
            "change": Change(int(self.newly_wrong[step]), int(self.newly_right[step]), n),
            "predictions": self.labels[step].astype(np.int64),
        }


@dataclass(frozen=True, eq=False)
class _Judged:
    """Any score at each step of a line, as `Baseline.judge` gave it."""

    steps: list[dict[str, Any]]

    @property
    def values(self) -> npt.NDArray[np.float64]:
        return np.array([found["quality"].value for found in self.steps])

    @property
    def changes(self) -> Iterator[Difference]:
        return (found["change"] for found in self.steps)

    def at(self, step: int) -> dict[str, Any]:
        return self.steps[step]


@dataclass(frozen=True, eq=False)
class _Walked:
    """A line and what was found at each of its steps. `reduced` is the network without the units
    that are removed."""

    line: Line
    baseline: Baseline
    network: Network
    reduced: Network
    totals: _Totals
    judged: _Counted | _Judged

    @cached_property
    def sparsity(self) -> npt.NDArray[np.float64]:
        total = sum(w.size for w in self.reduced.weights.values())
        share: npt.NDArray[np.float64] = self.totals.zeros.sum(0) / total
        return share

    @property
    def entropy_bytes(self) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] = self.totals.entropy_bytes.sum(0)
        return total

    @cached_property
    def storages(self) -> list[tuple[str, ...]]:
        """The types that the layers' codes are stored in, at each step."""
        storage, kinds = self.line.recipes[0].storage, self.totals.storages
        stored = {str(kind): _stored_as(storage, str(kind)) for kind in np.unique(kinds)}
        return [tuple(map(stored.__getitem__, at_step)) for at_step in kinds.T.tolist()]

    @cached_property
    def size_bytes(self) -> npt.NDArray[np.int64]:
        return file_bytes(self.reduced, self.network, self.line.recipes, self.storages)

    def figures(self, step: int, predictions: bool) -> Computed:
        """What was computed at a step."""
        judged = self.judged.at(step)
        bits = self.totals.bits[:, step].tolist()
        return Computed(
            recipe=self.line.recipes[step],
            network_sha256=self.network.sha256,
            dataset=public_name(self.baseline.dataset.name),
            split=self.baseline.split,
            split_seed=self.baseline.dataset.seed,
            seed=int(self.network.metadata.get("seed", 0)),
            size_bytes=int(self.size_bytes[step]),
            sparsity=float(self.sparsity[step]),
            bits=tuple(zip(self.reduced.weights, bits, self.storages[step], strict=True)),
            entropy_bytes=float(self.entropy_bytes[step]),
            environment=environment(),
            **(judged if predictions else judged | {"predictions": None}),
        )


@dataclass(frozen=True, eq=False)
class _Totals:
    """What is there of each layer at each step, all of shape (layers, steps)."""

    bits: npt.NDArray[np.int64]
    storages: npt.NDArray[np.str_]
    zeros: npt.NDArray[np.int64]
    entropy_bytes: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Stored:
    """All weights of a network as a line stores them before its first step, raveled, by layer."""

    codes: Codes
    sizes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, network: Network, line: Line) -> _Stored:
        weights = network.weights.values()
        flat = np.concatenate([weight.ravel() for weight in weights])[None]
        grid = line.quantizer.grid(flat, np.ones(flat.shape, np.bool_))
        return cls(grid.project(flat), np.array([weight.size for weight in weights]))

    @cached_property
    def decoded(self) -> FloatArray:
        return self.codes.decoded().ravel()

    def totals(self, order: Order) -> _Totals:
        """A weight counts until the step at which it goes."""
        floats = self.codes.storage in _FLOATS
        codes = self.codes.values.ravel()[order.places]
        codes = (codes != 0).astype(np.int32) if floats else codes
        ranks, n_ranks = _ranks(codes)
        shape = len(self.sizes), order.n
        zeros, lows, highs = (np.empty(shape, np.int64) for _ in range(3))
        entropy_bits = np.empty(shape)
        logs = _logs(int(self.sizes.max()))
        ends = order.layer_ends()
        totals = zeros, lows, highs, entropy_bits
        sweep = nested_sweep() or plain_sweep
        sweep.tally(codes, ranks, n_ranks, ends, self.sizes, logs, *totals)
        if floats:
            bits, kinds = np.full(shape, self.codes.bits), np.full(shape, self.codes.storage)
            return _Totals(bits, kinds, zeros, _float_entropy(zeros, self.sizes[:, None]))
        bits = np.frexp(2.0 * np.maximum(-lows, highs))[1].astype(np.int64)  # as `code_bits`
        return _Totals(bits, _narrowest(lows, highs), zeros, np.maximum(entropy_bits, 0) / 8)


def _ranks(codes: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    """A number from 0 on for each different code, and how many numbers there may be."""
    low, high = int(codes.min(initial=0)), int(codes.max(initial=0))
    if high - low < _FEW_CODES:
        return codes - low, high - low + 1
    values, ranks = np.unique(codes, return_inverse=True)
    return ranks, len(values)


@lru_cache(maxsize=8)
def _logs(largest: int) -> npt.NDArray[np.float64]:
    """``c log2 c`` of the counts c from 0 to the largest."""
    counts = np.arange(largest + 1)
    return np.asarray(counts * np.log2(np.maximum(counts, 1)), np.float64)


def _narrowest(lows: npt.NDArray[np.int64], highs: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    """As `paretoscope.methods.quantization.codes.narrowest_for`, for arrays."""
    ends = np.array([(-low - 1, high) for _, low, high in STORAGE.values()])
    of_low, of_high = (
        np.searchsorted(column, found)
        for column, found in zip(ends.T, (-lows - 1, highs), strict=True)
    )
    kinds: npt.NDArray[np.str_] = _TYPES[np.maximum(of_low, of_high)]
    return kinds


def _float_entropy(
    zeros: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The entropy in bytes of floats, of which nearly every one but zero occurs once."""
    share = zeros / sizes
    of_zeros: npt.NDArray[np.float64] = (
        -share * np.log2(np.maximum(share, 1 / sizes)) * sizes / 8 + 0.0
    )
    found: npt.NDArray[np.float64] = of_zeros + (sizes - zeros) * np.log2(sizes) / 8
    return found


@lru_cache(maxsize=16)
def _layout(network: Network, n_rows: int) -> Layout | None:
    """How a network is walked; None where it cannot be."""
    try:
        return layout_of(as_chain(network), n_rows)
    except ParetoscopeError:
        return None
