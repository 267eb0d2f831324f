"""The panel "Why no gain?": each cause with a real model, read in the page; one click mends it.

Sizes are measured. Where a cause hangs on a verdict about time, which a busy machine can leave
open, the test says what the file's times are to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import paretoscope as ps
import pytest
from paretoscope.artifact.kernel_times import KernelTimes
from paretoscope.artifact.quick_latency import Latency
from paretoscope.measurement.diagnosis import Reason
from paretoscope.methods.kernels import Folded
from paretoscope.network.network import Network
from paretoscope.training.training import keep
from streamlit.testing.v1 import AppTest

from tests.app.pages import address, charts, figures, measured, open_page, until
from tests.awkward import with_dequantized, with_float64, with_trees
from tests.conftest import load, trained
from ui.base import words
from ui.explore import plan, why_no_gain
from ui.parts import controls, kernel_choice
from ui.state import server


@pytest.fixture(autouse=True)
def _short_curves(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a recipe gains does not hang on its curve: three points of it are enough."""
    whole = controls.curve_of

    def few(network: Network, recipe: ps.Recipe, linked: float | None) -> list[ps.Recipe]:
        curve = whole(network, recipe, linked)
        return curve[:: max(1, len(curve) // 2)]

    monkeypatch.setattr(controls, "curve_of", few)
    plan._plan.cache_clear()
    yield
    plan._plan.cache_clear()


def _panel(app: AppTest) -> list[str]:
    """The sentences of the panel, once one row and 256 rows were timed."""
    return [m.value for m in app.markdown if m.value.startswith(("*Size:*", "*Time:*"))]


_SAME = (Latency(1, (100.0,) * 15, (100.0,) * 15), Latency(256, (9e3,) * 15, (9e3,) * 15))
_SLOWER = (Latency(1, (150.0,) * 15, (100.0,) * 15), Latency(256, (9e3,) * 15, (9e3,) * 15))
_FASTER = (Latency(1, (50.0,) * 15, (100.0,) * 15), Latency(256, (5e3,) * 15, (9e3,) * 15))
_CALL = (Latency(1, (5.0,) * 15, (5.0,) * 15), Latency(256, (9.0,) * 15, (9.0,) * 15))


def _timed(app: AppTest) -> bool:
    return (
        measured(app)
        and len(app.metric) == 3
        and "256 rows: " in app.metric[2].help
        and "256 rows: measuring" not in app.metric[2].help
    )


def _shown(
    dataset: str,
    model: str,
    recipe: str,
    times: tuple[Latency, ...] = (),
    network: Network | None = None,
) -> AppTest:
    """The page once all is measured; with `times`, once the file was run, and taking these."""
    network = network or trained(dataset, model)
    place = {"dataset": dataset, "model": model, "recipe": recipe, "size": "file", "drop": "20"}
    app = until(open_page(**place), _timed)
    assert not app.exception
    if not times:
        return app
    subject, service = server.subject(dataset, model, network), server.measuring()
    parsed = ps.Recipe.parse(recipe)
    known = service.known(subject, parsed)
    assert known is not None
    service._learn(subject.key(parsed), replace(known, latencies=times))
    return app.run()


def _told(dataset: str, model: str, recipe: str, times: tuple[Latency, ...] = ()) -> list[str]:
    return _panel(_shown(dataset, model, recipe, times))


def _kept(network: Network, dataset: str, model: str) -> None:
    """Let a server find this network as a model of the dataset."""
    keep(network, model, load(dataset), 0)


def test_zeros_in_a_dense_file_are_the_cause() -> None:
    told = _told("digits", "mlp-64-32", "magnitude(sparsity=0.9)")
    (size,) = [line for line in told if line.startswith("*Size:*")]
    assert "90.0 % of the weights are zero, but the file is dense" in size
    assert "Zipped they pay: " in size
    assert "× smaller" in size


def _offers(app: AppTest) -> list[str]:
    return [
        b.label for b in app.button if b.label.startswith("Try ") and not b.key.startswith("take-")
    ]


def _offered(app: AppTest) -> AppTest:
    """The page once all that may help was computed."""

    def is_computed(app: AppTest) -> bool:
        view = app.session_state.session.view
        subject = server.subject(view.dataset, view.model, trained(view.dataset, view.model))
        service = server.measuring()
        request = why_no_gain.request(service, subject, view, None)
        left = [
            r
            for r in request.context
            if service.known(subject, r) is None and service.failure(subject, r) is None
        ]
        return bool(request.context) and not left

    return until(app, is_computed).run()


def test_one_click_sets_what_to_try_instead() -> None:
    network, data = trained("digits", "mlp-64-32"), load("digits")
    app = _offered(until(open_page(recipe="magnitude(sparsity=0.5)", size="file"), _timed))
    (button,) = [b for b in app.button if b.label.startswith("Try Q = ")]
    app = until(button.click().run(), _timed)
    tried = ps.Recipe.parse(address(app)["recipe"])
    assert isinstance(tried.quantizer, ps.FixedPoint)
    assert not [line for line in _panel(app) if line.startswith("*Size:*")]
    drop = -ps.measure(ps.compress(network, tried, data.train), data, batches=()).change.value
    assert drop <= 0.01
    assert button.label.endswith(words.points(-drop))


def test_advice_that_would_cost_more_than_the_budget_is_not_given() -> None:
    """Nine of ten weights are gone, and with them 40 points: no Q gives those back."""
    trained("digits", "mlp-64-32")
    app = until(open_page(recipe="magnitude(sparsity=0.97)", size="file"), _timed)
    app = _offered(app)
    assert [line for line in _panel(app) if line.startswith("*Size:*")]
    assert _offers(app) == []


def test_no_advice_stands_there_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes a file both smaller and faster: two reasons, one button."""
    app = until(open_page(recipe="q(8)"), figures)
    network = trained("digits", "mlp-64-32")
    remedy = server.measuring().known(
        server.subject("digits", "mlp-64-32", network), ps.Recipe.parse("q(8)")
    )
    both = [Reason(about, "any", {}, (ps.Recipe(),)) for about in ("size", "time")]  # type: ignore[arg-type]
    monkeypatch.setattr(why_no_gain, "_found", lambda *_: both)
    monkeypatch.setattr(why_no_gain, "sentence", lambda reason: f"this {reason.about}")
    monkeypatch.setattr(why_no_gain, "offered", lambda *_, **__: remedy)
    app.run()
    assert _panel(app) == ["*Size:* this size", "*Time:* this time"]
    assert len(_offers(app)) == 1


def test_codes_wider_than_a_type_are_the_cause() -> None:
    network = trained("digits", "mlp-64-32")
    q = float(f"{140 / float(abs(network.weights['dense1']).max()):.3g}")
    app = _offered(until(open_page(recipe=f"q({q:g})", size="file"), _timed))
    (size,) = [line for line in _panel(app) if line.startswith("*Size:*")]
    assert f"at Q = {q:g} codes need 9 bits" in size
    assert "int16, so 7 of its 16 bits are spent on nothing" in size
    (button,) = [b for b in app.button if b.label.startswith("Try Q = ")]
    app = until(button.click().run(), _timed)
    tried = ps.Recipe.parse(address(app)["recipe"])
    artifact = ps.compress(network, tried, load("digits").train)
    assert artifact.stored.codes["dense1"].storage == "int8"
    assert artifact.stored.codes["dense1"].bits == 8
    assert not [line for line in _panel(app) if line.startswith("*Size:*")]


def test_a_call_that_dominates_is_the_cause() -> None:
    told = _told("digits", "mlp-64-32", "magnitude(sparsity=0.5)+q(8)", _CALL)
    (time,) = [line for line in told if "the call dominates" in line]
    assert "one row takes 5.00 µs, a row among 256 only 0.0352 µs" in time


def test_more_graph_than_weights_is_the_cause() -> None:
    told = _told("iris", "logistic-regression", "q(8)")
    (size,) = [line for line in told if line.startswith("*Size:*")]
    assert "the weights are 48 B of a file of " in size


def test_integer_steps_are_the_cause() -> None:
    told = _told("digits", "mlp-64-32", "int8", _SLOWER)
    assert [line for line in told if "8-bit activations add operators that round" in line]


def test_codes_that_run_as_floats_are_the_cause() -> None:
    told = _told("digits", "cnn", "q(8)", _SAME)
    (time,) = [line for line in told if "are unpacked once, when the file is loaded" in line]
    assert "1.00 of the time before" in time


def test_zeros_that_are_multiplied_are_the_cause_and_removed_neurons_help() -> None:
    app = _offered(_shown("digits", "cnn", "magnitude(sparsity=0.3)", _SAME))
    assert [line for line in _panel(app) if "ONNX Runtime multiplies by them" in line]
    (button,) = [b for b in app.button if b.label.startswith("Try fewer neurons")]
    button.click().run()
    assert "l2(" in address(app)["recipe"]


def test_the_panel_is_silent_where_there_is_a_gain() -> None:
    app = _shown("digits", "mlp-64-32", "magnitude(sparsity=0.5)+symmetric(4)", _FASTER)
    assert app.metric[2].delta == "2.00× faster"
    assert not _panel(app)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (with_float64, "are float64 weights, which no recipe touches"),
        (with_dequantized, "DequantizeLinear turns into floats at every call"),
    ],
)
def test_parts_that_no_recipe_touches_are_the_cause(
    make: Callable[[Network], Network], sentence: str, fresh: Path
) -> None:
    original = trained("digits", "mlp-64-32")
    network = make(original)
    assert list(network.weights) == ["dense2", "dense3"]
    _kept(network, "digits", "mlp-64-32")
    app = _shown("digits", "mlp-64-32", "magnitude(sparsity=0.5)+q(8)", _SAME, network)
    assert [line for line in _panel(app) if sentence in line]


def test_trees_are_the_cause(fresh: Path) -> None:
    network = with_trees(trained("iris", "logistic-regression"), load("iris"))
    _kept(network, "iris", "logistic-regression")
    app = _shown("iris", "logistic-regression", "q(8)", _SAME, network)
    assert [line for line in _panel(app) if "are trees. They have no weights" in line]


def _kernel_times(app: AppTest, fused: float, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page where integer kernels take so many times as long as float32 with 16 rows."""
    kept = KernelTimes(
        tuple(Latency(b, (r,) * 31, (1.0,) * 31) for b, r in ((1, 0.6), (16, fused), (256, 1.0))),
        tuple(Latency(b, (1.0,) * 31, (1.0,) * 31) for b in (1, 16, 256)),
        "a processor",
    )
    monkeypatch.setattr(kernel_choice, "known", lambda subject: kept)
    return app.run()


@pytest.mark.parametrize(
    ("kernel", "sentence", "button"),
    [
        (
            "",
            "integer kernels take 0.60 of float32's time for one row, 1.50 for 16",
            "floats",
        ),
        (
            "+folded",
            "these codes run as floats; integer kernels would take 0.60",
            "integers",
        ),
    ],
)
def test_what_integer_kernels_cost_or_save_here_is_said(
    kernel: str, sentence: str, button: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = f"magnitude(pattern=2:4)+q(64){kernel}"  # patterns have no curve of files to wait for
    app = _shown("fashion-mnist", "lenet-300-100", recipe, _SAME)
    app = _kernel_times(app, 1.5, monkeypatch)
    app = _offered(app)
    (line,) = [line for line in _panel(app) if "integer kernels" in line]
    assert sentence in line
    assert "(a processor)" in line
    (offer,) = [b for b in app.button if b.label.startswith(f"Try {button}")]
    other = replace(ps.Recipe.parse(recipe), kernel=Folded())  # computed in float arithmetic
    network, data = trained("fashion-mnist", "lenet-300-100"), load("fashion-mnist")
    change = ps.measure(ps.compress(network, other, data.train), data, batches=()).change
    assert offer.label.endswith(words.points(change.value))
    drawn = str(charts(app)["chart-time"]["layout"]["meta"]["card"])
    assert "8-bit codes as integers: 0.60, 1.50, 1.00 of float32's time" in drawn
    offer.click().run()
    assert ("folded" in address(app)["recipe"]) == (button == "floats")
