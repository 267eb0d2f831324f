"""What tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st


@pytest.fixture
def fresh(home: Path) -> Iterator[Path]:
    """A server that has never run: nothing kept, nothing known, no worker; and none of it stays,
    for its workers look into a store that is gone."""
    st.cache_resource.clear()
    yield home
    st.cache_resource.clear()
