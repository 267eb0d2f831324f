"""Storage: how codes of few bits lie in the file. Both are real files; either may zip smaller."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

from paretoscope.base.parameters import Member
from paretoscope.methods.quantization import Codes

_NARROW = {"int2": "int8", "int4": "int8", "uint2": "uint8", "uint4": "uint8"}


@dataclass(frozen=True)
class Storage(Member):
    """The type that codes are stored in."""

    @abstractmethod
    def store(self, codes: Codes) -> Codes:
        """The codes, in the type that they are stored in."""


@dataclass(frozen=True)
class Packed(Storage):
    """The narrowest type: 2 or 4 codes to a byte where they fit. The smallest file on disk."""

    name = "packed"
    title = "Packed"

    def store(self, codes: Codes) -> Codes:
        return codes


@dataclass(frozen=True)
class Bytes(Storage):
    """A byte for each code of up to 8 bits: larger on disk, at times smaller when zipped."""

    name = "bytes"
    title = "A byte each"

    def store(self, codes: Codes) -> Codes:
        return replace(codes, storage=_NARROW.get(codes.storage, codes.storage))


STORAGES: tuple[type[Storage], ...] = (Packed, Bytes)
