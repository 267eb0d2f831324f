"""The reference of methods: `docs/methods.md`, its tables as tables that scroll."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pandas as pd
import streamlit as st

_METHODS = Path(__file__).resolve().parents[2] / "docs" / "methods.md"
_HEADING = re.compile(r"^(#+) (.*)")


def show() -> None:
    """All of it, each heading a step lower than in the file, where it has the page to itself."""
    for is_table, lines in groupby(
        _METHODS.read_text("utf-8").splitlines(), lambda line: line.startswith("|")
    ):
        if not is_table:
            st.markdown("\n".join(_HEADING.sub(r"\1# \2", line) for line in lines))
            continue
        # Within Markdown a wide table makes the page wider than a narrow screen; this one scrolls.
        cells = (re.split(r"(?<!\\)\|", line.strip()[1:-1]) for line in lines)
        names, _, *rows = ([cell.strip().replace("\\|", "|") for cell in line] for line in cells)
        st.table(pd.DataFrame(rows, columns=names).set_index(names[0]))
