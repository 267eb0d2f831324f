"""The smallest files at a small drop, against those of other tools: ``make bench-quality``.

Three seeds of split and training for each model. For each, recipes are chosen on validation rows
alone, by a search that changes one thing at a time; the chosen file is run on the test rows once.
Sizes are under gzip -9 against the float32 ONNX file under gzip -9, or as the files lie on disk.
Other tools are measured in the same run where they are installed (ONNX Runtime's quantizers;
PyTorch's pruning if PyTorch is there), else their recorded figures stand there, marked so.

The CNNs of seeds 1 and 2 are trained first, where PyTorch is installed (`make bench-quality` tries
to install it); where they are missing, the line has fewer seeds and says so. Times are those of
float32, of the same codes run as floats and, where a layer is large enough, as integers, on the
processor at the head.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
import paretoscope as ps
from paretoscope.artifact.artifact import Artifact, make_draft, write_artifact
from paretoscope.artifact.kernel_times import against_first
from paretoscope.artifact.quick_latency import BATCHES
from paretoscope.artifact.writing import can_fuse
from paretoscope.base.blas import processor
from paretoscope.measurement.measurement import Baseline, score
from paretoscope.methods.kernels import Spelling
from paretoscope.training import train_cnn
from paretoscope.training.training import find_trained
from threadpoolctl import threadpool_limits

from benchmarks import peers

SEEDS = (0, 1, 2)
ALLOWED_TEST_DROP = 0.5  # points, mean of the seeds
_UNITS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
_SPARSITIES = (
    0.0,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.75,
    0.8,
    0.85,
    0.9,
    0.93,
    0.95,
    0.96,
    0.97,
    0.98,
)
_Q = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0)
_QUANTIZERS = (
    *(f"q({q:g})" for q in _Q),
    "symmetric(2,per=output,clip=mse)",
    "symmetric(3,per=output,clip=mse)",
)
_HEAD = """\
| model | target | reached (seeds) | test drop | on disk | time at 1, 16, 256 rows | s | others |
|---|---|---|---|---|---|---|---|"""
_CRITERIA = ("magnitude", "obs")
_STORAGES = ("packed", "bytes")


@dataclass(frozen=True)
class Gene:
    """What is done to one layer, as places in the lists above; `units` is 0 for the last layer."""

    units: int
    sparsity: int
    quantizer: int
    criterion: int = 0

    def text(self) -> str:
        share, sparsity = _UNITS[self.units], _SPARSITIES[self.sparsity]
        parts = [_QUANTIZERS[self.quantizer]]
        if sparsity:
            parts.insert(0, f"{_CRITERIA[self.criterion]}(sparsity={sparsity},scope=layer)")
        if share:
            parts.insert(0, f"l2({share},repair=refit)")
        return "+".join(parts)


@dataclass(frozen=True)
class Draft:
    """A recipe before it is spelt."""

    genes: tuple[Gene, ...]
    storage: int = 0

    def recipe(self, layers: Sequence[str], recovery: str) -> ps.Recipe:
        first, *others = [gene.text() for gene in self.genes]
        storage = _STORAGES[self.storage]
        own = [f"{name}={part}" for name, part in zip(layers[1:], others, strict=True)]
        return ps.Recipe.parse(";".join([f"{first}+{recovery}+{storage}", *own]))


@dataclass(frozen=True)
class Line:
    """One line of the table.

    `limit` is the largest drop in points on validation rows; it leaves room for what choosing the
    best of many on them gains by luck. Where there are too few rows for that (one of 360 is 0.28
    points), `budget` says how many times smaller the file must be, and of those the one with the
    least cross entropy on the validation rows is chosen.
    """

    title: str
    dataset: str
    model: str
    recovery: str
    on_disk: bool
    target: str
    start: Draft
    n_tried: int
    recorded: str
    limit: float = 0.3
    budget: float | None = None


def _genes(*genes: tuple[float, float, str]) -> Draft:
    return Draft(
        tuple(
            Gene(_UNITS.index(units), _SPARSITIES.index(sparsity), _QUANTIZERS.index(quantizer))
            for units, sparsity, quantizer in genes
        )
    )


_LENET = _genes((0.2, 0.6, "q(4)"), (0.1, 0.4, "q(4)"), (0, 0, "q(6)"))
LINES = (
    Line(
        "digits, MLP 64-32, fine-tuned",
        "digits",
        "mlp-64-32",
        "finetune(epochs=200)",
        on_disk=False,
        target="10x",
        start=_genes((0.5, 0.5, "q(3)"), (0.2, 0.5, "q(3)"), (0, 0, "q(4)")),
        n_tried=100,
        budget=10.3,
        recorded="9.6x NNC (not runnable here), 6.9x best runnable",
    ),
    Line(
        "digits, MLP 64-32, no retraining",
        "digits",
        "mlp-64-32",
        "gptq",
        on_disk=False,
        target="10x",
        start=_genes((0.2, 0.4, "q(4)"), (0.1, 0.3, "q(4)"), (0, 0, "q(5)")),
        n_tried=300,
        budget=10.3,
        recorded="9.6x NNC (not runnable here), 6.9x best runnable",
    ),
    Line(
        "Fashion-MNIST, LeNet-300-100, no retraining",
        "fashion-mnist",
        "lenet-300-100",
        "gptq",
        on_disk=False,
        target="26x, aim 30x",
        start=_LENET,
        n_tried=120,
        budget=28.0,
        recorded="18.1x NNC (not runnable here), 13.8x best runnable",
    ),
    Line(
        "Fashion-MNIST, LeNet-300-100, fine-tuned",
        "fashion-mnist",
        "lenet-300-100",
        "finetune(epochs=90,rate=0.003)",
        on_disk=False,
        target="50x, aim 75x",
        start=_genes((0.7, 0.9, "q(2.5)"), (0.4, 0.7, "q(3)"), (0, 0.4, "q(5)")),
        n_tried=10,
        limit=0.3,
        recorded="18.1x tfmot (90 % sparse, int8), 40x Deep Compression (on MNIST)",
    ),
    Line(
        "Fashion-MNIST, CNN, no retraining",
        "fashion-mnist",
        "cnn",
        "gptq",
        on_disk=False,
        target="20x",
        start=_genes((0, 0, "q(8)"), (0, 0.2, "q(10)"), (0.2, 0.6, "q(8)"), (0, 0, "q(12)")),
        n_tried=60,
        limit=0.3,
        recorded="18.9x NNC (not runnable here), 8.2x best runnable",
    ),
    Line(
        "Fashion-MNIST, LeNet-300-100, on disk",
        "fashion-mnist",
        "lenet-300-100",
        "gptq",
        on_disk=True,
        target="9x and 1.4x faster",
        start=_genes((0.2, 0, "q(4)"), (0.2, 0, "q(4)"), (0, 0, "q(6)")),
        n_tried=100,
        limit=0.3,
        recorded="7.8x and 12x slower",
    ),
)


@dataclass(frozen=True)
class Found:
    """The recipe that a search chose, and how it did on validation rows."""

    recipe: str
    validation_drop: float
    seconds: float


def run() -> None:
    chosen = {}
    jobs = [(line, seed) for line in LINES for seed in SEEDS if _is_there(line, seed)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:  # one BLAS thread in each
        for (line, seed), found in zip(
            jobs, pool.map(_search, *zip(*jobs, strict=True)), strict=True
        ):
            chosen[line.title, seed] = found
            print(f"  {line.title}, seed {seed}: {found}", file=sys.stderr, flush=True)
    print(f"times: {processor()}\n\n{_HEAD}")
    for line in LINES:
        seeds = [seed for seed in SEEDS if (line.title, seed) in chosen]
        print(_row(line, [_judge(line, s, chosen[line.title, s].recipe) for s in seeds]))
    print()
    for line in LINES:
        for seed in SEEDS:
            if (line.title, seed) in chosen:
                found = chosen[line.title, seed]
                print(f"{line.title}, seed {seed}, validation drop {found.validation_drop:.2f}, "
                      f"compressed in {found.seconds:.1f} s: `{found.recipe}`")  # fmt: skip
    print()
    for dataset, model in dict.fromkeys((line.dataset, line.model) for line in LINES):
        peers.run(dataset, model)
    if find_spec("torch") is None:
        print("PyTorch is not installed here: its pruning was not measured.")


def _is_there(line: Line, seed: int) -> bool:
    try:
        if line.model == "cnn" and seed > 0 and find_spec("torch") is not None:
            _train_cnn(line.dataset, seed)
        _network(line, seed)
    except ps.ParetoscopeError as error:
        print(f"left out: {line.title}, seed {seed}: {error}")
        return False
    return True


def _train_cnn(dataset: str, seed: int) -> None:
    if find_trained("cnn", ps.load_dataset(dataset, seed), seed) is None:
        print(f"training the CNN for {dataset}, seed {seed}", flush=True)
        train_cnn.main([dataset, "--seed", str(seed)])


def _network(line: Line, seed: int) -> tuple[ps.Dataset, ps.Network]:
    data = ps.load_dataset(line.dataset, seed)
    return data, ps.train(line.model, data, seed)


# --- choosing, on validation rows ----------------------------------------------------------------


@dataclass(frozen=True)
class Tried:
    """A draft on the validation rows: `drop` in points, cross entropy, the size that counts."""

    drop: float
    loss: float
    size: int
    seconds: float


def _search(line: Line, seed: int) -> Found:
    """Change one or two things at a time in one of the best so far."""
    with threadpool_limits(1):
        data, network = _network(line, seed)
        baseline = Baseline(network, data)
        largest = None if line.budget is None else _size(line, baseline.artifact) / line.budget
        rng = np.random.default_rng(seed)
        layers = list(network.weights)
        tried: dict[Draft, Tried] = {}
        draft = line.start
        for _ in range(line.n_tried):
            tried[draft] = _try(line, draft.recipe(layers, line.recovery), baseline)
            parents = _parents(tried, line.limit, largest)
            while draft in tried:
                draft = _changed(parents[rng.integers(len(parents))], rng)
        best = _best(tried, line.limit, largest)
        found = tried[best]
        return Found(str(best.recipe(layers, line.recovery)), found.drop, found.seconds)


def _best(tried: dict[Draft, Tried], limit: float, largest: float | None) -> Draft:
    """The smallest within the limit, or of those within the budget the one of least loss."""
    if largest is not None:
        within = [d for d in tried if tried[d].size <= largest] or list(tried)
        return min(within, key=lambda d: tried[d].loss)
    within = [d for d in tried if tried[d].drop <= limit]
    if within:
        return min(within, key=lambda d: tried[d].size)
    return min(tried, key=lambda d: tried[d].drop)


def _parents(tried: dict[Draft, Tried], limit: float, largest: float | None) -> list[Draft]:
    """Those worth changing: near the limit on the front of drop and size; or small and of little
    loss."""
    if largest is not None:
        small = [d for d in tried if tried[d].size <= 1.1 * largest] or list(tried)
        return sorted(small, key=lambda d: tried[d].loss)[:8]
    ordered = sorted(tried, key=lambda d: tried[d].size)
    front, best = [], np.inf
    for draft in ordered:
        if tried[draft].drop < best:
            best = tried[draft].drop
            front.append(draft)
    near = [d for d in front if tried[d].drop <= limit + 0.5]
    return near or [min(tried, key=lambda d: tried[d].drop)]


def _try(line: Line, recipe: ps.Recipe, baseline: Baseline) -> Tried:
    start = time.perf_counter()
    data = baseline.dataset
    draft = make_draft(baseline.network, recipe, data.train, data.validation)
    seconds = time.perf_counter() - start
    y = data.validation.y
    scores = draft.scores(data.validation.X).astype(np.float64)
    shifted = scores - scores.max(1, keepdims=True)
    loss = float(np.mean(np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(y)), y]))
    drop = 100 * float(np.mean(baseline.predictions == y) - np.mean(scores.argmax(1) == y))
    return Tried(drop, loss, _size(line, draft), seconds)


def _size(line: Line, artifact: Artifact) -> int:
    return artifact.sizes.file if line.on_disk else artifact.sizes.gzip


def _changed(draft: Draft, rng: np.random.Generator) -> Draft:
    """The draft with one or two of its places moved by a step or two."""
    for _ in range(int(rng.integers(1, 3))):
        number = int(rng.integers(len(draft.genes)))
        gene = draft.genes[number]
        what = rng.choice(["units", "sparsity", "quantizer", "criterion", "storage"],
                          p=[0.25, 0.3, 0.3, 0.1, 0.05])  # fmt: skip
        step = int(rng.choice([-2, -1, 1, 2]))
        if what == "storage":
            draft = replace(draft, storage=1 - draft.storage)
        elif what == "criterion":
            genes = list(draft.genes)
            genes[number] = replace(gene, criterion=1 - gene.criterion)
            draft = replace(draft, genes=tuple(genes))
        elif what != "units" or number + 1 < len(draft.genes):
            ends = {"units": _UNITS, "sparsity": _SPARSITIES, "quantizer": _QUANTIZERS}[what]
            moved = int(np.clip(getattr(gene, what) + step, 0, len(ends) - 1))
            genes = list(draft.genes)
            genes[number] = replace(gene, **{what: moved})
            draft = replace(draft, genes=tuple(genes))
    return draft


# --- judging, on test rows -----------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """A chosen file on the test rows."""

    ratio: float
    on_disk: float
    drop: float
    times: dict[str, list[float]]  # of float32's, by kernel, at 1, 16 and 256 rows
    seconds: float


def _judge(line: Line, seed: int, recipe: str) -> Judged:
    data, network = _network(line, seed)
    baseline = Baseline(network, data, "test")
    start = time.perf_counter()
    artifact = ps.compress(network, ps.Recipe.parse(recipe), data.train, data.validation)
    seconds = time.perf_counter() - start
    measured = score(artifact, baseline)
    return Judged(
        _size(line, baseline.artifact) / _size(line, artifact),
        baseline.artifact.sizes.file / artifact.sizes.file,
        -100 * measured.change.value,
        _times(artifact, baseline),
        seconds,
    )


def _times(artifact: Artifact, baseline: Baseline) -> dict[str, list[float]]:
    """The same codes run as integers, where they can be, and as floats."""
    spellings: tuple[Spelling, ...] = ("fused", "folded")
    files = {
        spelling: write_artifact(
            artifact.network, artifact.reduced, artifact.recipe, artifact.stored, spelling
        )
        for spelling in spellings
    }
    if not any(can_fuse(codes) for codes in artifact.stored.codes.values()):
        del files["fused"]
    found: dict[str, list[float]] = {kernel: [] for kernel in files}
    for batch in BATCHES:
        arms = [baseline.artifact.onnx_bytes, *files.values()]
        for kernel, latency in zip(files, against_first(arms, baseline.batch(batch)), strict=True):
            found[kernel].append(latency.ratio)
    return found


def _told_times(judged: Sequence[Judged]) -> str:
    """Means over the seeds in which a way of running codes made a difference."""
    told = []
    for kernel, name in (("folded", "floats"), ("fused", "integers")):
        with_it = [j.times[kernel] for j in judged if kernel in j.times]
        if with_it:
            told.append(f"{name} " + ", ".join(f"{r:.2f}" for r in np.mean(with_it, axis=0)))
    return "; ".join(told)


def _row(line: Line, judged: Sequence[Judged]) -> str:
    def spread(values: Iterator[float], digits: int) -> str:
        found = list(values)
        each = ", ".join(f"{v:.{digits}f}" for v in found)
        return f"{np.mean(found):.{digits}f} ({each})"

    drop = spread((j.drop for j in judged), 2)
    over = np.mean([j.drop for j in judged]) > ALLOWED_TEST_DROP
    return (
        f"| {line.title} | {line.target} | {spread((j.ratio for j in judged), 1)}x | "
        f"{drop}{' OVER 0.5' if over else ''} | {spread((j.on_disk for j in judged), 1)}x | "
        f"{_told_times(judged)} | "
        f"{np.mean([j.seconds for j in judged]):.1f} | {line.recorded} |"
    )
