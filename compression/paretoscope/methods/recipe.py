"""A recipe: how a network is compressed, as a frozen value with one canonical text form.

    magnitude(threshold=0.05)+q(16)                      all layers alike
    magnitude(sparsity=0.8)+q(4);dense3=keep+q(6)        the layer dense3 by itself
    float32                                              nothing is done

Parts are joined by ``+``; what is left out is not done. After each ``;`` stands a layer's name
(percent-encoded where it has other characters than letters, digits, ``_.-~``) with a treatment of
its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import Member, parse_member
from paretoscope.methods.activations import (
    ACTIVATIONS,
    Activations,
    FloatActivations,
    Int8Activations,
)
from paretoscope.methods.kernels import KERNELS, Fused, Kernel
from paretoscope.methods.pruning import (
    PRUNERS,
    UNITS,
    Criterion,
    KeepAll,
    KeepUnits,
    Pruner,
    UnitCriterion,
    Units,
)
from paretoscope.methods.quantization import QUANTIZERS, Float32, Quantizer
from paretoscope.methods.recovery import RECOVERIES, NoRecovery, Recovery
from paretoscope.methods.storage import STORAGES, Packed, Storage
from paretoscope.network.network import Network

# Of treatments, then of recipes only: the part, what errors call it, its kinds and an example.
_PARTS: tuple[tuple[str, str, tuple[type, ...], str], ...] = (
    ("pruner", "Recipe's first part", (Criterion, KeepAll), "Magnitude(threshold=0.05)"),
    ("quantizer", "Recipe's second part", (Quantizer,), "FixedPoint(q=16)"),
    ("units", "Recipe.units", (UnitCriterion, KeepUnits), "UnitNorm(0.25)"),
    ("activations", "Recipe.activations", (Activations,), "Int8Activations()"),
    ("recovery", "Recipe.recovery", (Recovery,), "NoRecovery()"),
    ("storage", "Recipe.storage", (Storage,), "Packed()"),
    ("kernel", "Recipe.kernel", (Kernel,), "Fused()"),
)
_NO_OVERRIDES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Treatment:
    """What is done to one layer: which weights and which units go, and how the rest is stored."""

    pruner: Pruner = KeepAll()
    quantizer: Quantizer = Float32()
    units: Units = KeepUnits()

    def __post_init__(self) -> None:
        if not _fit(type(self.pruner), type(self.quantizer), type(self.units)):
            _check_parts(self)

    def __str__(self) -> str:
        return _joined((self.units, self.pruner, self.quantizer), ())


@dataclass(frozen=True)
class Recipe:
    """One treatment for all layers, others by layer, a recovery and a storage.

    Parameters
    ----------
    pruner : Criterion or KeepAll, default KeepAll()
    quantizer : Quantizer, default Float32()
    overrides : mapping from a layer's weight name to Treatment, optional
    recovery : Recovery, default NoRecovery()
    storage : Storage, default Packed()
    units : UnitCriterion or KeepUnits, default KeepUnits()
    activations : Activations, default FloatActivations()
    kernel : Kernel, default Fused()
        How codes are run.

    Examples
    --------
    >>> from paretoscope.methods.pruning import Magnitude
    >>> from paretoscope.methods.quantization import FixedPoint
    >>> recipe = Recipe(Magnitude(threshold=0.05), FixedPoint(q=16))
    >>> str(recipe)
    'magnitude(threshold=0.05)+q(16)'
    >>> Recipe.parse("q(16) + magnitude(threshold=5e-2)") == recipe
    True
    """

    pruner: Pruner = KeepAll()
    quantizer: Quantizer = Float32()
    overrides: Mapping[str, Treatment] = field(default_factory=dict)
    recovery: Recovery = NoRecovery()
    storage: Storage = Packed()
    units: Units = KeepUnits()
    activations: Activations = FloatActivations()
    kernel: Kernel = Fused()

    def __post_init__(self) -> None:
        kinds = type(self.pruner), type(self.quantizer), type(self.units)
        others = self.activations, self.recovery, self.storage, self.kernel
        if not _fit(*kinds, *map(type, others)):
            _check_parts(self)
        ordered = _NO_OVERRIDES
        if self.overrides:
            for layer, treatment in self.overrides.items():
                _check(treatment, (Treatment,), f"the override of {layer}", "Treatment(q)")
            ordered = MappingProxyType(dict(sorted(self.overrides.items())))
        object.__setattr__(self, "overrides", ordered)
        if type(self.activations) is Int8Activations:
            quantizers = [self.quantizer, *(t.quantizer for t in ordered.values())]
            other = next((q for q in quantizers if not isinstance(q, Float32)), None)
            if other is not None:
                raise ParetoscopeError(
                    f"int8 activations bring 8-bit weights of their own; leave {other} out"
                )

    def __hash__(self) -> int:
        return hash(str(self))

    @cached_property
    def default_treatment(self) -> Treatment:
        """What is done to layers that have no treatment of their own."""
        return Treatment(self.pruner, self.quantizer, self.units)

    @property
    def trains(self) -> bool:
        """Whether compressing trains for seconds or minutes."""
        return self.recovery.needs_validation_rows

    @property
    def needs_no_rows(self) -> bool:
        """Whether compressing takes neither rows nor training: a millisecond for small networks."""
        parts = [
            p
            for t in (self.default_treatment, *self.overrides.values())
            for p in (t.pruner, t.units)
        ]
        needing = [p for p in parts if isinstance(p, (Criterion, UnitCriterion)) and p.needs_rows]
        floats = isinstance(self.activations, FloatActivations)
        return floats and not needing and not self.recovery.needs_rows

    def treatments(self, network: Network) -> dict[str, Treatment]:
        """The treatment of each layer of a network.

        Raises
        ------
        ParetoscopeError
            An override names a layer that the network does not have.
        """
        for layer in self.overrides:
            if layer not in network.shapes:
                raise ParetoscopeError(
                    f"the recipe names the layer {layer!r}; this network has "
                    f"{', '.join(network.shapes)}"
                )
        return {name: self.overrides.get(name, self.default_treatment) for name in network.shapes}

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        treatment = self.units, self.pruner, self.quantizer
        first = _joined(treatment, (self.recovery, self.storage, self.activations, self.kernel))
        layers = [f"{quote(name, safe='')}={t}" for name, t in self.overrides.items()]
        return ";".join([first, *layers])

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """The recipe whose text form is `text`.

        Raises
        ------
        ParetoscopeError
            An unknown part, a part given twice, or a value outside its range.
        """
        first, *layers = text.split(";")
        parts = _parse_parts(first)
        overrides: dict[str, Treatment] = {}
        for layer in layers:
            name, equals, own = layer.partition("=")
            name = unquote(name.strip())
            if not equals or not name or name in overrides:
                raise ParetoscopeError(f"after ';' a recipe has 'layer=parts' once; got {layer!r}")
            treatment = _parse_parts(own)
            for kind in set(treatment) - {"pruner", "quantizer", "units"}:
                raise ParetoscopeError(
                    f"a {kind} is for all layers; got {treatment[kind]} for {name}"
                )
            overrides[name] = Treatment(**treatment)
        return cls(**parts, overrides=overrides)


_NOTHING = frozenset(map(str, (KeepAll(), Float32(), KeepUnits())))
_DEFAULTS = frozenset(map(str, (NoRecovery(), Packed(), FloatActivations(), Fused())))
_FLOAT32 = str(Float32())


def _joined(treatment: tuple[Member, ...], others: tuple[Member, ...]) -> str:
    """Parts as text, without those that do nothing."""
    texts = [text for part in treatment if (text := str(part)) not in _NOTHING] or [_FLOAT32]
    return "+".join([*texts, *[text for part in others if (text := str(part)) not in _DEFAULTS]])


_KINDS: dict[str, tuple[type[Member], ...]] = {
    "units": UNITS,
    "pruner": PRUNERS,
    "quantizer": QUANTIZERS,
    "recovery": RECOVERIES,
    "storage": STORAGES,
    "activations": ACTIVATIONS,
    "kernel": KERNELS,
}


def _parse_parts(text: str) -> dict[str, Any]:
    """The parts of one section by their kind."""
    found: dict[str, Any] = {}
    for part in text.split("+"):
        member = parse_member(part, [m for members in _KINDS.values() for m in members])
        kind = next(kind for kind, members in _KINDS.items() if type(member) in members)
        if kind in found:
            raise ParetoscopeError(
                f"a recipe has one part of each kind; {part.strip()!r} is a second"
            )
        found[kind] = member
    return found


@cache  # a grid makes thousands of recipes of a few members, and to ask abstract classes is slow
def _fit(*kinds: type) -> bool:
    """Whether types are right for the first of `_PARTS`."""
    return all(issubclass(k, part[2]) for k, part in zip(kinds, _PARTS, strict=False))


def _check_parts(given: Treatment | Recipe) -> None:
    for part, name, kinds, example in _PARTS:
        if hasattr(given, part):
            _check(getattr(given, part), kinds, name, example)


def _check(value: object, kinds: tuple[type, ...], what: str, example: str) -> None:
    if not isinstance(value, kinds):
        raise ParetoscopeError(f"{what} must be like {example}; got {value!r}")
