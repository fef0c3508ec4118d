"""What differs between two runs: plain values in, rows of differences out; no files are read here."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

GLOBAL, TOP = "global", 10
NAMING_KEYS = ("id", "name")  # of list entries: a list whose entries carry one is compared by it, not by place
# Two independent 95 % intervals of one and the same value lie apart when the estimates differ by more than 2 * 1.96
# standard errors, where their difference has sqrt(2): 2 * (1 - Phi(2.772)).
APART_BY_CHANCE = math.erfc(1.959964)

Flat = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One value on both sides; None where there is none."""

    key: str
    old: Any
    new: Any


class Move(StrEnum):
    """How a metric moved."""

    BEYOND = "beyond"  # the two intervals lie apart
    WITHIN = "within"  # they overlap
    UNKNOWN = "unknown"  # one of the two states no interval


@dataclass(frozen=True)
class Number:
    """A metric; low, high: of its 95 % interval, None where the stage knew no bound; has_interval: states one."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    has_interval: bool = False


@dataclass(frozen=True)
class Moved:
    """A metric that moved."""

    key: str
    old: Number
    new: Number
    move: Move


@dataclass(frozen=True)
class Locked:
    """What a dvc.lock records: hashes by path, commands by stage, the params that stages were run with."""

    inputs: Flat
    code: Flat
    results: Flat
    commands: Flat
    params: Flat


@dataclass(frozen=True)
class Direction:
    """A style dimension and which way it is moved: +1 or -1."""

    dimension: int
    direction: int


def flatten(value: Any, prefix: str = "") -> Flat:
    """Nested mappings as one, names joined by dots; lists of named entries by the name, other lists as they are."""
    if isinstance(value, Mapping):
        entries = {str(key): inner for key, inner in value.items()}
    elif isinstance(value, list) and (entries := _name_entries(value)):
        pass
    else:
        return {prefix: value}
    if not entries:
        return {prefix: {}} if prefix else {}
    return {
        path: leaf
        for key, inner in entries.items()
        for path, leaf in flatten(inner, f"{prefix}.{key}" if prefix else key).items()
    }


def diff_flat(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Keys whose values differ, in the order of the new side, then those that are gone."""
    keys = [*new, *(key for key in old if key not in new)]
    return [
        Change(key, old.get(key), new.get(key))
        for key in keys
        if (key in old) != (key in new) or old.get(key) != new.get(key)
    ]


def read_lock(lock: Mapping[str, Any]) -> Locked:
    """Sort what a dvc.lock records into inputs from outside, code, results and commands.

    Where stages were last run with different states of one file, its hashes stand side by side.
    """
    stages: Mapping[str, Any] = lock.get("stages") or {}
    results: dict[str, list[str]] = {}
    needed: dict[str, list[str]] = {}
    for stage in stages.values():
        for entries, kept in ((stage.get("outs"), results), (stage.get("deps"), needed)):
            for entry in entries or []:
                hashes = kept.setdefault(entry["path"], [])
                found = str(entry.get("md5") or entry.get("checksum") or entry.get("etag") or "unknown")
                if found not in hashes:
                    hashes.append(found)
    outside = {path: hashes for path, hashes in needed.items() if not _overlaps_any(path, results)}
    return Locked(
        inputs={path: _join(hashes) for path, hashes in outside.items() if not path.endswith(".py")},
        code={path: _join(hashes) for path, hashes in outside.items() if path.endswith(".py")},
        results={path: _join(hashes) for path, hashes in results.items()},
        commands={name: " ".join(_as_text(stage.get("cmd")).split()) for name, stage in stages.items()},
        params={
            key: value
            for stage in stages.values()
            for section in (stage.get("params") or {}).values()
            for key, value in flatten(section).items()
        },
    )


def hash_of(lock: Locked, ending: str) -> str | None:
    """The recorded hash of the result whose path ends so; None if there is none."""
    return next((held for path, held in lock.results.items() if path.endswith(ending)), None)


