"""What training step i sees, as a function of the seed and i alone.

No random state has to be saved: a resumed run, or one cut over any number of workers, draws the same numbers.
"""

from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.core.seeds import numpy_stream, torch_stream
from failure_atlas.stylegan2.augmentation import Augmentation, draw_augmentation


@dataclass(frozen=True)
class Batch:
    """One worker's rows of one step.

    real: [N, C, H, W] in [-1, 1]; labels: [N], of the real images and, the same, for the fake ones; z: [N, z_dim];
    noise: one [N, 1, H, W] per convolution of the generator.
    """

    real: torch.Tensor
    labels: torch.Tensor
    z: torch.Tensor
    noise: list[torch.Tensor]


class Batches:
    """Draws batches from a training set, in an order that the seed fixes.

    An epoch shows as many images as there are, of each class n ** (1 - balance) of its n over the sum of all classes':
    with a balance of 0 each image once, with 1 every class equally often.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int,
        z_dim: int,
        noise_resolutions: list[int],
        seed: int,
        rows: slice,
        device: torch.device,
        balance: float = 0.0,
    ) -> None:
        """images: uint8 [N, C, H, W]; labels: int64 [N]; rows: this worker's part of each batch."""
        self._images = torch.from_numpy(images)
        self._labels = torch.from_numpy(labels)
        self._batch_size, self._z_dim, self._noise_resolutions = batch_size, z_dim, noise_resolutions
        self._seed, self._rows, self._device = seed, rows, device
        self._classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self._quotas = _share_out(len(labels), np.array([len(each) ** (1 - balance) for each in self._classes]))
        self._balance = balance
        self._orders: dict[int, np.ndarray] = {}

    def draw(self, step: int) -> Batch:
        """The batch of one step. All workers draw the whole batch's numbers and keep their rows."""
        chosen = torch.from_numpy(self.indices(step)[self._rows])
        stream = torch_stream(self._seed, "batch", step)
        n = self._batch_size
        z = torch.randn(n, self._z_dim, generator=stream)[self._rows]
        noise = [torch.randn(n, 1, px, px, generator=stream)[self._rows] for px in self._noise_resolutions]
        real = self._images[chosen].to(self._device, torch.float32) / 127.5 - 1
        labels = self._labels[chosen].to(self._device)
        return Batch(real, labels, z.to(self._device), [plane.to(self._device) for plane in noise])

    def augmentation(self, step: int, use: str, probability: float) -> Augmentation:
        """Transformations for this worker's rows; use: which pass of the step they serve."""
        drawn = draw_augmentation(self._batch_size, probability, torch_stream(self._seed, use, step))
        return drawn.rows(self._rows)

    def indices(self, step: int) -> np.ndarray:
        """Indices of the training images of one step, [batch_size]."""
        positions = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        epochs, places = np.divmod(positions, len(self._images))
        return np.array([self._order(int(epoch))[place] for epoch, place in zip(epochs, places, strict=True)])

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {kept: order for kept, order in self._orders.items() if kept == epoch - 1}
            stream = numpy_stream(self._seed, "epoch", epoch)
            shown = np.arange(len(self._images)) if self._balance == 0 else self._draw_shares(stream)
            self._orders[epoch] = stream.permutation(shown)
        return self._orders[epoch]

    def _draw_shares(self, stream: np.random.Generator) -> np.ndarray:
        """Of each class as many images as its quota, all of them before one comes again."""
        drawn = [
            np.concatenate([stream.permutation(each) for _ in range(-(-quota // len(each)))])[:quota]
            for each, quota in zip(self._classes, self._quotas, strict=True)
        ]
        return np.concatenate(drawn)


def _share_out(total: int, weights: np.ndarray) -> list[int]:
    """Whole numbers that add up to `total`, in proportion to the weights to within 1."""
    ends = np.round(np.cumsum(weights) / weights.sum() * total).astype(int)
    return [int(share) for share in np.diff(ends, prepend=0)]
