"""The classifiers under test with all that is known of them, read and checked before any work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.curves.shift import ALL, Order, read_order
from failure_atlas.judges.ensemble import load_judge
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from stages.common.artefacts.images import read_images
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import Samples, read_samples
from stages.common.artefacts.predictions import read_logits
from stages.common.artefacts.ranking import GLOBAL, read_ranking
from stages.common.classifiers import expand_paths, read_classifiers
from stages.common.params import DIMENSIONS, SAMPLES, limit_keys
from stages.compute_curves.params import ComputeCurvesParams

PAIRED = "paired"  # beside the classifiers' names in metrics.json


@dataclass(frozen=True)
class Inputs:
    """worlds, well, orders: by classifier.  worlds: with CLASSIFIER and JUDGE.  well: bool [N], who is right."""

    samples: Samples
    worlds: Mapping[str, World]
    well: Mapping[str, np.ndarray]
    orders: Mapping[str, Mapping[str, Order]]


def read_inputs(
    params: Path,
    section: ComputeCurvesParams,
    *,
    generator: Path,
    classifiers: str,
    population: Path,
    ranked: str,
    judge: Path,
) -> Inputs:
    """Read all that the options name; StageError for what does not fit together."""
    names = read_classifiers(params)
    if PAIRED in names:
        raise StageError(f"{params}: classifiers.{PAIRED}: metrics.json keeps differences there; give it another name")
    device = choose_device()
    files = expand_paths(classifiers, names, "--classifiers")
    networks = {name: load_networks(generator, path, device) for name, path in files.items()}
    samples = read_samples(population, next(iter(networks.values()))[0])
    count, dimensions = samples.styles.shape
    by_dimensions = dict.fromkeys(("top_k", "shift_dimensions"), (dimensions, DIMENSIONS))
    limit_keys(params, "compute_curves", section, {"shift_samples": (count, SAMPLES)} | by_dimensions)
    classes = len(samples.class_names)
    folders = expand_paths(ranked, names, "--ranked")
    predicted = {name: read_logits(folder, count, classes).argmax(axis=1) for name, folder in folders.items()}
    ensemble = load_judge(judge, samples.class_names, device)

    def build_world(painter: Generator, network: nn.Module) -> World:
        return World(painter.synthesize, {CLASSIFIER: network, JUDGE: ensemble}, section.batch_size, device, classes)

    return Inputs(
        samples,
        {name: build_world(*pair) for name, pair in networks.items()},
        {name: each == samples.true_class for name, each in predicted.items()},
        {name: _read_orders(folder, samples) for name, folder in folders.items()},
    )


def classify_images(inputs: Inputs, corrupted: Path) -> dict[str, np.ndarray]:
    """Which classifier is right about which real corrupted test image: bool [N], by classifier."""
    real = read_images(require(corrupted, "corrupt_images"), "test")
    seen = {name: world.look(real.images, [CLASSIFIER]).predicted() for name, world in inputs.worlds.items()}
    return {name: predicted == real.labels for name, predicted in seen.items()}


def _read_orders(folder: Path, samples: Samples) -> dict[str, Order]:
    """The ranking of all samples, under `all`, and of each class in the order of the labels."""
    table, dimensions = read_ranking(folder), samples.styles.shape[1]
    scopes = {ALL: GLOBAL} | {name: name for name in samples.class_names}
    return {name: read_order(table, scope, dimensions) for name, scope in scopes.items()}
