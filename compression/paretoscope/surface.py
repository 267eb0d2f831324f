"""The computed surface: accuracy and size of many recipes at once, without making their files.

Recipes that differ only in their threshold (or sparsity) form a *line*. Along a line everything is
shared: each weight goes at one step and stays gone, so codes, zeros, bits and entropy are running
totals, and of dense chains the first layer's products only gain what is newly kept, walking down
(`paretoscope.walking`); other networks run through a session of ONNX Runtime a step. What is on no
line is computed point by point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.accuracy import Accuracy, Change
from paretoscope.activations import FloatActivations
from paretoscope.chain import Chain, as_chain
from paretoscope.errors import ParetoscopeError
from paretoscope.filesize import file_bytes
from paretoscope.measurement import Baseline, Measurement, compute, environment
from paretoscope.network import Network, as_filters
from paretoscope.parameters import FloatArray
from paretoscope.processors import one_blas_thread
from paretoscope.pruning import Criterion, KeepUnits, Sparsity, Threshold, remove_units
from paretoscope.quantization import Codes, Quantizer, code_bits, narrowest_for
from paretoscope.recipe import Recipe
from paretoscope.recovery import Project
from paretoscope.runtimes import OnnxRuntime
from paretoscope.storage import Storage

Steps = npt.NDArray[np.intp]
_AXES: dict[str, type[Threshold] | type[Sparsity]] = {
    "threshold": Threshold,
    "sparsity": Sparsity,
}


_FLOATS = ("float32", "float16")
_FEW_CODES = 4096  # of which a table by value is small
_SPARSE = 0.3  # the share of nonzero weights from which a dense product is faster


@dataclass(frozen=True)
class _Line:
    """Recipes with rising values of one axis, and their places among all that were asked for."""

    recipes: tuple[Recipe, ...]
    places: tuple[int, ...]
    axis: str

    @property
    def criterion(self) -> Criterion:
        criterion = self.recipes[0].pruner
        assert isinstance(criterion, Criterion)
        return criterion

    @property
    def quantizer(self) -> Quantizer:
        return self.recipes[0].quantizer

    @property
    def values(self) -> list[float]:
        return [getattr(recipe.pruner, self.axis) for recipe in self.recipes]


@dataclass(frozen=True, eq=False)
class Table:
    """What was computed of recipes, one value for each in their order.

    `correct`, `broken` and `mended` count rows; `size_bytes` is exact, `entropy_bytes` the bound
    for the zipped weights; `sparsity` is the share of stored weights that is zero.
    """

    correct: npt.NDArray[np.int64]
    broken: npt.NDArray[np.int64]
    mended: npt.NDArray[np.int64]
    size_bytes: npt.NDArray[np.int64]
    entropy_bytes: npt.NDArray[np.float64]
    sparsity: npt.NDArray[np.float64]


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
    correct, broken, mended, size = (np.zeros(n, np.int64) for _ in range(4))
    found = Table(correct, broken, mended, size, np.zeros(n), np.zeros(n))
    for done in _walks(network, recipes, baseline, threads):
        if isinstance(done, _Walked):
            places = list(done.line.places)
            found.correct[places], found.broken[places], found.mended[places] = done.counts
            found.size_bytes[places] = [done.size_bytes(step) for step in range(len(places))]
            found.entropy_bytes[places] = done.entropy_bytes
            found.sparsity[places] = done.sparsity
        else:
            place, m = done
            found.correct[place] = m.accuracy.correct
            found.broken[place], found.mended[place] = m.change.broken, m.change.mended
            found.size_bytes[place], found.sparsity[place] = m.size_bytes, m.sparsity
            found.entropy_bytes[place] = m.entropy_bytes or m.gzip_bytes or m.size_bytes
    return found


def surface(
    network: Network,
    recipes: Sequence[Recipe],
    baseline: Baseline,
    *,
    threads: int = 1,
) -> Iterator[tuple[int, Measurement]]:
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

    Yields
    ------
    (place, Measurement)
        As they come: a recipe's place in `recipes`, and its measurement with `computed` set, with
        the exact size of the file, its zipped size unknown and `entropy_bytes` in its place.
    """
    for done in _walks(network, recipes, baseline, threads):
        if isinstance(done, _Walked):
            yield from ((p, done.measurement(step)) for step, p in enumerate(done.line.places))
        else:
            yield done


