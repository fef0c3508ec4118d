"""Sizes at which images may be shown to a network that takes any: global pooling refuses none and reads few."""

import numpy as np

USUAL = (28, 32, 64, 224)  # px: what networks for digits, for small images and for photographs are trained on
SMALLEST = 8  # px: below, no digit can be told


def measure_content(images: np.ndarray) -> int:
    """Side in px of the middle part that holds what half of the square images show; images: uint8 [N, C, H, W].

    Shown is what differs from the upper left corner by a quarter of the range: MNIST's digits are 20 px large.
    """
    ink = (np.abs(images.astype(np.int16) - images[:, :, :1, :1]) > 64).any(1)  # [N, H, W]
    sides = []
    for axis in (1, 2):
        lines = ink.any(axis)
        sides.append(lines.shape[1] - lines.argmax(1) - lines[:, ::-1].argmax(1))
    shown = np.maximum(*sides)[ink.any((1, 2))]
    side = int(np.median(shown)) if len(shown) else images.shape[-1]
    return int(side + (images.shape[-1] - side) % 2)  # as much is cut on either side


def list_sizes(side_px: int, declared_px: int) -> list[tuple[int, str]]:
    """Pairs of size_px and fit worth trying for square images of `side_px` that are shown at `declared_px`.

    The usual sizes, the images' own, and half and double of what was declared; the smallest first. A smaller one is
    both cropped and resized; of the images' own nothing is cut, whichever fit it has.
    """
    sizes = {*USUAL, side_px, declared_px // 2, 2 * declared_px} - {declared_px}
    most = max(*USUAL, declared_px)  # a network at twice the size of photographs takes minutes
    return [
        (size_px, fit)
        for size_px in sorted(size_px for size_px in sizes if SMALLEST <= size_px <= most)
        for fit in (("crop", "resize") if size_px < side_px else ("resize",))
    ]
