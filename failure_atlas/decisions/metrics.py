"""What a stage measured, read by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failure_atlas.core.errors import StageError
from failure_atlas.statistics.estimates import Estimate, read_estimate

PARTS = ("value", "low", "high", "n")


@dataclass(frozen=True)
class Metrics:
    """The content of one metrics.json; name: as evidence calls it, such as `rank_dimensions/clean`.

    path: the file.  stage: the one that makes it; both for messages.
    """

    name: str
    content: Mapping[str, Any]
    path: Path | None = None
    stage: str = ""

    def number(self, key: str) -> float:
        """A plain number; key: names joined by dots.  NaN where the stage knew none; StageError where it is absent."""
        return self._find(key).value

    def estimate(self, key: str) -> Estimate:
        """A number with its interval, kept as {value, low, high, n} or as `key` and `key_interval`."""
        found = self._find(key)
        if not found.has_interval or found.n is None:
            raise self.fault(f"'{key}' has no {'n' if found.has_interval else 'interval'}")
        return found

    def fault(self, what: str) -> StageError:
        """The error to raise where the content is not as it should be."""
        remedy = f"; make it again with: dvc repro {self.stage}" if self.stage else ""
        return StageError(f"{self.path or self.name}: {what}{remedy}")

    def _find(self, key: str) -> Estimate:
        try:
            return find_estimate(self.content, key)
        except KeyError as error:
            raise self.fault(f"holds no '{key}'; there: {error.args[0]}") from error
        except TypeError as error:
            raise self.fault(f"'{key}' is no number but {error}") from error


def find_estimate(content: Mapping[str, Any], key: str) -> Estimate:
    """Find a metric by its names joined by dots.

    An interval is kept as `{value, low, high, n}` or as a number with `<key>_interval` beside it. One part of it can be
    asked for by name (`accuracy.low`, `median_shift_std.low`) and comes without an interval but with its n.
    Raises KeyError with the names that are there, TypeError if what is found is no number.
    """
    group, name = find_group(content, key)
    if name in group:
        held, beside = group[name], group.get(f"{name}_interval")
        if isinstance(held, Mapping):
            if not {"value", "low", "high"} <= held.keys():
                raise TypeError("dict")
            return read_estimate(held)
        count = group.get("n") if name in PARTS else None
        return read_estimate({"value": held, "n": count, **(beside if isinstance(beside, Mapping) else {})})
    owner, _, part = name.rpartition(".")
    if part in PARTS and isinstance(group.get(f"{owner}_interval"), Mapping):
        whole = find_estimate(group, owner)
        held = getattr(whole, part)
        return Estimate(float("nan") if held is None else float(held), n=whole.n, has_interval=False)
    raise KeyError(", ".join(sorted(group)))


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
