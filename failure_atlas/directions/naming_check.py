"""Does the rule name a change that is known? On real clean images, group by group."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from failure_atlas.directions.calibration import Calibration
from failure_atlas.directions.known_changes import KNOWN_CHANGES
from failure_atlas.directions.measurements import MEASUREMENTS, NAMES
from failure_atlas.directions.naming import SHAPE_CHANGE, estimate_effects, name_effects

GROUP_IMAGES = 10


def check_naming(
    images: np.ndarray,
    calibration: Calibration,
    spread: np.ndarray,
    fdr: float,
    stream: Callable[[str], np.random.Generator],
    advance: Callable[[int], object] = lambda _: None,
) -> pd.DataFrame:
    """Apply each known change to groups of ten images and name the mean effect of each group.

    images: uint8 [N, C, H, W], none of those calibrated on; those beyond a multiple of ten are left out,
    and those with or without a hole where the change asks for that; a change that fewer than ten suit has no row,
    nor has one of what these images do not show (`World`).
    spread: [M], see `name_effects`.  stream: the generator of the named change's noise.
    Returns one row per group and change: expected, change, group, named, second_name, correct, n (images).
    """
    images = images[: len(images) // GROUP_IMAGES * GROUP_IMAGES]
    measured, world = calibration.measure(images), calibration.world
    needs = {word: measurement for measurement in MEASUREMENTS for word in (measurement.more, measurement.less)}
    rows = []
    for known in KNOWN_CHANGES:
        expected = known.name if known.name != SHAPE_CHANGE else world.rest
        taken = np.arange(len(images))
        if known.holes is not None:
            taken = np.flatnonzero((measured[:, NAMES.index("holes")] >= 1) == known.holes)
        taken = taken[: len(taken) // GROUP_IMAGES * GROUP_IMAGES]
        advance(len(images))
        if len(taken) == 0 or (known.name in needs and not world.has(needs[known.name])):
            continue
        first, before = images[taken], measured[taken]
        if known.start is not None:
            first = known.start(images[taken], stream(f"{known.name}, {known.text}, start"))
            before = calibration.measure(first)
        changed = known.apply(images[taken], stream(f"{known.name}, {known.text}"))
        sign = -1 if known.reverse else 1
        differences = sign * (calibration.mend(calibration.measure(changed)) - calibration.mend(before))
        pixels = np.abs(changed.astype(np.float64) - first).mean(axis=(1, 2, 3)) / 255
        for group in range(len(taken) // GROUP_IMAGES):
            members = slice(group * GROUP_IMAGES, (group + 1) * GROUP_IMAGES)
            effects, change = estimate_effects(differences[members]), float(pixels[members].mean())
            name = name_effects(effects, spread, change, fdr, world.rest)
            rows.append(
                {
                    "expected": expected,
                    "change": known.text,
                    "group": group,
                    "named": name.first,
                    "second_name": name.second,
                    "correct": name.first == expected,
                    "n": GROUP_IMAGES,
                }
            )
    return pd.DataFrame(rows)
