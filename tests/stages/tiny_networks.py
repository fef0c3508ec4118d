"""Classifiers that learn a handful of images in seconds."""

from pathlib import Path

import numpy as np
import torch

from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.arrays import read_array

CLASSES = 10


def teach(images: np.ndarray, labels: np.ndarray, *, seed: int, steps: int) -> Classifier:
    """A small network that knows most of these images, uint8 [N, 1, H, W], after so many steps on all of them."""
    shown, known = torch.from_numpy(images).float() / 255, torch.from_numpy(labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier("plain", classes=CLASSES, width=8)
    optimiser = torch.optim.Adam(classifier.parameters(), lr=0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(classifier(shown), known).backward()
        optimiser.step()
    return classifier.eval()


def teach_population(folder: Path, *, seed: int, steps: int) -> Classifier:
    """The same on the images and labels of a population."""
    store = folder / "population.zarr"
    return teach(read_array(store, "images"), read_array(store, "labels"), seed=seed, steps=steps)
