"""The computed surface: the same as computing each point by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import paretoscope as ps
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paretoscope.artifact import draft_artifact
from paretoscope.measurement import Baseline
from paretoscope.network import Network
from paretoscope.pruning import Sparsity, Threshold
from paretoscope.pruning.selections import SCOPES
from paretoscope.sizes import entropy_bytes
from paretoscope.surface import surface
from paretoscope.walking import in_chunks

from tests.conftest import load, trained


def _grid(text: str, axis: str, values: list[float]) -> list[ps.Recipe]:
    """The recipe with its axis at each of the values."""
    recipe = ps.Recipe.parse(text)
    return [replace(recipe, pruner=replace(recipe.pruner, **{axis: v})) for v in values]  # type: ignore[type-var]


THRESHOLDS = [0.0, 0.03, 0.1, 0.2, 0.4, 3.0]
SPARSITIES = [0.0, 0.2, 0.5, 0.51, 0.9, 1.0]
LINES = [
    ("magnitude(threshold=0)+q(8)", "threshold", THRESHOLDS),
    ("magnitude(threshold=0,scope=layer)+q(30)", "threshold", [0.0, 0.5, 1.0, 2.0]),
    ("magnitude(threshold=0,scope=output)+shift(3)", "threshold", [0.0, 0.5, 1.0, 2.0]),
    ("magnitude(sparsity=0)+q(200)", "sparsity", SPARSITIES),
    ("magnitude(sparsity=0,scope=layer)", "sparsity", SPARSITIES),
    ("magnitude(sparsity=0,scope=output)+float16", "sparsity", SPARSITIES),
    ("taylor(sparsity=0)+q(8)+bytes", "sparsity", SPARSITIES),
    ("random(sparsity=0)+q(2)", "sparsity", SPARSITIES),
    ("l2(0.3)+magnitude(threshold=0)+q(8)", "threshold", THRESHOLDS),
]


def _agree(network: Network, recipe: ps.Recipe, found: ps.Measurement, baseline: Baseline) -> int:
    """Check everything that is exact; returns how many labels differ."""
    draft = draft_artifact(network, recipe, baseline.dataset.train)
    assert found.recipe == recipe
    assert found.computed
    assert found.size_bytes == draft.sizes.file
    assert found.sparsity == pytest.approx(float(draft.sparsity), abs=1e-12)
    codes = draft.stored.codes
    assert found.bits == tuple((n, c.bits, c.storage) for n, c in codes.items())
    if codes[next(iter(codes))].storage not in ("float32", "float16"):
        expected = sum(entropy_bytes(c.values) for c in codes.values())
        assert found.entropy_bytes == pytest.approx(expected, rel=1e-9, abs=1e-6)
    labels = draft.scores(baseline.rows.X).argmax(1)
    right = np.count_nonzero(found.predictions == baseline.rows.y)  # type: ignore[arg-type]
    assert found.accuracy.correct == right
    was = baseline.predictions == baseline.rows.y
    assert found.change.broken == np.count_nonzero(was & (found.predictions != baseline.rows.y))
    return int(np.count_nonzero(labels != found.predictions))


@pytest.mark.parametrize(("text", "axis", "values"), LINES, ids=[line[0] for line in LINES])
def test_a_line_is_its_points(
    text: str, axis: str, values: list[float], any_network: Network, digits: ps.Dataset
) -> None:
    baseline = Baseline(any_network, digits)
    recipes = _grid(text, axis, values)
    rng = np.random.default_rng(0)
    shuffled = [recipes[i] for i in rng.permutation(len(recipes))]
    found = dict(surface(any_network, shuffled, baseline))
    assert sorted(found) == list(range(len(shuffled)))
    apart = [_agree(any_network, r, found[i], baseline) for i, r in enumerate(shuffled)]
    assert sum(n > 0 for n in apart) <= 1
    assert max(apart) <= 1


@pytest.mark.parametrize(
    ("dataset", "model"),
    [("breast-cancer", "mlp-32"), ("breast-cancer", "linear-svm"), ("iris", "logistic-regression")],
)
def test_one_layer_and_two_classes(dataset: str, model: str) -> None:
    data, network = load(dataset), trained(dataset, model)
    baseline = Baseline(network, data)
    recipes = ps.grid(threshold=[0, 0.05, 0.2, 1.0], q=[1, 4, 16, None])
    found = dict(surface(network, recipes, baseline))
    assert all(_agree(network, r, found[i], baseline) == 0 for i, r in enumerate(recipes))


def test_what_is_on_no_line_is_computed_too(mlp: Network, digits: ps.Dataset) -> None:
    recipes = [
        ps.Recipe.parse(text)
        for text in (
            "kmeans(4)", "q(8)", "magnitude(pattern=2:4)+q(8)", "q(8);dense1=q(2)", "q(4)+gptq",
            "magnitude(sparsity=0.5)+symmetric(4)", "",
        )
        if text
    ]  # fmt: skip
    baseline = Baseline(mlp, digits)
    found = dict(surface(mlp, [*recipes, ps.Recipe()], baseline))
    for place, recipe in enumerate(recipes):
        draft = draft_artifact(mlp, recipe, digits.train)
        assert found[place].size_bytes == draft.sizes.file
        labels = draft.scores(digits.validation.X).argmax(1)
        assert np.array_equal(found[place].predictions, labels)  # type: ignore[arg-type]


def test_two_threads_find_the_same(mlp: Network, digits: ps.Dataset) -> None:
    recipes = ps.grid(threshold=THRESHOLDS, q=[2, 4, 8, 16])
    baseline = Baseline(mlp, digits)
    one, two = (dict(surface(mlp, recipes, baseline, threads=n)) for n in (1, 2))
    assert one == two


def test_a_fused_networks_sizes_are_exact(lenet: Network, fashion: ps.Dataset) -> None:
    baseline = Baseline(lenet, fashion)
    recipes = ps.grid(threshold=[0.0, 0.03, 0.06], q=[1, 8, 300])
    for place, m in surface(lenet, recipes, baseline):
        draft = draft_artifact(lenet, recipes[place], fashion.train)
        assert m.size_bytes == draft.sizes.file
        apart = np.count_nonzero(draft.scores(baseline.rows.X).argmax(1) != m.predictions)  # type: ignore[arg-type]
        assert apart <= 1


# --- its parts ------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.sampled_from(SCOPES), st.booleans(), st.integers(0, 5))
def test_each_weight_goes_at_the_first_value_that_cuts_it(
    scope: str, by_share: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = {n: rng.integers(0, 6, shape).astype(np.float32) for n, shape in
              (("a", (7, 5)), ("b", (5, 3)))}  # fmt: skip
    values = sorted(rng.uniform(0, 1 if by_share else 3, 6).round(2).tolist())
    kind = Sparsity if by_share else Threshold
    steps = kind.steps(scores, values, scope)
    for place, value in enumerate(values):
        kept = kind(value, scope)(scores).kept
        for name in scores:
            np.testing.assert_array_equal(steps[name] > place, kept[name])


@given(st.integers(1, 700), st.integers(1, 5))
def test_chunks_hold_every_row_once(n: int, d: int) -> None:
    X = np.arange(n * d, dtype=np.float32).reshape(n, d)
    chunks = in_chunks(X, 256)
    assert chunks.shape[2] % 16 == 0
    assert chunks.shape[2] <= 272
    rows = chunks.transpose(0, 2, 1).reshape(-1, d)
    np.testing.assert_array_equal(rows[:n], X)
    assert not rows[n:].any()
