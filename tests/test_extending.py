"""What CONTRIBUTING.md promises: a method is one small file, a line in its registry and one in
docs/methods.md; sliders, recipes, command line and pages follow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import paretoscope as ps
import pytest

from tests.conftest import ROOT, load, trained

_METHODS = "compression/paretoscope/methods"
# Each file, and what is put before a line of another one to make it known.
_FILES = {
    f"{_METHODS}/pruning/square.py": '''
"""A criterion that a test adds."""

from dataclasses import dataclass

import numpy as np

from paretoscope.data.rows import Rows
from paretoscope.methods.pruning.criterion import Criterion
from paretoscope.methods.pruning.cut import Scores
from paretoscope.network.network import Network


@dataclass(frozen=True)
class Square(Criterion):
    """The squared weight: score ``w^2``."""

    name = "square"
    title = "Square"
    score = "w²"

    def scores(self, network: Network, rows: Rows | None = None) -> Scores:
        return {name: np.square(weight) for name, weight in network.weights.items()}
''',
    f"{_METHODS}/quantization/thousandths.py": '''
"""A quantizer that a test adds, whose range begins at 1."""

import math
from dataclasses import dataclass

from paretoscope.base.parameters import BoolArray, FloatArray, Number, parameter
from paretoscope.methods.quantization.grids import Grid, UniformGrid
from paretoscope.methods.quantization.quantizer import Quantizer


@dataclass(frozen=True)
class Thousandths(Quantizer):
    """Steps of so many thousandths."""

    name = "thousandths"
    title = "Thousandths"
    elementwise = True

    steps: float = parameter(Number(1, math.inf, whole=True), label="Step", help="The step.")

    @property
    def factor(self) -> float:
        return 1000 / self.steps

    def grid(self, weight: FloatArray, kept: BoolArray) -> Grid:
        return UniformGrid(self.factor)
''',
    "compression/paretoscope/problems/quantile.py": '''
"""A problem that a test adds: what is exceeded in one case of ten."""

from dataclasses import dataclass

import numpy as np

from paretoscope.base.parameters import FloatArray
from paretoscope.problems.intervals import Floats
from paretoscope.problems.problem import Problem
from paretoscope.problems.score import Labels, OfMeans, Predicted, Score, Targets


class Pinball(OfMeans):
    """What is too low costs nine times what is too high."""

    name, title = "pinball", "Pinball loss"
    higher_is_better = False
    low = 0.0

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        off = np.asarray(targets, np.float64).reshape(len(targets), -1) - predicted.outputs
        return np.maximum(0.9 * off, -0.1 * off).mean(1, keepdims=True)


@dataclass(frozen=True)
class Quantile(Problem):
    """The number that is exceeded in one case of ten."""

    target_names: tuple[str, ...]
    name, title = "quantile", "Quantile"
    offers = (Pinball,)
    targets = "numbers"

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "Quantile":
        return cls(names)

    @property
    def names(self) -> tuple[str, ...]:
        return self.target_names

    @property
    def scores(self) -> tuple[Score, ...]:
        return (Pinball(),)

    def check(self, targets: Targets) -> None: ...

    def strata(self, targets: Targets) -> Labels:
        return np.zeros(len(targets), np.int64)

    def loss(self, outputs: FloatArray, targets: Targets) -> tuple[float, FloatArray]:
        off = np.asarray(targets, np.float64).reshape(outputs.shape) - outputs
        slope = np.where(off > 0, -0.9, 0.1) / len(outputs)
        return float(np.maximum(0.9 * off, -0.1 * off).mean()), slope.astype(np.float32)
''',
    "compression/paretoscope/measurement/dimming.py": '''
"""A corruption that a test adds."""

from paretoscope.base.parameters import FloatArray
from paretoscope.data.dataset import Dataset
from paretoscope.measurement.corruption import Corruption


class Dimming(Corruption):
    """Less light: pixels times one minus a share."""

    name = "dimming"
    title = "Dimming"
    unit = axis = "share of the light"
    strengths = (0.0, 0.25, 0.5)

    def apply(self, X: FloatArray, strength: float, data: Dataset) -> FloatArray:
        return X * (1 - strength)
''',
}
_LINES = [
    (f"{_METHODS}/pruning/criteria.py", "    RandomScore,\n", "    Square,\n"),
    (
        f"{_METHODS}/pruning/criteria.py",
        "from paretoscope.network.network",
        "from paretoscope.methods.pruning.square import Square\n",
    ),
    (
        f"{_METHODS}/quantization/quantizers.py",
        "\nDouble = npt",
        "from paretoscope.methods.quantization.thousandths import Thousandths\n",
    ),
    (f"{_METHODS}/quantization/quantizers.py", "Float16)\n", "Thousandths, "),
    (
        "compression/paretoscope/measurement/corruptions.py",
        "\n_SEED",
        "from paretoscope.measurement.dimming import Dimming\n",
    ),
    ("compression/paretoscope/measurement/corruptions.py", "Blur)\n", "Dimming, "),
    (
        "compression/paretoscope/problems/problems.py",
        "from paretoscope.problems.regression",
        "from paretoscope.problems.quantile import Quantile\n",
    ),
    ("compression/paretoscope/problems/problems.py", "Regression, Agreement)", "Quantile, "),
]
_DOCS = """
| Square | `square(...)` |
| Thousandths | `thousandths(step)` |
| Dimming (`dimming`) | 0.25, 0.5 |
"""
_USE = """
import json
import os
home = os.environ["PARETOSCOPE_HOME"]
from tests.app.pages import address, figures, open_page, until
os.environ["PARETOSCOPE_HOME"] = home  # that import gave it another store

