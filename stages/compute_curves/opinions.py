"""What several networks make of the same images, so that a classifier can be held against what a judge reads."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from stages.prepare_images.store import to_unit
from stages.train_stylegan2.generator import Generator


def read_classes(
    network: nn.Module, images: np.ndarray, *, batch_size: int, advance: Callable[[int], None] = lambda _: None
) -> np.ndarray:
    """Class that the network gives the highest probability, int64 [N], for uint8 images [N, C, H, W].

    advance: told the number of images done after each batch.
    """
    device = next(network.parameters()).device
    predicted = []
    with torch.no_grad():
        for first in range(0, len(images), batch_size):
            batch = to_unit(images[first : first + batch_size]).to(device)
            predicted.append(network(batch).argmax(1).cpu().numpy())
            advance(len(batch))
    return np.concatenate(predicted)


def read_styles(
    generator: Generator,
    networks: Sequence[nn.Module],
    styles: np.ndarray,
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> np.ndarray:
    """Class that each of M networks sees in the unrounded image of each style vector: int64 [M, N].

    styles: [N, D] float32.  Each image is made once and shown to all networks.  advance: as in `read_classes`.
    """
    device = next(generator.parameters()).device
    predicted = []
    with torch.no_grad():
        for batch in torch.split(torch.from_numpy(styles), batch_size):
            images = generator.synthesize(batch.to(device))
            predicted.append(np.stack([network(images).argmax(1).cpu().numpy() for network in networks]))
            advance(len(batch))
    return np.concatenate(predicted, axis=1)
