"""Compare: which criterion, quantizer, recovery or model is best at the same size, and pins."""

import streamlit as st

from ui.compare import page
from ui.parts import frame, training
from ui.state import server, view

frame.require_router()

frame.choose_network()
view.show_complaints()
looking_at = view.current()
view.publish()
network = training.network_or_progress(looking_at.dataset, looking_at.model)

title = frame.network_title(looking_at.dataset, looking_at.model)
finding = frame.head()
picture, controls = st.columns([5, 2], gap="medium")
with controls:
    page.choose(view.current())
view.publish()
judged = looking_at.score, looking_at.decision
subject = server.subject(looking_at.dataset, looking_at.model, network, *judged)
below = st.container()
with picture:
    page.show(view.current(), subject, title, (finding, below))
