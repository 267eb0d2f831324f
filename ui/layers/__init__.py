"""Layers: how much each stands, and one of them from near.

`page` is the way in. `trials` says which recipes are measured, `picture` draws them and says which
layer hurts, `near` draws one layer's codes, mask and weights.
"""
