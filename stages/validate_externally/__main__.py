"""Validate externally: read, measure each classifier on generated and on real images, correlate, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.corruptions.registry import choose_steps, refuse_channels
from failure_atlas.curves.distance import find_centres, measure_deviations, measure_distances
from failure_atlas.curves.shift import ask_shifted, build_move, space_shifts
from failure_atlas.drawing.style import save_figure
from failure_atlas.judges.ensemble import load_judge
from failure_atlas.populations.sampling import LEAST_PER_CLASS
from failure_atlas.ranking.scores import score_population
from failure_atlas.statistics.agreement import draw_halves, order_dimensions, share_top
from failure_atlas.statistics.rank_correlation import LEAST_CLASSIFIERS
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from stages.common.artefacts.images import read_images
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import Samples, read_samples
from stages.common.classifiers import expand_paths, parse_named_paths
from stages.common.command import GeneratorOption, OutOption, ParamsOption, PopulationOption, run_stage
from stages.common.image_params import CorruptImagesParams
from stages.common.params import DIMENSIONS, SAMPLES, limit_keys, load_section, read_params
from stages.validate_externally import measures, results
from stages.validate_externally.conditions import CORRUPTED, show_conditions
from stages.validate_externally.figures import draw_correlations, draw_scatter
from stages.validate_externally.params import ValidateExternallyParams

HALVINGS = 4  # of the population, behind the agreement of each ranking with itself


def main(
    generator: GeneratorOption,
    population: PopulationOption,
    images: Annotated[Path, typer.Option(help="The images store of prepare_images, whose test set is corrupted anew.")],
    judge: Annotated[Path, typer.Option(help="The judge's weights file, of train_judges.")],
    classifier: Annotated[list[str], typer.Option(help="NAME=FILE: weights of a classifier.")],
    out: OutOption,
    trained: Annotated[
        str | None,
        typer.Option(help="A path with {name} in it: the weights of each in train_classifiers of the params."),
    ] = None,
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
    files = _list_files(classifier, trained, params)
    device = choose_device()
    networks = {name: load_networks(generator, path, device) for name, path in files.items()}
    painter = next(iter(networks.values()))[0]
    whole = read_samples(population, painter)
    _check_sizes(params, section, whole)
    judge_network = load_judge(judge, whole.class_names, device)
    world_of = partial(
        World, painter.synthesize, batch_size=section.batch_size, device=device, classes=painter.num_classes
    )
    worlds = {name: world_of({CLASSIFIER: network, JUDGE: judge_network}) for name, (_, network) in networks.items()}
    steps = choose_steps(corruption.recipe, corruption.table)
    test = read_images(require(images, "prepare_images"), "test")
    try:
        refuse_channels(steps, test.images.shape[1])
    except ValueError as error:
        raise StageError(f"{images}: corrupt_images.recipe: {error}") from error
    labels, true_class = test.labels[: section.real_images], whole.true_class[: section.samples]
    shown, weights = show_conditions(test.images[: section.real_images], steps, corruption, section.seed)

    shifts_std = space_shifts(section.max_shift_std, section.shift_step_std)
    work = section.samples + len(shifts_std) * section.shift_samples + len(shown) * len(labels)
    generated: dict[str, measures.Generated] = {}
    overlap, right = {}, {}
    with Progress("classifiers", len(files) * work, "img") as progress:
        for name, world in worlds.items():
            generated[name], overlap[name] = _measure(world, whole, shifts_std, section, progress)
            seen = [world.look(each, [CLASSIFIER], advance=progress.advance).predicted() for each in shown]
            right[name] = np.stack(seen) == labels

    binning: dict[str, Any] = {"bins": section.bins, "tail_quantile": section.tail_quantile}
    on_generated = {name: one.measure(shifts_std, **binning) for name, one in generated.items()}
    on_real = {name: measures.measure_real(correct, weights) for name, correct in right.items()}
    streams = {what: numpy_stream(section.seed, "bootstrap", what) for what in ("generated", "real", "classifiers")}
    replicates = section.replicates
    correlations = results.tabulate_correlations(
        on_generated,
        on_real,
        measures.resample_generated(list(generated.values()), shifts_std, replicates, streams["generated"], **binning),
        measures.resample_real(list(right.values()), weights, replicates, streams["real"]),
        streams["classifiers"],
    )
    estimates = results.tabulate_estimates(on_generated, on_real)
    metrics = results.summarize_correlations(correlations, on_real, section.bar)
    metrics |= results.compare_with_accuracy(
        on_generated, on_real, replicates, section.strong, numpy_stream(section.seed, "bootstrap", "differences")
    )
    well = np.stack([one.well for one in generated.values()])
    on_average = np.stack([weights[CORRUPTED] @ correct for correct in right.values()])
    metrics |= measures.compare_classes(well, true_class, on_average, labels) | {
        "samples": section.samples, "real_images": len(labels), "ranking_top10_overlap": overlap
    }  # fmt: skip
    logging.info(results.tell_headline(metrics))
    write_csv(out / "external_validity.csv", estimates)
    write_csv(out / "correlations.csv", correlations)
    save_figure(draw_scatter(estimates, correlations), out / "figures" / "external_validity.png", estimates)
    save_figure(draw_correlations(correlations), out / "figures" / "correlations.png", correlations)
    write_json(out / "metrics.json", metrics)


def _list_files(classifier: list[str], trained: str | None, params: Path) -> dict[str, Path]:
    """The weights of each classifier: those that are named, then those that train_classifiers of the params names."""
    files = parse_named_paths(classifier, "--classifier")
    if trained is not None:
        names = dict.fromkeys(read_params(params).get("train_classifiers") or {}, "")
        if twice := files.keys() & names.keys():
            raise StageError(f"--classifier: '{min(twice)}' is given by --trained, too; name each classifier once")
        files |= expand_paths(trained, names, "--trained")
    if len(files) < LEAST_CLASSIFIERS:
        raise StageError(
            f"--classifier: got {len(files)} of them; allowed: at least {LEAST_CLASSIFIERS}, for fewer cannot be ranked"
        )
    return files


def _measure(
    world: World, whole: Samples, shifts_std: np.ndarray, section: ValidateExternallyParams, progress: Progress
) -> tuple[measures.Generated, float]:
    """One classifier on generated images, along its own ranking, and how far the rankings of two halves agree."""
    styles, true_class = whole.styles[: section.samples], whole.true_class[: section.samples]
    halves = draw_halves(true_class, HALVINGS, numpy_stream(section.seed, "halves"))
    scores = score_population(
        world, styles, true_class, halves, noise=whole.noise[: section.samples], advance=progress.advance
    )
    well = scores.logits.argmax(axis=1) == true_class
    gradient = scores.gradients.global_mean()
    order, direction = order_dimensions(gradient), -np.sign(gradient).astype(np.int64)
    centres = find_centres(styles, true_class, well, world.classes, "own_class")
    deviations = measure_deviations(styles, true_class, centres, whole.std)
    move, moved = build_move(order[: section.shift_dimensions], direction, whole.std), slice(0, section.shift_samples)
    correct, readable = ask_shifted(
        world, styles[moved], move, true_class[moved], shifts_std, progress.advance, whole.noise[moved]
    )
    first, second = (means.mean(axis=1) for means in scores.halves.means())
    distance = measure_distances(deviations, order[: section.distance_dimensions])
    return measures.Generated(well, distance, correct, readable & ~correct), float(share_top(first, second).mean())


def _check_sizes(params: Path, section: ValidateExternallyParams, whole: Samples) -> None:
    """No more samples and dimensions than there are, and enough of each class."""
    count, dimensions = whole.styles.shape
    by_dimensions = dict.fromkeys(("shift_dimensions", "distance_dimensions"), (dimensions, DIMENSIONS))
    limit_keys(params, "validate_externally", section, {"samples": (count, SAMPLES)} | by_dimensions)
    classes = len(whole.class_names)
    if np.bincount(whole.true_class[: section.samples], minlength=classes).min() < LEAST_PER_CLASS:
        raise StageError(
            f"{params}: validate_externally.samples: got {section.samples}; allowed: at least "
            f"{LEAST_PER_CLASS * classes}, {LEAST_PER_CLASS} of each class"
        )


if __name__ == "__main__":
    run_stage(main, "validate_externally")
