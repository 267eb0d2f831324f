"""A sweep's computed surface against the loops that one would write, in processor time, one thread.

Claims, 32 thresholds by 16 values of Q: LeNet-300-100 on Fashion-MNIST (10,000 rows) takes at least
8 times less than a scikit-learn loop and 3.5 times less than a numpy loop; MLP 64-32 on digits at
least 25 times less than a scikit-learn loop; a convolutional network at least 2 times less than a
session per point. Accuracies are those of the numpy loop but for one image in 1 % of the points.
Of other scores, log loss on the digits grid and RMSE on a diabetes grid take at least 5 times less
than a scikit-learn loop, the change's interval included. Two threads take 1.7 times less wall clock
than one. Time grows linearly in points and rows; memory stays under 500 MB. Each loop computes its
score only; ours sizes, bits and entropy as well.
"""

from __future__ import annotations

import copy
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import paretoscope as ps
from paretoscope.artifact.runtimes import OnnxRuntime
from paretoscope.data.dataset import Dataset
from paretoscope.measurement.measurement import Baseline
from paretoscope.methods.pruning import Magnitude
from paretoscope.methods.quantization import FixedPoint
from paretoscope.network.chain import as_chain
from paretoscope.network.network import Network
from paretoscope.sweeps.surface import table
from paretoscope.sweeps.sweep import stops
from paretoscope.training.training import find_model, fit
from threadpoolctl import threadpool_limits

RUNS = 5
THRESHOLDS, QS = 32, 16


@dataclass(frozen=True, eq=False)
class Case:
    """A network, its rows, and the grid."""

    data: Dataset
    model: str
    network: Network
    baseline: Baseline
    thresholds: list[float]
    qs: list[float]

    @property
    def n_points(self) -> int:
        return len(self.thresholds) * len(self.qs)

    @cached_property
    def pipeline(self) -> Any:
        """What scikit-learn trained, with float64 coefficients as it has for float64 rows."""
        pipeline = fit(find_model(self.model, self.data), self.data, 0, lambda fraction, text: None)
        estimator = pipeline[-1]
        estimator.coefs_ = [w.astype(np.float64) for w in estimator.coefs_]
        estimator.intercepts_ = [b.astype(np.float64) for b in estimator.intercepts_]
        return pipeline


def run() -> None:
    import scipy.linalg.cython_blas  # noqa: F401  (before the limit, which is of what is loaded)

    with threadpool_limits(1):
        _digits()
        _other_scores()
        _convolutions()
        _lenet()
        _growth()
    _memory()


def _case(dataset: str, model: str, score: str = "") -> Case:
    data = ps.load_dataset(dataset)
    network = ps.train(model, data)
    baseline = Baseline(network, data, score_name=score)
    _ = baseline.predicted, baseline.rows
    thresholds = stops(network, Magnitude, "threshold", THRESHOLDS)
    found = stops(network, FixedPoint, "q", 24)
    qs = [found[i] for i in np.linspace(0, len(found) - 1, QS).round().astype(int)]
    return Case(data, model, network, baseline, thresholds, sorted(set(qs)))


def _digits() -> None:
    case = _case("digits", "mlp-64-32")
    ours = [_seconds(lambda: _ours(case)) for _ in range(4 * RUNS + 1)][1:]
    _report("digits, MLP 64-32", case, ours, {
        "scikit-learn copy and predict": (_scikit_learn, RUNS),
        "numpy float32": (_numpy, RUNS),
        "a session per point": (_sessions, RUNS),
        "torch": (_torch, RUNS),
    })  # fmt: skip


def _other_scores() -> None:
    for dataset, score in (("digits", "log-loss"), ("diabetes", "rmse")):
        case = _case(dataset, "mlp-64-32", score)
        ours = [_seconds(partial(_values, case)) for _ in range(4 * RUNS + 1)][1:]
        loop = {"scikit-learn copy, predict and score": (_scikit_learn_scores, RUNS)}
        _report(f"{dataset}, MLP 64-32, {score}", case, ours, loop)
        apart = np.abs(np.array(_scikit_learn_scores(case)) - _values(case))
        print(f"  against it: at most {apart.max():.2g} apart")


