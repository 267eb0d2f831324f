"""One's own table and model on the command line and in the library, through the uploads' gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import onnxruntime as ort
import pandas as pd
import paretoscope as ps
import pytest
import skops.io
from paretoscope.cli.main import main
from paretoscope.data.dataset import load_dataset
from paretoscope.training.training import find_trained
from paretoscope.uploads import kinds
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.conftest import trained
from ui.state.address import parse_query

RECIPE = "magnitude(sparsity=0.5)+q(64)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, a model of ONNX that fits it, and one of scikit-learn's own format."""
    there = tmp_path_factory.mktemp("own")
    X, y = load_wine(return_X_y=True)
    names = [f"f{i}" for i in range(X.shape[1])]
    labels = np.array(["barolo", "grignolino", "barbera"])[y]
    pd.DataFrame(X, columns=names).assign(grape=labels).to_csv(there / "mine.csv", index=False)
    (there / "mine.onnx").write_bytes(trained("wine", "mlp-32").onnx_bytes)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, labels)
    skops.io.dump(fitted, there / "mine.skops")
    return there


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


NAMED = ("--classes", "barolo,grignolino,barbera")


def test_a_label_that_was_guessed_is_said_whatever_was_read_before(
    capsys: Any, folder: Path
) -> None:
    table = str(folder / "mine.csv")
    for label in (["--label", "grape"], [], ["--label", "grape"]):
        code, _, err = _run(
            capsys, "measure", "--data", table, *label, "logistic-regression", "q(8)"
        )
        assert code == 0, err
        assert ("'grape' is taken for the label" in err) == (not label)


