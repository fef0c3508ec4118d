"""What several networks see in the same generated images, so that a classifier can be held against a judge."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from failure_atlas.stylegan2.generator import Generator


def read_styles(
    generator: Generator,
    networks: Sequence[nn.Module],
    styles: np.ndarray,
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> np.ndarray:
    """Class that each of M networks sees in the unrounded image of each style vector: int64 [M, N].

    styles: [N, D] float32.  Each image is made once and shown to all networks.  advance: told the number of images
    done after each batch.
    """
    device = next(generator.parameters()).device
    predicted = []
    with torch.no_grad():
        for batch in torch.split(torch.from_numpy(styles), batch_size):
            images = generator.synthesize(batch.to(device))
            predicted.append(np.stack([network(images).argmax(1).cpu().numpy() for network in networks]))
            advance(len(batch))
    return np.concatenate(predicted, axis=1)
