"""The error of this package that is meant for a person: what was found, what was expected, what to do next."""


class Unusable(ValueError):
    """A file, shape or setting that cannot be used. The command line and the flows print its text alone, as they do with a Problem."""
