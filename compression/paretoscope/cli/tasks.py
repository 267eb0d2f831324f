"""What the app lets jobs do: arguments and results are JSON, as `paretoscope.base.jobs` says.

Each task names its network by ``{"dataset", "split_seed", "model", "seed"}``, and most a "recipe";
what it is judged by is a "score", or the usual one, and a "decision" as
`Problem.deciding` takes it.
A file that was trained is found in the store by its "artifact_sha256", for training again could
give another; any other is made again, the same.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.artifact.artifact import compress, make_draft
from paretoscope.artifact.kernel_times import known
from paretoscope.artifact.quick_latency import batches_for
from paretoscope.artifact.size_parts import SizeReport, size_report
from paretoscope.base.blas import Others
from paretoscope.base.encoding import decode, encode
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.quiet import quiet
from paretoscope.base.store import default_store, sha256
from paretoscope.cli.results import (
    Answer,
    Flipped,
    FlipsResult,
    KernelsResult,
    NearMiss,
    RobustnessResult,
    RowsResult,
    ScoresResult,
    SearchResult,
    SeedsResult,
    Task,
    TimingResult,
)
from paretoscope.data.dataset import load_dataset
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.classes import flips, grown_confusion, recalls
from paretoscope.measurement.confirmation import confirm
from paretoscope.measurement.corruptions import corruptions, robustness
from paretoscope.measurement.latency_protocol import time_by_protocol
from paretoscope.measurement.measurement import (
    Baseline,
    Measured,
    Measurement,
    compute,
    environment,
    first_rows,
    measure,
    outputs_of,
    score,
    with_gzip,
    with_latency,
)
from paretoscope.methods.kernels import Auto
from paretoscope.methods.pruning import CRITERIA
from paretoscope.methods.quantization import FixedPoint, Symmetric
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from paretoscope.problems.comparison import compare
from paretoscope.sandbox.sandbox import SandboxError
from paretoscope.searches.search import search
from paretoscope.sweeps.cluster import ClusterError, cluster_of_the_server
from paretoscope.sweeps.front import pareto_front
from paretoscope.sweeps.surface import surface
from paretoscope.sweeps.sweep import CURVE_POINTS, grid, stops
from paretoscope.training.training import find_trained, train
from paretoscope.uploads.checking import UnknownLabelsError
from paretoscope.uploads.taking import judged, picked_up, take

Arguments = Mapping[str, Any]
Emit = Callable[[Mapping[str, Any]], None]

_LOG = logging.getLogger(__name__)
_FORMAT = 6  # raise it when results change, so that kept ones are found no more
_SHOWN_FLIPS = 24  # of each kind
_ROBUSTNESS_ROWS = 2_000
_TIMED_ROWS = 256  # the most that a call is timed with


def measure_task(arguments: Arguments, emit: Emit) -> dict[str, Any]:
    """One recipe on validation rows, one stage further; returns the measurement as a dict.

    Parameters
    ----------
    arguments : mapping
        ``{"dataset", "split_seed", "model", "seed", "recipe", "stage"}``, and the "measurement" so
        far for the last stage. Stages: "compute" (accuracy by float arithmetic), "measure" (the
        file scored, sized, timed at batch 1), "complete" (batches 16 and 256 too). With "zipped",
        the zipped size comes with each stage, else with the last.
    """
    baseline, recipe = _baseline_of(arguments), Recipe.parse(arguments["recipe"])
    if arguments["stage"] == "compute":
        drafted, computed = compute(baseline.network, recipe, baseline)
        return (with_gzip(computed, drafted) if arguments["zipped"] else computed).to_dict()
    data = baseline.dataset
    artifact = compress(
        baseline.network,
        recipe,
        data.train,
        data.validation,
        lambda fraction, text: emit({"fraction": fraction, "text": text}),
    )
    if recipe.trains:  # the download is this very file: training again could give another
        default_store().keep(f"artifact {artifact.sha256}", artifact.onnx_bytes)
        return measure(artifact, data, baseline=baseline).to_dict()
    if arguments["stage"] == "measure":
        first = with_latency(score(artifact, baseline), artifact, baseline, batch=1)
        return (with_gzip(first, artifact) if arguments["zipped"] else first).to_dict()
    measurement = Measured.from_dict(arguments["measurement"])
    for batch in batches_for(baseline.network.n_features):
        if measurement.latency(batch) is None:
            measurement = with_latency(measurement, artifact, baseline, batch)
    return with_gzip(measurement, artifact).to_dict()


def surface_task(arguments: Arguments, emit: Emit) -> dict[str, Any]:
    """Recipes computed at once, without their files; those of a graph that takes long on some of
    the rows first, since their files are run on all of them soon.

    Parameters
    ----------
    arguments : mapping
        With the "recipes" instead of one. With "tell_each", each is also emitted as it is found.

    Returns
    -------
    mapping
        "measurements" as dicts, in the order asked for.
    """
    baseline = _baseline_of(arguments)
    recipes = [Recipe.parse(text) for text in arguments["recipes"]]
    cluster, some = cluster_of_the_server(), first_rows(baseline)
    found: dict[int, Measurement] = {}
    if cluster is not None and len(recipes) > 1 and some is baseline:
        try:
            judged = baseline.score_name, baseline.decision
            asked = (baseline.network, baseline.dataset, baseline.split, recipes, *judged)
            found = dict(cluster.compute(*asked))
        except ClusterError as error:
            _LOG.warning("%s: points are computed here", error)
            cluster_of_the_server.cache_clear()
    if not found:
        for place, computed in surface(baseline.network, recipes, some):
            found[place] = computed
            if arguments.get("tell_each"):
                emit({"found": computed.to_dict()})
    return {"measurements": [found[place].to_dict() for place in range(len(recipes))]}


def zip_task(arguments: Arguments, emit: Emit) -> dict[str, Any]:
    """The zipped sizes of recipes' files, which are made but not run.

    Parameters
    ----------
    arguments : mapping
        With the "recipes" instead of one.

    Returns
    -------
    mapping
        "gzip_bytes", in the order asked for; None where a file cannot be made.
    """
    baseline = _baseline_of(arguments)
    sizes: list[int | None] = []
    for text in arguments["recipes"]:
        try:
            draft = make_draft(baseline.network, Recipe.parse(text), baseline.dataset.train)
            sizes.append(draft.sizes.gzip)
        except ParetoscopeError:
            sizes.append(None)
    return {"gzip_bytes": sizes}


def judge_upload_task(arguments: Arguments, emit: Emit) -> dict[str, Any]:
    """What an upload is, as `paretoscope.uploads.taking.put_down` told where it lies.

    Returns
    -------
    mapping
        "checked" as `encode` gives it; or "unknown": the labels, the model's classes and outputs
        where the labels are none of its classes; or "limit": which limit it was stopped by.
    """
    try:
        return {"checked": encode(judged(picked_up(arguments)))}
    except UnknownLabelsError as error:
        return {"unknown": [error.labels, error.classes, error.outputs]}
    except SandboxError as error:
        return {"limit": str(error)}


def take_upload_task(arguments: Arguments, emit: Emit) -> dict[str, Any]:
    """Keep an upload, for rows beside it or for the "dataset"; what was kept, as `encode` gives
    it."""
    there = {name: value for name, value in arguments.items() if name != "dataset"}
    folder = Path(arguments["folder"])  # of whoever asked, who takes it away
    found: dict[str, Any] = encode(take(picked_up(there), arguments["dataset"], folder))
    return found


def remembered(task: Callable[[Arguments, Emit], Any]) -> Callable[[Arguments, Emit], Any]:
    """Keeps a task's record in the store, where `find_result` finds it, also after a restart, and
    answers with it as JSON types."""

    @wraps(task)
    def kept(arguments: Arguments, emit: Emit) -> dict[str, Any]:
        result: dict[str, Any] = encode(task(arguments, emit))
        key = _key(task.__name__, arguments, _baseline_of(arguments).network)
        default_store().keep(key, json.dumps(result).encode())
        return result

    return kept


def find_result(task: Task[Answer], arguments: Arguments, network: Network) -> Answer | None:
    """What a remembered task answered on this machine, or None."""
    kept = default_store().find(_key(task.name, arguments, network))
    return None if kept is None else decode(task.answer, json.loads(kept))


def _key(task: str, arguments: Arguments, network: Network) -> str:
    asked = json.dumps(dict(arguments), sort_keys=True)
    return f"{task} {_FORMAT} {asked} for {network.sha256} on {environment()}"


@remembered
def rows_task(arguments: Arguments, emit: Emit) -> RowsResult:
    """What became of which validation rows."""
    baseline = _baseline_of(arguments)
    data = baseline.dataset
    emit({"fraction": None, "text": "running the file on the validation rows"})
    y = _labels(baseline)
    outputs = outputs_of(_file(arguments, emit), baseline.rows)
    now, before = baseline.problem.predict(outputs).classes, baseline.predictions
    confusion = grown_confusion(now, before, y, data.class_names)
    flipped = flips(now, before, y)

    def some(places: npt.NDArray[np.intp]) -> Flipped:
        shown = ((int(i), int(y[i]), int(before[i]), int(now[i])) for i in places[:_SHOWN_FLIPS])
        return Flipped(len(places), tuple(shown))

    return RowsResult(
        recalls=tuple(recalls(now, before, y, data.class_names)),
        confusion=confusion,
        n=len(y),
        newly_wrong=some(flipped.newly_wrong),
        newly_right=some(flipped.newly_right),
        other=some(flipped.other),
    )


@remembered
def scores_task(arguments: Arguments, emit: Emit) -> ScoresResult:
    """Every score of the dataset's problem on validation rows, before and now."""
    baseline = _baseline_of(arguments)
    rows, problem = baseline.rows, baseline.problem
    emit({"fraction": None, "text": "running the file on the validation rows"})
    now = outputs_of(_file(arguments, emit), rows)
    found = compare(problem, now, baseline.outputs, baseline.targets)
    first, why = problem.opens_with(baseline.targets)
    return ScoresResult(found, first.name, why, len(rows))


