"""Changes of real images whose name is known beforehand: the examination that the naming rule has to pass."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from failure_atlas.directions.calibration import corrupt_known, to_bytes
from failure_atlas.directions.measurements import to_grey
from failure_atlas.directions.naming import NO_CHANGE, SHAPE_CHANGE

FINE = 4  # steps per pixel in which strokes are thickened and thinned
_STEPS = np.arange(-2, 3)
TRIES, LEAST_PART = 20, 0.1  # places at which a break is tried; share of the stroke that each part must keep
DISC = (_STEPS[:, None] ** 2 + _STEPS**2 <= 4)[None, None]  # radius 2 steps: half a pixel

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


def add_noise(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Noise of sigma 0.08, the least of ImageNet-C."""
    return corrupt_known(images, 0.08, 0.0, random)


def add_blur(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Blur of sigma 1 px, the least of ImageNet-C."""
    return corrupt_known(images, 0.0, 1.0, random)


def fade(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Grey times 0.7."""
    return to_bytes(images / 255 * 0.7)


def binarise(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Strokes cut at half height and drawn again in full grey, where thickening and thinning start."""
    return _redraw(images, lambda strokes: strokes)


def thicken(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Dilation of the cut strokes by half a pixel on each side; grey dilation would brighten thin strokes as well."""
    return _redraw(images, lambda strokes: ndimage.binary_dilation(strokes, DISC))


def thin(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Dilation and then erosion of the cut strokes, each by half a pixel on each side.

    Thin strokes bear no erosion: a third of their grey goes, and with it brightness, size and whole pieces, not
    thickness alone. So erosion starts from dilated strokes.
    """
    return _redraw(images, lambda strokes: ndimage.binary_erosion(ndimage.binary_dilation(strokes, DISC), DISC))


def keep(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Nothing is done."""
    return images


def dim(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Grey times 0.99, which nobody sees."""
    return to_bytes(images / 255 * 0.99)


def break_stroke(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The cut strokes with a gap across, two pixels longer than the stroke is wide, where they fall apart.

    Morpho-MNIST's fracture. Strokes that no gap of 20 tried sets apart, as a ring, are left as they are.
    """
    return _redraw(images, lambda strokes: _break_each(strokes, random))


def fill_holes(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """The cut strokes with all that they enclose."""
    return _redraw(images, lambda strokes: np.stack([[ndimage.binary_fill_holes(c) for c in s] for s in strokes]))


def _break_each(strokes: np.ndarray, random: np.random.Generator) -> np.ndarray:
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


def _redraw(images: np.ndarray, operation: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """An operation on the strokes at four times the size, as Morpho-MNIST does it (Castro et al. 2019)."""
    n, channels, height, width = images.shape
    large = ndimage.zoom(images / 255, (1, 1, FINE, FINE), order=1, grid_mode=True, mode="nearest")
    drawn = operation(large > large.max(axis=(2, 3), keepdims=True) / 2)
    return to_bytes(drawn.reshape(n, channels, height, FINE, width, FINE).mean(axis=(3, 5)))


def tint(red: float, green: float, blue: float) -> Change:
    """Each channel of coloured images times its factor, and all three by what keeps an image as bright as it was."""

    def apply(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
        tinted = images / 255 * np.array([red, green, blue])[:, None, None]
        before, after = (to_grey(each).mean(axis=(1, 2)) for each in (images, tinted * 255))
        return to_bytes(tinted * np.where(after > 0, before / np.maximum(after, 1e-9), 1)[:, None, None, None])

    return apply


def saturate(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Coloured images, each pixel half as far again from its grey."""
    grey = to_grey(images)[:, None]
    return to_bytes(grey + 1.5 * (images / 255 - grey))


def warp(matrix: tuple[tuple[float, float], tuple[float, float]], shift: tuple[float, float] = (0, 0)) -> Change:
    """A linear map about each image's centre of grey, then a shift in pixels.

    matrix, shift: of (y, x) coordinates; cubic interpolation, which blurs least.
    """
    forward = np.array(matrix)

    def apply(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
        backward = np.linalg.inv(forward)
        changed = np.empty(images.shape)
        for image, target in zip(images, changed, strict=True):
            centre = np.array(ndimage.center_of_mass(image.mean(axis=0))) if image.any() else np.zeros(2)
            offset = centre - backward @ (centre + np.array(shift))
            for channel, place in zip(image, target, strict=True):
                place[:] = ndimage.affine_transform(channel / 255, backward, offset, order=3)
        return to_bytes(changed)

    return apply


KNOWN_CHANGES = (
    KnownChange(NO_CHANGE, "nothing is done", keep),
    KnownChange(NO_CHANGE, "grey times 0.99", dim),
    KnownChange(SHAPE_CHANGE, "the same noise drawn anew", add_noise, start=add_noise),
    KnownChange("stroke breaks", "a gap across the stroke", break_stroke, start=binarise, holes=False),
    KnownChange("stroke joins", "the same taken away", break_stroke, reverse=True, start=binarise, holes=False),
    KnownChange("noise +", "noise of sigma 0.08 added", add_noise),
    KnownChange("noise -", "the same taken away", add_noise, reverse=True),
    KnownChange("blurrier", "blur of sigma 1 px", add_blur),
    KnownChange("sharper", "the same taken away", add_blur, reverse=True),
    KnownChange("fainter", "grey times 0.7", fade),
    KnownChange("brighter", "the same taken away", fade, reverse=True),
    KnownChange("thicker stroke", "dilated by 1 px", thicken, start=binarise),
    KnownChange("thinner stroke", "the same taken away", thicken, reverse=True, start=binarise),
    KnownChange("thinner stroke", "dilated by 1 px, then eroded by 1 px", thin, start=thicken),
    KnownChange("hole closes", "holes filled", fill_holes, start=binarise, holes=True),
    KnownChange("hole opens", "the same taken away", fill_holes, reverse=True, start=binarise, holes=True),
    KnownChange("slant right", "sheared by 0.2", warp(((1, 0), (-0.2, 1)))),
    KnownChange("slant left", "sheared by -0.2", warp(((1, 0), (0.2, 1)))),
    KnownChange("larger", "scaled by 1.2", warp(((1.2, 0), (0, 1.2)))),
    KnownChange("smaller", "scaled by 0.8", warp(((0.8, 0), (0, 0.8)))),
    KnownChange("taller", "height times 1.15, width over 1.15", warp(((1.15, 0), (0, 1 / 1.15)))),
    KnownChange("wider", "width times 1.15, height over 1.15", warp(((1 / 1.15, 0), (0, 1.15)))),
    KnownChange("moves right", "shifted by 1.5 px", warp(((1, 0), (0, 1)), (0, 1.5))),
    KnownChange("moves left", "shifted by 1.5 px", warp(((1, 0), (0, 1)), (0, -1.5))),
    KnownChange("moves down", "shifted by 1.5 px", warp(((1, 0), (0, 1)), (1.5, 0))),
    KnownChange("moves up", "shifted by 1.5 px", warp(((1, 0), (0, 1)), (-1.5, 0))),
    KnownChange("redder", "red times 1.3, as bright as before", tint(1.3, 1, 1)),
    KnownChange("greener", "the same taken away", tint(1.3, 1, 1), reverse=True),
    KnownChange("bluer", "blue times 1.3, as bright as before", tint(1, 1, 1.3)),
    KnownChange("yellower", "the same taken away", tint(1, 1, 1.3), reverse=True),
    KnownChange("more colourful", "half as far again from grey", saturate),
    KnownChange("less colourful", "the same taken away", saturate, reverse=True),
)
