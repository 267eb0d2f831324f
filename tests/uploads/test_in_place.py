"""Graphs as real exporters write them, coded where they stand: from the file to the page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import paretoscope as ps
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretoscope.artifact.size_parts import size_report
from paretoscope.base.errors import ParetoscopeError
from paretoscope.cli.main import main
from paretoscope.network.in_place import InPlace, noise
from paretoscope.network.places import constants_of
from paretoscope.problems.agreement import Agreement
from paretoscope.uploads.checking import Chosen, check
from paretoscope.uploads.importing import to_network
from paretoscope.uploads.in_place import network_in_place
from paretoscope.uploads.models import read_model
from paretoscope.uploads.own import keep_made, keep_table, network_of
from paretoscope.uploads.preparing import prepare
from paretoscope.uploads.rewriting import CannotCompressError

from tests import any_graphs
from tests.any_graphs import N, graph_of, npz, several_inputs, weight
from tests.uploads.cases import FOLDER, needs_cases

GRAPHS = FOLDER / "graphs"
# One of each kind; `make soak` has all of them.
SOME = ("cnn_1d", "cnn_qat", "detector", "distilbert", "kws_float16_inside", "lstm", "skl_ridge")
# What cannot be read yet: weights in another file (issue 26), and rows of text.
UNREAD = {"lenet_external": "another file", "skl_columns_text": "takes text"}


@dataclass(frozen=True)
class Shared:
    """A graph and what its manifest says."""

    name: str
    compress: str
    weights: int
    tolerance: float
    path: Path
    stored: dict[str, npt.NDArray[Any]]

    def rows(self, network: InPlace) -> npt.NDArray[np.float32]:
        inputs = [self.stored[f"inputs/{feed.name}"] for feed in network.signature.inputs]
        return np.concatenate([a.reshape(len(a), -1).astype(np.float32) for a in inputs], 1)


def _shared() -> list[Shared]:
    manifest = GRAPHS / "manifest.json"
    if not manifest.is_file():
        return []
    found = []
    for entry in json.loads(manifest.read_text(encoding="utf-8")):
        if entry["file"].endswith(".onnx"):
            with np.load(GRAPHS / f"{entry['name']}.npz") as archive:
                stored = dict(archive)
            found.append(
                Shared(
                    entry["name"],
                    entry["compress"],
                    entry["n_weights"],
                    entry["tolerance"],
                    GRAPHS / entry["file"],
                    stored,
                )
            )
    return found


def _compressed_as_the_manifest_says(case: Shared) -> None:
    model = read_model(case.path.read_bytes())
    network = network_in_place(model, Agreement(labels=False))
    output = network.signature.output
    X, expected = case.rows(network), case.stored[f"outputs/{output}"]
    flat = expected.reshape(len(expected), -1)
    largest = max(1.0, float(np.abs(flat).max()))
    assert np.abs(network.scores(X) - flat).max() <= case.tolerance * largest
    artifact = ps.compress(network, ps.Recipe.parse("symmetric(8)"), None)
    constants = constants_of(onnx.load_model_from_string(artifact.onnx_bytes))
    ours = [t for t in constants if t.name.endswith((".codes", ".scale"))]
    n_weights = sum(w.size for w in network.weights.values())
    assert n_weights >= 0.9 * case.weights
    # 1 byte a weight, and 4 for each layer's scale: 0.25 of four bytes for all but tiny layers.
    assert sum(len(t.raw_data) for t in ours) <= n_weights + 4 * len(network.weights)
    session = ort.InferenceSession(artifact.onnx_bytes)
    before = ort.InferenceSession(case.path.read_bytes())
    for ask in ("get_inputs", "get_outputs"):
        described = [
            [(v.name, v.type, v.shape) for v in getattr(s, ask)()] for s in (session, before)
        ]
        assert described[0] == described[1]


@needs_cases
@pytest.mark.parametrize("name", SOME)
def test_a_shared_graph_is_compressed_as_its_manifest_says(name: str) -> None:
    (case,) = [case for case in _shared() if case.name == name]
    _compressed_as_the_manifest_says(case)


@needs_cases
@pytest.mark.soak("shared graphs compressed where their weights stand")
def test_all_shared_graphs_are() -> None:
    read = 0
    for case in _shared():
        if case.compress == "layers" and case.name not in (*UNREAD, "skl_logistic"):
            _compressed_as_the_manifest_says(case)
            read += 1
    assert read >= 40


@needs_cases
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnet18_ort_static", "DequantizeLinear at 'conv1.weight_bias_DequantizeLinear': its"),
        ("skl_forest", "TreeEnsembleClassifier at 'TreeEnsembleClassifier': it holds trees"),
        ("skl_svc_rbf", "no operator of it multiplies with constant weights"),
        ("skl_columns_text", "the input 'colour' takes text, not numbers"),
    ],
)
def test_what_cannot_be_says_which_operator_stands_in_the_way(name: str, says: str) -> None:
    told = check((GRAPHS / f"{name}.onnx").read_bytes(), "m.onnx").compressible
    assert told.startswith("no: ")
    assert says in told


# --- what is done to the graph ----------------------------------------------------------------


def _linear(operator: str, **attributes: Any) -> bytes:
    outputs = ["label", "y"] if operator == "LinearClassifier" else ["y"]
    node = N(operator, ["x"], outputs, domain="ai.onnx.ml", **attributes)
    double = operator == "LinearClassifier"  # which ONNX Runtime has for it alone
    types = {"x": TensorProto.DOUBLE if double else TensorProto.FLOAT}
    model = graph_of([node], {}, {"x": ["n", 5]}, types=types)
    if operator == "LinearClassifier":
        kind = TensorProto.STRING if "classlabels_strings" in attributes else TensorProto.INT64
        model.graph.output.insert(0, helper.make_tensor_value_info("label", kind, None))
    model.opset_import[0].version = 18
    found: bytes = model.SerializeToString()
    return found


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("LinearRegressor", {"targets": 2}),
        ("LinearClassifier", {"classlabels_ints": [4, 9]}),
        ("LinearClassifier", {"classlabels_strings": ["a", "b"], "post_transform": "SOFTMAX"}),
        ("LinearClassifier", {"classlabels_ints": [0, 1], "post_transform": "LOGISTIC"}),
    ],
)
def test_linear_models_become_products_that_say_the_same(
    operator: str, attributes: dict[str, Any]
) -> None:
    coefficients = weight((2, 5), 0).ravel().tolist()
    data = _linear(operator, coefficients=coefficients, intercepts=[0.3, -0.2], **attributes)
    prepared = prepare(read_model(data))
    assert prepared.notes == (
        f"{operator} keeps its weights as a product: it became MatMul and Add",
    )
    X = np.random.default_rng(0).normal(size=(50, 5))
    X = X if operator == "LinearClassifier" else X.astype(np.float32)
    before, now = (ort.InferenceSession(d).run(None, {"x": X}) for d in (data, prepared.onnx_bytes))
    for a, b in zip(before, now, strict=True):
        if a.dtype.kind == "f":
            assert np.abs(a - b).max() < 1e-4 * max(1, np.abs(a).max())
        else:
            assert (a == b).all()
            assert len(set(a.tolist())) == 2


def test_a_mask_and_its_weight_become_one() -> None:
    w, mask = weight((5, 4), 1), (np.arange(20).reshape(5, 4) % 3 > 0).astype(np.float32)
    nodes = [N("Mul", ["w", "mask"], ["kept"]), N("MatMul", ["x", "kept"], ["y"])]
    model = graph_of(nodes, {"w": w, "mask": mask}, {"x": ["n", 5]})
    prepared = onnx.load_model_from_string(
        prepare(read_model(model.SerializeToString())).onnx_bytes
    )
    (left,) = prepared.graph.initializer
    assert left.name == "kept"
    assert np.array_equal(numpy_helper.to_array(left), w * mask)
    assert [node.op_type for node in prepared.graph.node] == ["MatMul"]


def test_lines_of_source_go_and_own_metadata_stay() -> None:
    model = any_graphs.KINDS["branches"]().model
    node = model.graph.node[0]
    entry = node.metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.stack_trace", "File '/home/me/secret/model.py'"
    model.graph.initializer[0].doc_string = "/home/me/secret"
    inner = model.graph.node[3].attribute[0].g
    inner.node[0].doc_string = "/home/me/secret/inner"
    helper.set_model_props(
        model, {"author": "me", "model": "mine", "paretoscope.network_sha256": "x"}
    )
    prepared = prepare(read_model(model.SerializeToString()))
    assert b"secret" not in prepared.onnx_bytes
    left = onnx.load_model_from_string(prepared.onnx_bytes).metadata_props
    assert {entry.key: entry.value for entry in left} == {"author": "me", "model": "mine"}
    assert "lines of source" in prepared.notes[0]


def test_a_graph_without_weights_is_refused_by_name() -> None:
    model = graph_of([N("Relu", ["x"], ["y"], name="only")], {}, {"x": ["n", 5]})
    with pytest.raises(CannotCompressError, match="no operator") as refused:
        prepare(read_model(model.SerializeToString()))
    assert (refused.value.operator, refused.value.node) == ("Relu", "only")


def _tried(model: onnx.ModelProto) -> InPlace:
    return network_in_place(read_model(model.SerializeToString()), Agreement(labels=False))


def test_overloads_that_nobody_calls_hold_up_nobody() -> None:
    """A circle in one: neither ONNX Runtime nor the gate looks into what is not called."""
    opsets = [helper.make_opsetid("", 17)]
    good = helper.make_function("own", "F", ["a"], ["b"], [N("Relu", ["a"], ["b"])], opsets)
    circle = [
        N("Identity", ["q"], ["p"]), N("Identity", ["p"], ["q"]), N("MatMul", ["a", "p"], ["b"]),
    ]  # fmt: skip
    bad = helper.make_function("own", "F", ["a"], ["b"], circle, opsets, overload="bad")
    nodes = [N("F", ["x"], ["h"], domain="own"), N("MatMul", ["h", "w"], ["y"])]
    model = graph_of(nodes, {"w": weight((5, 4), 1)}, {"x": ["n", 5]}, functions=[good, bad])
    model.ir_version = 10
    assert list(_tried(model).weights) == ["w"]


def test_another_output_may_be_large_and_may_not_go_row_by_row() -> None:
    lstm = any_graphs.KINDS["LSTM"]().model
    lstm.graph.node[1].output.append("c")
    large = N("Mul", ["t", "million"], ["large"])
    lstm.graph.node.append(large)
    lstm.graph.initializer.append(numpy_helper.from_array(np.float32(1e6), "million"))
    lstm.graph.node.append(N("Transpose", ["large"], ["rows"], perm=[1, 0, 2]))
    for name in ("h", "rows"):
        lstm.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    signature = _tried(lstm).signature
    assert (signature.output, signature.others) == ("y", ("rows",))


def test_rows_that_hang_on_each_other_are_refused() -> None:
    nodes = [
        N("MatMul", ["x", "w"], ["h"]),
        N("Transpose", ["x"], ["t"], perm=[1, 0]),
        N("MatMul", ["x", "t"], ["s"]),
        N("MatMul", ["s", "h"], ["y"]),
    ]
    with pytest.raises(ParetoscopeError, match="does not go row by row"):
        _tried(graph_of(nodes, {"w": weight((5, 4), 1)}, {"x": ["n", 5]}))


def test_bytes_are_drawn_over_their_range() -> None:
    nodes = [N("Cast", ["x"], ["f"], to=1), N("MatMul", ["f", "w"], ["y"])]
    model = graph_of(
        nodes, {"w": weight((5, 4), 1)}, {"x": ["n", 5]}, types={"x": TensorProto.UINT8}
    )
    made = noise(_tried(model).signature, 500)
    assert (made.min(), made.max()) == (0, 255)
    assert len(np.unique(made, axis=0)) == 500


def test_the_sizes_of_weights_whose_names_are_taken_are_told() -> None:
    network = _tried(any_graphs.KINDS["names that are taken"]().model)
    recipe = ps.Recipe.parse("symmetric(8)")
    artifact = ps.compress(network, recipe, None)
    report = size_report(artifact.onnx_bytes, recipe, network, None)
    assert {la.name: (la.storage, la.size_bytes) for la in report.layers} == {
        "w": ("int8", 20), "w.scale": ("int8", 16)
    }  # fmt: skip


def test_the_sizes_of_weights_that_stay_floats_are_told() -> None:
    network = _tried(any_graphs.KINDS["functions"]().model)
    recipe = ps.Recipe.parse("symmetric(8);w=float32")
    artifact = ps.compress(network, recipe, None)
    report = size_report(artifact.onnx_bytes, recipe, network, None)
    assert [(la.name, la.storage, la.size_bytes) for la in report.layers] == [
        ("w", "float32", 64), ("w (2)", "int8", 12)
    ]  # fmt: skip


# --- from the file to the page ----------------------------------------------------------------


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    data, rows, labels = several_inputs()
    (folder / "model.onnx").write_bytes(data)
    # In another order than the model's, and with outputs that are no rows.
    named = {f"inputs/{name}": a for name, a in reversed(rows.items())}
    (folder / "rows.npz").write_bytes(npz(**named, labels=labels, **{"outputs/y": labels}))
    return folder


def test_several_inputs_are_judged_on_ones_own_rows(several: Path) -> None:
    data = ps.load_table(several / "rows.npz", n_classes=3)
    assert [(p.name, p.shape) for p in data.raw.parts] == [("numbers", (3,)), ("words", (4,))]
    network = ps.load_model(several / "model.onnx", data)
    assert isinstance(network, InPlace)
    # Its own labels: it is right on all rows, and what is wrong later the codes did.
    before = ps.measure(ps.compress(network, ps.Recipe(), data.train), data, batches=())
    assert before.accuracy.value == 1.0
    artifact = ps.compress(network, ps.Recipe.parse("symmetric(3)"), data.train)
    measured = ps.measure(artifact, data, batches=(1,))
    rows = data.rows(measured.split)
    feeds = {"numbers": rows.X[:, :3], "words": rows.X[:, 3:].astype(np.int64)}
    (scores,) = ort.InferenceSession(artifact.onnx_bytes).run(None, feeds)
    assert measured.accuracy.correct == (scores.argmax(1) == rows.y).sum() < len(rows)
    assert measured.latency() is not None
    swept = list(ps.sweep(network, data, ps.grid(threshold=[0, 0.5], q=[2, 64]), batches=()))
    kinds = {kind for m in swept for _, _, kind in m.bits}
    assert kinds == {"int8", "int16"}  # its opset has no narrower ones
    (worst, best) = sorted(m.accuracy.value for m in swept)[:: len(swept) - 1]
    assert worst < best <= 1.0


def test_arrays_that_are_no_inputs_are_named(several: Path) -> None:
    rows = np.ones((30, 4))
    bad = npz(**{"inputs/words": rows, "inputs/others": rows}, labels=np.arange(30) % 3)
    data = ps.load_dataset(keep_table(bad, "rows.npz", Chosen()))
    with pytest.raises(ParetoscopeError, match="takes the inputs words, numbers, the file holds"):
        ps.load_model(several / "model.onnx", data)
    bad = npz(**{"inputs/words": rows, "inputs/numbers": rows}, labels=np.arange(30) % 3)
    data = ps.load_dataset(keep_table(bad, "rows.npz", Chosen()))
    with pytest.raises(ParetoscopeError, match="'numbers' takes 3 a row, the array"):
        ps.load_model(several / "model.onnx", data)


def test_arrays_that_do_not_fit_a_chain_are_said_before_it_is_explored() -> None:
    model = any_graphs.KINDS["dense"]().data
    rows = np.ones((30, 2))
    two = npz(**{"inputs/a": rows, "inputs/b": np.ones((30, 3))}, labels=np.arange(30) % 4)
    with pytest.raises(ParetoscopeError, match="takes 1 input, the file holds 2 arrays: a, b"):
        check(two, "rows.npz", model)
    one = npz(**{"inputs/a": rows}, labels=np.arange(30) % 4)
    with pytest.raises(ParetoscopeError, match="takes 5 numbers a row, the file holds 2"):
        check(one, "rows.npz", model)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"inputs/x": np.ones((30, 2)), "labels": np.ones(29)}, "different numbers of rows"),
        ({"inputs/x": np.ones((3, 2)), "labels": np.ones(3)}, "holds 3 rows; at least 20"),
        ({"inputs/x": np.full((30, 2), np.nan)}, "missing or infinite"),
        ({"inputs/x": np.full((30, 2), 2**25)}, "whole numbers beyond 16,777,216"),
        ({"inputs/x": np.full((30, 2), "a")}, "holds text, not numbers"),
        ({"inputs/x": np.ones((30, 2)), "labels": np.ones(30)}, None),
        ({"inputs/x": np.ones((30, 2)), "labels": np.full(30, -1)}, "go from 0 to 9,999"),
        ({"inputs/x": np.ones((30, 2)), "labels": np.full(30, "a")}, "all rows are of one class"),
        ({"inputs/x": np.array([{}] * 30)}, "only a pickle could hold"),
    ],
)
def test_arrays_that_are_no_rows_are_one_sentence(
    arrays: dict[str, npt.NDArray[Any]], says: str | None
) -> None:
    data = npz(**arrays)
    if says is None:
        assert check(data, "rows.npz").line.startswith("arrays of 30 rows, 2 classes")
        return
    with pytest.raises(ParetoscopeError, match=says):
        check(data, "rows.npz")


def test_images_of_bytes_stay_bytes() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 40, 40)).astype(np.uint8)
    name = keep_table(npz(images=images, labels=np.arange(40) % 4), "rows.npz", Chosen())
    data = ps.load_dataset(name)
    assert data.raw.X.dtype == np.uint8
    assert (data.image_shape, data.largest) == ((3, 40, 40), 255.0)
    assert data.feature_names == ()  # so many need no names
    assert np.array_equal(data.raw.X.reshape(images.shape), images)
    assert data.train.X.dtype == np.float32


def test_the_command_line_compresses_any_graph(
    several: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    model = str(several / "model.onnx")
    assert main(["check", model]) == 0
    assert "267 weights in 2 layers are coded where they stand" in capsys.readouterr().err
    recipe = "magnitude(sparsity=0.3)+symmetric(8)"
    assert main(["compress", "--data", str(several / "rows.npz"), "--model", model, recipe]) == 0
    said = capsys.readouterr().out
    assert "of 240 open rows" in said
    (written,) = tmp_path.glob("*.onnx")
    _, rows, labels = several_inputs()
    (scores,) = ort.InferenceSession(written.read_bytes()).run(None, rows)
    assert (scores.argmax(1) == labels).mean() > 0.8
    assert main(["compress", "made", model, recipe]) == 0
    assert "relative-error" in capsys.readouterr().out


def test_noise_is_what_each_input_may_hold(several: Path) -> None:
    data = (several / "model.onnx").read_bytes()
    made = ps.load_dataset(keep_made(data, "model.onnx"))
    words = made.raw.X[:, :4]
    assert set(np.unique(words)) == set(range(40))
    assert abs(float(made.raw.X[:, 4:].std()) - 1) < 0.05
    network = network_of(data, "model.onnx", made)
    assert isinstance(network, InPlace)
    assert network.problem.name == "agreement"


def test_a_chain_is_still_a_chain() -> None:
    network = to_network(read_model(any_graphs.KINDS["dense"]().data))
    assert not isinstance(network, InPlace)
