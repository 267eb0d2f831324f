"""What other tools make of the same networks: ONNX Runtime's quantizers, PyTorch's pruning."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import paretoscope as ps
from paretoscope.artifact.artifact import Sizes
from paretoscope.artifact.quick_latency import measure_latency
from paretoscope.measurement.measurement import Baseline
from paretoscope.network.network import Network

SPARSITIES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9)
ALLOWED_DROP = 0.003  # on validation rows, as for our own


def run(dataset: str, model: str, seed: int = 0) -> None:
    """Print a line for each peer: test drop, sizes, time, of one seed."""
    data = ps.load_dataset(dataset, seed)
    network = ps.train(model, data, seed)
    baseline = Baseline(network, data, "test")
    makers: dict[str, Callable[[], bytes]] = {
        "ONNX Runtime, dynamic int8": lambda: _dynamic(network),
        "ONNX Runtime, static int8 (QDQ, per channel)": lambda: (
            ps.compress(network, ps.Recipe(activations=ps.Int8Activations()), data.train).onnx_bytes
        ),
    }
    if find_spec("torch") is not None:
        makers["PyTorch, global L1 pruning, float32"] = lambda: _pruned_by_torch(network, data)
    for title, make in makers.items():
        onnx_bytes = make()
        X = baseline.batch(1)
        ours = ps.OnnxRuntime(onnx_bytes, threads=1)
        right = np.mean(ours.scores(data.test.X).argmax(1) == data.test.y)
        drop = float(np.mean(baseline.predictions == data.test.y) - right)
        latency = measure_latency(ours.caller(X), baseline.session.caller(X), 1, rounds=61)
        sizes, before = Sizes(onnx_bytes), baseline.artifact.sizes
        print(
            f"{dataset}, {model}, {title}: {before.gzip / sizes.gzip:.1f}x under gzip -9, "
            f"{before.file / sizes.file:.1f}x on disk, test drop {100 * drop:.2f} points, "
            f"{1 / latency.ratio:.2f}x faster at batch 1 (seed {seed})"
        )


def _dynamic(network: Network) -> bytes:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # the quantizer gives advice there
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model = onnx.load_model_from_string(network.onnx_bytes)
        quantize_dynamic(model, path, per_channel=True, weight_type=QuantType.QInt8)
        return path.read_bytes()


def _pruned_by_torch(network: Network, data: ps.Dataset) -> bytes:
    """The sparsest of a few within the drop on validation rows."""
    best = network.onnx_bytes
    y = data.validation.y
    before = np.mean(network.scores(data.validation.X).argmax(1) == y)
    for weights in _by_torch(network):
        right = np.mean(network.scores(data.validation.X, weights).argmax(1) == y)
        if before - right <= ALLOWED_DROP:
            best = network.with_layers(weights, network.biases).onnx_bytes
    return best


def _by_torch(network: Network) -> Iterator[dict[str, np.ndarray]]:
    import torch
    from torch.nn.utils import prune

    for sparsity in SPARSITIES:
        modules = {}
        for name, weight in network.weights.items():
            linear = torch.nn.Linear(*weight.shape, bias=False)
            linear.weight.data = torch.from_numpy(weight.T.copy())
            modules[name] = linear
        pairs = [(module, "weight") for module in modules.values()]
        prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=sparsity)
        yield {name: m.weight.detach().numpy().T.copy() for name, m in modules.items()}
