"""One layer at a time, run from that layer on, beside whole passes."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import paretoscope as ps
import pytest
from onnx import TensorProto
from paretoscope.base.store import SHORT_SHA
from paretoscope.data.dataset import load_dataset
from paretoscope.data.own_data import keep_own
from paretoscope.measurement import measurement
from paretoscope.measurement.measurement import Baseline, compute
from paretoscope.methods.recipe import Recipe, Treatment
from paretoscope.network.in_place import InPlace
from paretoscope.network.pieces import Kind, Pieces
from paretoscope.problems.agreement import Agreement
from paretoscope.sandbox import sessions
from paretoscope.sandbox.sandbox import SandboxError
from paretoscope.sandbox.sessions import Walk
from paretoscope.sweeps import one_layer
from paretoscope.sweeps.one_layer import groups_of
from paretoscope.sweeps.surface import surface
from paretoscope.uploads.in_place import network_in_place
from paretoscope.uploads.models import read_model
from paretoscope.uploads.own import made_rows

from tests import any_graphs
from tests.any_graphs import N, graph_of, weight
from tests.uploads.cases import needs_cases
from tests.uploads.test_in_place import GRAPHS

SETTINGS = ("symmetric(5)", "magnitude(sparsity=0.5,scope=layer)+q(20)", "q(16,per=output)")


def _network(data: bytes) -> InPlace:
    return network_in_place(read_model(data), Agreement(labels=False))


def _baseline(network: InPlace, n: int = 20) -> Baseline:
    return Baseline(network, load_dataset(keep_own(made_rows(network, n), "rows")))


def _alone(network: InPlace) -> list[Recipe]:
    """Each layer by itself in three ways, and all but each."""
    treatments = [Recipe.parse(text).default_treatment for text in SETTINGS]
    found = [Recipe(overrides={n: t}) for n in network.shapes for t in treatments]
    every = dict.fromkeys(network.shapes, treatments[0])
    left_out = [Recipe(overrides={**every, n: Treatment()}) for n in network.shapes]
    return found + (left_out if len(left_out) > 2 else [])


def _fell_back(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Why whole passes were taken, where they were."""
    return [r.getMessage() for r in caplog.records if r.name == "paretoscope.sweeps.surface"]


def _same_as_whole_passes(network: InPlace, caplog: pytest.LogCaptureFixture) -> None:
    baseline, recipes = _baseline(network), _alone(network)
    with caplog.at_level(logging.INFO, logger="paretoscope.sweeps.surface"):
        found = dict(surface(network, recipes, baseline))
    assert not _fell_back(caplog)
    assert set(found) == set(range(len(recipes)))
    for place, recipe in enumerate(recipes):
        _, whole = compute(network, recipe, baseline)
        near = found[place]
        apart = network.apart / 10 * max(1.0, abs(baseline.value))
        assert near.quality.value == pytest.approx(whole.quality.value, abs=apart)
        assert near.entropy_bytes == pytest.approx(whole.entropy_bytes)
        # The same file, of the same recipe.
        assert near.draft_sha256 in (None, whole.draft_sha256)
        same = dict.fromkeys(
            ("quality", "change", "entropy_bytes", "predictions", "draft_sha256"), None
        )
        assert replace(near, **same) == replace(whole, **same)


@pytest.mark.parametrize("name", any_graphs.KINDS)
def test_each_kind_of_graph(name: str, caplog: pytest.LogCaptureFixture) -> None:
    _same_as_whole_passes(_network(any_graphs.KINDS[name]().data), caplog)


@needs_cases
@pytest.mark.parametrize("name", ["distilbert", "kws_float16_inside", "lstm", "mlp_residual"])
def test_shared_graphs(name: str, caplog: pytest.LogCaptureFixture) -> None:
    _same_as_whole_passes(_network((GRAPHS / f"{name}.onnx").read_bytes()), caplog)


def _three_layers(between: list[onnx.NodeProto] | None = None, **arrays: object) -> InPlace:
    nodes = [
        N("MatMul", ["x", "a"], ["h"]),
        *(between or [N("Sin", ["h"], ["g"])]),
        N("MatMul", ["g", "b"], ["i"]),
        N("Sin", ["i"], ["j"]),
        N("MatMul", ["j", "c"], ["k"]),
        N("Add", ["k", "h"], ["y"]),  # what was before is taken again
    ]
    held = {name: weight((6, 6), 1, seed=k) for k, name in enumerate("abc")} | arrays
    return _network(graph_of(nodes, held, {"x": ["n", 6]}).SerializeToString())


def _products(data: bytes) -> int:
    nodes = onnx.load_model_from_string(data).graph.node
    return sum(node.op_type == "MatMul" for node in nodes)


