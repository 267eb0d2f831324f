"""Weights that are coded where they stand: the right ones, along the right axis, nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import paretoscope as ps
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from paretoscope.artifact.artifact import make_draft
from paretoscope.artifact.predicted_size import file_bytes
from paretoscope.network.in_place import OURS, InPlace
from paretoscope.network.places import Place, constants_of, held_weights
from paretoscope.network.signature import KEY, Feed, Signature

from tests.any_graphs import KINDS, Kind


def _network(kind: Kind) -> InPlace:
    """As an upload becomes one, without the sandbox: these graphs are our own."""
    feeds = [Feed(n, str(r.dtype), r.shape[1:]) for n, r in kind.rows.items()]
    model = onnx.ModelProto()
    model.CopyFrom(kind.model)
    entry = model.metadata_props.add()
    entry.key, entry.value = OURS + KEY, Signature(tuple(feeds), "y", 1).to_text()
    return InPlace(model.SerializeToString())


def _run(onnx_bytes: bytes, rows: dict[str, Any], *, plain: bool = False) -> list[Any]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return list(ort.InferenceSession(onnx_bytes, options).run(None, rows))


@pytest.mark.parametrize("name", KINDS)
def test_each_weight_is_found_with_the_axis_of_its_outputs(name: str) -> None:
    kind = KINDS[name]()
    found = {h.place.name: h.place for h in held_weights(kind.model)}
    said = {n: (int(np.prod(place.shape)), place.axis) for n, place in found.items()}
    assert said == kind.weights


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "recipe", ["symmetric(8,per=output)", "magnitude(sparsity=0.5)+q(40)", "kmeans(16)", "float16"]
)
def test_the_file_gives_what_its_graph_gives_with_the_decoded_weights(
    name: str, recipe: str
) -> None:
    kind = KINDS[name]()
    network = _network(kind)
    draft = make_draft(network, ps.Recipe.parse(recipe), None)
    plain = network.with_layers(draft.stored.decoded(), {}).onnx_bytes
    expected = _run(plain, kind.rows, plain=True)
    for found, wanted in zip(_run(draft.onnx_bytes, kind.rows), expected, strict=True):
        assert found.dtype == wanted.dtype
        largest = max(1.0, float(np.abs(wanted.astype(np.float64)).max()))
        digits = 2e-3 if wanted.dtype == np.float16 else 1e-5
        assert np.abs(found.astype(np.float64) - wanted).max() <= digits * largest


@pytest.mark.parametrize(
    "name", [n for n in KINDS if n not in ("functions", "branches", "turned by the caller")]
)
def test_onnx_s_own_evaluator_gives_the_same(name: str) -> None:
    kind = KINDS[name]()
    draft = make_draft(_network(kind), ps.Recipe.parse("symmetric(8,per=output)"), None)
    expected = ReferenceEvaluator(onnx.load_model_from_string(draft.onnx_bytes)).run(
        None, kind.rows
    )
    for found, wanted in zip(_run(draft.onnx_bytes, kind.rows), expected, strict=True):
        largest = max(1.0, float(np.abs(np.asarray(wanted, np.float64)).max()))
        digits = 5e-3 if found.dtype == np.float16 else 1e-4
        assert np.abs(found.astype(np.float64) - wanted).max() <= digits * largest


@pytest.mark.parametrize("name", KINDS)
def test_each_output_has_a_step_of_its_own(name: str) -> None:
    """Outputs differ by powers of ten: with a scale for each, the small ones keep their digits."""
    network = _network(KINDS[name]())
    draft = make_draft(network, ps.Recipe.parse("symmetric(8,per=output)"), None)
    for layer, weight in network.weights.items():
        step = np.abs(weight).max(0) / 127
        off = np.abs(draft.stored.codes[layer].decoded() - weight)
        assert (off <= 0.5001 * step).all()
        if network.places[layer].axis is not None:
            assert weight.shape[1] == network.places[layer].shape[network.places[layer].axis]


@pytest.mark.parametrize("name", KINDS)
def test_nothing_else_of_the_graph_changes(name: str) -> None:
    kind = KINDS[name]()
    kind.model.producer_name = "somebody"
    helper.set_model_props(kind.model, {"author": "me"})
    network = _network(kind)
    draft = make_draft(network, ps.Recipe.parse("symmetric(8)"), None)
    before, now = kind.model, onnx.load_model_from_string(draft.onnx_bytes)
    listed = {value.name for value in before.graph.input} - set(kind.rows)
    kept = [value for value in before.graph.input if value.name not in listed]
    assert [v.SerializeToString() for v in now.graph.input] == [v.SerializeToString() for v in kept]
    assert list(now.graph.output) == list(before.graph.output)
    assert list(now.opset_import) == list(before.opset_import)
    assert now.producer_name == "somebody"
    assert {p.key: p.value for p in now.metadata_props}["author"] == "me"
    ours = ("Cast", "Mul", "Constant")
    old = [n for n in now.graph.node if n.op_type not in ours]
    assert old == [n for n in before.graph.node if n.op_type not in ours] or name == "branches"
    coded = [t for t in constants_of(now) if t.data_type == onnx.TensorProto.INT8]
    if name != "names that are taken":
        assert {t.name.removesuffix(".codes") for t in coded} == set(kind.weights)
    assert sum(len(t.raw_data) for t in coded) == sum(n for n, _ in kind.weights.values())


@pytest.mark.parametrize(
    ("opset", "recipe", "kind"),
    [
        (17, "symmetric(4)", "INT8"),
        (20, "symmetric(2)", "INT8"),
        (21, "symmetric(4)", "INT4"),
        (23, "symmetric(2)", "INT4"),
        (25, "symmetric(2)", "INT2"),
        (17, "kmeans(4)", "UINT8"),
        (21, "kmeans(16)", "UINT4"),
    ],
)
def test_codes_are_of_the_narrowest_type_that_the_graphs_opset_has(
    opset: int, recipe: str, kind: str
) -> None:
    dense = KINDS["dense"]()
    dense.model.opset_import[0].version = opset
    dense.model.ir_version = 13 if opset == 25 else 10
    draft = make_draft(_network(dense), ps.Recipe.parse(recipe), None)
    (codes,) = [
        t
        for t in constants_of(onnx.load_model_from_string(draft.onnx_bytes))
        if t.name.endswith(".codes")
    ]
    assert onnx.TensorProto.DataType.Name(codes.data_type) == kind
    assert draft.stored.codes["w"].storage == kind.lower()


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_columns_are_turned_back(shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.none() | st.integers(0, len(shape) - 1))
    place = Place("w", tuple(shape), axis, ("MatMul",))
    array: npt.NDArray[np.float32] = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    columns = place.columns(array)
    assert columns.shape[1] == (1 if axis is None else shape[axis])
    assert np.array_equal(place.restored(columns), array)
    scale = np.arange(1, columns.shape[1] + 1, dtype=np.float32)
    assert np.array_equal(place.restored(columns * scale), array * place.beside(scale))


@pytest.mark.parametrize("name", KINDS)
def test_the_size_of_a_file_is_told_before_it_is_made(name: str) -> None:
    network = _network(KINDS[name]())
    recipes = [ps.Recipe.parse(f"magnitude(threshold={t})+q(8)") for t in (0, 0.25, 1e-3)]
    drafts = [make_draft(network, recipe, None) for recipe in recipes]
    storages = [tuple(c.storage for c in d.stored.codes.values()) for d in drafts]
    told = file_bytes(network, network, recipes, storages)
    assert told.tolist() == [len(draft.onnx_bytes) for draft in drafts]


def test_what_needs_a_chain_says_so() -> None:
    network = _network(KINDS["moved"]())
    rows = ps.load_dataset("iris").train
    for text in ("wanda(sparsity=0.5)", "q(8)+gptq", "l2(0.5)", "int8"):
        with pytest.raises(ps.ParetoscopeError, match="chain"):
            make_draft(network, ps.Recipe.parse(text), rows)


def test_one_layer_is_treated_by_itself() -> None:
    network = _network(KINDS["functions"]())
    recipe = ps.Recipe.parse("float32;w%20%282%29=symmetric(8)")
    codes = make_draft(network, recipe, None).stored.codes
    assert {name: c.storage for name, c in codes.items()} == {"w": "float32", "w (2)": "int8"}


def test_small_tables_and_vectors_stay() -> None:
    weight = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [weight],
    )
    assert held_weights(helper.make_model(graph)) == []
