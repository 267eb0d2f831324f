"""The address of Methods in old links leads to Learn, which ends with them."""

import streamlit as st

from ui.parts import frame

frame.require_router()

st.switch_page("pages/learn.py")