def test_compress_makes_the_file_that_its_figures_are_of(
    capsys: Any, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small.onnx"
    table, model = str(folder / "mine.csv"), str(folder / "mine.onnx")
    code, printed, err = _run(
        capsys, "compress", "--model", model, "--data", table, *NAMED, RECIPE, "-o", str(out)
    )
    assert code == 0, err
    assert "'grape' is taken for the label" in err
    data = ps.load_table(table, "grape")
    record = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    told = record["measurement"]["quality"]
    session = ort.InferenceSession(out.read_bytes())
    rows = data.rows("open")  # all that are not kept for the end: it was trained elsewhere
    (scores,) = session.run(None, {session.get_inputs()[0].name: rows.X})
    right = int((scores.argmax(1) == rows.y).sum())
    assert told == {"correct": right, "n": len(scores)}
    assert right > 0.8 * len(scores)
    assert f"{len(out.read_bytes()):,} bytes" in printed
    code, printed, _ = _run(capsys, "measure", str(out))  # the record is beside it
    assert code == 0
    assert f"({right} of {len(scores)} open rows" in printed


def test_columns_in_another_order_are_asked_about(
    capsys: Any, folder: Path, tmp_path: Path
) -> None:
    turned = pd.read_csv(folder / "mine.csv").iloc[:, [*range(12, -1, -1), 13]]
    turned.to_csv(tmp_path / "turned.csv", index=False)
    out = ("-o", str(tmp_path / "small.onnx"))
    own = ("--model", str(folder / "mine.onnx"), "--data", str(tmp_path / "turned.csv"))
    code, _, err = _run(capsys, "compress", *own, *NAMED, "--label", "grape", RECIPE, *out)
    assert code == 0, err
    assert "are the table's columns those that it was trained on, in its order?" in err
    own = ("--model", str(folder / "mine.onnx"), "--data", str(folder / "mine.csv"))
    code, printed, err = _run(capsys, "compress", *own, *NAMED, "--label", "grape", RECIPE, *out)
    assert "against the uncompressed model" in printed
    assert "in its order?" not in err


@pytest.mark.parametrize("command", ["measure", "sweep", "search"])
def test_other_commands_take_them_too(
    capsys: Any, folder: Path, tmp_path: Path, command: str
) -> None:
    own = ("--model", str(folder / "mine.skops"), "--data", str(folder / "mine.csv"))
    grid = ("--threshold", "0,0.1", "--q", "16,64")
    more = {"measure": (RECIPE,), "sweep": grid, "search": (*grid, "--drop", "5")}[command]
    code, printed, err = _run(capsys, command, *own, "--label", "grape", *more)
    assert code == 0, err
    told = {"measure": f"recipe               {RECIPE}", "sweep": "(threshold=0.1)+q(16)"}
    assert told.get(command, "magnitude") in printed


def test_a_trained_model_on_an_own_table(capsys: Any, folder: Path) -> None:
    """Words may stand between options."""
    own = ("measure", "--data", str(folder / "mine.csv"), "linear-svm", "--label", "grape", "q(64)")
    code, printed, err = _run(capsys, *own)
    assert code == 0, err
    assert "recipe               q(64)" in printed


@pytest.mark.parametrize("data", ["mine.csv", "wine", None])
def test_open_keeps_a_model_for_the_app_and_prints_the_link(
    capsys: Any, folder: Path, data: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is larger than what uploads take."""
    monkeypatch.chdir(folder)
    given = [] if data is None else ["--data", data]
    label = ["--label", "grape"] if data == "mine.csv" else []
    with monkeypatch.context() as patch:
        patch.setattr(kinds, "_USUAL_MB", "0")
        code, printed, err = _run(
            capsys, "open", "mine.onnx", *given, *label, "--url", "http://here/"
        )
    assert code == 0, err
    address = urlsplit(printed.strip())
    assert address._replace(query="").geturl() == "http://here/"
    view, complaints = parse_query({k: v for k, (v,) in parse_qs(address.query).items()})
    assert not complaints
    on = load_dataset(view.dataset)
    assert view.dataset == data or on.raw.X.shape[1] == 13
    network = find_trained(view.model, on)
    assert network is not None
    expected = ps.load_model(folder / "mine.onnx", on)
    X = on.validation.X
    assert np.array_equal(network.scores(X), expected.scores(X))


def test_open_refuses_what_check_refuses(capsys: Any, folder: Path) -> None:
    code, printed, err = _run(capsys, "open", str(folder / "mine.csv"))
    assert code == 2
    assert not printed
    assert err.count("\n") == 1


def test_the_library_loads_a_model_by_itself_or_on_data(folder: Path) -> None:
    alone = ps.load_model(folder / "mine.onnx")
    data = ps.load_table(folder / "mine.csv", "grape")
    names = ("barolo", "grignolino", "barbera")
    network = ps.load_model(folder / "mine.onnx", data, names=names)
    rows = data.validation.X
    order = [names.index(name) for name in data.class_names]
    np.testing.assert_allclose(alone.scores(rows)[:, order], network.scores(rows), atol=1e-5)
    skops = ps.load_model(folder / "mine.skops", data)
    assert ps.measure(ps.compress(skops, ps.Recipe(), data.train), data).accuracy.value > 0.9


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("mine.onnx", "--data", "mine.csv", "--model", "mine.onnx", RECIPE), "takes RECIPE; got"),
        (("--data", "mine.csv", RECIPE), "the command takes MODEL RECIPE; got"),
        (("--data", "none.csv", "--model", "mine.onnx", RECIPE), "none.csv cannot be read"),
        (("--data", "mine.csv", "--model", "none.onnx", RECIPE), "none.onnx cannot be read"),
        (("--data", "mine.onnx", "--model", "mine.onnx", RECIPE), "a table is wanted"),
        (
            (
                *("--data", "mine.csv", "--model", "mine.onnx", RECIPE, "--label", "f0"),
                *("--predict", "class"),
            ),
            "126 different",
        ),
        (("wine", "mlp-32", RECIPE, "--label", "f0"), "--label is about your own table"),
        (("wine", "mlp-32", RECIPE, "--cut", "0"), "--cut is about your own model"),
        (("wine", "mine.onnx", RECIPE, "--seed", "1"), "--seed is of a training"),
        (("--data", "mine.csv", "--model", "mine.onnx", "q(0)"), "q must be at least 1; got 0"),
        (
            ("--data", "mine.csv", "--model", "mine.onnx", RECIPE, "--leave-out", "f1"),
            "13 features",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_and_no_file(
    capsys: Any,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(folder)
    out = tmp_path / "small.onnx"
    code, _, err = _run(capsys, "compress", *arguments, "-o", str(out))
    told = [line for line in err.splitlines() if not line.startswith("note: ")]
    assert code == 2
    assert len(told) == 1
    assert sentence in told[0]
    assert not out.exists()
