from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import paretoscope as ps
import pytest
from onnx.reference import ReferenceEvaluator
from paretoscope.artifact import artifact as module
from paretoscope.artifact import kernel_times as fastest_module
from paretoscope.artifact import writing as spelling
from paretoscope.artifact.kernel_times import KernelTimes, known
from paretoscope.artifact.quick_latency import Latency
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import default_store
from paretoscope.measurement.provenance import origin
from paretoscope.methods.quantization import STORAGE
from paretoscope.network.building import Dense, build
from paretoscope.network.network import Network, as_columns

from tests.conftest import load, trained

TOLERANCE = {"rtol": 1e-5, "atol": 1e-4}
# A Q for each storage type, for weights up to about 0.9.
Q_OF_TYPE = {"int2": 1, "int4": 8, "int8": 100, "int16": 5_000, "int32": 100_000}


def _quantized(q: float) -> ps.Recipe:
    return ps.Recipe(quantizer=ps.FixedPoint(q))


def _optimized_ops(onnx_bytes: bytes, folder: Path) -> Counter[str]:
    """The operators that ONNX Runtime runs, loaded with its default options."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


def _operators(artifact: ps.Artifact) -> set[str]:
    return {node.op_type for node in onnx.load_model_from_string(artifact.onnx_bytes).graph.node}


def _default_scores(onnx_bytes: bytes, X: Any) -> Any:
    session = ort.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})[0]


# --- the file means what it should -------------------------------------------------------------


@pytest.mark.parametrize("storage", STORAGE)
def test_every_storage_type_decodes_to_what_was_stored(
    storage: str, any_network: Network, digits: ps.Dataset
) -> None:
    artifact = ps.compress(any_network, _quantized(Q_OF_TYPE[storage]), digits.train)
    model = onnx.load_model_from_string(artifact.onnx_bytes)
    onnx.checker.check_model(model, full_check=True)
    kinds = {"int2": 26, "int4": 22, "int8": 3, "int16": 5, "int32": 6}
    stored = {t.name: t for t in model.graph.initializer}
    assert storage in {codes.storage for codes in artifact.stored.codes.values()}
    for name, codes in artifact.stored.codes.items():
        assert stored[name].data_type == kinds[codes.storage]
        in_file = onnx.numpy_helper.to_array(stored[name]).astype(int)
        assert np.array_equal(as_columns(in_file), codes.values)
        q = artifact.recipe.quantizer.q  # type: ignore[attr-defined]
        expected = np.round(any_network.weights[name].astype(np.float64) * q) / q
        assert np.allclose(codes.decoded(), expected, rtol=1e-6)


@pytest.mark.parametrize("q", [4, 8, 100, 5_000])
def test_the_onnx_reference_evaluator_agrees(
    q: int, any_network: Network, digits: ps.Dataset
) -> None:
    """An independent implementation of the operators, on what is in the file."""
    artifact = ps.compress(any_network, _quantized(q), digits.train)
    X = digits.validation.X[:50]
    (expected,) = ReferenceEvaluator(artifact.onnx_bytes).run(None, {"features": X})
    assert np.allclose(_default_scores(artifact.onnx_bytes, X), expected, **TOLERANCE)


@pytest.mark.parametrize("q", [1, 2, 3, 8, 100, 5_000, 100_000])
@pytest.mark.parametrize(
    ("dataset", "model"),
    [
        ("iris", "logistic-regression"),
        ("breast-cancer", "mlp-32"),
        ("digits", "mlp-64-32"),
    ],
)
def test_scores_are_float_arithmetic_on_a_by_q(dataset: str, model: str, q: int) -> None:
    """The article's formula in plain numpy, and the bias on the scale of the products."""
    data, network = load(dataset), trained(dataset, model)
    artifact = ps.compress(network, _quantized(q), data.train)
    weights = {n: (np.round(w.astype(float) * q) / q) for n, w in network.weights.items()}
    expected = network.scores(data.validation.X, {n: np.float32(w) for n, w in weights.items()})
    scores = _default_scores(artifact.onnx_bytes, data.validation.X)
    assert np.allclose(scores, expected, **TOLERANCE)


@pytest.mark.parametrize(
    ("dataset", "model"), [("iris", "linear-svm"), ("wine", "mlp-32"), ("digits", "mlp-64-32")]
)
def test_the_no_op_recipe_scores_like_scikit_learn(dataset: str, model: str) -> None:
    from paretoscope.training.training import find_model, fit

    data, network = load(dataset), trained(dataset, model)
    artifact = ps.compress(network, ps.Recipe(), data.train)
    pipeline = fit(find_model(model, data), data, 0, lambda fraction, text: None)
    scores = _default_scores(artifact.onnx_bytes, data.validation.X)
    assert np.array_equal(scores.argmax(1), pipeline.predict(data.validation.X))
    assert artifact.onnx_bytes != network.onnx_bytes  # it says which recipe it is
    assert np.array_equal(scores, network.scores(data.validation.X)) or np.allclose(
        scores, network.scores(data.validation.X), **TOLERANCE
    )


