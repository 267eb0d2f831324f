"""Explore: slide threshold and Q, and see accuracy against size and time, each point a file."""

import streamlit as st

from ui import controls, explore, frame, training, view

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
header = st.container(horizontal=True, vertical_alignment="center")
header.markdown(f"#### {title} · {network.n_parameters:,} parameters")
explore.welcome()
explore.show(view.current(), network, title, header)
