"""The address of Textbook in old links leads to Learn, which tells the same."""

import streamlit as st

from ui.parts import frame

frame.require_router()

st.switch_page("pages/learn.py")