def _walks(
    network: Network, recipes: Sequence[Recipe], baseline: Baseline, threads: int
) -> Iterator[_Walked | tuple[int, Measurement]]:
    """Whole lines first, then the points that are on none."""
    lines, others = _in_lines(recipes)
    shared = _Shared(network, baseline)
    with one_blas_thread():
        if threads == 1 or len(lines) < 2:
            yield from map(shared.walked, lines)
        else:
            yield shared.walked(lines[0])  # what all share is made once
            with ThreadPoolExecutor(threads) as pool:
                for done in as_completed([pool.submit(shared.walked, line) for line in lines[1:]]):
                    yield done.result()
    for place in others:
        _, computed = compute(network, recipes[place], baseline)
        yield place, computed


def _in_lines(recipes: Sequence[Recipe]) -> tuple[list[_Line], list[int]]:
    """The lines among recipes, and the places of those that are on none."""
    groups: dict[tuple[Any, ...], list[tuple[float, int]]] = {}
    others = []
    for place, recipe in enumerate(recipes):
        axis = _axis(recipe)
        if axis is None:
            others.append(place)
            continue
        own = {n: v for n, v in vars(recipe.pruner).items() if n != axis}
        kind = axis, type(recipe.pruner), *own.items()
        key = *kind, recipe.quantizer, recipe.units, recipe.storage
        groups.setdefault(key, []).append((getattr(recipe.pruner, axis), place))
    lines = []
    for (axis, *_), members in groups.items():
        places = [place for _, place in sorted(members)]
        lines.append(_Line(tuple(recipes[p] for p in places), tuple(places), axis))
    return lines, others


def _at_zero(criterion: Criterion, axis: str) -> Criterion:
    """The criterion where its axis cuts nothing: the same for all recipes of a line."""
    place: dict[str, Any] = {"threshold": None, "sparsity": None, axis: 0.0}
    return replace(criterion, **place)


def _axis(recipe: Recipe) -> str | None:
    """The axis of the line that a recipe is on, or None."""
    plain = (
        isinstance(recipe.pruner, Criterion)
        and recipe.quantizer.elementwise
        and not recipe.overrides
        and isinstance(recipe.recovery, Project)
        and isinstance(recipe.activations, FloatActivations)
    )
    if not plain:
        return None
    return next((axis for axis in _AXES if getattr(recipe.pruner, axis) is not None), None)


def _is_dense_chain(network: Network) -> bool:
    try:
        chain = as_chain(network)
    except ParetoscopeError:
        return False
    if len(chain.stages) < len(network.layers):
        return False
    return all(stage.window is None for stage in chain.stages) and all(
        len(stage.after) == 1 for stage in chain.stages[:-1]
    )


@lru_cache(maxsize=64)
def _stored_as(storage: Storage, kind: str) -> str:
    """The type that codes of a type are stored in."""
    return storage.store(Codes(np.zeros((0, 0), np.int32), None, kind)).storage


