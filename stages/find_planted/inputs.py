"""The images in which spots are planted: generated ones, and real ones for the baseline."""

from pathlib import Path

import numpy as np

from failure_atlas.core.arrays import read_array
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.corruptions.corruptions import corrupt, draw_severities, open_streams
from failure_atlas.corruptions.registry import choose_steps
from stages.common.artefacts.attributes import Measured, read_measured
from stages.common.artefacts.images import read_class_names, read_images, read_severities
from stages.common.artefacts.population import read_samples
from stages.common.image_params import CorruptImagesParams
from stages.common.mode_params import FindModesParams
from stages.find_planted.measures import measure_otherwise
from stages.find_planted.params import FindPlantedParams
from stages.find_planted.plants import APPLIED, MEASURED, Pool

LEAST_NOISE, LEAST_BLUR = 0.02, 0.4  # below which a generated image is one of a clean image
COPIES = 2  # of each of these, with severities and noise of their own


def open_pools(
    population: Path, attributes: Path, images: Path, recipe: Path, modes: FindModesParams,
    corruption: CorruptImagesParams, section: FindPlantedParams,
) -> tuple[dict[str, tuple[Pool, Pool]], tuple[str, ...]]:  # fmt: skip
    """Pools by what spots fire on, generated and real, and the attributes that conditions may be made of.

    applied: generated images that look clean, corrupted by the recipe, whose severities are written down.  measured:
    the population as it is, measured by another implementation.  StageError for what does not fit together.
    """
    samples, measured = read_samples(population), read_measured(attributes)
    if len(measured.population) != len(samples.true_class):
        raise StageError(f"{attributes}: of another population; make it again with: dvc repro measure_attributes")
    held = read_class_names(require(images, "corrupt_images"))
    if held != samples.class_names:
        raise StageError(
            f"{images}: shows the classes {', '.join(held)}; the population has {', '.join(samples.class_names)}"
        )
    chosen = measured.offer(modes.attributes, samples.true_class, recipe)
    made = read_array(population / "population.zarr", "images")
    random = numpy_stream(section.seed, "real images")
    test, severities = read_images(images, "test"), read_severities(images, "test")
    if len(test.labels) != len(measured.images) or section.real_images > len(test.labels):
        raise StageError(
            f"{images}: {len(test.labels)} test images; {len(measured.images)} were measured, and "
            f"find_planted.real_images: got {section.real_images}; allowed: at most as many as there are"
        )
    rows = np.sort(random.permutation(len(test.labels))[: section.real_images])
    looks = measured.pick(measured.images, chosen)[rows]
    with Progress("measuring otherwise", len(made) + len(rows), "img") as progress:
        others = [measure_otherwise(each, progress.advance) for each in (made, test.images[rows])]
    every, some = np.arange(len(made)), np.arange(len(rows))
    written = {step: level[rows].astype(float) for step, level in severities.by_step.items()}
    own = measured.pick(measured.population, chosen)
    pools = {
        APPLIED: (
            _corrupt_clean(samples.true_class, made, measured, chosen, corruption, section.seed),
            Pool(looks, test.labels[rows], written, some),
        ),
        MEASURED: (
            Pool(own, samples.true_class, others[0], every),
            Pool(looks, test.labels[rows], others[1], some),
        ),
    }
    for basis, (own_pool, real_pool) in pools.items():
        for name in own_pool.levels:
            if name not in real_pool.levels:
                raise StageError(
                    f"{images}: was not corrupted by {name}, as {recipe} asks; make it again with: dvc repro"
                )
        if not any(len(np.unique(level)) > 1 for level in own_pool.levels.values()):
            raise StageError(f"{recipe}: corrupt_images leaves all images alike: nothing {basis} can be planted")
    return pools, chosen


def _corrupt_clean(
    true_class: np.ndarray, images: np.ndarray, measured: Measured, chosen: tuple[str, ...],
    corruption: CorruptImagesParams, seed: int,
) -> Pool:  # fmt: skip
    noise, blur = (measured.population[:, measured.names.index(name)] for name in ("noise", "blur"))
    clean = np.flatnonzero((noise < LEAST_NOISE) & (blur < LEAST_BLUR))
    if not len(clean):
        raise StageError("measure_attributes: no image of the population looks clean, so that none can be corrupted")
    rows, steps = np.tile(clean, COPIES), choose_steps(corruption.recipe, corruption.table)
    random = numpy_stream(seed, "severities")
    severities = draw_severities(len(rows), corruption.clean_fraction, corruption.severities, random, steps=len(steps))
    with Progress("corrupting", len(rows), "img") as progress:
        changed = corrupt(images[rows], severities, steps, open_streams(seed, "planted"), advance=progress.advance)
    with Progress("measuring", len(rows), "img") as progress:
        values = measured.calibration.read(measured.calibration.measure_all(changed, progress.advance))
    levels = {step.key: severity.astype(float) for step, severity in zip(steps, severities, strict=True)}
    return Pool(measured.pick(values, chosen), true_class[rows], levels, rows)
