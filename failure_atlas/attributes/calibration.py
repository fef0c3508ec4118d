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

from failure_atlas.attributes.outline import measure_ground
from failure_atlas.attributes.registry import (
    ATTRIBUTES,
    BLUR,
    COLOUR,
    FIGURE,
    LEAST_SPREAD,
    NAMES,
    NOISE,
    STROKE,
    Attribute,
    measure_images,
)
from failure_atlas.attributes.spectrum import SpectrumReader, fit_spectrum, measure_spectrum
from failure_atlas.attributes.view import to_grey
from failure_atlas.corruptions.blurs import blur
from failure_atlas.images.image_set import subtract_class_means
from failure_atlas.statistics.moments import Rows

AT_ONCE = 1000  # images in memory
NOISE_STD = (0.0, 0.05, 0.1, 0.18, 0.26)
BLUR_STD_PX = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
MOST = 0.5  # of the images
EVEN_GROUND = 0.1  # of the contrast: digits lie at 0, cut-outs of photographs at 0.15 and more
PERIODIC = np.array([attribute.period > 0 for attribute in ATTRIBUTES])
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
    def shape_words(self) -> str:
        """Which words of shape are used: strokes (all of them) | figures | none."""
        return "strokes" if self.strokes else "figures" if self.figures else "none"

    def has(self, attribute: Attribute) -> bool:
        """Whether there is what is measured."""
        return {FIGURE: self.figures, STROKE: self.strokes, COLOUR: self.colours, "": True}[attribute.needs]

    def keep(self, values: np.ndarray) -> np.ndarray:
        """Values or spreads, [..., M], NaN where there is nothing to measure: no name comes of these."""
        return np.where([self.has(each) for each in ATTRIBUTES[: values.shape[-1]]], values, np.nan)


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

    noise_std: [A], blur_std_px: [B], rising from 0.  mean, standard_error: [A, B, M].  spectrum: reads blur of the last
    R columns that are measured.  n: images, of `scene`.
    """

    noise_std: np.ndarray
    blur_std_px: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    spectrum: SpectrumReader
    n: int
    scene: Scene = field(default_factory=Scene)

    def measure(self, images: np.ndarray) -> np.ndarray:
        """M measurements of images of this scene, before they are mended, and R powers of their spectra: [N, M + R]."""
        return np.column_stack([measure_images(images, figures=self.scene.figures), measure_spectrum(to_grey(images))])

    def measure_all(self, images: Rows, advance: Callable[[int], object] = lambda _: None) -> np.ndarray:
        """The same of images in memory or on disk, part by part; advance: told how many are done."""
        parts = []
        for first in range(0, len(images), AT_ONCE):
            parts.append(self.measure(images[first : first + AT_ONCE]))
            advance(len(parts[-1]))
        return np.concatenate(parts)

    def read_levels(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The noise and the blur that real images would need to measure the same; values: [N, M + R].

        Noise by monotone interpolation, blur by regression on the spectrum, which tells the two apart where flanks
        cannot. Both are held at the ends of the range tried: an image sharper than clean ones reads 0. Returns noise in
        grey and blur in pixels, [N] each; NaN where an image shows no figure.
        """
        noise = np.interp(values[:, NOISE], _rise(self.mean[:, :, NOISE].mean(axis=1)), self.noise_std)
        blurs = np.clip(self.spectrum.read(values[:, self.mean.shape[2] :]), 0, self.blur_std_px[-1])
        return noise, np.where(np.isfinite(noise), blurs, np.nan)

    def mend(self, values: np.ndarray) -> np.ndarray:
        """Measurements less what the image's own noise and blur explain, by which directions are named.

        Noise becomes the sigma read from it. The flank, of which blur is read, keeps that and loses what noise does to
        it. What comes round again, an angle, has no mean effect to be taken out. [N, M + R] to [N, M].
        """
        (noise, blurs), mended = self.read_levels(values), values[:, : self.mean.shape[2]].copy()
        known = np.isfinite(noise)
        table = RegularGridInterpolator((self.noise_std, self.blur_std_px), self.mean)
        here = table(np.stack([noise, blurs], axis=1)[known])
        noiseless = table(np.stack([np.zeros_like(blurs), blurs], axis=1)[known])
        mended[known, BLUR] += (here[:, BLUR] - self.mean[0, 0, BLUR]) - (here - noiseless)[:, BLUR]
        mended[known] -= np.where(PERIODIC[: mended.shape[1]], 0, here - self.mean[0, 0])
        mended[:, NOISE] = noise
        return mended

    def read(self, values: np.ndarray) -> np.ndarray:
        """What people read of measurements, in the units that the attributes state; [N, M + R] to [N, M].

        Noise and blur as the sigmas that real clean images would need, the rest as it stands in the image: a blurred
        stroke is thicker. NaN where an image shows no figure, and of what the scene has not.
        """
        told = values[:, : self.mean.shape[2]].copy()
        told[:, NOISE], told[:, BLUR] = self.read_levels(values)
        for column, attribute in enumerate(ATTRIBUTES[: told.shape[1]]):
            told[:, column] = attribute.tell(told[:, column])
        return self.scene.keep(told)


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
    powers, blurs = [], []
    for noise_std, blur_std_px in product(NOISE_STD, BLUR_STD_PX):
        changed = corrupt_known(images, noise_std, blur_std_px, stream(f"{noise_std} {blur_std_px}"))
        values = measure_images(changed, figures=scene.figures)
        powers.append(measure_spectrum(to_grey(changed)))
        blurs.append(np.full(len(changed), blur_std_px))
        values = values[np.isfinite(values).all(axis=1)]
        if len(values) < 2:
            raise ValueError(f"{len(values)} images show a stroke at noise {noise_std} and blur {blur_std_px} px")
        mean.append(values.mean(axis=0))
        error.append(values.std(axis=0, ddof=1) / np.sqrt(len(values)))
        advance(len(images))
    means, errors = (np.array(rows).reshape(len(NOISE_STD), len(BLUR_STD_PX), -1) for rows in (mean, error))
    spectrum = fit_spectrum(np.concatenate(powers), np.concatenate(blurs))
    return Calibration(np.array(NOISE_STD), np.array(BLUR_STD_PX), means, errors, spectrum, len(images), scene)