class _Shared:
    """What the lines of a network share: rows in chunks, scores, and when each weight goes."""

    def __init__(self, network: Network, baseline: Baseline) -> None:
        self.network, self.baseline = network, baseline
        self._scores: dict[str, dict[str, FloatArray]] = {}
        self._steps: dict[str, _Order] = {}
        self._reduced: dict[str, Network] = {}

    @cached_property
    def chunks(self) -> FloatArray:
        from paretoscope.walking import in_chunks

        return in_chunks(as_chain(self.network).preparation(self.baseline.rows.X))

    def walked(self, line: _Line) -> _Walked:
        """A line with all that was found along it."""
        network = self._network(line)
        order = self._order(network, line)
        tallies = {
            name: _tally(line.quantizer, network.weights[name], order.steps[name], order.n)
            for name in network.weights
        }
        if self._is_dense:
            n_rows = len(self.baseline.rows)
            labels = _labels(as_chain(network), order, tallies, self.chunks, n_rows)
        else:
            labels = self._session_labels(network, order, tallies)
        right = labels == self.baseline.rows.y
        correct = right.sum(1)
        kept_right = right[:, self._was_right].sum(1)
        n_was_right = int(self._was_right.sum())
        counts = correct, n_was_right - kept_right, correct - kept_right
        return _Walked(line, self.baseline, self.network, network, tallies, labels, counts)

    @cached_property
    def _is_dense(self) -> bool:
        return _is_dense_chain(self.network)

    def _session_labels(
        self, network: Network, order: _Order, tallies: dict[str, _Tally]
    ) -> npt.NDArray[np.int16]:
        """The labels at each step, of shape (steps, rows), by a session a step."""
        import onnx

        model = onnx.load_model_from_string(network.onnx_bytes)
        tensors = [(t, t.name) for t in model.graph.initializer if t.name in tallies]
        found = []
        for step in range(order.n):
            for tensor, name in tensors:
                there = order.steps[name] > step
                weight = np.where(there, tallies[name].decoded, np.float32(0))
                filters = as_filters(weight, tuple(tensor.dims[2:]))
                tensor.CopyFrom(onnx.numpy_helper.from_array(filters, name))
            runtime = OnnxRuntime(model.SerializeToString(), threads=1)
            found.append(runtime.labels(self.baseline.rows.X))
        return np.stack(found).astype(np.int16)

    def _network(self, line: _Line) -> Network:
        """The network without the units that the line's recipes remove."""
        recipe = line.recipes[0]
        if isinstance(recipe.units, KeepUnits):
            return self.network
        key = str(recipe.units)
        if key not in self._reduced:
            units = dict.fromkeys(self.network.weights, recipe.units)
            self._reduced[key] = remove_units(self.network, units, self.baseline.dataset.train)
        return self._reduced[key]

    def _order(self, network: Network, line: _Line) -> _Order:
        criterion = line.criterion
        whose = f"{network.sha256} {_at_zero(criterion, line.axis)}"
        if whose not in self._scores:
            rows = self.baseline.dataset.train if criterion.needs_rows else None
            self._scores[whose] = dict(criterion.scores(network, rows))
        key = f"{whose} {line.values}"
        if key not in self._steps:
            steps = _AXES[line.axis].steps(self._scores[whose], line.values, criterion.scope)
            self._steps[key] = _Order(steps, len(line.values))
        return self._steps[key]

    @cached_property
    def _was_right(self) -> npt.NDArray[np.bool_]:
        right: npt.NDArray[np.bool_] = self.baseline.predictions == self.baseline.rows.y
        return right


