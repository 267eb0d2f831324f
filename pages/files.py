"""Your files: one's own data to explore, and what a model file is before anything runs of it."""

import streamlit as st

from ui.files import page
from ui.parts import frame
from ui.state import own_data, view

frame.require_router()

view.show_complaints()
view.current()
view.publish()
st.markdown("#### Your files")
table, model = st.tabs(["Data", "Model"])
with table:
    own_data.show()
    page.table()
with model:
    page.model()
