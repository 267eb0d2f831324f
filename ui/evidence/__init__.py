"""Evidence for one recipe: what became of its rows, time, size, robustness, other seeds.

Each module draws one section. To add one, write a module with ``show(subject, view, arguments)``
and name it in `pages/evidence.py`.
"""
