"""The ways in from outside Python: tasks that worker processes take, and commands.

Each turns plain words and numbers into calls of the library.
"""
