"""Styles near fixed starts, in stds of the population: what all walks move through."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from failure_atlas.walks.single import Walks
from failure_atlas.walks.true_failures import weigh_failures
from failure_atlas.world.gradients import Differences, differentiate, log_odds
from failure_atlas.world.show import CLASSIFIER, World, move_styles, select_seeds

LOG_ODDS = {"log_odds": log_odds}  # of the true class: 0 where its softmax is 0.50


@dataclass
class Passes:
    """What the walks cost: images classified, and for how many of them a gradient was computed as well."""

    images: int = 0
    gradients: int = 0

    def count(self, images: int) -> None:
        """Add images."""
        self.images += images


@dataclass(frozen=True)
class KeptSlopes:
    """Slopes for a classifier that gives no gradients, by central differences of the log-odds.

    at_start: [N, D] per std, at each of N starts.  dimensions: [N, K] int64, those along which the slope is taken anew
    wherever it is asked for; along all others it stays what it was at the start.  step_std: half the width.
    """

    at_start: np.ndarray
    dimensions: np.ndarray
    step_std: float


@dataclass(frozen=True)
class StdSpace:
    """Offsets u in std from N starts, s = styles + std * u, and what the networks of a world say there.

    styles: [N, D] float32.  true_class: [N] int64.  std: [D], of the population; a dimension of std 0 stays.
    noise: int64 [N], of the starts, kept on the way; None: the constant noise.
    passes: counts what is computed, for all parts of a space together.  kept: in place of gradients.
    """

    world: World
    styles: np.ndarray
    true_class: np.ndarray
    std: np.ndarray
    noise: np.ndarray | None = None
    passes: Passes = field(default_factory=Passes)
    kept: KeptSlopes | None = None

    def select(self, rows: np.ndarray) -> "StdSpace":
        """The space of some of the starts, by index or mask."""
        kept = self.kept
        if kept is not None:
            kept = replace(kept, at_start=kept.at_start[rows], dimensions=kept.dimensions[rows])
        own = {"styles": self.styles[rows], "true_class": self.true_class[rows], "noise": self.seeds(rows)}
        return replace(self, kept=kept, **own)

    def seeds(self, rows: np.ndarray) -> np.ndarray | None:
        """The noise of some of the starts, as networks are shown their images under it."""
        return select_seeds(self.noise, rows)

    def place(self, rows: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Raw styles [K, D] float32 at offsets [K, D] from the starts `rows`."""
        return np.asarray(self.styles[rows] + self.std * offset, np.float32)

    def move(self, walks: Walks, shift_std: np.ndarray | None = None) -> np.ndarray:
        """Raw styles [M, D] float32 on walks along single dimensions, by default where they ended."""
        amount = walks.step * (walks.shift_std if shift_std is None else shift_std)
        return move_styles(self.styles[walks.start], walks.dimension, amount)

    def score(self, rows: np.ndarray, dimension: np.ndarray, amount: np.ndarray) -> np.ndarray:
        """True-class softmax [K] float64 after one dimension of each start has moved by an amount in raw units."""
        self.passes.count(len(rows))
        styles = move_styles(self.styles[rows], dimension, amount)
        shown = self.world.show(styles, [CLASSIFIER], noise=self.seeds(rows), keep_images=False)
        return shown.score(self.true_class[rows])

    def weigh(self, walks: Walks, shift_std: np.ndarray) -> np.ndarray:
        """What `weigh_failures` says on walks, [M] float64."""
        moved, start = self.move(walks, shift_std), walks.start
        return weigh_failures(self.world, moved, self.true_class[start], self.seeds(start))

    def measure(self, rows: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Log-odds [K] float64 of the true class at offsets [K, D]."""
        self.passes.count(len(rows))
        placed, noise = self.place(rows, offset), self.seeds(rows)
        logits = self.world.show(placed, [CLASSIFIER], noise=noise, keep_images=False).logits[CLASSIFIER]
        return np.asarray(log_odds(torch.from_numpy(logits), torch.from_numpy(self.true_class[rows])).numpy())

    def differentiate(self, rows: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-odds [K] and slopes [K, D] per std, float64."""
        self.passes.gradients += len(rows)
        if self.kept is None:
            return self._slopes(rows, offset, None, self.std)
        dimensions = self.kept.dimensions[rows]
        values, fresh = self._difference(rows, offset, dimensions, self.kept.step_std)
        slopes = self.kept.at_start[rows]
        np.put_along_axis(slopes, dimensions, fresh, axis=1)
        return values, slopes

    def keep_slopes(
        self, walked: np.ndarray, count: int, step_std: float, advance: Callable[[int], object] = lambda _: None
    ) -> "StdSpace":
        """The same space for a classifier that gives no gradients.

        Slopes are taken at the starts that are walked, [N] bool, two images per dimension that varies; the `count`
        steepest dimensions of each are to be taken anew.  advance: told how many starts are done.
        """
        dimensions = len(self.std)
        at_start = np.zeros((len(walked), dimensions))
        for row in np.flatnonzero(walked)[:, None]:
            at_start[row] = self._difference(row, np.zeros((1, dimensions)), np.arange(dimensions)[None], step_std)[1]
            advance(1)
        steepest = np.argsort(-np.abs(at_start), axis=1, kind="stable")[:, :count]
        return replace(self, kept=KeptSlopes(at_start, steepest, step_std))

    def _difference(
        self, rows: np.ndarray, offset: np.ndarray, dimensions: np.ndarray, step_std: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log-odds [K] and slopes [K, M] per std along some dimensions [K, M], by central differences."""
        std = self.std[dimensions]
        return self._slopes(rows, offset, Differences(dimensions, step_std * std), std)

    def _slopes(
        self, rows: np.ndarray, offset: np.ndarray, differences: Differences | None, std: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        values, slopes = np.zeros(len(rows)), np.zeros((len(rows), std.shape[-1]))
        styles, true_class = self.place(rows, offset), self.true_class[rows]
        parts = differentiate(
            self.world, LOG_ODDS, styles, true_class,
            noise=self.seeds(rows), differences=differences, advance=self.passes.count,
        )  # fmt: skip
        for part in parts if len(rows) else ():
            values[part.rows], slopes[part.rows] = part.values["log_odds"], part.gradients["log_odds"]
        return values, slopes * std


def measure_length(offset: np.ndarray) -> np.ndarray:
    """Straight L2 distance in std; offset: [N, D]. Returns [N]."""
    return np.asarray(np.sqrt(np.square(offset).sum(axis=1)))