@remembered
def flips_task(arguments: Arguments, emit: Emit) -> FlipsResult:
    """Two files on the same validation rows: "recipe" and "other"."""
    baseline = _baseline_of(arguments)
    y = _labels(baseline)
    second = {"recipe": arguments["other"], "artifact_sha256": arguments.get("other_sha256", "")}
    labels = []
    for asked in (arguments, {**arguments, **second}):
        emit({"fraction": None, "text": f"running {asked['recipe']}"})
        outputs = outputs_of(_file(asked, emit), baseline.rows)
        labels.append(baseline.problem.predict(outputs).classes)
    one, other = labels[0] == y, labels[1] == y
    places = np.flatnonzero(one != other)
    shown = ((int(i), int(y[i]), int(labels[0][i]), int(labels[1][i])) for i in places)
    return FlipsResult(
        both=int((one & other).sum()),
        first=int((one & ~other).sum()),
        second=int((~one & other).sum()),
        neither=int((~one & ~other).sum()),
        differ=int((~one & ~other & (labels[0] != labels[1])).sum()),
        n=len(y),
        flipped=Flipped(len(places), tuple(islice(shown, _SHOWN_FLIPS))),
    )


def file_task(arguments: Arguments, emit: Emit) -> dict[str, Any]:
    """A recipe's file, kept in the store: "sha256" is its name there."""
    onnx_bytes = _file(arguments, emit)
    digest = sha256(onnx_bytes)
    default_store().keep(f"artifact {digest}", onnx_bytes)
    return {"sha256": digest}


