"""The gate: reads an ONNX file's structure and refuses what could do harm. It runs nothing of it.

Refused are other files' data, operators of unknown domains, nesting and functions that unpack into
more than a model needs, weights that do not hold what they declare, names that nothing makes, and
shapes of nodes that are known to crash the runtime. What passes still runs only in the sandbox.

Not `onnx.checker`: it refuses legal models without shapes, and passes external data and nodes that
crash. To add a rule, write ``(Graph) -> None`` that raises, and name it at the foot of this file.
"""

from __future__ import annotations

import heapq
import math
import unicodedata
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from paretoscope.base.errors import ParetoscopeError
from paretoscope.uploads.kinds import require

MOST_NODES = 20_000
MOST_DEPTH = 8
MOST_DIMENSIONS = 64  # so that their product is a number and no work
MOST_VALUES_A_ROW = 2**24
MOST_VALUES = 2**28  # of one weight: 1 GB of float32
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
_ALL_INPUTS_NEEDED = ("Max", "Min", "Sum", "Mean", "Einsum", "Concat", "And", "Or", "Xor")
_NUMBERS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
    onnx.TensorProto.INT8,
    onnx.TensorProto.INT16,
    onnx.TensorProto.INT32,
    onnx.TensorProto.INT64,
    onnx.TensorProto.UINT8,
    onnx.TensorProto.UINT16,
    onnx.TensorProto.UINT32,
    onnx.TensorProto.UINT64,
    onnx.TensorProto.BOOL,
)
_BITS: Mapping[int, int] = {
    onnx.TensorProto.DOUBLE: 64,
    onnx.TensorProto.INT64: 64,
    onnx.TensorProto.UINT64: 64,
    onnx.TensorProto.COMPLEX64: 64,
    onnx.TensorProto.COMPLEX128: 128,
    onnx.TensorProto.FLOAT: 32,
    onnx.TensorProto.INT32: 32,
    onnx.TensorProto.UINT32: 32,
    onnx.TensorProto.FLOAT16: 16,
    onnx.TensorProto.BFLOAT16: 16,
    onnx.TensorProto.INT16: 16,
    onnx.TensorProto.UINT16: 16,
    onnx.TensorProto.INT4: 4,
    onnx.TensorProto.UINT4: 4,
}  # all other numbers take 8, or 2 bits with the newest types, which raw data then say


@dataclass(frozen=True)
class Input:
    """One input: its name, type ("float", "string") and dimensions; None where one is not stated,
    and no tuple where not even their number is."""

    name: str
    type: str
    shape: tuple[int | None, ...] | None

    def row(self, n: int) -> tuple[int, ...]:
        """The sides of one row of `n` numbers: (n,), those of an image, whose open sides are alike,
        or none where a row is one number.

        Raises
        ------
        ParetoscopeError
            The numbers do not fill such an image.
        """
        if self.shape is None or len(self.shape) < 3:
            return () if self.shape is not None and len(self.shape) == 1 and n == 1 else (n,)
        stated = math.prod(side for side in self.shape[1:] if side)
        n_open = self.shape[1:].count(None)
        side = round((n / max(1, stated)) ** (1 / max(1, n_open)))
        found = tuple(side if given is None else given for given in self.shape[1:])
        if math.prod(found) != n:
            dims = " × ".join("?" if given is None else str(given) for given in self.shape[1:])
            alike = ", open sides being alike" if n_open else ""
            raise ParetoscopeError(
                f"the {n:,} columns of a row cannot be laid out as {dims}{alike}"
            )
        return found


@dataclass(frozen=True, eq=False)
class Passed:
    """A model that passed, and what its structure says."""

    model: onnx.ModelProto = field(repr=False)
    inputs: tuple[Input, ...]
    outputs: tuple[Input, ...]
    opset: int
    operators: Mapping[str, int]

    @cached_property
    def n_weights(self) -> int:
        """Numbers in all tensors of the graph, however they are held."""
        return sum(math.prod(t.dims) for t, _ in _tensors(self.model.graph))


