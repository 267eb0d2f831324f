"""Graphs that are coded in place, on the pages."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.any_graphs import npz, several_inputs
from tests.app.pages import figures, open_page, until
from tests.waiting import HANGS_S


def _explored() -> AppTest:
    """A model of two inputs, brought with its rows and taken to Explore."""
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
    return button.click().run(timeout=HANGS_S)


def test_the_page_explores_a_graph_that_is_coded_in_place(fresh: Path) -> None:
    app = until(_explored(), figures)
    assert app.metric[0].label.startswith("Accuracy")
    assert app.metric[0].value.endswith("%")
    # What needs a layer's inputs or gradients is not offered.
    (recover,) = [b for b in app.button_group if b.key and b.key.startswith("recovery")]
    assert [option.content for option in recover.options] == ["None"]
    (criterion,) = [s for s in app.selectbox if s.label == "Criterion"]
    assert criterion.options == ["Magnitude", "Random (control)"]


def test_every_other_page_takes_it(fresh: Path) -> None:
    app = until(_explored(), figures)
    for page in ("compare", "layers", "search", "evidence"):
        app = app.switch_page(f"pages/{page}.py").run(timeout=HANGS_S)
        assert not app.exception
        assert not app.error
    until(app, lambda a: any("In the file" in m.value for m in a.markdown) or bool(a.dataframe))
    assert not app.error