@dataclass(frozen=True, eq=False)
class _Walked:
    """A line and what was found at each of its steps; `counts` are the rows that are right, that
    broke and that mended. `reduced` is the network without the units that the line removes."""

    line: _Line
    baseline: Baseline
    network: Network
    reduced: Network
    tallies: dict[str, _Tally]
    labels: npt.NDArray[np.int16]
    counts: tuple[npt.NDArray[np.int64], ...]

    @cached_property
    def sparsity(self) -> npt.NDArray[np.float64]:
        total = sum(w.size for w in self.reduced.weights.values())
        share: npt.NDArray[np.float64] = sum(t.zeros for t in self.tallies.values()) / total  # type: ignore[assignment]
        return share

    @cached_property
    def entropy_bytes(self) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] = sum(t.entropy_bytes for t in self.tallies.values())  # type: ignore[assignment]
        return total

    def storages(self, step: int) -> tuple[str, ...]:
        """The types that the layers' codes are stored in."""
        storage = self.line.recipes[step].storage
        return tuple(_stored_as(storage, t.storages[step]) for t in self.tallies.values())

    def size_bytes(self, step: int) -> int:
        recipe = self.line.recipes[step]
        return file_bytes(self.reduced, self.network, recipe, self.storages(step))

    def measurement(self, step: int) -> Measurement:
        """The measurement at a step."""
        correct, broken, mended = (int(counts[step]) for counts in self.counts)
        n = len(self.baseline.rows)
        types = zip(self.tallies.items(), self.storages(step), strict=True)
        return Measurement(
            recipe=self.line.recipes[step],
            network_sha256=self.network.sha256,
            artifact_sha256="",
            dataset=self.baseline.dataset.name,
            split=self.baseline.split,
            split_seed=self.baseline.dataset.seed,
            seed=int(self.network.metadata.get("seed", 0)),
            accuracy=Accuracy(correct, n),
            change=Change(broken, mended, n),
            size_bytes=self.size_bytes(step),
            sparsity=float(self.sparsity[step]),
            bits=tuple((name, int(t.bits[step]), kind) for (name, t), kind in types),
            entropy_bytes=float(self.entropy_bytes[step]),
            computed=True,
            environment=environment(),
            predictions=self.labels[step].astype(np.int64),
        )


