"""Every attribute of an image by name: how it is measured, where it means something, and the words for it.

One more is an entry here and a function of a `View`; docs/attributes.md shows one.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from failure_atlas.attributes import shape, texture
from failure_atlas.attributes.view import View

FIGURE, STROKE, COLOUR = "figure", "stroke", "colour"
MOST_DECIMALS = 7
AT_ONCE = 60  # images per thread; each is measured on its own, and SciPy lets other threads run


@dataclass(frozen=True)
class Attribute:
    """One thing that can be said of an image.

    name: the column.  unit: of what people read.  measure: N images to [N] float64, of any size of batch the same.
    more, less: what a direction is called that raises or lowers it; none where other attributes say it better.
    least_spread: below which the population's spread is no unit of a direction: where all are alike, a change that
    nobody sees would be a large one.  needs: stroke | figure | colour, without which it means nothing (see `Scene`).
    phrase, above, below, decimals, short_unit: for `tell_condition`.  counted: what is counted, one of it, and the
    least that there can be.  tell: a measured value as people read it; it rises.  period: that far apart is the same.
    offered: whether conditions of a failure mode may be made of it.
    """

    name: str
    unit: str
    measure: Callable[[View], np.ndarray]
    more: str = ""
    less: str = ""
    least_spread: float = 0.0
    needs: str = ""
    phrase: str = ""
    above: str = ""
    below: str = ""
    decimals: int = 2
    short_unit: str = ""
    counted: tuple[str, int] = ("", 0)
    tell: Callable[[np.ndarray], np.ndarray] = np.asarray
    period: float = 0.0
    offered: bool = True

    @property
    def bound_decimals(self) -> int:
        """To which the bound of a condition is rounded; between two counts it lies in the middle."""
        return 1 if self.counted[0] else self.decimals

    def tell_value(self, value: float, decimals: int | None = None) -> str:
        """A value as people read it, with its unit: `3.1 px`."""
        decimals = (0 if self.counted[0] else self.decimals) if decimals is None else decimals
        return f"{round(value, decimals) + 0.0:.{decimals}f} {self.short_unit}".rstrip()  # + 0.0: no -0

    def tell_condition(self, low: float | None = None, high: float | None = None) -> str:
        """Words for low <= value <= high, None being no bound: `noise above 0.12`, `without a hole`.

        Values as people read them. Raises ValueError without any bound.
        """
        if low is None and high is None:
            raise ValueError(f"{self.name}: a condition has at least one bound")
        if self.counted[0]:
            return self._tell_count(low, high)
        phrase = self.phrase or self.name.replace("_", " ")
        if low is None or high is None:
            words, bound = (self.below or f"{phrase} below", high) if low is None else (self.above, low)
            return f"{words or f'{phrase} above'} {self._tell_bound(float(bound or 0))}"
        return f"{phrase} between {self._tell_bound(low).split(' ')[0]} and {self._tell_bound(high)}"

    def _tell_bound(self, bound: float) -> str:
        """With more decimals than usual where it was rounded to more, so that it says what holds."""
        enough = (more for more in range(self.decimals, MOST_DECIMALS) if round(bound, more) == bound)
        return self.tell_value(bound, next(enough, self.decimals))

    def _tell_count(self, low: float | None, high: float | None) -> str:
        one, none = self.counted
        least = none if low is None else max(math.ceil(low), none)
        most = math.inf if high is None else max(math.floor(high), none)
        if most == 0:
            return f"without a {one}"
        if math.isinf(most):
            return f"at least {least} {one if least == 1 else f'{one}s'}"
        if least >= most:
            return f"exactly {most} {one if most == 1 else f'{one}s'}"
        amount = f"at most {most}" if least == none else f"{least} to {most}"
        return f"{amount} {one if most == 1 else f'{one}s'}"


# fmt: off
ATTRIBUTES = (
    Attribute(
        "noise", "grey, sigma of Gaussian noise", texture.measure_noise, "noise +", "noise -", 0.005),
    # In px of flank where directions are named: a sigma, which cannot fall below 0, would hide what is sharper than
    # clean images. Its least spread is in px of flank, too.
    Attribute(
        "blur", "px, sigma of a Gaussian blur", texture.measure_flank, "blurrier", "sharper", 0.2,
        decimals=1, short_unit="px"),
    Attribute(
        "contrast", "grey, brightest strokes less ground", texture.measure_contrast, "more contrast", "fainter", 0.02),
    # Noise that is clipped at black raises the ground of digits by a grey level or two, which nobody sees.
    Attribute(
        "brightness", "grey of the ground; of all without figures", texture.measure_brightness, "brighter", "darker",
        0.05),
    Attribute(
        "thickness", "px", shape.measure_thickness, "thicker stroke", "thinner stroke", 0.25, STROKE,
        "stroke thickness", "stroke thicker than", "stroke thinner than", 1, "px"),
    Attribute(
        "slant", "degrees, top to the right", shape.measure_slant, "slant right", "slant left", 1.5, FIGURE,
        decimals=0, short_unit="degrees"),
    Attribute(
        "size", "px, geometric mean of height and width", shape.measure_size, "larger", "smaller", 0.5, FIGURE,
        decimals=1, short_unit="px"),
    Attribute(
        "aspect", "height over width", shape.measure_aspect, "taller", "wider", 0.05, FIGURE,
        "height over width", tell=np.exp, offered=False),
    # As with a ruler: a slant makes a figure wider, so no direction is named by them, but people read them.
    Attribute("height", "px", shape.measure_height, needs=FIGURE, decimals=1, short_unit="px"),
    Attribute("width", "px", shape.measure_width, needs=FIGURE, decimals=1, short_unit="px"),
    Attribute(
        "elongation", "height over width", shape.measure_elongation, needs=FIGURE, phrase="height over width"),
    # MNIST is centred to a third of a pixel: in that unit a shift that nobody sees would beat a blur that all see.
    Attribute(
        "x", "px from the left", shape.measure_x, "moves right", "moves left", 1.0, FIGURE,
        "distance from the left", decimals=1, short_unit="px"),
    Attribute(
        "y", "px from the top", shape.measure_y, "moves down", "moves up", 1.0, FIGURE,
        "distance from the top", decimals=1, short_unit="px"),
    Attribute(
        "holes", "count", shape.measure_holes, "hole opens", "hole closes", 0.1, FIGURE, counted=("hole", 0)),
    Attribute(
        "pieces", "count", shape.measure_pieces, "stroke breaks", "stroke joins", 0.1, STROKE, counted=("piece", 1)),
    # Length times thickness is area, so these two would only name twice what the others name once.
    Attribute("area", "px^2", shape.measure_area, needs=FIGURE, decimals=0, short_unit="px^2", offered=False),
    Attribute(
        "length", "px of centreline", shape.measure_length, needs=STROKE, phrase="stroke length",
        above="stroke longer than", below="stroke shorter than", decimals=0, short_unit="px"),
    Attribute(  # slant names it
        "rotation", "degrees of the main axis, top to the right", shape.measure_rotation, needs=FIGURE,
        decimals=0, short_unit="degrees", period=180.0),
    Attribute(
        "cut_off", "share of the outline on the frame", shape.measure_cut_off, "cut off", "less cut off", 0.1, FIGURE,
        "share of the outline on the frame"),
    # Of images with colours, where these columns come last; shares of the light, so that brightness moves none of them.
    # The hue is the first two: an angle is no number that could be above or below another.
    Attribute(
        "red_green", "share of the light, red less green", texture.measure_red_green, "redder", "greener", 0.05, COLOUR,
        "red less green"),
    Attribute(
        "blue_yellow", "share of the light, blue less mean of the others", texture.measure_blue_yellow, "bluer",
        "yellower", 0.05, COLOUR, "blue less yellow"),
    Attribute(
        "saturation", "share of the light, mean over blocks", texture.measure_saturation, "more colourful",
        "less colourful", 0.05, COLOUR),
)
# fmt: on
GREYS = sum(attribute.needs != COLOUR for attribute in ATTRIBUTES)
NAMES = tuple(attribute.name for attribute in ATTRIBUTES)
REGISTRY = dict(zip(NAMES, ATTRIBUTES, strict=True))
NOISE, BLUR = NAMES.index("noise"), NAMES.index("blur")
LEAST_SPREAD = np.array([attribute.least_spread for attribute in ATTRIBUTES])
NAMED = np.array([bool(attribute.more) for attribute in ATTRIBUTES])


def choose_attributes(channels: int) -> tuple[Attribute, ...]:
    """Those that images of so many channels are measured by, in the order of ATTRIBUTES."""
    return ATTRIBUTES if channels == 3 else ATTRIBUTES[:GREYS]


def measure_images(
    images: np.ndarray, *, figures: bool = True, attributes: Sequence[Attribute] | None = None
) -> np.ndarray:
    """Measure each image; uint8 [N, C, H, W], C 1 or 3. Returns [N, M] float64, before anything is mended.

    attributes: which ones; all that the channels allow by default. Of coloured images all that need no colours are
    measured on the luminance.
    A stroke is what is lighter than half-way between the image's median and its brightest: shape is that of light
    strokes on a darker ground. A row is NaN where the image holds no stroke.  figures: false where there are none, as
    in photographs: the images are measured as a whole, and all shape is 0.
    """
    chosen = choose_attributes(images.shape[1]) if attributes is None else attributes
    parts = [images[first : first + AT_ONCE] for first in range(0, len(images), AT_ONCE)]
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        measured = threads.map(partial(_measure_part, attributes=chosen, figures=figures), parts)
        return np.concatenate([np.empty((0, len(chosen))), *measured])


def _measure_part(images: np.ndarray, attributes: Sequence[Attribute], figures: bool) -> np.ndarray:
    view, values = View(images, figures=figures), np.zeros((len(images), len(attributes)))
    with np.errstate(divide="ignore", invalid="ignore"):
        for column, attribute in enumerate(attributes):
            if figures or attribute.needs not in (FIGURE, STROKE):
                values[:, column] = attribute.measure(view)
    values[view.empty] = np.nan
    return values
