"""Run the benchmarks: the quick ones, or those named. Figures are of the machine they run on."""

from __future__ import annotations

import importlib
import sys

from paretoscope.measurement.measurement import environment

QUICK = ("spelling", "curve", "methods", "uploads", "surface", "first_curve", "app")
ALL = (
    *QUICK,
    "intervals",
    "scores",
    "noise",
    "beside",
    "search",
    "quality",
    "scale",
    "large",
    "in_place",
)


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"benchmarks must be of {', '.join(ALL)}; got {unknown[0]!r}", file=sys.stderr)
        return 2
    print(environment())
    for name in names or QUICK:
        print(f"\n## {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
