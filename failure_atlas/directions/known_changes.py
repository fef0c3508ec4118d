"""Changes of real images whose name is known beforehand: the examination that the naming rule has to pass."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.morphology import skeletonize

from failure_atlas.directions.calibration import Calibration, corrupt_known, round_grey
from failure_atlas.directions.measurements import MEASUREMENTS, NAMES, to_grey
from failure_atlas.directions.naming import NO_CHANGE, SHAPE_CHANGE, estimate_effects, name_effects

GROUP_IMAGES = 10
FINE = 4  # steps per pixel in which strokes are thickened and thinned
_STEPS = np.arange(-2, 3)
DISC = (_STEPS[:, None] ** 2 + _STEPS**2 <= 4)[None, None]  # radius 2 steps: half a pixel
TRIES, LEAST_PART = 20, 0.1  # places at which a break is tried; share of the stroke that each part must keep
TAKEN_AWAY = "the same taken away"

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # uint8 [N, C, H, W] to the same


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


def corrupt(noise_std: float, blur_std_px: float) -> Change:
    """Noise in grey and blur in pixels: sigma 0.08 and 1 px are the least of ImageNet-C."""
    return lambda images, random: corrupt_known(images, noise_std, blur_std_px, random)


def scale_grey(factor: float) -> Change:
    """Grey times a factor."""
    return lambda images, _: round_grey(images / 255 * factor)


def redraw(operation: Change) -> Change:
    """An operation on strokes, cut at half height, at four times the size, as in Morpho-MNIST (Castro et al. 2019).

    operation: on bool [N, C, 4H, 4W]; the strokes are drawn again in full grey.
    """

    def apply(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
        n, channels, height, width = images.shape
        large = ndimage.zoom(images / 255, (1, 1, FINE, FINE), order=1, grid_mode=True, mode="nearest")
        drawn = operation(large > large.max(axis=(2, 3), keepdims=True) / 2, random)
        return round_grey(drawn.reshape(n, channels, height, FINE, width, FINE).mean(axis=(3, 5)))

    return apply


def _break_each(strokes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A gap across, two pixels longer than the stroke is wide, where it falls apart: Morpho-MNIST's fracture.

    Strokes that no gap of 20 tried sets apart, as a ring, are left as they are.
    """
    broken = strokes.copy()
    rows, columns = np.indices(strokes.shape[2:])
    for image, target in zip(strokes, broken, strict=True):
        mask = image.any(axis=0)
        whole = ndimage.label(mask)[1]
        places = np.argwhere(skeletonize(mask))  # type: ignore[no-untyped-call]
        depth = ndimage.distance_transform_edt(mask)
        for y, x in places[random.permutation(len(places))[:TRIES]]:
            gap = np.hypot(rows - y, columns - x) <= depth[y, x] + FINE
            parts, count = ndimage.label(mask & ~gap)
            sizes = np.bincount(parts.ravel())[1:]
            if count > whole and sizes.min() >= LEAST_PART * mask.sum():
                target[:, gap] = False
                break
    return broken


def tint(red: float, green: float, blue: float) -> Change:
    """Each channel of coloured images times its factor, and all three by what keeps an image as bright as it was."""

    def apply(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
        tinted = images / 255 * np.array([red, green, blue])[:, None, None]
        before, after = (to_grey(each).mean(axis=(1, 2)) for each in (images, tinted * 255))
        return round_grey(tinted * np.where(after > 0, before / np.maximum(after, 1e-9), 1)[:, None, None, None])

    return apply


def saturate(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Coloured images, each pixel half as far again from its grey."""
    grey = to_grey(images)[:, None]
    return round_grey(grey + 1.5 * (images / 255 - grey))


def warp(yy: float = 1, yx: float = 0, xy: float = 0, xx: float = 1, *, down: float = 0, right: float = 0) -> Change:
    """The linear map [[yy, yx], [xy, xx]] of (y, x) about each image's centre of grey, then a shift in pixels.

    Cubic interpolation, which blurs least.
    """
    backward = np.linalg.inv(np.array([[yy, yx], [xy, xx]], float))

    def apply(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
        changed = np.empty(images.shape)
        for image, target in zip(images, changed, strict=True):
            centre = np.array(ndimage.center_of_mass(image.mean(axis=0))) if image.any() else np.zeros(2)
            offset = centre - backward @ (centre + np.array([down, right]))
            for channel, place in zip(image, target, strict=True):
                place[:] = ndimage.affine_transform(channel / 255, backward, offset, order=3)
        return round_grey(changed)

    return apply


def _both(name: str, opposite: str, text: str, apply: Change, **others: Any) -> tuple[KnownChange, KnownChange]:
    """A change, and the same taken away."""
    return KnownChange(name, text, apply, **others), KnownChange(opposite, TAKEN_AWAY, apply, reverse=True, **others)


BINARISE = redraw(lambda strokes, _: strokes)
# Grey dilation would brighten thin strokes as well. Thin ones bear no erosion: a third of their grey goes, and with it
# brightness, size and whole pieces, not thickness alone. So erosion starts from dilated strokes.
THICKEN = redraw(lambda strokes, _: ndimage.binary_dilation(strokes, DISC))
THIN = redraw(lambda strokes, _: ndimage.binary_erosion(ndimage.binary_dilation(strokes, DISC), DISC))
FILL_HOLES = redraw(lambda strokes, _: np.stack([[ndimage.binary_fill_holes(c) for c in s] for s in strokes]))
BREAK = redraw(_break_each)
NOISE, BLUR = corrupt(0.08, 0.0), corrupt(0.0, 1.0)

KNOWN_CHANGES = (
    KnownChange(NO_CHANGE, "nothing is done", lambda images, _: images),
    KnownChange(NO_CHANGE, "grey times 0.99", scale_grey(0.99)),  # which nobody sees
    KnownChange(SHAPE_CHANGE, "the same noise drawn anew", NOISE, start=NOISE),
    *_both("stroke breaks", "stroke joins", "a gap across the stroke", BREAK, start=BINARISE, holes=False),
    *_both("noise +", "noise -", "noise of sigma 0.08 added", NOISE),
    *_both("blurrier", "sharper", "blur of sigma 1 px", BLUR),
    *_both("fainter", "brighter", "grey times 0.7", scale_grey(0.7)),
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
    *_both("redder", "greener", "red times 1.3, as bright as before", tint(1.3, 1, 1)),
    *_both("bluer", "yellower", "blue times 1.3, as bright as before", tint(1, 1, 1.3)),
    *_both("more colourful", "less colourful", "half as far again from grey", saturate),
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
    needs = {word: measurement for measurement in MEASUREMENTS for word in (measurement.more, measurement.less)}
    rows = []
    for known in KNOWN_CHANGES:
        expected = known.name if known.name != SHAPE_CHANGE else scene.rest
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
            name = name_effects(effects, spread, float(pixels[members].mean()), fdr, scene.rest)
            row = {"expected": expected, "change": known.text, "group": group, "named": name.first}
            row |= {"second_name": name.second, "correct": name.first == expected, "n": GROUP_IMAGES}
            rows.append(row)
    return pd.DataFrame(rows)