def layer_task(arguments: Arguments, emit: Emit) -> dict[str, Any]:
    """What a recipe's file holds of one "layer": "storage"; "values" of its codes, and "counts" of
    each, none of floats; and of each weight whether it is "kept", in bits (base64) of "shape"."""
    baseline, recipe = _baseline_of(arguments), Recipe.parse(arguments["recipe"])
    rows = None if recipe.needs_no_rows else baseline.dataset.train
    draft = make_draft(baseline.network, recipe, rows)
    codes = draft.stored.codes[arguments["layer"]]
    kept = np.broadcast_to(draft.cut.kept[arguments["layer"]], codes.values.shape)
    whole = codes.values.dtype.kind in "iu"
    values, counts = np.unique(codes.values if whole else np.zeros(0, int), return_counts=True)
    return {
        "storage": codes.storage,
        "values": values.tolist(),
        "counts": counts.tolist(),
        "kept": base64.b64encode(np.packbits(kept).tobytes()).decode("ascii"),
        "shape": list(kept.shape),
    }


def confirm_task(arguments: Arguments, emit: Emit) -> dict[str, Any]:
    """Read the test rows for one recipe; returns nothing, for the record is in the store."""
    baseline = _baseline_of(arguments)
    onnx_bytes = _file(arguments, emit)
    emit({"fraction": None, "text": "reading the test rows"})
    recipe = Recipe.parse(arguments["recipe"])
    confirm(
        onnx_bytes,
        recipe,
        baseline.network,
        baseline.dataset,
        score=baseline.score_name,
        decision=baseline.decision,
    )
    return {}


