"""Evidence: what stands behind the figures of one recipe, and whether they can be trusted."""

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.methods.recipe import Recipe

from ui.evidence import confirmation, robustness, rows, seeds, sizes, times
from ui.parts import frame, training
from ui.parts.frame import sync_widget
from ui.state import server, view
from ui.state.address import SECTIONS
from ui.state.view import plain

frame.require_router()

frame.choose_network()
view.show_complaints()
looking_at = view.current()
view.publish()
network = training.network_or_progress(looking_at.dataset, looking_at.model)

title = frame.network_title(looking_at.dataset, looking_at.model)
with st.container(horizontal=True, vertical_alignment="center"):
    st.markdown(f"#### Evidence · {title}")
    view.show_link()
st.code(str(looking_at.recipe), language=None, wrap_lines=True)
st.page_link("pages/explore.py", label="Change the recipe on Explore")
st.segmented_control(
    "Evidence",
    list(SECTIONS),
    default=sync_widget("section", looking_at.section),
    format_func=SECTIONS.__getitem__,
    key="section",
    required=True,
    label_visibility="collapsed",
    on_change=lambda: view.change(section=st.session_state.section),
)
subject = server.subject(looking_at.dataset, looking_at.model, network)
known = server.measuring().known(subject, looking_at.recipe)
arguments = subject.arguments(looking_at.recipe)
try:
    looking_at.recipe.treatments(network)
except ParetoscopeError as error:
    st.error(plain(str(error)))
    st.stop()
if looking_at.recipe == Recipe():
    st.info("This is the uncompressed model. Choose a recipe on Explore to compare it with.")
    st.stop()
if looking_at.recipe.trains:
    if known is None:
        st.info("This recipe trains the compressed model. Train it on Explore first.")
        st.stop()
    arguments["artifact_sha256"] = known.file_sha256
drawn = {
    "rows": rows, "test": confirmation, "time": times, "size": sizes, "robustness": robustness,
    "seeds": seeds,
}  # fmt: skip
drawn[looking_at.section].show(subject, looking_at, arguments)
