"""Walk to corner cases: read, choose starts, walk, write."""

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from stages.common.arrays import write_arrays
from stages.common.command import (
    ClassifierOption,
    GeneratorOption,
    OutOption,
    ParamsOption,
    PopulationOption,
    run_stage,
)
from stages.common.device import choose_device
from stages.common.errors import StageError
from stages.common.figures import save_figure
from stages.common.files import write_csv, write_json
from stages.common.params import load_section
from stages.common.progress import Progress
from stages.rank_dimensions.inputs import load_networks, read_samples
from stages.rank_dimensions.ranking import read_ranking
from stages.walk_corner_cases.degradation import PROGRESS, trace_walks
from stages.walk_corner_cases.figures import draw_corner_cases, draw_degradation
from stages.walk_corner_cases.params import WalkCornerCasesParams
from stages.walk_corner_cases.probe import Probe, move_styles
from stages.walk_corner_cases.starts import MEAN, choose_starts
from stages.walk_corner_cases.summary import summarize_walks, tell_walks
from stages.walk_corner_cases.table import choose_candidates, tabulate_starts, tabulate_walks
from stages.walk_corner_cases.walks import LEVEL, space_grid, walk_dimensions


def main(
    generator: GeneratorOption,
    classifier: ClassifierOption,
    population: PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for this classifier.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Walk from each class's mean style along its top dimensions until the true-class softmax is 0.50 (paper 2.3, 3.4).

    Leaves corner_cases.csv, starts.csv, corner_cases.zarr (styles and images), metrics.json and figures 5 and 7.
    """
    section = load_section(params, WalkCornerCasesParams, "walk_corner_cases")
    device = choose_device()
    ranked = read_ranking(ranking)
    network, under_test = load_networks(generator, classifier, device)
    samples = read_samples(population, network)
    names = samples.class_names
    _check_indices(params, "start_samples", section.start_samples, len(samples.styles))
    _check_indices(params, "figure_classes", section.figure_classes, len(names))
    starts = choose_starts(samples.styles, samples.true_class, len(names), section.start_samples)
    candidates = choose_candidates(ranked, section.scope, starts.true_class, names, network.style_dimensions)

    probe = Probe(network.synthesize, under_test, section.batch_size, device)
    start_images, start_softmax = probe.show(starts.styles)
    start_probability = start_softmax[np.arange(len(start_softmax)), starts.true_class]
    with Progress("walking", int((start_probability > LEVEL).sum()) * section.dimensions, "walks") as progress:
        walks, skipped = walk_dimensions(
            lambda start, dimension, amount: probe.measure(
                move_styles(starts.styles[start], dimension, amount), starts.true_class[start]
            ),
            start_probability,
            candidates,
            wanted=section.dimensions,
            grid_std=space_grid(section.max_shift_std, section.grid_step_std),
            min_effect=section.min_effect,
            on_end=progress.advance,
        )
    styles = move_styles(starts.styles[walks.start], walks.dimension, walks.step * walks.shift_std)
    images, softmax = probe.show(styles)
    corner_cases = tabulate_walks(walks, starts, start_softmax, softmax, network.style_layout(), names)
    start_table = tabulate_starts(starts, start_softmax, walks, skipped, names)
    from_mean, is_mean = corner_cases["start"] == MEAN, start_table["start"] == MEAN
    metrics = summarize_walks(corner_cases[from_mean], start_table[is_mean], section.max_shift_std)
    if section.start_samples:
        metrics["from_samples"] = summarize_walks(
            corner_cases[~from_mean], start_table[~is_mean], section.max_shift_std
        )
    logging.info(tell_walks(metrics))

    write_csv(out / "corner_cases.csv", corner_cases)
    write_csv(out / "starts.csv", start_table)
    write_arrays(
        out / "corner_cases.zarr",
        {
            "s": (styles, ("corner_case", "style")),
            "images": (images, ("corner_case", "channel", "y", "x")),
            "labels": (starts.true_class[walks.start], ("corner_case",)),
            "reached": (walks.reached, ("corner_case",)),
        },
        {"class_names": names},
    )
    shown = corner_cases[from_mean]
    figure = draw_corner_cases(start_images[: len(names)], start_table[is_mean], images[: len(shown)], shown)
    save_figure(figure, out / "figures" / "fig7_corner_cases.png", shown)
    for index in section.figure_classes:
        rows = np.flatnonzero(from_mean & (corner_cases["class"] == names[index]))
        if not len(rows):
            logging.info("class %s: its mean style has a true-class softmax of 0.50 or less; no figure 5", names[index])
            continue
        begin = starts.styles[walks.start[rows]]
        sheet, table = trace_walks(probe, begin, corner_cases.iloc[rows], index, names)
        figure = draw_degradation(sheet, table, PROGRESS, names[index])
        save_figure(figure, out / "figures" / f"fig5_degradation_class{index}.png", table)
    write_json(out / "metrics.json", metrics)


def _check_indices(params: Path, key: str, indices: list[int], count: int) -> None:
    beyond = [index for index in indices if index >= count]
    if beyond:
        raise StageError(f"{params}: walk_corner_cases.{key}: got {beyond[0]}; allowed: 0 to {count - 1}")


if __name__ == "__main__":
    run_stage(main, "walk_corner_cases")
