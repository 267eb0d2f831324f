"""What runs in a sandbox: it holds itself to its limits, then does the jobs it is given.

A program, not a module: it is started by its path, so that neither the library nor what it imports
is loaded. A job is a line of JSON on standard input, ``{"job", "sizes", "arguments"}``, followed by
so many bytes for each part; its answer is a line of JSON on standard output, and after it the bytes
that the line counts as ``n_bytes``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LARGEST_BATCH = 256
_WATCH_S = 0.5


def _hold(limits: Mapping[str, int]) -> None:
    """Set the limits, before anything else is imported."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    n_bytes = limits["memory_mb"] * 2**20
    wanted = {
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CPU": limits["processor_s"],
        "RLIMIT_AS": n_bytes,
    }
    if sys.platform == "linux":
        for name, limit in wanted.items():
            resource.setrlimit(getattr(resource, name), (limit, limit))


def _step_back() -> None:
    """Stand as far back as the process that started this one: Linux weighs whole sessions against
    each other (sched(7), autogroup), and this is one of its own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as file:
            file.write(f"{os.nice(0)}\n")


def _end_with_parent() -> None:
    """A worker that was killed in the middle of a job leaves no process behind that goes on."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    _step_back()
    _hold(json.loads(sys.argv[1]))
    _end_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a runtime prints is no answer
    source = sys.stdin.buffer
    while line := source.readline():
        head = json.loads(line)
        parts = [source.read(size) for size in head["sizes"]]
        answer: dict[str, Any]
        after = b""
        try:
            result = JOBS[head["job"]](parts, head["arguments"])
            after = result.pop("bytes", b"")
            answer = {"result": result, "n_bytes": len(after)}
        except MemoryError:
            answer = {"error": "MemoryError"}
        except RefusedError as error:
            answer = {"error": str(error)}
        except Exception as error:
            answer = {"error": _sentence(head["job"], error)}
        answers.write(json.dumps(answer).encode() + b"\n" + after)
        answers.flush()


class RefusedError(Exception):
    """A sentence on what is wrong."""


def _sentence(job: str, error: Exception) -> str:
    """The runtime's own words, on one line and not too many."""
    text = " ".join(str(error).split())
    if job == "table":
        return f"the file is damaged: {text[:200]}"
    return f"ONNX Runtime refuses it, so export it again: {text[:300]}"


