"""Search: a budget goes in, the best recipe within it comes out.

The page's one module starts the search, shows how far it is and draws its front.
"""