def test_what_stands_before_a_layer_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three layers with three recipes each: two pieces, and three times what is left."""
    network, pieces, rests = _three_layers(), [], []
    go_on, finish = Walk.go_on, Walk.finish

    def going_on(walk: Walk, piece: bytes, *asked: Any) -> None:
        pieces.append(_products(piece))
        go_on(walk, piece, *asked)

    def finishing(walk: Walk, fills: bytes, gap: int, rest: bytes | None = None) -> Any:
        rests.append(rest and _products(rest))
        return finish(walk, fills, gap, rest)

    monkeypatch.setattr(Walk, "go_on", going_on)
    monkeypatch.setattr(Walk, "finish", finishing)
    alone = _alone(network)[:9]
    assert len(list(surface(network, alone, _baseline(network)))) == 9
    assert pieces == [1, 1]
    assert rests == [3, None, None, 2, None, None, 1, None, None]


def test_a_large_file_is_sized_without_being_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for all whose codes take as much; the zipped size is an estimate."""
    monkeypatch.setattr(one_layer, "_MADE_BYTES", 0)
    monkeypatch.setattr(measurement, "_ESTIMATED_BYTES", 0)
    monkeypatch.setattr(measurement, "_ZIP_AT_ONCE_BYTES", 0)
    written = []
    write = one_layer.write_artifact
    monkeypatch.setattr(
        one_layer, "write_artifact", lambda *asked: written.append(1) or write(*asked)
    )
    network = _three_layers(b=weight((6, 900), 1), c=weight((900, 6), 1, seed=9))
    baseline = _baseline(network)
    settings = [Recipe.parse(text).default_treatment for text in (*SETTINGS, "symmetric(6)")]
    recipes = [Recipe(overrides={"c": setting}) for setting in settings]
    with caplog.at_level(logging.INFO, logger="paretoscope.sweeps.surface"):
        found = [near for _, near in surface(network, recipes, baseline)]
    assert not _fell_back(caplog)
    assert len(written) == 3  # the first and the last are of one kind
    for recipe, near in zip(recipes, found, strict=True):
        whole = ps.compress(network, recipe, None)
        assert near.size_bytes == whole.sizes.file
        assert near.draft_sha256 is None
        assert near.gzip_is_estimate
        assert near.gzip_bytes == pytest.approx(whole.sizes.gzip, rel=0.05)


def test_a_small_file_of_a_larger_base_is_zipped_as_it_is() -> None:
    network = _three_layers(b=weight((6, 3000), 1), c=weight((3000, 6), 1, seed=9))
    recipes = [Recipe.parse(f"float16;c=symmetric({bits})") for bits in (2, 8)]
    recipes += [Recipe.parse("float16;a=q(8)"), Recipe.parse("float16;b=q(8)")]
    (group,), _ = groups_of(network, recipes)
    assert set(group.by_layer) == {"a", "b", "c"}
    assert ps.compress(network, group.base, None).sizes.file > 64_000
    sizes = []
    for place, near in surface(network, recipes, _baseline(network)):
        whole = ps.compress(network, recipes[place], None)
        sizes.append(whole.sizes.file)
        assert near.size_bytes == whole.sizes.file
        assert near.gzip_bytes == (whole.sizes.gzip if near.size_bytes <= 64_000 else None)
        assert not near.gzip_is_estimate
    assert min(sizes) < 64_000 < max(sizes)


def test_units_that_are_removed_are_refused_as_ever() -> None:
    network = _three_layers()
    alone = Recipe.parse("keep+float32;a=l2(share=0.5)+float32")
    groups, others = groups_of(network, [alone, alone])
    assert not groups
    assert others == [0, 1]


