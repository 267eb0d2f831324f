from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import paretoscope as ps
import pytest
from paretoscope.cli.main import main
from paretoscope.network.network import Network

from tests.conftest import load

RECIPE = "magnitude(threshold=0.05)+q(16)"


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_datasets_and_models(capsys: Any) -> None:
    code, out, _ = _run(capsys, "datasets")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ps.datasets()
    assert "not on this machine" in next(line for line in out.splitlines() if line[:5] == "mnist")
    code, out, _ = _run(capsys, "models", "fashion-mnist")
    assert [line.split()[0] for line in out.splitlines()] == ps.models(load("fashion-mnist"))


def test_compress_writes_the_file(
    capsys: Any, tmp_path: Path, mlp: Network, digits: ps.Dataset
) -> None:
    path = tmp_path / "model.onnx"
    code, out, err = _run(capsys, "compress", "digits", "mlp-64-32", RECIPE, "-o", str(path))
    assert (code, err) == (0, "")
    expected = ps.compress(mlp, ps.Recipe.parse(RECIPE), digits.train)
    assert path.read_bytes() == expected.onnx_bytes
    assert f"{expected.sizes.file:,} bytes, {expected.sizes.gzip:,} under gzip -9" in out


def test_measure_prints_every_figure(capsys: Any) -> None:
    code, out, _ = _run(capsys, "measure", "digits", "mlp-64-32", RECIPE, "--split", "test")
    assert code == 0
    printed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert printed["recipe"] == RECIPE
    assert printed["split"] == "test"
    assert float(printed["batch256_ratio"]) > 0


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_sweep_writes_a_table(capsys: Any, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table{ending}"
    code, out, _ = _run(
        capsys, "sweep", "iris", "mlp-32", "--threshold", "0,0.1", "--q", "4,8", "-o", str(path)
    )
    assert code == 0
    assert "4 measurements" in out
    table = pd.read_csv(path) if ending == ".csv" else pd.read_parquet(path)
    assert table.recipe.tolist() == [str(r) for r in ps.grid(threshold=[0, 0.1], q=[4, 8])]
    assert np.array_equal(table.accuracy, table.correct / table.n)
    assert (table.size_bytes > table.gzip_bytes).all()


def test_sweep_without_values_visits_the_sliders_stops(capsys: Any) -> None:
    code, out, _ = _run(capsys, "sweep", "iris", "logistic-regression", "--quantizer", "float32")
    table = pd.read_csv(io.StringIO(out))
    assert code == 0
    assert table.recipe[0] == "magnitude(threshold=0)"
    assert table.sparsity.is_monotonic_increasing
    assert len(table) > 5


def test_sweep_by_sparsity_and_scope(capsys: Any) -> None:
    code, out, _ = _run(
        capsys, "sweep", "iris", "mlp-32", "--sparsity", "0.5", "--scope", "layer", "--q", "8"
    )
    table = pd.read_csv(io.StringIO(out))
    assert code == 0
    assert table.recipe.tolist() == ["magnitude(sparsity=0.5,scope=layer)+q(8)"]


def test_sweep_with_another_criterion_and_a_recovery(capsys: Any) -> None:
    code, out, err = _run(
        capsys, "sweep", "iris", "mlp-32", "--criterion", "wanda", "--quantizer", "symmetric",
        "--bits", "3", "--per", "output", "--sparsity", "0.5", "--recovery", "gptq",
    )  # fmt: skip
    table = pd.read_csv(io.StringIO(out))
    assert (code, err) == (0, "")
    assert table.recipe.tolist() == ["wanda(sparsity=0.5)+symmetric(3,per=output)+gptq"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["foo"], "invalid choice: 'foo'"),
        ([], "the following arguments are required: COMMAND"),
        (["models", "irs"], "dataset must be one of iris, wine"),
        (["models", "mnist"], "MNIST is not on this machine"),
        (["compress", "digits", "mlp", "q(8)"], "model for digits must be one of"),
        (["compress", "digits", "mlp-32", "q(0)"], "q must be at least 1; got 0"),
        (["compress", "iris", "mlp-32", "q(8)", "-o", "x.txt"], "must end in .onnx; got 'x.txt'"),
        (["compress", "iris", "mlp-32", "q(8)", "-o", "no/x.onnx"], "folder of the output must"),
        (["compress", "iris", "mlp-32", "q(8);dense9=q(2)"], "the recipe names the layer 'dense9'"),
        (["measure", "iris", "mlp-32", "q(8)", "--split", "all"], "--split must be one of train"),
        (["measure", "iris", "mlp-32", "q(8)", "--seed", "-1"], "seed must be a whole number"),
        (["measure", "iris", "mlp-32", "q(8)", "--seed", "a"], "argument --seed: invalid int"),
        (["sweep", "iris", "mlp-32", "--q", "8,x"], "--q must be a number from 1"),
        (["sweep", "iris", "mlp-32", "--threshold", "-1"], "threshold must be at least 0; got -1"),
        (["sweep", "iris", "mlp-32", "--sparsity", "2"], "sparsity must be at most 1"),
        (["sweep", "iris", "mlp-32", "--criterion", "x"], "--criterion must be one of magnitude"),
        (["sweep", "iris", "mlp-32", "-o", "x.xls"], "must end in .csv or .parquet or .json; got"),
        (["datasets", "--fetch", "iris"], "Iris comes with scikit-learn"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str], message: str, capsys: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = _run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("paretoscope: ")
    assert len(err.splitlines()) == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").mkdir()
    code, _, err = _run(
        capsys, "compress", "iris", "mlp-32", "q(8)", "-o", str(tmp_path / "x.onnx")
    )
    assert code == 2
    assert "is a folder" in err


def test_stopping_writes_nothing(capsys: Any, tmp_path: Path, monkeypatch: Any) -> None:
    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("paretoscope.sweeps.sweep.sweep", stop)
    path = tmp_path / "t.csv"
    code, _, err = _run(capsys, "sweep", "iris", "mlp-32", "--q", "4", "-o", str(path))
    assert code == 130
    assert err == "paretoscope: stopped; no output was written; a sweep's points so far are kept\n"
    assert not path.exists()


def test_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "paretoscope", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("datasets", "models", "compress", "measure", "sweep"):
        assert command in done.stdout
    failed = subprocess.run(
        [sys.executable, "-m", "paretoscope", "models", "x"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr


def test_a_search_names_the_smallest_and_what_came_near(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.onnx"
    place = ["search", "digits", "mlp-64-32", "--drop", "2", "--q", "4,8,16"]
    assert main([*place, "-o", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "candidates, as much work as " in printed
    assert "under gzip -9; chosen on these rows" in printed
    assert path.stat().st_size > 0
    assert path.with_suffix(".json").stat().st_size > 0
    assert main(["search", "digits", "mlp-64-32", "--drop", "0", "--threshold", "0.4"]) == 0
    assert "none is within the budget" in capsys.readouterr().out


def test_a_sweep_goes_on_where_it_was_and_anew_does_not(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ["sweep", "digits", "mlp-64-32", "--threshold", "0,0.1", "--q", "4"]
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    assert main([*place, "-o", str(first)]) == 0
    assert main([*place, "-o", str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()  # times too: nothing was measured again
    assert main([*place, "--anew", "-o", str(second)]) == 0
    assert first.read_bytes() != second.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sweep", "digits", "mlp-64-32", "--measured", "some"], "--measured must be one of all"),
        (["search", "digits", "mlp-64-32", "--drop", "200"], "--drop must be at most 100; got 200"),
        (
            ["search", "digits", "mlp-64-32", "--aim", "zip"],
            "--aim must be one of gzip, file",
        ),
    ],
)
def test_wrong_sweeps_and_searches_are_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err
