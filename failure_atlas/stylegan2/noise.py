"""The noise of an image: each sample has a seed of its own, so that an image is a function of the sample's styles.

A generator adds noise to every convolution (Karras et al. 2019, 3.2). One noise for all images would be a pattern that
all of them show, and a classifier's robustness to noise would be measured on one draw of it.
"""

from collections.abc import Sequence

import numpy as np
import torch

CONSTANT = -1  # in place of a seed: the noise that the generator's weights hold, the same in all images
SEEDS = 2**53  # whole numbers that JSON keeps everywhere


def draw_seeds(shape: int | tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Seeds of noise, int64 of this shape, 0 or more."""
    return random.integers(0, SEEDS, shape)


def make_noise(seeds: np.ndarray, resolutions: Sequence[int], constant: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The noise of N samples: one [N, 1, H, W] per convolution, standard normal.

    seeds: int64 [N]; CONSTANT stands for `constant`, one [H, W] per convolution.  resolutions: H = W of each, in
    pixels. A sample's noise depends on its seed alone; it is drawn on the CPU, so that every device has the same.
    """
    sizes, stream = [pixels**2 for pixels in resolutions], torch.Generator()
    drawn = torch.empty(len(seeds), sum(sizes))
    kept = torch.cat([plane.detach().cpu().flatten() for plane in constant])
    for row, seed in zip(drawn, seeds.tolist(), strict=True):
        if seed == CONSTANT:
            row.copy_(kept)
        else:
            row.normal_(generator=stream.manual_seed(seed))
    planes = zip(torch.split(drawn, sizes, dim=1), resolutions, constant, strict=True)
    return [plane.view(len(seeds), 1, pixels, pixels).to(like.device) for plane, pixels, like in planes]
