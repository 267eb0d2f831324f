"""Uploads in a real browser: own data from file to download, bad files, and a neighbour's endless
model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime as ort
from playwright.sync_api import Page, expect

from tests.archives import archive, coloured_digits, encoded, network_on
from tests.browser.conftest import Server, Visitor, file_was_run, settle
from tests.conftest import trained
from tests.uploads.cases import FOLDER, needs_cases

pytestmark = needs_cases
QUERY = "?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.1)%2Bq(8)"
BAD = (
    "c01_empty", "c05_gzip", "c08_ragged_long", "c10_null_bytes", "c11_single_column",
    "c13_label_all_missing", "c17_wide_20000", "c20_pickle", "c23_header_too_short",
    "c60_unicode_digits",
)  # fmt: skip


def _upload(page: Page, label: str, path: object) -> None:
    box = page.locator("[data-testid=stFileUploader]").filter(has_text=label)
    box.locator("input[type=file]").set_input_files(str(path))


def test_own_data_from_file_to_download(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    page = visit.page
    page.goto(f"{server.url}/files")
    settle(page)
    _upload(page, "Table, at most", FOLDER / "models" / "iris_4f.csv")
    expect(page.get_by_text("rows to train on")).to_be_visible()
    page.get_by_role("button", name="Use these data").click()
    expect(page.get_by_text("iris 4f.csv · Logistic regression")).to_be_visible()
    slider = page.locator("input[type=range]").first
    slider.focus()
    before = page.evaluate("location.search")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("before => location.search !== before", arg=before)
    page.wait_for_function("location.search.includes('dataset=own-')")
    file_was_run(page)
    visit.rest()
    with page.expect_download() as found:
        page.get_by_role("button", name="Download model").click()
    session = ort.InferenceSession(found.value.path())
    assert session.run(None, {"features": [[5.1, 3.5, 1.4, 0.2]]})[0].argmax() == 0
    assert visit.errors == [e for e in visit.errors if "404" in e]


def test_own_data_are_listed_again_in_the_same_browser_and_in_no_other(
    server: Server, visitor: Visitor
) -> None:
    first = visitor()
    page = first.page
    page.goto(f"{server.url}/files")
    _upload(page, "Table, at most", FOLDER / "models" / "iris_4f.csv")
    page.get_by_role("button", name="Use these data").click()
    expect(page.get_by_text("iris 4f.csv · Logistic regression")).to_be_visible()
    page.wait_for_function("(localStorage.getItem('paretoscope-own') ?? '').includes('own-')")
    other_tab = page.context.new_page()  # a visit of its own
    other_tab.goto(f"{server.url}/files")
    expect(other_tab.get_by_text("Yours, in this browser")).to_be_visible()
    expect(other_tab.get_by_text("150 rows, 4 features")).to_be_visible()
    stranger = visitor()
    stranger.page.goto(f"{server.url}/files")
    expect(stranger.page.get_by_role("heading", name="A model of yours")).to_be_visible()
    stranger.rest()
    expect(stranger.page.get_by_text("Yours, in this browser")).to_have_count(0)
    other_tab.get_by_role("button", name="Forget").click()
    other_tab.wait_for_function("!(localStorage.getItem('paretoscope-own')).includes('own-')")
    expect(other_tab.get_by_text("Yours, in this browser")).to_have_count(0)


def test_a_model_is_judged_on_a_table(server: Server, visitor: Visitor) -> None:
    page = visitor().page
    page.goto(f"{server.url}/files")
    _upload(page, "Model, at most", FOLDER / "models" / "logreg_iris.onnx")
    expect(page.get_by_text("An ONNX model, opset 1")).to_be_visible()
    expect(page.get_by_text("Its input states 2 features, but its weights take 4")).to_be_visible()
    _upload(page, "Table or pictures", FOLDER / "models" / "iris_4f.csv")
    expect(page.get_by_text("correct the stated shape")).to_be_visible()
    page.get_by_text("Take the number of features from the weights").click()
    expect(page.get_by_text("94.7 % of 150 rows are right")).to_be_visible()


def test_ten_bad_files_in_a_row_are_ten_sentences(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    page = visit.page
    page.goto(f"{server.url}/files")
    box = page.locator("[data-testid=stFileUploader]").filter(has_text="Table, at most")
    box.wait_for()
    settle(page)
    said = set()
    for name in BAD:
        _upload(page, "Table, at most", FOLDER / "csv" / f"{name}.csv")
        expect(box.get_by_text(name[:7])).to_be_visible()  # Streamlit shortens long names
        alert = page.locator("[data-testid=stAlert]")
        expect(alert).to_be_visible()
        settle(page)
        said.add(alert.inner_text())
        box.get_by_role("button", name=re.compile("Remove|Delete|Clear")).first.click()
        expect(alert).to_have_count(0)
        settle(page)
    assert len(said) == len(BAD)
    assert page.get_by_text("Traceback").count() == 0
    assert [e for e in visit.errors if "404" not in e] == []


def test_a_neighbour_with_an_endless_model_is_not_felt(server: Server, visitor: Visitor) -> None:
    trained("digits", "mlp-64-32")
    quiet, busy = visitor().page, visitor().page
    quiet.goto(server.url + "/" + QUERY)
    done = quiet.get_by_text(re.compile(r"All \d+ files of this curve measured"))
    expect(done).to_be_visible()
    busy.goto(f"{server.url}/files")
    _upload(busy, "Model, at most", FOLDER / "onnx" / "l09_loop_no_trip.onnx")
    expect(busy.get_by_text("Trying the model in a process of its own")).to_be_visible()
    quiet.get_by_text("on disk", exact=True).click()  # answers while the other's model runs
    quiet.wait_for_function("location.search.includes('size=file')")
    assert busy.get_by_text("Trying the model in a process of its own").is_visible()


def test_an_archive_of_pictures_goes_from_upload_to_download(
    server: Server, visitor: Visitor, tmp_path: Path
) -> None:
    """500 of 224 pixels, and four files among them that cannot be read."""
    pixels, y = coloured_digits()
    large = np.ones((14, 14, 1), np.uint8)
    files = {
        f"digits/{k}/anna {i}.jpg": encoded(np.kron(pixels[i], large), "jpg", quality=80)
        for i, k in enumerate(y[:500])
    }
    bad = {"text.jpg": b"hello", "empty.png": b"", "cut.jpg": next(iter(files.values()))[:900],
           "letter.docx": b"PK"}  # fmt: skip
    files |= {f"digits/3/{name}": data for name, data in bad.items()}
    (tmp_path / "digits.zip").write_bytes(archive(files))
    (tmp_path / "net.onnx").write_bytes(
        network_on((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), times=14)
    )
    visit = visitor()
    page = visit.page
    page.goto(f"{server.url}/files")
    settle(page)
    _upload(page, "Model, at most", tmp_path / "net.onnx")
    _upload(page, "Table or pictures", tmp_path / "digits.zip")
    expect(page.get_by_text("500 pictures, 10 classes; 224 x 224 pixels in colour")).to_be_visible()
    expect(page.get_by_text("4 files cannot be read")).to_be_visible()
    expect(page.get_by_role("radio", name="ImageNet")).to_be_checked()
    settle(page)
    page.get_by_role("paragraph").filter(has_text=re.compile("^Leave them out$")).click()
    page.get_by_role("button", name="Explore it on these pictures").click()
    expect(page.get_by_text("digits.zip · net.onnx")).to_be_visible()
    file_was_run(page)
    settle(page)
    assert "anna" not in page.content()  # whose picture it is goes nowhere
    with page.expect_download() as model:
        page.get_by_role("button", name="Download model").click()
    session = ort.InferenceSession(model.value.path(), providers=["CPUExecutionProvider"])
    # A small network is rewritten to take rows; how these are laid out was said.
    assert session.get_inputs()[0].shape[1:] == [3 * 224 * 224]
    assert [e for e in visit.errors if "404" not in e] == []
