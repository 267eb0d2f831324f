"""What a curve of a graph coded in place costs, beside plain passes: ``python -m benchmarks
in_place``.

Claim: a curve of 21 points on n rows takes at most 1.1 times the processor time of 21 passes of
plain ONNX Runtime sessions over the same rows, each loaded anew; layers by three settings each, of
which some from all over the graph are tried, at most 0.6 of theirs. Real models are those of the
shared cases, where they are there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import paretoscope as ps
import psutil
from paretoscope.data.dataset import Dataset, load_dataset
from paretoscope.data.own_data import keep_own
from paretoscope.data.rows import Raw
from paretoscope.measurement.measurement import Baseline
from paretoscope.methods.recipe import Recipe
from paretoscope.network.in_place import InPlace, noise
from paretoscope.network.network import Network
from paretoscope.problems.agreement import Agreement
from paretoscope.sweeps.surface import surface
from paretoscope.uploads.own import load_model

from benchmarks import large_models
from tests.browser.serving import ROOT

_REAL = ("mtcnn_onet", "rapidocr_cls")
_RUNS, _POINTS, _SETTINGS = 3, 21, ("q(8)", "q(16)", "q(32)")
_ROWS = {"mobilenet_v2": 500, "resnet50": 250}  # else 200
_MOST_LAYERS = 8  # of which each is tried, where all would take hours


def run() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path in _models(Path(folder)):
            _of(path)


def _models(folder: Path) -> list[Path]:
    cases = ROOT.parent / "shared/cases/models"
    real = [cases / f"{name}.onnx" for name in _REAL]
    made = []
    for name, build in large_models.MODELS.items():
        made.append(folder / f"{name}.onnx")
        made[-1].write_bytes(build())
    return [*(path for path in real if path.exists()), *made]


def _of(path: Path) -> None:
    network = load_model(path)
    if not isinstance(network, InPlace):
        print(f"{path.stem}: walked by numpy, not in place")
        return
    n = _ROWS.get(path.stem, 200)
    names = tuple(f"value {k + 1}" for k in range(network.n_features))
    made = Raw(noise(network.signature, n), np.zeros((n, 0)), names, stated=Agreement(labels=False))
    data = load_dataset(keep_own(made, path.stem))  # of which a fifth is judged
    curve = [Recipe.parse(f"magnitude(sparsity={k / _POINTS:.3f})+q(32)") for k in range(_POINTS)]
    _tell(path.stem, "curve", network, data, curve)
    names = list(network.shapes)
    n = min(len(names), _MOST_LAYERS)  # from all over it: layers far behind cost less
    names = [names[int((k + 0.5) * len(names) / n)] for k in range(n)]
    settings = [Recipe.parse(text).default_treatment for text in _SETTINGS]
    alone = [Recipe(overrides={name: s}) for name in names for s in settings]
    _tell(path.stem, "layers", network, data, alone)


def _tell(
    name: str, what: str, network: Network, data: Dataset, recipes: Sequence[ps.Recipe]
) -> None:
    ratios = []
    baseline = Baseline(network, data)
    rows = baseline.rows
    assert len(baseline.outputs) == len(rows)  # both sides are warm, and the baseline is there
    for _ in range(_RUNS):
        ours = _processor_s(lambda: list(surface(network, recipes, baseline)))
        plain = _processor_s(lambda: _passes(network, rows.X, len(recipes)))
        ratios.append(ours / plain)
    low, high = min(ratios), max(ratios)
    print(
        f"{name}, {what}: {len(recipes)} points on {len(rows)} rows take {np.median(ratios):.2f} "
        f"(from {low:.2f} to {high:.2f}) of the processor time of as many plain passes",
        flush=True,
    )


def _passes(network: Network, X: np.ndarray, n: int) -> None:
    """So many sessions, each loaded anew, as people run one: all rows, a few at a time."""
    assert isinstance(network, InPlace)
    feeds, start = [], 0
    for feed in network.signature.inputs:
        column, start = X[:, start : start + feed.width], start + feed.width
        kind = {"float": "float32", "double": "float64", "float16": "float16"}.get(feed.type)
        feeds.append((feed.name, column.reshape(-1, *feed.row).astype(kind or feed.type)))
    step = network.signature.batch or 32
    for _ in range(n):
        session = ort.InferenceSession(network.onnx_bytes)
        for at in range(0, len(X) - step + 1 if network.signature.batch else len(X), step):
            session.run(None, {name: values[at : at + step] for name, values in feeds})


def _processor_s(work: Callable[[], object]) -> float:
    """Processor time of this process and of those that it started, the sandbox among them."""
    me = psutil.Process()

    def spent() -> float:
        total = sum(me.cpu_times()[:4])  # own, and of children that have ended
        for child in me.children(recursive=True):
            total += sum(child.cpu_times()[:2])
        return float(total)

    before = spent()
    work()
    return spent() - before
