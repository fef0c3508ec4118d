"""Blind spots that are planted into an oracle, and whether modes have found them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from failure_atlas.modes.mode import Mode, cover

APPLIED, MEASURED = "applied", "measured"  # by the recipe that was written down, or by another implementation
KINDS: dict[str, tuple[int, ...]] = {  # how many classes each planted spot is of, 0 for any
    "condition": (0,),
    "class, condition": (1,),
    "two classes, condition": (2,),
    "two spots": (1, 0),
    "none": (),
}
APART = 0.5  # of each of two spots lies outside the other
TRIES = 1000


@dataclass(frozen=True)
class Pool:
    """Images in which spots are planted.

    looks: float64 [N, M], as the search sees them.  true_class: int64 [N].  levels: by name [N], what spots fire on.
    origin: int64 [N], images of one origin are searched, or not, together.
    """

    looks: np.ndarray
    true_class: np.ndarray
    levels: Mapping[str, np.ndarray]
    origin: np.ndarray

    def split(self, random: np.random.Generator) -> np.ndarray:
        """The half that is not searched, bool [N]."""
        return np.asarray(random.random(int(self.origin.max()) + 1)[self.origin] < 0.5)


@dataclass(frozen=True)
class Plant:
    """One blind spot.  classes: empty for any.  name: of the level.  low, high: above, and not above."""

    classes: tuple[int, ...]
    name: str
    low: float
    high: float

    def covers(self, pool: Pool) -> np.ndarray:
        """Where the oracle is blind, bool [N]."""
        level = pool.levels[self.name]
        inside = (level > self.low) & (level <= self.high)
        return np.asarray(inside & np.isin(pool.true_class, self.classes) if self.classes else inside)

    def tell(self) -> str:
        """Such as `3 or 8, noise above 0.12`."""
        bounds = {"above": self.low, "not above": self.high}
        sides = [f"{word} {bound:.3g}" for word, bound in bounds.items() if np.isfinite(bound)]
        return f"{' or '.join(map(str, self.classes))}{', ' * bool(self.classes)}{self.name} {' and '.join(sides)}"


def draw_plants(pool: Pool, kind: str, supports: tuple[float, float], random: np.random.Generator) -> list[Plant]:
    """One spot for each entry of the kind, with a support between the two, drawn evenly on a logarithmic scale.

    Levels that take few values, such as severities, are cut between two of them, so that supports are what they are.
    Raises ValueError if there is no such spot.
    """
    for _ in range(TRIES):
        plants = [_draw_plant(pool, classes, supports, random) for classes in KINDS[kind]]
        masks = [plant.covers(pool) for plant in plants]
        good = all(supports[0] <= mask.mean() <= 1.5 * supports[1] for mask in masks)
        others = zip(masks, masks[::-1], strict=True) if len(masks) == 2 else ()
        if good and all(np.mean(own & ~other) >= APART * own.mean() for own, other in others):
            return plants
    raise ValueError(f"no {kind} of a support in {supports}")


def _draw_plant(pool: Pool, classes: int, supports: tuple[float, float], random: np.random.Generator) -> Plant:
    labels = np.unique(pool.true_class)
    chosen = tuple(sorted(int(each) for each in random.choice(labels, classes, replace=False)))
    own = np.isin(pool.true_class, chosen) if chosen else np.ones(len(pool.true_class), bool)
    name = str(random.choice(sorted(name for name, level in pool.levels.items() if len(np.unique(level)) > 1)))
    level = pool.levels[name][own]
    level = level[np.isfinite(level)]
    share = min(0.95, np.exp(random.uniform(*np.log(supports))) / own.mean())
    values, below = np.unique(level), random.random() < 0.5
    if len(values) < 20:  # severities: from one on, or one alone
        place = int(random.integers(1, len(values)))
        low = (values[place - 1] + values[place]) / 2
        high = (values[place] + values[place + 1]) / 2 if below and place + 1 < len(values) else np.inf
        return Plant(chosen, name, float(low), float(high))
    bound = float(np.quantile(level, share if below else 1 - share))
    return Plant(chosen, name, -np.inf, bound) if below else Plant(chosen, name, bound, np.inf)


def draw_failures(
    pool: Pool, plants: Sequence[Plant], error_rate: float, failure_rate: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Chance of failing [N], and who fails, bool [N]: errors anywhere, and failures in each spot."""
    right = np.full(len(pool.true_class), 1 - error_rate)
    for plant in plants:
        right = np.where(plant.covers(pool), right * (1 - failure_rate), right)
    return 1 - right, random.random(len(right)) >= right


def measure_overlap(plant: np.ndarray, modes: np.ndarray) -> float:
    """Intersection over union of a spot, bool [n], with a mode or with the union of those that say it; bool [K, n].

    A mode says it if at least half of what it covers is in the spot.
    """
    saying = [mode for mode in modes if mode.any() and np.mean(plant[mode]) >= 0.5]
    unions = [*modes, *([np.any(saying, axis=0)] if saying else [])]
    return max((float(np.sum(plant & each) / max(np.sum(plant | each), 1)) for each in unions), default=0.0)


def cover_half(modes: Sequence[Mode], pool: Pool, half: np.ndarray) -> np.ndarray:
    """What each mode covers of the half that was not searched, bool [K, n]."""
    return cover(modes, pool.looks[half], pool.true_class[half])
