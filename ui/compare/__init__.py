"""Compare: curves of several methods and the pins, side by side.

The page's one module draws them and asks for what is not measured yet.
"""
