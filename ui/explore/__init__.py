"""Explore: figures and charts of one recipe that follow the sliders, and what stands around them.

`page` is the way in; `plan` says what is to be measured, `panels` draws what comes below.
"""
