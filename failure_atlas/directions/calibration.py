"""What measurements mean in the images at hand, learned from real clean ones.

Which of them mean something: shape needs something shaped. And what known noise and blur do to each, read backwards:
blur widens strokes and dims them, noise hides flanks, so that a direction that blurs would be called thicker.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch
from scipy.interpolate import RegularGridInterpolator

from failure_atlas.corruptions.blurs import blur
from failure_atlas.directions.measurements import EDGE, MEASUREMENTS, NAMES, NOISE, Measurement, measure_images, to_grey
from failure_atlas.directions.naming import OTHER_CHANGE, SHAPE_CHANGE
from failure_atlas.directions.outline import measure_ground

NOISE_STD = (0.0, 0.05, 0.1, 0.18, 0.26)
BLUR_STD_PX = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
MOST = 0.5  # of the images
EVEN_GROUND = 0.1  # of the contrast: digits lie at 0, cut-outs of photographs at 0.15 and more
LEAST_SLENDERNESS = 4.0  # length over width of what is called a stroke: digits have 10, coats 1 to 2


@dataclass(frozen=True)
class Scene:
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


def find_scene(images: np.ndarray) -> Scene:
    """What most of these real clean images are of; uint8 [N, C, H, W]."""
    colours = images.shape[1] == 3
    with np.errstate(invalid="ignore"):
        if not np.mean(measure_ground(to_grey(images)) <= EVEN_GROUND) >= MOST:
            return Scene(figures=False, strokes=False, colours=colours)
        values = measure_images(images)
        slender = values[:, NAMES.index("length")] >= LEAST_SLENDERNESS * values[:, NAMES.index("thickness")]
    return Scene(strokes=bool(slender.mean() >= MOST), colours=colours)


@dataclass(frozen=True)
class Calibration:
    """Mean measurements of the same images under each known noise and blur.

    noise_std: [A], blur_std_px: [B], rising from 0.  mean, standard_error: [A, B, M].  n: images, of `scene`.
    """

    noise_std: np.ndarray
    blur_std_px: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    n: int
    scene: Scene = field(default_factory=Scene)

    def measure(self, images: np.ndarray) -> np.ndarray:
        """Measurements [N, M] of images of this scene, before they are mended."""
        return measure_images(images, figures=self.scene.figures)

    def read_levels(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The noise and the blur that real images would need to measure the same; values: [N, M].

        Monotone interpolation, held at the ends of the range tried: an image sharper than clean ones reads 0. The blur
        is read from the curve at the image's own noise. Returns noise in grey and blur in pixels, [N] each.
        """
        noise = np.interp(values[:, NOISE], _rise(self.mean[:, :, NOISE].mean(axis=1)), self.noise_std)
        blurs = np.full(len(values), np.nan)
        known = np.isfinite(noise)
        curves = RegularGridInterpolator((self.noise_std,), self.mean[:, :, EDGE])(noise[known, None])
        blurs[known] = [
            np.interp(edge, _rise(curve), self.blur_std_px)
            for edge, curve in zip(values[known, EDGE], curves, strict=True)
        ]
        return noise, blurs

    def mend(self, values: np.ndarray) -> np.ndarray:
        """Measurements less what the image's own noise and blur explain; [N, M] to [N, M].

        Noise becomes the sigma read from it. The edge keeps its blur and loses what noise does to it.
        """
        noise, blurs = self.read_levels(values)
        mended = values.copy()
        known = np.isfinite(noise)
        table = RegularGridInterpolator((self.noise_std, self.blur_std_px), self.mean)
        here = table(np.stack([noise, blurs], axis=1)[known])
        noiseless = table(np.stack([np.zeros_like(blurs), blurs], axis=1)[known])
        mended[known] -= here - self.mean[0, 0]
        mended[known, EDGE] = values[known, EDGE] - (here - noiseless)[:, EDGE]
        mended[:, NOISE] = noise
        return mended


def calibrate(
    images: np.ndarray,
    stream: Callable[[str], np.random.Generator],
    advance: Callable[[int], object] = lambda _: None,
    scene: Scene | None = None,
) -> Calibration:
    """Measure real clean images under each pair of a known blur and, after it, a known noise.

    images: uint8 [N, C, H, W], at least two, of `scene`.  stream: the generator of the named pair's noise.
    Raises ValueError if a pair leaves fewer than two images with a stroke.
    """
    scene, mean, error = scene or Scene(), [], []
    for noise_std, blur_std_px in product(NOISE_STD, BLUR_STD_PX):
        changed = corrupt_known(images, noise_std, blur_std_px, stream(f"{noise_std} {blur_std_px}"))
        values = measure_images(changed, figures=scene.figures)
        values = values[np.isfinite(values).all(axis=1)]
        if len(values) < 2:
            raise ValueError(f"{len(values)} images show a stroke at noise {noise_std} and blur {blur_std_px} px")
        mean.append(values.mean(axis=0))
        error.append(values.std(axis=0, ddof=1) / np.sqrt(len(values)))
        advance(len(images))
    means, errors = (np.array(rows).reshape(len(NOISE_STD), len(BLUR_STD_PX), -1) for rows in (mean, error))
    return Calibration(np.array(NOISE_STD), np.array(BLUR_STD_PX), means, errors, len(images), scene)


def corrupt_known(images: np.ndarray, noise_std: float, blur_std_px: float, random: np.random.Generator) -> np.ndarray:
    """Blur, then noise, then clip and round, as corrupt_images does it; uint8 [N, C, H, W] to the same."""
    grey = torch.from_numpy(images).to(torch.float64) / 255
    blurred = (blur(grey, blur_std_px) if blur_std_px else grey).numpy()
    return round_grey(blurred + noise_std * random.standard_normal(images.shape))


def round_grey(images: np.ndarray) -> np.ndarray:
    """Grey in [0, 1], clipped, as rounded uint8."""
    return np.asarray((np.clip(images, 0, 1) * 255).round().astype(np.uint8))


def _rise(curve: np.ndarray) -> np.ndarray:
    """The curve without its falls, strictly rising, so that it can be read backwards."""
    return np.asarray(np.maximum.accumulate(curve) + 1e-9 * np.arange(len(curve)))
