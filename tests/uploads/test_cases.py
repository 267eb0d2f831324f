"""Every shared case gets what its manifest says, through the command that people have.

What a sentence must name is listed here by case: the manifest gives the meaning, not the wording.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import skops.io
from onnx import TensorProto, helper, numpy_helper
from paretoscope.base.errors import ParetoscopeError
from paretoscope.cli.main import main
from paretoscope.sandbox import sandbox
from paretoscope.sandbox.sandbox import Limits
from paretoscope.uploads.checking import check
from paretoscope.uploads.csvs import read_csv
from paretoscope.uploads.gate import admit
from paretoscope.uploads.labelled import with_label
from sklearn.linear_model import LogisticRegression

from tests.conftest import load
from tests.uploads.cases import FOLDER, Case, cases, needs_cases

MODEL = FOLDER / "models" / "logreg_iris.onnx"
# Of models: a word that the refusal, or a note, must have.
SAYS = {
    "r01": "empty", "r02": "HTML", "r04": "pickle", "r05": "PyTorch", "r07": "cut short",
    "r08": "cut short", "r10": "cannot be parsed", "r11": "no graph", "r13": "opset 999",
    "r14": "IR version 99", "r16": "com.acme.MyOp", "r17": "cycle", "r19": "made twice",
    "r20": "Add", "r22": "no outputs", "r23": "no inputs", "r25": "negative dimension",
    "r26": "declares 9,223,372,036,854,775,808 values but holds 0", "r28": "no type",
    "r29": "text", "l02": "memory", "l03": "memory", "l05": "memory", "l06": "memory",
    "l08": "stopped after", "l09": "stopped after", "l11": "the model", "l14": "nested",
    "l15": "cannot be parsed", "l17": "30,000,000,000 values", "h01": "another file",
    "h03": "another file", "h04": "another file", "h06": "another file", "h07": "another file",
    "h09": "another file", "h10": "another file", "h13": "out of range", "h15": "feature 1,000,000",
    "h16": "cycle", "h18": "3 keys but 1 values", "h19": "Conv", "h21": "Sum", "h22": "Mean",
    "a01": "is NaN", "a02": "is infinite", "a04": "not stated", "a07": "32 rows",
    "a08": "1 × 8 × 8", "a10": "double", "a11": "65,504", "a13": "by name, then by order",
    "a14": "string", "a16": "sequence", "a17": "optional", "a19": "labels only",
    "a20": "two classes", "a22": "listed as inputs", "a23": "already quantized",
    "a25": "never used", "a26": "compressed once", "a28": "other names",
}  # fmt: skip
REFUSED_THOUGH_AWKWARD = {"a16", "a17"}  # as their manifest allows, with a clear sentence
# Of tables.
TELLS = {
    "c01": "empty", "c02": "no rows", "c04": "Excel", "c05": "gzip", "c07": "JSON",
    "c08": "line 12 has 7 fields", "c10": "NUL", "c11": "only one column", "c13": "empty in every",
    "c14": "sl, sw, pl, pw", "c16": "choose 4", "c17": "20,001", "c19": "cat, dog, eel",
    "c20": "pickle", "c22": "without a name", "c23": "every row has 3 fields, the header has 2",
    "c31": "UTF-16", "c33": "decimal comma", "c34": "tabs", "c39": "occurs 3 times",
    "c40": "17 of 30 rows miss", "c42": "'NA' is kept", "c43": "6 of 12 rows hold infinite",
    "c45": "looks like codes", "c48": "differ only in case", "c49": "taken for a number to predict",
    "c51": "95 of 100 rows repeat", "c52": "thousands", "c54": "dates", "c55": "1 row",
    "c57": "", "c60": "not ASCII in", "c61": "line 2, column 'a': '0x1F'", "c63": "counts the rows",
    "c64": "copy_of_y", "c67": "50.0 %",
}  # fmt: skip
WITH_A_MODEL = {"c16", "c19", "c46", "c66"}
SKOPS = {
    "s00": "4 features", "s01": "pickle", "s03": "cut short", "s04": "no schema.json",
    "s06": "system", "s07": "operator", "s09": "200 MB", "s10": "too deeply",
    "s12": "random state", "s13": "not allowed",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _ends(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each job ends within its limit, whatever it is given."""
    signal.alarm(60)
    yield
    signal.alarm(0)


def _check(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["check", *arguments])
    found = capsys.readouterr()
    assert "Traceback" not in found.err
    if code == 2:
        assert found.err.count("\n") == 1
        assert not found.out
    else:
        line, *more = found.out.splitlines()
        of_a_model = not line.startswith("a table")
        assert len(more) == of_a_model
        assert not of_a_model or re.fullmatch("can be compressed: (yes|no: .+)", more[0])
    return code, found.out + found.err


