"""Parameters of criteria, quantizers and recoveries: each range is written once, used everywhere.

A family member (``FixedPoint``, ``Magnitude``) is a frozen dataclass whose fields are made by
`parameter`. Validation, text form, sliders, sweep grids, command-line options and contract tests
all read the same `Parameter`.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import sys
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError, one_of

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
Weights = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, both included."""

    low: float
    high: float = math.inf
    whole: bool = False

    def check(self, name: str, value: object) -> None:
        number = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
        if not number or value != value:  # NaN alone differs from itself
            raise ParetoscopeError(f"{name} must be {self}; got {value!r}")
        if self.whole and value % 1:  # type: ignore[operator]
            raise ParetoscopeError(f"{name} must be {self}; got {value!r}")
        if value < self.low:  # type: ignore[operator]
            low, given = format_value(self.low), format_value(value)
            raise ParetoscopeError(f"{name} must be at least {low}; got {given}")
        if value > min(self.high, sys.float_info.max):  # type: ignore[operator]
            limit = "finite" if math.isinf(self.high) else f"at most {format_value(self.high)}"
            raise ParetoscopeError(f"{name} must be {limit}; got {format_value(value)}")

    def parse(self, name: str, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise ParetoscopeError(f"{name} must be {self}; got {text!r}") from None

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if math.isinf(self.high):
            return f"{kind} from {format_value(self.low)} on"
        return f"{kind} from {format_value(self.low)} to {format_value(self.high)}"


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]

    def check(self, name: str, value: object) -> None:
        if value not in self.options:
            raise one_of(name, value, list(self.options))

    def parse(self, name: str, text: str) -> str:
        self.check(name, text)
        return text

    def __str__(self) -> str:
        return "one of " + ", ".join(self.options)


@dataclass(frozen=True)
class Parameter:
    """What one field of a family member may be, and how people are asked for it.

    Attributes
    ----------
    range : Number or Choice
        The allowed values. A field whose default is None may also be None ("not given").
    label, help : str
        The words beside the control: what it is, and what moving it does.
    stops : callable, optional
        ``stops(weights, count) -> values``: where a slider stops and what a sweep visits.
        It takes the network's weights, for what is a sensible value depends on them.
    first : float, optional
        What a control begins with where the member has no default of its own.
    """

    range: Number | Choice
    label: str
    help: str
    stops: Callable[[Weights, int], Sequence[float]] | None = None
    first: float | None = None

    @property
    def begins_with(self) -> Any:
        """A value in the range to begin with: `first`, else a plain one that changes something."""
        if self.first is not None:
            return self.first
        if isinstance(self.range, Choice):
            return self.range.options[0]
        if math.isinf(self.range.high):
            return self.range.low
        value = self.range.low + 0.3 * (self.range.high - self.range.low)
        return round(value) if self.range.whole else value


def parameter(
    range: Number | Choice,
    *,
    label: str,
    help: str,
    stops: Callable[[Weights, int], Sequence[float]] | None = None,
    first: float | None = None,
    default: Any = dataclasses.MISSING,
) -> Any:
    """A dataclass field that carries its `Parameter`."""
    described = Parameter(range, label, help, stops, first)
    return field(default=default, metadata={"parameter": described})


@dataclass(frozen=True)
class Member(ABC):
    """A member of a family: frozen, validated when made, with a text form that `parse` reads back.

    Fields without a default are written by place, the others as ``name=value`` when they differ
    from their default: ``q(16)``, ``magnitude(threshold=0.05)``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    short: ClassVar[str] = ""  # the title where there is little room, if it is long

    def __post_init__(self) -> None:
        for name, described in parameters(type(self)).items():
            value = getattr(self, name)
            if value is not None or _default(type(self), name) is not None:
                described.range.check(_called(type(self), name), value)
                if isinstance(described.range, Number):
                    object.__setattr__(self, name, float(value))

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        parts = []
        for name in parameters(type(self)):
            value, default = getattr(self, name), _default(type(self), name)
            if default is dataclasses.MISSING:
                parts.append(format_value(value))
            elif value != default:
                parts.append(f"{name}={format_value(value)}")
        return f"{self.name}({','.join(parts)})" if parts else self.name


def first_values(member: type[Member]) -> dict[str, Any]:
    """What a member is made with when it is chosen: for each parameter without a default."""
    required = (f.name for f in dataclasses.fields(member) if f.default is dataclasses.MISSING)
    return {name: parameters(member)[name].begins_with for name in required}


@cache
def parameters(member: type[Member]) -> Mapping[str, Parameter]:
    """The parameters of a family member, in the order of its fields."""
    found = {
        f.name: f.metadata["parameter"]
        for f in dataclasses.fields(member)
        if "parameter" in f.metadata
    }
    return MappingProxyType(found)


def parse_member(text: str, families: Sequence[type[Member]]) -> Member:
    """The member whose text form is `text`, out of `families`.

    Raises
    ------
    ParetoscopeError
        Unknown member or parameter, a value outside its range, or brackets that do not match.
    """
    text = text.strip()
    name, bracket, rest = text.partition("(")
    if bracket and not rest.endswith(")"):
        raise ParetoscopeError(f"{text!r} has no closing bracket; write it like 'q(16)'")
    member = next((m for m in families if m.name == name.strip()), None)
    if member is None:
        raise one_of("a part of a recipe", name.strip(), sorted(m.name for m in families))
    given = [part.strip() for part in rest[:-1].split(",")] if bracket else []
    return _build(member, [part for part in given if part])


def _build(member: type[Member], given: list[str]) -> Member:
    known = parameters(member)
    by_place = [n for n in known if _default(member, n) is dataclasses.MISSING]
    values: dict[str, Any] = {}
    for part in given:
        name, equals, text = part.partition("=")
        name, text = (name.strip(), text.strip()) if equals else ("", part)
        if not equals:
            name = next((n for n in by_place if n not in values), "")
        if name not in known or name in values:
            allowed = ", ".join(known) or "no parameters"
            raise ParetoscopeError(f"{member.name} takes {allowed}, each once; got {part!r}")
        values[name] = known[name].range.parse(_called(member, name), text)
    missing = [n for n in by_place if n not in values]
    if missing:
        raise ParetoscopeError(f"{member.name} needs {', '.join(missing)}; got nothing")
    return member(**values)


def format_value(value: object) -> str:
    """A parameter's value as text without '+', which separates the parts of a recipe.

    >>> format_value(16.0), format_value(0.05), format_value(1e22), format_value("layer")
    ('16', '0.05', '1e22', 'layer')
    """
    if isinstance(value, (int, float)):
        number = float(value)
        if number.is_integer() and abs(number) < 1e15:
            return str(int(number))
        return repr(number).replace("e+", "e")
    return str(value)


def _called(member: type[Member], name: str) -> str:
    """A parameter's name in messages, as recipes spell it."""
    return name if name == member.name else f"{member.name}'s {name}"


@cache
def _default(member: type[Member], name: str) -> Any:
    defaults = {f.name: f.default for f in dataclasses.fields(member)}
    return defaults[name]
