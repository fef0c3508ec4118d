"""How far metrics of two honest runs may lie apart: measured over runs that differ in nothing but a seed.

    python -m flows.evidence.spread FOLDERS...

reads the metrics files of clones in which the DAG has run, each with another seed, and writes spread.csv beside this
module. `Tolerances.compare` holds the metrics of a bundle against those of a fresh run.

Two numbers agree if they differ by at most FACTOR times a standard deviation s: the larger of
- that of this number over the seeds, pooled over its interval's ends, over classes and entries of a list, and, for a
  classifier that the table does not know, over those that it knows;
- `per_half_width` times the half-width of its interval in the fresh run; of a whole number without one 1.96 times the
  root of one more, as of a count; of another number without one `per_size` times its size. Both are the lower quartile,
  over all numbers that vary with the seed, of s by the half-width or the size: a rule for what is new or never varied.
What metrics are rounded to, and one of a count, is always allowed.
FACTOR is the two-sided quantile of Student's t at LEVEL for the degrees of freedom, times sqrt(2): both are draws.
Of an interval, moreover, low <= value <= high, and its width by the root of its n lies within `width_factor` of the
fresh run's, MARGIN times the largest ratio between two seeds. Missing, null or another word is allowed where it was so
with some seed (`optional`), and null where n is 0.
"""

import csv
import json
import math
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeGuard

from flows.errors import FlowError

TABLE = Path(__file__).with_name("spread.csv")
FIELDS = ("file", "key", "std", "numbers", "seeds", "optional")
LEVEL = 0.01
RULES = "all"  # in the column `file`, for what holds for all of them
ROUNDING = 1e-6  # metrics have six digits
MARGIN = 1.5
KEY_CHARACTERS = 20_000_000  # of the names of all numbers of a file, each with those around it
WIDEST = 100  # interval that says anything, in sizes of its value (or 1); the widest of the default run is 3
Z = 1.96  # half-widths of 95 % intervals, in standard deviations
LEAST_SEEDS = 3

Leaf = int | float | bool | str | None
Flat = Mapping[str, Leaf]


@dataclass(frozen=True)
class Row:
    """The spread of a number, or of several of a kind: pooled standard deviation, and how many numbers it is from."""

    std: float
    numbers: int
    optional: bool


@dataclass(frozen=True)
class Tolerances:
    """The measured spread, by file and key with `*` for classes, entries of lists and names that vary."""

    rows: Mapping[tuple[str, str], Row]
    seeds: int
    per_half_width: float
    per_size: float
    width_factor: float

    @staticmethod
    def read(path: Path = TABLE) -> "Tolerances":
        """Read the table that `write` wrote."""
        with path.open(encoding="utf-8", newline="") as file:
            read = list(csv.DictReader(file))
        rows = {
            (row["file"], row["key"]): Row(float(row["std"]), int(row["numbers"]), row["optional"] == "1")
            for row in read
        }
        rules = [rows.pop((RULES, name)).std for name in ("per_half_width", "per_size", "width_factor")]
        return Tolerances(rows, int(read[0]["seeds"]), *rules)

    def write(self, path: Path = TABLE) -> None:
        """Write the table."""
        rules = {(RULES, name): Row(getattr(self, name), 0, False) for name in list(vars(self))[2:]}
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(FIELDS)
            for (name, key), row in sorted({**rules, **self.rows}.items()):
                writer.writerow((name, key, f"{row.std:.4g}", row.numbers, self.seeds, int(row.optional)))

    def compare(self, path: str, old: Any, new: Any) -> Iterator[str]:
        """Where the metrics of a bundle (old) differ from those of a fresh run (new) by more than is allowed.

        path: of the file, in the project.
        """
        then, now = dict(_flatten(old)), dict(_flatten(new))
        yield from find_faults(old)
        for key in sorted({*then, *now}):
            row = self._find(path, key)
            held, found = then.get(key), now.get(key)
            if _is_number(held) and _is_number(found):
                allowed = self._allow(row, key, now)
                if not abs(held - found) <= allowed:
                    yield f"{key}: {held:g} in the bundle, {found:g} in the fresh run; allowed: {allowed:.2g} apart"
            elif key in then and key in now and held == found:
                continue
            elif not (row and row.optional) and not any(_is_empty(key, flat) for flat in (then, now)):
                told = [repr(flat[key])[:60] if key in flat else "nothing" for flat in (then, now)]
                yield f"{key}: {told[0]} in the bundle, {told[1]} in the fresh run"
        for key in sorted(then.keys() & now.keys()):
            ratio = _compare_widths(key, then, now)
            if ratio > self.width_factor:
                name = _split(key)[0]
                wide = f"{ratio:.3g} times as wide or as narrow, for its n; allowed: {self.width_factor:g}"
                yield f"{name}: an interval {wide}"

    def _find(self, path: str, key: str) -> Row | None:
        """The row of a number; of a classifier that the table does not know those of all that it knows, pooled."""
        stage, _, name = _name_file(path).partition("/")
        parts = _generalise(_split(key)[0]).split(".")
        if row := self._look_up(f"{stage}/{name}" if name else stage, parts):
            return row
        known = sorted({file.split("/")[1] for file, _ in self.rows if "/" in file})
        if name:
            rows = [self._look_up(f"{stage}/{each}", parts) for each in known]
        else:
            rows = [self._look_up(stage, [each, *parts[1:]]) for each in known]
        held = [row for row in rows if row]
        pooled = _root_mean_square([row.std for row in held]) if held else 0.0
        return Row(pooled, sum(row.numbers for row in held), any(row.optional for row in held)) if held else None

    def _look_up(self, file: str, parts: list[str]) -> Row | None:
        tries = [parts, *([*parts[:place], "*", *parts[place + 1 :]] for place in range(len(parts)))]
        return next(filter(None, (self.rows.get((file, ".".join(each))) for each in tries)), None)

    def _allow(self, row: Row | None, key: str, now: Flat) -> float:
        """How far a number may lie from that of the fresh run."""
        number, half = now[key], _half_width(key, now)
        if half is not None:
            least = self.per_half_width * half
        else:
            size = abs(float(number or 0))
            least = self.per_half_width * Z * math.sqrt(size + 1) if isinstance(number, int) else self.per_size * size
        from scipy.special import stdtrit  # late: a check without a rerun need not wait for it

        factor = math.sqrt(2) * float(stdtrit(self.seeds - 1, 1 - LEVEL / 2))
        rounding = 1.0 if isinstance(number, int) else ROUNDING * max(1.0, abs(float(number or 0)))
        return max(factor * max(row.std if row else 0.0, least), rounding)


