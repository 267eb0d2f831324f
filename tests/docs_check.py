"""What docs/methods.md must name: every member of a family, and every corruption."""

from __future__ import annotations

from paretoscope.measurement.corruptions import CORRUPTIONS
from paretoscope.methods.activations import ACTIVATIONS
from paretoscope.methods.pruning import PRUNERS, UNITS
from paretoscope.methods.quantization import QUANTIZERS
from paretoscope.methods.recovery import RECOVERIES


def missing(methods: str) -> list[str]:
    """What a text does not name as it should."""
    wanted = []
    for member in (*PRUNERS, *UNITS, *QUANTIZERS, *ACTIVATIONS, *RECOVERIES):
        wanted += [f"`{member.name}", f"| {member.title} |"]
    for corruption in CORRUPTIONS:
        shown = ", ".join(f"{strength:g}" for strength in corruption.strengths[1:])
        wanted.append(f"| {corruption.title} (`{corruption.name}`) | {shown}")
    return [words for words in wanted if words not in methods]
