"""Words that sentences share, in errors and on screen."""

from __future__ import annotations


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number with its noun, which agrees with it.

    >>> counted(1, "feature"), counted(1200, "row"), counted(0, "class", "classes")
    ('1 feature', '1,200 rows', '0 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
