"""Changes of real images whose name is known beforehand: the examination that the naming rule has to pass."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from stages.name_directions.calibration import corrupt_known, to_bytes

FINE = 4  # steps per pixel in which strokes are thickened and thinned
_STEPS = np.arange(-2, 3)
DISC = (_STEPS[:, None] ** 2 + _STEPS**2 <= 4)[None, None]  # radius 2 steps: half a pixel

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # uint8 [N, C, H, W] to the same


@dataclass(frozen=True)
class KnownChange:
    """name: what the rule must say.  text: what is done.  reverse: the changed image comes first.

    start: what is done to the images before, none if they are taken as they are.
    """

    name: str
    text: str
    apply: Change
    reverse: bool = False
    start: Change | None = None


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
    """Erosion of the cut strokes by half a pixel on each side."""
    return _redraw(images, lambda strokes: ndimage.binary_erosion(strokes, DISC))


def _redraw(images: np.ndarray, operation: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """An operation on the strokes at four times the size, as Morpho-MNIST does it (Castro et al. 2019)."""
    n, channels, height, width = images.shape
    large = ndimage.zoom(images / 255, (1, 1, FINE, FINE), order=1, grid_mode=True, mode="nearest")
    drawn = operation(large > large.max(axis=(2, 3), keepdims=True) / 2)
    return to_bytes(drawn.reshape(n, channels, height, FINE, width, FINE).mean(axis=(3, 5)))


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
    KnownChange("noise +", "noise of sigma 0.08 added", add_noise),
    KnownChange("noise -", "the same taken away", add_noise, reverse=True),
    KnownChange("blurrier", "blur of sigma 1 px", add_blur),
    KnownChange("sharper", "the same taken away", add_blur, reverse=True),
    KnownChange("fainter", "grey times 0.7", fade),
    KnownChange("brighter", "the same taken away", fade, reverse=True),
    KnownChange("thicker stroke", "dilated by 1 px", thicken, start=binarise),
    KnownChange("thinner stroke", "the same taken away", thicken, reverse=True, start=binarise),
    KnownChange("thinner stroke", "eroded by 1 px", thin, start=binarise),
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
)
