"""Many recipes of one network at once, what is best among them, and what was measured before.

Recipes that differ by one threshold are computed in one walk from the least to the most pruned.
"""
