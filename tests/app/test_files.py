"""Your files: a table becomes a dataset, every shared bad file is one sentence on a usable page."""

from __future__ import annotations

import gzip
import io
import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import paretoscope as ps
import pytest
import skops.io
from onnx import helper
from paretoscope.data.dataset import load_dataset
from paretoscope.data.own_data import delete_own, is_own, own_notes
from paretoscope.sandbox import sandbox
from paretoscope.sandbox.sandbox import Limits
from sklearn.linear_model import LogisticRegression
from streamlit.testing.v1 import AppTest

from tests import graphs
from tests.app.pages import address, charts, figures, open_page, until
from tests.conftest import load, trained
from tests.uploads.cases import FOLDER, Case, cases, needs_cases
from tests.uploads.test_reports import REPORTS, SAYS
from tests.waiting import HANGS_S
from ui.base import words
from ui.state.address import View


def _page() -> AppTest:
    return open_page("files.py")


def _upload(app: AppTest, place: int, name: str, data: bytes) -> AppTest:
    app.file_uploader[place].upload(name, data)
    return app.run(timeout=HANGS_S)


def _texts(app: AppTest) -> list[str]:
    """What the charts of a page draw, and its Markdown."""
    return [*map(str, charts(app).values()), *(m.value for m in app.markdown)]


def _said(app: AppTest) -> str:
    """What the notes say, without the marks that keep Markdown from reading it."""
    said = "\n".join(e.value for e in (*app.error, *app.success, *app.warning))
    return said.replace("\\", "")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("wine", r"\*\*106\*\* rows to train on, .* 13 features; 3 classes: class\\_0"),
        ("digits", r"\*\*1,077\*\* rows to train on, .* 10 classes: 0, 1, 2"),
        ("iris", r"% of 150 rows are right"),
    ],
)
def test_an_example_is_tried_by_one_click_and_put_away(name: str, told: str, fresh: Path) -> None:
    app = until(_page(), lambda a: len(a.file_uploader) == 3)
    app.button(key=f"try-{name}").click().run(timeout=HANGS_S)
    assert not app.exception
    assert re.search(told, " ".join([*(m.value for m in app.markdown), _said(app)]))
    use = "Use these data" if name != "iris" else "Explore it on this table"
    (button,) = [b for b in app.button if b.label == use]
    app.button(key=f"away-{name}").click().run()
    assert use not in [b.label for b in app.button]
    app.button(key=f"try-{name}").click().run()
    (button,) = [b for b in app.button if b.label == use]
    app = button.click().run(timeout=HANGS_S)
    assert not app.exception
    place = address(app)
    assert place["dataset"].startswith("own-")
    assert place["model"].startswith("own-model-" if name == "iris" else "logistic-regression")


@needs_cases
def test_a_table_is_chosen_used_and_explored(fresh: Path) -> None:
    data = (FOLDER / "models" / "iris_4f.csv").read_bytes()
    app = _upload(_page(), 0, "iris *4f*.csv", data)
    assert not app.exception
    assert app.selectbox(key="own-label").value == "species"
    assert any("**90** rows to train on, **30** to choose by" in m.value for m in app.markdown)
    (button,) = [b for b in app.button if b.label == "Use these data"]
    app = button.click().run(timeout=HANGS_S)
    name = address(app)["dataset"]
    assert is_own(name)
    own = load_dataset(name)
    assert own.title == "iris  4f .csv"
    assert own.class_names == ("0", "1", "2")
    assert own.raw.X.shape == (150, 4)
    app = until(app, lambda a: bool(a.metric) or bool(a.get("progress")))
    app = until(open_page(dataset=name, model="logistic-regression", recipe="q(8)"), figures)
    assert not app.exception
    assert not app.warning
    assert app.metric[0].value.endswith("%")


@needs_cases
def test_what_was_done_to_rows_is_shown_and_kept(fresh: Path) -> None:
    (case,) = [c for c in cases("csv") if c.name == "c51_duplicate_rows"]
    app = _upload(_page(), 0, "rows.csv", case.data)
    assert "95 of 100 rows repeat" in _said(app)
    (button,) = [b for b in app.button if b.label == "Use these data"]
    app = button.click().run(timeout=HANGS_S)
    assert any("95 of 100 rows repeat" in note for note in own_notes(address(app)["dataset"]))


