"""A trained network: its graph, its operators, and numpy's way through it.

A chain of dense and convolution layers can be run, differentiated and summed up here; any other
graph is only held.
"""
