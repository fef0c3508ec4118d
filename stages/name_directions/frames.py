"""Many small images laid out as one strip, so that routines for one image take them all at once.

A gap of background keeps them apart: no component, skeleton or distance reaches from one image into the next.
"""

import numpy as np


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
