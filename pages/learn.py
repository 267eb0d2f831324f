"""Learn: the article's ideas, each with a picture that moves, then the reference of methods."""

import streamlit as st

from ui.learn import page, reference
from ui.parts import frame, training
from ui.state import view

frame.require_router()

view.current()
view.publish()
page.show(training.textbook_or_progress())
st.subheader("5. All methods", anchor="methods")
reference.show()
