"""Changes of real images whose name is known beforehand: the examination that the naming rule has to pass."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.attributes.calibration import Calibration
from failure_atlas.attributes.known_changes import (
    BINARISE,
    BREAK,
    FILL_HOLES,
    THICKEN,
    THIN,
    Change,
    corrupt,
    cut,
    saturate,
    scale_contrast,
    scale_grey,
    tint,
    warp,
)
from failure_atlas.attributes.registry import ATTRIBUTES, NAMES
from failure_atlas.directions.naming import NO_CHANGE, SHAPE_CHANGE, estimate_effects, name_effects, name_rest

GROUP_IMAGES = 10
TAKEN_AWAY = "the same taken away"


@dataclass(frozen=True)
class KnownChange:
    """name: what the rule must say.  text: what is done.  reverse: the changed image comes first.

    start: what is done to the images before, none if they are taken as they are.  holes: whether only images
    with, or only images without a hole are taken; none for all.
    """

    name: str
    text: str
    apply: Change
    reverse: bool = False
    start: Change | None = None
    holes: bool | None = None


def _both(name: str, opposite: str, text: str, apply: Change, **others: Any) -> tuple[KnownChange, KnownChange]:
    """A change, and the same taken away."""
    return KnownChange(name, text, apply, **others), KnownChange(opposite, TAKEN_AWAY, apply, reverse=True, **others)


NOISE, BLUR = corrupt(0.08, 0.0), corrupt(0.0, 1.0)
KNOWN_CHANGES = (
    KnownChange(NO_CHANGE, "nothing is done", lambda images, _: images),
    KnownChange(NO_CHANGE, "grey times 0.99", scale_grey(0.99)),  # which nobody sees
    KnownChange(SHAPE_CHANGE, "the same noise drawn anew", NOISE, start=NOISE),
    *_both("stroke breaks", "stroke joins", "a gap across the stroke", BREAK, start=BINARISE, holes=False),
    *_both("noise +", "noise -", "noise of sigma 0.08 added", NOISE),
    *_both("blurrier", "sharper", "blur of sigma 1 px", BLUR),
    *_both("fainter", "more contrast", "contrast times 0.7", scale_contrast(0.7)),
    *_both("brighter", "darker", "grey raised by 0.2", scale_grey(0.7, 0.2), start=scale_grey(0.7)),
    *_both("thicker stroke", "thinner stroke", "dilated by 1 px", THICKEN, start=BINARISE),
    KnownChange("thinner stroke", "dilated by 1 px, then eroded by 1 px", THIN, start=THICKEN),
    *_both("hole closes", "hole opens", "holes filled", FILL_HOLES, start=BINARISE, holes=True),
    KnownChange("slant right", "sheared by 0.2", warp(xy=-0.2)),
    KnownChange("slant left", "sheared by -0.2", warp(xy=0.2)),
    KnownChange("larger", "scaled by 1.2", warp(yy=1.2, xx=1.2)),
    KnownChange("smaller", "scaled by 0.8", warp(yy=0.8, xx=0.8)),
    KnownChange("taller", "height times 1.15, width over 1.15", warp(yy=1.15, xx=1 / 1.15)),
    KnownChange("wider", "width times 1.15, height over 1.15", warp(yy=1 / 1.15, xx=1.15)),
    KnownChange("moves right", "shifted by 1.5 px", warp(right=1.5)),
    KnownChange("moves left", "shifted by 1.5 px", warp(right=-1.5)),
    KnownChange("moves down", "shifted by 1.5 px", warp(down=1.5)),
    KnownChange("moves up", "shifted by 1.5 px", warp(down=-1.5)),
    *_both("cut off", "less cut off", "half of it outside, with a gap of 1 px closed", cut(2), start=cut(2, gap=True)),
    *_both("redder", "greener", "red times 1.3, as bright as before", tint(1.3, 1, 1)),
    *_both("bluer", "yellower", "blue times 1.3, as bright as before", tint(1, 1, 1.3)),
    *_both("more colourful", "less colourful", "half as far again from grey", saturate(1.5)),
)


def check_naming(
    images: np.ndarray,
    calibration: Calibration,
    spread: np.ndarray,
    fdr: float,
    stream: Callable[[str], np.random.Generator],
    advance: Callable[[int], object] = lambda _: None,
) -> pd.DataFrame:
    """Apply each known change to groups of ten real clean images and name the mean effect of each group.

    images: uint8 [N, C, H, W], none of those calibrated on; those beyond a multiple of ten are left out,
    and those with or without a hole where the change asks for that; a change that fewer than ten suit has no row,
    nor has one of what these images do not show (`Scene`).
    spread: [M], see `name_effects`.  stream: the generator of the named change's noise.
    Returns one row per group and change: expected, change, group, named, second_name, correct, n (images).
    """
    images = images[: len(images) // GROUP_IMAGES * GROUP_IMAGES]
    measured, scene = calibration.measure(images), calibration.scene
    rest = name_rest(scene)
    needs = {word: attribute for attribute in ATTRIBUTES for word in (attribute.more, attribute.less)}
    rows = []
    for known in KNOWN_CHANGES:
        expected = known.name if known.name != SHAPE_CHANGE else rest
        taken = np.arange(len(images))
        if known.holes is not None:
            taken = np.flatnonzero((measured[:, NAMES.index("holes")] >= 1) == known.holes)
        taken = taken[: len(taken) // GROUP_IMAGES * GROUP_IMAGES]
        advance(len(images))
        if len(taken) == 0 or (known.name in needs and not scene.has(needs[known.name])):
            continue
        first, before = images[taken], measured[taken]
        if known.start is not None:
            first = known.start(images[taken], stream(f"{known.name}, {known.text}, start"))
            before = calibration.measure(first)
        changed = known.apply(images[taken], stream(f"{known.name}, {known.text}"))
        sign = -1 if known.reverse else 1
        differences = sign * (calibration.mend(calibration.measure(changed)) - calibration.mend(before))
        pixels = np.abs(changed.astype(np.float64) - first).mean(axis=(1, 2, 3)) / 255
        for group, members in enumerate(np.split(np.arange(len(taken)), len(taken) // GROUP_IMAGES)):
            effects = estimate_effects(differences[members])
            name = name_effects(effects, spread, float(pixels[members].mean()), fdr, rest)
            row = {"expected": expected, "change": known.text, "group": group, "named": name.first}
            row |= {"second_name": name.second, "correct": name.first == expected, "n": GROUP_IMAGES}
            rows.append(row)
    return pd.DataFrame(rows)