def test_many_rows_are_walked_block_by_block(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(one_layer, "_BLOCK_ROWS", 7)
    _same_as_whole_passes(_three_layers(), caplog)


def test_a_fixed_number_of_rows_a_call(caplog: pytest.LogCaptureFixture) -> None:
    nodes = [
        N("MatMul", ["x", "a"], ["h"]),
        N("Sin", ["h"], ["g"]),
        N("MatMul", ["g", "b"], ["y"]),
    ]
    arrays = {"a": weight((6, 6), 1), "b": weight((6, 4), 1)}
    model = graph_of(nodes, arrays, {"x": [3, 6]})
    _same_as_whole_passes(_network(model.SerializeToString()), caplog)


def test_values_that_are_rounded_take_whole_passes(caplog: pytest.LogCaptureFixture) -> None:
    """A piece adds up in another order than the whole, and rounding makes much of that."""
    between = [
        N("QuantizeLinear", ["h", "scale", "zero"], ["q"]),
        N("DequantizeLinear", ["q", "scale", "zero"], ["g"]),
    ]
    network = _three_layers(between, scale=np.float32(0.5), zero=np.int8(0))
    baseline, recipes = _baseline(network), _alone(network)
    with caplog.at_level(logging.INFO, logger="paretoscope.sweeps.surface"):
        found = dict(surface(network, recipes, baseline))
    assert "rounded" in caplog.text
    assert found == {k: compute(network, r, baseline)[1] for k, r in enumerate(recipes)}


def test_a_process_that_ends_on_the_way_costs_no_point(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    network = _three_layers()
    baseline, recipes = _baseline(network), _alone(network)
    go_on = Walk.go_on

    def dies(walk: Walk, *asked: object) -> None:
        sessions._POOL.close()
        go_on(walk, *asked)  # type: ignore[arg-type]

    monkeypatch.setattr(Walk, "go_on", dies)
    with caplog.at_level(logging.INFO, logger="paretoscope.sweeps.surface"):
        found = dict(surface(network, recipes, baseline))
    assert "has ended" in caplog.text
    assert set(found) == set(range(len(recipes)))


def test_which_recipes_belong_together() -> None:
    network = _three_layers()
    texts = [
        "q(8)", "keep+float32;a=q(8)", "keep+float32;b=q(8)", "keep+float32;b=q(4)",
        "magnitude(sparsity=0.5)+q(8);a=q(2)", "symmetric(4);a=symmetric(2)",
        "symmetric(4);b=symmetric(2)", "symmetric(4);c=symmetric(2)",
        "keep+float32;a=magnitude(sparsity=0.5)+float32",
    ]  # fmt: skip
    groups, others = groups_of(network, [Recipe.parse(text) for text in texts])
    left_out, alone = groups  # in the order of their first recipes: the first may be of the former
    assert alone.by_layer == {"a": [1], "b": [2, 3]}
    assert alone.base == Recipe()
    assert left_out.by_layer == {"a": [5], "b": [6], "c": [7]}
    assert set(left_out.base.treatments(network).values()) == {
        Recipe.parse("symmetric(4)").default_treatment
    }
    assert others == [0, 4, 8]


def test_weights_that_the_judged_output_does_not_hang_on() -> None:
    nodes = [
        N("MatMul", ["x", "a"], ["y"]),
        N("MatMul", ["x", "b"], ["z"]),
    ]
    arrays = {"a": weight((6, 4), 1), "b": weight((6, 4), 1)}
    model = graph_of(nodes, arrays, {"x": ["n", 6]}, outputs=("y", "z"))
    network = _network(model.SerializeToString())
    recipes, baseline = _alone(network), _baseline(network)
    assert set(Pieces(network).positions) == {"a"}
    found = dict(surface(network, recipes, baseline))
    assert found == {k: compute(network, r, baseline)[1] for k, r in enumerate(recipes)}


def test_what_cannot_be_kept_is_refused() -> None:
    """A sequence stands between the operators."""
    nodes = [
        N("MatMul", ["x", "a"], ["h"]),
        N("SequenceConstruct", ["h", "h"], ["s"]),
        N("SequenceAt", ["s", "one"], ["g"]),
        N("MatMul", ["g", "b"], ["y"]),
    ]
    arrays = {"a": weight((6, 6), 1), "b": weight((6, 4), 1), "one": np.array(1)}
    model = graph_of(nodes, arrays, {"x": ["n", 6]})
    network = _network(model.SerializeToString())
    X = np.zeros((2, 6), np.float32)
    walk = Walk(network.signature.plain(), network.sha256[:SHORT_SHA], X)
    known = {name: Kind(kind, tuple(shape)) for name, (kind, shape) in walk.known.items()}
    pieces = Pieces(network)
    piece = pieces.piece(0, 2, known)
    with pytest.raises(ps.ParetoscopeError, match="not all arrays"):
        walk.go_on(piece.onnx_bytes, piece.makes, piece.keeps)
    sessions._POOL.close()
    with pytest.raises(SandboxError, match="has ended"):
        walk.finish(b"", 0, pieces.rest(0, known, "a").onnx_bytes)


def test_kinds_of_numbers_are_those_of_the_graph() -> None:
    assert Pieces(_three_layers()).piece(0, 1, {"x": Kind("float32", (None, 6))}).keeps == ()
    (taken,) = onnx.load_model_from_string(
        Pieces(_three_layers()).piece(0, 1, {"x": Kind("float32", (None, 6))}).onnx_bytes
    ).graph.input
    assert taken.type.tensor_type.elem_type == TensorProto.FLOAT
