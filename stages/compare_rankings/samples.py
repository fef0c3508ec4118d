"""Which samples a ranking sees, with which weight, and fresh samples that no ranking sees."""

import numpy as np
import torch

from failure_atlas.populations.sampling import balance_labels
from failure_atlas.stylegan2.generator import Generator


def take_balanced(true_class: np.ndarray, count: int) -> np.ndarray:
    """The first samples of every class in turn, so that each class has its share: int64 [count], rising.

    true_class: [N] int64. A class that runs out leaves its place to the others. Raises ValueError if count exceeds N.
    """
    if count > len(true_class):
        raise ValueError(f"{count} of {len(true_class)} samples")
    turn = np.empty(len(true_class), np.int64)
    for index in np.unique(true_class):
        members = np.flatnonzero(true_class == index)
        turn[members] = np.arange(len(members))
    return np.sort(np.lexsort((true_class, turn))[:count])


def weigh_classes(true_class: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Weights of weighted means in which every class that is present counts the same: [R, N] float64, rows sum to 1.

    true_class: [N] int64.  members: [R, N], how often each of N samples takes part in each of R means.
    """
    weights = members.astype(np.float64)
    for index in np.unique(true_class):
        own = true_class == index
        total = weights[:, own].sum(axis=1, keepdims=True)
        weights[:, own] /= np.where(total > 0, total, 1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def resample_classes(true_class: np.ndarray, replicates: int, random: np.random.Generator) -> np.ndarray:
    """Bootstrap of samples within their classes: [replicates, N] int64, how often each sample was drawn."""
    drawn = np.zeros((replicates, len(true_class)), np.int64)
    for index in np.unique(true_class):
        members = np.flatnonzero(true_class == index)
        drawn[:, members] = random.multinomial(len(members), np.full(len(members), 1 / len(members)), replicates)
    return drawn


def draw_styles(generator: Generator, samples: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Fresh samples z -> w -> s with the classes in turn: styles [N, D] float32 and true class [N] int64."""
    true_class = balance_labels(samples, generator.num_classes)
    z = random.standard_normal((samples, generator.z_dim), np.float32)
    device = next(generator.parameters()).device
    with torch.no_grad():
        w = generator.map_latents(torch.from_numpy(z).to(device), torch.from_numpy(true_class).to(device))
        return generator.map_styles(w).cpu().numpy(), true_class