def test_missing_cells_of_a_parquet_file_are_filled_as_chosen(fresh: Path) -> None:
    frame = pd.DataFrame({"a": [float(k % 7) for k in range(60)], "y": ["no", "yes"] * 30})
    frame.loc[[4, 5], "a"] = None
    out = io.BytesIO()
    frame.to_parquet(out)
    app = _upload(_page(), 0, "rows.parquet", out.getvalue())
    assert "2 of 60 rows miss features: they are left out" in _said(app)
    (choice,) = [g for g in app.get("button_group") if g.key == "own-missing"]
    app = choice.set_value("median").run(timeout=HANGS_S)
    assert "2 missing cells in a are filled with the median" in _said(app)
    (button,) = [b for b in app.button if b.label == "Use these data"]
    app = button.click().run(timeout=HANGS_S)
    own = load_dataset(address(app)["dataset"])
    assert own.raw.X.shape == (60, 1)
    assert any("filled with the median" in note for note in own_notes(own.name))


def test_columns_with_one_value_are_kept_as_chosen(fresh: Path) -> None:
    rows = "".join(f"0,{k % 7},{('no', 'yes')[k % 2]}\n" for k in range(60))
    app = _upload(_page(), 0, "rows.csv", f"edge,a,y\n{rows}".encode())
    assert "one value in all rows are left out: edge" in _said(app)
    (choice,) = [g for g in app.get("button_group") if g.key == "own-constant"]
    app = choice.set_value("keep").run(timeout=HANGS_S)
    assert "one value in all rows are kept: edge" in _said(app)
    (button,) = [b for b in app.button if b.label == "Use these data"]
    app = button.click().run(timeout=HANGS_S)
    name = address(app)["dataset"]
    assert load_dataset(name).feature_names == ("edge", "a")
    # A model is trained on both.
    app = until(open_page(dataset=name, model="logistic-regression", recipe="q(8)"), figures)
    assert not app.exception


def _button(app: AppTest, label: str, place: int = 0) -> AppTest:
    found = [b for b in app.button if b.label == label]
    return found[place].click().run(timeout=HANGS_S)


def _use(app: AppTest, name: str, shift: int) -> str:
    rows = "".join(f"{(k * 7 + shift) % 50},{k % 5},{'pq'[k % 2]}\n" for k in range(60))
    app = _upload(app, 0, name, f"a,b,y\n{rows}".encode())
    return address(_button(app, "Use these data"))["dataset"]


def _listed(app: AppTest) -> list[str]:
    told = (m.value.replace("\\", "") for m in app.markdown)
    return [text.partition(":")[0] for text in told if ": 60 rows" in text]


def test_own_data_are_listed_for_the_visit_forgotten_and_deleted(fresh: Path) -> None:
    app = _page()
    first = _use(app, "first.csv", 0)
    app.switch_page("pages/files.py").run()
    second = _use(app, "second.csv", 1)
    app.switch_page("pages/compare.py").run()
    box = app.sidebar.selectbox(key="dataset")
    assert box.options[-2:] == ["first.csv", "second.csv"]
    app = box.set_value("iris").run(timeout=HANGS_S)
    assert app.sidebar.selectbox(key="dataset").options[-2:] == ["first.csv", "second.csv"]
    app.switch_page("pages/files.py").run()
    assert _listed(app) == ["first.csv", "second.csv"]
    app = _button(app, "Forget")
    assert _listed(app) == ["second.csv"]
    assert load_dataset(first).title == "first.csv"  # by its link
    app = _button(app, "Delete from the server")
    assert _listed(app) == []
    with pytest.raises(ps.ParetoscopeError, match="no longer, on this machine"):
        load_dataset(second)
    stranger = open_page("compare.py", dataset=first)
    assert "first.csv" in stranger.sidebar.selectbox(key="dataset").options
    assert "first.csv" not in open_page("compare.py").sidebar.selectbox(key="dataset").options
    delete_own(first)  # by another who has its key
    gone = open_page("compare.py", dataset=first)
    assert not gone.exception
    assert address(gone)["dataset"] == "digits"


