"""By how much a reading of an attribute is wrong, on changes of real images whose amount is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from failure_atlas.attributes import known_changes as changes
from failure_atlas.attributes.calibration import Calibration
from failure_atlas.attributes.outline import count_edges, join_frames, outline_strokes, split_frames
from failure_atlas.attributes.registry import ATTRIBUTES, NAMES, REGISTRY
from failure_atlas.attributes.view import find_centreline, to_grey
from failure_atlas.images.image_set import LUMINANCE
from failure_atlas.statistics.estimates import mean


class Case(NamedTuple):
    """before: [n], what people read of the images before the change.  images, changed: uint8 [n, C, H, W]."""

    before: np.ndarray
    images: np.ndarray
    changed: np.ndarray


Amount = Callable[[Case], np.ndarray]  # what a change truly did to each image, [n]


@dataclass(frozen=True)
class KnownAmount:
    """text: what is done.  amounts: by attribute, what it truly does to it.

    start: what is done to the images before, none if they are taken as they are.  holes: whether only images with, or
    only images without a hole are taken; none for all.  absolute: the amount is what is to be read of the changed
    image, not by how much it differs from that before.
    """

    text: str
    apply: changes.Change
    amounts: Mapping[str, Amount]
    start: changes.Change | None = None
    holes: bool | None = None
    absolute: bool = False


def plus(amount: float) -> Amount:
    """The same for all images."""
    return lambda case: np.full(len(case.before), amount)


def times(factor: float) -> Amount:
    """What is there, times a factor."""
    return lambda case: case.before * (factor - 1)


def _trace(name: str, factor: float) -> Amount:
    """A thickness, a length or an area, without denoising and as finely as strokes are drawn, times a factor."""

    def amount(case: Case) -> np.ndarray:
        fine = np.asarray(changes.outline_finely(case.images).any(axis=1))
        if name == "area":
            return np.asarray(fine.sum(axis=(1, 2)) * (factor / changes.FINE**2))
        lines = find_centreline(fine)
        points = np.maximum(lines.sum(axis=(1, 2)), 1)
        if name == "length":
            return np.asarray(points * (factor / changes.FINE))
        depth = split_frames(ndimage.distance_transform_edt(join_frames(fine)), len(fine))
        return np.asarray(2 * factor / changes.FINE * ((depth * lines).sum(axis=(1, 2)) / points - 0.25))

    return amount


def _scale(by: float) -> dict[str, Amount]:
    traced = {"thickness": by - 1, "length": by - 1, "area": by**2 - 1}
    return {name: times(by) for name in ("size", "height", "width")} | {
        name: _trace(name, factor) for name, factor in traced.items()
    }


def lean(by: float) -> Amount:
    """The slant that a shear adds: tangents add up."""
    return lambda case: np.degrees(np.arctan(np.tan(np.radians(case.before)) + by)) - case.before


def _break_off(case: Case) -> np.ndarray:
    """One piece more, wherever a gap was made."""
    return np.asarray((case.images != case.changed).any(axis=(1, 2, 3)).astype(float))


def _cut_off(axis: int) -> Amount:
    """Of the strokes outlined in the wider image, where nothing is cut, what the frame cuts."""

    def amount(case: Case) -> np.ndarray:
        wide = changes.extend(case.images, axis)
        mask = outline_strokes(to_grey(wide)).mask
        frame = case.images.shape[axis] * mask.shape[axis - 1] // wide.shape[axis]
        on_frame, inside = count_edges(np.take(mask, np.arange(frame), axis - 1))
        with np.errstate(invalid="ignore"):
            return np.asarray(on_frame / (on_frame + inside) - case.before)

    return amount


def _tint(column: int, factors: tuple[float, float, float]) -> Amount:
    """Of the mean colour of each image: an opponent over the light, after less before; see `colour`."""
    opponent = np.array([[1, -1, 0], [-0.5, -0.5, 1]][column])

    def amount(case: Case) -> np.ndarray:
        colours = case.images.mean(axis=(2, 3))
        first, then = (each @ opponent / np.maximum(each.sum(axis=1), 1e-9) for each in (colours, colours * factors))
        return np.asarray(then - first)

    return amount


def _saturate(factor: float) -> Amount:
    """Distances from grey times a factor, over the light that is then there."""

    def amount(case: Case) -> np.ndarray:
        colours = case.images.mean(axis=(2, 3))
        light, grey = colours.sum(axis=1), colours @ np.array(LUMINANCE)
        return np.asarray(case.before * (factor * light / (factor * light + 3 * (1 - factor) * grey) - 1))

    return amount


LEVELS = ("noise", "blur")
STILL = {name: plus(0) for name in NAMES}
NOISE_STD, BLUR_STD_PX = (0.05, 0.08, 0.12, 0.18, 0.26), (0.5, 1.0, 1.5, 2.0, 3.0)
USUAL_NOISE, USUAL_BLUR_PX = 0.12, 1.5  # under which all else is read, too
UNBLURRED = ("brightness", "slant", "rotation", "x", "y")  # the rest blur changes: a blurred stroke is thicker


def _pick(*names: str) -> dict[str, Amount]:
    """What has to stay as it is."""
    return {name: STILL[name] for name in names}


def _degrade(noise_std: float, blur_px: float) -> KnownAmount:
    """A level of noise and of blur; at the usual one all has to be read that noise, or blur, truly leaves alone."""
    parts = [f"blur of {blur_px:g} px"] * (blur_px > 0) + [f"noise of sigma {noise_std:g}"] * (noise_std > 0)
    levels = {"noise": plus(noise_std), "blur": plus(blur_px)}
    usual = {noise_std, blur_px} <= {0, USUAL_NOISE, USUAL_BLUR_PX}
    rest = (_pick(*UNBLURRED) if blur_px else STILL) if usual else {}
    return KnownAmount(", ".join(parts), changes.corrupt(noise_std, blur_px), {**rest, **levels})


TURN = np.radians(15)
# fmt: off
KNOWN_AMOUNTS = (
    *(_degrade(noise_std, 0.0) for noise_std in NOISE_STD),
    *(_degrade(0.0, blur_px) for blur_px in BLUR_STD_PX),
    _degrade(USUAL_NOISE, USUAL_BLUR_PX),
    _degrade(0.18, 3.0),  # the strongest of the default recipe
    KnownAmount("contrast times 0.7", changes.scale_contrast(0.7),
                {"contrast": times(0.7), **_pick("thickness", "area")}),
    KnownAmount("grey raised by 0.2", changes.scale_grey(0.7, 0.2), {"brightness": plus(0.2), **_pick("contrast")},
                changes.scale_grey(0.7)),
    KnownAmount("sheared by 0.2", changes.warp(xy=-0.2), {"slant": lean(0.2), **_pick("area", "holes", "pieces")}),
    KnownAmount("sheared by -0.2", changes.warp(xy=0.2), {"slant": lean(-0.2)}),
    KnownAmount("turned by 15 degrees", changes.warp(np.cos(TURN), np.sin(TURN), -np.sin(TURN), np.cos(TURN)),
                {"rotation": plus(15), **_pick("area", "thickness", "length", "holes", "pieces")}),
    KnownAmount("drawn anew, in full grey", changes.BINARISE,
                {name: _trace(name, 1) for name in ("thickness", "area", "length")}, changes.BINARISE, absolute=True),
    KnownAmount("strokes scaled by 1.2", changes.scale_strokes(1.2),
                {**_scale(1.2), **_pick("slant", "rotation", "aspect", "elongation", "holes", "pieces")},
                changes.BINARISE),
    KnownAmount("strokes scaled by 0.8", changes.scale_strokes(0.8), _scale(0.8), changes.BINARISE),
    KnownAmount("height times 1.15, width over 1.15", changes.warp(yy=1.15, xx=1 / 1.15),
                {"aspect": times(1.15**2), "elongation": times(1.15**2), "height": times(1.15),
                 "width": times(1 / 1.15), **_pick("size", "area")}),
    KnownAmount("width times 1.15, height over 1.15", changes.warp(yy=1 / 1.15, xx=1.15),
                {"aspect": times(1.15**-2), "elongation": times(1.15**-2)}),
    KnownAmount("shifted by 1.5 px to the right", changes.warp(right=1.5),
                {"x": plus(1.5), **_pick("y", "size", "slant")}),
    KnownAmount("shifted by 1.5 px down", changes.warp(down=1.5), {"y": plus(1.5), **_pick("x")}),
    KnownAmount("dilated by 1 px", changes.THICKEN, {"thickness": plus(1), **_pick("pieces")}, changes.BINARISE),
    KnownAmount("holes filled", changes.FILL_HOLES, {"holes": times(0)}, changes.BINARISE, holes=True),
    KnownAmount("a gap across the stroke", changes.BREAK, {"pieces": _break_off, **_pick("holes")},
                changes.BINARISE, holes=False),
    KnownAmount("half cut off at the bottom", changes.cut(2), {"cut_off": _cut_off(2)}),
    KnownAmount("half cut off on the right", changes.cut(3), {"cut_off": _cut_off(3)}),
    KnownAmount("red times 1.3, as bright as before", changes.tint(1.3, 1, 1), {"red_green": _tint(0, (1.3, 1, 1))}),
    KnownAmount("blue times 1.3, as bright as before", changes.tint(1, 1, 1.3), {"blue_yellow": _tint(1, (1, 1, 1.3))}),
    KnownAmount("half as far from grey", changes.saturate(0.5), {"saturation": _saturate(0.5)}),
)
# fmt: on


def measure_errors(
    images: np.ndarray,
    calibration: Calibration,
    stream: Callable[[str], np.random.Generator],
    advance: Callable[[int], object] = lambda _: None,
) -> pd.DataFrame:
    """Apply each known change to real clean images and compare what people read of it with what was done.

    images: uint8 [N, C, H, W], none of those calibrated on.  stream: the generator of the named change.
    Noise and blur are read as they stand, for clean images have none; of nearly all else the difference is read.
    Returns one row per attribute of the scene and change: attribute, change, n (images), applied (mean true amount),
    read (mean amount read, with its 95 % interval), error (root mean square per image of read less applied), unit.
    """
    measured, scene, rows = calibration.measure(images), calibration.scene, []
    for known in KNOWN_AMOUNTS:
        advance(len(images))
        moved = {name: amount for name, amount in known.amounts.items() if scene.has(REGISTRY[name])}
        taken = np.arange(len(images))
        if known.holes is not None:
            taken = np.flatnonzero((measured[:, NAMES.index("holes")] >= 1) == known.holes)
        if not moved or len(taken) == 0:
            continue
        first, before = images[taken], measured[taken]
        if known.start is not None:
            first = known.start(images[taken], stream(f"{known.text}, start"))
            before = calibration.measure(first)
        changed = known.apply(images[taken], stream(known.text))
        then, now = calibration.read(before), calibration.read(calibration.measure(changed))
        for name, amount in moved.items():
            old, new = (each[:, NAMES.index(name)] for each in (then, now))
            rows.append(
                _compare(
                    name,
                    known.text,
                    amount(Case(old, first, changed)),
                    new if name in LEVELS or known.absolute else _subtract(name, new, old),
                )
            )
    order = {attribute.name: place for place, attribute in enumerate(ATTRIBUTES)}
    table = pd.DataFrame(rows).sort_values("attribute", key=lambda names: names.map(order), kind="stable")
    return table.reset_index(drop=True)


def state_errors(table: pd.DataFrame) -> pd.DataFrame:
    """One error for each attribute: root mean square over all known changes, each counted alike.

    table: as `measure_errors` returns it. Returns attribute, error, n (readings), largest_error, and worst_change, that
    which has it; in the order of the table, without what was read of no image.
    """
    known = table.dropna(subset="error").assign(square=table["error"] ** 2)
    groups = known.groupby("attribute", sort=False)
    stated = groups.agg(error=("square", "mean"), n=("n", "sum"), largest_error=("error", "max"))
    stated["error"] = np.sqrt(stated["error"])
    stated["worst_change"] = known.loc[groups["error"].idxmax(), "change"].to_numpy()
    return stated.reset_index()


def _subtract(name: str, new: np.ndarray, old: np.ndarray) -> np.ndarray:
    period = REGISTRY[name].period
    return np.asarray((new - old + period / 2) % period - period / 2 if period else new - old)


def _compare(name: str, text: str, applied: np.ndarray, read: np.ndarray) -> dict[str, Any]:
    known = np.isfinite(applied) & np.isfinite(read)
    applied, read = applied[known], read[known]
    row = {"attribute": name, "change": text, "n": len(read), "applied": float(applied.mean()) if len(read) else np.nan}
    found = mean(read) if len(read) else dict.fromkeys(("value", "low", "high"), np.nan)
    row |= {"read": found["value"], "read_low": found["low"], "read_high": found["high"]}
    return row | {"error": float(np.sqrt(np.square(read - applied).mean())) if len(read) else np.nan,
                  "unit": REGISTRY[name].unit}  # fmt: skip
