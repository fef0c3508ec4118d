"""The Frechet distance as the literature reports it: many generated images against all real training images."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from failure_atlas.images.image_set import ImageSet
from failure_atlas.quality.frechet import fit_gaussian, frechet_distance
from failure_atlas.stylegan2.generator import Generator
from stages.qualify_generator.features import extract_features, generate_images, show_images


def measure_conventional_distance(
    extractor: Callable[[torch.Tensor], torch.Tensor],
    generator: Generator,
    real: ImageSet,
    samples: int,
    stream: np.random.Generator,
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Frechet distance of `samples` generated images to all real ones, without truncation or selection.

    The conditioning labels are drawn from the real labels.  extractor: images [N, C, H, W] in [0, 1] to [N, F].
    """
    device = next(generator.parameters()).device
    labels = stream.choice(real.labels, samples)
    z = stream.standard_normal((samples, generator.z_dim), np.float32)
    generated = extract_features(extractor, generate_images(generator, z, labels, batch_size), advance)
    seen = extract_features(extractor, show_images(real.images, batch_size, device), advance)
    return {
        "frechet_distance": frechet_distance(fit_gaussian(generated), fit_gaussian(seen)),
        "generated_images": samples,
        "real_images": len(real.labels),
    }