@needs_cases
@pytest.mark.parametrize("case", cases("onnx"), ids=lambda c: c.name)
def test_a_model_gets_what_its_manifest_says(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    canary = "canary-9f3a"
    (tmp_path / "secret.bin").write_text(canary * 20)
    monkeypatch.chdir(tmp_path)
    name = case.name[:3]
    if name in ("l08", "l09"):  # only this limit ends them
        monkeypatch.setattr(sandbox, "Limits", partial(Limits, processor_s=2))
    code, told = _check(str(case.path), capsys=capsys)
    works = case.group in ("awkward", "warn", "accept") and name not in REFUSED_THOUGH_AWKWARD
    assert code == (0 if works else 2), told
    assert SAYS.get(name, "") in told
    assert canary not in told
    assert [path.name for path in tmp_path.iterdir()] == ["secret.bin"]


@needs_cases
@pytest.mark.parametrize("case", cases("csv"), ids=lambda c: c.name)
def test_a_table_gets_what_its_manifest_says(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    name = case.name[:3]
    model = ["--model", str(MODEL), "--correct-shape"] if name in WITH_A_MODEL else []
    code, told = _check(str(case.path), *model, capsys=capsys)
    refused = case.group == "refuse" or name == "c61"  # "refused cell by cell"
    assert code == (2 if refused else 0), told
    assert TELLS.get(name, "") in told
    if case.group == "warn" and not refused:
        assert "note: " in told


@needs_cases
@pytest.mark.parametrize("case", cases("skops"), ids=lambda c: c.name)
def test_a_skops_file_gets_what_its_manifest_says(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = _check(str(case.path), capsys=capsys)
    assert code == (0 if case.name == "s00_good" else 2), told
    assert SKOPS[case.name[:3]] in told


@needs_cases
@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("rapidocr_cls", "float[?, 3, ?, ?]"),
        ("mtcnn_onet", "3 outputs"),
        ("atspm_funcnet_head", "3 inputs"),
        ("atspm_stacker_trees", "trees, which have no weights"),
        ("light_squeezenet", "float[1, 3, 224, 224]"),
        ("logreg_iris", "states 2 features, but its weights take 4"),
    ],
)
def test_real_models_run_as_described(
    model: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = _check(str(FOLDER / "models" / f"{model}.onnx"), capsys=capsys)
    assert code == 0, told
    assert says in told


@needs_cases
def test_a_wrong_stated_shape_is_corrected_with_consent(capsys: pytest.CaptureFixture[str]) -> None:
    table = str(FOLDER / "models" / "iris_4f.csv")
    code, told = _check(table, "--model", str(MODEL), capsys=capsys)
    assert code == 2
    assert "correct the stated shape" in told
    code, told = _check(table, "--model", str(MODEL), "--correct-shape", capsys=capsys)
    assert code == 0
    assert told.startswith("94.7 % of 150 rows are right")


def test_a_file_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = _check("no-such-file.onnx", capsys=capsys)
    assert code == 2
    assert "no-such-file.onnx cannot be read" in told


def test_no_model_takes_the_square_of_its_length() -> None:
    """Products of a million dimensions, and names put together anew for each of many graphs."""
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[2**62] * 500_000)
    given = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [None, 4])
    made = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None, 4])
    node = helper.make_node("Relu", ["x"], ["y"])
    wide = helper.make_model(helper.make_graph([node], "g", [given], [made], [tensor]))
    with pytest.raises(ParetoscopeError, match="500,000 dimensions"):
        admit(wide.SerializeToString())
    inner = helper.make_graph([helper.make_node("Relu", ["x"], ["z"])], "i", [], [made])
    inner.output[0].name = "z"
    nodes = [
        helper.make_node("If", ["x"], [f"y{i}"], then_branch=inner, else_branch=inner)
        for i in range(6_000)
    ]
    nodes.append(helper.make_node("Relu", ["y0"], ["y"]))
    names = [
        onnx.TensorProto(name=f"w{i}", data_type=onnx.TensorProto.FLOAT) for i in range(400_000)
    ]
    for one in names:
        one.dims.append(0)
    many = helper.make_model(helper.make_graph(nodes, "g", [given], [made], names))
    assert admit(many.SerializeToString()).operators["If"] == 6_000


def test_no_cell_and_no_label_takes_the_square_of_its_length() -> None:
    """These took minutes, in which no other visitor was answered."""
    for cell in ("1" * 100_000 + "x", "1_" * 50_000 + "x", "0" * 100_000):
        table = read_csv(f"a,y\n{cell},1\n2,2\n".encode())
        assert table.column("a").kind == "text"
    ids = "".join(f"{i},id{i}\n" for i in range(200_000))
    assert len(with_label(read_csv(f"a,y\n{ids}".encode())).classes) == 200_000


