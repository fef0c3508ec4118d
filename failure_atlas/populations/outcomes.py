"""What a classifier makes of generated images."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from failure_atlas.statistics.moments import Rows
from failure_atlas.stylegan2.generator import Generator


def classify_styles(
    generator: Generator,
    classifier: nn.Module,
    styles: np.ndarray,
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> np.ndarray:
    """Predicted class [N] int64 of the image of each style vector, which the classifier sees unrounded.

    styles: [N, D] float32.  advance: told the number of samples done after each batch.
    """
    device = next(generator.parameters()).device
    logits = answer_styles(
        generator.synthesize, classifier, styles, batch_size=batch_size, device=device, advance=advance
    )
    return np.asarray(logits.argmax(axis=1))


def answer_styles(
    synthesize: Callable[[torch.Tensor], torch.Tensor],
    classify: Callable[[torch.Tensor], torch.Tensor],
    styles: np.ndarray | Rows,
    *,
    batch_size: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda _: None,
) -> np.ndarray:
    """Logits [N, C] float32 of the image of each style vector; the rest as in `classify_styles`."""
    logits = []
    with torch.no_grad():
        for first in range(0, len(styles), batch_size):
            batch = torch.from_numpy(styles[first : first + batch_size])
            logits.append(classify(synthesize(batch.to(device))).float().cpu().numpy())
            advance(len(batch))
    return np.concatenate(logits)


def count_classes(generator: Generator, classifier: nn.Module) -> int:
    """How many classes a classifier tells apart, from its answer to one generated image."""
    device = next(generator.parameters()).device
    with torch.no_grad():
        image = generator.synthesize(torch.ones(1, generator.style_dimensions, device=device))
        return int(classifier(image).shape[1])
