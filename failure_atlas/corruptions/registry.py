"""Every corruption by name, and the steps of a recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from failure_atlas.corruptions.blurs import BLURS
from failure_atlas.corruptions.compression import COMPRESSIONS
from failure_atlas.corruptions.entry import Constants, Corruption, Rows
from failure_atlas.corruptions.geometry import GEOMETRIES
from failure_atlas.corruptions.noise import NOISES
from failure_atlas.corruptions.overlays import OVERLAYS
from failure_atlas.corruptions.tone import TONES
from failure_atlas.corruptions.weather import WEATHERS

FAMILIES = (NOISES, BLURS, TONES, WEATHERS, COMPRESSIONS, GEOMETRIES, OVERLAYS)
REGISTRY: Mapping[str, Corruption] = {entry.name: entry for family in FAMILIES for entry in family}


@dataclass(frozen=True)
class Step:
    """One corruption of a recipe; rows: its constants at severity 1 to 5, of `table`."""

    corruption: Corruption
    table: str
    rows: Rows

    @property
    def key(self) -> str:
        """The name in stores, metrics and streams."""
        return self.corruption.key

    def constants(self, severity: int) -> Constants:
        """The constants of severity 1 to 5."""
        return self.rows[severity - 1]


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError, which says what is allowed, for an unknown name or one that is given twice."""
    for name in names:
        if name not in REGISTRY:
            raise ValueError(f"names from: {', '.join(REGISTRY)}; there is no {name!r}")
    if len(set(names)) < len(names):
        raise ValueError("each corruption at most once, for its severities are stored under its name")


def choose_steps(names: Sequence[str], table: str) -> list[Step]:
    """The steps of a recipe. An entry with one table takes it; one with several takes `table`.

    Raises ValueError that says what is allowed: for wrong names, and for a table that an entry lacks.
    """
    check_names(names)
    return [_choose_step(REGISTRY[name], table) for name in names]


def _choose_step(corruption: Corruption, table: str) -> Step:
    tables = corruption.tables
    chosen = next(iter(tables)) if len(tables) == 1 else table
    if chosen not in tables:
        raise ValueError(f"table {' or '.join(tables)} with {corruption.name} in the recipe; got table {table}")
    return Step(corruption, chosen, tables[chosen])


def refuse_channels(steps: Sequence[Step], channels: int) -> None:
    """Raise ValueError that names the first step that has no meaning on images of so many channels."""
    for step in steps:
        allowed = step.corruption.channels
        if channels not in allowed:
            needed = " or ".join(map(str, allowed))
            fitting = ", ".join(name for name, entry in REGISTRY.items() if channels in entry.channels)
            raise ValueError(
                f"{step.corruption.name} needs images of {needed} channels, these have {channels}; "
                f"allowed on them: {fitting}"
            )
