"""Rows that two models label differently: pictures of images, else rows of the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from paretoscope.cli.results import Flipped
from paretoscope.data.dataset import Dataset

from ui.state.subject import Subject

_PICTURE_PIXELS = 84
_TABLE_FEATURES = 8


def gallery(
    subject: Subject, title: str, flips: Flipped, order: str = "actual: before → now"
) -> None:
    """Rows that changed, as pictures where they are images, with both labels; `order` says in words
    which label is which."""
    shown = flips.shown
    if not shown:
        return
    rest = "" if len(shown) == flips.n else f", the first {len(shown)}"
    st.markdown(f"**{title}** ({flips.n:,} rows{rest}; {order})")
    data, X = subject.dataset, subject.baseline.rows.X
    names = data.class_names
    if data.image_shape is None:
        st.dataframe(_table(data, X, shown), hide_index=True, height="content")
        return
    with st.container(horizontal=True):
        for row, actual, before, now in shown:
            st.image(
                _picture(data, X[row]),
                caption=f"{names[actual]}: {names[before]} → {names[now]}",
                width=_PICTURE_PIXELS,
                alt=f"a row of class {names[actual]}",
            )


def _picture(data: Dataset, row: np.ndarray) -> np.ndarray:
    """A row as a picture large enough to see: grey, light on dark."""
    assert data.image_shape is not None
    channels, height, width = data.image_shape
    pixels = row.reshape(channels, height, width).mean(0)
    shown = np.clip(255 * pixels / (data.largest or 1), 0, 255).astype(np.uint8)
    times = max(1, _PICTURE_PIXELS * 2 // width)
    return np.kron(shown, np.ones((times, times), np.uint8))


def _table(data: Dataset, X: np.ndarray, shown: Sequence[Sequence[int]]) -> pd.DataFrame:
    names = data.class_names
    rows = []
    for row, actual, before, now in shown:
        features = zip(data.feature_names, X[row], strict=True)
        rows.append(
            {"row": row, "actual": names[actual], "before": names[before], "now": names[now]}
            | dict(list(features)[:_TABLE_FEATURES])
        )
    return pd.DataFrame(rows)
