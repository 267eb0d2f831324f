"""Glossary and methods: every criterion, quantizer and recovery with its formula and source."""

from pathlib import Path

import streamlit as st

from ui import frame, view

frame.require_router()

view.current()
view.publish()
st.markdown(Path(__file__).resolve().parents[1].joinpath("docs", "methods.md").read_text("utf-8"))
