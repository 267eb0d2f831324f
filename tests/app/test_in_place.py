"""Graphs that are coded in place, on the pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.any_graphs import npz, several_inputs
from tests.app.pages import address, figures, open_page, until
from tests.waiting import HANGS_S


@pytest.fixture
def place(fresh: Path) -> dict[str, str]:
    """The address of a model of two inputs, brought with its rows and taken to Explore."""
    data, rows, labels = several_inputs()
    app = until(open_page("files.py"), lambda a: len(a.file_uploader) == 3)
    app.file_uploader[1].upload("model.onnx", data)
    named = {f"inputs/{name}": array for name, array in rows.items()}
    app.file_uploader[2].upload("rows.npz", npz(**named, labels=labels))
    app.run(timeout=HANGS_S)
    assert not app.exception
    (told,) = app.success
    assert told.value.replace("\\", "").startswith("300 rows, 3 classes")
    (button,) = [b for b in app.button if b.label == "Explore it on this table"]
    app = button.click().run(timeout=HANGS_S)
    assert not app.exception
    there = address(app)
    return {name: there[name] for name in ("dataset", "model")} | {"recipe": "symmetric(8)"}


def test_the_page_explores_a_graph_that_is_coded_in_place(place: dict[str, str]) -> None:
    app = until(open_page(**place), figures)
    assert app.metric[0].label.startswith("Accuracy")
    assert app.metric[0].value.endswith("%")
    # What needs a layer's inputs or gradients is not offered.
    (recover,) = [b for b in app.button_group if b.key and b.key.startswith("recovery")]
    assert recover.options == ["None"]
    (criterion,) = [s for s in app.selectbox if s.label == "Criterion"]
    assert criterion.options == ["Magnitude", "Random (control)"]


def test_sizes_and_noise_of_it_are_told(place: dict[str, str]) -> None:
    app = until(open_page("evidence.py", **place), lambda a: len(a.dataframe) > 1)
    assert not app.exception
    assert not app.error