def shown(text: str) -> str:
    """A name of unknown origin as plain text: without control and direction characters, not long.

    >>> shown("a\\n\\u202eb")
    'a\\\\x0a\\\\u202eb'
    """
    parts = []
    for c in text[:60]:
        hidden = unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
        parts.append((f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}") if hidden else c)
    return "".join(parts) + ("…" if len(text) > 60 else "")


def admit(data: bytes) -> Passed:
    """Let an ONNX file pass, or say in one sentence why not.

    Raises
    ------
    ParetoscopeError
        The only error there is, whatever the bytes.
    """
    require(data, ("other",), "an ONNX model")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError, RecursionError):
        raise ParetoscopeError(
            "this is not an ONNX model, or the file is cut short: it cannot be parsed"
        ) from None
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise ParetoscopeError("the model has no graph")
    try:
        _put_in_order(model.graph)
        for rule in RULES:
            rule(model)
        passed = Passed(
            model,
            tuple(map(_input, inputs_of(model.graph))),
            tuple(map(_input, model.graph.output)),
            next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1),
            _operators(model),
        )
    except ParetoscopeError:
        raise
    except Exception as error:  # a rule met what nobody thought of: that is no reason to let it in
        raise ParetoscopeError(
            f"the model's structure cannot be read ({type(error).__name__})"
        ) from error
    return passed


