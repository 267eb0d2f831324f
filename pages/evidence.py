"""Evidence: what stands behind the figures of one recipe, and whether they can be trusted."""

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.methods.recipe import Recipe

from ui.evidence import page
from ui.parts import frame, training
from ui.state import server, view
from ui.state.view import plain

frame.require_router()

frame.choose_network()
view.show_complaints()
looking_at = view.current()
view.publish()
network = training.network_or_progress(looking_at.dataset, looking_at.model)

title = frame.network_title(looking_at.dataset, looking_at.model)
finding = frame.head()
with st.container(horizontal=True, vertical_alignment="center"):
    st.code(str(looking_at.recipe), language=None, wrap_lines=True)
    st.page_link("pages/explore.py", label="Change it on Explore")
judged = looking_at.score, looking_at.decision
subject = server.subject(looking_at.dataset, looking_at.model, network, *judged)
known = server.measuring().known(subject, looking_at.recipe)
arguments = subject.arguments(looking_at.recipe)
try:
    looking_at.recipe.treatments(network)
except ParetoscopeError as error:
    frame.say(finding, "This recipe does not fit the model", title)
    st.error(plain(str(error)))
    st.stop()
if looking_at.recipe == Recipe():
    frame.say(finding, "The uncompressed model needs no evidence", title)
    st.info("Choose a recipe on Explore to compare it with this one.")
    st.stop()
if looking_at.recipe.trains:
    if known is None:
        frame.say(finding, "This recipe was not trained yet", title)
        st.info("This recipe trains the compressed model. Train it on Explore first.")
        st.stop()
    arguments["artifact_sha256"] = known.file_sha256
page.show(looking_at, subject, title, arguments, finding)
