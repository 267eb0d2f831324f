"""The file that a recipe makes of a network: written, checked, weighed, and run.

`compress` is the way in. Sizes can be told before a file is written; runtimes load the bytes.
"""
