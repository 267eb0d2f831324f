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
    data = subject.dataset
    X = subject.baseline.rows.at(np.array([row for row, *_ in shown], np.intp)).X
    names = data.class_names
    if data.picture(X[0]) is None:
        st.dataframe(_table(data, X, shown), hide_index=True, height="content")
        return
    with st.container(horizontal=True):
        for (_, actual, before, now), values in zip(shown, X, strict=True):
            st.image(
                _picture(data, values),
                caption=f"{names[actual]}: {names[before]} → {names[now]}",
                width=_PICTURE_PIXELS,
                alt=f"a row of class {names[actual]}",
            )


def _picture(data: Dataset, row: np.ndarray) -> np.ndarray:
    """A row as a picture large enough to see: in its colours, or grey, light on dark."""
    shown = data.picture(row)
    assert shown is not None
    times = max(1, _PICTURE_PIXELS * 2 // shown.shape[1])
    large = np.kron(shown, np.ones((times, times, 1), np.uint8))
    return large if shown.shape[2] == 3 else large[..., 0]


def _table(data: Dataset, X: np.ndarray, shown: Sequence[Sequence[int]]) -> pd.DataFrame:
    names = data.class_names
    rows = []
    for (row, actual, before, now), values in zip(shown, X, strict=True):
        features = zip(data.feature_names, values, strict=False)
        rows.append(
            {"row": row, "actual": names[actual], "before": names[before], "now": names[now]}
            | dict(list(features)[:_TABLE_FEATURES])
        )
    return pd.DataFrame(rows)
