"""The one error that is meant for the person at the keyboard: what was found, what was expected, what to do next."""


class Problem(Exception):
    """Raised at the borders (parameters, files, schemas). The command line prints its text alone; anything else is a bug of ours."""
