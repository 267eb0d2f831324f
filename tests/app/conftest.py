"""What tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from ui import server


@pytest.fixture(autouse=True)
def _nobody_looks_any_more() -> Iterator[None]:
    """After a test its visitors are gone, and what they still wished for is not measured."""
    yield
    bench = server.bench()
    with bench._changed:
        bench._wishes.clear()


@pytest.fixture
def fresh(home: Path) -> Iterator[Path]:
    """A server that has never run: nothing kept, nothing known, no worker; and none of it stays,
    for its workers look into a store that is gone."""
    st.cache_resource.clear()
    yield home
    st.cache_resource.clear()