def _put_in_order(graph: onnx.GraphProto) -> None:
    """Sort nodes that are used before they are made, which ONNX forbids and ONNX Runtime takes.
    What goes in a circle stays as it is, for a rule to refuse."""
    makers = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    needs = [{makers[n] for n in _used_by(node) if n in makers} for node in graph.node]
    if all(not found or max(found) < i for i, found in enumerate(needs)):
        return
    users: list[list[int]] = [[] for _ in needs]
    for i, found in enumerate(needs):
        for maker in found:
            users[maker].append(i)
    left = [len(found) for found in needs]
    ready = [i for i, n in enumerate(left) if n == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for user in users[i]:
            left[user] -= 1
            if left[user] == 0:
                heapq.heappush(ready, user)
    if len(order) == len(needs):
        nodes = [graph.node[i] for i in order]
        sorted_ = onnx.GraphProto()
        sorted_.node.extend(nodes)
        del graph.node[:]
        graph.node.extend(sorted_.node)


def _used_by(node: onnx.NodeProto, depth: int = 1) -> Iterator[str]:
    """The names that a node uses, also within its graphs; nesting has a rule of its own."""
    yield from node.input
    if depth <= MOST_DEPTH:
        for graph, _ in _direct(node):
            for inner in graph.node:
                yield from _used_by(inner, depth + 1)


def inputs_of(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller feeds: those that are no weights."""
    weights = {t.name for t in graph.initializer}
    weights |= {t.values.name for t in graph.sparse_initializer}
    return [value for value in graph.input if value.name not in weights]


def _input(value: onnx.ValueInfoProto) -> Input:
    tensor = value.type.tensor_type
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    if not tensor.HasField("shape"):
        return Input(value.name, kind, None)
    dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    return Input(value.name, kind, tuple(d if d is None or d > 0 else None for d in dims))


# --- walking through a model ----------------------------------------------------------------------


def _graphs(graph: onnx.GraphProto, depth: int = 1) -> Iterator[tuple[onnx.GraphProto, int]]:
    """A graph and those within its nodes, with their depth; refuses to go deeper than is sane."""
    if depth > MOST_DEPTH:
        raise ParetoscopeError(f"subgraphs are nested more than {MOST_DEPTH} deep")
    yield graph, depth
    for node in graph.node:
        yield from _inner(node, depth)


def _inner(node: onnx.NodeProto, depth: int) -> Iterator[tuple[onnx.GraphProto, int]]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield from _graphs(attribute.g, depth + 1)
        for graph in attribute.graphs:
            yield from _graphs(graph, depth + 1)


def _every_graph(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """All graphs: the model's own, those within, those of functions and of training."""
    yield from (graph for graph, _ in _graphs(model.graph))
    for info in model.training_info:
        for graph in (info.initialization, info.algorithm):
            yield from (inner for inner, _ in _graphs(graph))
    for function in model.functions:
        for node in function.node:
            yield from (graph for graph, _ in _inner(node, 1))


def _every_node(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for graph in _every_graph(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def _tensors(graph: onnx.GraphProto) -> Iterator[tuple[onnx.TensorProto, str]]:
    """The tensors of one graph, with the name they are known by."""
    for tensor in graph.initializer:
        yield tensor, tensor.name
    for sparse in graph.sparse_initializer:
        yield sparse.values, sparse.values.name
        yield sparse.indices, sparse.values.name
    for node in graph.node:
        yield from _tensors_of(node)


def _tensors_of(node: onnx.NodeProto) -> Iterator[tuple[onnx.TensorProto, str]]:
    name = next(iter(node.output), node.name) or node.op_type
    for attribute in node.attribute:
        tensors = [attribute.t] if attribute.HasField("t") else []
        sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        tensors += attribute.tensors
        for one in (*sparse, *attribute.sparse_tensors):
            tensors += [one.values, one.indices]
        yield from ((tensor, name) for tensor in tensors)


def _every_tensor(model: onnx.ModelProto) -> Iterator[tuple[onnx.TensorProto, str]]:
    for graph in _every_graph(model):
        yield from _tensors(graph)
    for function in model.functions:
        for node in function.node:
            yield from _tensors_of(node)
        for attribute in function.attribute_proto:
            if attribute.HasField("t"):
                yield attribute.t, attribute.name


def _operators(model: onnx.ModelProto) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in _every_node(model):
        found[node.op_type] = found.get(node.op_type, 0) + 1
    return found


# --- rules ----------------------------------------------------------------------------------------


def names_that_are_text(model: onnx.ModelProto) -> None:
    """Protobuf hands out bytes where a name is no UTF-8."""
    for graph in _every_graph(model):
        names: list[Any] = [v.name for v in (*graph.input, *graph.output, *graph.value_info)]
        names += [name for _, name in _tensors(graph)]
        for dim in (d for v in graph.input for d in v.type.tensor_type.shape.dim):
            names.append(dim.dim_param)
        _require_text(names)
    for node in _every_node(model):
        _require_text([node.name, node.op_type, node.domain, *node.input, *node.output])
        _require_text([attribute.name for attribute in node.attribute])
    _require_text([f.name for f in model.functions] + [f.domain for f in model.functions])
    _require_text([imported.domain for imported in model.opset_import])


def _require_text(names: list[Any]) -> None:
    if not all(isinstance(name, str) for name in names):
        raise ParetoscopeError("a name in the model is no text in UTF-8")


def no_data_of_other_files(model: onnx.ModelProto) -> None:
    for tensor, name in _every_tensor(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ParetoscopeError(
                f"the weight '{shown(name)}' lies in another file; export one self-contained .onnx "
                "(torch.onnx.export with external_data=False, or onnx.save_model without "
                "save_as_external_data)"
            )


def versions_that_are_known(model: onnx.ModelProto) -> None:
    if model.ir_version > onnx.IR_VERSION:
        raise ParetoscopeError(
            f"IR version {model.ir_version} is newer than is supported (up to {onnx.IR_VERSION})"
        )
    newest = onnx.defs.onnx_opset_version()
    for imported in model.opset_import:
        if imported.domain in ("", "ai.onnx") and imported.version > newest:
            raise ParetoscopeError(
                f"opset {imported.version} is newer than is supported (up to {newest})"
            )


def operators_that_are_known(model: onnx.ModelProto) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    for node in _every_node(model):
        if node.domain not in _DOMAINS and (node.domain, node.op_type) not in own:
            raise ParetoscopeError(
                f"custom operators are not supported; the model uses "
                f"{shown(node.domain)}.{shown(node.op_type)}"
            )


def not_more_nodes_than_a_model_needs(model: onnx.ModelProto) -> None:
    """Counted with functions unpacked, each function once."""
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    sizes: dict[tuple[str, str, str], int] = {}

    def size(key: tuple[str, str, str], path: tuple[tuple[str, str, str], ...]) -> int:
        if key in path or len(path) >= MOST_DEPTH:
            raise ParetoscopeError(
                f"the function '{shown(key[1])}' calls itself"
                if key in path
                else f"functions are nested more than {MOST_DEPTH} deep"
            )
        if key not in sizes:
            sizes[key] = total(functions[key].node, (*path, key))
        return sizes[key]

    def total(nodes: object, path: tuple[tuple[str, str, str], ...]) -> int:
        n = 0
        for node in nodes:  # type: ignore[attr-defined]
            key = node.domain, node.op_type, node.overload
            n += size(key, path) if key in functions else 1
            n += sum(total(graph.node, path) for graph, _ in _direct(node))
            if n > MOST_NODES:
                raise ParetoscopeError(f"the model has more than {MOST_NODES:,} operators")
        return n

    total(model.graph.node, ())


def _direct(node: onnx.NodeProto) -> Iterator[tuple[onnx.GraphProto, int]]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g, 1
        yield from ((graph, 1) for graph in attribute.graphs)


def weights_that_hold_what_they_declare(model: onnx.ModelProto) -> None:
    for tensor, name in _every_tensor(model):
        _require_few_dimensions(len(tensor.dims), f"the weight '{shown(name)}'")
        if any(dim < 0 for dim in tensor.dims):
            raise ParetoscopeError(f"the weight '{shown(name)}' has a negative dimension")
        n, kind = math.prod(tensor.dims), tensor.data_type
        if kind == onnx.TensorProto.UNDEFINED and (n or tensor.raw_data):
            raise ParetoscopeError(f"the weight '{shown(name)}' has no type")
        held = _n_held(tensor)
        if n > MOST_VALUES or (held is not None and held != n):
            holds = "" if held is None else f" but holds {held:,}"
            raise ParetoscopeError(f"the weight '{shown(name)}' declares {n:,} values{holds}")


def _require_few_dimensions(n: int, what: str) -> None:
    if n > MOST_DIMENSIONS:
        raise ParetoscopeError(f"{what} has {n:,} dimensions; at most {MOST_DIMENSIONS} are taken")


def _n_held(tensor: onnx.TensorProto) -> int | None:
    """How many values a tensor holds; None where packing leaves that open."""
    kind: Any = tensor.data_type
    if kind == onnx.TensorProto.STRING:
        return len(tensor.string_data)
    if tensor.HasField("raw_data"):
        bits = _BITS.get(kind)
        if bits is None or bits < 8:
            return None if len(tensor.raw_data) * 4 >= math.prod(tensor.dims) else 0
        return len(tensor.raw_data) * 8 // bits
    if _BITS.get(kind, 8) < 8:
        return None if len(tensor.int32_data) * 16 >= math.prod(tensor.dims) else 0
    several = 2 if kind in (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128) else 1
    held = max(
        len(tensor.float_data) // several, len(tensor.double_data) // several,
        len(tensor.int32_data), len(tensor.int64_data), len(tensor.uint64_data),
    )  # fmt: skip
    return None if held and kind not in _BITS else held


def inputs_and_outputs_of_numbers(model: onnx.ModelProto) -> None:
    graph = model.graph
    if not graph.output:
        raise ParetoscopeError("the model has no outputs")
    inputs = inputs_of(graph)
    if not inputs:
        raise ParetoscopeError("the model takes no inputs, so there is nothing to evaluate")
    for value in inputs:
        kind = value.type.WhichOneof("value")
        if kind is None:
            raise ParetoscopeError(f"the input '{shown(value.name)}' has no type")
        if kind != "tensor_type":
            raise ParetoscopeError(
                f"the input '{shown(value.name)}' is of a kind that is not supported "
                f"({kind.removesuffix('_type')}); inputs must be tensors"
            )
        _require_a_row_of_sane_size(value)
    texts = [v for v in inputs if v.type.tensor_type.elem_type == onnx.TensorProto.STRING]
    tensors = [v for v in graph.output if v.type.HasField("tensor_type")]
    if not tensors and not any(_is_map(v) for v in graph.output):
        raise ParetoscopeError(
            f"the output '{shown(graph.output[0].name)}' is no tensor of class scores or labels "
            "but a sequence or an optional value; export the model with tensor outputs"
        )
    numbers = [v for v in tensors if v.type.tensor_type.elem_type in (*_NUMBERS, 0)]
    if texts and tensors and not numbers:
        raise ParetoscopeError(
            "the model's output is text made from text, not class scores or labels from numbers"
        )


def _is_map(value: onnx.ValueInfoProto) -> bool:
    """Whether it is what classifiers of scikit-learn give: a probability for each label."""
    kind: Any = value.type
    return bool(
        kind.HasField("sequence_type") and kind.sequence_type.elem_type.HasField("map_type")
    )


def _require_a_row_of_sane_size(value: onnx.ValueInfoProto) -> None:
    shape = value.type.tensor_type.shape
    _require_few_dimensions(len(shape.dim), f"the input '{shown(value.name)}'")
    dims = [d.dim_value for d in shape.dim if d.HasField("dim_value")]
    n = math.prod(d for d in dims[1:] if d > 0)
    if n > MOST_VALUES_A_ROW:
        raise ParetoscopeError(
            f"a row of the input '{shown(value.name)}' has {n:,} values; at most "
            f"{MOST_VALUES_A_ROW:,} are taken"
        )


def each_name_made_once_and_before_it_is_used(model: onnx.ModelProto) -> None:
    _in_order(model.graph, ())


def _in_order(graph: onnx.GraphProto, outer: tuple[Set[str], ...]) -> None:
    """`outer` are the names of the graphs around this one: many inner graphs share them as they
    are, for to put them together for each would take the square of the model's length."""
    known = {v.name for v in graph.input} | {t.name for t in graph.initializer}
    known |= {t.values.name for t in graph.sparse_initializer}
    made = {name for node in graph.node for name in node.output if name}
    seen: set[str] = set()
    for node in graph.node:
        for name in node.input:
            if not name or name in known or name in seen or _is_known(name, outer):
                continue
            if name in made:
                raise ParetoscopeError(
                    f"'{shown(name)}' is used before it is made: the graph has a cycle"
                )
            raise ParetoscopeError(f"nothing makes '{shown(name)}', which the model uses")
        for inner, _ in _direct(node):
            _in_order(inner, (*outer, known, seen))
        for name in filter(None, node.output):
            if name in seen or name in known:
                raise ParetoscopeError(f"'{shown(name)}' is made twice")
            seen.add(name)
    for value in graph.output:
        if value.name not in seen and value.name not in known and not _is_known(value.name, outer):
            raise ParetoscopeError(f"nothing makes the output '{shown(value.name)}'")


def _is_known(name: str, outer: tuple[Set[str], ...]) -> bool:
    return any(name in names for names in outer)


def no_inputs_left_empty_that_are_needed(model: onnx.ModelProto) -> None:
    """ONNX Runtime 1.32 dies of them."""
    for node in _every_node(model):
        if node.op_type in _ALL_INPUTS_NEEDED and not all(node.input):
            raise ParetoscopeError(f"{node.op_type} has an input without a name")


def trees_that_are_trees(model: onnx.ModelProto) -> None:
    """Branches lead to nodes of their own tree and never back."""
    for node in _every_node(model):
        if node.op_type not in ("TreeEnsembleClassifier", "TreeEnsembleRegressor"):
            continue
        given = {a.name: list(a.ints) for a in node.attribute if a.ints}
        modes = next((list(a.strings) for a in node.attribute if a.name == "nodes_modes"), [])
        names = ("nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids")
        columns = [given.get(name, []) for name in (*names, "nodes_featureids")]
        if any(len(column) != len(modes) for column in columns):
            raise ParetoscopeError("the trees' lists of nodes are not of the same length")
        if any(feature < 0 or feature >= 2**17 for feature in columns[4]):
            raise ParetoscopeError(f"a tree asks for feature {max(columns[4], key=abs):,}")
        place = {key: i for i, key in enumerate(zip(*columns[:2], strict=True))}
        children: list[list[int]] = []
        for i, mode in enumerate(modes):
            tree = columns[0][i]
            found = [] if mode == b"LEAF" else [(tree, columns[c][i]) for c in (2, 3)]
            if any(key not in place for key in found):
                raise ParetoscopeError("a tree points outside itself")
            children.append([place[key] for key in found])
        _require_no_way_back(children)


def _require_no_way_back(children: list[list[int]]) -> None:
    """That no node is reached by two branches, or by its own."""
    parents = [0] * len(children)
    for of_node in children:
        for child in set(of_node):
            parents[child] += 1
    if any(n > 1 for n in parents):
        raise ParetoscopeError("a tree's nodes form a cycle, or two branches meet")
    open_ = [i for i, n in enumerate(parents) if n == 0]
    reached = 0
    while open_:
        reached += 1
        open_ += set(children[open_.pop()])
    if reached != len(children):
        raise ParetoscopeError("a tree's nodes form a cycle")


def encoders_with_a_value_for_each_key(model: onnx.ModelProto) -> None:
    for node in _every_node(model):
        if node.op_type != "LabelEncoder":
            continue
        lengths = {
            side: [
                len(a.ints) or len(a.floats) or len(a.strings)
                for a in node.attribute
                if a.name.startswith(side) and not a.HasField("t")
            ]
            for side in ("keys_", "values_")
        }
        if lengths["keys_"] and lengths["values_"] and lengths["keys_"] != lengths["values_"]:
            raise ParetoscopeError(
                f"a LabelEncoder has {lengths['keys_'][0]:,} keys but "
                f"{lengths['values_'][0]:,} values"
            )


RULES = (
    names_that_are_text,
    no_data_of_other_files,
    versions_that_are_known,
    operators_that_are_known,
    not_more_nodes_than_a_model_needs,
    weights_that_hold_what_they_declare,
    inputs_and_outputs_of_numbers,
    each_name_made_once_and_before_it_is_used,
    no_inputs_left_empty_that_are_needed,
    trees_that_are_trees,
    encoders_with_a_value_for_each_key,
)


def as_name(text: str) -> str:
    """A column's or class's name as charts and tables show it: without what they would take for
    markup."""
    return shown(text).translate(_LOOK_ALIKE)


# Plotly takes < and & for markup, Markdown the others: their look-alikes are plain in both.
_LOOK_ALIKE = str.maketrans("<>&*`[]$|~#!:\\", "‹›＆∗ˋ［］＄｜∼＃！：＼")


def plain_label(text: str) -> str:
    """A label as it is compared: numbers without what their types would add, as 1 for 1.0."""
    try:
        number = float(text)
    except ValueError:
        return text
    return f"{number:.15g}" if math.isfinite(number) else text


def in_order(label: str) -> tuple[bool, float, str]:
    """A key that puts labels that are numbers first, by their size."""
    try:
        return False, float(label), ""
    except ValueError:
        return True, 0.0, label
