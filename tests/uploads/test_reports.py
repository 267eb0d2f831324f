"""What public reports tell of, on the command line: the shared cases, and relatives of each model.

Relatives of the tables are in `test_csvs`, those of graphs that are rewritten in `test_rewrites`.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import paretoscope as ps
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from paretoscope.base.errors import ParetoscopeError
from paretoscope.cli.main import main
from paretoscope.measurement.measurement import as_brought
from paretoscope.uploads.checking import check
from paretoscope.uploads.importing import network_for, to_chain
from paretoscope.uploads.kinds import most_bytes
from paretoscope.uploads.models import read_model
from paretoscope.uploads.own_grids import exact_recipe
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor

from tests import graphs
from tests.conftest import load, trained
from tests.uploads.cases import FOLDER, needs_cases

REPORTS = FOLDER / "reports"
N = helper.make_node
RNG = np.random.default_rng(0)
# Of each report: the command, and what it must say.
SAYS = [
    ("thousands/small.csv", "", ["'1.234' is 1.234 or 1234", "--decimal point, or --decimal"]),
    ("thousands/small.csv", "--decimal comma", ["'1.234' in 'a' is read as 1234"]),
    ("thousands/cases.csv", "", ["'56.705' in 'faelle' is read as 56705"]),
    ("thousands/mixed_decimals.csv", "", ["'8.100,71' in 'betrag' is read as 8100.71"]),
    ("sep-line/small.csv", "", ["names the separator: semicolons", "2 features (a, b)"]),
    ("sep-line/sep_quoted.csv", "", ["names the separator: semicolons", "4 features"]),
    ("booleans/small.csv", "", ["2 features (age, sex_f)"]),
    ("booleans/dummies.csv", "", ["6 features (age, sex_f, sex_m, port_C, port_Q, port_S)"]),
    ("row-numbers/small.csv", "", ["1 feature (a)", "'Unnamed: 0' counts the rows"]),
    ("row-numbers/noise_unnamed0.csv", "", ["3 features (a, b, c)", "counts the rows"]),
    ("row-numbers/noise_unnamed0.csv", "--keep 'Unnamed: 0'", ["4 features (Unnamed: 0, a, b, c)"]),
    ("encodings/small.csv", "", ["read as Shift JIS", "ヒオウギ"]),
    ("encodings/small_gbk.csv", "", ["read as GB 18030", "山鸢尾"]),
    ("encodings/small_gbk.csv", "--encoding big5", ["label 'y'"]),
    ("encodings/iris_cp932.csv", "", ["label '種類' with 3 classes"]),
    ("labels-2d/multilabel.npz", "", ["several labels a row (multi-label"]),
    ("masks/small.csv", "--model masks/small.onnx", ["33.3 % of 150", "can be compressed: yes"]),
    ("digits.csv", "--model masks/masked_dynamo.onnx", ["100.0 %", "can be compressed: yes"]),
    ("one-logit/small.csv", "--model one-logit/small.onnx", ["100.0 % of 150", "apart at 0"]),
    ("one-logit/small.csv", "--model one-logit/small.onnx --cut 0.5", ["62.0 %", "0.5 as chosen"]),
    ("digits.csv", "--model fake-quantized/qat.onnx", ["can be compressed: yes", "fake-quantized"]),
    ("digits.csv", "--model float16/f16_keep_io.onnx", ["can be compressed: yes"]),
    ("wide-inputs/tab.csv", "--model wide-inputs/tab.onnx",
     ["100.0 % of 600", "categorical takes shop, day, kind; continuous takes a, b, c, d"]),
    ("label-first/t.csv", "--model label-first/m.onnx", ["96.7 % of 150", "label 'Survived'"]),
    ("label-first/t.csv", "--label Age", ["label 'Age'"]),
]  # fmt: skip


@needs_cases
@pytest.mark.parametrize(("table", "options", "says"), SAYS, ids=[f"{s[0]} {s[1]}" for s in SAYS])
def test_a_report_gets_what_it_asks_for(
    table: str,
    options: str,
    says: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import shlex

    monkeypatch.chdir(REPORTS)
    main(["check", table, *shlex.split(options)])
    found = capsys.readouterr()
    told = found.out + found.err
    assert "Traceback" not in told
    for words in says:
        assert words in told
    assert "already quantized" not in told


@needs_cases
def test_every_report_is_tried() -> None:
    manifest = json.loads((REPORTS / "manifest.json").read_text(encoding="utf-8"))
    tried = {word for table, options, _ in SAYS for word in (table, *options.split())}
    alike = {
        "one-logit/temperature_dynamo.onnx",
        "booleans/dummies_01.csv",
        "row-numbers/noise.csv",
    }
    assert {file for report in manifest for file in report["files"]} - tried == alike


@needs_cases
@pytest.mark.parametrize(
    "name", ["masks/masked_dynamo", "fake-quantized/qat", "float16/f16_keep_io"]
)
def test_a_reported_model_becomes_a_network_with_its_labels(name: str) -> None:
    network = network_for(read_model((REPORTS / f"{name}.onnx").read_bytes()), load("digits"))
    assert network.weights


@needs_cases
def test_smaller_is_against_the_file_that_was_brought() -> None:
    data = (REPORTS / "float16/f16_keep_io.onnx").read_bytes()
    network = network_for(read_model(data), load("digits"))
    assert network.brought == (35_501, 32_653)
    copy = ps.measure(ps.compress(network, ps.Recipe(), None), load("digits"), batches=())
    before = as_brought(copy, network)
    assert (before.size_bytes, before.gzip_bytes) == network.brought
    assert copy.size_bytes > 1.9 * before.size_bytes  # the copy's weights are float32
    assert as_brought(copy, trained("digits", "mlp-64-32")) is copy


@needs_cases
def test_fake_quantized_weights_are_stored_as_the_whole_numbers_they_are() -> None:
    data, digits = (REPORTS / "fake-quantized/qat.onnx").read_bytes(), load("digits")
    network = network_for(read_model(data), digits)
    recipe = exact_recipe(network)
    assert recipe is not None
    artifact = ps.compress(network, recipe, None)
    assert {c.storage for c in artifact.stored.codes.values()} == {"int8"}
    for name, codes in artifact.stored.codes.items():
        np.testing.assert_allclose(codes.decoded(), network.weights[name], rtol=2e-7)
    assert artifact.sizes.file < 6_500 < len(data) / 3
    X = digits.raw.X.astype(np.float32)
    (theirs,) = ort.InferenceSession(data).run(None, {"x": X})
    assert (ps.OnnxRuntime(artifact.onnx_bytes).scores(X).argmax(1) == theirs.argmax(1)).all()


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 4, 6, 8]), st.floats(1e-3, 10))
def test_a_grid_that_weights_lie_on_is_found(seed: int, bits: int, step: float) -> None:
    """Of weights of every width in whole steps, and of none that were never rounded."""
    rng = np.random.default_rng(seed)
    most = 2 ** (bits - 1) - 1
    whole = rng.integers(-most, most + 1, (40, 8))
    whole.flat[:2] = most, 1
    network = graphs.dense(np.float32(step) * whole.astype(np.float32))
    recipe = exact_recipe(network)
    if len(np.unique(np.abs(whole))) < 3 or step > 1:  # Q is 1 at least
        assert recipe is None
        return
    assert recipe is not None
    codes = ps.compress(network, recipe, None).stored.codes["dense1"]
    assert np.abs(codes.values).max() <= 127
    np.testing.assert_allclose(codes.decoded(), network.weights["dense1"], rtol=1e-5, atol=0)
    assert exact_recipe(graphs.dense(rng.normal(size=(40, 8)).astype(np.float32))) is None


@needs_cases
def test_zeros_of_a_mask_are_kept() -> None:
    network = network_for(read_model((REPORTS / "masks/small.onnx").read_bytes()), load("iris"))
    model = onnx.load(REPORTS / "masks/small.onnx")
    weight, mask = (numpy_helper.to_array(t) for t in model.graph.initializer[:2])
    (found,) = network.weights.values()
    np.testing.assert_array_equal(found, weight * mask)
    assert (found == 0).sum() == (weight * mask == 0).sum() > 0


# --- one number a row -------------------------------------------------------------------------


def _one_number(*nodes: Any, shift: float = 0.0) -> bytes:
    """A Gemm of two features to one number "s", then `nodes`, which make "y"."""
    arrays = {"w": np.array([[1.0], [0.0]], np.float32), "b": np.full(1, shift, np.float32),
              "two": np.array(2.0, np.float32)}  # fmt: skip
    return graphs.model([N("Gemm", ["x", "w", "b"], ["s"]), *nodes], arrays, ["n", 2])


def _rows(cut: float, n: int = 60) -> bytes:
    """A table whose label is whether its first feature is above something."""
    a = np.linspace(-2, 2, n)
    return ("a,b,y\n" + "".join(f"{x:.6f},{-x:.6f},{int(x > cut)}\n" for x in a)).encode()


@pytest.mark.parametrize(
    ("nodes", "cut"),
    [
        ([N("Identity", ["s"], ["y"])], 0),
        ([N("Div", ["s", "two"], ["y"])], 0),
        ([N("Tanh", ["s"], ["y"])], 0),
        ([N("Mul", ["s", "two"], ["t"]), N("Sub", ["t", "s"], ["y"])], 0),
        ([N("Sigmoid", ["s"], ["y"])], 0),  # 0.5 of a probability
        ([N("Sigmoid", ["s"], ["p"]), N("Identity", ["p"], ["y"])], 0),
    ],
    ids=["plain", "temperature", "tanh", "arithmetic", "sigmoid", "sigmoid and more"],
)  # fmt: skip
def test_a_score_is_cut_at_0_and_a_probability_at_a_half(nodes: list[Any], cut: float) -> None:
    told = check(_rows(cut), model=_one_number(*nodes))
    assert told.line.startswith("100.0 % of 60 rows")
    assert not any("regression" in note for note in told.notes)  # the table told


def test_the_cut_can_be_chosen() -> None:
    model = _one_number(N("Identity", ["s"], ["y"]))
    assert check(_rows(0.5), model=model).line.startswith("88.3 %")
    told = check(_rows(0.5), model=model, cut=0.5)
    assert told.line.startswith("100.0 %")
    assert any("told apart at 0.5 as chosen" in note for note in told.notes)


@pytest.mark.parametrize(
    ("node", "cut", "score"), [("Identity", 0.5, 0.5), ("Sigmoid", 0.8, float(np.log(4)))]
)
def test_a_chosen_cut_is_in_the_network(node: str, cut: float, score: float) -> None:
    model = read_model(_one_number(N(node, ["s"], ["y"])), cut=cut)
    X = np.column_stack([np.linspace(-2, 2, 61), np.zeros(61)]).astype(np.float32)
    assert (to_chain(model).scores(X).argmax(1) == (X[:, 0] > score)).all()


def test_many_numbers_are_a_regression_and_judged_by_their_error() -> None:
    model = _one_number(N("Identity", ["s"], ["y"]))
    rows = "a,b,y\n" + "".join(f"{k / 7},{-k},{k * 1.5}\n" for k in range(40))
    told = check(rows.encode(), model=model)
    assert told.line.startswith("RMSE ")
    assert told.predicts == "number"
    assert any("regression" in note for note in check(model).notes)  # both are said without one
    for fitted in (LinearRegression(), MLPRegressor(max_iter=5)):
        fitted.fit(RNG.normal(size=(20, 2)), RNG.normal(size=20))
        assert "a regression of 1 number" in check(skops.io.dumps(fitted), "m.skops").line


# --- labels, heads, inputs, rows, order -------------------------------------------------------


def _labels_and_scores(w: Any, offset: float) -> bytes:
    """Labels by the largest of three scores, and other scores beside them."""
    nodes = [
        N("MatMul", ["x", "w"], ["s"]),
        N("ArgMax", ["s"], ["labels"], axis=1, keepdims=0),
        N("Add", ["s", "o"], ["scores"]),
    ]
    arrays = {"w": w, "o": np.array([offset, 0, 0], np.float32)}
    made = onnx.load_model_from_string(graphs.model(nodes, arrays, ["n", 4]))
    del made.graph.output[:]
    made.graph.output.extend(
        [
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["n"]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3]),
        ]
    )
    data: bytes = made.SerializeToString()
    return data


def test_a_second_head_is_not_dropped_without_a_word() -> None:
    nodes = [
        N("MatMul", ["x", "w"], ["s"]),
        N("Softmax", ["s"], ["p"], axis=1),
        N("MatMul", ["x", "v"], ["age"]),
    ]
    arrays = {"w": graphs.random(4, 3), "v": graphs.random(4, 1)}
    made = onnx.load_model_from_string(graphs.model(nodes, arrays, ["n", 4]))
    del made.graph.output[:]
    for name, width in (("p", 3), ("s", 3), ("age", 1)):
        shape = ["n", width]
        made.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    told = check(made.SerializeToString())
    assert told.compressible == "yes"
    (note,) = [note for note in told.notes if "head" in note]
    assert note == "age is another head: compressed files do without"  # s and p tell the same


def test_labels_and_scores_that_disagree_are_said() -> None:
    X = RNG.normal(size=(60, 4)).astype(np.float32)
    rows = "a,b,c,d,y\n" + "".join(
        f"{','.join(map(str, x))},{k % 3}\n" for k, x in enumerate(X.tolist())
    )
    w = graphs.random(4, 3)
    agree, apart = (check(rows.encode(), model=_labels_and_scores(w, o)) for o in (0.0, 9.0))
    assert agree.line == apart.line  # the labels are judged
    assert not any("disagree" in note for note in agree.notes)
    (note,) = [note for note in apart.notes if "disagree" in note]
    n = int(((X @ w).argmax(1) != 0).sum())
    assert f"disagree on {n} of 60 rows" in note


def test_inputs_of_several_columns_take_them_in_order() -> None:
    nodes = [
        N("Cast", ["kinds"], ["k"], to=TensorProto.FLOAT),
        N("Concat", ["k", "sizes"], ["x"], axis=1),
        N("MatMul", ["x", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("kinds", TensorProto.INT64, ["n", 2]),
            helper.make_tensor_value_info("sizes", TensorProto.FLOAT, ["n", 3]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(graphs.random(5, 2), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    w = numpy_helper.to_array(graph.initializer[0])
    X = np.hstack([RNG.integers(0, 3, (40, 2)), RNG.normal(size=(40, 3)).round(4)])
    y = (X.astype(np.float32) @ w).argmax(1)
    rows = "".join(
        f"{int(a)},{int(b)},{c},{d},{e},{k}\n" for (a, b, c, d, e), k in zip(X, y, strict=True)
    )
    told = check(f"p,q,r,s,t,y\n{rows}".encode(), model=model.SerializeToString())
    assert told.line.startswith("100.0 % of 40 rows")
    assert "kinds takes p, q; sizes takes r, s, t" in told.line
    assert told.compressible == "yes"
    with pytest.raises(ParetoscopeError, match="takes 5 features, the table has 6: choose 5"):
        check(b"a,b,c,d,e,f,y\n1,2,3,4,5,6,0\n", model=model.SerializeToString())


def test_a_model_that_takes_one_row_at_a_time_is_run_so() -> None:
    nodes = [N("Reshape", ["x", "s"], ["u"]), N("MatMul", ["u", "w"], ["y"])]
    arrays = {"s": np.array([1, 4]), "w": graphs.random(4, 3)}
    model = graphs.model(nodes, arrays, ["n", 4])
    checked = check(model, "m.onnx")
    assert "outputs for one row y float32[1, 3]" in checked.line
    assert any("one at a time" in note for note in checked.notes)
    X = RNG.normal(size=(20, 4)).round(4).astype(np.float32)
    y = (X @ arrays["w"]).argmax(1)
    rows = "".join(f"{','.join(map(str, x))},{k}\n" for x, k in zip(X.tolist(), y, strict=True))
    told = check(f"a,b,c,d,y\n{rows}".encode(), model=model)
    assert told.line.startswith("100.0 % of 20 rows")


def test_nodes_in_any_order_are_put_in_order_but_no_circle() -> None:
    model = onnx.load_model_from_string(graphs.gemm(0))
    nodes = list(model.graph.node)
    before = check(model.SerializeToString(), "m.onnx")
    for order in (nodes[::-1], [*nodes[1:], nodes[0]]):
        shuffled = onnx.ModelProto()
        shuffled.CopyFrom(model)
        del shuffled.graph.node[:]
        shuffled.graph.node.extend(order)
        assert check(shuffled.SerializeToString(), "m.onnx") == before
    circle = graphs.model(
        [N("Add", ["x", "b"], ["a"]), N("Relu", ["a"], ["b"]), N("Add", ["a", "b"], ["y"])],
        {},
        ["n", 2],
    )
    with pytest.raises(ParetoscopeError, match="the graph has a cycle"):
        check(circle, "m.onnx")


# --- whether it can be compressed, and other formats ------------------------------------------


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (N("Sin", ["x"], ["y"], name="wave"), "no: Sin at 'wave': no operator of it multiplies"),
        (N("Sin", ["x"], ["y"]), "no: Sin at 'y': "),
        (N("Relu", ["x"], ["y"]), "no: Relu at 'y': no operator of it multiplies"),
        (N("MatMul", ["x", "w"], ["y"]), "yes"),
    ],
)
def test_it_is_said_whether_a_model_can_be_compressed(
    node: Any, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.onnx").write_bytes(graphs.model([node], {"w": graphs.random(4, 3)}, ["n", 4]))
    assert main(["check", str(tmp_path / "m.onnx")]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith(f"can be compressed: {says}")


def test_sequences_are_coded_where_they_stand() -> None:
    nodes = [N("Conv", ["x", "w"], ["c"]), N("Flatten", ["c"], ["y"])]
    model = graphs.model(nodes, {"w": graphs.random(2, 3, 5)}, ["n", 3, 9])
    assert check(model, "m.onnx").compressible == "yes"
    nodes = [N("Unsqueeze", ["x", "s"], ["u"]), *nodes]
    nodes[1] = N("Conv", ["u", "w"], ["c"])
    arrays = {"w": graphs.random(2, 1, 5), "s": np.array([1])}
    told = check(graphs.model(nodes, arrays, ["n", 9]), "m.onnx")
    assert told.compressible == "yes"
    assert "10 weights in 1 layer are coded where they stand" in " ".join(told.notes)


def _zip(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("m.pt", _zip("archive/data.pkl", "archive/data/0"), "PyTorch file; export the model with"),
        ("m.pth", _zip("m/data.pkl", "m/version"), "torch.onnx.export"),
        ("m.pt2", _zip("m/archive_format", "m/models/model.json"), "PyTorch file"),
        ("m.keras", _zip("config.json", "model.weights.h5"), "Keras file; export the model with"),
        ("m.tflite", b"\x1c\0\0\0TFL3" + b"\0" * 40, "TensorFlow Lite file"),
        ("m.safetensors", (16).to_bytes(8, "little") + b'{"a":{"b":1234}}', "safetensors file"),
        ("m.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "HDF5"),
    ],
)
def test_other_formats_get_the_sentence_that_helps(
    name: str, data: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for own in (name, "m.onnx"):
        (tmp_path / own).write_bytes(data)
        assert main(["check", str(tmp_path / own)]) == 2
        found = capsys.readouterr().err
        assert says in found
        assert found.count("\n") == 1


def test_weights_beside_a_model_are_said_with_the_way_out() -> None:
    model = onnx.load_model_from_string(graphs.gemm(0))
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="m.onnx.data")
    with pytest.raises(ParetoscopeError, match="external_data=False"):
        check(model.SerializeToString(), "m.onnx")


def test_a_file_that_is_too_large_is_told_its_true_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "m.onnx").open("wb") as file:
        file.truncate(3 * most_bytes())
    assert main(["check", str(tmp_path / "m.onnx")]) == 2
    assert "the file has 600.0 MB; at most 200 MB are taken" in capsys.readouterr().err
