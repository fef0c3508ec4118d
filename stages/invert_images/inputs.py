"""What an inversion works with, read and checked before any work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from failure_atlas.core.arrays import read_array
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.corruptions.registry import Step, choose_steps, refuse_channels
from failure_atlas.images.image_set import ImageSet
from failure_atlas.judges.ensemble import Ensemble, load_judge
from failure_atlas.judges.failures import AUDITOR
from failure_atlas.search.domain import Domain, fit_domain
from failure_atlas.search.metering import Meter
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.world.show import JUDGE, Classify, World
from stages.common.artefacts.images import read_class_names, read_images
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import Samples, read_samples
from stages.common.classifiers import expand_paths, read_classifiers
from stages.common.image_params import CorruptImagesParams
from stages.invert_images.params import InvertImagesParams


@dataclass(frozen=True)
class Opened:
    """world: over styles, with JUDGE, AUDITOR and the classifiers; none of them has a part in the inversion.

    painter: the same generator without any network, counted in `meter`.  w: [N, W] and images of the population.
    clean: the real test images before any corruption.
    """

    generator: Generator
    world: World
    painter: World
    meter: Meter
    auditor: Ensemble
    classifiers: list[str]
    samples: Samples
    w: np.ndarray
    images: np.ndarray
    domain: Domain
    clean: ImageSet
    steps: list[Step]


def open_inversion(
    generator: Path,
    classifiers: str,
    judges: Mapping[str, Path],
    population: Path,
    images: Path,
    recipe: Path,
    section: InvertImagesParams,
    corruption: CorruptImagesParams,
) -> Opened:
    """Read everything; StageError if something is missing or does not fit."""
    device, under_test = choose_device(), read_classifiers(recipe)
    if twice := judges.keys() & under_test.keys():
        raise StageError(f"{recipe}: classifiers.{min(twice)}: metrics.json keeps it for a judge; give it another name")
    files = expand_paths(classifiers, under_test, "--classifiers")
    painter, _ = load_networks(generator, next(iter(files.values())), device)
    samples = read_samples(population, painter)
    names = samples.class_names
    if read_class_names(require(images, "prepare_images")) != names:
        shown = ", ".join(read_class_names(images))
        raise StageError(f"{images}: shows the classes {shown}; the population has {', '.join(names)}")
    clean, steps = read_images(images, "test"), choose_steps(corruption.recipe, corruption.table)
    try:
        refuse_channels(steps, clean.images.shape[1])
    except ValueError as error:
        raise StageError(f"{images}: corrupt_images.recipe: {error}") from error
    ensembles = {name: load_judge(require(path, "train_judges"), names, device) for name, path in judges.items()}
    networks: dict[str, Classify] = {JUDGE: ensembles[JUDGE], AUDITOR: ensembles[AUDITOR]}
    networks |= {name: load_networks(generator, path, device)[1] for name, path in files.items()}
    world = World(painter.synthesize, networks, section.batch_size, device, painter.num_classes)
    w, meter = read_array(population / "population.zarr", "w"), Meter()
    return Opened(
        generator=painter,
        world=world,
        painter=meter.watch_world(World(painter.synthesize, {}, section.batch_size, device), painter.style_dimensions),
        meter=meter,
        auditor=ensembles[AUDITOR],
        classifiers=list(files),
        samples=samples,
        w=w,
        images=read_array(population / "population.zarr", "images"),
        domain=fit_domain(w, samples.true_class, section.inside_share),
        clean=clean,
        steps=steps,
    )
