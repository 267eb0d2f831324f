"""What is predicted, and how well: problems and their scores.

And what can be said of a score: its interval, and whether it changed.
"""
