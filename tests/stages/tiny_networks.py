"""Classifiers that learn a handful of images in seconds."""

from pathlib import Path

import numpy as np
import torch

from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.arrays import read_array

CLASSES = 10


def teach(images: np.ndarray, labels: np.ndarray, *, seed: int, steps: int, classes: int = CLASSES) -> Classifier:
    """A small network that knows most of these images, uint8 [N, C, H, W], after so many steps on all of them.

    It learns in double precision: in single, a processor's order of adding decides which images it ends up knowing.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier("plain", classes=classes, width=8, channels=images.shape[1]).double()
    fit(classifier, torch.from_numpy(images).double() / 255, torch.from_numpy(labels), rate=0.01, steps=steps)
    return classifier.float().eval()


def fit(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, *, rate: float, steps: int) -> None:
    """Let a network learn images as it wants them."""
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()


def teach_population(folder: Path, *, seed: int, steps: int, classes: int = CLASSES) -> Classifier:
    """The same on the images and labels of a population."""
    store = folder / "population.zarr"
    images, labels = read_array(store, "images"), read_array(store, "labels")
    return teach(images, labels, seed=seed, steps=steps, classes=classes)
