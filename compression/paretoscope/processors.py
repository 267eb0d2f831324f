"""How many threads products of matrices may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _controller() -> Any:
    import scipy.linalg.cython_blas  # numba multiplies by scipy's library, which must be loaded
    from threadpoolctl import ThreadpoolController

    assert scipy.linalg.cython_blas is not None
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Products of this process take one thread each, for as long as this lasts."""
    with _controller().limit(limits=1, user_api="blas"):
        yield