@dataclass(frozen=True, eq=False)
class _Order:
    """When each weight of shape (in, out) goes: the step, or `n` where it stays."""

    steps: dict[str, Steps]
    n: int

    @cached_property
    def first(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The places of the first layer's transposed weight, by the step at which they go and then
        by output; and how many each step and output has."""
        steps = next(iter(self.steps.values())).T
        n_out = len(steps)
        key = (steps * n_out + np.arange(n_out)[:, None]).ravel()
        counts = np.bincount(key, minlength=(self.n + 1) * n_out)
        return np.argsort(key, kind="stable"), counts

    @cached_property
    def tail(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The places of all other layers' transposed weights that go, by step; and where each step
        starts."""
        others = list(self.steps.values())[1:]
        flat = np.concatenate([s.T.ravel() for s in others]) if others else np.zeros(0, np.intp)
        going = np.flatnonzero(flat < self.n)
        going = going[np.argsort(flat[going], kind="stable")]
        starts = np.searchsorted(flat[going], np.arange(self.n + 1))
        return going, starts.astype(np.int64)


def _labels(
    chain: Chain,
    order: _Order,
    tallies: dict[str, _Tally],
    chunks: FloatArray,
    n_rows: int,
) -> npt.NDArray[np.int16]:
    """The labels at each step, of shape (steps, rows)."""
    from paretoscope.walking import walk

    names = [stage.name for stage in chain.stages]
    transposed = [np.ascontiguousarray(tallies[name].decoded.T) for name in names]
    first, tail = transposed[0], transposed[1:]
    places, counts = order.first
    values = first.ravel()[places]
    matters = values != 0  # what is zero anyway leaves no trace
    never = int(counts[: order.n * len(first)].sum())
    if np.count_nonzero(matters[never:]) > _SPARSE * first.size:
        matters[never:] = False  # a dense product is faster for those that are always there
        start = np.where(order.n == order.steps[names[0]].T, first, np.float32(0))
    else:
        start = np.zeros_like(first)
    ends = np.concatenate([[0], np.cumsum(matters)])
    pointers = ends[np.concatenate([[0], np.cumsum(counts)])]
    going, going_pointers = order.tail
    whole_tail = np.concatenate([w.ravel() for w in tail]) if tail else np.zeros(0, np.float32)
    there = whole_tail[going] != 0
    going_pointers = np.concatenate([[0], np.cumsum(there)])[going_pointers]
    # A step differs from the next if a weight that is there goes at the next.
    n_first = np.diff(pointers[:: len(first)])
    changes = np.append(n_first[1 : order.n] + np.diff(going_pointers)[1:] > 0, True)
    labels = np.empty((order.n, chunks.shape[0] * chunks.shape[2]), np.int16)
    walk(
        chunks,
        start,
        pointers.astype(np.int64),
        (places[matters] % first.shape[1]).astype(np.int32),
        values[matters],
        whole_tail,
        np.array([w.shape for w in tail], np.int64).reshape(-1, 2),
        going[there].astype(np.int64),
        going_pointers.astype(np.int64),
        changes,
        np.concatenate([chain.biases[name] for name in names]).astype(np.float32),
        labels,
    )
    found: npt.NDArray[np.int16] = labels[:, :n_rows]
    return found


@dataclass(frozen=True, eq=False)
class _Tally:
    """One layer along a line: its values before the first step, and totals at each step."""

    decoded: FloatArray
    storages: list[str]
    bits: npt.NDArray[np.int64]
    zeros: npt.NDArray[np.int64]
    entropy_bytes: npt.NDArray[np.float64]


def _tally(quantizer: Quantizer, weight: FloatArray, steps: Steps, n: int) -> _Tally:
    """Totals of what is there at each step: a weight counts until the step at which it goes."""
    codes = quantizer.grid(weight, np.ones(weight.shape, np.bool_)).project(weight)
    decoded, flat, going = codes.decoded(), codes.values.ravel(), steps.ravel()
    nonzero = flat != 0
    if codes.storage in _FLOATS:
        left = _left(np.bincount(going[nonzero], minlength=n + 1), n)
        entropy = _float_entropy(left, weight.size)
        bits, storages = np.full(n, codes.bits), [codes.storage] * n
        return _Tally(decoded, storages, bits, weight.size - left, entropy)
    values, table = _counts(flat[nonzero], going[nonzero], n)
    counts = _left(table, n)
    lows, highs = _end(values, counts), _end(values[::-1], counts[:, ::-1])
    ends = list(zip(lows.tolist(), highs.tolist(), strict=True))
    zeros = weight.size - counts.sum(1)
    return _Tally(
        decoded,
        [narrowest_for(low, high) for low, high in ends],
        np.array([code_bits(max(-low, high)) for low, high in ends]),
        zeros,
        _entropy(np.concatenate([counts, zeros[:, None]], axis=1), weight.size),
    )


def _counts(codes: npt.NDArray[Any], going: Steps, n: int) -> tuple[Any, Any]:
    """The values that codes have, rising, and how many of each go at each step, (n + 1, values)."""
    low, high = int(codes.min(initial=0)), int(codes.max(initial=0))
    if high - low < _FEW_CODES:
        values, place = np.arange(low, high + 1), codes.astype(np.int64) - low
    else:
        values, place = np.unique(codes, return_inverse=True)
    table = np.bincount(going * len(values) + place, minlength=(n + 1) * len(values))
    return values, table.reshape(n + 1, -1)


def _left(gone: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    """How many are left at each step, of counts that go at step 0, 1, ..., and never (n)."""
    total: npt.NDArray[np.int64] = gone.sum(0) - np.cumsum(gone, axis=0)[:n]
    return total


def _end(values: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The first value that is left at each step, zero where none is."""
    there = counts > 0
    found: npt.NDArray[np.int64] = np.where(there.any(1), values[there.argmax(1)], 0)
    return found


def _entropy(counts: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.float64]:
    """Zero-order entropy in bytes, of counts of shape (steps, values)."""
    shares = counts / size
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    found: npt.NDArray[np.float64] = -(shares * logs).sum(1) * size / 8 + 0.0
    return found


def _float_entropy(left: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.float64]:
    """The same where nearly every value occurs once: `left` values of their own, and zeros."""
    zeros = _entropy((size - left)[:, None], size)
    found: npt.NDArray[np.float64] = zeros + left * np.log2(size) / 8
    return found