def measure_spread(values: np.ndarray, true_class: np.ndarray) -> np.ndarray:
    """The standard deviation of mended measurements within the classes, at least `least_spread`: [M].

    In these units effects of directions are compared.  values: [N, M]; rows with NaN are left out. NaN where fewer than
    two images show a stroke.
    """
    return np.asarray(np.maximum(measure_scatter(values, true_class), LEAST_SPREAD[: values.shape[1]]))


def measure_scatter(values: np.ndarray, true_class: np.ndarray) -> np.ndarray:
    """The standard deviation within the classes of what there is to measure, [M]; values: [N, M], NaN are left out."""
    shown = np.isfinite(values).any(axis=0)
    known, scatter = np.isfinite(values[:, shown]).all(axis=1), np.full(values.shape[1], np.nan)
    if known.sum() >= 2:
        held, labels = values[known].astype(np.float64), true_class[known]
        for label in np.unique(labels):
            held[labels == label] = unwrap(held[labels == label])
        scatter[shown] = subtract_class_means(held[:, shown], labels).std(axis=0, ddof=1)
    return scatter


def unwrap(values: np.ndarray) -> np.ndarray:
    """Values [N, M] of which those that come round again lie within half a period of their circular mean."""
    unwrapped = values.copy()
    for column, attribute in enumerate(ATTRIBUTES[: values.shape[1]]):
        if period := attribute.period:
            turns = np.exp(2j * np.pi * values[:, column] / period)
            middle = np.angle(np.nansum(turns)) * period / (2 * np.pi)
            unwrapped[:, column] = middle + (values[:, column] - middle + period / 2) % period - period / 2
    return unwrapped


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