def test_pruned_weights_are_zero_and_the_rest_is_untouched(
    mlp: Network, digits: ps.Dataset
) -> None:
    artifact = ps.compress(mlp, ps.Recipe(ps.Magnitude(threshold=0.1)), digits.train)
    model = onnx.load_model_from_string(artifact.onnx_bytes)
    for tensor in model.graph.initializer:
        if tensor.name in mlp.weights:
            weight = mlp.weights[tensor.name]
            expected = np.where(np.abs(weight) < np.float32(0.1), 0, weight)
            assert np.array_equal(onnx.numpy_helper.to_array(tensor), expected)


def test_an_override_treats_its_layer_alone(mlp: Network, digits: ps.Dataset) -> None:
    recipe = ps.Recipe.parse("magnitude(sparsity=0.5)+q(4);dense3=q(200)")
    artifact = ps.compress(mlp, recipe, digits.train)
    storages = {name: codes.storage for name, codes in artifact.stored.codes.items()}
    assert storages == {"dense1": "int4", "dense2": "int4", "dense3": "int16"}
    assert np.array_equal(
        artifact.stored.codes["dense3"].values, np.round(mlp.weights["dense3"].astype(float) * 200)
    )


def test_metadata_names_the_recipe(mlp: Network, digits: ps.Dataset) -> None:
    artifact = ps.compress(mlp, _quantized(8), digits.train)
    metadata = Network(artifact.onnx_bytes).metadata
    assert metadata["recipe"] == "q(8)"
    assert metadata["dataset"] == "digits"


def test_compressing_twice_gives_the_same_bytes(any_network: Network, digits: ps.Dataset) -> None:
    recipe = ps.Recipe(ps.Magnitude(sparsity=0.3), ps.FixedPoint(8))
    one, two = (ps.compress(any_network, recipe, digits.train) for _ in range(2))
    assert one.onnx_bytes == two.onnx_bytes
    assert one.sha256 == two.sha256


def test_compressing_leaves_the_network_as_it_was(mlp: Network, digits: ps.Dataset) -> None:
    before, weight = mlp.onnx_bytes, mlp.weights["dense1"].copy()
    ps.compress(mlp, ps.Recipe(ps.Magnitude(sparsity=0.9), ps.FixedPoint(2)), digits.train)
    assert mlp.onnx_bytes == before
    assert np.array_equal(mlp.weights["dense1"], weight)


# --- sizes -------------------------------------------------------------------------------------


def test_sizes_are_those_of_the_file(tmp_path: Path, mlp: Network, digits: ps.Dataset) -> None:
    artifact = ps.compress(mlp, _quantized(8), digits.train)
    path = tmp_path / "model.onnx"
    path.write_bytes(artifact.onnx_bytes)
    assert artifact.sizes.file == path.stat().st_size
    tool = shutil.which("gzip")
    assert tool is not None
    zipped = subprocess.run([tool, "-9nc", str(path)], capture_output=True, check=True).stdout
    assert gzip.decompress(zipped) == artifact.onnx_bytes
    assert artifact.sizes.gzip == pytest.approx(len(zipped), rel=0.005)


def test_codes_are_packed(lenet: Network, fashion: ps.Dataset) -> None:
    """Besides codes, biases and scales a file of LeNet holds less than 1 kB."""
    n_weights = sum(w.size for w in lenet.weights.values())
    for q, bits in ((1, 2), (8, 4), (100, 8), (5_000, 16)):
        artifact = ps.compress(lenet, _quantized(q), fashion.train)
        rest = artifact.sizes.file - n_weights * bits // 8
        assert 410 * 4 < rest < 410 * 8 + 1_000
    fp32 = ps.compress(lenet, ps.Recipe(), fashion.train)
    int4 = ps.compress(lenet, _quantized(8), fashion.train)
    assert fp32.sizes.file / int4.sizes.file >= 7.5


# --- the spelling that runs fast ---------------------------------------------------------------


@pytest.mark.parametrize("q", [1, 3, 8, 100])
def test_no_dequantization_is_left_in_what_runs(
    q: int, lenet: Network, fashion: ps.Dataset, tmp_path: Path
) -> None:
    """One Q for all layers, real biases, default options."""
    artifact = ps.compress(lenet, _quantized(q), fashion.train)
    written = Counter(
        node.op_type for node in onnx.load_model_from_string(artifact.onnx_bytes).graph.node
    )
    assert written["DequantizeLinear"] == written["Max"] == 1
    ops = _optimized_ops(artifact.onnx_bytes, tmp_path)
    assert ops["DequantizeLinear"] == ops["Cast"] == 0
    assert ops["MatMulNBits"] == 1


