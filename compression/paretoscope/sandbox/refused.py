"""What a job in a sandbox says no with."""


class RefusedError(Exception):
    """A sentence on what is wrong."""