def _values(case: Case) -> np.ndarray:
    """The score at each point, its change with an interval, and all that `_ours` brings along."""
    recipes = ps.grid(threshold=case.thresholds, q=case.qs)
    return table(case.network, recipes, case.baseline).quality


def _scikit_learn_scores(case: Case) -> list[float]:
    from sklearn.metrics import log_loss, root_mean_squared_error

    found, y, X = [], case.baseline.rows.y, case.baseline.rows.X.astype(np.float64)
    for pipeline in _pipelines(case):
        if case.baseline.score.name == "log-loss":
            found.append(log_loss(y, pipeline.predict_proba(X)))
        else:
            predicted = pipeline.predict(X)
            factor, center = _target_scale(case)
            found.append(root_mean_squared_error(y, predicted * factor + center))
    return found


def _target_scale(case: Case) -> tuple[float, float]:
    """What scikit-learn's fit of standardised targets is multiplied by, and what is added."""
    chain = as_chain(case.network)
    assert chain.factor is not None
    assert chain.center is not None
    return float(chain.factor[0]), float(chain.center[0])


def _lenet() -> None:
    case = _case("fashion-mnist", "lenet-300-100")
    _ours(case)
    ours = [_seconds(lambda: _ours(case)) for _ in range(3)]
    _report("Fashion-MNIST, LeNet-300-100", case, ours, {
        "scikit-learn copy and predict": (_scikit_learn, 1),
        "numpy float32": (_numpy, 1),
        "a session per point": (_sessions, 1),
        "torch": (_torch, 1),
    })  # fmt: skip
    walls = {n: min(_wall(partial(_ours, case, n)) for _ in range(3)) for n in (1, 2)}
    print(f"  two threads: {walls[1] / walls[2]:.2f} times less wall clock ({walls[2]:.2f} s)")


def _convolutions() -> None:
    for dataset in ("digits", "fashion-mnist"):
        case = _case(dataset, "cnn")
        if dataset != "digits":  # 8 x 8 points are enough: each takes a quarter of a second
            case = replace(case, thresholds=case.thresholds[::4], qs=case.qs[::2])
        runs = RUNS if dataset == "digits" else 1
        ours = [_seconds(partial(_ours, case)) for _ in range(runs + 1)][1:]
        _report(f"{dataset}, CNN", case, ours, {"a session per point": (_sessions, runs)})


def _report(
    name: str, case: Case, ours: list[float], loops: dict[str, tuple[Callable[[Case], Any], int]]
) -> None:
    n, rows = case.n_points, len(case.baseline.rows)
    own = float(np.median(ours))
    print(
        f"{name}: {n} points, {rows:,} rows: {own:.3f} s, {1e3 * own / n:.3f} ms a point",
        flush=True,
    )
    found = _ours(case)
    for loop, (function, runs) in loops.items():
        if function is _scikit_learn:
            _ = case.pipeline  # its training is no part of the loop
        try:
            taken = [_seconds(partial(function, case)) for _ in range(runs)]
        except (ImportError, AttributeError):  # or a folder of that name
            print(f"  {loop}: not installed here")
            continue
        ratio = float(np.median(taken)) / own
        print(f"  {loop}: {np.median(taken):.2f} s, {ratio:.1f} times as long", flush=True)
        if loop == "numpy float32":
            apart = np.abs(np.array(function(case)) - found)
            print(
                f"  against it: {np.count_nonzero(apart)} of {n} points differ, by at most "
                f"{apart.max()} rows"
            )


