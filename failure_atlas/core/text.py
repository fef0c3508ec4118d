"""Text that comes from elsewhere (file names, servers, bundles), as a terminal may be given it."""


def escape(text: object, keep: str = "") -> str:
    """The text with all that a terminal obeys instead of showing (escape codes, line ends, bidi marks) as escapes.

    Bytes of a file name that are no UTF-8 become `\\\\xff`.  keep: characters that stay as they are.
    """
    return "".join(each if each.isprintable() or each in keep else _write(each) for each in str(text))


def _write(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # so Python holds a byte that is no text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode()
