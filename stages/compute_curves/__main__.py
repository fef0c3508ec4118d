"""Compute the curves: read, ask the judge, measure distances, compare, write."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.figure import Figure

from failure_atlas.core.arrays import read_array
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.drawing.style import save_figure
from failure_atlas.judges.ensemble import load_judge
from failure_atlas.statistics.bootstrap import Resampling, draw_counts
from failure_atlas.statistics.estimates import proportion
from stages.common.artefacts.population import Samples, read_samples
from stages.common.artefacts.ranking import ALL, draw_sets, read_orders
from stages.common.artefacts.shifts import TOP, read_shifted, require_same
from stages.common.classifiers import expand_paths, read_classifiers
from stages.common.command import OutOption, ParamsOption, PopulationOption, run_stage
from stages.common.params import load_section
from stages.compute_curves.binned_study import BinnedStudy
from stages.compute_curves.distance_study import study_distances
from stages.compute_curves.figures import (
    draw_classes,
    draw_classifiers,
    draw_differences,
    draw_projections,
    draw_shifts,
)
from stages.compute_curves.inputs import read_outcomes
from stages.compute_curves.opinions import read_classes
from stages.compute_curves.paired import summarize_differences, tabulate_differences
from stages.compute_curves.paired_study import compare_by_distance, compare_by_shift
from stages.compute_curves.params import ComputeCurvesParams
from stages.compute_curves.projection_study import study_projections
from stages.compute_curves.results import Result, tabulate_areas, tabulate_curves
from stages.compute_curves.shift_study import study_shifts
from stages.compute_curves.summary import is_headline, select, summarize_curves

PAIRED = "paired"  # beside the classifiers' names in metrics.json


def main(
    population: PopulationOption,
    ranked: Annotated[str, typer.Option(help="Result folder of rank_dimensions, {name} for the classifier's.")],
    shifted: Annotated[str, typer.Option(help="Result folder of shift_samples, {name} for the classifier's.")],
    judge: Annotated[Path, typer.Option(help="Weights of the judge: what it reads of the same images is the ceiling.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Measure accuracy against distance from the well-classified centre, against shift and projection (2.4, 3.3).

    Along top and random dimensions, over all samples and per class, beside the judge's accuracy on the same images;
    and the difference of every two classifiers. Leaves curves.csv, areas.csv, metrics.json and figures 6a and 6b.
    """
    section = load_section(params, ComputeCurvesParams, "compute_curves")
    names = read_classifiers(params)
    if PAIRED in names:
        raise StageError(f"{params}: classifiers.{PAIRED}: metrics.json keeps differences there; give it another name")
    samples = read_samples(population)
    _check_sizes(params, section, samples)
    folders = expand_paths(ranked, names, "--ranked")
    outcomes = {name: read_outcomes(folder, samples) for name, folder in folders.items()}
    orders = {name: read_orders(folder, samples) for name, folder in folders.items()}
    after_shift = {name: read_shifted(folder) for name, folder in expand_paths(shifted, names, "--shifted").items()}
    require_same(after_shift)
    shifts_std, moved = next(iter(after_shift.values())).get_axes()
    referee = load_judge(judge, samples.class_names, choose_device())

    styles, true_class = samples.styles, samples.true_class
    with Progress("judging", len(styles), "img") as progress:
        images = read_array(population / "population.zarr", "images")
        read = read_classes(referee, images, batch_size=section.batch_size, advance=progress.advance)
    judged = read == true_class
    random_sets = _draw_sets(section, styles.shape[1])
    binning: dict[str, Any] = {"bins": section.bins, "tail_quantile": section.tail_quantile}
    resampling = _resample(section, "distance", len(styles), section.random_draws)
    resampling_moved = _resample(
        section, "shift", moved, 1 + max(int(each.draw.max()) for each in after_shift.values())
    )
    results: list[Result] = []
    for name in names:
        study = BinnedStudy(
            classifier=name,
            styles=styles,
            true_class=true_class,
            well=outcomes[name],
            judged=judged,
            std=samples.std,
            orders=orders[name],
            random_sets=random_sets,
            resampling=resampling,
            top_k=section.top_k,
            **binning,
        )
        results += study_distances(study)
        results += study_projections(study)
        results += study_shifts(name, after_shift[name], true_class[:moved], samples.class_names, resampling_moved)
    differences = [
        *compare_by_distance(
            styles,
            true_class,
            outcomes,
            samples.std,
            classes=len(samples.class_names),
            counts=resampling.counts,
            **binning,
        ),
        *compare_by_shift(
            shifts_std, {name: each.classifier[TOP] for name, each in after_shift.items()}, resampling_moved.counts
        ),
    ]
    metrics = {
        name: summarize_curves(select(results, classifier=name), section.headline_k)
        | {
            "accuracy": proportion(outcomes[name]),
            "ceiling": proportion(judged),
            "avoidable_share": proportion(judged & ~outcomes[name]),
        }
        for name in names
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


def _resample(section: ComputeCurvesParams, what: str, samples: int, draws: int) -> Resampling:
    """Replicates of the samples that curves of a kind rest on, and of the random sets."""
    counts = (
        draw_counts(n, section.bootstrap_replicates, numpy_stream(section.seed, "bootstrap", name))
        for name, n in ((what, samples), ("draws", draws))
    )
    return Resampling(*counts)


def _draw_sets(section: ComputeCurvesParams, style_dimensions: int) -> dict[int, list[np.ndarray]]:
    """Random sets of each size in use, the same for all classifiers."""
    return {
        k: draw_sets(style_dimensions, k, section.random_draws, partial(numpy_stream, section.seed))
        for k in section.top_k
        if isinstance(k, int)
    }


def _check_sizes(params: Path, section: ComputeCurvesParams, samples: Samples) -> None:
    """No more dimensions than there are."""
    dimensions = samples.styles.shape[1]
    for k in section.top_k:
        if isinstance(k, int) and k > dimensions:
            raise StageError(
                f"{params}: compute_curves.top_k: got {k}; allowed: at most the generator's {dimensions} style "
                "dimensions"
            )


if __name__ == "__main__":
    run_stage(main, "compute_curves")
