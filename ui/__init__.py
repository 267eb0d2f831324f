"""What the browser shows: the look, what is measured for whom, what pages share, a folder a page.

Only this folder, `app.py` and `pages/` import streamlit and plotly.
"""
