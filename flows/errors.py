"""The one exception of the flows that a user is meant to read."""


class FlowError(Exception):
    """What stops a flow, told in one line: what was found, what is allowed, what to do next."""
