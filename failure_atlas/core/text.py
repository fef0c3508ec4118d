"""Text that comes from elsewhere: as a terminal may be given it, and how much of YAML a parser may be given."""

from collections.abc import Iterable
from typing import Any


def escape(text: object, keep: str = "") -> str:
    """The text with all that a terminal obeys instead of showing (escape codes, line ends, bidi marks) as escapes.

    Bytes of a file name that are no UTF-8 become `\\\\xff`.  keep: characters that stay as they are.
    """
    return "".join(each if each.isprintable() or each in keep else _write(each) for each in str(text))


def _write(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # so Python holds a byte that is no text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode()


def check_size(events: Iterable[Any], most_values: int, deepest: int) -> None:
    """Raise ValueError for YAML that would take its parser minutes, gigabytes or its life: aliases unfold, lists nest.

    events: of the parser of PyYAML or ruamel.yaml, which builds nothing yet.  most_values: scalars, lists and mappings,
    each alias counted as all that it stands for.  deepest: lists and mappings inside one another.
    """
    count, begun, sizes = 0, list[tuple[str | None, int]](), dict[str | None, int]()
    for event in events:
        kind, anchor = type(event).__name__, getattr(event, "anchor", None)
        if kind == "AliasEvent":
            if anchor not in sizes:
                raise ValueError(f"alias *{anchor} of nothing that stands complete above it")
            count += sizes[anchor]
        elif kind == "ScalarEvent":
            count += 1
            sizes[anchor] = 1
        elif kind in ("SequenceStartEvent", "MappingStartEvent"):
            count += 1
            begun.append((anchor, count))
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            anchor, before = begun.pop()
            sizes[anchor] = count - before + 1
        if count > most_values:
            raise ValueError(f"more than {most_values:,} values, aliases counted as what they stand for")
        if len(begun) > deepest:
            raise ValueError(f"lists or mappings nested more than {deepest} deep")
