"""Why no gain? What keeps a recipe's file from being smaller or faster, told from its own figures.

To add a cause, write a function ``(Case) -> Reason | None`` and name it at the foot of this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
import onnx

from paretoscope.artifact.kernel_times import KernelTimes
from paretoscope.artifact.quick_latency import Latency
from paretoscope.artifact.writing import may_fuse, may_fuse_any
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.activations import FloatActivations, Int8Activations
from paretoscope.methods.kernels import Folded, Fused
from paretoscope.methods.pruning import KeepUnits, UnitNorm
from paretoscope.methods.quantization import STORAGE, FixedPoint, Float32
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import Compensation, LeastSquares, NoRecovery, Recovery
from paretoscope.network.network import Network
from paretoscope.network.outline import Outline
from paretoscope.network.sketch import sketch_of

_SMALLER = 0.95  # of the uncompressed file: less is a gain
_MANY_ZEROS = 0.2
_UNTOUCHED = 0.3  # share of the uncompressed file from which parts outside all recipes are a cause
_CALL_DOMINATES = 0.05  # a row's time among 256, as a share of its time alone
_WASTED = 1.5  # bits stored for each bit that codes need, from which that is a cause
_WIDE = ("int16", "int32")  # codes of 8 bits and fewer are a gain, whatever their type
_MANY_BYTES = 0.2  # of the file, in layers of which that is so
_QS_TO_TRY = (8.0, 16.0, 32.0)
_UNITS_TO_TRY = (0.5, 0.25, 0.1)
_DROP = 0.01  # what a remedy may cost where the budget sets no limit on that
_FLOAT_BYTES = 4

About = Literal["size", "time"]


@dataclass(frozen=True)
class Reason:
    """One cause, with the figures that show it.

    Attributes
    ----------
    about : "size" or "time"
        What did not follow.
    cause : str
        Its name, such as "zeros in a dense file".
    figures : mapping from name to number or text
        What was measured, for the sentence.
    remedies : tuple of Recipe
        What may help, the one that saves most first. Each can cost any accuracy: `offered` tells
        which one is worth a try once they were computed.
    """

    about: About
    cause: str
    figures: Mapping[str, float | str]
    remedies: tuple[Recipe, ...] = ()


@dataclass(frozen=True, eq=False)
class Case:
    """A recipe's measurement, and that of the uncompressed network."""

    network: Network
    now: Measurement
    before: Measurement
    timing: Timing | None = None
    zipped: bool = False
    kernels: KernelTimes | None = None

    @property
    def recipe(self) -> Recipe:
        return self.now.recipe

    @property
    def no_smaller(self) -> bool:
        now, before = (shown_size(m, zipped=self.zipped) for m in (self.now, self.before))
        return now is not None and before is not None and now > _SMALLER * before

    @property
    def time(self) -> Latency | Timing | None:
        """The time of one row against the uncompressed network's: by protocol if it was taken."""
        return self.timing or self.now.latency()

    @property
    def ratio(self) -> float:
        return float("nan") if self.time is None else self.time.ratio

    @property
    def no_faster(self) -> bool:
        """Whether it was timed and is not faster with one row."""
        return self.time is not None and self.time.verdict != "faster"

    @property
    def inconclusive(self) -> bool:
        return self.time is not None and self.time.verdict == "inconclusive"

    @cached_property
    def untouched(self) -> Mapping[str, int]:
        if isinstance(self.network, Outline):  # to read it takes long, and weights are most of it
            return {}
        return untouched(self.network)

    @cached_property
    def fuses(self) -> bool:
        """Whether a layer's codes can be run by an integer kernel."""
        if isinstance(self.recipe.activations, Int8Activations):
            return False
        if not may_fuse_any(self.network):
            return False
        weights = self.network.weights
        return any(may_fuse(storage, weights[name]) for name, _, storage in self.now.bits)

    @property
    def call_share(self) -> float | None:
        """A row's time among 256, as a share of the time of a call with one; None: not timed."""
        one, many = self.now.latency(1), self.now.latency(256)
        if one is None or many is None:
            return None
        return many.median_us / 256 / one.median_us

    @property
    def call_dominates(self) -> bool:
        return self.call_share is not None and self.call_share < _CALL_DOMINATES