def test_the_key_of_own_data_is_in_no_files_name(fresh: Path) -> None:
    name = _use(_page(), "first.csv", 0)
    assert View(dataset=name, model="own-model-123").file_name == "own-data-own-model"
    app = until(open_page(dataset=name, model="logistic-regression"), figures)
    assert charts(app)
    for figure in charts(app).values():  # its own browser keeps it, beside them
        assert name not in str(figure)


def test_numbers_that_can_be_read_in_two_ways_are_asked_about(fresh: Path) -> None:
    rows = "".join(f"1.{(37 * k) % 90 + 100};{k % 9 + 1}.250;{'pq'[k % 2]}\n" for k in range(40))
    app = _upload(_page(), 0, "rows.csv", f"a;b;y\n{rows}".encode())
    assert "can be read in two ways" in _said(app)
    (shown,) = app.dataframe
    assert list(shown.value.iloc[0]) == ["a", "1.100", "1.1", "1,100"]
    assert not [b for b in app.button if b.label == "Use these data"]
    (choice,) = [g for g in app.get("button_group") if "decimal" in str(g.key)]
    app = choice.set_value("comma").run(timeout=HANGS_S)
    assert "Points stand between thousands: '1.100' in 'a' is read as 1100" in _said(app)
    (button,) = [b for b in app.button if b.label == "Use these data"]
    app = button.click().run(timeout=HANGS_S)
    assert load_dataset(address(app)["dataset"]).raw.X[0, 0] == 1100


def test_a_guessed_encoding_is_shown_and_can_be_changed(fresh: Path) -> None:
    rows = "".join(f"{k},{('кошка', 'собака')[k % 2]}\n" for k in range(40))
    app = _upload(_page(), 0, "rows.csv", f"длина,вид\n{rows}".encode("koi8_r"))
    assert "it was read as KOI8-R, Cyrillic ('длина')" in _said(app)
    (choice,) = [b for b in app.selectbox if b.label == "Encoding"]
    app = choice.select("cp1251").run(timeout=HANGS_S)
    assert app.selectbox(key="own-label").value == "ЧЙД"
    (choice,) = [b for b in app.selectbox if b.label == "Encoding"]
    app = choice.select("cp949").run(timeout=HANGS_S)  # is no text in it, or other letters
    (choice,) = [b for b in app.selectbox if b.label == "Encoding"]
    app = choice.select("koi8_r").run(timeout=HANGS_S)
    assert app.selectbox(key="own-label").value == "вид"


def test_keys_are_left_out_and_text_becomes_one_hot_where_asked(fresh: Path) -> None:
    rows = "".join(f"{7 * k},{'SCQ'[k % 3]},{k % 5},{'pq'[k % 2]}\n" for k in range(60))
    app = _upload(_page(), 0, "rows.csv", f"Id,port,a,y\n{rows}".encode())
    assert "'Id' counts the rows" in _said(app)
    left, hot = [g for g in app.get("button_group") if g.label in ("Leave out", "One-hot")]
    assert left.value == ["Id", "port"]
    app = hot.set_value(["port"]).run(timeout=HANGS_S)
    (button,) = [b for b in app.button if b.label == "Use these data"]
    app = button.click().run(timeout=HANGS_S)
    own = load_dataset(address(app)["dataset"])
    assert own.feature_names == ("port=C", "port=Q", "port=S", "a")


def test_the_label_beside_a_model_can_be_chosen(fresh: Path) -> None:
    iris = load("iris").raw
    model = LogisticRegression(max_iter=500).fit(iris.X, iris.y)
    rows = "".join(f"{y},{','.join(map(str, x))}\n" for x, y in zip(iris.X, iris.y, strict=True))
    app = _upload(_page(), 1, "iris.skops", skops.io.dumps(model))
    app = _upload(app, 2, "rows.csv", f"kind,a,b,c,d\n{rows}".encode())
    assert "label 'kind', features in the order a, b, c, d" in _said(app)
    assert any(c.value == "Can be compressed\\: yes" for c in app.caption)
    (choice,) = [b for b in app.selectbox if b.label == "Label of the table"]
    app = choice.select("d").run(timeout=HANGS_S)
    assert "none of the model's classes (0, 1, 2)" in _said(app)


