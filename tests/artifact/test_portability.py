"""Where files run: what is told of them, here and, in `make soak`, in other runtimes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import paretoscope as ps
import pytest
from paretoscope.artifact.portability import TRIED, portable, runs_in, width

from tests.conftest import ROOT, load, trained

# A recipe for each type that codes are stored in, and the network and data that it is made for.
_FILES = {
    "int2": ("digits", "mlp-64-32", "q(1)"),
    "int4": ("digits", "mlp-64-32", "q(8)"),
    "int8": ("digits", "mlp-64-32", "q(100)"),
    "int16": ("digits", "mlp-64-32", "q(5000)"),
    "int32": ("digits", "mlp-64-32", "q(100000)"),
    "uint2": ("digits", "mlp-64-32", "kmeans(4)"),
    "uint4": ("digits", "mlp-64-32", "kmeans(16)"),
    "float16": ("digits", "mlp-64-32", "float16"),
    "float32": ("digits", "mlp-64-32", "float32"),
    "convolutions": ("digits", "cnn", "q(60)"),
    "bytes": ("digits", "mlp-64-32", "q(1)+bytes"),
    "integers": ("fashion-mnist", "lenet-300-100", "q(64)"),
    "folded": ("fashion-mnist", "lenet-300-100", "q(64)+folded"),
    "activations": ("digits", "mlp-64-32", "int8"),
}


def _made(name: str) -> ps.Artifact:
    dataset, model, recipe = _FILES[name]
    return ps.compress(trained(dataset, model), ps.Recipe.parse(recipe), load(dataset).train)


def _storages(artifact: ps.Artifact) -> set[str]:
    return {codes.storage for codes in artifact.stored.codes.values()}


def test_the_readme_tells_what_was_tried() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:ONNX|OpenVINO|OpenCV)[^|]*) \| (.*) \|$", readme, re.MULTILINE)
    told = {name: [cell == "yes" for cell in cells.split(" | ")] for name, cells in rows}
    assert told == {tried.name: [bits in tried.runs for bits in (8, 4, 2)] for tried in TRIED}
    allowed = re.search(r'"onnxruntime>=([\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert allowed is not None
    assert f"ONNX Runtime from {allowed[1]}" in told  # the range that we allow runs all files


@pytest.mark.parametrize("name", _FILES)
def test_a_file_needs_no_more_than_its_codes(name: str) -> None:
    """Runtimes refuse by the version of the format and by types: both follow the width alone."""
    artifact = _made(name)
    model = onnx.load_model_from_string(artifact.onnx_bytes)
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    bits = width(_storages(artifact))
    assert (bits == 2) == (opset > 21 or model.ir_version > 10)
    narrow = {onnx.TensorProto.INT4, onnx.TensorProto.UINT4, 25, 26}  # and the two of 2 bits
    assert (bits < 8) == any(t.data_type in narrow for t in model.graph.initializer)


def test_what_is_told_follows_the_narrowest_codes() -> None:
    runs, fails = runs_in(["int2", "int8"])
    assert "ONNX Runtime 1.23" in fails
    assert "ONNX Runtime from 1.24.1" in runs
    assert runs_in(["int4"])[1] == ["ONNX Runtime 1.20", "OpenCV 5"]
    assert runs_in(["int16", "float32"])[1] == []


def test_the_portable_file_holds_the_same_codes() -> None:
    packed = _made("int2")
    recipe = portable(packed.recipe)
    assert recipe is not None
    wide = ps.compress(packed.network, recipe, load("digits").train)
    assert not runs_in(_storages(wide))[1]
    for name, codes in packed.stored.codes.items():
        assert np.array_equal(codes.decoded(), wide.stored.codes[name].decoded())
    assert portable(recipe) is None


@pytest.mark.soak("files of every type in two older ONNX Runtimes and OpenVINO")
@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("onnxruntime==1.20.1", "ONNX Runtime 1.20"),
        ("onnxruntime==1.23.2", "ONNX Runtime 1.23"),
        ("openvino==2026.4.1", "OpenVINO 2026.4"),
    ],
)
def test_files_run_elsewhere_as_told(package: str, name: str, tmp_path: Path) -> None:
    for file, (dataset, *_) in _FILES.items():
        artifact, X = _made(file), load(dataset).validation.X[:100]
        (tmp_path / f"{file}.onnx").write_bytes(artifact.onnx_bytes)
        labels = ps.OnnxRuntime(artifact.onnx_bytes).scores(X).argmax(1)
        np.savez(tmp_path / f"{file}.npz", X=X, labels=labels)
    other = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", other], check=True)
    python = other / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", package, "numpy<2.4"], check=True)
    runtime = package.partition("==")[0]
    command = [python, ROOT / "tests" / "elsewhere.py", runtime, tmp_path]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = dict(line.split() for line in told.splitlines())
    assert set(found) == set(_FILES)
    for file, result in found.items():
        if name in runs_in(_storages(_made(file)))[0]:
            assert float(result) >= 0.98, file
        else:
            assert result == "fails", file
