"""A batch of images, and what several attributes need of it, made once and only where it is asked for."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from failure_atlas.attributes import outline
from failure_atlas.images.image_set import LUMINANCE

STRETCH_PX = 4.5  # of centreline over which grey is averaged against noise
BRIGHT_QUANTILE = 0.9  # of the stretches: thin places are dimmer without the stroke being fainter
MARGIN_PX = 2  # ground this near to a stroke feels its flanks
LEAST_GROUND_PX = 64  # fewer tell no noise level
BLOCK_PX = 4  # noise averages out over a block, the colours of parts do not


def to_grey(images: np.ndarray) -> np.ndarray:
    """uint8 [N, C, H, W], C 1 or 3, as grey float64 [N, H, W] in [0, 1]: the luminance of colours."""
    if images.shape[1] == 1:
        return np.asarray(images[:, 0] / 255)
    return np.asarray(np.einsum("nchw,c->nhw", images.astype(np.float64), LUMINANCE) / 255)


def find_centreline(mask: np.ndarray) -> np.ndarray:
    """The skeleton of each mask, bool [N, H, W] (Zhang and Suen 1984)."""
    return outline.split_frames(skeletonize(outline.join_frames(mask)), len(mask))  # type: ignore[no-untyped-call]


class Moments(NamedTuple):
    """Centroid (x, y), variances (x, y) and covariance of the pixels of each mask, in image pixels, [N] each."""

    x: np.ndarray
    y: np.ndarray
    var_x: np.ndarray
    var_y: np.ndarray
    cov: np.ndarray


class View:
    """N images as the attributes look at them; uint8 [N, C, H, W], C 1 or 3.

    figures: whether one light thing stands on darker ground in them, so that there are outlines. Masks, centrelines and
    distances are of the image enlarged by ENLARGE; all lengths told of it are in image pixels.
    """

    def __init__(self, images: np.ndarray, *, figures: bool = True) -> None:
        self.images, self.figures = images, figures

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def grey(self) -> np.ndarray:
        """Float64 [N, H, W] in [0, 1]."""
        return to_grey(self.images)

    @cached_property
    def smooth(self) -> np.ndarray:
        """The same, denoised."""
        return np.asarray(ndimage.gaussian_filter(self.grey, (0, outline.DENOISE_STD_PX, outline.DENOISE_STD_PX)))

    @cached_property
    def grey_range(self) -> tuple[np.ndarray, np.ndarray]:
        """The 1 % and the 99 % quantile of each denoised image, [N] each."""
        low, high = np.quantile(self.smooth, (0.01, 0.99), axis=(1, 2))
        return low, high

    @cached_property
    def outlines(self) -> outline.Outlines:
        """Where the strokes are."""
        return outline.outline_strokes(self.grey)

    @cached_property
    def empty(self) -> np.ndarray:
        """Whether an image shows no stroke, bool [N]; without figures none is empty."""
        return np.asarray(~self.outlines.mask.any(axis=(1, 2))) if self.figures else np.zeros(len(self), bool)

    @cached_property
    def ground(self) -> np.ndarray:
        """Pixels that no stroke reaches with its flanks, bool [N, H, W]; all of them where these are too few."""
        if not self.figures:
            return np.ones(self.grey.shape, bool)
        count, height, width = self.grey.shape
        strokes = self.outlines.mask.reshape(count, height, outline.ENLARGE, width, outline.ENLARGE).any(axis=(2, 4))
        ground = ~ndimage.binary_dilation(strokes, np.ones((1, 2 * MARGIN_PX + 1, 2 * MARGIN_PX + 1), bool))
        ground[ground.sum(axis=(1, 2)) < LEAST_GROUND_PX] = True
        return np.asarray(ground)

    @cached_property
    def ground_grey(self) -> np.ndarray:
        """Median grey of the ground, [N]: noise that is clipped at black or white moves a mean, but no median."""
        sorted_grey = np.sort(np.where(self.ground, self.grey, np.inf).reshape(len(self), -1), axis=1)
        count = self.ground.sum(axis=(1, 2))
        below, above = (np.take_along_axis(sorted_grey, at[:, None], axis=1) for at in ((count - 1) // 2, count // 2))
        return np.asarray((below + above)[:, 0] / 2)

    @cached_property
    def centreline(self) -> np.ndarray:
        """Bool [N, 2H, 2W]."""
        return find_centreline(self.outlines.mask)

    @cached_property
    def points(self) -> np.ndarray:
        """Of the centreline, [N]."""
        return np.asarray(self.centreline.sum(axis=(1, 2)))

    @cached_property
    def ridge(self) -> np.ndarray:
        """Grey of the brightest tenth of the centreline, in the mean over stretches of 4.5 px: [N]."""
        weight = self.centreline.astype(float)
        window = (0, *[int(STRETCH_PX * outline.ENLARGE)] * 2)
        grey, weight = (ndimage.uniform_filter(each, window) for each in (self.outlines.raw * weight, weight))
        line = self.centreline
        stretches = np.where(line, grey / np.where(line, weight, 1), -np.inf).reshape(len(self), -1)
        rank = np.ceil(BRIGHT_QUANTILE * self.points).astype(np.int64)
        place = stretches.shape[1] - self.points + np.maximum(rank, 1) - 1
        place = np.minimum(place, stretches.shape[1] - 1)  # without a centreline: any, for it is not used
        return np.asarray(np.take_along_axis(np.sort(stretches, axis=1), place[:, None], axis=1)[:, 0])

    @cached_property
    def distance(self) -> np.ndarray:
        """From each pixel of the mask to the background, float64 [N, 2H, 2W] in pixels of the mask."""
        return outline.split_frames(ndimage.distance_transform_edt(outline.join_frames(self.outlines.mask)), len(self))

    @cached_property
    def moments(self) -> Moments:
        """Of the masks; NaN where one is empty."""
        mask = self.outlines.mask
        rows, columns = ((np.arange(size) + 0.5) / outline.ENLARGE - 0.5 for size in mask.shape[1:])
        with np.errstate(divide="ignore", invalid="ignore"):
            total = mask.sum(axis=(1, 2))
            by_row, by_column = mask.sum(axis=2), mask.sum(axis=1)
            y, x = (by_row * rows).sum(axis=1) / total, (by_column * columns).sum(axis=1) / total
            dy, dx = rows - y[:, None], columns - x[:, None]
            cov = ((mask * dx[:, None, :]).sum(axis=2) * dy).sum(axis=1) / total
            return Moments(x, y, (by_column * dx**2).sum(axis=1) / total, (by_row * dy**2).sum(axis=1) / total, cov)

    @cached_property
    def colour_blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Red less green, and blue less the mean of both, of blocks of 4 x 4 px: [2, N, h, w]; and all light [N]."""
        count, channels, height, width = self.images.shape
        cut = self.images[:, :, : height // BLOCK_PX * BLOCK_PX, : width // BLOCK_PX * BLOCK_PX] / 255
        blocks = cut.reshape(count, channels, height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
        red, green, blue = np.moveaxis(means := blocks.mean(axis=(3, 5)), 1, 0)
        light = np.maximum(means.sum(axis=(1, 2, 3)), np.finfo(float).tiny)
        return np.stack([red - green, blue - (red + green) / 2]), light
