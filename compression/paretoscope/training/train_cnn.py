"""Train the convolutional networks with PyTorch: ``pip install paretoscope[torch]``, then

    python -m paretoscope.training.train_cnn digits fashion-mnist --seed 0

Each is kept where ``ps.train("cnn", data, seed)`` finds it. With ``--ship`` it is also written to
`shipped`, which is how those were made (PyTorch 2.13 on a CPU, one thread: 2 minutes).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import Dataset, load_dataset
from paretoscope.network.building import Convolution, Dense
from paretoscope.network.network import Network
from paretoscope.problems.classification import decide
from paretoscope.training import shipped
from paretoscope.training.training import Layers, keep, network_of

_WIDTHS = (16, 32)
_HIDDEN = {"digits": (), "fashion-mnist": (90,)}
_EPOCHS = {"digits": 120, "fashion-mnist": 20}
_BATCH = {"digits": 32, "fashion-mnist": 128}
_RATE, _DECAY, _DROPOUT = 2e-3, 5e-4, 0.3


def fit(data: Dataset, seed: int) -> Network:
    """A network of two convolutions (3 by 3, 16 and 32 filters, each with ReLU and max pooling of 2
    by 2) and dense layers, trained on the train rows alone."""
    try:
        import torch
        from torch import nn
    except ImportError:
        raise ParetoscopeError(
            "training the CNNs needs PyTorch: pip install 'paretoscope[torch]'"
        ) from None

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    assert data.image_shape is not None
    assert data.largest is not None
    channels, height, width = data.image_shape
    layers: list[Any] = []
    for out in _WIDTHS:
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels, height, width = out, height // 2, width // 2
    layers += [nn.Flatten(), nn.Dropout(_DROPOUT)]
    n_in = channels * height * width
    for out in (*_HIDDEN[data.name], len(data.class_names)):
        layers += [nn.Linear(n_in, out), nn.ReLU(), nn.Dropout(_DROPOUT)]
        n_in = out
    model = nn.Sequential(*layers[:-2])
    X = torch.from_numpy(data.train.X / np.float32(data.largest)).view(-1, *data.image_shape)
    y = torch.from_numpy(data.train.y)
    epochs, batch = _EPOCHS[data.name], _BATCH[data.name]
    optimizer = torch.optim.AdamW(model.parameters(), _RATE, weight_decay=_DECAY)
    n_steps = epochs * -(-len(X) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    loss = nn.CrossEntropyLoss(label_smoothing=0.05)
    start = time.monotonic()
    for epoch in range(1, epochs + 1):
        for rows in torch.randperm(len(X)).split(batch):
            optimizer.zero_grad()
            loss(model(X[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch} of {epochs}, {time.monotonic() - start:.0f} s", flush=True)
    return network_of(_layers(model), data, "cnn", seed)


def _layers(model: Any) -> Layers:
    found: list[Convolution | Dense] = []
    for layer in model:
        if not hasattr(layer, "weight"):
            continue
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        found.append(Convolution(weight, bias) if weight.ndim == 4 else Dense(weight.T, bias))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Train the convolutional networks with PyTorch.")
    parser.add_argument("datasets", nargs="+", choices=list(_EPOCHS))
    parser.add_argument("--seed", type=int, default=0, help="of split, weights and order of rows")
    parser.add_argument("--ship", action="store_true", help="write to the shipped ones (seed 0)")
    given = parser.parse_args(arguments)
    if given.ship and given.seed != 0:
        parser.error(f"only networks of seed 0 ship; got seed {given.seed}")
    for name in given.datasets:
        data = load_dataset(name, given.seed)
        try:
            network = fit(data, given.seed)
        except ParetoscopeError as error:
            print(error, file=sys.stderr)
            return 2
        keep(network, "cnn", data, given.seed)
        correct = float(np.mean(decide(network.scores(data.test.X)) == data.test.y))
        print(f"{name}, seed {given.seed}: test accuracy {correct:.2%}, {network.sha256}")
        if given.ship:
            (Path(shipped.__file__).parent / f"{name}-cnn.onnx").write_bytes(network.onnx_bytes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
