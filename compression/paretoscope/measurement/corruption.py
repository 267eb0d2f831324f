"""What a corruption is: rows as they come when the world is not as clean as the dataset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from paretoscope.base.parameters import FloatArray
from paretoscope.data.dataset import Dataset


class Corruption(ABC):
    """Something that happens to rows. `strengths` rise from none; `unit` is theirs, `axis` the same
    for a small chart."""

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str]
    axis: ClassVar[str]
    of_images: ClassVar[bool] = True
    strengths: ClassVar[tuple[float, ...]]

    @abstractmethod
    def apply(self, X: FloatArray, strength: float, data: Dataset) -> FloatArray:
        """The rows X of shape (n, d) at a strength; those at strength 0 are as they were."""


def by_turns(X: FloatArray, data: Dataset, n: int, change_images: Any) -> FloatArray:
    """Images changed in `n` ways by turns: row i in way i modulo n."""
    assert data.image_shape is not None
    changed = np.empty_like(X)
    for turn in range(n):
        images = X[turn::n].reshape(-1, *data.image_shape)
        changed[turn::n] = change_images(images, turn).reshape(len(images), -1)
    return within(changed, data)


def within(X: Any, data: Dataset) -> FloatArray:
    """Pixels stay pixels."""
    limited = X if data.largest is None else np.clip(X, 0, data.largest)
    return np.ascontiguousarray(limited, np.float32)