def measure_spread(folders: Iterable[Path]) -> Tolerances:
    """Measure the spread over clones of the project in which the DAG has run, each with another seed."""
    roots = list(folders)
    if len(roots) < LEAST_SEEDS:
        raise FlowError(f"{len(roots)} folders; allowed: {LEAST_SEEDS} or more runs, each with another seed")
    found = {path.relative_to(root) for root in roots for path in root.glob("data/**/metrics.json")}
    pools: dict[tuple[str, str], list[float]] = defaultdict(list)
    optional: set[tuple[str, str]] = set()
    by_half_width, by_size, widths = [], [], [1.0]
    for file in sorted(path for path in found if path.parts[1] != "study"):
        if missing := [root for root in roots if not (root / file).is_file()]:
            raise FlowError(f"{missing[0] / file}: missing; run the DAG there first")
        runs = [_read_numbers(root / file) for root in roots]
        varying = _find_varying(runs)
        for key in sorted(set().union(*runs)):
            place = (_name_file(file.as_posix()), _generalise(_split(key)[0], varying))
            values = [run.get(key) for run in runs]
            numbers = [value for value in values if _is_number(value)]
            if len(numbers) < len(runs) and not all(key in run and run[key] == values[0] for run in runs):
                optional.add(place)
            if len(numbers) < 2:
                continue
            std, size = statistics.stdev(numbers), abs(statistics.mean(numbers))
            pools[place].append(std)
            halves = [half for run in runs if key in run and (half := _half_width(key, run))]
            if std and halves:
                by_half_width.append(std / statistics.mean(halves))
            elif std and size and not isinstance(numbers[0], int):
                by_size.append(std / size)
            widths += [_compare_widths(key, *pair) for pair in combinations([run for run in runs if key in run], 2)]
    rows = {
        place: Row(_root_mean_square(pools[place] or [0.0]), len(pools[place]), place in optional)
        for place in {*pools, *optional}
    }
    kept = {place: row for place, row in rows.items() if row.std or row.optional}
    return Tolerances(kept, len(roots), _lower_quartile(by_half_width), _lower_quartile(by_size), MARGIN * max(widths))


