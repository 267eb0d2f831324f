"""The computed surface: the same as computing each point by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import paretoscope as ps
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paretoscope.artifact.artifact import make_draft
from paretoscope.artifact.size_parts import entropy_bytes
from paretoscope.base.parameters import FloatArray
from paretoscope.measurement.measurement import Baseline, compute
from paretoscope.methods.pruning import Sparsity, Threshold
from paretoscope.methods.pruning.selections import SCOPES
from paretoscope.network.building import Convolution, Dense, build
from paretoscope.network.chain import as_chain
from paretoscope.network.network import Network, constant, serialize
from paretoscope.sweeps import plain_sweep
from paretoscope.sweeps import surface as module
from paretoscope.sweeps.lines import Order
from paretoscope.sweeps.memory_layout import layout_of
from paretoscope.sweeps.nested_sweep import Entries, count_right, tally, walk, walk_outputs
from paretoscope.sweeps.surface import surface

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
    draft = make_draft(network, recipe, baseline.dataset.train)
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
    assert found.change.newly_wrong == np.count_nonzero(
        was & (found.predictions != baseline.rows.y)
    )
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
        draft = make_draft(mlp, recipe, digits.train)
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
        draft = make_draft(lenet, recipes[place], fashion.train)
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
    layer = Dense(np.ones((d, 3), np.float32), np.zeros(3, np.float32))
    network = build([layer], None, np.ones(1, np.float32), {})
    layout = layout_of(as_chain(network), n)
    chunks = layout.chunks(X)
    assert layout.lanes % 64 == 0
    assert layout.lanes <= 256
    rows = chunks.reshape(len(chunks), d, layout.lanes).transpose(0, 2, 1).reshape(-1, d)
    np.testing.assert_array_equal(rows[:n], X)
    assert not rows[n:].any()


@st.composite
def _networks(draw: st.DrawFn) -> Network:
    """Small networks of all shapes: with convolutions, with pooling, with one output or more."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def weight(*shape: int) -> FloatArray:
        return rng.standard_normal(shape).astype(np.float32)

    n_in, shape, layers = draw(st.integers(1, 120)), None, []
    if draw(st.booleans()):
        size, channels = draw(st.integers(4, 9)), draw(st.integers(1, 3))
        shape = (channels, size, size)
        for _ in range(draw(st.integers(1, 2))):
            pool = draw(st.integers(1, min(2, size)))
            out, kernel = draw(st.integers(1, 6)), draw(st.sampled_from([1, 3, 5]))
            filters = weight(out, channels, kernel, kernel)
            layers.append(Convolution(filters, weight(out), pool=pool))
            size, channels = size // pool, out
        n_in = channels * size * size
    for width in draw(st.lists(st.integers(1, 20), max_size=2)):
        layers.append(Dense(weight(n_in, width), weight(width)))
        n_in = width
    n_classes = draw(st.sampled_from([1, 3, 10]))
    layers.append(Dense(weight(n_in, n_classes), weight(n_classes)))
    return build(layers, None, np.ones(1, np.float32), {}, shape)


