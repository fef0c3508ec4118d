"""The one exception that a user may cause and is meant to read."""

from failure_atlas.core.text import escape

LONGEST = 3000  # of a message, in characters


class StageError(Exception):
    """A mistake in what the stage was given, told in one line.

    The message names the key or file, what it held, what is allowed and what to do next. `stages.common.command`
    prints it without a traceback and exits with 1. What stands in it stands there whole, up to LONGEST characters, and
    escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(escape(message if len(message) <= LONGEST else f"{message[:LONGEST]}..."))