def test_a_residual_network_is_explored_on_its_table_of_pixels(fresh: Path) -> None:
    """Pixels at the edges are 0 in all rows of it: the network wants them all the same."""
    network = graphs.residual()
    digits = load("digits").raw
    some = digits.y < 4
    columns = ",".join(f"p{k}" for k in range(64))
    rows = (
        ",".join(map(str, [*x, y])) for x, y in zip(digits.X[some], digits.y[some], strict=True)
    )
    table = "\n".join([f"{columns},label", *rows]).encode()
    app = _upload(_page(), 1, "residual.onnx", network)
    app = _upload(app, 2, "digits.csv", table)
    assert "rows are right" in _said(app)
    (button,) = [b for b in app.button if b.label == "Explore it on this table"]
    app = button.click().run(timeout=HANGS_S)
    place = {name: address(app)[name] for name in ("dataset", "model")}
    assert load_dataset(place["dataset"]).raw.X.shape[1] == 64
    app = until(open_page(**place, recipe="magnitude(sparsity=0.3)+q(8)"), figures)
    assert not app.exception
    assert not app.warning
    assert app.metric[0].value.endswith("%")
    app = until(open_page(**place, recipe="l2(share=0.3)"), lambda a: bool(a.error or a.warning))
    assert not app.exception
    assert "this works on chains of dense layers and convolutions" in _said(app).lower()


def test_classes_that_a_model_numbers_are_named_by_hand(fresh: Path) -> None:
    """The model was trained on names in another order than the alphabet's."""
    iris = load("iris")
    order = [2, 0, 1]
    network = trained("iris", "logistic-regression")
    (weight,), (bias,) = network.weights.values(), network.biases.values()
    mixed = network.with_layers({"dense1": weight[:, order].copy()}, {"dense1": bias[order].copy()})
    raw = iris.raw
    rows = [",".join(map(str, [*x, raw.class_names[k]])) for x, k in zip(raw.X, raw.y, strict=True)]
    table = "\n".join(["a,b,c,d,species", *rows]).encode()
    app = _upload(_page(), 1, "mixed.onnx", mixed.onnx_bytes)
    app = _upload(app, 2, "iris.csv", table)
    assert "are none of the model's classes" in _said(app)
    chosen = {s.label: s for s in app.selectbox if s.label.startswith("Class ")}
    assert list(chosen) == ["Class 0", "Class 1", "Class 2"]
    for k, place in enumerate(order):
        chosen[f"Class {k}"].set_value(raw.class_names[place])
    (judge,) = [b for b in app.button if b.label == "Judge it so"]
    app = judge.click().run(timeout=HANGS_S)
    right = (network.scores(raw.X).argmax(1) == raw.y).mean()
    assert f"{100 * right:.1f} % of 150 rows are right" in _said(app)
    assert f"0 is {raw.class_names[2]}" in _said(app)
    (button,) = [b for b in app.button if b.label == "Explore it on this table"]
    app = button.click().run(timeout=HANGS_S)
    assert not app.exception
    assert not app.error
    place = {name: address(app)[name] for name in ("dataset", "model")}
    found = ps.train(place["model"], load_dataset(place["dataset"]))
    assert (found.scores(raw.X).argmax(1) == network.scores(raw.X).argmax(1)).all()


def test_labels_that_look_like_markup_are_matched(fresh: Path) -> None:
    """As <=50K and >50K, which are shown with look-alikes."""
    raw = load("breast-cancer").raw
    names = ("<=50K", ">50K")
    model = LogisticRegression(max_iter=5_000).fit(raw.X, [names[k] for k in raw.y])
    columns = ",".join(f"f{k}" for k in range(raw.X.shape[1]))
    rows = [",".join(map(str, [*x, names[k]])) for x, k in zip(raw.X, raw.y, strict=True)]
    app = _upload(_page(), 1, "income.skops", skops.io.dumps(model))
    app = _upload(app, 2, "income.csv", "\n".join([f"{columns},label", *rows]).encode())
    assert "of 569 rows are right" in _said(app)
    (button,) = [b for b in app.button if b.label == "Explore it on this table"]
    app = button.click().run(timeout=HANGS_S)
    assert not app.error
    assert address(app)["model"].startswith("own-model-")


