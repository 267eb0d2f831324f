"""Datasets: rows with their labels, split into rows to train on, to choose on and to judge on.

Built-in ones are read, scaled and split here; those of visitors come through `uploads`.
"""
