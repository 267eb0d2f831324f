"""Learn: the article's ideas one after the other, each with a small live picture, then the
reference of methods.

`page` is the way in and the order of what is read. `pictures` draws the twelve weights, `article`
holds the two programs and draws what Q does to them, `reference` shows `docs/methods.md`.
"""