def read_numbers(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, Number]:
    """All numbers of a metrics file, an interval with the number that it belongs to."""
    numbers: dict[str, Number] = {}
    for key, held in metrics.items():
        name = f"{prefix}{key}"
        if isinstance(held, Mapping):
            if str(key).endswith("_interval") and str(key).removesuffix("_interval") in metrics:
                continue  # read with the number that it belongs to
            if {"value", "low", "high"} <= held.keys():
                numbers[name] = Number(held["value"], held["low"], held["high"], held.get("n"), has_interval=True)
            else:
                numbers |= read_numbers(held, f"{name}.")
        elif held is None or (isinstance(held, (int, float)) and not isinstance(held, bool)):
            interval = metrics.get(f"{key}_interval")
            if isinstance(interval, Mapping):
                bounds = interval.get("low"), interval.get("high")
                numbers[name] = Number(held, *bounds, interval.get("n"), has_interval=True)
            else:
                numbers[name] = Number(held)
    return numbers


def diff_numbers(old: Mapping[str, Number], new: Mapping[str, Number]) -> list[Moved]:
    """Metrics on both sides whose value or interval differ."""
    return [
        Moved(key, old[key], number, _tell_move(old[key], number))
        for key, number in new.items()
        if key in old and old[key] != number
    ]


def top_directions(table: str) -> list[Direction]:
    """The leading directions of the global ranking in the text of a ranking.csv.

    Raises KeyError or ValueError if it is of another form.
    """
    rows = [row for row in csv.DictReader(io.StringIO(table)) if row["scope"] == GLOBAL and int(row["rank"]) <= TOP]
    rows.sort(key=lambda row: int(row["rank"]))
    return [Direction(int(row["dimension"]), int(float(row["direction"]))) for row in rows]


def read_names(table: str) -> dict[int, str]:
    """What dimensions of the global ranking are called, in the text of a directions.csv."""
    rows = csv.DictReader(io.StringIO(table))
    return {int(row["dimension"]): row["name"] for row in rows if row["scope"] == GLOBAL and row.get("name")}


def diff_directions(
    old: Sequence[Direction], new: Sequence[Direction]
) -> tuple[list[Direction], list[Direction], list[Direction]]:
    """Directions that entered the leading ones, that left them, and that stayed but turned round."""
    before = {each.dimension: each.direction for each in old}
    after = {each.dimension: each.direction for each in new}
    entered = [each for each in new if each.dimension not in before]
    left = [each for each in old if each.dimension not in after]
    turned = [each for each in new if before.get(each.dimension, each.direction) != each.direction]
    return entered, left, turned


def _tell_move(old: Number, new: Number) -> Move:
    if not (old.has_interval and new.has_interval):
        return Move.UNKNOWN
    # An unknown bound may lie anywhere: only known ones can tell two intervals apart.
    apart = _is_below(old.high, new.low) or _is_below(new.high, old.low)
    return Move.BEYOND if apart else Move.WITHIN


def _is_below(high: float | None, low: float | None) -> bool:
    return high is not None and low is not None and high < low


def _name_entries(value: list[Any]) -> dict[str, Any]:
    """Entries of a list by their id or name; empty if they have none, or share one."""
    for naming in NAMING_KEYS:
        if value and all(isinstance(entry, Mapping) and naming in entry for entry in value):
            named = {str(entry[naming]): {key: held for key, held in entry.items() if key != naming} for entry in value}
            if len(named) == len(value):
                return named
    return {}


def _overlaps_any(path: str, results: Mapping[str, Any]) -> bool:
    return any(path == result or path.startswith(f"{result}/") or result.startswith(f"{path}/") for result in results)


def _join(hashes: Sequence[str]) -> str:
    return " and ".join(hashes)


def _as_text(command: Any) -> str:
    return "; ".join(map(str, command)) if isinstance(command, list) else str(command)


def iterate_moves(moved: Sequence[Moved], *kinds: Move) -> Iterator[Moved]:
    """Those of the given kinds."""
    return (each for each in moved if each.move in kinds)
