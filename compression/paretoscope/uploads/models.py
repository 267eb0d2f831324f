"""Uploaded ONNX models: what a model is once it passed the gate and ran, and how to run it on rows.

Nothing here makes the server run a graph: each run is a job of the sandbox.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from paretoscope.artifact.artifact import Sizes
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.wording import counted
from paretoscope.sandbox.sandbox import Limits, Sandbox, limits_hold
from paretoscope.uploads.gate import (
    Input,
    Passed,
    admit,
    in_order,
    inputs_of,
    plain_label,
    shown,
)

_FLOATS = ("float", "double", "float16")
_QUANTIZED = ("QLinearMatMul", "QLinearConv", "MatMulInteger", "ConvInteger", "QGemm")
_PROBABILITIES = ("Sigmoid", "Softmax", "HardSigmoid")
_WIDTHS_TRIED = 12
OR_A_REGRESSION = "; or it is a regression: a table beside it tells"
_SAME_NUMBERS = ("Identity", "Cast", "Dropout", "Squeeze", "Unsqueeze", "Reshape", "Flatten")
_LARGEST = {"float16": 65504.0}


@dataclass(frozen=True, eq=False)
class Model:
    """A model that passed the gate and ran in the sandbox.

    Attributes
    ----------
    onnx_bytes : bytes
        As it runs: names of nodes told apart, a wrong stated shape left open where that was asked.
    passed : Passed
    outputs : tuple of dict
        Name, type and shape of what two rows gave.
    output : str or None
        The output that was chosen to judge by; by default labels, else the first scores.
    width : int or None
        Features of a row; None where the inputs are no table.
    widths : tuple of int
        Features that each input takes of a row, in order; of several inputs.
    batch : int or None
        Rows that each call must have.
    stated : int or None
        Features that its input states where its weights take another number.
    corrected : bool
        Whether that was left open, so that `width` is what the weights take.
    notes : tuple of str
    brought : Sizes
        Of the file as it came.
    cut : float or None
        What tells two classes apart by one number, where a person chose it.
    side : int or None
        Of its inputs, where they leave sides open: one that it ran with.
    """

    onnx_bytes: bytes
    passed: Passed
    outputs: tuple[dict[str, object], ...]
    output: str | None
    width: int | None
    widths: tuple[int, ...]
    batch: int | None
    stated: int | None
    corrected: bool
    notes: tuple[str, ...]
    brought: Sizes
    cut: float | None = None
    side: int | None = None

    @property
    def is_one_number(self) -> bool:
        """Whether the output to judge by is one number a row: a score of two classes, or a
        regression."""
        output = self.outputs[judged_output(self)]
        kind, shape = str(output["type"]), output["shape"]
        if not kind.startswith("float") or not isinstance(shape, list):
            return False
        return math.prod(shape[1:]) == 1


def read_model(
    data: bytes,
    *,
    correct_shape: bool = False,
    output: str | None = None,
    cut: float | None = None,
    limits: Limits | None = None,
) -> Model:
    """Let a model pass the gate, and run it in the sandbox on two rows, or on one where it takes
    one at a time.

    Parameters
    ----------
    data : bytes
    correct_shape : bool, default False
        Leave the number of features open where the stated one is not what the weights take.
    output : str, optional
        The output to judge by, where there are several.
    cut : float, optional
        What tells two classes apart where the output is one number: by default 0.5 behind Sigmoid
        or Softmax, and 0 elsewhere.
    limits : Limits, optional

    Raises
    ------
    ParetoscopeError
        It is refused, or there is no such output.
    """
    passed = admit(data)
    notes: list[str] = []
    edited = onnx.ModelProto()
    edited.CopyFrom(passed.model)
    _tell_names_apart(edited, notes)
    wanted, stated = features_of_weights(passed), stated_width(passed)
    differs = wanted is not None and stated is not None and wanted != stated
    if stated is not None and differs:
        notes.append(
            f"its input states {counted(stated, 'feature')}, but its weights take {wanted}: "
            + ("the stated number was corrected" if correct_shape else "the stated number is wrong")
        )
        if correct_shape:
            _open_shapes(edited)
    run = edited.SerializeToString()
    inputs = admit(run).inputs
    with Sandbox(limits) as sandbox:
        tried = sandbox.run(
            "try",
            [run],
            {"inputs": [described(i) for i in inputs], "widths": widths_to_try(passed)},
        )
    outputs = tuple(tried["outputs"])
    if output is not None and output not in [o["name"] for o in outputs]:
        known = ", ".join(shown(str(o["name"])) for o in outputs)
        raise ParetoscopeError(f"there is no output '{shown(output)}'; there are {known}")
    batch = None if differs and correct_shape else _fixed_batch(passed)
    if tried["rows"] == 1 and batch is None:
        batch = 1
        notes.append("it leaves the number of rows open, and takes but one at a time")
    notes += _notes(passed, outputs, output, batch, cut)
    if not limits_hold():
        notes.append("this system cannot hold the model to limits of memory and processor time")
    corrected = differs and correct_shape
    width = wanted if corrected else (stated or _tried_width(passed, tried["width"]))
    widths = tuple(map(_width_of, passed.inputs)) if len(passed.inputs) > 1 else ()
    return Model(
        onnx_bytes=run,
        passed=passed,
        outputs=outputs,
        output=output,
        width=sum(widths) or width,
        widths=widths,
        batch=batch,
        stated=stated if differs else None,
        corrected=corrected,
        notes=tuple(notes),
        brought=Sizes(data),
        cut=cut,
        side=tried["width"],
    )


def _width_of(given: Input) -> int:
    """Features of a row that one of several inputs takes; one where it does not say."""
    return math.prod(side or 1 for side in (given.shape or ())[1:])


def described(given: Input) -> dict[str, object]:
    """An input as the sandbox is told of it."""
    return {"name": given.name, "type": given.type, "shape": given.shape}


def _tell_names_apart(model: onnx.ModelProto, notes: list[str]) -> None:
    """ONNX Runtime refuses nodes of the same name, which are legal."""
    counts = Counter(node.name for node in model.graph.node if node.name)
    again = [name for name, n in counts.items() if n > 1]
    if again:
        for place, node in enumerate(model.graph.node):
            node.name = f"node {place}"
        notes.append(f"several nodes are named '{shown(again[0])}': they were given other names")


def _open_shapes(model: onnx.ModelProto) -> None:
    for value in inputs_of(model.graph):
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("value")
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


def stated_width(passed: Passed) -> int | None:
    """Features of a row as the one input states them."""
    if len(passed.inputs) != 1 or passed.inputs[0].shape is None:
        return None
    dims = passed.inputs[0].shape[1:]
    return None if not dims or None in dims else math.prod(d for d in dims if d)


def _tried_width(passed: Passed, side: int | None) -> int | None:
    """Features of a row where a side that was left open ran with a number: of images, any that
    fills them."""
    shape = passed.inputs[0].shape
    return None if shape is not None and len(shape) > 2 else side


def features_of_weights(passed: Passed) -> int | None:
    """Features of a row that the first node takes, where its weights say so."""
    if len(passed.inputs) != 1:
        return None
    graph, name = passed.model.graph, passed.inputs[0].name
    arrays = {t.name: t for t in graph.initializer}
    node = next((n for n in graph.node if name in n.input), None)
    if node is None:
        return None
    attributes = {a.name: a for a in node.attribute}
    if node.op_type in ("LinearClassifier", "LinearRegressor") and "coefficients" in attributes:
        n_rows = len(attributes["intercepts"].floats) if "intercepts" in attributes else 0
        n = len(attributes["coefficients"].floats)
        return n // n_rows if n_rows and n % n_rows == 0 else None
    if node.op_type == "Scaler" and "scale" in attributes:
        n = len(attributes["scale"].floats)
        return n if n > 1 else None
    if node.op_type in ("MatMul", "Gemm") and len(node.input) > 1 and node.input[1] in arrays:
        dims = arrays[node.input[1]].dims
        turned = node.op_type == "Gemm" and "transB" in attributes and attributes["transB"].i
        return int(dims[1] if turned else dims[0]) if len(dims) == 2 else None
    return None


def widths_to_try(passed: Passed) -> list[int]:
    """Numbers of features to try where the shape leaves them open."""
    if all(i.shape is not None and None not in i.shape[1:] for i in passed.inputs):
        return []
    tensors = [t for t in passed.model.graph.initializer if len(t.dims) == 2]
    sides = [int(side) for t in tensors for side in t.dims if 0 < side < 10_000]
    wanted = features_of_weights(passed)
    tried = dict.fromkeys([*([wanted] if wanted else []), *sides, 4, 1, 32, 224])
    return list(tried)[:_WIDTHS_TRIED]


def _fixed_batch(passed: Passed) -> int | None:
    """Rows that each call must have. A stated one is taken for a hint."""
    firsts = {i.shape[0] for i in passed.inputs if i.shape}
    return next(iter(firsts)) if len(firsts) == 1 and None not in firsts else None


def _notes(
    passed: Passed,
    outputs: Sequence[dict[str, object]],
    output: str | None,
    batch: int | None,
    cut: float | None,
) -> list[str]:
    notes = []
    if batch is not None and batch > 1:
        notes.append(f"each call takes {batch} rows: the last call is filled up, and cut again")
    types = {i.type for i in passed.inputs}
    for kind in sorted(types - {"float"}):
        limit = f" (at most {_LARGEST[kind]:,.0f})" if kind in _LARGEST else ""
        notes.append(f"inputs are turned into {kind}{limit}")
    if len(passed.inputs) > 1:
        notes.append(
            f"{len(passed.inputs)} inputs: columns are matched to them by name, then by order"
        )
    image = next((i for i in passed.inputs if i.shape and len(i.shape) > 2), None)
    if image is not None and image.shape is not None:
        dims = " × ".join("?" if d is None else str(d) for d in image.shape[1:])
        notes.append(f"the columns of a row are laid out as {dims}")
    if any(i.shape is None for i in passed.inputs):
        notes.append(
            "the shape of the input is not stated: it takes as many columns as it runs with"
        )
    notes += _notes_on_outputs(
        passed.model.graph, [o for o in outputs if output in (None, o["name"])], cut
    )
    notes += _notes_on_weights(passed)
    hidden = {v.name for v in passed.model.graph.input} - {i.name for i in passed.inputs}
    if hidden:
        notes.append("its weights are listed as inputs too: they are not asked for")
    return notes


def _notes_on_outputs(
    graph: onnx.GraphProto, outputs: Sequence[dict[str, object]], cut: float | None
) -> list[str]:
    kinds = [str(o["type"]) for o in outputs]
    notes = []
    if len(outputs) > 1:
        notes.append(f"{len(outputs)} outputs: choose the one that holds scores")
    elif kinds[0] == "map":
        notes.append("the output is a probability for each label")
    elif kinds[0].startswith(("int", "uint", "string")):
        notes.append("the output is labels only: there are no scores")
    else:
        shape = outputs[0]["shape"]
        assert isinstance(shape, list)
        if math.prod(shape[1:]) == 1:
            notes.append(_one_number(graph, str(outputs[0]["name"]), cut))
    if any(o.get("finite") is False for o in outputs):
        notes.append("outputs are not finite numbers on rows between 0 and 1")
    return notes


def _one_number(graph: onnx.GraphProto, output: str, cut: float | None) -> str:
    """What is assumed of one number a row, and why."""
    if cut is not None:
        return f"the output is one number a row: two classes, told apart at {cut:g} as chosen"
    if is_probability(graph, output):
        return "the output is one number a row, a probability: two classes, told apart at 0.5"
    return (
        "the output is one number a row: two classes, told apart at 0, for no Sigmoid or Softmax "
        f"makes it a probability{OR_A_REGRESSION}"
    )


def _notes_on_weights(passed: Passed) -> list[str]:
    graph, operators = passed.model.graph, passed.operators
    notes = []
    kinds = {t.name: t.data_type for t in graph.initializer}
    kinds |= {
        node.output[0]: a.t.data_type
        for node in graph.node
        if node.op_type == "Constant"
        for a in node.attribute
        if a.HasField("t")
    }
    held = [
        kinds[n.input[0]]
        for n in graph.node
        if n.op_type in ("QuantizeLinear", "DequantizeLinear") and n.input[0] in kinds
    ]
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    if any(name in operators for name in _QUANTIZED) or any(kind not in floats for kind in held):
        notes.append("the model is already quantized: there is nothing left to do for its codes")
    elif any(kind in floats for kind in held):
        notes.append(
            "its weights are floats that are rounded at each call (fake-quantized): stored as the "
            "whole numbers that they stand for they are about a quarter as large"
        )
    if any(name.startswith("TreeEnsemble") for name in operators):
        notes.append("it holds trees, which have no weights: no recipe changes them")
    used = Counter(name for node in graph.node for name in node.input)
    used.update(v.name for v in graph.output)
    inner = {n for node in graph.node for a in node.attribute for n in _names_within(a)}
    unused = [t for t in graph.initializer if not used[t.name] and t.name not in inner]
    if unused:
        n_bytes = sum(t.ByteSize() for t in unused)
        notes.append(f"{n_bytes:,} bytes of weights are never used: they can go")
    shared = [t.name for t in graph.initializer if used[t.name] > 1 and math.prod(t.dims) > 1]
    if shared:
        notes.append(f"'{shown(shared[0])}' is used more than once: it is compressed once")
    for tensor in graph.initializer:
        kind = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        if kind not in _FLOATS:
            continue
        values: npt.NDArray[np.generic] = numpy_helper.to_array(tensor)
        for n, what in (
            (int(np.isnan(values).sum()), "is NaN: the accuracy has no meaning"),
            (int(np.isinf(values).sum()), "is infinite: it cannot be quantized"),
        ):
            if n:
                notes.append(f"{n} of {values.size:,} weights in '{shown(tensor.name)}' {what}")
    return notes


def _names_within(attribute: onnx.AttributeProto) -> set[str]:
    graphs = [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
    found = {name for graph in graphs for node in graph.node for name in node.input}
    for graph in graphs:
        for node in graph.node:
            for inner in node.attribute:
                found |= _names_within(inner)
    return found


def predict(model: Model, values: npt.NDArray[np.float64]) -> dict[str, list[str]]:
    """Run a model on rows (n, features) in the sandbox: "labels", or places of the largest score,
    as text; and "not_finite", how many rows had scores that are no finite numbers."""
    answer = _run(model, values, numbers=False)
    labels = [plain_label(str(label)) for label in answer["labels"]]
    return {"labels": labels, "not_finite": answer["not_finite"]}


def predict_numbers(model: Model, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Run a model on rows (n, features) in the sandbox: its outputs themselves, (n, outputs)."""
    answer = _run(model, values, numbers=True)
    if "bytes" not in answer:
        raise ParetoscopeError("the model gives labels or maps, not numbers")
    found = np.frombuffer(answer["bytes"], np.float64)
    return found.reshape(len(values), int(answer["n_numbers"]))


