"""Inference time by protocol: in processes of their own, beside an identical copy of the baseline.

Five fresh processes, one after the other and alone of their kind on the machine. Within each, 30
rounds time three arms in random order, each for at least a millisecond on one thread: the file, the
uncompressed network, and a copy of the uncompressed network, which differs from it in nothing. What
the copy's time differs from the original's is noise, and no smaller difference is claimed. Rounds
within one process agree better with each other than with another process's, so the interval of the
ratio is found by drawing processes anew, then blocks of rounds within them.

The protocol and its sources are in docs/measuring.md.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.artifact.quick_latency import (
    Verdict,
    batches_for,
    garbage_collector_off,
    seconds,
    time_in_turn,
    verdict,
)
from paretoscope.artifact.runtimes import OnnxRuntime, find_runtime
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.jobs import Worker
from paretoscope.base.parameters import FloatArray
from paretoscope.base.quiet import quiet

_LOG = logging.getLogger(__name__)
PROCESSES = 5
ROUNDS = 30
_LOAD_ROUNDS, _COLD_ROUNDS = 5, 12
_MOST_FILLED_BYTES = 256 * 2**20  # a virtual machine may tell of all caches of a large host
_SINGLE_S, _MIN_SINGLES, _MAX_SINGLES = 0.2, 30, 500  # of calls timed by themselves, for the p90
_BLOCK = 5  # rounds; neighbours share the machine's mood
_DRAWS = 4000
_T_975 = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
)  # 1 to 9 degrees of freedom
_ARMS = ("ours", "baseline", "copy")

Samples = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Timing:
    """One figure by protocol, in microseconds, by process and round.

    Attributes
    ----------
    what : str
        "batch 1", "batch 16", "batch 256": a call with that many rows. "cold": a call with one row
        after the processor's caches were filled with something else. "load": from the bytes to a
        runtime that can be called.
    samples_us, baseline_us, copy_us : tuple of tuples
        Of the file, of the uncompressed network, and of its identical copy.
    p90_us, baseline_p90_us : float or None
        What 90 % of calls take no longer than, the median over the processes: the median of the
        rounds times what the 90 % point of single calls is to their own median. So it is never
        below `median_us`, which single calls, colder ones, do not share.
    """

    what: str
    samples_us: Samples
    baseline_us: Samples
    copy_us: Samples
    p90_us: float | None = None
    baseline_p90_us: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types. `from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Timing:
        arms = ("samples_us", "baseline_us", "copy_us")
        return cls(**{**plain, **{arm: tuple(map(tuple, plain[arm])) for arm in arms}})

    @cached_property
    def median_us(self) -> float:
        return float(np.median(np.concatenate(self.samples_us)))

    @cached_property
    def baseline_median_us(self) -> float:
        return float(np.median(np.concatenate(self.baseline_us)))

    @cached_property
    def quartiles_us(self) -> tuple[float, float]:
        low, high = np.quantile(np.concatenate(self.samples_us), [0.25, 0.75])
        return float(low), float(high)

    @cached_property
    def ratio(self) -> float:
        """Time relative to the baseline's: the median over all rounds. Below 1 is faster."""
        return float(np.exp(np.median(_log_ratios(self.samples_us, self.baseline_us))))

    @cached_property
    def ratio_interval(self) -> tuple[float, float]:
        """95 % interval of the ratio, over processes of this machine."""
        return bootstrap_interval(_log_ratios(self.samples_us, self.baseline_us))

    @cached_property
    def noise_interval(self) -> tuple[float, float]:
        """The same interval for the copy, whose true ratio is 1."""
        return bootstrap_interval(_log_ratios(self.copy_us, self.baseline_us))

    @property
    def verdict(self) -> Verdict:
        """Within a margin of 5 %, or the noise where that is larger."""
        low, high = self.noise_interval
        return verdict(self.ratio_interval, noise=max(high - 1, 1 / low - 1))


def _log_ratios(ours: Samples, theirs: Samples) -> npt.NDArray[np.float64]:
    """Of shape (processes, rounds)."""
    ratios: npt.NDArray[np.float64] = np.log(np.array(ours)) - np.log(np.array(theirs))
    return ratios


