"""Changes of real images of which it is known what they do, in words and in amounts.

A change takes uint8 images [N, C, H, W] and the generator of its randomness, and returns the like.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from failure_atlas.attributes.calibration import corrupt_known, round_grey
from failure_atlas.attributes.view import to_grey

FINE = 4  # steps per pixel in which strokes are thickened and thinned
_STEPS = np.arange(-2, 3)
DISC = (_STEPS[:, None] ** 2 + _STEPS**2 <= 4)[None, None]  # radius 2 steps: half a pixel
TRIES, LEAST_PART = 20, 0.1  # places at which a break is tried; share of the stroke that each part must keep

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # uint8 [N, C, H, W] to the same


def corrupt(noise_std: float, blur_std_px: float) -> Change:
    """Noise in grey and blur in pixels: sigma 0.08 and 1 px are the least of ImageNet-C."""
    return lambda images, random: corrupt_known(images, noise_std, blur_std_px, random)


def scale_grey(factor: float, raised: float = 0.0) -> Change:
    """Grey times a factor, then raised."""
    return lambda images, _: round_grey(images / 255 * factor + raised)


def scale_contrast(factor: float) -> Change:
    """Grey times a factor as seen from the median of each channel: the ground, where there is one, stays as it is."""

    def apply(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
        ground = np.median(images, axis=(2, 3), keepdims=True)
        return round_grey((ground + factor * (images - ground)) / 255)

    return apply


def outline_finely(images: np.ndarray) -> np.ndarray:
    """Strokes cut at half height at four times the size; uint8 [N, C, H, W] to bool [N, C, 4H, 4W]."""
    large = ndimage.zoom(images / 255, (1, 1, FINE, FINE), order=1, grid_mode=True, mode="nearest")
    return np.asarray(large > large.max(axis=(2, 3), keepdims=True) / 2)


def redraw(operation: Change) -> Change:
    """An operation on strokes as `outline_finely` cuts them, as in Morpho-MNIST (Castro et al. 2019).

    operation: on bool [N, C, 4H, 4W]; the strokes are drawn again in full grey.
    """

    def apply(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
        n, channels, height, width = images.shape
        drawn = operation(outline_finely(images), random)
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


def saturate(factor: float) -> Change:
    """Coloured images, each pixel so many times as far from its grey."""

    def apply(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
        grey = to_grey(images)[:, None]
        return round_grey(grey + factor * (images / 255 - grey))

    return apply


def cut(axis: int, *, gap: bool = False) -> Change:
    """Images shifted down (axis 2) or to the right (axis 3) by half of the frame, and cut there.

    gap: with one row or column of ground between what is left and the frame.
    """

    def apply(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
        shifted = np.take(extend(images, axis), np.arange(images.shape[axis]), axis)
        if gap:
            last = np.arange(images.shape[axis]) == images.shape[axis] - 1
            ground = np.median(images, axis=(2, 3), keepdims=True).astype(np.uint8)
            shifted = np.where(last[:, None] if axis == 2 else last, ground, shifted)
        return np.asarray(shifted)

    return apply


def extend(images: np.ndarray, axis: int) -> np.ndarray:
    """Images with half as much more at the top (axis 2) or on the left (axis 3), where the frame's edge goes on."""
    more = [(images.shape[axis] // 2, 0) if each == axis else (0, 0) for each in range(4)]
    return np.pad(images, more, mode="edge")


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


def _scale_each(strokes: np.ndarray, factor: float) -> np.ndarray:
    """Strokes scaled about their centre, as sharp as they were; bool [N, C, H, W]."""
    changed = np.empty_like(strokes)
    for image, target in zip(strokes, changed, strict=True):
        centre = np.array(ndimage.center_of_mass(image.any(axis=0))) if image.any() else np.zeros(2)
        for channel, place in zip(image, target, strict=True):
            back = np.full(2, 1 / factor)
            grey = ndimage.affine_transform(channel.astype(float), back, centre * (1 - 1 / factor), order=1)
            place[:] = grey > 0.5
    return changed


BINARISE = redraw(lambda strokes, _: strokes)
# Grey dilation would brighten thin strokes as well. Thin ones bear no erosion: a third of their grey goes, and with it
# brightness, size and whole pieces, not thickness alone. So erosion starts from dilated strokes.
THICKEN = redraw(lambda strokes, _: ndimage.binary_dilation(strokes, DISC))
THIN = redraw(lambda strokes, _: ndimage.binary_erosion(ndimage.binary_dilation(strokes, DISC), DISC))
FILL_HOLES = redraw(lambda strokes, _: np.stack([[ndimage.binary_fill_holes(c) for c in s] for s in strokes]))
BREAK = redraw(_break_each)


def scale_strokes(factor: float) -> Change:
    """Strokes cut at half height, scaled and drawn again: a scaled grey image has wider flanks, which blur has, too."""
    return redraw(lambda strokes, _: _scale_each(strokes, factor))