def _run(model: Model, values: npt.NDArray[np.float64], *, numbers: bool) -> dict[str, Any]:
    inputs, parts, given = model.passed.inputs, [], []
    widths = model.widths or (values.shape[1],)
    start = 0
    for one, width in zip(inputs, widths, strict=True):
        column, start = values[:, start : start + width], start + width
        # A corrected shape is that of a table.
        sides = column.shape[1:] if model.corrected else one.row(column.shape[1])
        shape = [len(column), *sides]
        parts.append(np.ascontiguousarray(column, np.float64).tobytes())
        given.append({"name": one.name, "type": one.type, "shape": shape})
    arguments = {
        "inputs": given,
        "output": judged_output(model),
        "batch": model.batch,
        "above": _cut(model),
        "numbers": numbers,
    }
    with Sandbox() as sandbox:
        return sandbox.run("predict", [model.onnx_bytes, *parts], arguments)


def judged_output(model: Model) -> int:
    """The place of the output to judge by: the one chosen, else labels, else the first scores."""
    if model.output is not None:
        return [o["name"] for o in model.outputs].index(model.output)
    kinds = [str(o["type"]) for o in model.outputs]
    labels = [place for place, kind in enumerate(kinds) if kind.startswith(("int", "string"))]
    scores = [
        place for place, kind in enumerate(kinds) if kind.startswith("float") or kind == "map"
    ]
    return (labels or scores or [0])[0]


