"""Links made once are read alike for good: to change a reading is to break what people shared."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from paretoscope.measurement.budget import Budget
from paretoscope.problems.classification import Correct
from paretoscope.problems.regression import MeanAbsolute

from tests.app.pages import open_page
from tests.conftest import trained
from ui.state.address import parse_query

_Judged = SimpleNamespace(score=Correct(), usual_loss=0.005)
KEPT = json.loads(Path(__file__).with_name("kept_links.json").read_text("utf-8"))


@pytest.mark.parametrize("kept", KEPT, ids=[kept["what"] for kept in KEPT])
def test_a_kept_link_is_read_as_on_the_day_it_was_made(kept: dict[str, str]) -> None:
    found = parse_qs(urlsplit(kept["link"]).query, keep_blank_values=True)
    view, complaints = parse_query({name: values[0] for name, values in found.items()})
    assert complaints == []
    for name, text in kept["shows"].items():  # type: ignore[attr-defined]
        assert view.query()[name] == text


def test_a_links_limits_are_points_kilobytes_and_microseconds() -> None:
    asked = {"drop": "2", "kb": "3.5", "us": "7"}
    zipped, complaints = parse_query(asked)
    assert complaints == []
    assert zipped.budget_of(_Judged) == Budget(drop=0.02, gzip_bytes=3_500, time_us=7)
    on_disk, _ = parse_query(asked | {"size": "file"})
    assert on_disk.budget_of(_Judged) == Budget(drop=0.02, file_bytes=3_500, time_us=7)
    without, _ = parse_query({"drop": "none"})
    assert without.budget_of(_Judged) == Budget()
    usual, _ = parse_query({})
    assert usual.budget_of(_Judged) == Budget(drop=0.01)
    assert usual.margin_of(_Judged) == 0.005


def test_losses_of_other_scores_are_in_their_own_unit() -> None:
    asked = {"dataset": "diabetes", "score": "mae", "drop": "2", "margin": "30"}
    view, complaints = parse_query(asked)
    assert complaints == []
    judged = SimpleNamespace(score=MeanAbsolute(), usual_loss=0.5)
    assert view.budget_of(judged) == Budget(drop=2.0)
    assert view.margin_of(judged) == 30.0
    usual, _ = parse_query({"dataset": "diabetes"})
    assert usual.budget_of(judged) == Budget(drop=1.0)
    assert usual.margin_of(judged) == 0.5


def test_a_score_that_the_data_do_not_have_is_named() -> None:
    view, complaints = parse_query({"dataset": "diabetes", "score": "accuracy"})
    assert view.score == ""
    assert "score for Diabetes must be one of rmse, mae" in complaints[0]


def test_a_first_visit_is_told_what_it_sees_and_a_link_is_not() -> None:
    trained("digits", "mlp-64-32")
    app = open_page()
    (button,) = [b for b in app.button if b.label == "Got it"]
    button.click().run()
    assert not [b for b in app.button if b.label == "Got it"]
    linked = open_page(recipe="magnitude(threshold=0.1)+q(8)")
    assert not [b for b in linked.button if b.label == "Got it"]


def test_a_model_beside_that_the_dataset_does_not_have_is_named() -> None:
    view, (complaint,) = parse_query({"dataset": "iris", "beside": "logistic-regression|lenet"})
    assert complaint.startswith("beside (models of Iris) must be one of logistic-regression, ")
    assert "got 'lenet'" in complaint
    assert view.beside == ()
    view, complaints = parse_query({"dataset": "iris", "beside": "logistic-regression"})
    assert not complaints
    assert view.beside == ("logistic-regression",)
