"""A budget: how much quality may drop, and how many bytes and microseconds a file may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from paretoscope.base.parameters import Number
from paretoscope.measurement.measurement import Measurement

_EXACT = 1e-12  # a drop of just the budget is within it, however its fraction is rounded


@dataclass(frozen=True)
class Budget:
    """What a recipe may cost. What is None has no limit.

    Parameters
    ----------
    drop : float, optional
        Of quality, in the unit of its score; of accuracy as a share: 0.005 is half a point.
    file_bytes, gzip_bytes : float, optional
        Of the file on disk, and under gzip.
    time_us : float, optional
        Of one row, the median.

    Raises
    ------
    ParetoscopeError
        A limit below zero.
    """

    drop: float | None = None
    file_bytes: float | None = None
    gzip_bytes: float | None = None
    time_us: float | None = None

    def __post_init__(self) -> None:
        for name, allowed in _LIMITS.items():
            value = getattr(self, name)
            if value is not None:
                allowed.check(f"the budget's {name}", value)

    def excess(self, measurement: Measurement) -> dict[str, float]:
        """What of a measurement is over the budget, and how many times it is what is allowed.

        What is not known yet is not over. The excess of a drop is in points beside the budget's
        own, as a factor of one point at least.
        """
        over = {}
        for name, known in _KNOWN.items():
            limit, value = getattr(self, name), known(measurement)
            if limit is not None and value is not None and value > limit + _EXACT:
                over[name] = value / max(limit, 0.01 if name == "drop" else 1e-9)
        return over

    def allows(self, measurement: Measurement) -> bool:
        """Whether nothing of a measurement is over the budget."""
        return not self.excess(measurement)


def _time_us(measurement: Measurement) -> float | None:
    latency = measurement.latency()
    return None if latency is None else latency.median_us


_LIMITS: Mapping[str, Number] = {
    "drop": Number(0),
    "file_bytes": Number(1),
    "gzip_bytes": Number(1),
    "time_us": Number(0),
}
_KNOWN: Mapping[str, Callable[[Measurement], float | None]] = {
    "drop": lambda m: -m.change.gain,
    "file_bytes": lambda m: m.size_bytes,
    "gzip_bytes": lambda m: m.gzip_bytes,
    "time_us": _time_us,
}