@settings(max_examples=60)
@given(_networks(), st.integers(1, 150), st.integers(0, 2**32 - 1))
def test_a_walk_takes_every_step_of_every_chain(network: Network, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_steps = int(rng.integers(1, 7))
    steps = {name: rng.integers(0, n_steps + 1, w.shape) for name, w in network.weights.items()}
    if rng.random() < 0.5:  # most go together, so that some layers stay as they are for a while
        steps = {name: np.where(rng.random(s.shape) < 0.9, s.max(), s) for name, s in steps.items()}
    order, chain = Order(steps, n_steps), as_chain(network)
    layout = layout_of(chain, n)
    X = rng.standard_normal((n, network.n_features)).astype(np.float32)
    flat = np.concatenate([w.ravel() for w in network.weights.values()])
    entries = Entries(
        np.concatenate([[0], order.ends]),
        layout.offsets[order.places],
        layout.groups[order.places],
        flat[order.places],
    )
    chunks = layout.chunks(chain.preparation(X))
    given_ = layout, chunks, entries, np.concatenate(list(chain.biases.values())), n_steps
    found, outputs = walk(*given_)[:, :n], walk_outputs(*given_)[:, :, :n]
    plain = list(plain_sweep.outputs_at_steps(network, X, order, flat))
    for step in range(n_steps):
        masked = {
            name: np.where(steps[name] > step, w, np.float32(0))
            for name, w in network.weights.items()
        }
        scores = network.scores(X, masked)
        assert (plain[step] == scores).all()
        apart = np.abs(chain.scores(outputs[step].T) - scores).max()
        assert apart <= 1e-3 * (1 + np.abs(scores).max())
        of_found = np.take_along_axis(scores, found[step][:, None].astype(int), 1)[:, 0]
        # The label's score is the largest, but for what another order of sums gives.
        assert (scores.max(1) - of_found <= 1e-3 * (1 + np.abs(scores).max())).all()


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 6), st.integers(1, 8))
def test_totals_are_those_of_numpy(seed: int, n_layers: int, n_steps: int, widest: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 40, n_layers)
    codes = rng.integers(-widest, widest + 1, sizes.sum()).astype(np.int32)
    counts = np.stack([np.sort(rng.integers(0, size + 1, n_steps)) for size in sizes])
    ends = np.cumsum([0, *sizes[:-1]])[:, None] + np.column_stack([counts, sizes])
    logs = np.arange(41) * np.log2(np.maximum(np.arange(41), 1))
    totals = []
    for how in (tally, plain_sweep.tally):
        found = [np.zeros((n_layers, n_steps), kind) for kind in (int, int, int, float)]
        how(codes, codes + widest, 2 * widest + 1, ends, sizes, logs, *found)
        totals.append(found)
    for one, other in zip(*totals, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    labels = rng.integers(0, 3, (n_steps, 50)).astype(np.int16)
    y, was_right = rng.integers(0, 3, 43).astype(np.int16), rng.random(43) < 0.7
    for how in (count_right, plain_sweep.count_right):
        right, still = np.empty(n_steps, np.int64), np.empty(n_steps, np.int64)
        how(labels, y, was_right, right, still)
        assert right.tolist() == [(row[:43] == y).sum() for row in labels]
        assert still.tolist() == [((row[:43] == y) & was_right).sum() for row in labels]


def test_without_a_compiler_a_surface_is_the_same(
    any_network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = Baseline(any_network, load("digits"))
    recipes = ps.grid(threshold=[0, 0.1, 0.3], q=[8])
    compiled = dict(surface(any_network, recipes, baseline))
    monkeypatch.setattr(module, "nested_sweep", lambda: None)
    for place, found in surface(any_network, recipes, baseline):
        ours = compiled[place]
        assert (found.size_bytes, found.bits) == (ours.size_bytes, ours.bits)
        assert found.sparsity == ours.sparsity
        assert found.entropy_bytes == pytest.approx(ours.entropy_bytes)
        assert abs(found.accuracy.correct - ours.accuracy.correct) <= 1


def test_scores_that_are_scaled_are_labelled_as_they_are(mlp: Network, digits: ps.Dataset) -> None:
    """A factor below zero turns the order of scores about; a walk sees them before it."""
    model = mlp.model()
    last = model.graph.outputs[0]
    factor = np.linspace(-1, 1, 10, dtype=np.float32)
    scaled = constant("factor_of_scores", ir.tensor(factor, name="factor_of_scores"))
    model.graph.initializers.add(scaled)
    last.name = "z"
    node = ir.node("Mul", [last, scaled], name="scale_scores")
    node.outputs[0].name, node.outputs[0].shape = "scores", ir.Shape(["n", 10])
    node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    model.graph.append(node)
    model.graph.outputs[0] = node.outputs[0]
    network = Network(serialize(model))
    assert as_chain(network).factor is not None
    baseline = Baseline(network, digits)
    recipes = ps.grid(threshold=[0, 0.1, 0.2], q=[16])
    for place, found in surface(network, recipes, baseline):
        _, expected = compute(network, recipes[place], baseline)
        assert found.quality == expected.quality


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("dataset", "model", "score"),
    [
        ("diabetes", "mlp-32", "rmse"),
        ("diabetes", "ridge", "r2"),
        ("digits", "mlp-64-32", "log-loss"),
        ("digits", "mlp-64-32", "ece"),  # has no interval
        ("breast-cancer", "mlp-32", "roc-auc"),
        ("digits", "cnn", "balanced-accuracy"),
    ],
)
def test_other_scores_are_those_of_each_point_by_itself(
    dataset: str, model: str, score: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(module, "nested_sweep", lambda: None)
    network = trained(dataset, model)
    baseline = Baseline(network, load(dataset), score_name=score)
    recipes = ps.grid(threshold=[0, 0.05, 0.2], q=[8, 64])
    found = dict(surface(network, recipes, baseline))
    for place, recipe in enumerate(recipes):
        _, expected = compute(network, recipe, baseline)
        ours = found[place]
        assert ours.score == expected.score == score
        close = {"rel": 1e-4, "abs": 1e-5}
        assert ours.quality.value == pytest.approx(expected.quality.value, **close)
        assert ours.change.value == pytest.approx(expected.change.value, **close)
        assert (ours.change.interval is None) == (expected.change.interval is None)
        if ours.change.interval is not None:
            assert ours.change.interval == pytest.approx(expected.change.interval, abs=1e-3)
        assert ours.size_bytes == expected.size_bytes
