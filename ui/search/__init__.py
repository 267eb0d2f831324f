"""Search: a budget goes in, the best recipe within it comes out.

`page` is the way in: it starts the search, shows how far it is, and draws the map of all that is
known. `finding` says in a sentence what was found.
"""
