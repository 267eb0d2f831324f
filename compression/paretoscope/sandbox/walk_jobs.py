"""Jobs of a sandbox that run a graph piece by piece, and what is left of it many times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paretoscope.sandbox.model_jobs import OPEN, feeds_of, in_calls, load_session, row_by_row
from paretoscope.sandbox.refused import RefusedError

_MOST_KEPT_BYTES = 2 * 2**30


def begin(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Begin to run a graph piece by piece on rows of float32, which are the part.

    Arguments: "name", "signature", "n" (rows). Returns the "kinds" of what is known: by name the
    type of its numbers and its shape, None where that differs from call to call.
    """
    import numpy as np

    X = np.frombuffer(parts[0], np.float32).reshape(arguments["n"], -1)
    calls = [_Call(n, feeds_of(arguments["signature"], some))
             for n, some in in_calls(arguments["signature"], X)]  # fmt: skip
    kinds = _kinds(calls)
    _BEGUN[arguments["name"]] = calls
    return {"kinds": kinds}


def go_on(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run the next piece; part: its model. Arguments: "name", "makes" and "keeps", the values that
    are known after it. Returns their "kinds"."""
    import numpy as np

    calls = _BEGUN[arguments["name"]]
    session, makes = load_session(parts[0], None), arguments["makes"]
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
    session, found = load_session(bytes(rest), None), []
    for call in _BEGUN[arguments["name"]]:
        (output,) = call.run(session, [arguments["output"]])
        found.append(row_by_row(output, call.n, call.n_fed, arguments["output"]))
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


def close(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Forget models that were opened and rows that were begun; argument: "names"."""
    for name in arguments["names"]:
        for kept in (OPEN, _BEGUN, _RESTS):
            kept.pop(name, None)
    return {}


_BEGUN: dict[str, list[_Call]] = {}
_RESTS: dict[str, bytearray] = {}
