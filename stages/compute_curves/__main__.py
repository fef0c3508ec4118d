"""Compute the curves: read, ask the judge, measure distances, shift samples, compare, write."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.figure import Figure

from stages.common.arrays import read_array
from stages.common.classifiers import expand_paths, read_classifiers
from stages.common.command import GeneratorOption, OutOption, ParamsOption, PopulationOption, run_stage
from stages.common.device import choose_device
from stages.common.errors import StageError
from stages.common.figures import save_figure
from stages.common.files import write_csv, write_json
from stages.common.intervals import proportion
from stages.common.params import load_section
from stages.common.progress import Progress
from stages.common.seeds import numpy_stream
from stages.compute_curves.bootstrap import Resampling, draw_counts
from stages.compute_curves.distance_study import study_distances
from stages.compute_curves.figures import (
    draw_classes,
    draw_classifiers,
    draw_differences,
    draw_projections,
    draw_shifts,
)
from stages.compute_curves.inputs import read_orders, read_outcomes
from stages.compute_curves.opinions import read_classes, read_styles
from stages.compute_curves.paired import summarize_differences, tabulate_differences
from stages.compute_curves.paired_study import compare_by_distance, compare_by_shift
from stages.compute_curves.params import ComputeCurvesParams
from stages.compute_curves.projection_study import study_projections
from stages.compute_curves.ranking import draw_dimensions
from stages.compute_curves.results import ALL, Result, tabulate_areas, tabulate_curves
from stages.compute_curves.shift import space_shifts
from stages.compute_curves.shift_study import study_shifts
from stages.compute_curves.summary import is_headline, select, summarize_curves
from stages.rank_dimensions.networks import load_networks
from stages.rank_dimensions.samples import Samples, read_samples
from stages.train_judges.ensemble import load_judge

PAIRED = "paired"  # beside the classifiers' names in metrics.json


def main(
    generator: GeneratorOption,
    population: PopulationOption,
    ranked: Annotated[str, typer.Option(help="Result folder of rank_dimensions, {name} for the classifier's.")],
    classifier: Annotated[str, typer.Option(help="Weights file, {name} and {section} for the classifier's.")],
    judge: Annotated[Path, typer.Option(help="Weights of the judge: what it reads of the same images is the ceiling.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Measure accuracy against distance from the well-classified centre, against shift and projection (2.4, 3.3).

    Along top and random dimensions, over all samples and per class, beside the judge's accuracy on the same images;
    and the difference of every two classifiers. Leaves curves.csv, areas.csv, metrics.json and figures 6a and 6b.
    """
    section = load_section(params, ComputeCurvesParams, "compute_curves")
    device = choose_device()
    names = read_classifiers(params)
    if PAIRED in names:
        raise StageError(f"{params}: classifiers.{PAIRED}: metrics.json keeps differences there; give it another name")
    folders, files = expand_paths(ranked, names, "--ranked"), expand_paths(classifier, names, "--classifier")
    networks = {name: load_networks(generator, path, device) for name, path in files.items()}
    samples = read_samples(population, next(iter(networks.values()))[0])
    _check_sizes(params, section, samples)
    outcomes = {name: read_outcomes(folder, samples) for name, folder in folders.items()}
    orders = {name: read_orders(folder, samples) for name, folder in folders.items()}
    referee = load_judge(judge, samples.class_names, device)

    styles, true_class = samples.styles, samples.true_class
    with Progress("judging", len(styles), "img") as progress:
        images = read_array(population / "population.zarr", "images")
        read = read_classes(referee, images, batch_size=section.batch_size, advance=progress.advance)
    judged = read == true_class
    std = styles.std(axis=0, ddof=1, dtype=np.float64)
    random_sets = _draw_sets(section, styles.shape[1])
    binning: dict[str, Any] = {"bins": section.bins, "tail_quantile": section.tail_quantile}
    binned = {"top_k": section.top_k, **binning}
    shifts_std = space_shifts(section.max_shift_std, section.shift_step_std)
    moved = slice(0, section.shift_samples)
    counts, counts_moved, draws = (
        draw_counts(n, section.bootstrap_replicates, numpy_stream(section.seed, "bootstrap", what))
        for n, what in ((len(styles), "distance"), (len(styles[moved]), "shift"), (section.random_draws, "draws"))
    )
    resampling, resampling_moved = Resampling(counts, draws), Resampling(counts_moved, draws)
    results: list[Result] = []
    correct_moved: dict[str, np.ndarray] = {}
    moves = 1 + 3 * (len(shifts_std) - 1)  # of each sample: none, then each step along three kinds of dimensions
    with Progress("shifting", len(files) * moves * len(styles[moved]), "img") as progress:
        for name, (network, under_test) in networks.items():
            population_view = (name, styles, true_class, outcomes[name], judged, std, orders[name], random_sets)
            results += study_distances(*population_view, resampling=resampling, **binned)
            results += study_projections(*population_view, resampling=resampling, **binned)
            study = study_shifts(
                name,
                partial(
                    read_styles,
                    network,
                    (under_test, referee),
                    batch_size=section.batch_size,
                    advance=progress.advance,
                ),
                styles[moved],
                true_class[moved],
                std,
                orders[name],
                random_sets[section.shift_dimensions],
                shifts_std,
                resampling_moved,
            )
            results += study.results
            correct_moved[name] = study.correct
    differences = [
        *compare_by_distance(
            styles,
            true_class,
            outcomes,
            std,
            classes=len(samples.class_names),
            counts=counts,
            **binning,
        ),
        *compare_by_shift(shifts_std, correct_moved, counts_moved),
    ]
    metrics = {
        name: summarize_curves(select(results, classifier=name), section.headline_k)
        | {
            "accuracy": proportion(outcomes[name]),
            "ceiling": proportion(judged),
            "avoidable_share": proportion(judged & ~outcomes[name]),
        }
        for name in files
    }
    for name, numbers in metrics.items():
        logging.info(
            "%s: area by distance %.3f (judge %.3f, random dimensions %.3f), by shift %.3f (judge %.3f, random %.3f)",
            name,
            *(numbers[key] for key in ("area", "ceiling_area", "random_area")),
            *(numbers[key] for key in ("shift_area", "shift_ceiling_area", "random_shift_area")),
        )

    write_csv(out / "curves.csv", tabulate_curves(results))
    write_csv(out / "areas.csv", tabulate_areas(results))
    distances, shifts = select(results, kind="distance"), select(results, kind="shift")
    classes = [result for result in distances if is_headline(result.key, section.headline_k)]
    _save(draw_classifiers(distances, section.top_k), out, "fig6a_classifiers", select(distances, scope=ALL))
    _save(draw_classes(classes), out, "fig6b_classes", select(classes, dimensions="top"))
    _save(draw_shifts(shifts), out, "shift", shifts)
    projections = select(results, kind="projection", scope=ALL)
    _save(draw_projections(projections, section.top_k), out, "projection", projections)
    table = tabulate_differences(differences)
    save_figure(draw_differences(differences), out / "figures" / "paired_difference.png", table)
    write_json(out / "metrics.json", metrics | {PAIRED: summarize_differences(differences)})


