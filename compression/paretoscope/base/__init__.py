"""The ground: errors, parameters with their ranges, the store of files, worker processes.

Nothing here knows of datasets or networks.
"""
