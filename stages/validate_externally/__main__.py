"""Validate externally: read, measure each classifier on generated and on real images, correlate, write."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import nn

from failure_atlas.classifiers.evaluation import predict
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.corruptions.registry import choose_steps, refuse_channels
from failure_atlas.curves.distance import find_centres, measure_distances, square_deviations
from failure_atlas.curves.shift import build_move, space_shifts
from failure_atlas.drawing.style import save_figure
from failure_atlas.images.image_set import ImageSet
from failure_atlas.judges.ensemble import Ensemble, load_judge
from failure_atlas.populations.sampling import LEAST_PER_CLASS
from failure_atlas.ranking.scores import score_population
from failure_atlas.statistics.agreement import draw_halves, order_dimensions, share_top
from failure_atlas.statistics.rank_correlation import LEAST_CLASSIFIERS
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.world import show
from stages.common.artefacts.images import read_images
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import Samples, read_samples
from stages.common.classifiers import parse_named_paths
from stages.common.command import GeneratorOption, OutOption, ParamsOption, PopulationOption, run_stage
from stages.common.image_params import CorruptImagesParams
from stages.common.params import load_section
from stages.validate_externally.conditions import CORRUPTED, list_conditions, show_images, weigh_conditions
from stages.validate_externally.figures import draw_correlations, draw_scatter
from stages.validate_externally.measures import Binning, Generated, measure_generated, measure_real, shift_samples
from stages.validate_externally.params import ValidateExternallyParams
from stages.validate_externally.resampling import resample_generated, resample_real
from stages.validate_externally.results import summarize_correlations, tabulate_correlations, tabulate_estimates

HALVINGS = 4  # of the population, behind the agreement of each ranking with itself


@dataclass(frozen=True)
class World:
    """What every classifier is measured on: samples with their spread, and shifts in std."""

    samples: Samples
    std: np.ndarray
    halves: np.ndarray
    shifts_std: np.ndarray


def main(
    generator: GeneratorOption,
    population: PopulationOption,
    images: Annotated[Path, typer.Option(help="The images store of prepare_images, whose test set is corrupted anew.")],
    judge: Annotated[Path, typer.Option(help="The judge's weights file, an ensemble of train_judges.")],
    classifier: Annotated[list[str], typer.Option(help="NAME=FILE: weights of a classifier; five or more.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
    recipe: Annotated[
        Path, typer.Option(help="The params file whose section corrupt_images says how images are corrupted.")
    ] = Path("params.yaml"),
) -> None:
    """Compare what is measured on generated images with accuracy on real ones, over many classifiers.

    Leaves external_validity.csv (one row per classifier and measure), correlations.csv, metrics.json and two figures.
    """
    section = load_section(params, ValidateExternallyParams, "validate_externally")
    corruption = load_section(recipe, CorruptImagesParams, "corrupt_images")
    steps = choose_steps(corruption.recipe, corruption.table)
    files = parse_named_paths(classifier, "--classifier")
    if len(files) < LEAST_CLASSIFIERS:
        raise StageError(
            f"--classifier: got {len(files)} of them; allowed: at least {LEAST_CLASSIFIERS}, for fewer cannot be ranked"
        )
    device = choose_device()
    networks = {name: load_networks(generator, path, device) for name, path in files.items()}
    network = next(iter(networks.values()))[0]
    world = _read_world(population, network, section, params)
    ensemble = load_judge(judge, world.samples.class_names, device)
    test = read_images(require(images, "prepare_images"), "test")
    try:
        refuse_channels(steps, test.images.shape[1])
    except ValueError as error:
        raise StageError(f"{images}: corrupt_images.recipe: {error}") from error
    real = ImageSet(test.images[: section.real_images], test.labels[: section.real_images])

    conditions = list_conditions([step.key for step in steps], corruption.severities)
    weights = weigh_conditions(conditions, corruption.clean_fraction)
    shown = [show_images(real.images, condition, steps, section.seed) for condition in conditions]
    generated: dict[str, Generated] = {}
    overlap: dict[str, float] = {}
    work = section.samples + len(world.shifts_std) * section.shift_samples + len(shown) * len(real.labels)
    right = {}
    with Progress("classifiers", len(files) * work, "img") as progress:
        for name, (_, under_test) in networks.items():
            generated[name], overlap[name] = _measure(network, under_test, ensemble, world, section, device, progress)
            right[name] = np.stack([_answer(under_test, each, real.labels, progress) for each in shown])

    binning = Binning(section.bins, section.tail_quantile)
    on_generated = {name: measure_generated(one, world.shifts_std, binning) for name, one in generated.items()}
    on_real = {name: measure_real(correct, weights) for name, correct in right.items()}
    streams = {what: numpy_stream(section.seed, "bootstrap", what) for what in ("generated", "real", "classifiers")}
    correlations = tabulate_correlations(
        on_generated,
        on_real,
        resample_generated(
            list(generated.values()), world.shifts_std, binning, section.replicates, streams["generated"]
        ),
        resample_real(list(right.values()), weights, section.replicates, streams["real"]),
        streams["classifiers"],
    )
    estimates = tabulate_estimates(on_generated, on_real)
    averages = [accuracies[CORRUPTED]["value"] for accuracies in on_real.values()]
    metrics = {
        "classifiers": len(files),
        "samples": section.samples,
        "real_images": len(real.labels),
        "real_accuracy_range": [min(averages), max(averages)],
        "ranking_top10_overlap": overlap,
        **summarize_correlations(correlations, section.bar),
    }
    headline = metrics["external_validity"]
    logging.info(
        "Spearman of distance area with real accuracy over %d classifiers: %.3f [%.3f, %.3f]; bar %.2f: %s",
        *(headline[key] for key in ("n", "value", "low", "high")),
        *(metrics[key] for key in ("bar", "verdict")),
    )

    write_csv(out / "external_validity.csv", estimates)
    write_csv(out / "correlations.csv", correlations)
    save_figure(draw_scatter(estimates, correlations), out / "figures" / "external_validity.png", estimates)
    save_figure(draw_correlations(correlations), out / "figures" / "correlations.png", correlations)
    write_json(out / "metrics.json", metrics)


def _read_world(folder: Path, network: Generator, section: ValidateExternallyParams, params: Path) -> World:
    whole = read_samples(folder, network)
    dimensions = whole.styles.shape[1]
    for key, value, limit, what in (
        ("samples", section.samples, len(whole.styles), "samples of the population"),
        ("shift_dimensions", section.shift_dimensions, dimensions, "style dimensions of the generator"),
        ("distance_dimensions", section.distance_dimensions, dimensions, "style dimensions of the generator"),
    ):
        if value > limit:
            raise StageError(f"{params}: validate_externally.{key}: got {value}; allowed: at most the {limit} {what}")
    part = Samples(whole.styles[: section.samples], whole.true_class[: section.samples], whole.class_names)
    least = LEAST_PER_CLASS * network.num_classes
    if np.bincount(part.true_class, minlength=network.num_classes).min() < LEAST_PER_CLASS:
        raise StageError(
            f"{params}: validate_externally.samples: got {section.samples}; allowed: at least {least}, "
            f"{LEAST_PER_CLASS} of each class"
        )
    return World(
        part,
        whole.std,
        draw_halves(part.true_class, HALVINGS, numpy_stream(section.seed, "halves")),
        space_shifts(section.max_shift_std, section.shift_step_std),
    )


def _measure(
    network: Generator,
    under_test: nn.Module,
    judge: Ensemble,
    world: World,
    section: ValidateExternallyParams,
    device: torch.device,
    progress: Progress,
) -> tuple[Generated, float]:
    """One classifier on generated images, along its own ranking, and how far the ranking of two halves agree."""
    styles, true_class, classes = world.samples.styles, world.samples.true_class, network.num_classes
    scores = score_population(
        show.World(network.synthesize, {show.CLASSIFIER: under_test}, section.batch_size, device, classes),
        styles,
        true_class,
        world.halves,
        advance=progress.advance,
    )
    well = scores.logits.argmax(axis=1) == true_class
    gradient = scores.gradients.global_mean()
    order = order_dimensions(gradient)
    squares = square_deviations(
        styles, true_class, find_centres(styles, true_class, well, classes, "own_class"), world.std
    )
    correct, readable = shift_samples(
        network.synthesize,
        under_test,
        judge,
        styles[: section.shift_samples],
        build_move(order[: section.shift_dimensions], -np.sign(gradient).astype(np.int64), world.std),
        true_class[: section.shift_samples],
        world.shifts_std,
        batch_size=section.batch_size,
        device=device,
        advance=progress.advance,
    )
    first, second = (means.mean(axis=1) for means in scores.halves.means())
    distance = measure_distances(squares, order[: section.distance_dimensions])
    return Generated(well, distance, correct, readable & ~correct), float(share_top(first, second).mean())


def _answer(under_test: nn.Module, images: np.ndarray, labels: np.ndarray, progress: Progress) -> np.ndarray:
    right = predict(under_test, images).argmax(axis=1) == labels
    progress.advance(len(labels))
    return np.asarray(right)


if __name__ == "__main__":
    run_stage(main, "validate_externally")
