"""How real the discriminator finds an image as a member of its class, whatever batch the image comes in."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from failure_atlas.images.image_set import to_unit
from failure_atlas.stylegan2.discriminator import Discriminator, append_minibatch_std
from failure_atlas.stylegan2.layers import activate, normalize_second_moment

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
    with torch.no_grad():
        maps = torch.cat(
            [
                _describe(discriminator, chosen[first : first + batch_size])
                for first in range(0, len(chosen), batch_size)
            ]
        )
        return float(append_minibatch_std(maps, group)[::group, -1, 0, 0].double().mean())


def score_realism(
    discriminator: Discriminator,
    images: np.ndarray,
    true_class: np.ndarray,
    deviation: float,
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> np.ndarray:
    """Discriminator logit D(image, class), [N] float64: the higher the more real.

    images: [N, C, H, W] uint8, so clamped and rounded like real ones.  true_class: [N] int64.  deviation: from
    `measure_deviation`.
    In training the discriminator sees one number about the company of an image, the standard deviation of its group.
    Here that number is the same for all, so that a score is a function of image and class alone; with the real
    neighbours, scores of the same image in two orders of a population correlate by .95 only.
    """
    device = next(discriminator.parameters()).device
    scores = []
    with torch.no_grad():
        for first in range(0, len(images), batch_size):
            maps = _describe(discriminator, images[first : first + batch_size])
            labels = torch.from_numpy(true_class[first : first + batch_size]).to(device)
            scores.append(_conclude(discriminator, maps, deviation, labels).double().cpu().numpy())
            advance(len(maps))
    return np.concatenate(scores) if scores else np.zeros(0)


def _describe(discriminator: Discriminator, images: np.ndarray) -> torch.Tensor:
    """Feature maps of each image before its company matters, [N, F, 4, 4]."""
    pixels = to_unit(images).to(next(discriminator.parameters()).device) * 2 - 1
    folded = discriminator.architecture.stem == "space_to_depth"
    x: torch.Tensor = discriminator.stem.activated(functional.pixel_unshuffle(pixels, 2) if folded else pixels)
    for block in discriminator.blocks:
        x = block(x)
    return x


def _conclude(discriminator: Discriminator, maps: torch.Tensor, deviation: float, labels: torch.Tensor) -> torch.Tensor:
    """What `Discriminator.forward` makes of feature maps, with a given deviation in place of the group's."""
    plane = maps.new_full((len(maps), 1, *maps.shape[2:]), deviation)
    x = discriminator.conv.activated(torch.cat([maps, plane], dim=1))
    features: torch.Tensor = discriminator.output(activate(discriminator.dense(x.flatten(1))))
    classes = functional.one_hot(labels, discriminator.architecture.num_classes).to(features.dtype)
    embedded = normalize_second_moment(discriminator.embedding(classes))
    return (features * embedded).sum(dim=1) / math.sqrt(features.shape[1])
