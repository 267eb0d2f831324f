"""Real models with parts that no recipe touches: trees, float64 weights, another tool's codes."""

from __future__ import annotations

import numpy as np
import onnx
import paretoscope as ps
from onnx import TensorProto, helper, numpy_helper
from paretoscope.network.network import Network
from sklearn.ensemble import RandomForestClassifier


def with_trees(network: Network, data: ps.Dataset) -> Network:
    """The network's scores plus the votes of a forest that was fitted on the training rows."""
    forest = RandomForestClassifier(20, max_depth=6, random_state=0)
    forest.fit(data.train.X, data.train.y)
    model = onnx.load_model_from_string(network.onnx_bytes)
    graph = model.graph
    graph.node.append(
        helper.make_node(
            "TreeEnsembleRegressor", ["features"], ["votes"], name="forest",
            domain="ai.onnx.ml", n_targets=len(data.class_names), **_ensemble(forest),
        )
    )  # fmt: skip
    for node in graph.node:
        for place, name in enumerate(node.output):
            if name == "scores":
                node.output[place] = "linear"
    graph.node.append(helper.make_node("Add", ["linear", "votes"], ["scores"], name="both"))
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return Network(model.SerializeToString())


def _ensemble(forest: RandomForestClassifier) -> dict[str, list[object]]:
    """The forest's trees as attributes of ONNX's operator."""
    found: dict[str, list[object]] = {
        name: []
        for name in (
            "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes",
            "nodes_truenodeids", "nodes_falsenodeids", "target_treeids", "target_nodeids",
            "target_ids", "target_weights",
        )
    }  # fmt: skip
    for number, estimator in enumerate(forest.estimators_):
        tree = estimator.tree_
        for node in range(tree.node_count):
            leaf = tree.children_left[node] == -1
            found["nodes_treeids"].append(number)
            found["nodes_nodeids"].append(node)
            found["nodes_featureids"].append(0 if leaf else int(tree.feature[node]))
            found["nodes_values"].append(0.0 if leaf else float(tree.threshold[node]))
            found["nodes_modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            found["nodes_truenodeids"].append(0 if leaf else int(tree.children_left[node]))
            found["nodes_falsenodeids"].append(0 if leaf else int(tree.children_right[node]))
            if leaf:
                shares = tree.value[node][0] / tree.value[node][0].sum()
                for target, share in enumerate(shares):
                    found["target_treeids"].append(number)
                    found["target_nodeids"].append(node)
                    found["target_ids"].append(target)
                    found["target_weights"].append(float(share) / len(forest.estimators_))
    return found


def with_float64(network: Network) -> Network:
    """The network with its first layer in float64."""
    model = onnx.load_model_from_string(network.onnx_bytes)
    first = _first_matmul(model)
    weight = _initializer(model, first.input[1])
    weight.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float64), weight.name)
    )
    before = helper.make_node("Cast", [first.input[0]], ["wide"], to=TensorProto.DOUBLE)
    after = helper.make_node("Cast", ["wide_product"], [first.output[0]], to=TensorProto.FLOAT)
    first.input[0], first.output[0] = "wide", "wide_product"
    _insert_around(model, first, before, after)
    return Network(model.SerializeToString())


def with_dequantized(network: Network) -> Network:
    """The network as other tools quantize it: codes of the first layer, dequantized in each call
    (its ReLU keeps the runtime from fusing that)."""
    model = onnx.load_model_from_string(network.onnx_bytes)
    first = _first_matmul(model)
    weight = _initializer(model, first.input[1])
    values = numpy_helper.to_array(weight)
    scale = np.float32(np.abs(values).max() / 127)
    weight.CopyFrom(numpy_helper.from_array(np.round(values / scale).astype(np.int8), weight.name))
    model.graph.initializer.append(numpy_helper.from_array(scale, "their_scale"))
    node = helper.make_node("DequantizeLinear", [weight.name, "their_scale"], ["dequantized"])
    first.input[1] = "dequantized"
    _insert_around(model, first, node, None)
    return Network(model.SerializeToString())


def _first_matmul(model: onnx.ModelProto) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == "MatMul")


def _initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def _insert_around(
    model: onnx.ModelProto,
    node: onnx.NodeProto,
    before: onnx.NodeProto,
    after: onnx.NodeProto | None,
) -> None:
    place = next(i for i, other in enumerate(model.graph.node) if other is node or other == node)
    model.graph.node.insert(place, before)
    if after is not None:
        model.graph.node.insert(place + 2, after)
