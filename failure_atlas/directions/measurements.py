"""What colour an image has, in the mean and in its parts; brightness moves none of it.

All measurements of an image in one row, and the words for more and for less of each.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from failure_atlas.directions.outline import outline_strokes
from failure_atlas.directions.shape import find_centreline, measure_shape
from failure_atlas.directions.texture import measure_texture, measure_whole
from failure_atlas.images.image_set import LUMINANCE

BLOCK_PX = 4  # noise averages out over a block, the colours of parts do not


def measure_colour(images: np.ndarray) -> dict[str, np.ndarray]:
    """Measurements of N images, float64 [N, 3, H, W] in [0, 1]: [N] each; 0 where an image is black.

    red_green: red less green, blue_yellow: blue less the mean of both, of the mean colour, as shares of all light.
    colour: how far from grey blocks of 4 x 4 px are, whichever way, as a share of all light.
    """
    count, channels, height, width = images.shape
    cut = images[:, :, : height // BLOCK_PX * BLOCK_PX, : width // BLOCK_PX * BLOCK_PX]
    blocks = cut.reshape(count, channels, height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX).mean(axis=(3, 5))
    light = np.maximum(blocks.sum(axis=(1, 2, 3)), np.finfo(float).tiny)
    red, green, blue = np.moveaxis(blocks, 1, 0)
    opponents = np.stack([red - green, blue - (red + green) / 2])
    red_green, blue_yellow = opponents.sum(axis=(2, 3)) / light
    return {
        "red_green": red_green,
        "blue_yellow": blue_yellow,
        "colour": np.hypot(*opponents).sum(axis=(1, 2)) / light,
    }


AT_ONCE = 60  # images per thread; each is measured on its own, and SciPy lets other threads run


@dataclass(frozen=True)
class Measurement:
    """name: the column.  more, less: the words for a rise and a fall; none where other measurements say it better.

    least_spread: below which the population's spread is no unit, in `unit`: where all are alike, a change that nobody
    sees would be a large one.  needs: stroke | figure | colour, without which it means nothing (see `World`).
    """

    name: str
    unit: str
    more: str = ""
    less: str = ""
    least_spread: float = 0.0
    needs: str = ""


MEASUREMENTS = (
    Measurement("noise", "grey, standard deviation", "noise +", "noise -", 0.005),
    Measurement("edge", "px, width of a stroke's flank", "blurrier", "sharper", 0.2),
    Measurement("intensity", "grey on the centreline", "brighter", "fainter", 0.02),
    Measurement("thickness", "px", "thicker stroke", "thinner stroke", 0.25, "stroke"),
    Measurement("slant", "degrees, top to the right", "slant right", "slant left", 1.5, "figure"),
    Measurement("size", "px, geometric mean of height and width", "larger", "smaller", 0.5, "figure"),
    Measurement("aspect", "log of height over width", "taller", "wider", 0.05, "figure"),
    # MNIST is centred to a third of a pixel: in that unit a shift that nobody sees would beat a blur that all see.
    Measurement("x", "px from the left", "moves right", "moves left", 1.0, "figure"),
    Measurement("y", "px from the top", "moves down", "moves up", 1.0, "figure"),
    Measurement("holes", "count", "hole opens", "hole closes", 0.1, "figure"),
    Measurement("pieces", "count", "stroke breaks", "stroke joins", 0.1, "stroke"),
    # Length times thickness is area, so these two would only name twice what the others name once.
    Measurement("area", "px^2", needs="figure"),
    Measurement("length", "px of centreline", needs="stroke"),
    # Of images with colours, where these columns come last; shares of the light, so that brightness moves none of them.
    Measurement("red_green", "share of the light, red less green", "redder", "greener", 0.05, "colour"),
    Measurement("blue_yellow", "share of the light, blue less mean of the others", "bluer", "yellower", 0.05, "colour"),
    Measurement("colour", "share of the light, mean over blocks", "more colourful", "less colourful", 0.05, "colour"),
)
GREYS = sum(measurement.needs != "colour" for measurement in MEASUREMENTS)
NAMES = tuple(measurement.name for measurement in MEASUREMENTS)
NOISE, EDGE = NAMES.index("noise"), NAMES.index("edge")
LEAST_SPREAD = np.array([measurement.least_spread for measurement in MEASUREMENTS])
NAMED = np.array([bool(measurement.more) for measurement in MEASUREMENTS])


def measure_images(images: np.ndarray, *, figures: bool = True) -> np.ndarray:
    """Measure each image; uint8 [N, C, H, W], C 1 or 3. Returns [N, M] float64 in the order of MEASUREMENTS.

    M: 13 of grey images, 16 of coloured ones, of which the first 13 are those of their luminance.
    A stroke is what is lighter than half-way between the image's median and its brightest: shape is that of light
    strokes on a darker ground. A row is NaN where the image holds no stroke.  figures: false where there are none, as
    in photographs: noise, edge and intensity are those of the whole image, and all shape is 0.
    """
    parts = [images[first : first + AT_ONCE] for first in range(0, len(images), AT_ONCE)]
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        measured = threads.map(partial(_measure_part, figures=figures), parts)
        return np.concatenate([np.empty((0, GREYS if images.shape[1] == 1 else len(NAMES))), *measured])


def _measure_part(images: np.ndarray, figures: bool) -> np.ndarray:
    grey = to_grey(images)
    if figures:
        outlines = outline_strokes(grey)
        centreline = find_centreline(outlines.mask)
        values = measure_texture(grey, outlines, centreline) | measure_shape(outlines, centreline)
    else:
        values = dict.fromkeys(NAMES[:GREYS], np.zeros(len(grey))) | measure_whole(grey)
    if images.shape[1] == 1:
        return np.stack([values[name] for name in NAMES[:GREYS]], axis=1)
    values |= measure_colour(images / 255)
    return np.stack([values[name] for name in NAMES], axis=1)


def to_grey(images: np.ndarray) -> np.ndarray:
    """uint8 [N, C, H, W], C 1 or 3, as grey float64 [N, H, W] in [0, 1]: the luminance of colours."""
    if images.shape[1] == 1:
        return np.asarray(images[:, 0] / 255)
    return np.asarray(np.einsum("nchw,c->nhw", images.astype(np.float64), LUMINANCE) / 255)
