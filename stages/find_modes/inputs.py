"""What is known of each sample, found failure and real image, read and checked before any work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from failure_atlas.attributes.registry import REGISTRY, Attribute
from failure_atlas.brought.checkpoint import load_classifier
from failure_atlas.core.arrays import read_array
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import read_table, require
from failure_atlas.core.progress import Progress
from failure_atlas.judges.verdicts import TRUE_FAILURE
from failure_atlas.modes.estimate import rake
from failure_atlas.world.show import CLASSIFIER, World
from stages.common.artefacts.attributes import Measured, read_measured
from stages.common.artefacts.images import read_class_names, read_images
from stages.common.artefacts.names import COLUMNS, Names, collect_names, read_directions
from stages.common.artefacts.population import Samples, read_samples
from stages.common.artefacts.predictions import read_logits
from stages.common.mode_params import FindModesParams, OperatingDomain

SEARCHED = ("walk_in_w", "walk_in_w_from_real_images")  # methods whose failures have a distance from a start
JUDGED = ["source", "index", "verdict", "auditor_confirms"]
FOUND = ["method", "verdict", "distance_std"]


@dataclass(frozen=True)
class Seen:
    """Images of one kind, what they look like and how they were read.

    looks: float64 [n, M], of the attributes offered.  images: uint8 [n, C, H, W].  true_class, predicted: int64 [n].
    """

    looks: np.ndarray
    images: np.ndarray
    true_class: np.ndarray
    predicted: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """Which are misread, bool [n]."""
        return np.asarray(self.predicted != self.true_class)


@dataclass(frozen=True)
class Evidence:
    """All that modes are found in and held against.

    attributes: [M], those offered.  generated, real: the population and the test images.  confirmed: bool [N], failures
    of the population that judge and auditor both call true.  found: true failures of the search, with its rows.
    weights: [N], of use, of mean 1.  cost: [N], of how each sample is read.  others: predicted by other classifiers.
    directions: rows of directions.csv.  second: the population of another generator, where there is one.
    """

    attributes: tuple[Attribute, ...]
    class_names: list[str]
    samples: Samples
    generated: Seen
    real: Seen
    confirmed: np.ndarray
    found: Seen
    found_rows: pd.DataFrame
    weights: np.ndarray
    cost: np.ndarray
    others: Mapping[str, np.ndarray]
    directions: pd.DataFrame
    words: Names
    second: Seen | None = None


def open_evidence(
    section: FindModesParams,
    params: Path,
    *,
    classifier: Path,
    population: Path,
    attributes: Path,
    images: Path,
    ranking: Path,
    names: Path,
    judged: Path,
    failures: Path,
    others: Mapping[str, Path],
    real_attributes: Path,
    second: tuple[Path, Path, Path] | None = None,
) -> Evidence:
    """Read all that the options name; StageError for what does not fit together."""
    samples = read_samples(population)
    measured = read_measured(attributes, samples.true_class)
    chosen = measured.offer(section.attributes, samples.true_class, params)
    count, classes = len(samples.true_class), len(samples.class_names)
    predicted = {name: read_logits(folder, count, classes).argmax(axis=1) for name, folder in others.items()}
    made = Seen(
        measured.pick(measured.population, chosen), read_array(population / "population.zarr", "images"),
        samples.true_class, read_logits(ranking, count, classes).argmax(axis=1),
    )  # fmt: skip
    of_real = measured if real_attributes == attributes else read_measured(real_attributes)
    real = _look_at_real(section, classifier, images, samples.class_names, of_real, chosen)
    found, rows = _read_found(failures, measured, chosen)
    table = read_table(judged / "failures.csv", "judge_failures", JUDGED)
    own = table[(table["source"] == "population") & (table["verdict"] == TRUE_FAILURE) & table["auditor_confirms"]]
    confirmed, rows_of = np.zeros(count, bool), own["index"].to_numpy(np.int64)
    if len(rows_of) and not 0 <= rows_of.min() <= rows_of.max() < count:
        raise StageError(
            f"{judged / 'failures.csv'}: names sample {rows_of.max()} of a population of {count}; make it again with: "
            "dvc repro judge_failures"
        )
    confirmed[rows_of] = True
    directions = read_directions(names, COLUMNS)
    weights, cost = weigh(section.operating_domain, measured, made, samples.class_names, params)
    return Evidence(
        tuple(REGISTRY[name] for name in chosen), samples.class_names, samples, made, real, confirmed, found, rows,
        weights, cost, predicted, directions, collect_names(directions),
        _open_second(*second, chosen, samples.class_names) if second else None,
    )  # fmt: skip


def _open_second(
    population: Path, attributes: Path, ranking: Path, chosen: tuple[str, ...], class_names: list[str]
) -> Seen:
    """Another generator's population as the same classifier reads it; images are not needed."""
    samples = read_samples(population)
    if samples.class_names != class_names:
        raise StageError(
            f"{population}: --second shows the classes {', '.join(samples.class_names)}, the population "
            f"{', '.join(class_names)}; use a generator of the same classes"
        )
    measured = read_measured(attributes, samples.true_class)
    predicted = read_logits(ranking, len(samples.true_class), len(samples.class_names)).argmax(axis=1)
    looks = measured.pick(measured.population, chosen)
    return Seen(looks, np.empty(0, np.uint8), samples.true_class, predicted)


