"""Mutated models and tables: nothing but a `ParetoscopeError`, and the parent goes on."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from hypothesis import strategies as st
from paretoscope.artifact.artifact import Sizes, make_draft
from paretoscope.base.errors import ParetoscopeError
from paretoscope.methods.recipe import Recipe
from paretoscope.network.in_place import OURS, InPlace
from paretoscope.network.signature import KEY, Feed, Signature
from paretoscope.sandbox.sandbox import Limits, Sandbox, SandboxError
from paretoscope.uploads.csvs import read_csv
from paretoscope.uploads.gate import admit
from paretoscope.uploads.importing import to_chain
from paretoscope.uploads.labelled import with_label
from paretoscope.uploads.models import Model, described, stated_width, widths_to_try
from paretoscope.uploads.preparing import prepare
from paretoscope.uploads.rewrites import REWRITES

from tests import graphs
from tests.uploads.cases import FOLDER, cases

LIMITS = Limits(memory_mb=2048, processor_s=60, wall_s=5)
SEED = 20261125


def seeds() -> list[bytes]:
    """Small models that pass, of many kinds."""
    found = [c.data for c in cases("onnx") if c.group == "awkward" and len(c.data) < 5_000]
    found += [c.data for c in cases("onnx") if c.name[:3] in ("h13", "h15", "h18", "h21", "h22")]
    graphs.restart()
    found += [graphs.mobile(), graphs.residual(), graphs.channels_last(), graphs.averaging()]
    return [*found, (FOLDER / "models" / "logreg_iris.onnx").read_bytes()]


def mutants(originals: Sequence[bytes], n: int, seed: int = SEED) -> Iterator[bytes]:
    """Models with a few changes each: of bytes, or of fields of the graph."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        original = originals[rng.integers(len(originals))]
        yield _bytes(original, rng) if rng.random() < 0.4 else _fields(original, rng)


def _bytes(original: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(original)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(data)))
        kind = rng.integers(3)
        if kind == 0:
            data[place] = int(rng.integers(256))
        elif kind == 1:
            del data[place : place + int(rng.integers(1, 9))]
        else:
            data[place:place] = data[place : place + int(rng.integers(1, 9))]
        if not data:
            return b""
    return bytes(data)


def _fields(original: bytes, rng: np.random.Generator) -> bytes:
    model = onnx.load_model_from_string(original)
    graph = model.graph
    names = [*(v.name for v in graph.input), *(t.name for t in graph.initializer)]
    names += [name for node in graph.node for name in node.output] + ["", "nowhere"]
    operators = ["Sum", "Einsum", "Loop", "Max", "Softmax", "Resize", *REWRITES]
    for _ in range(rng.integers(1, 4)):
        kind, node = rng.integers(7), graph.node[rng.integers(len(graph.node))]
        if kind == 0 and node.input:
            node.input[rng.integers(len(node.input))] = str(rng.choice(names))
        elif kind == 1:
            node.op_type = str(rng.choice(operators))
        elif kind == 2 and node.attribute:
            attribute = node.attribute[rng.integers(len(node.attribute))]
            attribute.i = int(rng.choice([-1, 0, 1, 2, 2**31, -(2**62)]))
        elif kind == 3 and graph.initializer:
            tensor = graph.initializer[rng.integers(len(graph.initializer))]
            if tensor.dims:
                tensor.dims[rng.integers(len(tensor.dims))] = int(rng.choice([0, 1, 3, 2**40, -1]))
        elif kind == 4 and graph.initializer:
            tensor = graph.initializer[rng.integers(len(graph.initializer))]
            tensor.data_type = int(rng.integers(0, 25))
        elif kind == 5:
            graph.node.append(node)
        else:
            model.opset_import[0].version = int(rng.integers(1, 30))
    return model.SerializeToString()


def run(models: Iterator[bytes], *, in_place: bool = False) -> Counter[str]:
    """Judge models, many to a sandbox; how each ended. What is no `ParetoscopeError` is raised.
    With `in_place`, their weights are coded where they stand, too, and the files run."""
    ends: Counter[str] = Counter()
    sandbox = Sandbox(LIMITS)
    try:
        for data in models:
            try:
                passed = admit(data)
                inputs = [described(i) for i in passed.inputs]
                told = sandbox.run(
                    "try", [data], {"inputs": inputs, "widths": widths_to_try(passed)}
                )
                ends["ran"] += 1
                width = stated_width(passed) or told["width"]
                model = Model(
                    onnx_bytes=data,
                    passed=passed,
                    outputs=tuple(told["outputs"]),
                    output=None,
                    width=width,
                    widths=(),
                    batch=None,
                    stated=None,
                    corrected=False,
                    notes=(),
                    brought=Sizes(data),
                )
                with contextlib.suppress(ParetoscopeError), np.errstate(all="ignore"):
                    network = to_chain(model)
                    network.scores(np.zeros((2, network.n_features), np.float32))
                if not in_place:
                    continue
                with contextlib.suppress(ParetoscopeError), np.errstate(all="ignore"):
                    made = coded(model)
                    ends["coded"] += 1
                    asked = {"inputs": inputs, "widths": widths_to_try(passed)}
                    sandbox.run("try", [made], asked)
                    ends["its file ran"] += 1
                if not sandbox.alive:
                    sandbox.close()
                    sandbox = Sandbox(LIMITS)
            except SandboxError as error:
                ends["stopped"] += "crashed" not in str(error)
                ends["crashed"] += "crashed" in str(error)
                sandbox.close()
                sandbox = Sandbox(LIMITS)
            except ParetoscopeError:
                ends["refused"] += 1
    finally:
        sandbox.close()
    return ends


def coded(model: Model) -> bytes:
    """The file of a model whose weights are coded where they stand; not yet checked."""
    proto = onnx.load_model_from_string(prepare(model).onnx_bytes)
    entry = proto.metadata_props.add()
    entry.key, entry.value = OURS + KEY, Signature((Feed("x", "float", (1,)),), "y", 1).to_text()
    network = InPlace(proto.SerializeToString())
    return make_draft(network, Recipe.parse("symmetric(8,per=output)"), None).onnx_bytes


def reads_or_refuses(data: bytes) -> None:
    """A table, or a `ParetoscopeError`."""
    with contextlib.suppress(ParetoscopeError):
        with_label(read_csv(data))


def admits_or_refuses(data: bytes) -> None:
    """A model that passes, or a `ParetoscopeError`."""
    with contextlib.suppress(ParetoscopeError):
        admit(data)


CELLS = st.one_of(
    st.floats().map(str), st.text(max_size=6), st.integers().map(str), st.sampled_from(["", "NA"])
)
TABLES = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=400).map(str.encode),
    st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=12).map(
        lambda rows: "\n".join(",".join(row) for row in rows).encode()
    ),
)
MODELS = st.one_of(st.binary(max_size=400), st.binary(max_size=200).map(lambda b: b"\x08\x09:" + b))