def bootstrap_interval(logs: npt.NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """95 % interval of exp(median) by drawing processes, then blocks of rounds within each.

    Percentiles are those of Hesterberg 2015 ("What teachers should know about the bootstrap", The
    American Statistician 69:371), wider than 2.5 and 97.5: five processes drawn anew vary less than
    five new ones would.

    Parameters
    ----------
    logs : array of shape (processes, rounds)
        Logarithms of ratios.
    """
    n, rounds = logs.shape
    block = min(_BLOCK, rounds)
    n_blocks = rounds // block
    blocks = logs[:, : n_blocks * block].reshape(n, n_blocks, block)
    rng = np.random.default_rng(seed)
    processes = rng.integers(n, size=(_DRAWS, n, 1))
    within = rng.integers(n_blocks, size=(_DRAWS, n, n_blocks))
    drawn = np.median(blocks[processes, within].reshape(_DRAWS, -1), axis=1)
    tail = _tail(n)
    low, high = np.exp(np.quantile(drawn, [tail, 1 - tail]))
    return float(low), float(high)


def _tail(n: int) -> float:
    """The normal tail beyond ``sqrt(n / (n - 1)) * t(0.975, n - 1)``.

    >>> round(_tail(5), 5)
    0.00096
    """
    t = _T_975[min(n - 1, len(_T_975)) - 1]
    return 0.5 * math.erfc(math.sqrt(n / (n - 1)) * t / math.sqrt(2))


def time_by_protocol(
    onnx_bytes: bytes,
    baseline_bytes: bytes,
    X: FloatArray,
    *,
    runtime: str = OnnxRuntime.name,
    against: str | None = None,
    batches: Sequence[int] | None = None,
    processes: int = PROCESSES,
    rounds: int = ROUNDS,
    report: Callable[[float, str], None] | None = None,
) -> list[Timing]:
    """Time a file against the uncompressed one.

    Parameters
    ----------
    onnx_bytes, baseline_bytes : bytes
        The file, and the uncompressed network's.
    X : float32 array of shape (n, d)
        Rows to time with; they repeat where a batch is larger.
    runtime, against : str
        The runtimes of the file and of the uncompressed network, by name. By default ONNX Runtime,
        and what the file's runtime is fairly compared with.
    batches : sequence of int, optional
        By default 1, 16 and 256, fewer where rows are large.
    processes, rounds : int
    report : callable, optional
        ``report(fraction, text)`` is told how far it is.

    Returns
    -------
    list of Timing
        One for each batch size, then "cold", then "load".

    Raises
    ------
    ParetoscopeError
        A runtime that is not known, or that cannot run the file.
    """
    kind = find_runtime(runtime)
    against = against or kind.dense_form
    find_runtime(against)
    batches = batches_for(X.shape[1]) if batches is None else batches
    if processes < 2:
        raise ParetoscopeError(f"processes must be at least 2; got {processes}")
    found: list[dict[str, Any]] = []
    if report:
        report(0.0, "waiting until all else is quiet")
    with (
        quiet() as calm,
        tempfile.TemporaryDirectory(prefix="paretoscope-timing-") as folder,
    ):
        if not calm:
            _LOG.warning("a worker did not pause; times are taken beside it")
        Path(folder, "ours.onnx").write_bytes(onnx_bytes)
        Path(folder, "baseline.onnx").write_bytes(baseline_bytes)
        largest = max(batches, default=1)
        np.save(Path(folder, "rows.npy"), np.resize(X, (largest, X.shape[1])), allow_pickle=False)
        for number in range(processes):
            if report:
                report(number / processes, f"process {number + 1} of {processes}")
            arguments = {
                "folder": folder,
                "runtimes": [runtime, against, against],
                "batches": list(batches),
                "rounds": rounds,
                "seed": number,
            }
            found.append(_in_a_process(arguments))
    return [_timing(what, [one[what] for one in found]) for what in found[0]]


def _timing(what: str, found: Sequence[Mapping[str, Any]]) -> Timing:
    ours, baseline, copy = (
        tuple(tuple(1e6 * s for s in one["arms"][arm]) for one in found) for arm in range(3)
    )
    timing = Timing(what, ours, baseline, copy)
    if "p90" not in found[0]:
        return timing
    above = [np.median([_above(one, arm) for one in found]) for arm in (0, 1)]
    return replace(
        timing,
        p90_us=timing.median_us * float(above[0]),
        baseline_p90_us=timing.baseline_median_us * float(above[1]),
    )


def _above(one: Mapping[str, Any], arm: int) -> float:
    """How far a process's 90 % point lies above its median."""
    return float(one["p90"][arm] / np.median(one["arms"][arm]))


def _in_a_process(arguments: Mapping[str, Any]) -> dict[str, Any]:
    worker = Worker()
    try:
        for message in worker.run("measurement.latency_protocol:process_task", arguments):
            if "result" in message:
                result: dict[str, Any] = message["result"]
                return result
    finally:
        worker.close()
    raise AssertionError  # a worker's run ends with a result or an error


def process_task(
    arguments: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """One process of the protocol: seconds by figure, arm and round.

    Parameters
    ----------
    arguments : mapping
        "folder" with ours.onnx, baseline.onnx and rows.npy; "runtimes" of the three arms;
        "batches", "rounds", "seed".
    """
    folder = Path(arguments["folder"])
    ours, baseline = (Path(folder, f"{name}.onnx").read_bytes() for name in _ARMS[:2])
    # The copy lies elsewhere in memory, as a second file would.
    models = (ours, baseline, bytes(bytearray(baseline)))
    rows = np.load(folder / "rows.npy", allow_pickle=False)
    kinds = [find_runtime(name) for name in arguments["runtimes"]]
    rng = np.random.default_rng(arguments["seed"])
    loads: list[list[float]] = [[], [], []]
    loaded: list[Any] = [None, None, None]

    def load(arm: int) -> None:
        loaded[arm] = kinds[arm](models[arm], 1)

    for arm in range(3):
        load(arm)  # what is imported and set up once is no file's own
    with garbage_collector_off():
        for _ in range(_LOAD_ROUNDS):
            for arm in rng.permutation(3):
                loads[arm].append(seconds(partial(load, arm)))
    figures: dict[str, Any] = {}
    for batch in arguments["batches"]:
        calls = [runtime.caller(rows[:batch]) for runtime in loaded]
        arms = time_in_turn(*calls, rounds=arguments["rounds"], seed=int(rng.integers(2**31)))
        p90 = [_p90(call, float(np.median(arm))) for call, arm in zip(calls, arms, strict=True)]
        figures[f"batch {batch}"] = {"arms": arms, "p90": p90[:2]}
    figures["cold"] = {"arms": _cold([runtime.caller(rows[:1]) for runtime in loaded], rng)}
    figures["load"] = {"arms": loads}
    return figures


def _p90(call: Callable[[], Any], about_s: float) -> float:
    """What 90 % of calls take no longer than, by how far that lies above the median of calls timed
    one by one; the median itself, `about_s`, is that of many in a row, which start warmer."""
    n = int(np.clip(_SINGLE_S / about_s, _MIN_SINGLES, _MAX_SINGLES))
    with garbage_collector_off():
        singles = [seconds(call) for _ in range(n)]
    return about_s * float(np.quantile(singles, 0.9) / np.median(singles))


def _cold(calls: Sequence[Callable[[], Any]], rng: np.random.Generator) -> list[list[float]]:
    """Seconds of single calls, each after twice the last cache's size was written, or 256 MiB."""
    filler = np.zeros(min(2 * _cache_bytes(), _MOST_FILLED_BYTES) // 8)
    found: list[list[float]] = [[] for _ in calls]
    with garbage_collector_off():
        for _ in range(_COLD_ROUNDS):
            for arm in rng.permutation(len(calls)):
                filler += 1.0
                found[arm].append(seconds(calls[arm]))
    return found


def _cache_bytes() -> int:
    """The size of the largest cache, or 32 MiB where the machine does not say."""
    sizes = [32 * 2**20]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text(encoding="ascii").strip()
        if text.endswith("K"):
            sizes.append(int(text[:-1]) * 1024)
    return max(sizes)