def shown_size(measurement: Measurement, *, zipped: bool) -> int | None:
    """Bytes of the zipped file, None where that is not known, or of the file on disk."""
    return measurement.gzip_bytes if zipped else measurement.size_bytes


def reasons(
    network: Network,
    now: Measurement,
    before: Measurement,
    timing: Timing | None = None,
    *,
    zipped: bool = False,
    kernels: KernelTimes | None = None,
) -> list[Reason]:
    """Why `now` is no smaller, or no faster, than `before`; empty where it is both.

    Parameters
    ----------
    network : Network
        The uncompressed network.
    now, before : Measurement
        Of the recipe's file and of the uncompressed one; what was not timed yet is not judged.
    timing : Timing, optional
        Of one row, by protocol; it takes the place of the quick figure.
    zipped : bool, default False
        Whether the size that matters is that of the zipped file, not of the file on disk.
    kernels : KernelTimes, optional
        How the network's codes run on this machine, where that was measured.
    """
    if now.recipe == Recipe():
        return []
    case = Case(network, now, before, timing, zipped, kernels)
    return [reason for cause in CAUSES if (reason := cause(case)) is not None]


def offered(
    reason: Reason,
    now: Measurement,
    budget: Budget,
    known: Callable[[Recipe], Measurement | None],
    *,
    zipped: bool = False,
) -> Measurement | None:
    """The first remedy that is known to lie within the budget, or None.

    Parameters
    ----------
    reason : Reason
    now : Measurement
        Of the recipe without the remedy; one against its size must be smaller.
    budget : Budget
        Where it sets no limit on the drop, a point is the limit.
    known : callable
        What is computed or measured of a recipe by now.
    zipped : bool, default False
        Which size is to be smaller, as for `reasons`.
    """
    limits = budget if budget.drop is not None else replace(budget, drop=_DROP)
    for remedy in reason.remedies:
        found = known(remedy)
        if remedy == now.recipe or found is None or not limits.allows(found):
            continue
        size, size_now = (shown_size(m, zipped=zipped) for m in (found, now))
        smaller = size is not None and size_now is not None and size < size_now
        if reason.about == "time" or smaller:
            return found
    return None


@lru_cache(maxsize=16)
def untouched(network: Network) -> Mapping[str, int]:
    """Bytes of the file by what no recipe touches: "trees", "float64 weights", "codes"."""
    found: dict[str, int] = {}

    def add(kind: str, n_bytes: int) -> None:
        if n_bytes:
            found[kind] = found.get(kind, 0) + n_bytes

    graph = _graph(network)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type.startswith("TreeEnsemble"):
            add("trees", node.ByteSize())
        elif node.op_type == "DequantizeLinear" and node.input[0] in tensors:
            add("codes", _nbytes(tensors[node.input[0]]))
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.DOUBLE and tensor.name not in network.shapes:
            add("float64 weights", _nbytes(tensor))
    return found


def _graph(network: Network) -> onnx.GraphProto:
    graph: onnx.GraphProto = onnx.load_model_from_string(network.onnx_bytes).graph
    return graph


def _nbytes(tensor: onnx.TensorProto) -> int:
    return int(onnx.numpy_helper.to_array(tensor).nbytes)


# --- size -------------------------------------------------------------------------------------


def zeros_in_a_dense_file(case: Case) -> Reason | None:
    """Weights were cut, but a dense file holds each zero like any other number."""
    zeros = case.now.sparsity
    quantized = not isinstance(case.recipe.quantizer, Float32)
    if case.zipped or not case.no_smaller or zeros < _MANY_ZEROS or quantized:
        return None  # zipped, zeros do pay
    figures: dict[str, float | str] = {"zeros": zeros, "size": case.now.size_bytes}
    if case.now.gzip_bytes is not None and case.before.gzip_bytes is not None:
        figures |= {"gzip": case.now.gzip_bytes, "gzip_before": case.before.gzip_bytes}
    plain = isinstance(case.recipe.activations, FloatActivations)
    return Reason("size", "zeros in a dense file", figures, _codes(case) if plain else ())


