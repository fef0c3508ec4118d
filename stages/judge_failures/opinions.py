"""What several networks say about the same images, batch by batch."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch

from failure_atlas.images.image_set import to_unit
from failure_atlas.world.show import Classify, Synthesize


def ask_about_styles(
    networks: Mapping[str, Classify],
    synthesize: Synthesize,
    styles: np.ndarray,
    *,
    classes: int,
    batch_size: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, np.ndarray]:
    """Probabilities [M, classes] float64 that each network gives to the unrounded image of each style vector.

    networks: name -> images to logits, or to log-probabilities.  styles: [M, D] float32.  advance: told the number of
    images done after each batch.  Each image is made once, for all networks; M may be 0.
    """

    def show() -> Iterator[torch.Tensor]:
        for batch in torch.split(torch.from_numpy(styles), batch_size):
            yield synthesize(batch.to(device))

    return _ask(networks, show(), len(styles), classes, advance)


def ask_about_images(
    networks: Mapping[str, Classify], images: np.ndarray, *, classes: int, batch_size: int, device: torch.device
) -> dict[str, np.ndarray]:
    """The same for uint8 images [M, C, H, W]."""
    batches = (to_unit(images[first : first + batch_size]).to(device) for first in range(0, len(images), batch_size))
    return _ask(networks, batches, len(images), classes, lambda _: None)


def _ask(
    networks: Mapping[str, Classify],
    batches: Iterator[torch.Tensor],
    count: int,
    classes: int,
    advance: Callable[[int], None],
) -> dict[str, np.ndarray]:
    if count == 0:
        return {name: np.zeros((0, classes)) for name in networks}
    said: dict[str, list[np.ndarray]] = {name: [] for name in networks}
    with torch.no_grad():
        for images in batches:
            for name, network in networks.items():
                said[name].append(network(images).double().softmax(dim=1).cpu().numpy())
            advance(len(images))
    return {name: np.concatenate(parts) for name, parts in said.items()}
