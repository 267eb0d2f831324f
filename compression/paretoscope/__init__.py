"""Paretoscope: what it costs to make a model smaller and faster, each point a file you can run."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paretoscope.artifact import Artifact as Artifact
    from paretoscope.artifact import compress as compress
    from paretoscope.dataset import Dataset as Dataset
    from paretoscope.dataset import Rows as Rows
    from paretoscope.dataset import datasets as datasets
    from paretoscope.dataset import fetch_dataset as fetch_dataset
    from paretoscope.dataset import load_dataset as load_dataset
    from paretoscope.errors import ParetoscopeError as ParetoscopeError
    from paretoscope.front import pareto_front as pareto_front
    from paretoscope.measurement import Measurement as Measurement
    from paretoscope.measurement import measure as measure
    from paretoscope.network import Network as Network
    from paretoscope.pruning import KeepAll as KeepAll
    from paretoscope.pruning import Magnitude as Magnitude
    from paretoscope.quantization import FixedPoint as FixedPoint
    from paretoscope.quantization import Float32 as Float32
    from paretoscope.recipe import Recipe as Recipe
    from paretoscope.recipe import Treatment as Treatment
    from paretoscope.recovery import Project as Project
    from paretoscope.runtimes import OnnxRuntime as OnnxRuntime
    from paretoscope.sweeps import curve as curve
    from paretoscope.sweeps import grid as grid
    from paretoscope.sweeps import sweep as sweep
    from paretoscope.training import models as models
    from paretoscope.training import train as train

# Each public name and its module, imported when first used: a page that draws kept results should
# not wait for what trains new ones.
_PUBLIC = {
    "Artifact": "artifact",
    "Dataset": "dataset",
    "FixedPoint": "quantization",
    "Float32": "quantization",
    "KeepAll": "pruning",
    "Magnitude": "pruning",
    "Measurement": "measurement",
    "Network": "network",
    "OnnxRuntime": "runtimes",
    "ParetoscopeError": "errors",
    "Project": "recovery",
    "Recipe": "recipe",
    "Rows": "dataset",
    "Treatment": "recipe",
    "compress": "artifact",
    "curve": "sweeps",
    "datasets": "dataset",
    "fetch_dataset": "dataset",
    "grid": "sweeps",
    "load_dataset": "dataset",
    "measure": "measurement",
    "models": "training",
    "pareto_front": "front",
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
