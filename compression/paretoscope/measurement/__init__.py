"""What a file is like: right answers, bytes, times, each with its uncertainty.

And what explains or limits them: why there is no gain, budgets, corruptions, where a record comes
from.
"""
