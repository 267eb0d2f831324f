"""Paretoscope: what it costs to make a model smaller and faster, each point a file you can run."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paretoscope.activations import Int8Activations as Int8Activations
    from paretoscope.artifact import Artifact as Artifact
    from paretoscope.artifact import compress as compress
    from paretoscope.budget import Budget as Budget
    from paretoscope.dataset import Dataset as Dataset
    from paretoscope.dataset import Rows as Rows
    from paretoscope.dataset import datasets as datasets
    from paretoscope.dataset import fetch_dataset as fetch_dataset
    from paretoscope.dataset import load_dataset as load_dataset
    from paretoscope.errors import ParetoscopeError as ParetoscopeError
    from paretoscope.front import pareto_front as pareto_front
    from paretoscope.history import History as History
    from paretoscope.kernels import Auto as Auto
    from paretoscope.kernels import Folded as Folded
    from paretoscope.kernels import Fused as Fused
    from paretoscope.measurement import Measurement as Measurement
    from paretoscope.measurement import measure as measure
    from paretoscope.network import Network as Network
    from paretoscope.pruning import KeepAll as KeepAll
    from paretoscope.pruning import L1Fit as L1Fit
    from paretoscope.pruning import Magnitude as Magnitude
    from paretoscope.pruning import MeanActivation as MeanActivation
    from paretoscope.pruning import OptimalBrainSurgeon as OptimalBrainSurgeon
    from paretoscope.pruning import RandomScore as RandomScore
    from paretoscope.pruning import RandomUnits as RandomUnits
    from paretoscope.pruning import TargetedDropout as TargetedDropout
    from paretoscope.pruning import Taylor as Taylor
    from paretoscope.pruning import UnitNorm as UnitNorm
    from paretoscope.pruning import Wanda as Wanda
    from paretoscope.pruning import ZeroShare as ZeroShare
    from paretoscope.quantization import FixedPoint as FixedPoint
    from paretoscope.quantization import Float16 as Float16
    from paretoscope.quantization import Float32 as Float32
    from paretoscope.quantization import KMeans as KMeans
    from paretoscope.quantization import Shift as Shift
    from paretoscope.quantization import Symmetric as Symmetric
    from paretoscope.recipe import Recipe as Recipe
    from paretoscope.recipe import Treatment as Treatment
    from paretoscope.recovery import BiasCorrection as BiasCorrection
    from paretoscope.recovery import Compensation as Compensation
    from paretoscope.recovery import FineTuning as FineTuning
    from paretoscope.recovery import LeastSquares as LeastSquares
    from paretoscope.recovery import Project as Project
    from paretoscope.runtimes import OnnxRuntime as OnnxRuntime
    from paretoscope.searches import search as search
    from paretoscope.storage import Bytes as Bytes
    from paretoscope.storage import Packed as Packed
    from paretoscope.sweeps import curve as curve
    from paretoscope.sweeps import grid as grid
    from paretoscope.sweeps import sweep as sweep
    from paretoscope.training import models as models
    from paretoscope.training import train as train

# Each public name and its module, imported when first used: a page that draws kept results should
# not wait for what trains new ones.
_PUBLIC = {
    "Artifact": "artifact",
    "Auto": "kernels",
    "Budget": "budget",
    "BiasCorrection": "recovery",
    "Bytes": "storage",
    "Compensation": "recovery",
    "Dataset": "dataset",
    "FineTuning": "recovery",
    "FixedPoint": "quantization",
    "Float16": "quantization",
    "Float32": "quantization",
    "Folded": "kernels",
    "Fused": "kernels",
    "History": "history",
    "Int8Activations": "activations",
    "KMeans": "quantization",
    "KeepAll": "pruning",
    "L1Fit": "pruning",
    "LeastSquares": "recovery",
    "Magnitude": "pruning",
    "MeanActivation": "pruning",
    "Measurement": "measurement",
    "Network": "network",
    "OnnxRuntime": "runtimes",
    "OptimalBrainSurgeon": "pruning",
    "Packed": "storage",
    "ParetoscopeError": "errors",
    "Project": "recovery",
    "RandomScore": "pruning",
    "RandomUnits": "pruning",
    "Recipe": "recipe",
    "Rows": "dataset",
    "Shift": "quantization",
    "Symmetric": "quantization",
    "TargetedDropout": "pruning",
    "Taylor": "pruning",
    "Treatment": "recipe",
    "UnitNorm": "pruning",
    "Wanda": "pruning",
    "ZeroShare": "pruning",
    "compress": "artifact",
    "curve": "sweeps",
    "datasets": "dataset",
    "fetch_dataset": "dataset",
    "grid": "sweeps",
    "load_dataset": "dataset",
    "measure": "measurement",
    "models": "training",
    "pareto_front": "front",
    "search": "searches",
    "sweep": "sweeps",
    "train": "training",
}
__all__ = list(_PUBLIC)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'paretoscope' has no attribute {name!r}")
    return getattr(importlib.import_module(f"paretoscope.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
