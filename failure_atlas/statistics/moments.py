"""Mean and spread of vectors per class, in one pass over batches: memory does not grow with the samples."""

from typing import Protocol

import numpy as np


class Rows(Protocol):
    """Vectors [N, D] that are read by rows, as an array's are."""

    shape: tuple[int, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | np.ndarray, /) -> np.ndarray: ...


class ClassMoments:
    """Count, mean and summed squared deviation of vectors, per class, in float64 (Chan, Golub, LeVeque 1983).

    count: [C] int64.  mean, squares: [C, D] float64.
    """

    def __init__(self, classes: int, dimensions: int) -> None:
        self.count = np.zeros(classes, np.int64)
        self.mean = np.zeros((classes, dimensions))
        self.squares = np.zeros((classes, dimensions))

    def add(self, vectors: np.ndarray, true_class: np.ndarray) -> None:
        """Take in one batch; vectors: [N, D], true_class: [N] int64."""
        for index in np.unique(true_class):
            members = vectors[true_class == index].astype(np.float64)
            n, total = len(members), len(members) + self.count[index]
            mean = members.mean(axis=0)
            step = mean - self.mean[index]
            self.squares[index] += np.square(members - mean).sum(axis=0) + step**2 * (self.count[index] * n / total)
            self.mean[index] += step * (n / total)
            self.count[index] = total

    def std(self) -> np.ndarray:
        """Standard deviation of all vectors together, [D], with n - 1; NaN below two vectors."""
        count = self.count[:, None]
        mean = (self.mean * count).sum(axis=0) / count.sum()
        squares = self.squares.sum(axis=0) + (np.square(self.mean - mean) * count).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(squares / (count.sum() - 1.0)))

    def class_standard_error(self) -> np.ndarray:
        """Standard error of each class's mean, [C, D]; NaN where a class has fewer than two samples."""
        count = self.count[:, None].astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(self.squares / (count - 1) / count))

    def global_mean(self) -> np.ndarray:
        """Mean over the classes that there are samples of, each with equal weight, [D]."""
        return np.asarray(self.mean[self.count > 0].mean(axis=0))

    def global_standard_error(self) -> np.ndarray:
        """Standard error of `global_mean`, [D]: the classes are independent strata."""
        present = self.count > 0
        return np.asarray(np.sqrt(np.square(self.class_standard_error()[present]).sum(axis=0)) / present.sum())


def measure_std(vectors: np.ndarray | Rows, rows: int = 10_000) -> np.ndarray:
    """Standard deviation of each column, with n - 1: [N, D] to [D] float64, in parts of some rows."""
    moments = ClassMoments(1, vectors.shape[1])
    for first in range(0, len(vectors), rows):
        part = vectors[first : first + rows]
        moments.add(part, np.zeros(len(part), np.int64))
    return moments.std()
