"""What differs between two runs: plain values in, differences and the words for them out; no files are read here."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

TOP = 10  # directions of a ranking that are compared
NAMING_KEYS = ("id", "name")  # of list entries: a list whose entries carry one is compared by it, not by place
CODE = ("failure_atlas", "stages")  # the folders of code that stages depend on
# Two independent 95 % intervals of one and the same value lie apart when the estimates differ by more than 2 * 1.96
# standard errors, where their difference has sqrt(2): 2 * (1 - Phi(2.772)).
APART_BY_CHANCE = math.erfc(1.959964)
HASH_LENGTH = 8  # characters of a hash that are shown
VALUE_LENGTH = 80  # characters of a param or command that are shown

Flat = dict[str, Any]


class Change(NamedTuple):
    """One value on both sides; None where there is none."""

    key: str
    old: Any
    new: Any


class Move(StrEnum):
    """How a metric moved."""

    BEYOND = "Beyond their intervals:"  # the two intervals lie apart
    UNKNOWN = "Without an interval:"  # one of the two states none
    WITHIN = "Within their intervals:"  # they overlap


@dataclass(frozen=True)
class Number:
    """A metric; low, high: of its 95 % interval, None where the stage knew no bound; has_interval: states one."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    has_interval: bool = False

    def is_apart(self, other: "Number") -> bool:
        """Whether the two intervals lie apart."""
        return self.is_below(other) or other.is_below(self)

    def is_below(self, other: "Number") -> bool:
        """Whether the whole interval lies below the other one; an unknown bound may lie anywhere."""
        return self.high is not None and other.low is not None and self.high < other.low

    def tell(self) -> tuple[str, str]:
        """The number with its interval, and how many samples it rests on, as far as it says so."""
        value = tell_number(self.value)
        if self.has_interval:
            value += f" [{tell_number(self.low)}, {tell_number(self.high)}]"
        return value, f"{self.n:,}" if self.n is not None else ""

    def tell_zero(self) -> str:
        """Where the interval lies."""
        if self.low is None or self.high is None:
            return "unknown"
        return "above 0" if self.low > 0 else "below 0" if self.high < 0 else "holds 0"


class Direction(NamedTuple):
    """A style dimension among the leading ones: its rank, which way it is moved (+1 or -1), and what that does."""

    rank: int
    sign: int
    name: str = ""


Leading = dict[int, Direction]  # by dimension


@dataclass(frozen=True)
class Locked:
    """What a dvc.lock records: hashes by path, commands by stage, the params that stages were run with."""

    inputs: Flat
    code: Flat
    results: Flat
    commands: Flat
    params: Flat

    def find_result(self, ending: str) -> str | None:
        """The recorded hash of the result whose path ends so; None if there is none."""
        return next((held for path, held in self.results.items() if path.endswith(ending)), None)


def flatten(value: Any, prefix: str = "") -> Flat:
    """Nested mappings as one, names joined by dots; lists of named entries by the name, other lists as they are."""
    entries = _name_entries(value) if isinstance(value, list) else value
    if not entries or not isinstance(entries, Mapping):
        return {prefix: value} if prefix else {}
    found: Flat = {}
    for key, inner in entries.items():
        found |= flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    return found


