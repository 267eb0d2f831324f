"""Your files: one's own data to explore, and what a model file is before anything runs of it."""

import streamlit as st

from ui import files, frame, own, view

frame.require_router()

view.show_complaints()
view.current()
view.publish()
st.markdown("#### Your files")
table, model = st.tabs(["Data", "Model"])
with table:
    own.show()
    files.table()
with model:
    files.model()
