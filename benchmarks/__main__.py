"""Run the benchmarks: all, or those named. Figures are of the machine they run on."""

from __future__ import annotations

import sys

from paretoscope.measurement import environment

from benchmarks import app, curve, quality, spelling

ALL = {"spelling": spelling.run, "curve": curve.run, "app": app.run, "quality": quality.run}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"benchmarks must be of {', '.join(ALL)}; got {unknown[0]!r}", file=sys.stderr)
        return 2
    print(environment())
    for name in names or ALL:
        print(f"\n## {name}")
        ALL[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
