"""All measurements of an image in one row, and the words for more and for less of each."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from stages.common.luminance import LUMINANCE
from stages.name_directions.outline import outline_strokes
from stages.name_directions.shape import find_centreline, measure_shape
from stages.name_directions.texture import measure_texture

AT_ONCE = 60  # images per thread; each is measured on its own, and SciPy lets other threads run


@dataclass(frozen=True)
class Measurement:
    """name: the column.  more, less: the words for a rise and a fall; none where other measurements say it better.

    least_spread: below which the population's spread is no unit, in `unit`.
    """

    name: str
    unit: str
    more: str = ""
    less: str = ""
    least_spread: float = 0.0


MEASUREMENTS = (
    Measurement("noise", "grey, standard deviation", "noise +", "noise -"),
    Measurement("edge", "px, width of a stroke's flank", "blurrier", "sharper"),
    Measurement("intensity", "grey on the centreline", "brighter", "fainter"),
    Measurement("thickness", "px", "thicker stroke", "thinner stroke"),
    Measurement("slant", "degrees, top to the right", "slant right", "slant left"),
    Measurement("size", "px, geometric mean of height and width", "larger", "smaller"),
    Measurement("aspect", "log of height over width", "taller", "wider"),
    # MNIST is centred to a third of a pixel: in that unit a shift that nobody sees would beat a blur that all see.
    Measurement("x", "px from the left", "moves right", "moves left", least_spread=1.0),
    Measurement("y", "px from the top", "moves down", "moves up", least_spread=1.0),
    Measurement("holes", "count", "hole opens", "hole closes"),
    Measurement("pieces", "count", "stroke breaks", "stroke joins"),
    # Length times thickness is area, so these two would only name twice what the others name once.
    Measurement("area", "px^2"),
    Measurement("length", "px of centreline"),
)
NAMES = tuple(measurement.name for measurement in MEASUREMENTS)
NOISE, EDGE = NAMES.index("noise"), NAMES.index("edge")
LEAST_SPREAD = np.array([measurement.least_spread for measurement in MEASUREMENTS])
NAMED = np.array([bool(measurement.more) for measurement in MEASUREMENTS])


def measure_images(images: np.ndarray) -> np.ndarray:
    """Measure each image; uint8 [N, C, H, W], C 1 or 3. Returns [N, M] float64 in the order of MEASUREMENTS.

    A stroke is what is lighter than half-way between the image's median and its brightest: shape is that of light
    strokes on a darker ground, in a photograph that of its light parts. Of colours the luminance is measured, so that
    a change of hue alone shows in nothing. A row is NaN where the image holds no stroke.
    """
    parts = [images[first : first + AT_ONCE] for first in range(0, len(images), AT_ONCE)]
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        return np.concatenate([np.empty((0, len(NAMES))), *threads.map(_measure_part, parts)])


def _measure_part(images: np.ndarray) -> np.ndarray:
    grey = to_grey(images)
    outlines = outline_strokes(grey)
    centreline = find_centreline(outlines.mask)
    values = measure_texture(grey, outlines, centreline) | measure_shape(outlines, centreline)
    return np.stack([values[name] for name in NAMES], axis=1)


def to_grey(images: np.ndarray) -> np.ndarray:
    """uint8 [N, C, H, W], C 1 or 3, as grey float64 [N, H, W] in [0, 1]: the luminance of colours."""
    if images.shape[1] == 1:
        return np.asarray(images[:, 0] / 255)
    return np.asarray(np.einsum("nchw,c->nhw", images.astype(np.float64), LUMINANCE) / 255)
