"""The networks of one analysis, read and checked before any work."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from failure_atlas.brought.checkpoint import load_classifier
from failure_atlas.brought.generator import load_generator
from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.errors import StageError
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.world.show import CLASSIFIER, World


def load_networks(
    generator: Path, classifier: Path, device: torch.device, *, channels_last: bool = True
) -> tuple[Generator, nn.Module]:
    """Load a generator and a classifier; StageError if one is unusable or they disagree on the number of classes.

    channels_last: how they lie in memory, which moves what they compute by rounding.
    """
    generator_network, classifier_network = load_generator(generator, device), load_classifier(classifier, device)
    for network in (generator_network, classifier_network):
        # Gradients on CPU are 1.3 to 1.6 times as fast with the channels of a pixel side by side. What was brought may
        # not bear it: `x.view(len(x), -1)` after a convolution would fail.
        if channels_last and type(network) in (Generator, Classifier):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    world = World(generator_network.synthesize, {CLASSIFIER: classifier_network}, device=device)
    one = np.ones((1, generator_network.style_dimensions), np.float32)
    classes = world.show(one, keep_images=False).logits[CLASSIFIER].shape[1]
    if classes != generator_network.num_classes:
        raise StageError(
            f"{classifier}: tells {classes} classes apart, the generator makes {generator_network.num_classes}; "
            "use a classifier of the same data set"
        )
    return generator_network, classifier_network
