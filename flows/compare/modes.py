"""Failure modes before and after: which kinds of input are gone, new or stay, and how often they are misread."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from failure_atlas.decisions.summary import tell_percent, tell_std
from failure_atlas.statistics.estimates import NAN, Estimate
from flows.compare.differences import Number, tell_move

HEADER = "kind of input", "what", "misread in A", "misread in B", "how often", "real images in A", "real images in B"
GONE, NEW, STAYS = "gone", "new", "stays"
VERBS = {GONE: ("is gone", "are gone"), NEW: ("is new", "are new"), STAYS: ("stays", "stay")}
LESS, MORE, SAME = "less often", "more often", "within the intervals"
NEITHER = "none less or more often"
EXPLAINED = (
    "A kind of input stays if both sides report one of the same class with bounds on the same sides of the same "
    "attributes. Less or more often: the two intervals lie apart. In A's kind, where B's others.csv tells it: B's "
    "classifier on the same images; in B's kind: A's. What is gone without it may be misread as before."
)

Bounds = tuple[float | None, float | None]  # above the first, not above the second
Rates = Mapping[int, Number]  # how often a classifier misreads the kind of each rank


@dataclass(frozen=True)
class Kind:
    """A kind of input on which a classifier fails: a row of modes.csv.

    rate, real: how often it is misread, of generated and of real images.  label: of its class, None for any.
    bounds: by attribute; None in the table of an older version, which has them in words alone.
    """

    rank: int
    sentence: str
    rate: Number
    real: Number
    label: str | None
    bounds: Mapping[str, Bounds] | None

    @property
    def form(self) -> tuple[str | None, set[tuple[str, bool, bool]]]:
        """The class, and which attributes are bounded on which sides: two runs may put the bounds elsewhere."""
        return self.label, {(name, low is None, high is None) for name, (low, high) in (self.bounds or {}).items()}

    def measure_distance(self, other: "Kind") -> float:
        """How far apart the bounds of two kinds of one form lie, as shares of their values."""
        sides = [zip(pair, (other.bounds or {})[name], strict=True) for name, pair in (self.bounds or {}).items()]
        pairs = [(a, b) for side in sides for a, b in side if a is not None and b is not None]
        return sum(abs(a - b) / ((abs(a) + abs(b)) or 1) for a, b in pairs)


class Fate(NamedTuple):
    """What became of a kind of input.

    there: how often the other side's classifier misreads the same images (B's those of A's kind, A's those of a kind
    that is new in B), where that is known.
    """

    old: Kind | None
    new: Kind | None
    there: Number | None = None

    @property
    def what(self) -> str:
        """Gone, new or stays."""
        return NEW if self.old is None else GONE if self.new is None else STAYS

    @property
    def way(self) -> str:
        """Whether B misreads it more or less often, on the same images if it can; empty where one side is unknown."""
        before = self.old.rate if self.old else self.there
        after = (self.there if self.old else None) or (self.new.rate if self.new else None)
        if before is None or after is None:
            return ""
        return LESS if after.is_below(before) else MORE if before.is_below(after) else SAME

    def tell(self) -> tuple[str, ...]:
        """A row of the table."""
        kinds = self.old, self.new
        rates, reals = ([_tell(getattr(each, key)) if each else "" for each in kinds] for key in ("rate", "real"))
        if self.there:
            place, kind = (1, "A") if self.old else (0, "B")
            rates[place] += f"{'; ' * bool(rates[place])}in {kind}'s kind: {_tell(self.there)}"
        sentences = dict.fromkeys(each.sentence for each in kinds if each)
        return "; in B: ".join(sentences), self.what, *rates, self.way, *reals


def read_kinds(table: bytes) -> list[Kind]:
    """The kinds in a modes.csv; KeyError, ValueError or TypeError if it is of another form."""
    kinds = []
    for row in csv.DictReader(table.decode("utf-8").splitlines()):
        held = json.loads(row.get("definition") or '{"class": null, "bounds": null}')
        bounds = held["bounds"] and {name: _read_bounds(*pair) for name, pair in dict(held["bounds"]).items()}
        numbers = _read_number(row, "rate", "n"), _read_number(row, "real_rate", "n_real")
        kinds.append(Kind(int(row["rank"]), row["sentence"], *numbers, held["class"], bounds))
    return kinds


def read_others(table: bytes) -> dict[str, Rates]:
    """The rates in an others.csv by classifier; KeyError, ValueError or TypeError if it is of another form."""
    others: dict[str, dict[int, Number]] = {}
    for row in csv.DictReader(table.decode("utf-8").splitlines()):
        others.setdefault(row["classifier"], {})[int(row["rank"])] = _read_number(row, "rate", "n")
    return {**others}


def follow(old: Sequence[Kind], new: Sequence[Kind], in_old: Rates, in_new: Rates) -> list[Fate]:
    """What became of each kind: those gone, those new, those that stay, of several of one form the nearest.

    in_old, in_new: of B's classifier in A's kinds and of A's in those of B, as far as they are known.
    """
    near = [(i, j) for i, one in enumerate(old) for j, other in enumerate(new) if one.form == other.form]
    found = dict[int, int]()
    for i, j in sorted(near, key=lambda pair: old[pair[0]].measure_distance(new[pair[1]])):
        if i not in found and j not in found.values():
            found[i] = j
    gone = [Fate(kind, None, in_old.get(kind.rank)) for i, kind in enumerate(old) if i not in found]
    added = [Fate(None, kind, in_new.get(kind.rank)) for j, kind in enumerate(new) if j not in found.values()]
    return gone + added + [Fate(old[i], new[j], in_old.get(old[i].rank)) for i, j in sorted(found.items())]


def count_fates(fates: Sequence[Fate]) -> str:
    """How many kinds of input are gone, new or stay; empty without any."""
    told, of = [], f" of {sum(fate.old is not None for fate in fates)} kinds of input"
    for what, verbs in VERBS.items():
        ways = [fate.way for fate in fates if fate.what == what]
        moved = " and ".join(f"{ways.count(way)} {way}" for way in (LESS, MORE) if way in ways) or NEITHER
        known = f" (B misreads {moved})" if any(ways) else ""
        told.append(f"{len(ways)}{of if what == GONE else ''} {verbs[len(ways) != 1]}{known}")
    return ", ".join(told) if fates else ""


def tell_worst(*sides: Sequence[Kind]) -> str:
    """How often the kind that is misread most often is, in A and in B; empty where one of them has none."""
    old, new = (max((kind.rate for kind in side), key=lambda rate: rate.value or 0, default=None) for side in sides)
    return f"misread in the worst kind {_tell_both(old, new, _tell)}" if old and new else ""


def tell_distance(old: Number | None, new: Number | None) -> str:
    """The median distances to failure of A and B; empty where one is not known."""
    return f"distance to failure (median) {_tell_both(old, new, _tell_std)}" if old and new else ""


def _tell_both(old: Number, new: Number, tell: Callable[[Number], str]) -> str:
    if old == new:
        return f"{tell(old)} in both"
    return f"{tell(old)} -> {tell(new)}: {tell_move(old, new).rstrip(':').lower()}"


def _tell(number: Number) -> str:
    return tell_percent(_estimate(number)) if number.n else "none seen"


def _tell_std(number: Number) -> str:
    return "none found from most images" if number.value is None else tell_std(_estimate(number))


def _estimate(number: Number) -> Estimate:
    value, low, high = (NAN if each is None else each for each in (number.value, number.low, number.high))
    return Estimate(value, low, high, number.n)


def _read_bounds(low: float | None, high: float | None) -> Bounds:
    return None if low is None else float(low), None if high is None else float(high)


def _read_number(row: Mapping[str, str], key: str, count: str) -> Number:
    value, low, high = (float(row[part]) if row[part] else None for part in (key, f"{key}_low", f"{key}_high"))
    return Number(value, low, high, int(float(row[count])), has_interval=True)
