"""Graphs that are coded in place, on the pages."""

from __future__ import annotations

from pathlib import Path

import paretoscope as ps
import pytest
from paretoscope.data.dataset import load_dataset
from paretoscope.network.network import Network
from paretoscope.network.outline import Outline
from paretoscope.training.training import find_outline, find_trained
from paretoscope.uploads import taking
from streamlit.testing.v1 import AppTest

from tests.any_graphs import npz, several_inputs
from tests.app.pages import address, charts, figures, open_page, until
from tests.network.test_sketch import large_graph
from tests.uploads.cases import needs_cases
from tests.uploads.test_in_place import GRAPHS
from tests.waiting import HANGS_S
from ui.layers import page
from ui.parts import layer_controls
from ui.state import measuring
from ui.state.subject import Subject


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


def test_layers_of_one_that_takes_long_are_computed_and_the_first_are_drawn(
    place: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Subject, "comes_slowly", property(lambda subject: True))
    monkeypatch.setattr(measuring, "_AWAY_S", 1e9)  # however long a busy machine takes
    monkeypatch.setattr(measuring, "_GONE_S", 1e9)
    monkeypatch.setattr(page, "FEW_LAYERS", 1)
    app = until(
        open_page("layers.py", **place), lambda a: any("All 26" in c.value for c in a.caption)
    )
    (told,) = [c.value for c in app.caption if "computed." in c.value]
    assert told.startswith("All 26 files computed.")
    assert [b.label.partition(" (")[0] for b in app.button if b.label.startswith("Protect")] == []
    (drawn,) = [b for b in app.button_group if b.key == "layers-drawn-2"]
    assert drawn.options == ["1 that cost most", "All 2"]
    assert _rows_drawn(app) == {1}
    app = drawn.set_value("All 2").run(timeout=HANGS_S)
    assert _rows_drawn(app) == {2}


def _rows_drawn(app: AppTest) -> set[int]:
    drawn = charts(app)
    return {len(drawn[f"chart-{what}"]["data"][0]["y"]) for what in ("cost", "stands")}


# Exporters of PyTorch (both), tf2onnx and skl2onnx; images, sequences, tokens and numbers.
TEN = (
    "cnn_1d", "detector", "distilbert", "kws_float16_inside", "lstm", "mobilenet_v2",
    "skl_mlp", "tf2onnx_resnet", "unet", "vit_tiny_legacy",
)  # fmt: skip


def _goes_through_the_page(name: str) -> None:
    """From the upload to figures of its file, which were measured, without any rows of its own."""
    app = until(open_page("files.py"), lambda a: len(a.file_uploader) == 3)
    app.file_uploader[1].upload(f"{name}.onnx", (GRAPHS / f"{name}.onnx").read_bytes())
    app.run(timeout=HANGS_S)
    (button,) = [b for b in app.button if b.label == "Explore it on made-up rows"]
    app = button.click().run(timeout=HANGS_S)
    assert not app.exception
    there = {part: address(app)[part] for part in ("dataset", "model")}
    app = until(open_page(**there, recipe="symmetric(8)"), figures)
    assert not app.exception
    assert not app.error
    size = next(m for m in app.metric if m.label.startswith("Size"))
    assert "smaller" in size.delta
    network = find_trained(there["model"], load_dataset(there["dataset"]))
    assert network is not None
    artifact = ps.compress(network, ps.Recipe.parse("symmetric(8)"), None)
    codes = sum(c.values.size for c in artifact.stored.codes.values())
    assert codes == sum(w.size for w in network.weights.values())


@needs_cases
def test_a_shared_graph_goes_through_the_page(fresh: Path) -> None:
    _goes_through_the_page("lstm")


@needs_cases
@pytest.mark.soak("shared graphs taken from the upload to their figures")
@pytest.mark.parametrize("name", TEN)
def test_ten_shared_graphs_go_through_the_page(fresh: Path, name: str) -> None:
    _goes_through_the_page(name)


def test_of_many_layers_the_largest_come_first(
    mlp: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert layer_controls.choices_of(mlp) == list(mlp.weights)
    monkeypatch.setattr(layer_controls, "FEW_LAYERS", 2)
    sizes = [mlp.weights[name].size for name in layer_controls.choices_of(mlp)]
    assert sizes == sorted(sizes, reverse=True)


def test_a_large_model_is_judged_and_kept_by_a_process_of_its_own(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a large upload was read where pages are drawn")

    monkeypatch.setattr(taking, "judged", never)
    monkeypatch.setattr(taking, "take", never)
    app = until(open_page("files.py"), lambda a: len(a.file_uploader) == 3)
    app.file_uploader[1].upload("large.onnx", large_graph())
    app.run(timeout=HANGS_S)
    assert not app.exception
    (button,) = [b for b in app.button if b.label == "Explore it on made-up rows"]
    app = button.click().run(timeout=HANGS_S)
    assert not app.exception
    there = {name: address(app)[name] for name in ("dataset", "model")}
    outline = find_outline(there["model"], load_dataset(there["dataset"]))
    assert isinstance(outline, Outline)
    monkeypatch.setattr(Outline, "onnx_bytes", property(never))  # nor does a page read it
    recipe = "magnitude(sparsity=0.5)+symmetric(8)"
    app = until(open_page(**there, recipe=recipe), figures)
    assert not app.exception
