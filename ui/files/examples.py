"""Files to try by one click, made here of datasets that come with scikit-learn."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from paretoscope.artifact.artifact import compress
from paretoscope.data.dataset import Dataset
from paretoscope.methods.recipe import Recipe
from paretoscope.training.training import train

from ui.state import server
from ui.state.session import session


@dataclass(frozen=True)
class File:
    """A file as an uploader gives it."""

    name: str
    data: bytes

    def getvalue(self) -> bytes:
        return self.data


@dataclass(frozen=True)
class Example:
    """Files that are used together; `table` beside a `model` is what that is judged on."""

    table: File
    model: File | None = None


def _csv(name: str, *, numbered: bool = False) -> bytes:
    """A dataset as CSV: a column a feature, the label last, by its name or its number."""
    data = server.dataset(name)
    whole = _whole(data)
    frame = pd.DataFrame(whole[0], columns=list(data.feature_names))
    frame["class"] = [k if numbered else data.class_names[k] for k in whole[1]]
    text: str = frame.to_csv(index=False)
    return text.encode()


def _whole(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    parts = (data.train, data.validation, data.test)
    return np.concatenate([p.X for p in parts]), np.concatenate([p.y for p in parts])


def _images() -> bytes:
    held = io.BytesIO()
    X, y = _whole(server.dataset("digits"))
    np.savez_compressed(held, X=X.reshape(-1, 8, 8), y=y)
    return held.getvalue()


def _wine() -> Example:
    return Example(File("wine.csv", _csv("wine")))


def _digits() -> Example:
    return Example(File("digits.npz", _images()))


def _iris() -> Example:
    network = train("logistic-regression", server.dataset("iris"))
    onnx_bytes = compress(network, Recipe(), None, None).onnx_bytes
    return Example(
        File("iris.csv", _csv("iris", numbered=True)), File("iris-model.onnx", onnx_bytes)
    )


# By name: what stands on its card, and how it is made.
EXAMPLES: dict[str, tuple[str, str, Callable[[], Example]]] = {
    "wine": ("A table", "CSV: 178 wines, 13 measured columns, the label in the last", _wine),
    "digits": ("Images", "NPZ: 1,797 images of 8 x 8 pixels and their labels", _digits),
    "iris": ("A model with its table", "ONNX and CSV: an iris classifier and its flowers", _iris),
}


@st.cache_resource(show_spinner="Making the example")
def example(name: str) -> Example:
    """The files of an example; made once a server."""
    return EXAMPLES[name][2]()


def show() -> None:
    """A card for each."""
    with st.container(key="examples"):
        columns = st.columns(len(EXAMPLES), gap="small")
    for column, (name, (title, about, _)) in zip(columns, EXAMPLES.items(), strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title}**  \n{about}")
            if session().example == name:
                st.button("Put it away", key=f"away-{name}", on_click=_choose, args=(None,))
            else:
                st.button("Try it", key=f"try-{name}", on_click=_choose, args=(name,))


def _choose(name: str | None) -> None:
    session().example = name


def chosen() -> Example | None:
    """The example that the visitor tries."""
    name = session().example
    return None if name is None else example(name)
