"""Hashes, values, numbers and changes as they are shown."""

from collections.abc import Callable
from typing import Any

from flows.compare.differences import Change, Number

HASH_LENGTH = 8  # characters of a hash that are shown
VALUE_LENGTH = 80  # characters of a param or command that are shown


def tell_interval(number: Number) -> str:
    """A number with its interval, if it has one."""
    value = tell_number(number.value)
    return f"{value} [{tell_number(number.low)}, {tell_number(number.high)}]" if number.has_interval else value


def tell_count(number: Number) -> str:
    """How many samples a number rests on; empty if it does not say."""
    return f"{number.n:,}" if number.n is not None else ""


def tell_change(change: Change, tell: Callable[[Any], str]) -> tuple[str, str, str]:
    """A row: what has changed, and both sides, each in the form that `tell` gives it."""
    return change.key, tell(change.old), tell(change.new)


def tell_hash(held: Any) -> str:
    """The first digits of a hash, or of several."""
    return " and ".join(part[:HASH_LENGTH] for part in held.split(" and ")) if held else "none"


def tell_value(held: Any) -> str:
    """A param or command, cut if it is long."""
    text = "none" if held is None else str(held)
    return text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}..."


def tell_number(value: Any) -> str:
    """A number with four digits, a count with all of them."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else "unknown"
