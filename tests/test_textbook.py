"""The article's programs; accuracies from an independent calculation on the 30 test rows."""

from __future__ import annotations

import numpy as np
import pytest
from paretoscope.textbook import Textbook, from_dict, quantize, run, run_task

RESCALED = {1: 0.9, 2: 0.9, 5: 0.9333, 10: 1.0, 100: 1.0}
UNSCALED = {1: 0.9, 2: 0.4333, 5: 0.3667, 10: 0.3667, 100: 0.3667}


@pytest.fixture(scope="module")
def textbook() -> Textbook:
    return run()


def test_the_baseline(textbook: Textbook) -> None:
    assert (textbook.baseline, textbook.n) == (30, 30)


def test_quantized_accuracies(textbook: Textbook) -> None:
    found = {point.q: point for point in textbook.quantized}
    for q, expected in RESCALED.items():
        assert found[q].rescaled / 30 == pytest.approx(expected, abs=5e-5)
    for q, expected in UNSCALED.items():
        assert found[q].unscaled / 30 == pytest.approx(expected, abs=5e-5)


def test_what_stops_the_printed_programs(textbook: Textbook) -> None:
    liblinear, copying, indexing = (failure.error for failure in textbook.failures)
    assert liblinear.startswith("ValueError: The 'liblinear' solver does not support multiclass")
    assert copying == "AttributeError: 'LogisticRegression' object has no attribute 'copy'"
    assert indexing.startswith("ValueError: matmul")
    assert "size 12 is different from 4" in indexing


def test_pruning_mended(textbook: Textbook) -> None:
    assert textbook.l1_zeros == np.count_nonzero(np.array(textbook.l1_coefficients) == 0) > 0
    assert textbook.pruned == 30
    assert textbook.l1_fit == 30


def test_the_codes_are_the_articles(textbook: Textbook) -> None:
    weights = np.array(textbook.coefficients)
    assert np.array_equal(quantize(weights, 10), np.round(weights * 10))


def test_as_a_job(textbook: Textbook) -> None:
    assert from_dict(run_task({}, lambda message: None)) == textbook
