"""Styles near fixed starts, in stds of the population: what all walks of this room move through."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from failure_atlas.world.gradients import Differences as Along
from failure_atlas.world.gradients import differentiate
from failure_atlas.world.show import CLASSIFIER, Classify, Synthesize, World
from stages.measure_robustness.log_odds import differentiate_log_odds, measure_log_odds

# Which starts [K] int64, their offsets [K, D] in std -> log-odds of the true class [K].
Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]
# The same -> log-odds [K] and their slope along each dimension, per std [K, D].
Differentiate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass
class Passes:
    """What the walks cost: images classified, and for how many of them a gradient was computed as well."""

    images: int = 0
    gradients: int = 0


@dataclass(frozen=True)
class Differences:
    """Slopes for a classifier that gives no gradients, by central differences of the log-odds.

    at_start: [N, D] per std, at each of N starts.  dimensions: [N, K] int64, those along which the slope is taken anew
    wherever it is asked for; along all others it stays what it was at the start.  step_std: half the width.
    """

    at_start: np.ndarray
    dimensions: np.ndarray
    step_std: float


@dataclass(frozen=True)
class StdSpace:
    """Offsets u in std from N starts: s = styles + std * u, batch by batch; memory is bounded by batch_size.

    styles: [N, D] float32.  true_class: [N] int64.  std: [D], of the population; a dimension of std 0 stays.
    passes: counts what is computed, for all parts of a space together.  differences: in place of gradients.
    """

    synthesize: Synthesize
    classify: Classify
    styles: np.ndarray
    true_class: np.ndarray
    std: np.ndarray
    batch_size: int
    device: torch.device
    passes: Passes = field(default_factory=Passes)
    differences: Differences | None = None

    def select(self, rows: np.ndarray) -> "StdSpace":
        """The space of some of the starts, by index or mask."""
        part = self.differences
        if part is not None:
            part = replace(part, at_start=part.at_start[rows], dimensions=part.dimensions[rows])
        return replace(self, styles=self.styles[rows], true_class=self.true_class[rows], differences=part)

    def place(self, rows: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Raw styles [K, D] float32 at offsets [K, D] from the starts `rows`."""
        return np.asarray(self.styles[rows] + self.std * offset, np.float32)

    def measure(self, rows: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Log-odds [K] float64 of the true class."""
        values = np.empty(len(rows))
        with torch.no_grad():
            for part, batch, labels in self._batches(rows, offset):
                values[part] = measure_log_odds(self.classify(self.synthesize(batch)), labels).cpu().numpy()
        self.passes.images += len(rows)
        return values

    def differentiate(self, rows: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-odds [K] and slopes [K, D] per std, float64."""
        if self.differences is not None:
            slopes, chosen = self.differences.at_start[rows], self.differences.dimensions[rows]
            fresh = self.difference(rows, offset, chosen, self.differences.step_std)
            np.put_along_axis(slopes, chosen, fresh, axis=1)
            self.passes.gradients += len(rows)
            return self.measure(rows, offset), slopes
        values, slopes = np.empty(len(rows)), np.empty((len(rows), len(self.std)))
        for part, batch, labels in self._batches(rows, offset):
            batch_values, gradients = differentiate_log_odds(self.synthesize, self.classify, batch, labels)
            values[part] = batch_values.cpu().numpy()
            slopes[part] = gradients.cpu().numpy() * self.std
        self.passes.images += len(rows)
        self.passes.gradients += len(rows)
        return values, slopes

    def difference(self, rows: np.ndarray, offset: np.ndarray, dimensions: np.ndarray, step_std: float) -> np.ndarray:
        """Slopes per std along some dimensions, by central differences; dimensions: [K, M] int64. Returns [K, M]."""
        world = World(self.synthesize, {CLASSIFIER: self.classify}, self.batch_size, self.device)
        along = Along(np.broadcast_to(dimensions, (len(rows), dimensions.shape[1])), step_std * self.std[dimensions])
        parts = differentiate(
            world,
            {"log_odds": measure_log_odds},
            self.place(rows, offset),
            self.true_class[rows],
            differences=along,
            advance=self._count,
        )
        return np.asarray(np.concatenate([part.gradients["log_odds"] for part in parts]) * self.std[dimensions])

    def _count(self, images: int) -> None:
        self.passes.images += images

    def _batches(self, rows: np.ndarray, offset: np.ndarray) -> list[tuple[slice, torch.Tensor, torch.Tensor]]:
        parts = [slice(first, first + self.batch_size) for first in range(0, len(rows), self.batch_size)]
        return [
            (
                part,
                torch.from_numpy(self.place(rows[part], offset[part])).to(self.device),
                torch.from_numpy(self.true_class[rows[part]]).to(self.device),
            )
            for part in parts
        ]


def measure_length(offset: np.ndarray) -> np.ndarray:
    """Straight L2 distance in std; offset: [N, D]. Returns [N]."""
    return np.asarray(np.sqrt(np.square(offset).sum(axis=1)))
