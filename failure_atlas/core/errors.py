"""The one exception that a user may cause and is meant to read; text from elsewhere, as a terminal may be given it."""

LONGEST = 3000  # of a message, in characters


class StageError(Exception):
    """A mistake in what the stage was given, told in one line.

    The message names the key or file, what it held, what is allowed and what to do next. `stages.common.command`
    prints it without a traceback and exits with 1. What stands in it stands there whole, up to LONGEST characters, and
    escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(escape(message if len(message) <= LONGEST else f"{message[:LONGEST]}..."))


def escape(text: object, keep: str = "") -> str:
    """The text with all that a terminal obeys instead of showing (escape codes, line ends, bidi marks) as escapes.

    Bytes of a file name that are no UTF-8 become `\\\\xff`.  keep: characters that stay as they are.
    """
    return "".join(each if each.isprintable() or each in keep else _write(each) for each in str(text))


def _write(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # so Python holds a byte that is no text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode()
