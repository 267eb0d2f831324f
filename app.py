"""Paretoscope in the browser: ``streamlit run app.py``. The router, and the frame of every page."""

import streamlit as st

from ui.base import late_requests, logs
from ui.base.plot import MARK
from ui.parts import frame
from ui.state import view
from ui.state.session import session

logs.begin()
late_requests.begin()
session().routed = True
view.current()  # before anything is drawn: a run that is cut short has read where one went back to
st.set_page_config(page_title="Paretoscope", page_icon=str(MARK), layout="wide")
page = st.navigation(frame.pages(), position="top")
frame.show_mark()
page.run()
view.publish()
