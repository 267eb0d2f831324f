"""Layers: which layer costs how much accuracy, and one layer from near.

The page's one module measures each layer alone and draws its weights.
"""
