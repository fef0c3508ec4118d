"""What a judge reads in the images of the population."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from failure_atlas.images.image_set import to_unit


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
