"""Records as JSON types and back, by their type hints: what worker processes answer with."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def encode(value: Any) -> Any:
    """A record, or what it holds, as JSON types. `decode` is its inverse.

    A class that has `to_dict` and `from_dict` says itself how.
    """
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {name: encode(one) for name, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(one) for one in value]
    return value


def decode(kind: type[T], plain: Any) -> T:
    """The record of a type in what `encode` gave.

    >>> from paretoscope.problems.accuracy import Accuracy
    >>> decode(Accuracy, encode(Accuracy(9, 10)))
    Accuracy(correct=9, n=10)
    """
    found: T = _decoded(kind, plain)
    return found


def _decoded(kind: Any, plain: Any) -> Any:
    if hasattr(kind, "from_dict"):
        return kind.from_dict(plain)
    if is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]
        return kind(**{name: _decoded(hints[name], one) for name, one in plain.items()})  # type: ignore[operator]
    whole, parts = get_origin(kind), get_args(kind)
    if whole in (Union, types.UnionType):
        if plain is None:
            return None
        kinds: list[Any] = [part for part in parts if part is not type(None)]
        if len(kinds) > 1:  # records of several types, told by the names of their fields
            kinds = [one for one in kinds if {f.name for f in fields(one)} == set(plain)]
        return _decoded(kinds[0], plain)
    if whole is tuple:
        each = [parts[0]] * len(plain) if parts[-1] is Ellipsis else parts
        return tuple(_decoded(k, one) for k, one in zip(each, plain, strict=True))
    if whole in (dict, Mapping):
        return {name: _decoded(parts[1], one) for name, one in plain.items()}
    return plain


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