def _save(figure: Figure, out: Path, name: str, results: Sequence[Result]) -> None:
    save_figure(figure, out / "figures" / f"{name}.png", tabulate_curves(results))


def _draw_sets(section: ComputeCurvesParams, style_dimensions: int) -> dict[int, list[np.ndarray]]:
    """Random sets of each size in use, the same for all classifiers."""
    sizes = {k for k in section.top_k if isinstance(k, int)} | {section.shift_dimensions}
    return {
        k: [
            draw_dimensions(style_dimensions, k, numpy_stream(section.seed, "random dimensions", k, draw))
            for draw in range(section.random_draws)
        ]
        for k in sorted(sizes)
    }


def _check_sizes(params: Path, section: ComputeCurvesParams, samples: Samples) -> None:
    """No more dimensions than there are, and a sample for each random draw."""
    dimensions = samples.styles.shape[1]
    wanted = [("top_k", k) for k in section.top_k if isinstance(k, int)]
    for key, value in [*wanted, ("shift_dimensions", section.shift_dimensions)]:
        if value > dimensions:
            raise StageError(
                f"{params}: compute_curves.{key}: got {value}; allowed: at most the generator's {dimensions} style "
                "dimensions"
            )
    if section.random_draws > min(section.shift_samples, len(samples.styles)):
        raise StageError(
            f"{params}: compute_curves.random_draws: got {section.random_draws}; allowed: at most the number of "
            f"shifted samples, {min(section.shift_samples, len(samples.styles))}"
        )


if __name__ == "__main__":
    run_stage(main, "compute_curves")
