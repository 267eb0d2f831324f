"""What tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from ui.state.measuring import Bench

_benches: list[Bench] = []  # of the servers that tests started


@pytest.fixture(scope="session", autouse=True)
def _every_bench() -> Iterator[None]:
    """Know the benches that pages make: a server makes one when it first needs it."""
    honest = Bench.__init__

    def noted(self: Bench) -> None:
        honest(self)
        _benches.append(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Bench, "__init__", noted)
        yield


@pytest.fixture(autouse=True)
def _nobody_looks_any_more() -> Iterator[None]:
    """After a test its visitors are gone, and what they still wished for is not measured."""
    yield
    for bench in _benches:
        with bench._changed:
            bench._wishes.clear()


@pytest.fixture
def fresh(home: Path) -> Iterator[Path]:
    """A server that has never run: nothing kept, nothing known, no worker; and none of it stays,
    for its workers look into a store that is gone."""
    st.cache_resource.clear()
    others = list(_benches)
    yield home
    st.cache_resource.clear()
    for bench in _benches:
        if bench not in others:
            bench._worker.close()
    _benches[:] = others
