"""Recall by class, confusions and flips, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paretoscope.measurement.classes import flips, grown_confusion, recalls, worst
from paretoscope.problems.accuracy import change
from sklearn.metrics import confusion_matrix, recall_score

NAMES = ("ant", "bee", "cat", "dog")
LABELS = st.integers(0, 3)


@st.composite
def _predictions(draw: st.DrawFn) -> Any:
    n = draw(st.integers(1, 60))
    return tuple(
        np.array(draw(st.lists(LABELS, min_size=n, max_size=n)), np.int64) for _ in range(3)
    )


@given(_predictions())
def test_recalls_are_scikit_learns(drawn: Any) -> None:
    now, before, y = drawn
    found = recalls(now, before, y, NAMES)
    present = [label for label in range(4) if (y == label).any()]
    assert [r.name for r in found] == [NAMES[label] for label in present]
    for labels, side in ((now, "now"), (before, "before")):
        expected = recall_score(y, labels, labels=present, average=None, zero_division=0)
        assert [getattr(r, side).value for r in found] == pytest.approx(list(expected))
    total = change(now, before, y)
    assert sum(r.change.newly_wrong for r in found) == total.newly_wrong
    assert sum(r.change.newly_right for r in found) == total.newly_right
    assert worst(found).change.value == min(r.change.value for r in found)


@given(_predictions())
def test_the_confusion_that_grew_most_is_scikit_learns(drawn: Any) -> None:
    now, before, y = drawn
    matrices = [confusion_matrix(y, labels, labels=range(4)) for labels in (now, before)]
    grown = matrices[0] - matrices[1]
    np.fill_diagonal(grown, 0)
    found = grown_confusion(now, before, y, NAMES)
    if grown.max() <= 0:
        assert found is None
        return
    assert found is not None
    place = NAMES.index(found.actual), NAMES.index(found.predicted)
    assert grown[place] == grown.max() == found.now - found.before
    assert matrices[0][place] == found.now


@given(_predictions())
def test_flips_are_every_row_that_changed(drawn: Any) -> None:
    now, before, y = drawn
    found = flips(now, before, y)
    rows = np.concatenate([found.newly_wrong, found.newly_right, found.other])
    assert sorted(rows) == list(np.flatnonzero(now != before))
    assert found.share == pytest.approx(np.mean(now != before))
    total = change(now, before, y)
    assert (len(found.newly_wrong), len(found.newly_right)) == (
        total.newly_wrong,
        total.newly_right,
    )
