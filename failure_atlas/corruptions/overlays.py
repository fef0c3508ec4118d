"""What lies over the image: a grey square, stripes, lines, and edges in its place.

MNIST-C has one strength of stripes, lines and edges, which is severity 5 here.
"""

import numpy as np
import torch
from skimage.feature import canny

from failure_atlas.corruptions.entry import clip_unit, draw_integers, image_by_image, without_chance

GREY = 0.5
LINE_REACH_PX = 2.3  # rows from the middle of a line to where it has faded
DOT_PX = 2
ZIGZAG_PX = 2.0  # height of a zigzag, and half the way between its turns
ZIGZAG_MARGIN_PX = 2
ZIGZAG_RISE_PX = 5


@image_by_image
def occlude(image: np.ndarray, generator: torch.Generator, share: float) -> np.ndarray:
    """Cover a square, its side a share of the image's shorter side, at a place drawn within the image."""
    height, width = image.shape[-2:]
    side = round(share * min(height, width))
    top, left = (int(draw_integers(generator, (), 0, size - side + 1)) for size in (height, width))
    covered = image.copy()
    covered[:, top : top + side, left : left + side] = GREY
    return covered


@without_chance
def invert_stripes(images: np.ndarray, share: float) -> np.ndarray:
    """Invert the columns at the left and at the right, each this share of the width. Nothing is drawn."""
    width = round(share * images.shape[-1])
    striped = images.copy()
    for columns in (slice(None, width), slice(images.shape[-1] - width, None)):
        striped[..., columns] = 1 - striped[..., columns]
    return striped


@image_by_image
def add_dotted_line(image: np.ndarray, generator: torch.Generator, opacity: float) -> np.ndarray:
    """Add a line from side to side, every other two columns of it, between two rows that are drawn."""
    height, width = image.shape[-2:]
    first, last = draw_integers(generator, (2,), 0, height - 1)
    columns = np.arange(width)
    shown = (columns // DOT_PX % 2 == 1) & (columns < width - 1)
    line = draw_line(height, first + (last - first) * columns / (width - 1)) * shown
    return clip_unit(image + opacity * line)


@image_by_image
def add_zigzag(image: np.ndarray, generator: torch.Generator, opacity: float) -> np.ndarray:
    """Add a zigzag from near the left to near the right, from a row that is drawn to one up to 5 px from it.

    MNIST-C turns the zigzag along its line; here it swings up and down around it.
    """
    height, width = image.shape[-2:]
    first = int(draw_integers(generator, (), 0, height - 1))
    rise = int(draw_integers(generator, (), -ZIGZAG_RISE_PX, ZIGZAG_RISE_PX))
    columns = np.arange(width)
    along = columns - ZIGZAG_MARGIN_PX
    length = width - 1 - 2 * ZIGZAG_MARGIN_PX
    swing = np.arcsin(np.sin(np.pi * along / (2 * ZIGZAG_PX))) * 2 / np.pi
    line = draw_line(height, first + rise * along / length + ZIGZAG_PX * swing) * ((along >= 0) & (along <= length))
    return clip_unit(image + opacity * line)


def draw_line(height: int, middle: np.ndarray) -> np.ndarray:
    """A line [height, W] through row middle[x] of column x: log(1 - d / 2.3) + 1 at d rows from it, not below 0."""
    distance = np.minimum(np.abs(np.arange(height)[:, None] - middle), LINE_REACH_PX - 1e-10)
    return clip_unit(np.log(1 - distance / LINE_REACH_PX) + 1)


@without_chance
def show_edges(images: np.ndarray, opacity: float) -> np.ndarray:
    """Mix in the edges that scikit-image's Canny detector finds in each channel. Nothing is drawn."""
    edges = np.array([[canny(channel) for channel in image] for image in images])  # type: ignore[no-untyped-call]
    return clip_unit(images + opacity * (edges - images))
