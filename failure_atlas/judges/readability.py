"""Whether people can be expected to read an image: the judge is asked about it at a tenth of its contrast energy.

People identify letters in white noise with about a tenth of the ideal observer's efficiency: they need about ten times
the contrast energy (Pelli, Burns, Farell and Moore-Page, Vision Research 46, 2006). The judge stands for the ideal
observer here: what it no longer reads when the contrast is divided by sqrt(10), in the same noise, people are not
expected to read as it is. This is a model of people, and no reading by people.

What can be told from an image in white noise depends on contrast energy over noise power alone. So nobody has to take
signal and noise apart, which at edges nobody can: the signal is left whole, and fresh noise of nine times the power
that is measured in the image brings that ratio down as far. Networks that learned from images of full contrast lose
least of their reading in this form: of 800 real digits under blur 2 and noise 3 of the default recipe, more noise
added, the released judge still names .77, and .65 of the same images divided by sqrt(10) after that.
Where the noise is known, on 500 real digits under each of the recipe's nine pairs of blur and noise, the released
judge reads shares from .95 to .12. They differ from those that it reads where the known noise itself is made larger by
.009 in the median and .054 at most; without blur it reads up to .07 too few. On a single image the two agree as often
(.68 to .97) as two draws of the known noise do (.64 to .97).
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage, special

from failure_atlas.images.image_set import to_unit
from failure_atlas.world.show import JUDGE, World

ENERGY_RATIO = 10.0  # contrast energy that people need, over the ideal observer's
HIGH_PASS = np.outer([1, -2, 1], [1, -2, 1]) / 6  # of norm 1, blind to planes and straight edges (Immerkaer 1996)
SMOOTHING_PX = 1.4  # half the width of a stroke; noise of the level s leaves .2 s in the brightness
ROUNDS = 5  # of matching the level
SMALLEST = np.finfo(float).tiny
# Of normal noise that is clipped at black: the brightness before, in standard deviations of the noise, the mean after.
BEFORE = np.linspace(-1, 4, 501)
AFTER = BEFORE * special.ndtr(BEFORE) + np.exp(-(BEFORE**2) / 2) / np.sqrt(2 * np.pi)
LEFT = np.sqrt(BEFORE * AFTER + special.ndtr(BEFORE) - AFTER**2)  # its standard deviation after


def measure_noise(images: np.ndarray) -> np.ndarray:
    """Standard deviation of the white noise in each pixel, in units of white: [N, C, H, W] float64.

    images: uint8 [N, C, H, W].  One level of each image is measured, by the median of what a high-pass filter leaves
    over all pixels, as Donoho and Johnstone (1994) take the finest wavelets: strokes and edges are outliers as long as
    they fill less than half the image. Noise that was clipped at black or white is weaker there (.58 of what was added
    to a black ground, 1 on grey) and not normal any more. So the level is the one with which normal noise on the
    smoothed image, clipped, leaves the same median; how much of it is left in a pixel follows from the brightness.
    Texture all over an image passes for noise; noise in less than half of one is not seen.
    """
    unit = images / 255
    level = _pass_high(unit)
    brightness = ndimage.gaussian_filter(unit, (0, 0, SMOOTHING_PX, SMOOTHING_PX))
    room = np.minimum(brightness, 1 - brightness)  # to the nearer end
    normal, added = np.random.default_rng(0).standard_normal(images.shape[1:]), 2 * level
    for _ in range(ROUNDS):
        ratio = room / np.maximum(added, SMALLEST)
        before = np.where(ratio < AFTER[-1], np.interp(ratio, AFTER, BEFORE) * added, room)
        tried = _pass_high(np.maximum(before + added * normal, 0))
        added = np.where(level > 0, added * level / np.maximum(tried, SMALLEST), 0.0)
    return np.asarray(added * np.interp(room / np.maximum(added, SMALLEST), AFTER, LEFT))


def _pass_high(unit: np.ndarray) -> np.ndarray:
    """Median absolute value of what the filter leaves of each image, [N, 1, 1, 1]."""
    left = ndimage.convolve(unit, HIGH_PASS[None, None], mode="reflect")
    return np.asarray(np.median(np.abs(left), axis=(1, 2, 3), keepdims=True))


def weigh_readability(
    world: World, images: np.ndarray, true_class: np.ndarray, open_stream: Callable[[int], np.random.Generator]
) -> np.ndarray:
    """The judge's probability of the meant class in each image at a tenth of its contrast energy: [N] float64.

    world: with JUDGE.  images: uint8 [N, C, H, W].  true_class: [N].  open_stream: row -> the generator of the noise on
    that image, so that no batch changes it.  Values leave [0, 1]: clipping would take signal away with the noise.
    Each image is looked at once. More looks, each with noise of its own, would read more than a tenth of the energy
    allows; so a share of readable images is to be trusted more than the word on a single one. An image without noise
    is asked about as it is.
    """
    weight = np.zeros(len(images))
    for rows in world.split(len(images)) if len(images) else []:
        fresh = [open_stream(row).standard_normal(images.shape[1:]) for row in range(rows.start, rows.stop)]
        noise = np.sqrt(ENERGY_RATIO - 1) * measure_noise(images[rows]) * np.reshape(fresh, images[rows].shape)
        shown = to_unit(images[rows]) + torch.from_numpy(noise).float()
        opinion = world.ask(JUDGE, shown.to(world.device)).double().softmax(dim=1).cpu().numpy()
        weight[rows] = opinion[np.arange(len(opinion)), true_class[rows]]
    return weight
