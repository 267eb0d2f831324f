"""Operators in numpy: the ONNX reference evaluator's values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from paretoscope.network.operators import OPERATORS

ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    ("LeakyRelu", {}), ("LeakyRelu", {"alpha": 0.3}), ("Elu", {"alpha": 0.7}), ("Selu", {}),
    ("Sigmoid", {}), ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}), ("HardSwish", {}),
    ("Softplus", {}), ("Mish", {}), ("Erf", {}), ("Gelu", {}), ("Gelu", {"approximate": "tanh"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "attributes"), ACTIVATIONS, ids=str)
def test_activations_are_the_reference_evaluators(name: str, attributes: dict[str, Any]) -> None:
    """In double precision, so that a coefficient of the wrong last digit shows."""
    x = np.linspace(-7, 7, 1_001)
    graph = helper.make_graph(
        [helper.make_node(name, ["x"], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(OPERATORS[name](x, **attributes), expected, rtol=0, atol=1e-6)
