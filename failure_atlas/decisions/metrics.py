"""What a stage measured, read by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from failure_atlas.decisions.estimates import Estimate


@dataclass(frozen=True)
class Metrics:
    """The content of one metrics.json; name: as evidence calls it, such as `rank_dimensions/clean`."""

    name: str
    content: Mapping[str, Any]

    def number(self, key: str) -> float:
        """A plain number; key: names joined by dots.  NaN where the stage knew none; `fault` where it is absent."""
        return self._read(self._find(key), key)

    def estimate(self, key: str) -> Estimate:
        """A number with its interval, kept as {value, low, high, n} or as `key` and `key_interval`."""
        held = self._find(key)
        parts = dict(held) if isinstance(held, Mapping) else self._find_interval(key) | {"value": held}
        missing = {"value", "low", "high", "n"} - parts.keys()
        if missing:
            raise self.fault(f"'{key}' has no {', '.join(sorted(missing))}")
        value, low, high = (self._read(parts[name], key) for name in ("value", "low", "high"))
        if parts["n"] is not None and type(parts["n"]) is not int:
            raise self.fault(f"'{key}' has no whole number as n")
        return Estimate(value, low, high, parts["n"])

    def fault(self, what: str) -> Exception:
        """The error to raise where the content is not as it should be."""
        return ValueError(f"{self.name}: {what}")

    def _find(self, key: str) -> Any:
        group, name = find_group(self.content, key)
        if name not in group:
            raise self.fault(f"holds no '{key}'")
        return group[name]

    def _find_interval(self, key: str) -> dict[str, Any]:
        held = self._find(f"{key}_interval")
        if not isinstance(held, Mapping):
            raise self.fault(f"'{key}_interval' is no interval")
        return dict(held)

    def _read(self, held: Any, key: str) -> float:
        if held is None:
            return float("nan")
        if isinstance(held, bool) or not isinstance(held, (int, float)):
            raise self.fault(f"'{key}' is no number")
        return float(held)


def find_group(content: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], str]:
    """The innermost group that a key leads to, and what is left of the key; key: names joined by dots.

    A name may hold dots itself, as that of a class may. What is left is no name of the group where the way ends early.
    """
    ends = content, key
    for name, inner in content.items():
        if key.startswith(f"{name}.") and isinstance(inner, dict):
            group, rest = find_group(inner, key[len(name) + 1 :])
            if rest in group:
                return group, rest
            ends = group, rest
    return ends
