"""Constants folded: an artifact's file as a network with plain float weights, ready for numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from paretoscope.base.errors import ParetoscopeError
from paretoscope.network.network import Network, constant, serialize


def fold(network: Network) -> Network:
    """The network with everything that depends on no input computed once, as a runtime does when
    it loads a file: codes become the float weights that they stand for.

    ``Max(x, 0)``, another spelling of ReLU, is written as ReLU.

    Raises
    ------
    ParetoscopeError
        The constants cannot be computed.
    """
    model = network.model()
    graph = model.graph
    known = {str(name) for name in graph.initializers}
    constants: list[ir.Node] = []
    for node in graph:
        if all(value is None or value.name in known for value in node.inputs):
            constants.append(node)
            known |= {str(output.name) for output in node.outputs}
    wanted = [
        output
        for node in constants
        for output in node.outputs
        if any(user not in constants for user in output.consumers())
    ]
    for output, array in zip(wanted, _computed(model, constants, wanted), strict=True):
        folded = constant(f"{output.name}.folded", ir.tensor(array))
        graph.register_initializer(folded)
        output.replace_all_uses_with(folded)
    graph.remove(constants, safe=True)
    for node in [node for node in graph if node.op_type == "Max" and _is_relu(node)]:
        relu = ir.node("Relu", [node.inputs[0]], name=node.name)
        ir.convenience.replace_nodes_and_values(
            graph, node, [node], [relu], node.outputs, relu.outputs
        )
    for name in [n for n, v in graph.initializers.items() if not v.uses()]:
        del graph.initializers[name]
    return Network(serialize(model))


def _computed(
    model: ir.Model, constants: list[ir.Node], wanted: list[ir.Value]
) -> list[npt.NDArray[Any]]:
    """The values of `wanted`, by ONNX's own reference evaluator."""
    if not wanted:
        return []
    import onnx
    from onnx.reference import ReferenceEvaluator

    whole = ir.to_proto(model)
    chosen = [node in constants for node in model.graph]  # in the same order
    part = onnx.helper.make_graph(
        [node for node, own in zip(whole.graph.node, chosen, strict=True) if own],
        "constants",
        [],
        [onnx.helper.make_empty_tensor_value_info(str(value.name)) for value in wanted],
        list(whole.graph.initializer),
    )
    small = onnx.helper.make_model(
        part, opset_imports=list(whole.opset_import), ir_version=whole.ir_version
    )
    try:
        found = ReferenceEvaluator(small).run(None, {})
    except Exception as error:  # operators fail with errors of any kind
        raise ParetoscopeError(f"constants of the file cannot be computed: {error}") from error
    return [np.asarray(array) for array in found]


def _is_relu(node: ir.Node) -> bool:
    if len(node.inputs) != 2 or node.inputs[1] is None:
        return False
    other = node.inputs[1].const_value
    return other is not None and other.numpy().size == 1 and not other.numpy().any()
