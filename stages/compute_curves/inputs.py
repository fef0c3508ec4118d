"""The classifiers under test with all that is known of them, read and checked before any work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.judges.ensemble import load_judge
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import Samples, read_samples
from stages.common.artefacts.predictions import read_logits
from stages.common.artefacts.ranking import Order, read_orders
from stages.common.classifiers import expand_paths, read_classifiers
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
    _check_sizes(params, section, samples)
    count, classes = len(samples.styles), len(samples.class_names)
    folders = expand_paths(ranked, names, "--ranked")
    predicted = {name: read_logits(folder, count, classes).argmax(axis=1) for name, folder in folders.items()}
    judge_network = load_judge(judge, samples.class_names, device)
    return Inputs(
        samples,
        {
            name: World(
                painter.synthesize, {CLASSIFIER: network, JUDGE: judge_network}, section.batch_size, device, classes
            )
            for name, (painter, network) in networks.items()
        },
        {name: each == samples.true_class for name, each in predicted.items()},
        {name: read_orders(folder, samples) for name, folder in folders.items()},
    )


def _check_sizes(params: Path, section: ComputeCurvesParams, samples: Samples) -> None:
    """No more samples and dimensions than there are."""
    count, dimensions = samples.styles.shape
    limits = [("top_k", k, dimensions, "style dimensions of the generator") for k in section.top_k if k != "all"]
    limits += [
        ("shift_samples", section.shift_samples, count, "samples of the population"),
        ("shift_dimensions", section.shift_dimensions, dimensions, "style dimensions of the generator"),
    ]
    for key, value, limit, what in limits:
        if int(value) > limit:
            raise StageError(f"{params}: compute_curves.{key}: got {value}; allowed: at most the {limit} {what}")