def _look_at_real(
    section: FindModesParams, classifier: Path, images: Path, class_names: list[str], measured: Measured,
    chosen: tuple[str, ...],
) -> Seen:  # fmt: skip
    held = read_class_names(require(images, "corrupt_images"))
    test = read_images(images, "test")
    if held != class_names or len(test.labels) != len(measured.images):
        raise StageError(
            f"{images}: {len(test.labels)} test images of the classes {', '.join(held)}; {len(measured.images)} were "
            f"measured, and the population has {', '.join(class_names)}; make it again with: dvc repro "
            "measure_attributes"
        )
    network = load_classifier(classifier, choose_device())
    world = World(lambda styles: styles, {CLASSIFIER: network}, section.batch_size, choose_device(), len(class_names))
    with Progress("reading real images", len(test.labels), "img") as progress:
        predicted = world.look(test.images, advance=progress.advance).predicted()
    return Seen(measured.pick(measured.images, chosen), test.images, test.labels, predicted)


def _read_found(folder: Path, measured: Measured, chosen: tuple[str, ...]) -> tuple[Seen, pd.DataFrame]:
    """True failures of the search, and their rows of failures.csv."""
    table = read_table(folder / "failures.csv", "find_failures", FOUND)
    path = require(folder / "failures.zarr", "find_failures")
    images, labels = read_array(path, "images"), read_array(path, "labels")
    if len(images) != len(table):
        raise StageError(
            f"{path}: {len(images)} images, failures.csv has {len(table)} rows; make both again with: dvc repro "
            "find_failures"
        )
    kept = np.flatnonzero((table["verdict"] == TRUE_FAILURE) & table["method"].isin(SEARCHED))
    values = (
        measured.calibration.read(measured.calibration.measure(images[kept]))
        if len(kept)
        else np.empty((0, len(measured.names)))
    )
    seen = Seen(measured.pick(values, chosen), images[kept], labels[kept], np.full(len(kept), -1))
    return seen, table.iloc[kept].reset_index(drop=True)


def weigh(
    domain: OperatingDomain, measured: Measured, made: Seen, class_names: list[str], params: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the samples in use, and what it costs how each is read; StageError for what cannot be."""
    where = f"{params}: find_modes.operating_domain"
    holds = []
    for exposure in domain.exposure:
        if exposure.attribute not in measured.names:
            known = ", ".join(measured.names)
            raise StageError(f"{where}.exposure: got '{exposure.attribute}'; allowed: {known}")
        column = measured.population[:, measured.names.index(exposure.attribute)]
        holds.append(column > exposure.above if exposure.above is not None else column <= exposure.below)
    try:
        weights = rake(holds, [each.share for each in domain.exposure]) if holds else np.ones(len(made.true_class))
    except ValueError as error:
        held = domain.exposure[int(error.args[0])]
        raise StageError(
            f"{where}.exposure: {held.attribute} {'above' if held.above is not None else 'below'} "
            f"{held.above if held.above is not None else held.below} cannot hold in {held.share:g} of use: it holds in "
            f"{holds[int(error.args[0])].mean():.3f} of the population, beside the other conditions"
        ) from error
    costs = np.ones((len(class_names), len(class_names)))
    for each in domain.costs:
        for name in (each.true_class, each.read_as):
            if name is not None and name not in class_names:
                raise StageError(f"{where}.costs: got '{name}'; allowed: {', '.join(class_names)}")
        rows, columns = (
            slice(None) if name is None else class_names.index(name) for name in (each.true_class, each.read_as)
        )
        costs[rows, columns] = each.cost
    np.fill_diagonal(costs, 0.0)
    return weights, costs[made.true_class, made.predicted]
