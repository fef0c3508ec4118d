"""Style vectors become images, and networks say what they see in them. Nothing else in the project writes this loop."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from failure_atlas.core.pool import compute_parts
from failure_atlas.images.image_set import to_bytes, to_unit
from failure_atlas.statistics.moments import Rows

# Styles [N, D], and where it is given the noise's seeds [N] -> images [N, channels, H, W] in [0, 1].
Synthesize = Callable[..., torch.Tensor]
Classify = Callable[[torch.Tensor], torch.Tensor]  # images -> logits, or log-probabilities, [N, classes]
CPU = torch.device("cpu")
CLASSIFIER, JUDGE = "classifier", "judge"  # the names of networks where there is one of each
MOST_VALUES = 2**26  # of the largest layer of a batch: 256 MiB, and with gradients about 20 times as much in all


@dataclass(frozen=True)
class Shown:
    """N images and what each network says of them.

    images: uint8 [N, channels, H, W], rounded; without rows where they were not kept.
    logits: by network [N, classes], in the precision in which it answers.
    """

    images: np.ndarray
    logits: Mapping[str, np.ndarray]

    def softmax(self, network: str = CLASSIFIER) -> np.ndarray:
        """Its probabilities [N, classes] float64; of a judge, whose logits are log-probabilities, its opinion."""
        return torch.from_numpy(self.logits[network]).double().softmax(dim=1).numpy()

    def predicted(self, network: str = CLASSIFIER) -> np.ndarray:
        """The class that it sees, [N] int64."""
        return np.asarray(self.logits[network].argmax(axis=1))

    def rival(self, true_class: np.ndarray, network: str = CLASSIFIER) -> np.ndarray:
        """The class that it sees most in the image apart from the true one, [N] int64; true_class: [N]."""
        others = self.logits[network].copy()
        others[np.arange(len(others)), true_class] = -np.inf
        return np.asarray(others.argmax(axis=1))

    def score(self, true_class: np.ndarray, network: str = CLASSIFIER) -> np.ndarray:
        """Its softmax of the true class [N] float64; true_class: [N]."""
        return np.asarray(self.softmax(network)[np.arange(len(true_class)), true_class])


@dataclass(frozen=True)
class World:
    """A generator and the networks that look at its images, fed with NumPy arrays; memory is bounded by batch_size.

    networks: by name; each treats images independently. They see the unrounded image.  batch_size: samples at once;
    fewer where a layer of the generator would hold more than MOST_VALUES.  classes: how many they tell apart, where
    there may be no styles to learn it from.
    """

    synthesize: Synthesize
    networks: Mapping[str, Classify] = field(default_factory=dict)
    batch_size: int = 250
    device: torch.device = CPU
    classes: int = 0

    def __post_init__(self) -> None:
        """Lower batch_size where images are large; a published generator of 256 px gets 16, of 1024 px 4."""
        network = getattr(self.synthesize, "__self__", None)  # a function that is no generator's has no layers
        widths = enumerate(getattr(getattr(network, "architecture", None), "channels", ()))
        largest = max((width * (4 << level) ** 2 for level, width in widths), default=1)
        object.__setattr__(self, "batch_size", min(self.batch_size, max(MOST_VALUES // largest, 1)))

    def show(
        self,
        styles: np.ndarray | Rows,
        networks: Sequence[str] | None = None,
        *,
        noise: np.ndarray | None = None,
        keep_images: bool = True,
        advance: Callable[[int], object] = lambda _: None,
    ) -> Shown:
        """Make the image of each style vector once and ask the networks, all by default, about it.

        styles: [N, D] float32, N may be 0.  noise: int64 [N], the seed of each sample's noise, or None for the constant
        noise.  advance: told the number of images done after each batch.
        The result depends on batch_size by float rounding only.
        """
        split, chosen = self.split(len(styles)), list(self.networks if networks is None else networks)
        batches = ((styles[rows], select_seeds(noise, rows)) for rows in split)
        return _join(compute_parts(partial(self._show_batch, chosen, keep_images), batches), split, advance)

    def look(
        self,
        images: np.ndarray,
        networks: Sequence[str] | None = None,
        *,
        advance: Callable[[int], object] = lambda _: None,
    ) -> Shown:
        """Ask the networks about images as they are stored, uint8 [N, channels, H, W]; the rest as `show`."""
        split, chosen = self.split(len(images)), list(self.networks if networks is None else networks)
        batches = ((images[rows],) for rows in split)
        shown = _join(compute_parts(partial(self._look_at_batch, chosen), batches), split, advance)
        return Shown(images, shown.logits)

    def make_images(
        self, styles: np.ndarray | Rows, noise: np.ndarray | None = None
    ) -> Iterator[tuple[slice, torch.Tensor]]:
        """Which rows, and their images [n, channels, H, W], unrounded and without gradients, batch by batch.

        styles: [N, D] float32; of none there is one batch of none, which still has its shape.  noise: of `show`.
        """
        for rows in self.split(len(styles)):
            with torch.no_grad():
                images = self.paint(torch.from_numpy(styles[rows]).to(self.device), select_seeds(noise, rows))
            yield rows, images

    def paint(self, styles: torch.Tensor, noise: np.ndarray | None) -> torch.Tensor:
        """Images [n, channels, H, W] of one batch of styles [n, D]; noise: [n], or None for the constant noise."""
        return self.synthesize(styles) if noise is None else self.synthesize(styles, noise)

    def split(self, n: int) -> list[slice]:
        """The batches of n rows; one empty one of none."""
        return [slice(first, min(first + self.batch_size, n)) for first in range(0, max(n, 1), self.batch_size)]

    def ask(self, network: str, images: torch.Tensor) -> torch.Tensor:
        """The logits of one batch of images [n, channels, H, W] in [0, 1], without gradients: [n, classes].

        No network is asked about no images: many flatten them in a way that fails.
        """
        with torch.no_grad():
            return self.networks[network](images) if len(images) else images.new_zeros(0, self.classes)

    def _show_batch(self, networks: list[str], keep: bool, styles: np.ndarray, noise: np.ndarray | None) -> Shown:
        with torch.no_grad():
            made = self.paint(torch.from_numpy(styles).to(self.device), noise)
        return self._ask(networks, to_bytes(made[: None if keep else 0]).cpu().numpy(), made)

    def _look_at_batch(self, networks: list[str], images: np.ndarray) -> Shown:
        return self._ask(networks, images[:0], to_unit(images).to(self.device))

    def _ask(self, networks: list[str], kept: np.ndarray, images: torch.Tensor) -> Shown:
        return Shown(kept, {name: self.ask(name, images).cpu().numpy() for name in networks})


def _join(batches: Iterator[Shown], split: list[slice], advance: Callable[[int], object]) -> Shown:
    parts = []
    for rows, shown in zip(split, batches, strict=True):
        parts.append(shown)
        advance(rows.stop - rows.start)
    said = {name: np.concatenate([part.logits[name] for part in parts]) for name in parts[0].logits}
    return Shown(np.concatenate([part.images for part in parts]), said)


def select_seeds(noise: np.ndarray | None, rows: np.ndarray | slice) -> np.ndarray | None:
    """The noise of some samples; None, the constant noise of all, stays None."""
    return None if noise is None else noise[rows]


def move_styles(styles: np.ndarray, dimension: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """A copy with one dimension of each row raised by its amount; styles [N, D], dimension [N], amount [N]."""
    moved = styles.copy()
    moved[np.arange(len(styles)), dimension] += amount.astype(styles.dtype)
    return moved