def try_model(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Load a model and run it on two rows of small numbers.

    Arguments: "inputs" (name, type and shape of each), "widths": numbers of features to try where
    the shape leaves that open. Returns the outputs (name, type, shape, whether all finite), the
    width that was taken, and the rows: one, where two cannot be run.
    """
    session = _session(parts[0])
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

    session = _session(parts[0])
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


def table(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A Parquet file's or NPZ archive's columns as CSV in UTF-8, missing values as empty cells.

    Arguments: "kind" ("parquet" or "npz"), "most_cells", "most_bytes". Returns beside the text the
    columns that were an index, and notes on what was done.
    """
    import csv
    import io

    notes: list[str] = []
    index: list[str] = []
    if arguments["kind"] == "parquet":
        columns = _parquet_columns(parts[0], arguments["most_cells"], index)
    else:
        columns = _npz_columns(parts[0], arguments["most_cells"], notes)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(row)
        if out.tell() > arguments["most_bytes"]:
            raise RefusedError(
                f"as text the table has more than {arguments['most_bytes'] / 1e6:.0f} MB"
            )
    return {"bytes": out.getvalue().encode(), "index": index, "notes": notes}


def arrays(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of an NPZ archive as they are: bytes stay bytes, other numbers become float32,
    text JSON. Argument: "most_bytes" of all. Returns for each its "name", "type", "shape" and
    "n_bytes", and after them the bytes."""
    import io

    import numpy as np

    described: list[dict[str, Any]] = []
    packed: list[bytes] = []
    left = arguments["most_bytes"]
    with np.load(io.BytesIO(parts[0]), allow_pickle=False) as archive:
        for info, name in zip(archive.zip.infolist(), archive.files, strict=True):
            if info.file_size > left:
                raise RefusedError(
                    f"unpacked, the arrays have more than {arguments['most_bytes'] / 1e6:,.0f} MB"
                )
            try:
                array = archive[name]
            except ValueError:
                raise RefusedError(
                    f"the array '{name[:60]}' holds objects, which only a pickle could hold, or is "
                    "damaged"
                ) from None
            if array.ndim == 0:
                continue
            kind = "float32"
            if array.dtype.kind in "US":
                texts = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
                kind, data = "text", json.dumps(texts.ravel().tolist()).encode()
            elif array.dtype.kind not in "biuf":
                raise RefusedError(
                    f"the array '{name[:60]}' holds {array.dtype}, not numbers or text"
                )
            else:
                if array.dtype == np.uint8:
                    kind = "uint8"
                elif array.dtype.kind in "iu" and np.abs(array).max(initial=0) > _EXACT:
                    raise RefusedError(
                        f"the array '{name[:60]}' holds whole numbers beyond {_EXACT:,}"
                    )
                data = np.ascontiguousarray(array, kind).tobytes()
            left -= len(data)
            if left < 0:
                raise RefusedError(
                    f"unpacked, the arrays have more than {arguments['most_bytes'] / 1e6:,.0f} MB"
                )
            one = {"name": name, "type": kind, "shape": list(array.shape), "n_bytes": len(data)}
            described.append(one)
            packed.append(data)
    return {"bytes": b"".join(packed), "arrays": described}


_EXACT = 2**24  # up to it float32 holds every whole number


def _require_few(n_rows: int, n_columns: int, most_cells: int) -> None:
    if n_rows * n_columns > most_cells:
        raise RefusedError(
            f"the table has {n_rows:,} rows of {n_columns:,} columns; at most {most_cells:,} cells "
            "are taken: leave out rows or columns"
        )


def _parquet_columns(data: bytes, most_cells: int, index: list[str]) -> dict[str, list[Any]]:
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve more than the limit
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))
    names = file.schema_arrow.names
    kept = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
    index += [name for name in kept if isinstance(name, str) and name in names]
    _require_few(file.metadata.num_rows, len(names), most_cells)
    read = file.read(use_threads=False)
    columns: dict[str, list[Any]] = {}
    for place, (name, column) in enumerate(zip(names, read.columns, strict=True)):
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
            column = column.cast(kind)
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise RefusedError(f"the column '{name[:60]}' holds {kind}, not numbers or text")
        cells = column.to_pylist()
        columns[_once(name or f"column {place + 1}", columns)] = [
            "" if c is None else int(c) if isinstance(c, bool) else c for c in cells
        ]
    return columns


def _npz_columns(data: bytes, most_cells: int, notes: list[str]) -> dict[str, list[Any]]:
    import io

    import numpy as np

    arrays = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except ValueError:
                raise RefusedError(
                    f"the array '{name[:60]}' holds objects, which only a pickle could hold, or is "
                    "damaged"
                ) from None
    named = arrays.pop("feature_names", None)
    flat = {name: a for name, a in arrays.items() if a.ndim > 0}
    if not flat:
        raise RefusedError("the archive holds no arrays")
    if len({len(a) for a in flat.values()}) > 1:
        told = ", ".join(f"{name[:40]} {len(a):,}" for name, a in list(flat.items())[:6])
        raise RefusedError(
            f"the arrays have different numbers of rows ({told}): save one of features and one of "
            "labels"
        )
    n = len(next(iter(flat.values())))
    flat = _with_plain_labels(flat, notes)
    wide = {name: a.reshape(n, -1) if n else a for name, a in flat.items()}
    _require_few(n, sum(a.shape[-1] for a in wide.values()), most_cells)
    columns: dict[str, list[Any]] = {}
    for name, array in sorted(wide.items(), key=lambda item: item[1].shape[-1] == 1):
        if array.dtype.kind in "cV":
            raise RefusedError(f"the array '{name[:60]}' holds {array.dtype}, not numbers or text")
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8")
        if array.dtype.kind == "b":
            array = array.astype(int)
        width = array.shape[-1]
        own = [name] if width == 1 else [f"{name} {k}" for k in range(width)]
        if named is not None and width > 1 and named.shape == (width,):
            own = [str(text) for text in named.tolist()]
        for title, cells in zip(own, array.T, strict=True):
            columns[_once(title, columns)] = (
                cells.astype(str).tolist() if array.dtype.kind in "mM" else cells.tolist()
            )
    return columns


def _with_plain_labels(arrays: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Labels of several columns never become features: those that are one-hot become one column."""
    import numpy as np

    wide = {name: a for name, a in arrays.items() if a.ndim > 1 and a[:1].size > 1}
    named = [name for name in wide if _LABELS.search(name)]
    if not named and len(wide) > 1 and len(wide) == len(arrays):
        named = [name for name, a in wide.items() if _is_one_hot(a)]
        if len(named) != 1:
            told = " and ".join(f"'{name[:40]}'" for name in list(wide)[:3])
            raise RefusedError(
                f"the arrays {told} have several columns each: save the labels as one, named 'y'"
            )
    found = dict(arrays)
    for name in named:
        labels = wide[name]
        if not _is_one_hot(labels):
            raise RefusedError(
                f"the array '{name[:60]}' has several labels a row (multi-label, "
                f"{labels[:1].size} columns); one label a row is taken"
            )
        found[name] = np.argmax(labels, axis=1)
        notes.append(
            f"the array '{name[:60]}' is one-hot: the place of its 1 is the class, from 0 to "
            f"{labels.shape[1] - 1}"
        )
    return found


_LABELS = re.compile(r"(^|[_ .-])(y|labels?|targets?|class(es)?)($|[_ .-])", re.IGNORECASE)


def _is_one_hot(array: Any) -> bool:
    import numpy as np

    if array.ndim != 2 or array.dtype.kind not in "biuf" or not len(array):
        return False
    return bool(((array == 0) | (array == 1)).all() and (np.sum(array, axis=1) == 1).all())


def _once(name: str, taken: Mapping[str, Any]) -> str:
    own, number = name, 2
    while own in taken:
        own, number = f"{name} ({number})", number + 1
    return own


def _session(model: bytes, threads: int | None = 1, *, plain: bool = False) -> Any:
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
    _OPEN[arguments["name"]] = _Open(parts[0], arguments)
    return {}


def constants(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a model without inputs makes: the bytes of its outputs, one after the other, and their
    "shapes" and "types"; what is no number is left empty."""
    import numpy as np

    del arguments
    found = [np.asarray(made) for made in _session(parts[0]).run(None, {})]
    found = [a if a.dtype.kind in "biuf" else np.empty(0, np.int8) for a in found]
    whole = b"".join(np.ascontiguousarray(array).tobytes() for array in found)
    shapes, types = [list(a.shape) for a in found], [a.dtype.name for a in found]
    return {"bytes": whole, "shapes": shapes, "types": types}


def close_model(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Forget models; argument: "names"."""
    for name in arguments["names"]:
        _OPEN.pop(name, None)
        _BEGUN.pop(name, None)
        _RESTS.pop(name, None)
    return {}


def outputs(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What an open model gives for rows of float32; part: the rows.

    Arguments: "name", "n" (rows), "all" (the other outputs of floats, too). Returns the bytes of
    float32, rows one after the other, and the "widths" of the outputs in them.
    """
    import numpy as np

    opened = _OPEN[arguments["name"]]
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

    opened = _OPEN[arguments["name"]]
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


def begin(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Begin to run a graph piece by piece on rows of float32, which are the part.

    Arguments: "name", "signature", "n" (rows). Returns the "kinds" of what is known: by name the
    type of its numbers and its shape, None where that differs from call to call.
    """
    import numpy as np

    X = np.frombuffer(parts[0], np.float32).reshape(arguments["n"], -1)
    calls = [_Call(n, _feeds(arguments["signature"], some))
             for n, some in _in_calls(arguments["signature"], X)]  # fmt: skip
    kinds = _kinds(calls)
    _BEGUN[arguments["name"]] = calls
    return {"kinds": kinds}


def go_on(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run the next piece; part: its model. Arguments: "name", "makes" and "keeps", the values that
    are known after it. Returns their "kinds"."""
    import numpy as np

    calls = _BEGUN[arguments["name"]]
    session, makes = _session(parts[0], None), arguments["makes"]
    n_bytes = 0
    for call in calls:
        made = dict(zip(makes, call.run(session, makes), strict=True)) if makes else {}
        if not all(isinstance(value, np.ndarray) for value in made.values()):
            raise RefusedError("what stands between its operators is not all arrays")
        call.known = {name: call.known[name] for name in arguments["keeps"]} | made
        n_bytes += sum(value.nbytes for value in call.known.values())
        if n_bytes > _MOST_KEPT_BYTES:
            raise RefusedError("what stands between its operators is too large to be kept")
    return {"kinds": _kinds(calls)}


def finish(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run all that is left, which changes nothing of what is known; parts: what is written into
    the gap of its model, and that model, or nothing for the one before.

    Arguments: "name", "gap" (where), "output". Returns the bytes of float32, rows one after the
    other.
    """
    import numpy as np

    fills, *model = parts
    if model:
        _RESTS[arguments["name"]] = bytearray(model[0])
    rest, gap = _RESTS[arguments["name"]], arguments["gap"]
    rest[gap : gap + len(fills)] = fills
    session, found = _session(bytes(rest), None), []
    for call in _BEGUN[arguments["name"]]:
        (output,) = call.run(session, [arguments["output"]])
        found.append(_row_by_row(output, call.n, call.n_fed, arguments["output"]))
    return {"bytes": np.ascontiguousarray(np.concatenate(found)).tobytes()}


class _Call:
    """Rows that are run together, `n` of which were asked for: what is known of them by now."""

    def __init__(self, n: int, known: dict[str, Any]) -> None:
        self.n, self.known = n, known
        self.n_fed = len(next(iter(known.values())))

    def run(self, session: Any, names: Sequence[str]) -> list[Any]:
        feeds = {taken.name: self.known[taken.name] for taken in session.get_inputs()}
        found: list[Any] = session.run(list(names), feeds)
        return found


def _kinds(calls: Sequence[_Call]) -> dict[str, Any]:
    found = {}
    for name, value in calls[0].known.items():
        shapes = [call.known[name].shape for call in calls]
        if len({len(shape) for shape in shapes}) > 1:
            raise RefusedError("the number of an array's axes changes from call to call")
        sides = zip(*shapes, strict=True)
        found[name] = value.dtype.name, [s[0] if len(set(s)) == 1 else None for s in sides]
    return found


def _feeds(signature: Mapping[str, Any], X: Any) -> dict[str, Any]:
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


def _in_calls(signature: Mapping[str, Any], X: Any) -> Iterator[tuple[int, Any]]:
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


def _row_by_row(output: Any, n: int, n_fed: int, name: str) -> Any:
    """An output as float32 of shape (n, numbers of a row)."""
    import numpy as np

    if not isinstance(output, np.ndarray) or output.shape[:1] != (n_fed,):
        raise RefusedError(f"the output '{name[:60]}' is not row by row")
    return output[:n].reshape(n, -1).astype(np.float32)


class _Open:
    """A loaded model, and how rows become its inputs."""

    def __init__(self, model: bytes, arguments: Mapping[str, Any]) -> None:
        self.signature = arguments["signature"]
        self.session = _session(model, arguments["threads"], plain=arguments["plain"])
        self.timed: dict[str, Any] = {}

    def feeds(self, X: Any) -> dict[str, Any]:
        return _feeds(self.signature, X)

    def run(self, X: Any, names: Sequence[str]) -> list[Any]:
        """Each output as float32 of shape (rows, numbers of a row)."""
        import numpy as np

        found: list[list[Any]] = [[] for _ in names]
        for n, some in _in_calls(self.signature, X):
            outputs = self.session.run(list(names), self.feeds(some))
            for of_name, name, output in zip(found, names, outputs, strict=True):
                of_name.append(_row_by_row(output, n, len(some), name))
        return [np.concatenate(of_name) for of_name in found]


_OPEN: dict[str, _Open] = {}
_BEGUN: dict[str, list[_Call]] = {}
_RESTS: dict[str, bytearray] = {}
_MOST_KEPT_BYTES = 2 * 2**30
_VALUES_A_CALL = 2**20  # of the inputs: what is computed of them is larger by far
JOBS = {
    "try": try_model,
    "predict": predict,
    "table": table,
    "arrays": arrays,
    "open": open_model,
    "close": close_model,
    "constants": constants,
    "outputs": outputs,
    "seconds": seconds,
    "begin": begin,
    "go on": go_on,
    "finish": finish,
}

if __name__ == "__main__":
    main()