def diff_flat(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Keys whose values differ, in the order of the new side, then those that are gone."""
    return [
        Change(key, old.get(key), new.get(key))
        for key in {**new, **old}
        if (key in old) != (key in new) or old.get(key) != new.get(key)
    ]


def read_lock(lock: Mapping[str, Any], workflow: Mapping[str, Any]) -> Locked:
    """Sort what a dvc.lock records into inputs from outside, code, results and commands.

    workflow: what dvc.yaml holds; stages that it no longer has do not count. Empty: all do.
    Where stages were last run with different states of one file, its hashes stand side by side.
    """
    planned = workflow.get("stages")
    recorded: Mapping[str, Any] = lock.get("stages") or {}
    stages = {name: held for name, held in recorded.items() if not planned or name.partition("@")[0] in planned}
    needed, results = (_collect(stages, kind) for kind in ("deps", "outs"))
    outside = {path: held for path, held in needed.items() if not any(_overlap(path, result) for result in results)}
    code = {path for path in outside if path.endswith(".py") or path.partition("/")[0] in CODE}
    # The stage that checks the params depends on the whole of the folders that others name in parts.
    parts = {path for path in code if not any(other.startswith(f"{path}/") for other in code)}
    params: Flat = {}
    for stage in stages.values():
        for section in (stage.get("params") or {}).values():
            params |= flatten(section)
    return Locked(
        inputs={path: held for path, held in outside.items() if path not in code},
        code={path: held for path, held in outside.items() if path in parts},
        results=results,
        commands={name: _join_command(stage.get("cmd")) for name, stage in stages.items()},
        params=params,
    )


def read_numbers(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, Number]:
    """All numbers of a metrics file, an interval with the number that it belongs to."""
    numbers: dict[str, Number] = {}
    for key, held in metrics.items():
        name, interval = f"{prefix}{key}", metrics.get(f"{key}_interval")
        if isinstance(held, Mapping):
            if str(key).endswith("_interval") and str(key).removesuffix("_interval") in metrics:
                continue  # read with the number that it belongs to
            if {"value", "low", "high"} <= held.keys():
                numbers[name] = Number(held["value"], held["low"], held["high"], held.get("n"), has_interval=True)
            else:
                numbers |= read_numbers(held, f"{name}.")
        elif held is None or (isinstance(held, (int, float)) and not isinstance(held, bool)):
            bounds = interval if isinstance(interval, Mapping) else {}
            low, high, n = map(bounds.get, ("low", "high", "n"))
            numbers[name] = Number(held, low, high, n, has_interval=isinstance(interval, Mapping))
    return numbers


def tell_move(old: Number, new: Number) -> Move:
    """How a metric moved, by its two intervals."""
    if not (old.has_interval and new.has_interval):
        return Move.UNKNOWN
    return Move.BEYOND if old.is_apart(new) else Move.WITHIN


def read_leading(table: bytes) -> Leading:
    """The leading directions in a leading.csv; KeyError, ValueError or TypeError if it is of another form."""
    rows = csv.DictReader(table.decode("utf-8").splitlines())
    return {
        int(row["dimension"]): Direction(int(row["rank"]), int(float(row["direction"])), row["name"])
        for row in rows
        if int(row["rank"]) <= TOP
    }


def tell_hash(held: str | None) -> str:
    """The first digits of a hash, or of several."""
    return " and ".join(part[:HASH_LENGTH] for part in held.split(" and ")) if held else "none"


def tell_number(value: Any) -> str:
    """A number with four digits, a count with all of them."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else "unknown"


def _name_entries(value: Sequence[Any]) -> dict[str, Any]:
    """Entries of a list by their id or name; empty if they have none, or share one."""
    for naming in NAMING_KEYS:
        if value and all(isinstance(entry, Mapping) and naming in entry for entry in value):
            named = {str(entry[naming]): {key: held for key, held in entry.items() if key != naming} for entry in value}
            if len(named) == len(value):
                return named
    return {}


def _collect(stages: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Hashes of the deps or outs of all stages by path."""
    found: dict[str, list[str]] = {}
    for stage in stages.values():
        for entry in stage.get(kind) or []:
            held = str(entry.get("md5") or entry.get("checksum") or entry.get("etag") or "unknown")
            if held not in found.setdefault(entry["path"], []):
                found[entry["path"]].append(held)
    return {path: " and ".join(hashes) for path, hashes in found.items()}


def _overlap(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/")


def _join_command(command: Any) -> str:
    text = "; ".join(map(str, command)) if isinstance(command, list) else str(command)
    return " ".join(text.split())


def tell_value(held: Any) -> str:
    """A param or command, cut if it is long."""
    text = "none" if held is None else str(held)
    return text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}..."
