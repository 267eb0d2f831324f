"""Causes of no gain that the page's tests do not reach: what is silent, and what noise does."""

from __future__ import annotations

from dataclasses import replace

import paretoscope as ps
import pytest
from paretoscope.artifact.quick_latency import Latency
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.diagnosis import offered, reasons, untouched
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.measurement.measurement import Measured
from paretoscope.network.network import Network
from paretoscope.problems.accuracy import Accuracy, Change

from tests.awkward import with_dequantized, with_float64, with_trees
from tests.conftest import load, trained

QUICK = Latency(1, (10.0,) * 15, (10.0,) * 15)
NOISY = Latency(1, (5.0, 20.0) * 8, (10.0,) * 16)
FASTER = Latency(1, (5.0,) * 15, (10.0,) * 15)
MANY = Latency(256, (1_000.0,) * 15, (1_000.0,) * 15)  # 3.9 µs a row: the call does not dominate
TINY = Latency(256, (20.0,) * 15, (20.0,) * 15)


def _measurement(recipe: str, *latencies: Latency, size: int = 10_000) -> Measured:
    return Measured(
        recipe=ps.Recipe.parse(recipe) if recipe else ps.Recipe(), network_sha256="f" * 64,
        artifact_sha256="a" * 64, dataset="digits", split="validation",
        quality=Accuracy(340, 360), change=Change(9, 0, 360), size_bytes=size,
        sparsity=0.9 if "magnitude" in recipe else 0.0, bits=(("dense1", 4, "int4"),),
        latencies=latencies,
    )  # fmt: skip


BEFORE = _measurement("", QUICK, MANY, size=27_000)


def _causes(network: Network, now: ps.Measurement, timing: Timing | None = None) -> list[str]:
    return [reason.cause for reason in reasons(network, now, BEFORE, timing)]


def test_a_gain_in_both_is_silent(mlp: Network) -> None:
    assert _causes(mlp, _measurement("magnitude(sparsity=0.9)+q(4)", FASTER, MANY)) == []


def test_the_uncompressed_model_is_silent(mlp: Network) -> None:
    assert reasons(mlp, BEFORE, BEFORE) == []


def test_what_is_not_timed_yet_is_not_judged(mlp: Network) -> None:
    assert _causes(mlp, _measurement("q(4)")) == []


def test_noise_is_said_and_the_protocol_takes_its_place(mlp: Network) -> None:
    noisy = _measurement("q(4)", NOISY, MANY)
    assert _causes(mlp, noisy) == ["too noisy to tell"]
    quiet = Timing("batch 1", ((5.0,) * 30,) * 5, ((10.0,) * 30,) * 5, ((10.0,) * 30,) * 5)
    assert _causes(mlp, noisy, quiet) == []
    same = replace(quiet, samples_us=quiet.baseline_us)
    assert _causes(mlp, noisy, same) == ["codes run as floats"]


def test_a_call_that_dominates_hides_what_is_inside_it(mlp: Network) -> None:
    assert _causes(mlp, _measurement("magnitude(sparsity=0.9)+q(4)", QUICK, TINY)) == [
        "the call dominates"
    ]
    assert _causes(mlp, _measurement("magnitude(sparsity=0.9)+q(4)", NOISY, TINY)) == [
        "the call dominates"
    ]


@pytest.mark.parametrize("recipe", ["magnitude(sparsity=0.9)", "magnitude(sparsity=0.9)+q(4)"])
def test_remedies_can_be_made(recipe: str, mlp: Network, digits: ps.Dataset) -> None:
    now = _measurement(recipe, QUICK, MANY, size=27_000)
    remedies = [remedy for r in reasons(mlp, now, BEFORE) for remedy in r.remedies]
    assert remedies
    for remedy in remedies:
        assert ps.compress(mlp, remedy, digits.train).sizes.file > 0


def _scored(recipe: ps.Recipe, newly_wrong: int, size: int) -> ps.Measurement:
    change = Change(newly_wrong, 0, 360)
    plain = replace(BEFORE, recipe=recipe, change=change, size_bytes=size).to_dict()
    return ps.Measurement.from_dict(plain | {"computed": True})


def test_nothing_is_offered_before_it_was_computed_and_lies_within_the_budget(mlp: Network) -> None:
    now = _measurement("magnitude(sparsity=0.9)", QUICK, MANY, size=27_000)
    size = reasons(mlp, now, BEFORE)[0]
    assert size.cause == "zeros in a dense file"
    known: dict[ps.Recipe, ps.Measurement] = {}
    budget = Budget(drop=0.01)
    assert offered(size, now, budget, known.get) is None
    first, second, third, *_ = size.remedies
    assert [str(r.quantizer) for r in (first, second, third)] == ["q(8)", "q(8)", "q(16)"]
    known[first] = _scored(first, 200, 4_000)  # what would destroy
    known[third] = _scored(third, 2, 5_000)
    assert offered(size, now, budget, known.get) is known[third]
    known[second] = _scored(second, 3, 4_000)  # compensated: 0.8 points of one
    assert offered(size, now, budget, known.get) is known[second]
    assert offered(size, now, Budget(), known.get) is known[second]
    assert offered(size, now, Budget(drop=0.001), known.get) is None
    assert offered(size, now, Budget(drop=0.01, file_bytes=4_500), known.get) is known[second]
    known[second] = _scored(second, 3, 27_000)  # no smaller: no help against size
    assert offered(size, now, budget, known.get) is known[third]


def test_what_trains_is_not_computed_unasked(mlp: Network) -> None:
    now = _measurement("magnitude(sparsity=0.9)+finetune(epochs=2)", QUICK, MANY, size=27_000)
    found = reasons(mlp, now, BEFORE)
    assert found
    assert not any(reason.remedies for reason in found)


def test_what_no_recipe_touches_is_found_by_its_bytes() -> None:
    mlp = trained("digits", "mlp-64-32")
    assert untouched(mlp) == {}
    assert untouched(with_float64(mlp)) == {"float64 weights": 64 * 64 * 8}
    assert untouched(with_dequantized(mlp)) == {"codes": 64 * 64}
    trees = untouched(with_trees(trained("iris", "logistic-regression"), load("iris")))
    assert list(trees) == ["trees"]
    assert trees["trees"] > 1_000


@pytest.mark.parametrize("make", [with_float64, with_dequantized])
def test_awkward_models_score_as_the_runtime_does(make: object) -> None:
    network, data = make(trained("digits", "mlp-64-32")), load("digits")  # type: ignore[operator]
    artifact = ps.compress(network, ps.Recipe.parse("q(8)"), data.train)
    scores = ps.OnnxRuntime(artifact.onnx_bytes).scores(data.validation.X)
    assert (scores.argmax(1) == artifact.scores(data.validation.X).argmax(1)).mean() > 0.995