@pytest.mark.parametrize("q", [1, 8, 100, 5_000, 100_000])
def test_small_layers_run_as_the_uncompressed_ones(
    q: int, mlp: Network, digits: ps.Dataset, tmp_path: Path
) -> None:
    compressed = ps.compress(mlp, _quantized(q), digits.train)
    baseline = ps.compress(mlp, ps.Recipe(), digits.train)
    assert _optimized_ops(compressed.onnx_bytes, tmp_path) == _optimized_ops(
        baseline.onnx_bytes, tmp_path
    )


@pytest.mark.parametrize("q", [1, 2, 5, 8, 16, 100])
def test_fused_files_label_like_float_arithmetic(
    q: int, lenet: Network, fashion: ps.Dataset
) -> None:
    artifact = ps.compress(lenet, _quantized(q), fashion.train)
    X = fashion.validation.X[:4_000]
    expected = lenet.scores(X, artifact.stored.decoded()).argmax(1)
    apart = np.mean(_default_scores(artifact.onnx_bytes, X).argmax(1) != expected)
    assert apart <= module.FUSED_APART


@pytest.mark.parametrize("width", [9, 10, 11, 30, 300, 301])
@pytest.mark.parametrize("largest_code", [1, 7, 127])
def test_fused_layers_are_right_at_odd_widths(width: int, largest_code: int) -> None:
    """ONNX Runtime's own 2-bit kernel is not, where 4 does not divide the width."""
    rng = np.random.default_rng(width)
    n_in = max(512, -(-200_000 // width))
    weight = rng.uniform(-1, 1, (n_in, width)).astype(np.float32)
    layers = [
        Dense(weight, rng.normal(size=width).astype(np.float32)),
        Dense(rng.normal(size=(width, 5)).astype(np.float32), np.zeros(5, np.float32)),
    ]
    network = build(layers, None, np.float32(1), {})
    rows = ps.Rows(rng.normal(size=(300, n_in)).astype(np.float32), np.zeros(300, np.int64))
    artifact = ps.compress(network, _quantized(largest_code), rows)
    expected = network.scores(rows.X, artifact.stored.decoded())
    scores = _default_scores(artifact.onnx_bytes, rows.X)
    assert np.abs(scores - expected).max() < 0.03 * np.abs(expected).max()


def test_each_filter_has_its_own_scale(digits: ps.Dataset) -> None:
    network = trained("digits", "cnn")
    artifact = ps.compress(network, ps.Recipe.parse("symmetric(3,per=output)"), digits.train)
    model = onnx.load_model_from_string(artifact.onnx_bytes)
    scales = {t.name: tuple(t.dims) for t in model.graph.initializer}
    filters = {f"{name}.scale": (w.shape[1], 1, 1, 1)
               for name, w in network.weights.items() if name.startswith("conv")}  # fmt: skip
    assert filters
    assert filters.items() <= scales.items()
    X = digits.validation.X[:100]
    expected = network.scores(X, artifact.stored.decoded())
    assert np.allclose(_default_scores(artifact.onnx_bytes, X), expected, **TOLERANCE)


def test_a_fused_file_that_is_wrong_is_written_folded(
    lenet: Network, fashion: ps.Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As if a runtime's integer kernel were broken: the other spelling is used."""
    honest = module._agrees

    def broken(*given: Any, fused: bool) -> bool:
        return False if fused else honest(*given, fused=fused)

    monkeypatch.setattr(module, "_agrees", broken)
    artifact = ps.compress(lenet, _quantized(8), fashion.train)
    assert _optimized_ops(artifact.onnx_bytes, tmp_path)["MatMulNBits"] == 0
    X = fashion.validation.X[:200]
    expected = lenet.scores(X, artifact.stored.decoded())
    assert np.allclose(_default_scores(artifact.onnx_bytes, X), expected, **TOLERANCE)


def test_a_file_that_is_wrong_in_both_spellings_is_refused(
    mlp: Network, digits: ps.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scale that is written wrong must not pass the check."""
    honest = spelling._add_constant

    def wrong(graph: Any, name: str, array: Any) -> Any:
        return honest(graph, name, array * np.float32(1.01))

    monkeypatch.setattr(spelling, "_add_constant", wrong)
    with pytest.raises(ParetoscopeError, match=r"computes other scores for q\(8\)"):
        ps.compress(mlp, _quantized(8), digits.train)


# --- what cannot be compressed -----------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(value: float) -> None:
    weight = np.ones((4, 3), np.float32)
    weight[1, 2] = value
    network = build([Dense(weight, np.zeros(3, np.float32))], None, np.float32(1), {})
    with pytest.raises(ParetoscopeError, match="1 weight of dense1 is NaN or infinite"):
        ps.compress(network, ps.Recipe(), None)


def test_a_network_without_rows_is_checked_on_made_up_ones(mlp: Network) -> None:
    artifact = ps.compress(mlp, _quantized(8), None)
    assert artifact.sizes.file < len(mlp.onnx_bytes) / 3


# --- how codes are run --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lenet() -> Network:
    return trained("fashion-mnist", "lenet-300-100")


def test_recipes_of_before_keep_their_spelling(lenet: Network, fashion: ps.Dataset) -> None:
    recipe = ps.Recipe.parse("q(8)")
    assert recipe.kernel == ps.Fused()
    assert ps.Recipe.parse("q(8)+fused") == recipe
    assert str(ps.Recipe.parse("fused+q(8)")) == "q(8)"
    assert "DequantizeLinear" in _operators(ps.compress(lenet, recipe, fashion.train))


def test_folded_is_written_where_it_is_asked_for(lenet: Network, fashion: ps.Dataset) -> None:
    recipe = ps.Recipe.parse("q(8)+folded")
    artifact = ps.compress(lenet, recipe, fashion.train)
    assert str(artifact.recipe) == "q(8)+folded"
    assert "DequantizeLinear" not in _operators(artifact)
    assert origin(artifact.onnx_bytes).recipe == recipe
    X = fashion.validation.X[:200]
    runs = ps.OnnxRuntime(artifact.onnx_bytes).scores(X)
    np.testing.assert_allclose(runs, artifact.scores(X), rtol=1e-4, atol=1e-3)
    (computed,) = ps.sweep(lenet, fashion, [recipe], measured="none")
    assert computed.size_bytes == artifact.sizes.file


def _kept_times(artifact: ps.Artifact, fused: float) -> None:
    """As if integer kernels took so many times as long as float32 with 16 rows."""
    times = [(1, 0.5), (16, fused), (256, 0.9)]
    kept = KernelTimes(
        tuple(Latency(batch, (ratio,) * 31, (1.0,) * 31) for batch, ratio in times),
        tuple(Latency(batch, (1.0,) * 31, (1.0,) * 31) for batch, _ in times),
        "a processor",
    )
    key = fastest_module._key(artifact.reduced, artifact.stored)
    default_store().keep(key, json.dumps(kept.to_dict()).encode())


@pytest.mark.parametrize(("fused", "text"), [(0.9, "q(8)"), (1.2, "q(8)+folded")])
def test_auto_writes_what_is_faster_here_into_the_recipe(
    fused: float, text: str, lenet: Network, fashion: ps.Dataset, home: Path
) -> None:
    _kept_times(ps.compress(lenet, ps.Recipe.parse("q(8)"), None), fused)
    artifact = ps.compress(lenet, ps.Recipe.parse("q(8)+auto"), fashion.train)
    assert str(artifact.recipe) == text
    same = ps.compress(lenet, ps.Recipe.parse(text), fashion.train)
    assert artifact.onnx_bytes == same.onnx_bytes
    m = ps.measure(artifact, fashion, batches=())
    assert str(m.recipe) == text
    (swept,) = ps.sweep(lenet, fashion, [ps.Recipe.parse("q(8)+auto")], measured="none")
    assert (str(swept.recipe), swept.size_bytes) == (text, m.size_bytes)


def test_auto_is_measured_once_and_says_nothing_where_it_makes_no_difference(
    lenet: Network, fashion: ps.Dataset, mlp: Network, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = ps.compress(lenet, ps.Recipe.parse("q(8)+auto"), fashion.train)
    times = known(artifact.reduced, artifact.stored)
    assert times is not None
    assert [t.batch for t in (*times.fused, *times.folded)] == [1, 16, 256] * 2
    never = all(t.ratio_interval[1] <= 1.05 for t in times.fused)
    assert never or artifact.recipe.kernel == ps.Folded()
    monkeypatch.setattr(fastest_module, "time_in_turn", None)  # is not called again
    again = ps.compress(lenet, ps.Recipe.parse("q(8)+auto"), fashion.train)
    assert again.sha256 == artifact.sha256
    small = ps.compress(mlp, ps.Recipe.parse("q(8)+auto"), None)
    assert str(small.recipe) == "q(8)"
    integers = ps.compress(lenet, ps.Recipe.parse("int8+auto"), fashion.train)
    assert str(integers.recipe) == "float32+int8"


def test_trained_networks_hold_no_weights_that_processors_stumble_over(lenet: Network) -> None:
    for weight in lenet.weights.values():
        assert not ((weight != 0) & (np.abs(weight) < 1e-30)).any()
