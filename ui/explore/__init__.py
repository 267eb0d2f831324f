"""Explore: figures and charts of one recipe that follow the sliders, and what stands around them.

`page` is the way in and the order of the screen; `plan` says what is to be measured. `arrival`
finds where to begin, `strip` and `hints` draw what stands on the first screen
beside the charts, `panels` what comes below, `sharing` makes what leaves the page.
"""