def _seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _wall(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _ours(case: Case, threads: int = 1) -> np.ndarray:
    """How many rows are right at each point, recipes made included; sizes, entropies and zeros come
    along."""
    recipes = ps.grid(threshold=case.thresholds, q=case.qs)
    found = table(case.network, recipes, case.baseline, threads=threads)
    return np.rint(found.quality * len(case.baseline.rows)).astype(np.int64)


# --- the loops that one would write -------------------------------------------------------------


def _scikit_learn(case: Case) -> list[int]:
    """The trained pipeline copied, its coefficients pruned and rounded, predict."""
    rows = case.baseline.rows
    X = rows.X.astype(np.float64)
    return [int(np.count_nonzero(small.predict(X) == rows.y)) for small in _pipelines(case)]


def _pipelines(case: Case) -> Iterator[Any]:
    for threshold in case.thresholds:
        for q in case.qs:
            small = copy.deepcopy(case.pipeline)
            for w in small[-1].coefs_:
                w[np.abs(w) < threshold] = 0
                np.copyto(w, np.round(w * q) / q)
            yield small


def _numpy(case: Case) -> list[int]:
    chain, rows = as_chain(case.network), case.baseline.rows
    X = chain.preparation(rows.X)
    right = []
    for threshold in case.thresholds:
        for q in case.qs:
            h = X
            for number, (name, w) in enumerate(chain.weights.items()):
                kept = np.where(np.abs(w) >= np.float32(threshold), w, np.float32(0))
                coded = np.round(kept * np.float32(q)) / np.float32(q)
                h = h @ coded + chain.biases[name]
                if number < len(chain.weights) - 1:
                    np.maximum(h, 0, out=h)
            right.append(int(np.count_nonzero(h.argmax(1) == rows.y)))
    return right


def _sessions(case: Case) -> list[int]:
    model = onnx.load_model_from_string(case.network.onnx_bytes)
    tensors = {t.name: t for t in model.graph.initializer if t.name in case.network.weights}
    originals = {n: onnx.numpy_helper.to_array(t) for n, t in tensors.items()}
    rows, right = case.baseline.rows, []
    for threshold in case.thresholds:
        for q in case.qs:
            for name, w in originals.items():
                kept = np.where(np.abs(w) >= np.float32(threshold), w, np.float32(0))
                coded = np.round(kept * np.float32(q)) / np.float32(q)
                tensors[name].raw_data = coded.astype(np.float32).tobytes()
            labels = OnnxRuntime(model.SerializeToString(), 1).scores(rows.X).argmax(1)
            right.append(int(np.count_nonzero(labels == rows.y)))
    return right


def _torch(case: Case) -> list[int]:
    import torch

    torch.set_num_threads(1)
    chain, rows = as_chain(case.network), case.baseline.rows
    X = torch.from_numpy(chain.preparation(rows.X))
    weights = [torch.from_numpy(w.copy()) for w in chain.weights.values()]
    biases = [torch.from_numpy(chain.biases[n].copy()) for n in chain.weights]
    right = []
    with torch.no_grad():
        for threshold in case.thresholds:
            for q in case.qs:
                h = X
                for number, (w, b) in enumerate(zip(weights, biases, strict=True)):
                    kept = torch.where(w.abs() >= threshold, w, 0.0)
                    h = h @ (torch.round(kept * q) / q) + b
                    if number < len(weights) - 1:
                        h = torch.relu(h)
                right.append(int(np.count_nonzero(h.argmax(1).numpy() == rows.y)))
    return right


# --- growth and memory ----------------------------------------------------------------------------


def _growth() -> None:
    """Processor time over two decades of rows, and of points."""
    case = _case("fashion-mnist", "lenet-300-100")
    qs = [float(q) for q in range(4, 12)]
    print("LeNet-300-100, ms a point:")
    for n_rows in (100, 1_000, 10_000):
        few = case.baseline.part(np.arange(n_rows))
        _ = few.predictions
        _print_growth(replace(case, baseline=few, qs=qs), runs=3)
    for n_qs in (1, 10, 100):
        grid = replace(case, qs=(4 + 8 * (np.arange(n_qs) + 0.5) / n_qs).tolist())
        _print_growth(grid, runs=1 if n_qs == 100 else 3)


def _print_growth(case: Case, runs: int) -> None:
    taken, n = min(_seconds(partial(_ours, case)) for _ in range(runs)), case.n_points
    print(
        f"  {len(case.baseline.rows):>6,} rows, {n:>5,} points: {1e3 * taken / n:.3f}", flush=True
    )


def _memory() -> None:
    """The largest memory of a process of its own that computes the LeNet grid."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        before, after = pool.submit(_largest_memory).result()
    print(
        f"memory for the LeNet-300-100 grid: {after:.0f} MB at most, {before:.0f} MB of it before "
        "the sweep (imports, dataset)"
    )


def _largest_memory() -> tuple[float, float]:
    case = _case("fashion-mnist", "lenet-300-100")
    before = _high_water_mb()
    _ours(case)
    return before, _high_water_mb()


def _high_water_mb() -> float:
    """Of this process since its start; getrusage would tell its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3
