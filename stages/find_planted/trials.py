"""One trial after the other: plant, search, see what was found; tables of spots and trials, and what they say."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.core.seeds import numpy_stream
from failure_atlas.modes.search import find_modes
from failure_atlas.statistics.estimates import estimate_share, flatten, proportion
from stages.find_planted.params import FindPlantedParams
from stages.find_planted.plants import KINDS, Pool, cover_half, draw_failures, draw_plants, measure_overlap

Settings = Mapping[str, Any]  # of `find_modes`
GENERATED, REAL = "generated", "real images alone"


def try_all(
    pools: Mapping[str, tuple[Pool, Pool]], settings: Settings, section: FindPlantedParams,
    advance: Callable[[int], object],
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Each kind in each pool, `runs` times, found in generated images, and beside it in real ones.

    pools: by what spots fire on, generated and real. Where nothing is planted, pools take turns.
    """
    spots, trials = [], []
    for run in range(section.runs):
        for kind in KINDS:
            for place, (basis, pool) in enumerate(pools.items()):
                if KINDS[kind] or run % len(pools) == place:
                    supports = (section.least_support, section.most_support)
                    own = (basis, kind, run, supports, section.failure_rate)
                    found, trial = _try_one(pool, settings, section, *own)
                    spots += found
                    trials += trial
                advance(1)
    return pd.DataFrame(spots), pd.DataFrame(trials)


def try_curve(
    pools: Mapping[str, tuple[Pool, Pool]], settings: Settings, section: FindPlantedParams,
    advance: Callable[[int], object],
) -> pd.DataFrame:  # fmt: skip
    """Share found by support and by failure rate in the spot, of a condition with or without a class."""
    edges = section.curve_supports
    spots: list[dict[str, Any]] = []
    for rate in section.curve_rates:
        for supports in pairwise(edges):
            for run in range(section.curve_runs):
                for basis, pool in pools.items():
                    for kind in ("condition", "class, condition"):
                        try:
                            found, _ = _try_one(pool, settings, section, basis, kind, run, supports, rate)
                        except ValueError:  # severities cannot be cut so finely
                            found = []
                        here = {"rate": rate, "support_low": supports[0], "support_high": supports[1]}
                        spots += [spot | here for spot in found if spot["by"] == GENERATED]
                        advance(1)
    rows: list[dict[str, Any]] = []
    groups = ["rate", "support_low", "support_high"]
    for place, own in pd.DataFrame(spots, columns=None if spots else groups).groupby(groups, sort=False):
        seen = own["found"].to_numpy(bool)
        row = dict(zip(groups, place, strict=True))
        share = estimate_share(int(seen.sum()), len(seen))
        row |= {"found": int(seen.sum()), "n": len(seen), "share": share.value}
        rows.append(row | {"share_low": share.low, "share_high": share.high})
    return pd.DataFrame(rows, columns=[*groups, "found", "n", "share", "share_low", "share_high"])


def _try_one(
    pool: tuple[Pool, Pool], settings: Settings, section: FindPlantedParams, basis: str, kind: str, run: int,
    supports: tuple[float, float], rate: float,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:  # fmt: skip
    """Rows of spots and of trials; overlaps are measured on generated images that no search has seen."""
    made, real = pool
    random = numpy_stream(section.seed, basis, kind, str(run), f"{supports} {rate}")
    plants = draw_plants(made, kind, supports, random)
    half = made.split(random)
    masks = [plant.covers(made)[half] for plant in plants]
    spots, trials = [], []
    for by, own in ((GENERATED, made), (REAL, real)):
        chance, failed = draw_failures(own, plants, section.error_rate, rate, random)
        held = half if by == GENERATED else own.split(random)
        modes, _ = find_modes(own.looks, own.true_class, failed, held, **settings)
        inside = cover_half(modes, own, held)
        false = [not mode.any() or np.mean(chance[held][mode]) <= np.mean(chance[held][~mode]) for mode in inside]
        here = {"by": by, "basis": basis, "kind": kind, "run": run}
        trials.append(here | {"modes": len(modes), "false_modes": int(np.sum(false))})
        shown = cover_half(modes[: section.first_modes], made, half)
        for plant, mask in zip(plants, masks, strict=True):
            overlap = measure_overlap(mask, shown)
            told = {"spot": plant.tell(), "support": float(plant.covers(made).mean()), "overlap": overlap}
            spots.append(here | told | {"found": overlap >= section.overlap})
    return spots, trials


def summarize(spots: pd.DataFrame, trials: pd.DataFrame) -> dict[str, Any]:
    """metrics.json: shares found, with Wilson intervals over spots, and what is reported without reason."""
    metrics: dict[str, Any] = {}
    for by, ending in ((GENERATED, ""), (REAL, "_real_images_alone")):
        own, tried = spots[spots["by"] == by], trials[trials["by"] == by]
        metrics |= flatten(f"planted_recovered_share{ending}", proportion(own["found"].to_numpy(bool)))
        reported, false = int(tried["modes"].sum()), int(tried["false_modes"].sum())
        none = np.repeat([True, False], [false, reported - false])
        metrics |= flatten(f"reported_false_share{ending}", proportion(none))
        clean = tried[tried["kind"] == "none"]
        metrics[f"clean_runs_without_mode{ending}"] = int((clean["modes"] == 0).sum())
        metrics[f"clean_runs{ending}"] = len(clean)
    return metrics


def tabulate(spots: pd.DataFrame) -> pd.DataFrame:
    """planted.csv: share found by basis and kind, generated beside real images alone."""
    rows = []
    for (basis, kind), own in spots.groupby(["basis", "kind"], sort=False):
        row: dict[str, Any] = {"basis": basis, "kind": kind}
        for by, name in ((GENERATED, "generated"), (REAL, "real")):
            found = own.loc[own["by"] == by, "found"].to_numpy(bool)
            share = estimate_share(int(found.sum()), len(found))
            row |= {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high, "n": share.n}
        rows.append(row)
    return pd.DataFrame(rows)