@needs_cases
def test_a_model_that_numbers_its_classes_is_judged_by_the_names_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = (FOLDER / "models" / "iris_4f.csv").read_text(encoding="utf-8").splitlines()
    names = ["setosa", "versicolor", "virginica"]
    rows = [numbers[0], *(f"{r[: r.rindex(',')]},{names[int(r[-1])]}" for r in numbers[1:])]
    table = tmp_path / "iris.csv"
    table.write_text("\n".join(rows), encoding="utf-8")
    iris = load("iris").raw
    held = tmp_path / "iris.skops"
    held.write_bytes(skops.io.dumps(LogisticRegression(max_iter=500).fit(iris.X, iris.y)))
    for model in ([str(MODEL), "--correct-shape"], [str(held)]):
        given = (str(table), "--model", *model)
        code, told = _check(*given, capsys=capsys)
        assert code == 2
        assert "give a mapping" in told
        code, told = _check(*given, "--classes", ", ".join(names), capsys=capsys)
        assert code == 0, told
        assert "% of 150 rows are right" in told
        assert "1 is versicolor" in told
        code, told = _check(*given, "--classes", "setosa,virginica", capsys=capsys)
        assert code == 2
        assert "2 names were given" in told
    assert _check(str(table), "--classes", "a,b", capsys=capsys)[0] == 2


def test_classes_that_are_numbered_from_one_are_named_in_their_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    iris = load("iris").raw
    held, table = tmp_path / "iris.skops", tmp_path / "iris.csv"
    held.write_bytes(skops.io.dumps(LogisticRegression(max_iter=500).fit(iris.X, iris.y + 1)))
    fruits = ["apple", "berry", "cherry, sour"]
    rows = [f'{",".join(map(str, x))},"{fruits[y]}"' for x, y in zip(iris.X, iris.y, strict=True)]
    rows += ["1,2,3,4,", ",2,3,4,apple"]
    table.write_text("\n".join(["a,b,c,d,fruit", *rows]), encoding="utf-8")
    given = (str(table), "--model", str(held))
    code, told = _check(*given, capsys=capsys)
    assert code == 2
    assert "none of the model's classes (1, 2, 3)" in told
    code, told = _check(*given, "--classes", 'apple,berry,"cherry, sour"', capsys=capsys)
    assert code == 0, told
    assert "% of 150 rows are right" in told
    assert "3 is cherry, sour" in told
    assert "2 rows miss features or labels" in told
    code, told = _check(*given, "--classes", 'apple,,"cherry, sour"', capsys=capsys)
    assert code == 0
    assert "2 is none" in told
    table.write_text("a,b,c,d,fruit\n1,,1,1,apple\n,2,2,2,berry\n", encoding="utf-8")
    code, told = _check(*given, capsys=capsys)
    assert code == 2
    assert "no rows are left" in told


def test_a_skops_file_is_run_in_the_sandbox_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many classes it has: a small file can have scores for 200,000."""

    def never(*_: object) -> None:
        raise AssertionError("scored in the server")

    monkeypatch.setattr("paretoscope.network.network.Network.scores", never)
    model = LogisticRegression().fit([[0.0], [1.0], [2.0]], [0, 1, 2])
    n = 200_000
    model.classes_, model.coef_, model.intercept_ = np.arange(n), np.zeros((n, 1)), np.zeros(n)
    table = "a,y\n" + "".join(f"{k % 9},{k % 3}\n" for k in range(2_000))
    found = check(table.encode(), "", skops.io.dumps(model))
    assert found.line.startswith("33.4 % of 2,000 rows are right")


def test_inputs_of_single_numbers_are_fed_by_name() -> None:
    nodes = [
        helper.make_node("Unsqueeze", ["a", "one"], ["p"]),
        helper.make_node("Unsqueeze", ["b", "one"], ["q"]),
        helper.make_node("Concat", ["p", "q"], ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "ab"],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.array([1]), "one")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    table = "a,b,y\n" + "".join(f"{k % 2},{1 - k % 2},{1 - k % 2}\n" for k in range(20))
    assert check(table.encode(), "", made.SerializeToString()).line.startswith("100.0 % of 20 rows")


@needs_cases
@pytest.mark.parametrize("part", range(12))
def test_every_other_shared_file_is_answered(part: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Graphs as exporters write them, and files of other tools: none crashes, each refusal is one
    sentence that says what to do, each model is told whether it can be compressed."""
    skipped = (".md", ".json", ".py", ".npz", ".csv")
    files = [
        f for f in sorted((FOLDER / "graphs").iterdir()) if f.is_file() and f.suffix not in skipped
    ]
    assert len(files) > 70
    for path in files[part::12]:
        code, told = _check(str(path), capsys=capsys)
        assert "Traceback" not in told, path.name
        if code == 0:
            assert re.search(r"^can be compressed: (yes|no: .+)$", told, re.MULTILINE), path.name
        else:
            assert code == 2, path.name
            assert re.fullmatch(r"paretoscope: .{20,}\n?", told), path.name
            assert re.search("export|are$|self-contained|cut short", told.strip()), path.name
