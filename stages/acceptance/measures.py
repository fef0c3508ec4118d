"""What a criterion finds in a metrics file: a number, with or without an interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PARTS = ("value", "low", "high")
NAN = float("nan")


@dataclass(frozen=True)
class Measure:
    """A number as it was measured; NaN where the stage knew none.

    has_interval: whether the stage states one.  Without it (a count, a p-value, a bound such as `accuracy.low`) the
    number alone decides.
    """

    value: float
    low: float = NAN
    high: float = NAN
    n: int | None = None
    has_interval: bool = False

    def as_dict(self) -> dict[str, Any]:
        """{value, low, high, n}."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def find_measure(metrics: Mapping[str, Any], key: str) -> Measure:
    """Find a metric by its names joined by dots.

    An interval is kept as `{value, low, high, n}` or as a number with `<key>_interval` beside it. One part of it can be
    asked for by name (`accuracy.low`, `median_shift_std.low`) and comes without an interval but with its n.
    Raises KeyError with the names that are there, TypeError if what is found is no number.
    """
    group, name = _descend(metrics, key)
    if name in PARTS and name not in group:
        # A part of an interval that stands beside its number.
        owner = key.rpartition(".")[0]
        group, name = _descend(metrics, f"{owner}_interval.{name}" if name != "value" else owner)
    if name not in group:
        raise KeyError(", ".join(sorted(group)))
    held = group[name]
    if isinstance(held, Mapping) and {"value", "low", "high"} <= held.keys():
        value, low, high = (_read_number(held[part]) for part in PARTS)
        return Measure(value, low, high, held.get("n"), has_interval=True)
    value = _read_number(held)
    interval = group.get(f"{name}_interval")
    if isinstance(interval, Mapping):
        low, high = (_read_number(interval.get(part)) for part in ("low", "high"))
        return Measure(value, low, high, interval.get("n"), has_interval=True)
    return Measure(value, n=group.get("n") if name in PARTS else None)


def _descend(metrics: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], str]:
    """The group that holds the last name of a key, and that name; KeyError with the names where the way ends."""
    node = metrics
    *names, last = key.split(".")
    for place, name in enumerate(names):
        inner = node.get(name)
        if not isinstance(inner, Mapping):
            if place == len(names) - 1 and last in PARTS and name in node:
                return {}, last  # a plain number, whose parts stand beside it
            raise KeyError(", ".join(sorted(node)))
        node = inner
    return node, last


def _read_number(held: Any) -> float:
    if held is None:
        return NAN
    if isinstance(held, bool) or not isinstance(held, (int, float)):
        raise TypeError(type(held).__name__)
    return float(held)
