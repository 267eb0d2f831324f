"""The timing protocol: what it draws from samples, and that it runs as it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import paretoscope as ps
import pytest
from filelock import Timeout
from hypothesis import given
from hypothesis import strategies as st
from paretoscope.artifact.quick_latency import verdict
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.jobs import Worker
from paretoscope.base.quiet import machine_lock
from paretoscope.measurement import latency_protocol as module
from paretoscope.measurement.latency_protocol import Timing, bootstrap_interval, time_by_protocol
from paretoscope.network.network import Network
from scipy import stats


def _timing(ratio: float, copy: float = 1.0, spread: float = 0.01) -> Timing:
    rng = np.random.default_rng(0)

    def samples(middle: float) -> tuple[tuple[float, ...], ...]:
        drawn = middle * np.exp(rng.normal(0, spread, (5, 30)))
        return tuple(map(tuple, drawn.tolist()))

    return Timing("batch 1", samples(10 * ratio), samples(10), samples(10 * copy))


def test_figures_are_numpys() -> None:
    timing = _timing(0.5)
    assert timing.median_us == np.median(timing.samples_us)
    assert timing.baseline_median_us == np.median(timing.baseline_us)
    assert timing.quartiles_us == tuple(np.percentile(timing.samples_us, [25, 75]))
    ratios = np.array(timing.samples_us) / np.array(timing.baseline_us)
    assert timing.ratio == pytest.approx(np.median(ratios), rel=1e-3)
    low, high = timing.ratio_interval
    assert 0.48 < low < timing.ratio < high < 0.52


def test_a_timing_survives_json() -> None:
    timing = _timing(0.5)
    assert Timing.from_dict(timing.to_dict()) == timing


@pytest.mark.parametrize(
    ("ratio", "copy", "spread", "expected"),
    [
        (0.5, 1.0, 0.01, "faster"),
        (2.0, 1.0, 0.01, "slower"),
        (1.0, 1.0, 0.01, "no measurable difference"),
        (1.0, 1.0, 0.4, "inconclusive"),
        (0.9, 1.2, 0.01, "inconclusive"),  # an identical copy differs by more
        (0.7, 1.2, 0.01, "faster"),
    ],
)
def test_the_four_verdicts(ratio: float, copy: float, spread: float, expected: str) -> None:
    assert _timing(ratio, copy, spread).verdict == expected


@given(st.floats(0.01, 100), st.floats(1, 2), st.floats(0, 1))
def test_a_verdict_mirrors(low: float, width: float, noise: float) -> None:
    """Exchanging the two sides exchanges faster and slower."""
    other = {"faster": "slower", "slower": "faster"}
    found = verdict((low, low * width), noise)
    assert verdict((1 / (low * width), 1 / low), noise) == other.get(found, found)


def test_processes_that_differ_widen_the_interval_and_more_rounds_do_not_help() -> None:
    rng = np.random.default_rng(1)
    between = rng.normal(0, 0.05, (5, 1))
    few = bootstrap_interval(between + rng.normal(0, 0.01, (5, 30)))
    many = bootstrap_interval(between + rng.normal(0, 0.01, (5, 300)))
    alike = bootstrap_interval(rng.normal(0, 0.01, (5, 30)))
    assert few[1] - few[0] > 4 * (alike[1] - alike[0])
    assert many[1] - many[0] > 0.7 * (few[1] - few[0])


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_the_percentiles_are_hesterbergs(n: int) -> None:
    wider = np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1)
    assert module._tail(n) == pytest.approx(stats.norm.sf(wider), rel=0.01)


# --- the processes ------------------------------------------------------------------------------


@pytest.fixture
def files(mlp: Network, digits: ps.Dataset) -> tuple[bytes, bytes]:
    recipe = ps.Recipe.parse("magnitude(sparsity=0.5)+q(8)")
    ours, baseline = (ps.compress(mlp, r, digits.train) for r in (recipe, ps.Recipe()))
    return ours.onnx_bytes, baseline.onnx_bytes


def test_each_process_is_a_new_one_alone_and_gives_every_round(
    files: tuple[bytes, bytes], digits: ps.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = []
    honest = Worker.run

    def run(self: Worker, task: str, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        pids.append(self._process.pid)
        assert machine_lock().timeout == -1  # another one waits, however long
        with pytest.raises(Timeout):
            machine_lock().acquire(timeout=0)
        return honest(self, task, arguments)

    monkeypatch.setattr(Worker, "run", run)
    told: list[str] = []
    found = time_by_protocol(
        *files, digits.validation.X, batches=[1, 400], processes=2, rounds=3,
        report=lambda fraction, text: told.append(text),
    )  # fmt: skip
    assert len(set(pids)) == 2
    assert told == ["waiting until all else is quiet", "process 1 of 2", "process 2 of 2"]
    assert [t.what for t in found] == ["batch 1", "batch 400", "cold", "load"]
    for timing in found:
        arms = [np.array(a) for a in (timing.samples_us, timing.baseline_us, timing.copy_us)]
        assert {a.shape for a in arms} == {(2, arms[0].shape[1])}
        assert all((a > 0).all() for a in arms)
    assert np.array(found[0].samples_us).shape == (2, 3)
    assert found[0].p90_us is not None
    assert found[3].p90_us is None
    machine_lock().acquire(timeout=0).lock.release()  # it was given back


class _Made:
    """A runtime on a clock of its own: each file takes as long to load and to run as is said."""

    now_s = 0.0
    arms: ClassVar[list[bytes]] = []  # the models, in the order in which they are first loaded

    def __init__(self, model: bytes, threads: int) -> None:
        assert threads == 1
        if not any(model is known for known in self.arms):
            self.arms.append(model)
        (self.arm,) = (n for n, known in enumerate(self.arms) if known is model)
        _Made.now_s += 1e-3 * (1 + self.arm)

    def caller(self, rows: Any) -> Callable[[], None]:
        def call() -> None:
            _Made.now_s += 1e-6 * (10, 20, 40)[self.arm] * len(rows)

        return call


def test_a_call_of_ten_takes_no_less_than_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    """Single calls say how far calls spread; those in a row may take longer."""
    singles = [34.0] * 85 + [51.0] * 15
    taken = iter(singles * 1_000)
    monkeypatch.setattr(module, "seconds", lambda call: 1e-6 * next(taken))
    assert module._p90(lambda: None, 35.4e-6) == pytest.approx(1.5 * 35.4e-6)


def test_every_figure_is_that_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only the files' own calls move, each figure is exact."""
    monkeypatch.setattr(_Made, "now_s", 0.0)
    monkeypatch.setattr(_Made, "arms", [])
    clock = SimpleNamespace(
        perf_counter=lambda: _Made.now_s, perf_counter_ns=lambda: 1e9 * _Made.now_s
    )
    monkeypatch.setattr("paretoscope.artifact.quick_latency.time", clock)
    monkeypatch.setattr(module, "find_runtime", lambda name: _Made)
    monkeypatch.setattr(module, "_cache_bytes", lambda: 64)
    (tmp_path / "ours.onnx").write_bytes(b"ours")
    (tmp_path / "baseline.onnx").write_bytes(b"baseline")
    np.save(tmp_path / "rows.npy", np.zeros((7, 3), np.float32))
    asked = {"folder": str(tmp_path), "runtimes": ["a", "b", "c"], "batches": [1, 7], "rounds": 6,
             "seed": 0}  # fmt: skip
    figures = module.process_task(asked, lambda message: None)
    assert _Made.arms == [b"ours", b"baseline", b"baseline"]
    each = {"batch 1": (10, 20, 40), "batch 7": (70, 140, 280), "cold": (10, 20, 40),
            "load": (1_000, 2_000, 3_000)}  # fmt: skip
    rounds = {"batch 1": 6, "batch 7": 6, "cold": 12, "load": 5}
    for what, expected_us in each.items():
        arms = np.array(figures[what]["arms"])
        assert arms.shape == (3, rounds[what])
        np.testing.assert_allclose(1e6 * arms, np.broadcast_to(expected_us, arms.T.shape).T)
    assert figures["batch 7"]["p90"] == pytest.approx([70e-6, 140e-6])
    timing = module._timing("batch 7", [figures["batch 7"], figures["batch 7"]])
    assert (timing.median_us, timing.baseline_median_us) == pytest.approx((70, 140))
    assert (timing.p90_us, timing.baseline_p90_us) == pytest.approx((70, 140))
    assert timing.ratio == pytest.approx(0.5)
    assert timing.copy_us == ((pytest.approx(280.0),) * 6,) * 2


