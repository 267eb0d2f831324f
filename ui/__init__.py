"""What the pages share. Only this folder, `app.py` and `pages/` import streamlit and plotly."""
