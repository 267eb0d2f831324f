"""Glossary and methods: every criterion, quantizer and recovery with its formula and source."""

import re
from itertools import groupby
from pathlib import Path

import pandas as pd
import streamlit as st

from ui.parts import frame
from ui.state import view

frame.require_router()

view.current()
view.publish()
text = Path(__file__).resolve().parents[1].joinpath("docs", "methods.md").read_text("utf-8")
for is_table, lines in groupby(text.splitlines(), lambda line: line.startswith("|")):
    if not is_table:
        st.markdown("\n".join(lines))
        continue
    # Within Markdown a wide table makes the page wider than a narrow screen; this one scrolls.
    cells = (re.split(r"(?<!\\)\|", line.strip()[1:-1]) for line in lines)
    names, _, *rows = ([cell.strip().replace("\\|", "|") for cell in line] for line in cells)
    st.table(pd.DataFrame(rows, columns=names).set_index(names[0]))
