"""Paretoscope: what it costs to make a model smaller and faster, each point a file you can run."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paretoscope.artifact.artifact import Artifact as Artifact
    from paretoscope.artifact.artifact import compress as compress
    from paretoscope.artifact.runtimes import OnnxRuntime as OnnxRuntime
    from paretoscope.base.errors import ParetoscopeError as ParetoscopeError
    from paretoscope.data.dataset import Dataset as Dataset
    from paretoscope.data.dataset import datasets as datasets
    from paretoscope.data.dataset import fetch_dataset as fetch_dataset
    from paretoscope.data.dataset import load_dataset as load_dataset
    from paretoscope.data.rows import Rows as Rows
    from paretoscope.measurement.budget import Budget as Budget
    from paretoscope.measurement.measurement import Measurement as Measurement
    from paretoscope.measurement.measurement import measure as measure
    from paretoscope.methods.activations import Int8Activations as Int8Activations
    from paretoscope.methods.kernels import Auto as Auto
    from paretoscope.methods.kernels import Folded as Folded
    from paretoscope.methods.kernels import Fused as Fused
    from paretoscope.methods.pruning import KeepAll as KeepAll
    from paretoscope.methods.pruning import L1Fit as L1Fit
    from paretoscope.methods.pruning import Magnitude as Magnitude
    from paretoscope.methods.pruning import MeanActivation as MeanActivation
    from paretoscope.methods.pruning import OptimalBrainSurgeon as OptimalBrainSurgeon
    from paretoscope.methods.pruning import RandomScore as RandomScore
    from paretoscope.methods.pruning import RandomUnits as RandomUnits
    from paretoscope.methods.pruning import TargetedDropout as TargetedDropout
    from paretoscope.methods.pruning import Taylor as Taylor
    from paretoscope.methods.pruning import UnitNorm as UnitNorm
    from paretoscope.methods.pruning import Wanda as Wanda
    from paretoscope.methods.pruning import ZeroShare as ZeroShare
    from paretoscope.methods.quantization import FixedPoint as FixedPoint
    from paretoscope.methods.quantization import Float16 as Float16
    from paretoscope.methods.quantization import Float32 as Float32
    from paretoscope.methods.quantization import KMeans as KMeans
    from paretoscope.methods.quantization import Shift as Shift
    from paretoscope.methods.quantization import Symmetric as Symmetric
    from paretoscope.methods.recipe import Recipe as Recipe
    from paretoscope.methods.recipe import Treatment as Treatment
    from paretoscope.methods.recovery import BiasCorrection as BiasCorrection
    from paretoscope.methods.recovery import Compensation as Compensation
    from paretoscope.methods.recovery import FineTuning as FineTuning
    from paretoscope.methods.recovery import LeastSquares as LeastSquares
    from paretoscope.methods.recovery import NoRecovery as NoRecovery
    from paretoscope.methods.storage import Bytes as Bytes
    from paretoscope.methods.storage import Packed as Packed
    from paretoscope.network.network import Network as Network
    from paretoscope.searches.search import search as search
    from paretoscope.sweeps.front import pareto_front as pareto_front
    from paretoscope.sweeps.history import History as History
    from paretoscope.sweeps.sweep import curve as curve
    from paretoscope.sweeps.sweep import grid as grid
    from paretoscope.sweeps.sweep import sweep as sweep
    from paretoscope.training.training import models as models
    from paretoscope.training.training import train as train
    from paretoscope.uploads.own import load_model as load_model
    from paretoscope.uploads.own import load_pictures as load_pictures
    from paretoscope.uploads.own import load_table as load_table

# Each public name and its module, imported when first used: a page that draws kept results should
# not wait for what trains new ones.
_PUBLIC = {
    "Artifact": "artifact.artifact",
    "Auto": "methods.kernels",
    "Budget": "measurement.budget",
    "BiasCorrection": "methods.recovery",
    "Bytes": "methods.storage",
    "Compensation": "methods.recovery",
    "Dataset": "data.dataset",
    "FineTuning": "methods.recovery",
    "FixedPoint": "methods.quantization",
    "Float16": "methods.quantization",
    "Float32": "methods.quantization",
    "Folded": "methods.kernels",
    "Fused": "methods.kernels",
    "History": "sweeps.history",
    "Int8Activations": "methods.activations",
    "KMeans": "methods.quantization",
    "KeepAll": "methods.pruning",
    "L1Fit": "methods.pruning",
    "LeastSquares": "methods.recovery",
    "Magnitude": "methods.pruning",
    "MeanActivation": "methods.pruning",
    "Measurement": "measurement.measurement",
    "Network": "network.network",
    "NoRecovery": "methods.recovery",
    "OnnxRuntime": "artifact.runtimes",
    "OptimalBrainSurgeon": "methods.pruning",
    "Packed": "methods.storage",
    "ParetoscopeError": "base.errors",
    "RandomScore": "methods.pruning",
    "RandomUnits": "methods.pruning",
    "Recipe": "methods.recipe",
    "Rows": "data.dataset",
    "Shift": "methods.quantization",
    "Symmetric": "methods.quantization",
    "TargetedDropout": "methods.pruning",
    "Taylor": "methods.pruning",
    "Treatment": "methods.recipe",
    "UnitNorm": "methods.pruning",
    "Wanda": "methods.pruning",
    "ZeroShare": "methods.pruning",
    "compress": "artifact.artifact",
    "curve": "sweeps.sweep",
    "datasets": "data.dataset",
    "fetch_dataset": "data.dataset",
    "grid": "sweeps.sweep",
    "load_dataset": "data.dataset",
    "load_model": "uploads.own",
    "load_pictures": "uploads.own",
    "load_table": "uploads.own",
    "measure": "measurement.measurement",
    "models": "training.training",
    "pareto_front": "sweeps.front",
    "search": "searches.search",
    "sweep": "sweeps.sweep",
    "train": "training.training",
}
_RENAMED = {"Project": "NoRecovery"}  # the name of before still works
__all__ = list(_PUBLIC)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    name = _RENAMED.get(name, name)
    if name not in _PUBLIC:
        raise AttributeError(f"module 'paretoscope' has no attribute {name!r}")
    return getattr(importlib.import_module(f"paretoscope.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
