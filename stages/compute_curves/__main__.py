"""Compute the curves: read, measure distances, shift samples, write."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.figure import Figure

from stages.common.command import GeneratorOption, OutOption, ParamsOption, PopulationOption, run_stage
from stages.common.device import choose_device
from stages.common.errors import StageError
from stages.common.figures import save_figure
from stages.common.files import write_csv, write_json
from stages.common.intervals import proportion
from stages.common.params import load_section
from stages.common.progress import Progress
from stages.common.seeds import numpy_stream
from stages.compute_curves.distance_study import study_distances
from stages.compute_curves.figures import draw_classes, draw_classifiers, draw_shifts
from stages.compute_curves.inputs import read_orders, read_outcomes
from stages.compute_curves.options import parse_named_paths
from stages.compute_curves.params import ComputeCurvesParams
from stages.compute_curves.ranking import draw_dimensions
from stages.compute_curves.results import ALL, Result, tabulate_areas, tabulate_curves
from stages.compute_curves.shift import space_shifts
from stages.compute_curves.shift_study import study_shifts
from stages.compute_curves.summary import is_headline, select, summarize_curves
from stages.rank_dimensions.inputs import Samples, load_networks, read_samples
from stages.sample_populations.outcomes import classify_styles


def main(
    generator: GeneratorOption,
    population: PopulationOption,
    ranked: Annotated[
        list[str], typer.Option(help="NAME=FOLDER: result folder of rank_dimensions; one per classifier.")
    ],
    classifier: Annotated[list[str], typer.Option(help="NAME=FILE: weights of the classifier of that name.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Measure accuracy against distance from the well-classified centre, and against shift (paper 2.4, 3.3).

    Along top and random dimensions, over all samples and per class. Leaves curves.csv, areas.csv, metrics.json
    and figures 6a and 6b.
    """
    section = load_section(params, ComputeCurvesParams, "compute_curves")
    device = choose_device()
    folders, files = parse_named_paths(ranked, "--ranked"), parse_named_paths(classifier, "--classifier")
    if folders.keys() != files.keys():
        raise StageError(f"--ranked names {', '.join(folders)}; --classifier names {', '.join(files)}; name the same")
    networks = {name: load_networks(generator, path, device) for name, path in files.items()}
    samples = read_samples(population, next(iter(networks.values()))[0])
    _check_sizes(params, section, samples)
    outcomes = {name: read_outcomes(folder, samples) for name, folder in folders.items()}
    orders = {name: read_orders(folder, samples) for name, folder in folders.items()}

    styles, true_class = samples.styles, samples.true_class
    std = styles.std(axis=0, ddof=1, dtype=np.float64)
    random_sets = _draw_sets(section, styles.shape[1])
    shifts_std = space_shifts(section.max_shift_std, section.shift_step_std)
    moved = slice(0, section.shift_samples)
    results: list[Result] = []
    with Progress("shifting", 3 * len(files) * len(shifts_std) * len(styles[moved]), "img") as progress:
        for name, (network, under_test) in networks.items():
            results += study_distances(
                name,
                styles,
                true_class,
                outcomes[name],
                std,
                orders[name],
                random_sets,
                top_k=section.top_k,
                bins=section.bins,
                tail_quantile=section.tail_quantile,
            )
            results += study_shifts(
                name,
                partial(classify_styles, network, under_test, batch_size=section.batch_size, advance=progress.advance),
                styles[moved],
                true_class[moved],
                std,
                orders[name],
                random_sets[section.shift_dimensions],
                shifts_std,
            )
    metrics = {
        name: summarize_curves(select(results, classifier=name), section.headline_k)
        | {"accuracy": proportion(outcomes[name])}
        for name in files
    }
    for name, numbers in metrics.items():
        logging.info(
            "%s: area by distance %.3f (random dimensions %.3f), by shift %.3f (random %.3f)",
            name,
            *(numbers[key] for key in ("area", "random_area", "shift_area", "random_shift_area")),
        )

    write_csv(out / "curves.csv", tabulate_curves(results))
    write_csv(out / "areas.csv", tabulate_areas(results))
    distances, shifts = select(results, kind="distance"), select(results, kind="shift")
    classes = [result for result in distances if is_headline(result.key, section.headline_k)]
    _save(draw_classifiers(distances, section.top_k), out, "fig6a_classifiers", select(distances, scope=ALL))
    _save(draw_classes(classes), out, "fig6b_classes", select(classes, dimensions="top"))
    _save(draw_shifts(shifts), out, "shift", shifts)
    write_json(out / "metrics.json", metrics)


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