@remembered
def timing_task(arguments: Arguments, emit: Emit) -> TimingResult:
    """Time a file by protocol, with the "runtime" and "against" that are asked for."""
    baseline = _baseline_of(arguments)
    onnx_bytes = _file(arguments, emit)
    others = Others()
    timings = time_by_protocol(
        onnx_bytes,
        baseline.artifact.onnx_bytes,
        baseline.rows.at(np.arange(min(_TIMED_ROWS, len(baseline.rows)))).X,
        runtime=arguments["runtime"],
        against=arguments["against"],
        report=lambda fraction, text: emit({"fraction": fraction, "text": text}),
    )
    return TimingResult(tuple(timings), others.processors())


@remembered
def kernels_task(arguments: Arguments, emit: Emit) -> KernelsResult:
    """How the network's codes run on this machine, by integer kernels and as floats."""
    network, rows = _baseline_of(arguments).network, _baseline_of(arguments).dataset.train
    emit({"fraction": None, "text": "timing its codes as integers and as floats"})
    with quiet():  # what is found is kept for good
        artifact = compress(network, Recipe(quantizer=Symmetric(8), kernel=Auto()), rows)
    times = known(artifact.reduced, artifact.stored)
    return KernelsResult(times, str(artifact.recipe.kernel))


@remembered
def size_task(arguments: Arguments, emit: Emit) -> SizeReport:
    """Where a file's bytes are."""
    baseline = _baseline_of(arguments)
    onnx_bytes = _file(arguments, emit)
    emit({"fraction": None, "text": "taking the file apart"})
    recipe = Recipe.parse(arguments["recipe"])
    return size_report(onnx_bytes, recipe, baseline.network, baseline.dataset.train)


@remembered
def robustness_task(arguments: Arguments, emit: Emit) -> RobustnessResult:
    """The score before and after compression under corruptions, on at most 2,000 rows."""
    baseline = _baseline_of(arguments)
    onnx_bytes = _file(arguments, emit)
    rows = baseline.rows.at(np.arange(min(_ROBUSTNESS_ROWS, len(baseline.rows))))
    total = sum(len(c.strengths) for c in corruptions(baseline.dataset))
    found = []
    files, judged = (onnx_bytes, baseline.artifact.onnx_bytes), (baseline.score, baseline.problem)
    for point in robustness(*files, baseline.dataset, rows, *judged):
        found.append(point)
        emit({"fraction": len(found) / total, "text": f"{point.corruption} {point.strength:g}"})
    return RobustnessResult(tuple(found), len(rows))


@remembered
def seeds_task(arguments: Arguments, emit: Emit) -> SeedsResult:
    """The recipe on several networks: "seeds" of them, each with a split and a training of its
    own."""
    recipe, n = Recipe.parse(arguments["recipe"]), int(arguments["seeds"])
    found = []
    for seed in range(n):

        def report(fraction: float | None, text: str, seed: int = seed) -> None:
            done = (seed + 0.9 * (fraction or 0)) / n
            emit({"fraction": done, "text": f"seed {seed + 1} of {n}: {text}"})

        report(None, "training, or reading what was trained")
        data = load_dataset(arguments["dataset"], seed)
        network = train(arguments["model"], data, seed, report=report)
        artifact = compress(network, recipe, data.train, data.validation, report)
        judged = arguments.get("score", ""), arguments.get("decision", "")
        baseline = Baseline(network, data, "", *judged)
        found.append(measure(artifact, data, batches=(), baseline=baseline))
    return SeedsResult(tuple(found))


