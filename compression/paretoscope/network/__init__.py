"""A trained network: its graph, its operators, and numpy's way through it.

A chain of dense and convolution layers can be run, differentiated and summed up here; of any other
graph (`in_place`) it is known where its weights stand, and the sandbox runs it.
"""
