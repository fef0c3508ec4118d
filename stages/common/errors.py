"""The one exception that a user may cause and is meant to read."""


class StageError(Exception):
    """A mistake in what the stage was given, told in one line.

    The message names the key or file, what it held, what is allowed and what to do next. `stages.common.command`
    prints it without a traceback and exits with 1.
    """
