"""Which measurements mean something in the images at hand, decided on real clean ones: shape needs something shaped."""

from dataclasses import dataclass

import numpy as np

from stages.name_directions.measurements import MEASUREMENTS, NAMES, Measurement, measure_images, to_grey
from stages.name_directions.naming import OTHER_CHANGE, SHAPE_CHANGE
from stages.name_directions.outline import measure_ground

MOST = 0.5  # of the images
EVEN_GROUND = 0.1  # of the contrast: digits lie at 0, cut-outs of photographs at 0.15 and more
LEAST_SLENDERNESS = 4.0  # length over width of what is called a stroke: digits have 10, coats 1 to 2


@dataclass(frozen=True)
class World:
    """figures: one light thing stands on even, darker ground.  strokes: it is made of strokes.  colours: of 3 channels.

    Without figures, images are measured as a whole, and nothing is said of shape.
    """

    figures: bool = True
    strokes: bool = True
    colours: bool = False

    @property
    def rest(self) -> str:
        """The name of what is seen and that no measurement tells: with all else measured, a change of shape."""
        return SHAPE_CHANGE if self.figures and not self.colours else OTHER_CHANGE

    @property
    def shape_words(self) -> str:
        """Which words of shape are used: strokes (all of them) | figures | none."""
        return "strokes" if self.strokes else "figures" if self.figures else "none"

    def has(self, measurement: Measurement) -> bool:
        """Whether there is what is measured."""
        return {"figure": self.figures, "stroke": self.strokes, "colour": self.colours, "": True}[measurement.needs]

    def keep(self, spread: np.ndarray) -> np.ndarray:
        """The units of measurements, [M], NaN where there is nothing to measure: no name comes of these."""
        return np.where([self.has(each) for each in MEASUREMENTS[: len(spread)]], spread, np.nan)


def find_world(images: np.ndarray) -> World:
    """What most of these real clean images are of; uint8 [N, C, H, W]."""
    colours = images.shape[1] == 3
    with np.errstate(invalid="ignore"):
        if not np.mean(measure_ground(to_grey(images)) <= EVEN_GROUND) >= MOST:
            return World(figures=False, strokes=False, colours=colours)
        values = measure_images(images)
        slender = values[:, NAMES.index("length")] >= LEAST_SLENDERNESS * values[:, NAMES.index("thickness")]
    return World(strokes=bool(slender.mean() >= MOST), colours=colours)