@pytest.mark.parametrize("kind", ["onnx", "skops"])
def test_names_that_leave_a_class_out_are_refused_and_given_anew(kind: str, fresh: Path) -> None:
    raw = load("iris").raw
    model = LogisticRegression(max_iter=500).fit(raw.X, raw.y)
    data = trained("iris", "logistic-regression").onnx_bytes
    if kind == "skops":
        data = skops.io.dumps(model)
    rows = [",".join(map(str, [*x, raw.class_names[k]])) for x, k in zip(raw.X, raw.y, strict=True)]
    app = _upload(_page(), 1, f"iris.{kind}", data)
    app = _upload(app, 2, "iris.csv", "\n".join(["a,b,c,d,species", *rows]).encode())
    first = next(s for s in app.selectbox if s.label == "Class 0")
    first.set_value(raw.class_names[1])
    (judge,) = [b for b in app.button if b.label == "Judge it so"]
    app = judge.click().run(timeout=HANGS_S)
    assert "of 150 rows are right" in _said(app)
    (button,) = [b for b in app.button if b.label == "Explore it on this table"]
    app = button.click().run(timeout=HANGS_S)
    assert "class" in app.error[0].value
    (anew,) = [b for b in app.button if b.label == "Other names for its classes"]
    app = anew.click().run(timeout=HANGS_S)
    (judge,) = [b for b in app.button if b.label == "Judge it so"]
    app = next(s for s in app.selectbox if s.label == "Class 0").set_value(raw.class_names[0]).run()
    app = judge.click().run(timeout=HANGS_S)
    (button,) = [b for b in app.button if b.label == "Explore it on this table"]
    app = button.click().run(timeout=HANGS_S)
    assert not app.error
    assert address(app)["model"].startswith("own-model-")


@needs_cases
def test_one_visit_keeps_so_many_files(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.files.page._MOST_KEPT", 0)
    data = (FOLDER / "models" / "iris_4f.csv").read_bytes()
    app = _upload(_page(), 0, "iris.csv", data)
    (button,) = [b for b in app.button if b.label == "Use these data"]
    app = button.click().run(timeout=HANGS_S)
    assert "this visit has kept 0 files, the limit" in _said(app).lower()
    assert not list(fresh.glob("objects/*"))


@needs_cases
def test_of_several_outputs_one_is_chosen(fresh: Path) -> None:
    models = FOLDER / "models"
    app = _upload(_page(), 1, "logreg iris.onnx", (models / "logreg_iris.onnx").read_bytes())
    app = _upload(app, 2, "iris.csv", (models / "iris_4f.csv").read_bytes())
    app = app.checkbox(key="own-fix").check().run(timeout=HANGS_S)
    (choice,) = [s for s in app.selectbox if s.label == "Output that holds the scores"]
    assert len(choice.options) > 1
    app = choice.select(choice.options[-1]).run(timeout=HANGS_S)
    assert "94.7 % of 150 rows" in _said(app)
    (button,) = [b for b in app.button if b.label == "Explore it on this table"]
    app = button.click().run(timeout=HANGS_S)
    assert address(app)["model"].startswith("own-model-")


def test_own_data_that_are_not_here_are_named_and_replaced(fresh: Path) -> None:
    app = open_page(dataset="own-" + "0" * 32)
    assert any("no longer, on this machine" in w.value.replace("\\", "") for w in app.warning)
    assert not app.exception


@needs_cases
def test_a_model_is_taken_to_explore_on_its_table(fresh: Path) -> None:
    models = FOLDER / "models"
    app = _upload(_page(), 1, "logreg iris.onnx", (models / "logreg_iris.onnx").read_bytes())
    app = _upload(app, 2, "iris.csv", (models / "iris_4f.csv").read_bytes())
    assert "correct the stated shape" in _said(app)
    app = app.checkbox(key="own-fix").check().run(timeout=HANGS_S)
    assert "94.7 % of 150 rows" in _said(app)
    (button,) = [b for b in app.button if b.label == "Explore it on this table"]
    app = button.click().run(timeout=HANGS_S)
    assert not app.exception
    place = address(app)
    assert place["dataset"].startswith("own-")
    assert place["model"].startswith("own-model-")
    app = until(open_page(**{n: place[n] for n in ("dataset", "model")}, recipe="q(8)"), figures)
    assert not app.exception
    assert not app.warning
    captions = " ".join([*(c.value for c in app.caption), *(m.help for m in app.metric)])
    assert "logreg iris.onnx" in captions
    assert app.metric[0].value.endswith("%")
    assert "n = 120," in captions
    assert "all rows but those kept for the end" in captions
    brought = words.size(len(gzip.compress((models / "logreg_iris.onnx").read_bytes(), 9)))
    assert f"from the {brought} that you brought" in captions
    key = place["dataset"].removeprefix("own-")
    assert not any(key[:8] in text for text in (*_texts(app), captions))
    assert "own data, n = 120 rows, none of them a test row" in " ".join(_texts(app))


def test_a_model_at_chance_level_is_not_shown_in_green(fresh: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 4)), np.arange(90) % 3
    rows = "\n".join(",".join(map(str, [*x, k])) for x, k in zip(X, y, strict=True))
    network = trained("iris", "logistic-regression")
    app = _upload(_page(), 1, "iris.onnx", network.onnx_bytes)
    app = _upload(app, 2, "noise.csv", f"a,b,c,d,y\n{rows}".encode())
    assert not app.success
    assert any("of 90 rows are right" in w.value for w in app.warning)
    assert "these rows do not show that it does better than always '0'" in _said(app).lower()


