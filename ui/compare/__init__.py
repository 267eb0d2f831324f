"""Compare: which of several methods is best at the same size, and pins side by side.

`page` is the way in and asks for what is not measured yet; `curves` says which lines are drawn,
`finding` which of them is best, `side_by_side` draws the pins.
"""