def wide_codes(case: Case) -> Reason | None:
    """Codes need a bit or few more than a narrower type holds, and are stored in the next one."""
    quantizer = case.recipe.quantizer
    if case.zipped or not isinstance(quantizer, FixedPoint) or quantizer.per != "tensor":
        return None  # zipped, bits that are always the same take little
    wide = [
        (name, bits, storage)
        for name, bits, storage in case.now.bits
        if storage in _WIDE and STORAGE[storage][0] > _WASTED * bits
    ]
    sizes = {name: math.prod(shape) for name, shape in case.network.shapes.items()}
    stored = sum(STORAGE[s][0] * sizes[n] / 8 for n, _, s in wide)
    if stored < _MANY_BYTES * case.now.size_bytes:
        return None
    _, bits, storage = max(wide, key=lambda one: sizes[one[0]])
    narrower = [s for s, (b, _, _) in STORAGE.items() if b < STORAGE[storage][0]][-1]
    figures: dict[str, float | str] = {
        "q": quantizer.q,
        "bits": bits,
        "storage": storage,
        "stored_bits": STORAGE[storage][0],
        "narrower": narrower,
        "size": case.now.size_bytes,
    }
    weights = sketch_of(case.network).weights
    largest = max(float(np.abs(weights[n]).max(initial=0)) for n, _, _ in wide)
    q = _largest_q(largest, STORAGE[narrower][2])
    return Reason("size", "codes wider than a type", figures, _codes(case, [q]))


def _codes(case: Case, qs: Sequence[float] = _QS_TO_TRY) -> tuple[Recipe, ...]:
    """The recipe with codes at some Q, each as it is and with compensation."""
    plain = [
        replace(case.recipe, quantizer=FixedPoint(q), activations=FloatActivations()) for q in qs
    ]
    return _with_recovery(plain, Compensation())


def _fewer_units(case: Case) -> tuple[Recipe, ...]:
    """The recipe with neurons or filters removed, each as it is and with the rest refitted."""
    if not isinstance(case.recipe.units, KeepUnits) or len(case.network.layers) < 2:
        return ()
    plain = [replace(case.recipe, units=UnitNorm(share)) for share in _UNITS_TO_TRY]
    return _with_recovery(plain, LeastSquares())


def _with_recovery(plain: Sequence[Recipe], recovery: Recovery) -> tuple[Recipe, ...]:
    if any(recipe.trains for recipe in plain):  # what trains is not computed unasked
        return ()
    if any(recipe.recovery != NoRecovery() for recipe in plain):
        return tuple(plain)
    return tuple(r for recipe in plain for r in (recipe, replace(recipe, recovery=recovery)))


def _largest_q(weight: float, code: int) -> float:
    """The largest Q, of three digits, at which no code of a weight is beyond `code`."""
    q = float(f"{(code + 0.49) / weight:.3g}")
    while round(weight * q) > code:
        q = float(f"{q * 0.995:.3g}")
    return q


def parts_no_recipe_touches(case: Case) -> Reason | None:
    """Trees, float64 weights or codes of another tool are copied as they are."""
    if not (case.no_smaller or case.no_faster) or not case.untouched:
        return None
    kind, n_bytes = max(case.untouched.items(), key=lambda item: item[1])
    if n_bytes < _UNTOUCHED * case.before.size_bytes or kind == "codes":
        return None
    figures: dict[str, float | str] = {
        "kind": kind, "bytes": n_bytes, "before": case.before.size_bytes
    }  # fmt: skip
    return Reason("size" if case.no_smaller else "time", kind, figures)


def more_graph_than_weights(case: Case) -> Reason | None:
    """The weights are a small part of the file; names and operators are the rest."""
    weights = case.network.n_weights * _FLOAT_BYTES
    if not case.no_smaller or (case.now.sparsity == 0 and _is_float(case.recipe)):
        return None
    half = 0.5 * case.before.size_bytes
    if weights > half or weights + sum(case.untouched.values()) > half:
        return None
    figures: dict[str, float | str] = {"weights": weights, "before": case.before.size_bytes}
    return Reason("size", "more graph than weights", figures)


def _is_float(recipe: Recipe) -> bool:
    return isinstance(recipe.quantizer, Float32)


# --- time -------------------------------------------------------------------------------------