def test_the_cut_of_one_number_can_be_chosen(fresh: Path) -> None:
    w = {"w": np.array([[1.0], [0.0]], np.float32)}
    model = graphs.model([helper.make_node("MatMul", ["x", "w"], ["y"])], w, ["n", 2])
    a = np.linspace(-2, 2, 60)
    rows = "a,b,y\n" + "".join(f"{x:.6f},{-x:.6f},{int(x > 0.5)}\n" for x in a)
    app = _upload(_page(), 1, "score.onnx", model)
    app = _upload(app, 2, "rows.csv", rows.encode())
    assert "88.3 % of 60 rows" in _said(app)
    (cut,) = [n for n in app.number_input if n.label == "Told apart at"]
    app = cut.set_value(0.5).run(timeout=HANGS_S)
    assert "100.0 % of 60 rows" in _said(app)
    (button,) = [b for b in app.button if b.label == "Explore it on this table"]
    app = button.click().run(timeout=HANGS_S)
    place = {name: address(app)[name] for name in ("dataset", "model")}
    own = load_dataset(place["dataset"])
    assert (ps.train(place["model"], own).scores(own.raw.X).argmax(1) == own.raw.y).all()


@needs_cases
def test_fake_quantized_weights_are_explored_as_the_whole_numbers_they_are(fresh: Path) -> None:
    reports = FOLDER / "reports"
    app = _upload(_page(), 1, "qat.onnx", (reports / "fake-quantized/qat.onnx").read_bytes())
    app = _upload(app, 2, "digits.csv", (reports / "digits.csv").read_bytes())
    (button,) = [b for b in app.button if b.label == "Explore it on this table"]
    app = button.click().run(timeout=HANGS_S)
    place = address(app)
    assert "q(78.0001)+folded;dense2=q(88.8582)" in place["recipe"]
    shown = {name: place[name] for name in ("dataset", "model", "recipe")}
    app = until(open_page(**shown, size="file"), figures)
    assert app.metric[1].delta.startswith("3.1")
    assert app.metric[1].delta.endswith("× smaller")
    assert "from the 19.8 kB that you brought" in app.metric[1].help


@needs_cases
def test_a_model_that_cannot_be_compressed_says_so_and_stays(fresh: Path) -> None:
    trees = (FOLDER / "models" / "atspm_stacker_trees.onnx").read_bytes()
    app = _upload(_page(), 1, "trees.onnx", trees)
    for on in ("Digits", "made-up rows"):
        (button,) = [b for b in app.button if b.label == f"Explore it on {on}"]
        app = button.click().run(timeout=HANGS_S)
        assert "It holds trees, which have no weights" in _said(app)
        assert not app.exception


