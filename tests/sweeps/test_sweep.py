from __future__ import annotations

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.base.errors import ParetoscopeError
from paretoscope.cli.tasks import measure_task
from paretoscope.methods.pruning import Magnitude
from paretoscope.methods.quantization import FixedPoint
from paretoscope.network.network import Network
from paretoscope.sweeps.sweep import at, stops


def test_a_grid_is_the_product_in_order() -> None:
    recipes = ps.grid(threshold=np.array([0.0, 0.1]), q=[8, None])
    assert [str(r) for r in recipes] == [
        "magnitude(threshold=0)+q(8)",
        "magnitude(threshold=0)",
        "magnitude(threshold=0.1)+q(8)",
        "magnitude(threshold=0.1)",
    ]
    assert [str(r) for r in ps.grid(q=[2, 4])] == ["q(2)", "q(4)"]
    assert [str(r) for r in ps.grid(sparsity=[None, 0.5], scope="layer")] == [
        "float32",
        "magnitude(sparsity=0.5,scope=layer)",
    ]


def test_a_grid_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ParetoscopeError, match="a grid's parameter must be one of .*got 'thresh'"):
        ps.grid(thresh=[0.1])
    with pytest.raises(ParetoscopeError, match="q must be at least 1; got 0"):
        ps.grid(threshold=0.1, q=[8, 0])


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_thresholds_stop_at_even_steps_of_sparsity(scope: str, lenet: Network) -> None:
    values = stops(lenet, Magnitude, "threshold", 21, scope=scope)
    assert values[0] == 0
    assert values == sorted(set(values))
    found = []
    for value in values:
        criterion = Magnitude(threshold=value, scope=scope)
        found.append(criterion.selection(criterion.scores(lenet)).sparsity(lenet.weights))
    expected = [*np.linspace(0, 0.9, 19), 0.95, 0.98]
    assert np.allclose(found, expected, atol=0.01)


def test_a_curve_varies_one_parameter(mlp: Network) -> None:
    recipe = ps.Recipe.parse("magnitude(sparsity=0.4,scope=layer)+q(8);dense3=q(16)")
    line = ps.curve(mlp, recipe, "sparsity")
    assert len(line) == 21
    assert line[8].pruner == Magnitude(sparsity=0.4, scope="layer")
    assert all(r.quantizer == recipe.quantizer and r.overrides == recipe.overrides for r in line)
    assert ps.curve(mlp, ps.Recipe(), "sparsity") == [ps.Recipe()]
    assert at(Magnitude(sparsity=0.4), "threshold", 0.1) == Magnitude(threshold=0.1)


def test_a_sweep_yields_as_it_goes(mlp: Network, digits: ps.Dataset) -> None:
    asked: list[str] = []

    def recipes() -> object:
        for recipe in ps.grid(threshold=[0, 0.1, 0.2], q=8):
            asked.append(str(recipe))
            yield recipe

    measured = ps.sweep(mlp, digits, recipes(), batches=())  # type: ignore[arg-type]
    first = next(measured)
    assert asked == ["magnitude(threshold=0)+q(8)"]
    rest = list(measured)
    assert [str(m.recipe) for m in (first, *rest)] == asked
    assert first.sparsity < rest[0].sparsity < rest[1].sparsity


def test_the_stages_of_the_job(mlp: Network, digits: ps.Dataset) -> None:
    arguments = {
        "dataset": "digits", "split_seed": 0, "model": "mlp-64-32", "seed": 0,
        "recipe": "magnitude(threshold=0.05)+q(8)", "zipped": False,
    }  # fmt: skip
    computed, measured = (
        ps.Measurement.from_dict(measure_task(arguments | {"stage": stage}, print))
        for stage in ("compute", "measure")
    )
    last = arguments | {"stage": "complete", "measurement": measured.to_dict()}
    complete = ps.Measurement.from_dict(measure_task(last, print))
    assert computed.computed
    assert not measured.computed
    assert computed.accuracy == measured.accuracy == complete.accuracy
    assert [la.batch for la in measured.latencies] == [1]
    assert [la.batch for la in complete.latencies] == [1, 16, 256]
    expected = ps.compress(mlp, complete.recipe, digits.train)
    assert complete.gzip_bytes == expected.sizes.gzip
    assert complete.artifact_sha256 == expected.sha256


def test_the_job_refuses_an_untrained_network() -> None:
    arguments = {
        "dataset": "iris", "split_seed": 0, "model": "mlp-32", "seed": 77,
        "recipe": "q(8)", "stage": "measure", "zipped": False,
    }  # fmt: skip
    with pytest.raises(ParetoscopeError, match="mlp-32 on iris with seed 77 has not been trained"):
        measure_task(arguments, print)


def test_stops_of_what_has_none(mlp: Network) -> None:
    with pytest.raises(ParetoscopeError, match=r"Magnitude\.scope has no stops"):
        stops(mlp, Magnitude, "scope", 3)
    assert stops(mlp, FixedPoint, "q", 5)[0] == 1
