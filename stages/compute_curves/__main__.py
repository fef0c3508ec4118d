"""Compute the curves: read, ask the judge, shift samples, measure distances, compare, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from failure_atlas.core.arrays import read_array
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.curves.paired import compare_by_distance, compare_by_shift, compare_slopes, compare_ways
from failure_atlas.curves.shift import ALL, TOP, WAYS, draw_sets, shift_samples, space_shifts
from failure_atlas.curves.study import Result, select, study_bins, study_shifts
from failure_atlas.statistics.bootstrap import Resampling, draw_counts
from failure_atlas.world.show import JUDGE
from stages.common.command import GeneratorOption, OutOption, ParamsOption, PopulationOption, run_stage
from stages.common.params import load_section
from stages.compute_curves import results as tables
from stages.compute_curves.figures import save_figures
from stages.compute_curves.inputs import PAIRED, classify_images, read_inputs
from stages.compute_curves.params import ComputeCurvesParams


def main(
    generator: GeneratorOption,
    classifiers: Annotated[str, typer.Option(help="Weights of a classifier, {name} and {section} for its own.")],
    population: PopulationOption,
    ranked: Annotated[str, typer.Option(help="Result folder of rank_dimensions, {name} for the classifier's.")],
    judge: Annotated[Path, typer.Option(help="Weights of the judge: what it reads of the same images is the ceiling.")],
    corrupted: Annotated[Path, typer.Option(help="Real images that classifiers are compared on, of corrupt_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Measure accuracy against distance from the well-classified centre, against shift and projection (2.4, 3.3).

    Along top and random dimensions, over all samples and per class, beside the judge's accuracy on the same images;
    and the difference of every two classifiers, on the real corrupted test images too. Leaves curves.csv, areas.csv,
    shifts.csv (who is right about each sample after each shift), metrics.json and figures 6a and 6b.
    """
    section = load_section(params, ComputeCurvesParams, "compute_curves")
    inputs = read_inputs(
        params, section, generator=generator, classifiers=classifiers, population=population, ranked=ranked, judge=judge
    )
    styles, true_class, names = inputs.samples.styles, inputs.samples.true_class, inputs.samples.class_names
    images, std = read_array(population / "population.zarr", "images"), inputs.samples.std
    stream, moved = partial(numpy_stream, section.seed), slice(0, section.shift_samples)
    shifts_std = space_shifts(section.max_shift_std, section.shift_step_std)
    numbers = {int(k) for k in (*section.top_k, section.shift_dimensions) if k != "all"}
    sets = {k: draw_sets(styles.shape[1], k, section.random_draws, stream) for k in numbers}

    moves = 1 + len(WAYS) * (len(shifts_std) - 1)  # of each sample: none, then each step in each way
    with Progress("asking", len(styles) + len(inputs.worlds) * moves * section.shift_samples, "img") as progress:
        looked = next(iter(inputs.worlds.values())).look(images, [JUDGE], advance=progress.advance)
        move = partial(
            shift_samples, styles=styles[moved], true_class=true_class[moved], std=std,
            random_sets=sets[section.shift_dimensions], shifts_std=shifts_std, advance=progress.advance,
            noise=inputs.samples.noise[moved],
        )  # fmt: skip
        shifted = {name: move(world, orders=inputs.orders[name]) for name, world in inputs.worlds.items()}
    judged = looked.predicted(JUDGE) == true_class
    counts = {
        what: draw_counts(n, section.bootstrap_replicates, stream("bootstrap", what))
        for what, n in (("distance", len(styles)), ("shift", section.shift_samples), ("draws", section.random_draws))
    }
    by_distance, by_shift = (Resampling(counts[what], counts["draws"]) for what in ("distance", "shift"))
    study = partial(study_bins, styles=styles, true_class=true_class, judged=judged, std=std, random_sets=sets)
    binning: dict[str, Any] = {"bins": section.bins, "tail_quantile": section.tail_quantile}
    results: list[Result] = []
    for name, well in inputs.well.items():
        order = inputs.orders[name]
        results += study(name, well=well, orders=order, resampling=by_distance, top_k=section.top_k, **binning)
        results += study_shifts(name, shifted[name], true_class[moved], names, by_shift)
    top = {name: each.classifier[TOP] for name, each in shifted.items()}
    differences = [
        *compare_by_distance(
            styles, true_class, inputs.well, std, classes=len(names), counts=counts["distance"], **binning
        ),
        *compare_by_shift(shifts_std, top, counts["shift"]),
    ]
    fall = partial(
        compare_slopes, styles, true_class, std, random_sets=sets[section.headline_k], classes=len(names),
        tail_quantile=section.tail_quantile,
    )  # fmt: skip
    metrics = {
        name: tables.summarize_classifier(select(results, classifier=name), section.headline_k, well, judged)
        | fall(well=well, order=inputs.orders[name][ALL])
        | {"top_minus_random": compare_ways(shifted[name])}
        for name, well in inputs.well.items()
    }
    for name, own in metrics.items():
        logging.info("%s: %s", name, tables.tell_areas(own))

    write_csv(out / "curves.csv", tables.tabulate_curves(results))
    write_csv(out / "areas.csv", tables.tabulate_areas(results))
    write_csv(out / "shifts.csv", tables.tabulate_shifts(shifted))
    save_figures(out / "figures", results, differences, section.top_k, section.headline_k)
    paired = tables.summarize_differences(differences, classify_images(inputs, corrupted))
    write_json(out / "metrics.json", metrics | {PAIRED: paired})


if __name__ == "__main__":
    run_stage(main, "compute_curves")