@needs_cases
@pytest.mark.parametrize("kind", ["csv", "onnx", "skops"])
def test_every_shared_file_leaves_the_page_usable(kind: str, fresh: Path) -> None:
    """One after the other on the same page, those that only time can stop left out."""
    app = _page()
    for case in cases(kind):
        if case.name[:3] in ("l06", "l08", "l09", "l11"):
            continue
        place = 0 if kind == "csv" else 1
        app = _upload(app, place, f"{case.name}.{kind}", case.data)
        assert not app.exception, case.name
        _shows(app, case, kind)


@needs_cases
@pytest.mark.parametrize("start", ["l06", "l08", "l09", "l11"])
def test_what_only_a_limit_stops_is_one_sentence(
    start: str, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if start in ("l08", "l09"):  # only the limit of processor time ends them
        monkeypatch.setattr(sandbox, "Limits", partial(Limits, processor_s=2))
    (case,) = [c for c in cases("onnx") if c.name.startswith(start)]
    app = _page()
    app.file_uploader[1].upload(f"{case.name}.onnx", case.data)
    app = app.run(timeout=HANGS_S)
    assert not app.exception
    assert len(app.error) == 1
    assert "limit" in app.error[0].value
    app = _upload(app, 0, "iris.csv", (FOLDER / "models" / "iris_4f.csv").read_bytes())
    assert any("rows to train on" in m.value for m in app.markdown)  # the page is still of use


def _shows(app: AppTest, case: Case, kind: str) -> None:
    refused = bool(app.error)
    assert "Traceback" not in _said(app)
    if kind == "onnx":
        works = case.group in ("awkward", "warn", "accept") and case.name[:3] not in ("a16", "a17")
        assert refused != works, (case.name, _said(app))
    elif kind == "skops":
        assert refused == (case.name != "s00_good"), (case.name, _said(app))
    elif case.group == "refuse" and case.name[:3] not in ("c14", "c16", "c19", "c54"):
        assert refused, case.name
    elif case.group == "warn" and case.name[:3] != "c61":
        assert app.warning or app.error, case.name


# --- public reports, as the command line's test of them has them ---------------------------------

_OF_A_MODEL = [s for s in SAYS if s[1].startswith("--model") and "--cut" not in s[1]]
_OF_A_TABLE = [s for s in SAYS if not s[1] and s[0].endswith(".csv")]


@needs_cases
@pytest.mark.parametrize(("table", "options", "says"), _OF_A_MODEL, ids=[s[1] for s in _OF_A_MODEL])
def test_a_reported_model_gets_on_the_page_what_it_gets_on_the_command_line(
    table: str, options: str, says: list[str], fresh: Path
) -> None:
    name = options.split()[1]
    app = _upload(_page(), 1, "model.onnx", (REPORTS / name).read_bytes())
    app = _upload(app, 2, "rows.csv", (REPORTS / table).read_bytes())
    assert not app.exception
    told = _said(app) + " ".join(c.value for c in app.caption).replace("\\", "")
    for words_ in says:
        assert words_.replace("can be", "Can be") in told


@needs_cases
@pytest.mark.parametrize(("table", "options", "says"), _OF_A_TABLE, ids=[s[0] for s in _OF_A_TABLE])
def test_a_reported_table_gets_on_the_page_what_it_gets_on_the_command_line(
    table: str, options: str, says: list[str], fresh: Path
) -> None:
    app = _upload(_page(), 0, "rows.csv", (REPORTS / table).read_bytes())
    assert not app.exception
    shown = [m.value for m in app.markdown] + [d.value.to_csv() for d in app.dataframe]
    told = " ".join([_said(app), *shown]).replace("\\", "")
    for words_ in says:
        if "--decimal" in words_:  # the page has a control in the option's place
            assert any(c.label == "Decimal mark" for c in app.get("button_group"))
        elif match := re.search(r"(\d+) features?\b", words_):
            parts = next(d.value for d in app.dataframe if "part" in d.value)["part"]
            assert (parts == "feature").sum() == int(match[1])
        elif match := re.search(r"(\d+) classes", words_):
            assert f"{match[1]} classes" in told
        elif match := re.match(r"'(.+)' is (.+) or (.+)", words_):
            assert match[1] in told
        else:
            assert words_ in told or words_.lower() in told.lower()