def gives_places(model: Model) -> bool:
    """Whether a prediction is the place of the largest score, and no label of the model's own."""
    return str(model.outputs[judged_output(model)]["type"]).startswith("float")


def _cut(model: Model) -> float:
    """What tells two classes apart by one number."""
    output = str(model.outputs[judged_output(model)]["name"])
    assumed = 0.5 if is_probability(model.passed.model.graph, output) else 0.0
    return assumed if model.cut is None else model.cut


def is_probability(graph: onnx.GraphProto, output: str) -> bool:
    """Whether Sigmoid or Softmax makes an output, or one of scikit-learn's classifiers does."""
    makers = {name: node for node in graph.node for name in node.output}
    while output in makers and makers[output].op_type in _SAME_NUMBERS:
        output = makers[output].input[0]
    if output not in makers:
        return False
    node = makers[output]
    after = next((a.s for a in node.attribute if a.name == "post_transform"), b"NONE")
    return node.op_type in _PROBABILITIES or (
        node.domain == "ai.onnx.ml"
        and (after not in (b"", b"NONE") or node.op_type == "TreeEnsembleClassifier")
    )


def own_classes(model: Model, labels: Sequence[str], n: int) -> list[str]:
    """What a model itself calls its `n` classes, in the order of its scores: their places, what its
    file says, or, where it gave each of them, the labels that it gave in order.

    Raises
    ------
    ParetoscopeError
        The labels are of other classes.
    """
    counted = [str(place) for place in range(n)]
    written = written_classes(model)
    seen = set(labels)
    if gives_places(model):
        return counted
    if len(written) == n:
        return written
    if seen <= set(counted):
        return counted
    if len(seen) == n:
        return sorted(seen, key=in_order)
    raise ParetoscopeError(
        f"{n} names were given for the model's classes, and it says "
        f"{', '.join(repr(shown(label)) for label in sorted(seen)[:5])}"
    )


def written_classes(model: Model) -> list[str]:
    """The names of classes that an operator of scikit-learn's models holds."""
    for node in model.passed.model.graph.node:
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels_"):
                found = [
                    *attribute.ints,
                    *(text.decode("utf-8", "replace") for text in attribute.strings),
                ]
                return [plain_label(str(label)) for label in found]
    return []
