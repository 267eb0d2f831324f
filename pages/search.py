"""Search: a budget in; the best recipe within it, the nearest misses and the front out."""

import streamlit as st

from ui.parts import frame, training
from ui.search import page
from ui.state import server, view
from ui.state.session import session

frame.require_router()

frame.choose_network()
view.show_complaints()
looking_at = view.current()
view.publish()
network = training.network_or_progress(looking_at.dataset, looking_at.model)

title = frame.network_title(looking_at.dataset, looking_at.model)
if session().take("taken"):
    st.switch_page("pages/explore.py", query_params=session().view.query())
finding = frame.head()
picture, controls = st.columns([5, 2], gap="medium")
with controls:
    judged = looking_at.score, looking_at.decision
    subject = server.subject(looking_at.dataset, looking_at.model, network, *judged)
    page.ask(view.current(), subject)
view.publish()
below = st.container()
with picture:
    page.show(view.current(), subject, title, (finding, controls, below))
