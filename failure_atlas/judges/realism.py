"""How real the discriminator finds an image as a member of its class, whatever batch the image comes in."""

from collections.abc import Callable

import numpy as np
import torch

from failure_atlas.core.device import device_of
from failure_atlas.images.image_set import to_unit
from failure_atlas.stylegan2.discriminator import Discriminator, append_minibatch_std

REFERENCE_SAMPLES = 1000


def measure_deviation(discriminator: Discriminator, images: np.ndarray, *, batch_size: int) -> float:
    """The minibatch standard deviation that the discriminator meets in ordinary company.

    images: [N, C, H, W] uint8 of a population, classes mixed. The mean over groups of the discriminator's own size, of
    the first 1,000 images; a smaller population than one group is one group.  Raises ValueError if N is 0.
    """
    if len(images) == 0:
        raise ValueError("no images to measure the deviation of")
    group = min(discriminator.architecture.minibatch_std_group, len(images))
    chosen = images[: max(min(len(images), REFERENCE_SAMPLES) // group * group, group)]
    starts = range(0, len(chosen), batch_size)
    with torch.no_grad():
        maps = torch.cat([_describe(discriminator, chosen[first : first + batch_size]) for first in starts])
        return float(append_minibatch_std(maps, group)[::group, -1, 0, 0].double().mean())


def score_realism(
    discriminator: Discriminator,
    images: np.ndarray,
    true_class: np.ndarray,
    deviation: float,
    *,
    batch_size: int,
    advance: Callable[[int], object] = lambda _: None,
) -> np.ndarray:
    """Discriminator logit D(image, class), [N] float64: the higher the more real.

    images: [N, C, H, W] uint8, so clamped and rounded like real ones.  true_class: [N] int64.  deviation: from
    `measure_deviation`.
    In training the discriminator sees one number about the company of an image, the standard deviation of its group.
    Here that number is the same for all, so that a score is a function of image and class alone; with the real
    neighbours, scores of the same image in two orders of a population correlate by .95 only.
    """
    scores = np.empty(len(images))
    with torch.no_grad():
        for first in range(0, len(images), batch_size):
            rows = slice(first, first + batch_size)
            maps = _describe(discriminator, images[rows])
            plane = maps.new_full((len(maps), 1, *maps.shape[2:]), deviation)
            labels = torch.from_numpy(true_class[rows]).to(maps.device)
            logits = discriminator.conclude(torch.cat([maps, plane], dim=1), labels)
            scores[rows] = logits.double().cpu().numpy()
            advance(len(maps))
    return scores


def _describe(discriminator: Discriminator, images: np.ndarray) -> torch.Tensor:
    return discriminator.describe(to_unit(images).to(device_of(discriminator)) * 2 - 1)
