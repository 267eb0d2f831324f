"""Compare: curves of several criteria, quantizers and recoveries, and pins side by side."""

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
with st.container(horizontal=True, vertical_alignment="center"):
    st.markdown(f"#### Compare · {title}")
    view.show_link()
st.code(str(looking_at.recipe), language=None, wrap_lines=True)
page.choose(view.current())
view.publish()
subject = server.subject(looking_at.dataset, looking_at.model, network)
page.show(view.current(), subject, title)
