"""What tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from ui.state.measuring import MeasuringService

_services: list[MeasuringService] = []  # of the servers that tests started


@pytest.fixture(scope="session", autouse=True)
def _every_service() -> Iterator[None]:
    """Know the benches that pages make: a server makes one when it first needs it."""
    honest = MeasuringService.__init__

    def noted(self: MeasuringService) -> None:
        honest(self)
        _services.append(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(MeasuringService, "__init__", noted)
        yield


@pytest.fixture(autouse=True)
def _nobody_looks_any_more() -> Iterator[None]:
    """After a test its visitors are gone, and what they still wished for is not measured."""
    yield
    for service in _services:
        with service._changed:
            service._requests.clear()


@pytest.fixture
def fresh(home: Path) -> Iterator[Path]:
    """A server that has never run: nothing kept, nothing known, no worker; and none of it stays,
    for its workers look into a store that is gone."""
    st.cache_resource.clear()
    others = list(_services)
    yield home
    st.cache_resource.clear()
    for service in _services:
        if service not in others:
            service._worker.close()
    _services[:] = others
