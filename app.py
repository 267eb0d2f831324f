"""Paretoscope in the browser: ``streamlit run app.py``. The router, and the frame of every page."""

import streamlit as st

from ui.base import late_requests, logs
from ui.parts import frame
from ui.state import view
from ui.state.session import session

logs.begin()
late_requests.begin()
st.set_page_config(page_title="Paretoscope", page_icon="📉", layout="wide")
session().routed = True
page = st.navigation(frame.pages())
view.current()
page.run()
view.publish()