@remembered
def search_task(arguments: Arguments, emit: Emit) -> SearchResult:
    """Search within a budget, then compute the front of all candidates.

    Parameters
    ----------
    arguments : mapping
        "budget", a `Budget` as a dict; "aim"; "criteria", names of criteria; "recoveries", texts;
        "by_layer".
    """
    baseline = _baseline_of(arguments)
    network, data = baseline.network, baseline.dataset
    candidates = candidates_of(network, arguments["criteria"])
    timed = arguments["aim"] == "time" or arguments["budget"].get("time_us") is not None

    def report(fraction: float | None, text: str) -> None:
        emit({"fraction": None if fraction is None else 0.7 * fraction, "text": text})

    def make(recipe: Recipe) -> Measured:
        artifact = compress(network, recipe, data.train, data.validation)
        default_store().keep(f"artifact {artifact.sha256}", artifact.onnx_bytes)
        made = measure(artifact, data, batches=(1,) if timed else (), baseline=baseline)
        emit({"found": made.to_dict()})
        return made

    found = search(
        network,
        candidates,
        baseline,
        Budget(**arguments["budget"]),
        aim=arguments["aim"],
        recoveries=[Recipe.parse(text).recovery for text in arguments["recoveries"]],
        by_layer=arguments["by_layer"],
        measure=make,
        report=report,
    )
    emit({"fraction": 0.7, "text": f"the front of {len(candidates):,} candidates"})
    computed = []
    for _, measurement in surface(network, candidates, baseline):
        computed.append(measurement)
        done = len(computed) / len(candidates)
        if len(computed) % 21 == 0:
            emit({"fraction": 0.7 + 0.3 * done, "text": f"computed {len(computed):,} candidates"})
    if arguments["aim"] == "gzip":  # by the bound of their weights first, then by their files
        near = pareto_front(computed, ("quality", "entropy"))
        zipped = [with_gzip(m, make_draft(network, m.recipe, data.train)) for m in near]
        front = pareto_front(zipped, ("quality", "gzip"))
    else:
        front = pareto_front(computed, ("quality", "size"))
    return SearchResult(
        best=found.measurement,
        near=tuple(NearMiss(str(n.recipe), n.change) for n in found.near),
        over=found.over,
        candidates=found.candidates,
        evaluations=found.evaluations,
        n=len(baseline.rows),
        front=tuple(front),
    )


def candidates_of(network: Network, criteria: Sequence[str]) -> list[Recipe]:
    """The recipes that a search looks at: places of each criterion by values of Q."""
    qs, found = stops(network, FixedPoint, "q", CURVE_POINTS), []
    for name in criteria:
        criterion = next(c for c in CRITERIA if c.name == name)
        axis = "sparsity" if criterion.needs_rows else "threshold"
        places = stops(network, criterion, axis, CURVE_POINTS)
        found += grid(criterion, FixedPoint, **{axis: places}, q=qs)
    return found


def _file(arguments: Arguments, emit: Emit) -> bytes:
    """The bytes of the recipe's file."""
    kept = default_store().read(str(arguments.get("artifact_sha256", "")))
    if kept is not None:
        return kept
    baseline, recipe = _baseline_of(arguments), Recipe.parse(arguments["recipe"])
    data = baseline.dataset
    emit({"fraction": None, "text": f"making the file of {recipe}"})
    return compress(
        baseline.network,
        recipe,
        data.train,
        data.validation,
        lambda fraction, text: emit({"fraction": fraction, "text": text}),
    ).onnx_bytes


def _baseline_of(arguments: Arguments) -> Baseline:
    named = (arguments[k] for k in ("dataset", "split_seed", "model", "seed"))
    return _baseline(*named, arguments.get("score", ""), arguments.get("decision", ""))


def _labels(baseline: Baseline) -> npt.NDArray[np.int64]:
    """The true classes of the rows. Raises a ParetoscopeError where there are none."""
    if baseline.targets.dtype.kind != "i":
        raise ParetoscopeError(f"{baseline.dataset.title} has no classes")
    return baseline.targets.astype(np.int64)


@lru_cache(maxsize=2)  # of the worker's process, which serves one network for a while
def _baseline(
    dataset: str, split_seed: int, model: str, seed: int, score_name: str, decision: str
) -> Baseline:
    data = load_dataset(dataset, split_seed)
    network = find_trained(model, data, seed)
    if network is None:
        raise ParetoscopeError(f"{model} on {dataset} with seed {seed} has not been trained yet")
    return Baseline(network, data, "", score_name, decision)
