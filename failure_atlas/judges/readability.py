"""Whether people can be expected to read an image: the judge is asked about it at a tenth of its contrast energy.

People identify letters in white noise with about a tenth of the ideal observer's efficiency: they need about ten times
the contrast energy (Pelli, Burns, Farell and Moore-Page, Vision Research 46, 2006). The judge stands for the ideal
observer here: what it no longer reads when the contrast is divided by sqrt(10), in the same noise, people are not
expected to read as it is. This is a model of people, and no reading by people.

What can be told from an image in white noise depends on contrast energy over noise power alone. So nobody has to take
signal and noise apart, which at edges nobody can: the signal is left whole, and fresh noise of nine times the power
that is measured in the image brings that ratio down as far. Networks that learned from images of full contrast lose
least of their reading in this form: of real digits in the strongest noise and blur of the default recipe they still
name .77, and .65 of the same images with everything divided by sqrt(10).
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage, special

from failure_atlas.images.image_set import to_unit
from failure_atlas.world.show import JUDGE, World

ENERGY_RATIO = 10.0  # contrast energy that people need, over the ideal observer's
DRAWS = 5  # of the fresh noise; odd, so that the median is one of them
HIGH_PASS = np.outer([1, -2, 1], [1, -2, 1]) / 6  # of norm 1, blind to planes and straight edges (Immerkaer 1996)
HALF_OF_NORMAL = float(special.ndtri(0.75))  # median of the absolute value of a standard normal variable


def measure_noise(images: np.ndarray) -> np.ndarray:
    """Standard deviation of the white noise in each image, in units of white: [N] float64.

    images: uint8 [N, C, H, W].  The median of what a high-pass filter leaves, over all pixels, as Donoho and Johnstone
    (1994) take the finest wavelets: strokes and edges count as outliers as long as they fill less than half the image.
    Of noise that was clipped at black it is the level that is left, .58 of what was added to a black ground.
    Texture all over an image passes for noise; noise in less than half of one is not seen.
    """
    left = ndimage.convolve(images / 255, HIGH_PASS[None, None], mode="reflect")
    return np.asarray(np.median(np.abs(left).reshape(len(images), -1), axis=1) / HALF_OF_NORMAL)


def weigh_readability(
    world: World, images: np.ndarray, true_class: np.ndarray, open_stream: Callable[[int], np.random.Generator]
) -> np.ndarray:
    """The judge's probability of the meant class at a tenth of the contrast energy, the median of 5 draws: [N] float64.

    world: with JUDGE.  images: uint8 [N, C, H, W].  true_class: [N].  open_stream: row -> the generator of the noise on
    that image, so that no batch changes it.  Values leave [0, 1]: clipping would take signal away with the noise.
    An image without noise is asked about as it is.
    """
    weight = np.zeros((DRAWS, len(images)))
    added = np.sqrt(ENERGY_RATIO - 1) * measure_noise(images) if len(images) else np.zeros(0)
    for rows in world.split(len(images)):
        shape = (DRAWS, *images.shape[1:])
        noise = [added[row] * open_stream(row).standard_normal(shape) for row in range(rows.start, rows.stop)]
        for draw, own in enumerate(zip(*noise, strict=True)):
            shown = to_unit(images[rows]) + torch.from_numpy(np.stack(own)).float()
            opinion = world.ask(JUDGE, shown.to(world.device)).double().softmax(dim=1).cpu().numpy()
            weight[draw, rows] = opinion[np.arange(len(opinion)), true_class[rows]]
    return np.asarray(np.median(weight, axis=0))