app = open_page(recipe="magnitude(sparsity=0.5)+q(8)")
app.selectbox(key="pruner-member").set_value("square").run()
app.selectbox(key="quantizer-member").set_value("thousandths").run()
first = address(app)["recipe"]
app.number_input(key="quantizer-thousandths-steps").set_value(20).run()
until(app, figures)
chosen = address(app)["recipe"]
accuracy = app.metric[0].value
app.query_params["section"] = "robustness"
app = app.switch_page("pages/evidence.py").run()
until(app, lambda app: any("**Dimming** (" in m.value for m in app.markdown))
print(json.dumps([first, chosen, accuracy, [e.value for e in app.exception]]))
"""


_PROBLEM = """
import json
import os
home = os.environ["PARETOSCOPE_HOME"]
from tests.app.pages import figures, open_page, until
os.environ["PARETOSCOPE_HOME"] = home
import paretoscope as ps
from dataclasses import replace
from paretoscope.data.own_data import keep_own
from paretoscope.problems.quantile import Quantile

rows = ps.load_dataset("diabetes").raw
name = keep_own(replace(rows, stated=Quantile(("progression",))), "load")
data = ps.load_dataset(name)
network = ps.train("mlp-32", data)
recipe = ps.Recipe.parse("taylor(sparsity=0.3)+q(32)+finetune(epochs=3)")
made = ps.measure(ps.compress(network, recipe, data.train, data.validation), data, batches=())
swept = list(ps.sweep(network, data, ps.grid(threshold=[0, 0.1], q=[8, 32]), measured="front"))
app = until(open_page(dataset=name, model="mlp-32"), figures)
told = [app.metric[0].label, app.title[0].value, [e.value for e in app.exception]]
print(json.dumps([network.problem.title, made.row()["pinball"], len(swept), *told]))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a criterion, a quantizer and a corruption more."""
    copy = tmp_path_factory.mktemp("house")
    for name in ("compression", "ui", "pages", "docs", "tests", "static", ".streamlit"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "app.py", copy)
    for path, text in _FILES.items():
        (copy / path).write_text(text.lstrip(), encoding="utf-8")
    for path, before, line in _LINES:
        text = (copy / path).read_text(encoding="utf-8")
        assert text.count(before) == 1, (path, before)
        (copy / path).write_text(text.replace(before, line + before), encoding="utf-8")
    return copy


def _python(house: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=house,
        env=os.environ | {"PYTHONPATH": f"{house / 'compression'}{os.pathsep}{house}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_apps_controls_follow(house: Path) -> None:
    trained("digits", "mlp-64-32")
    first, chosen, accuracy, exceptions = json.loads(
        _python(house, "-c", _USE).strip().splitlines()[-1]
    )
    assert first == "square(sparsity=0.5)+thousandths(1)"
    assert chosen == "square(sparsity=0.5)+thousandths(20)"
    assert exceptions == []
    # Squares are in the order of magnitudes, and a step of 20 thousandths is Q = 50.
    data = ps.load_dataset("digits")
    same = ps.Recipe.parse("magnitude(sparsity=0.5)+q(50)+folded")
    found = ps.measure(ps.compress(trained("digits", "mlp-64-32"), same, data.train), data)
    assert float(accuracy.rstrip(" %")) == pytest.approx(100 * found.accuracy.value, abs=0.35)


def test_a_problem_is_one_file_and_a_line(house: Path) -> None:
    """Trained for, searched, measured and shown by its own score."""
    load("diabetes")
    told = json.loads(_python(house, "-c", _PROBLEM).strip().splitlines()[-1])
    title, pinball, n_swept, label, finding, exceptions = told
    assert title == "Quantile"
    assert pinball > 0
    assert n_swept >= 4
    assert label.startswith("Pinball loss")
    assert "smaller" in finding
    assert exceptions == []


def test_the_command_line_follows(house: Path, tmp_path: Path) -> None:
    trained("digits", "mlp-64-32")
    out = tmp_path / "square.json"
    _python(
        house, "-m", "paretoscope", "sweep", "digits", "mlp-64-32", "--criterion", "square",
        "--sparsity", "0.5", "--quantizer", "thousandths", "--steps", "20", "-o", str(out),
    )  # fmt: skip
    rows: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))
    assert "square(sparsity=0.5)+thousandths(20)" in {row["recipe"] for row in rows}


def test_the_docs_are_asked_for(house: Path) -> None:
    asked = "from tests.docs_check import missing; print(missing(open('docs/methods.md').read()))"
    missing = _python(house, "-c", asked)
    for name in ("square", "thousandths", "dimming"):
        assert name in missing
    with (house / "docs" / "methods.md").open("a", encoding="utf-8") as docs:
        docs.write(_DOCS)
    assert _python(house, "-c", asked).strip() == "[]"