def find_faults(metrics: Any) -> Iterator[str]:
    """What no honest run says: numbers that are not finite, intervals that miss their value or hold everything."""
    flat: dict[str, Leaf] = {}
    length = 0
    for key, held in _flatten(metrics):
        length += len(key)
        if length > KEY_CHARACTERS:
            raise ValueError(f"more than {KEY_CHARACTERS} characters of keys, one in another")
        if key in flat:
            yield f"{key}: two numbers of one name"
        flat[key] = held
    for key, held in flat.items():
        if not _is_number(held):
            continue
        if not math.isfinite(held):
            yield f"{key}: {held}; a number that is not finite"
        elif key.endswith(".low") and (base := _split(key)[0]):
            value = flat.get(f"{base}.value", flat.get(base))
            ends = [
                number for number in (held, value, flat.get(f"{key.removesuffix('low')}high")) if _is_number(number)
            ]
            if ends != sorted(ends):
                yield f"{base}: the interval does not hold its value ({', '.join(f'{number:g}' for number in ends)})"
            elif ends[-1] - ends[0] > WIDEST * max(1.0, abs(ends[len(ends) // 2])):
                yield f"{base}: an interval from {ends[0]:g} to {ends[-1]:g} says nothing"


def tell_largest(old: Path, new: Path) -> str:
    """The largest relative difference between the numbers of two metrics files or tables; empty for other files."""
    try:
        then, now = _read_numbers(old), _read_numbers(new)
    except (ValueError, OSError):
        return ""
    apart = {
        key: abs(held - found) / max(abs(held), abs(found))
        for key, held in then.items()
        if _is_number(held) and _is_number(found := now.get(key)) and held != found
    }
    words = sum(then.get(key) != now.get(key) for key in {*then, *now}) - len(apart)
    told = [f"{words} entries that are no numbers, or not on both sides"] if words else []
    if apart:
        key = max(apart, key=lambda name: apart[name])
        told.insert(0, f"{len(apart)} numbers, the most {key} by {apart[key]:.2g} of its size")
    return f" ({'; '.join(told)})" if told else ""


def _read_numbers(path: Path) -> dict[str, Leaf]:
    """All that a metrics file or a table holds; nothing of other files."""
    if path.suffix == ".json":
        return dict(_flatten(json.loads(path.read_bytes())))
    if path.suffix != ".csv":
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = enumerate(csv.DictReader(file), start=2)
        return {f"line {line} {name}": _read_cell(text) for line, row in rows for name, text in row.items()}


def _read_cell(text: str) -> Leaf:
    try:
        return float(text)
    except (TypeError, ValueError):
        return str(text)


def _flatten(value: Any, key: str = "") -> Iterator[tuple[str, Leaf]]:
    """Key and content of all that parsed JSON holds, as `a.b[2].c`; an empty mapping or list as its text."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flatten(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from _flatten(inner, f"{key}[{place}]")
    else:
        yield key, str(value) if isinstance(value, dict | list) else value


def _split(key: str) -> tuple[str, str]:
    """A number's name, and which end of its interval it is: `a.b.low` and `a.b_interval.low` are `a.b`, `low`."""
    found = re.fullmatch(r"(.+?)(?:_interval)?\.(low|high|value)", key, re.DOTALL)
    return (found[1], found[2]) if found else (key, "")


def _half_width(key: str, flat: Flat) -> float | None:
    """Half the width of the interval that a number is of; None if it has none with two ends."""
    base, _ = _split(key)
    for name in (base, f"{base}_interval"):
        low, high = flat.get(f"{name}.low"), flat.get(f"{name}.high")
        if _is_number(low) and _is_number(high):
            return (high - low) / 2
    return None


def _is_empty(key: str, flat: Flat) -> bool:
    """Whether a number is null because it is of nothing."""
    base, _ = _split(key)
    return key in flat and flat[key] is None and 0 in (flat.get(f"{base}.n"), flat.get(f"{base}_interval.n"))


def _compare_widths(key: str, then: Flat, now: Flat) -> float:
    """How many times as wide one interval is as the other, for equal n; key: of its lower end, else 1."""
    if _split(key)[1] != "low":
        return 1.0
    scaled = []
    for flat in (then, now):
        half, n = _half_width(key, flat), flat.get(f"{key.removesuffix('low')}n")
        scaled.append((half or 0.0) * math.sqrt(n if _is_number(n) and n > 0 else 1))
    least, most = sorted(scaled)
    return most / least if least > 0 else 1.0


def _name_file(path: str) -> str:
    """`data/rank_dimensions/clean/metrics.json` as `rank_dimensions/clean`."""
    return path.removeprefix("data/").removesuffix("/metrics.json")


def _generalise(key: str, varying: Iterable[str] = ()) -> str:
    """A key with `*` for whole numbers, and for all that lies directly below a varying key."""
    parts = re.sub(r"\[\d+\]", "[*]", key).split(".")
    return ".".join(
        "*" if part.isdigit() or ".".join(parts[:place]) in varying else part for place, part in enumerate(parts)
    )


def _find_varying(runs: list[dict[str, Leaf]]) -> set[str]:
    """The keys that hold entries of other names with another seed, where those hold more than a number."""
    children: dict[str, list[set[str]]] = defaultdict(lambda: [set() for _ in runs])
    for number, run in enumerate(runs):
        for key in run:
            parts = re.sub(r"\[\d+\]", "[*]", _split(key)[0]).split(".")
            for place in range(1, len(parts)):
                children[".".join(parts[:place])][number].add(parts[place])
    return {key for key, held in children.items() if len({frozenset(names) for names in held if names}) > 1}


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _root_mean_square(values: list[float]) -> float:
    return math.sqrt(statistics.mean(value**2 for value in values))


def _lower_quartile(values: list[float]) -> float:
    return statistics.quantiles(values, n=4)[0] if len(values) > 1 else 0.0


if __name__ == "__main__":
    try:
        measure_spread(map(Path, sys.argv[1:])).write()
    except FlowError as error:
        sys.exit(f"error: {error}")
