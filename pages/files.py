"""Your files: one's own data to explore, and what a model file is before anything runs of it."""

import streamlit as st

from ui.files import examples, page
from ui.parts import frame
from ui.state import own_data, view

frame.require_router()

view.show_complaints()
view.current()
view.publish()
frame.say(
    st.container(key="headline"),
    "Bring a table, a model, or both, and see what compressing costs there",
    "Choose a file, check how it is read, then look at it on Explore. "
    "Nothing is kept before you confirm it.",
)
examples.show()
page.go_on()
page.accepted()
own_data.show()
st.subheader("A table, to train networks on", anchor="data")
page.table()
st.subheader("A model of yours", anchor="model")
page.model()
