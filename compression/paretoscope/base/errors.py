"""The one error that users of the library and the app are meant to read."""


class ParetoscopeError(ValueError):
    """One sentence: what was wrong, what is allowed, what was given, what to do."""


def one_of(what: str, given: object, allowed: list[str]) -> ParetoscopeError:
    """The sentence for a name that is none of the allowed ones.

    >>> print(one_of("dataset", "irs", ["iris", "wine"]))
    dataset must be one of iris, wine; got 'irs'
    """
    return ParetoscopeError(f"{what} must be one of {', '.join(allowed)}; got {given!r}")
