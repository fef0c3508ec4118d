"""Many small images laid out as one strip, so that routines for one image take them all at once.

A gap of background keeps them apart: no component, skeleton or distance reaches from one image into the next.

From grey image to strokes: denoise, enlarge, cut at half height, drop specks.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from failure_atlas.corruptions.blurs import blur_matrix


def join_frames(masks: np.ndarray) -> np.ndarray:
    """Masks bool [N, H, W], each in a frame of one background pixel, one below the other: [N*(H+2), W+2]."""
    return np.pad(masks, ((0, 0), (1, 1), (1, 1))).reshape(-1, masks.shape[2] + 2)


def split_frames(strip: np.ndarray, count: int) -> np.ndarray:
    """The inverse of `join_frames` for any strip of that size: [N, H, W]."""
    return strip.reshape(count, -1, strip.shape[1])[:, 1:-1, 1:-1]


def count_labels(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of each label above 0 and the image it lies in, by label - 1; labels: as `split_frames` returns them.

    No label may lie in two images.
    """
    number = int(labels.max(initial=0))
    size = np.bincount(labels.ravel(), minlength=number + 1)[1:]
    image = np.zeros(number + 1, np.int64)
    image[labels.ravel()] = np.repeat(np.arange(count), labels[0].size if count else 0)
    return size, image[1:]


ENLARGE = 2  # pixels of the mask per image pixel: at 32 px a stroke is three pixels wide, too coarse to count
DENOISE_STD_PX = 1.0  # linear, so that it biases no symmetric noise; takes noise to 0.28 of its sigma
PEAK_QUANTILE = 0.99  # the strokes of the thinnest digit fill 4 % of the frame, their ridge 1 %
LEAST_CONTRAST = 0.02  # below it an image holds nothing to be measured
SPECK_SHARE = 0.04  # of the mask: smaller pieces are noise
EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Outlines:
    """Where the strokes of N images are.

    mask: bool [N, 2H, 2W], false everywhere where an image holds nothing.  smooth, raw: float64 [N, 2H, 2W], the
    enlarged image, denoised and not.  background: [N], grey level around the strokes.  pieces: [N] int64, of the mask.
    """

    mask: np.ndarray
    smooth: np.ndarray
    raw: np.ndarray
    background: np.ndarray
    pieces: np.ndarray


def outline_strokes(images: np.ndarray) -> Outlines:
    """Find the strokes of grey images, float64 [N, H, W] in [0, 1].

    The threshold lies half-way between background (median) and peak (99 % quantile) of the denoised image, as in
    Morpho-MNIST (Castro et al. 2019), so that neither brightness nor, to first order, blur moves the outline.
    """
    rows, columns = (enlarge_matrix(size) for size in images.shape[1:])
    raw = rows @ images @ columns.T  # one product per image: equal bytes at any batch size
    denoise_rows, denoise_columns = (
        blur_matrix(size, DENOISE_STD_PX, torch.float64).numpy() for size in images.shape[1:]
    )
    smooth = rows @ (denoise_rows @ images @ denoise_columns.T) @ columns.T
    flat = smooth.reshape(len(images), -1)
    background, peak = np.median(flat, axis=1), np.quantile(flat, PEAK_QUANTILE, axis=1)
    threshold = np.where(peak - background >= LEAST_CONTRAST, (peak + background) / 2, np.inf)
    mask, pieces = drop_specks(smooth > threshold[:, None, None])
    return Outlines(mask, smooth, raw, background, pieces)


def measure_ground(images: np.ndarray) -> np.ndarray:
    """How uneven the ground is, [N]: its median absolute deviation over the contrast of the strokes; NaN without any.

    images: as `outline_strokes` takes them.
    """
    outlines, spread = outline_strokes(images), np.full(len(images), np.nan)
    for row in np.flatnonzero(outlines.mask.any(axis=(1, 2))):
        mask, background = outlines.mask[row], outlines.background[row]
        contrast = outlines.smooth[row][mask].mean() - background
        spread[row] = np.median(np.abs(outlines.raw[row][~mask] - background)) / contrast
    return spread


def enlarge_matrix(size: int) -> np.ndarray:
    """Linear interpolation along one axis as a matrix [2 * size, size]; the edge pixel is continued outside."""
    places = np.clip((np.arange(ENLARGE * size) + 0.5) / ENLARGE - 0.5, 0, size - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(places[:, None] - np.arange(size))))


def drop_specks(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Remove the pieces that hold less than 4 % of their image's mask; bool [N, H, W].

    Returns the mask and the number of pieces left, [N]. Pixels that touch at a corner are of one piece.
    """
    labels = split_frames(ndimage.label(join_frames(mask), EIGHT)[0], len(mask))
    size, image = count_labels(labels, len(mask))
    kept = size >= SPECK_SHARE * mask.sum(axis=(1, 2))[image]
    return np.append(False, kept)[labels], np.bincount(image[kept], minlength=len(mask))


def count_holes(mask: np.ndarray, least_px: float) -> np.ndarray:
    """Background regions enclosed by the mask that hold at least `least_px` mask pixels: [N] int64; bool [N, H, W].

    Background pixels that touch at a corner only are apart, as strokes that touch at a corner are joined.
    """
    labels = ndimage.label(~join_frames(mask))[0]  # the frames make all the outside one region
    outside = labels[0, 0]
    inner = np.where(labels == outside, 0, labels)
    size, image = count_labels(split_frames(inner, len(mask)), len(mask))
    return np.bincount(image[size >= least_px], minlength=len(mask))


def count_edges(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sides of mask pixels that lie on the frame, and those that face background: [N] int64 each; bool [N, H, W]."""
    on_frame = mask[:, [0, -1]].sum(axis=(1, 2)) + mask[:, :, [0, -1]].sum(axis=(1, 2))
    across = (mask[:, 1:] != mask[:, :-1]).sum(axis=(1, 2)) + (mask[:, :, 1:] != mask[:, :, :-1]).sum(axis=(1, 2))
    return on_frame, across