@pytest.mark.parametrize("runtime", ["scikit-learn", "numpy", "scipy-csr"])
def test_other_runtimes_are_timed_against_their_dense_form(
    runtime: str,
    files: tuple[bytes, bytes],
    digits: ps.Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def here(arguments: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(arguments["runtimes"])
        return module.process_task(arguments, lambda message: None)

    monkeypatch.setattr(module, "_in_a_process", here)
    found = time_by_protocol(
        *files, digits.validation.X, runtime=runtime, batches=[1], processes=2, rounds=2
    )
    dense = {"scikit-learn": "scikit-learn", "numpy": "numpy", "scipy-csr": "numpy"}[runtime]
    assert asked == [[runtime, dense, dense]] * 2
    assert found[0].median_us > 0


def test_what_cannot_be_timed_is_said(
    files: tuple[bytes, bytes], mlp: Network, digits: ps.Dataset
) -> None:
    X = digits.validation.X
    with pytest.raises(ParetoscopeError, match="runtime must be one of onnxruntime"):
        time_by_protocol(*files, X, runtime="tensorrt")
    with pytest.raises(ParetoscopeError, match="processes must be at least 2; got 1"):
        time_by_protocol(*files, X, processes=1)
    integers = ps.compress(mlp, ps.Recipe.parse("int8"), digits.train).onnx_bytes
    with pytest.raises(ParetoscopeError, match="only ONNX Runtime runs this file"):
        time_by_protocol(integers, files[1], X, runtime="numpy")
