"""Layers: which of them hurts, measured on files, and one of them from near."""

import streamlit as st

from ui.layers import page
from ui.parts import controls, frame, training
from ui.state import server, view

frame.require_router()

frame.choose_network()
view.show_complaints()
looking_at = view.current()
view.publish()
network = training.network_or_progress(looking_at.dataset, looking_at.model)
controls.drop_unknown_layers(network)
controls.apply_switch(network)
view.publish()

title = frame.network_title(looking_at.dataset, looking_at.model)
finding = frame.head()
with st.container(horizontal=True, vertical_alignment="center"):
    st.code(str(view.current().recipe), language=None, wrap_lines=True)
    st.page_link("pages/explore.py", label="Change it on Explore")
judged = looking_at.score, looking_at.decision
subject = server.subject(looking_at.dataset, looking_at.model, network, *judged)
page.show(view.current(), subject, title, finding)
