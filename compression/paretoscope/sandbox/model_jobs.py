"""Jobs of a sandbox that run models: once to see what they are, or loaded for many calls."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from paretoscope.sandbox.refused import RefusedError

_LARGEST_BATCH = 256
_VALUES_A_CALL = 2**20  # of the inputs: what is computed of them is larger by far


def try_model(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Load a model and run it on two rows of small numbers.

    Arguments: "inputs" (name, type and shape of each), "widths": numbers of features to try where
    the shape leaves that open. Returns the outputs (name, type, shape, whether all finite), the
    width that was taken, and the rows: one, where two cannot be run.
    """
    session = load_session(parts[0])
    failed: Exception | None = None
    for rows, width in itertools.product((2, 1), arguments["widths"] or [None]):
        feeds = {i["name"]: _small_numbers(i, width, rows) for i in arguments["inputs"]}
        try:
            outputs = session.run(None, feeds)
        except Exception as error:
            if "alloc" in str(error):
                raise
            failed = failed or error
            continue
        names = [o.name for o in session.get_outputs()]
        described = [_described(n, o) for n, o in zip(names, outputs, strict=True)]
        return {"outputs": described, "width": width, "rows": rows}
    raise failed or RefusedError("there is nothing to feed the model")


def predict(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run a model on rows; parts: the model, then the rows of each input, one after the other.

    Arguments: "inputs" (name, type, shape of the rows as given), "output" (its place), "batch"
    (rows a call, where the model fixes them), "above" (what tells two classes apart), "numbers"
    (whether the outputs themselves are wanted). Returns for each row the label, or the place of the
    largest score; and how many rows had a score that is not a finite number. Of numbers their
    bytes, as float64, and how many there are of a row.
    """
    import numpy as np

    session = load_session(parts[0])
    feeds = {}
    for part, given in zip(parts[1:], arguments["inputs"], strict=True):
        if given["type"] == "string":
            rows = np.array(json.loads(part), object).reshape(given["shape"])
        else:
            rows = np.frombuffer(part, np.float64).reshape(given["shape"])
            rows = rows.astype(_TYPES[given["type"]])
        feeds[given["name"]] = rows
    n = len(next(iter(feeds.values())))
    step = arguments["batch"] or _LARGEST_BATCH
    name = session.get_outputs()[arguments["output"]].name
    labels: list[str] = []
    numbers: list[Any] = []
    broken = 0
    for start in range(0, n, step):
        some = {k: v[start : start + step] for k, v in feeds.items()}
        left = len(next(iter(some.values())))
        if arguments["batch"] and left < step:  # the last batch is filled up, and cut again
            some = {k: np.concatenate([v, v[:1].repeat(step - left, 0)]) for k, v in some.items()}
        found = session.run([name], some)[0]
        if isinstance(found, list):  # a probability for each label
            labels += [str(max(row, key=row.get)) for row in found[:left]]
            continue
        found = np.asarray(found)[:left]
        if arguments["numbers"]:
            if found.dtype.kind not in "iuf":
                raise RefusedError("its output holds other than numbers")
            numbers.append(found.reshape(left, -1).astype(np.float64))
            continue
        if found.dtype.kind in "fc":
            flat = found.reshape(left, -1)
            broken += int((~np.isfinite(flat)).any(1).sum())
            one = flat.shape[1] == 1
            found = (flat[:, 0] > arguments["above"]).astype(int) if one else flat.argmax(1)
        labels += [str(label) for label in found.reshape(left, -1)[:, 0].tolist()]
    if numbers:
        whole = np.concatenate(numbers)
        return {"bytes": np.ascontiguousarray(whole).tobytes(), "n_numbers": whole.shape[1]}
    return {"labels": labels, "not_finite": broken}


def load_session(model: bytes, threads: int | None = 1, *, plain: bool = False) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


_TYPES = {
    "float": "float32", "double": "float64", "float16": "float16", "int8": "int8",
    "int16": "int16", "int32": "int32", "int64": "int64", "uint8": "uint8", "uint16": "uint16",
    "uint32": "uint32", "uint64": "uint64", "bool": "bool",
}  # fmt: skip


def _small_numbers(given: Mapping[str, Any], width: int | None, rows: int) -> Any:
    """Rows that any sane model takes: numbers between 0 and 1, ones where whole numbers are due."""
    import numpy as np

    shape = given["shape"]
    shape = [None, width] if shape is None else shape
    dims = [d if d else (rows if place == 0 else width or 1) for place, d in enumerate(shape)]
    if given["type"] == "string":
        return np.full(dims, "a", object)
    if given["type"] not in _TYPES:
        raise RefusedError(f"inputs of type {given['type']} are not supported")
    rng = np.random.default_rng(0)
    kind = np.dtype(_TYPES[given["type"]])
    return rng.random(dims).astype(kind) if kind.kind == "f" else np.ones(dims, kind)


def _described(name: str, output: Any) -> dict[str, Any]:
    import numpy as np

    if isinstance(output, list):
        maps = bool(output) and isinstance(output[0], dict)
        return {"name": name, "type": "map" if maps else "sequence", "shape": [len(output)]}
    output = np.asarray(output)
    finite = bool(np.isfinite(output).all()) if output.dtype.kind in "fc" else True
    kind = "string" if output.dtype.kind in "OU" else output.dtype.name
    return {"name": name, "type": kind, "shape": list(output.shape), "finite": finite}


def open_model(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Load a model to run it many times, in place of what was loaded under this name.

    Arguments: "name", "signature" (as `paretoscope.network.signature` writes it), "threads" (None:
    as many as the runtime takes), "plain" (whether its operators run as they stand in the file).
    """
    OPEN[arguments["name"]] = _Open(parts[0], arguments)
    return {}


def constants(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a model without inputs makes: the bytes of its outputs, one after the other, and their
    "shapes" and "types"; what is no number is left empty."""
    import numpy as np

    del arguments
    found = [np.asarray(made) for made in load_session(parts[0]).run(None, {})]
    found = [a if a.dtype.kind in "biuf" else np.empty(0, np.int8) for a in found]
    whole = b"".join(np.ascontiguousarray(array).tobytes() for array in found)
    shapes, types = [list(a.shape) for a in found], [a.dtype.name for a in found]
    return {"bytes": whole, "shapes": shapes, "types": types}


def outputs(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What an open model gives for rows of float32; part: the rows.

    Arguments: "name", "n" (rows), "all" (the other outputs of floats, too). Returns the bytes of
    float32, rows one after the other, and the "widths" of the outputs in them.
    """
    import numpy as np

    opened = OPEN[arguments["name"]]
    X = np.frombuffer(parts[0], np.float32).reshape(arguments["n"], -1)
    names = [opened.signature["output"], *(opened.signature["others"] * arguments["all"])]
    found = opened.run(X, names)
    whole = np.concatenate(found, 1) if len(found) > 1 else found[0]
    return {"bytes": np.ascontiguousarray(whole).tobytes(), "widths": [f.shape[1] for f in found]}


def seconds(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """How long calls of an open model take; part: the rows of one call, or none for those before.

    Arguments: "name", "n" (rows), "calls".
    """
    import gc
    import time

    import numpy as np

    opened = OPEN[arguments["name"]]
    if parts:
        X = np.frombuffer(parts[0], np.float32).reshape(arguments["n"], -1)
        opened.timed = opened.feeds(X)
    run, feeds = opened.session.run, opened.timed
    names = [opened.signature["output"]]
    gc.disable()
    start = time.perf_counter_ns()
    for _ in range(arguments["calls"]):
        run(names, feeds)
    taken = time.perf_counter_ns() - start
    gc.enable()
    return {"seconds": taken * 1e-9}


def feeds_of(signature: Mapping[str, Any], X: Any) -> dict[str, Any]:
    """The inputs of a model for rows."""
    found, start = {}, 0
    for feed in signature["inputs"]:
        width = 1
        for side in feed["row"]:
            width *= side
        part = X[:, start : start + width].reshape(len(X), *feed["row"])
        found[feed["name"]] = part.astype(_TYPES[feed["type"]], order="C")
        start += width
    return found


def in_calls(signature: Mapping[str, Any], X: Any) -> Iterator[tuple[int, Any]]:
    """Rows as they are run together: how many were asked for, and they with those that fill up the
    last call."""
    import numpy as np

    step = signature["batch"] or max(1, min(_LARGEST_BATCH, _VALUES_A_CALL // X.shape[1]))
    for start in range(0, len(X), step):
        some = X[start : start + step]
        n = len(some)
        if signature["batch"] and n < step:
            some = np.concatenate([some, some[:1].repeat(step - n, 0)])
        yield n, some


def row_by_row(output: Any, n: int, n_fed: int, name: str) -> Any:
    """An output as float32 of shape (n, numbers of a row)."""
    import numpy as np

    if not isinstance(output, np.ndarray) or output.shape[:1] != (n_fed,):
        raise RefusedError(f"the output '{name[:60]}' is not row by row")
    return output[:n].reshape(n, -1).astype(np.float32)


class _Open:
    """A loaded model, and how rows become its inputs."""

    def __init__(self, model: bytes, arguments: Mapping[str, Any]) -> None:
        self.signature = arguments["signature"]
        self.session = load_session(model, arguments["threads"], plain=arguments["plain"])
        self.timed: dict[str, Any] = {}

    def feeds(self, X: Any) -> dict[str, Any]:
        return feeds_of(self.signature, X)

    def run(self, X: Any, names: Sequence[str]) -> list[Any]:
        """Each output as float32 of shape (rows, numbers of a row)."""
        import numpy as np

        found: list[list[Any]] = [[] for _ in names]
        for n, some in in_calls(self.signature, X):
            outputs = self.session.run(list(names), self.feeds(some))
            for of_name, name, output in zip(found, names, outputs, strict=True):
                of_name.append(row_by_row(output, n, len(some), name))
        return [np.concatenate(of_name) for of_name in found]


OPEN: dict[str, _Open] = {}