def dequantizes_at_every_call(case: Case) -> Reason | None:
    """The model came with codes that are turned into floats in each call."""
    codes = case.untouched.get("codes", 0)
    if not codes or not (case.no_faster or case.no_smaller):
        return None
    n_nodes = sum(node.op_type == "DequantizeLinear" for node in _graph(case.network).node)
    figures: dict[str, float | str] = {"bytes": codes, "nodes": n_nodes}
    return Reason("time", "dequantizes at every call", figures)


def the_call_dominates(case: Case) -> Reason | None:
    """Most of a call with one row is the call itself."""
    one, many = case.now.latency(1), case.now.latency(256)
    if not case.no_faster or not case.call_dominates or one is None or many is None:
        return None
    if isinstance(case.recipe.activations, Int8Activations):
        return None
    figures: dict[str, float | str] = {"one": one.median_us, "among": many.median_us / 256}
    return Reason("time", "the call dominates", figures)


def integer_steps_cost_more(case: Case) -> Reason | None:
    """8-bit activations bring operators that round between the layers."""
    if not case.no_faster or not isinstance(case.recipe.activations, Int8Activations):
        return None
    return Reason("time", "integer steps cost more", {"ratio": case.ratio}, _codes(case))


def zeros_are_multiplied(case: Case) -> Reason | None:
    """The runtime multiplies by zeros as by any other number."""
    if not case.no_faster or case.call_dominates or case.call_share is None:
        return None
    if case.now.sparsity < _MANY_ZEROS or case.inconclusive:
        return None
    figures: dict[str, float | str] = {"zeros": case.now.sparsity, "ratio": case.ratio}
    return Reason("time", "zeros are multiplied", figures, _fewer_units(case))


def integers_cost(case: Case) -> Reason | None:
    """Integer kernels are slower than float32 on this processor, for some numbers of rows."""
    if case.kernels is None or not case.fuses or case.recipe.kernel != Fused():
        return None
    if all(t.verdict != "slower" for t in case.kernels.fused):
        return None
    return Reason("time", "integers cost", _ratios(case), (replace(case.recipe, kernel=Folded()),))


def integers_would_pay(case: Case) -> Reason | None:
    """Integer kernels would be faster on this processor, for some numbers of rows."""
    if case.kernels is None or not case.fuses or case.recipe.kernel != Folded():
        return None
    if all(t.verdict != "faster" for t in case.kernels.fused):
        return None
    remedy = replace(case.recipe, kernel=Fused())
    return Reason("time", "integers would pay", _ratios(case), (remedy,))


def _ratios(case: Case) -> dict[str, float | str]:
    assert case.kernels is not None
    found: dict[str, float | str] = {f"batch{t.batch}": t.ratio for t in case.kernels.fused}
    return found | {"processor": case.kernels.processor}


def codes_run_as_floats(case: Case) -> Reason | None:
    """Codes are unpacked when the file is loaded, and each call runs floats."""
    if not case.no_faster or case.call_dominates or case.call_share is None or case.inconclusive:
        return None
    coded = [(n, bits, s) for n, bits, s in case.now.bits if s != "float32"]
    if not coded or isinstance(case.recipe.activations, Int8Activations) or case.fuses:
        return None
    _, bits, storage = max(coded, key=lambda one: math.prod(case.network.shapes[one[0]]))
    figures: dict[str, float | str] = {"bits": bits, "storage": storage, "ratio": case.ratio}
    fusing = may_fuse_any(case.network) and case.recipe.kernel == Fused()
    remedies = _codes(case) if fusing else _fewer_units(case)
    return Reason("time", "codes run as floats", figures, remedies)


def too_noisy_to_tell(case: Case) -> Reason | None:
    """The interval is too wide."""
    if case.time is None or not case.inconclusive or case.call_dominates:
        return None
    low, high = case.time.ratio_interval
    how = "quick" if case.timing is None else "by protocol"
    return Reason("time", "too noisy to tell", {"low": low, "high": high, "how": how})


CAUSES: tuple[Callable[[Case], Reason | None], ...] = (
    zeros_in_a_dense_file,
    wide_codes,
    parts_no_recipe_touches,
    more_graph_than_weights,
    dequantizes_at_every_call,
    the_call_dominates,
    integer_steps_cost_more,
    zeros_are_multiplied,
    integers_cost,
    integers_would_pay,
    codes_run_as_floats,
    too_noisy_to_tell,
)
