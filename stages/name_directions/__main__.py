"""Name directions: read, calibrate, move, name, examine the rule, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.directions.calibration import BLUR_STD_PX, NOISE_STD, calibrate, find_world
from failure_atlas.directions.known_changes import KNOWN_CHANGES
from failure_atlas.directions.measurements import NOISE
from failure_atlas.directions.moves import Renderer
from failure_atlas.directions.naming_check import GROUP_IMAGES, check_naming
from failure_atlas.drawing.style import save_figure
from failure_atlas.statistics.estimates import proportion
from stages.common.artefacts.names import collect_names
from stages.common.artefacts.population import Samples, read_samples
from stages.common.artefacts.ranking import GLOBAL, read_ranking
from stages.common.command import GeneratorOption, OutOption, ParamsOption, PopulationOption, run_stage
from stages.common.params import load_section
from stages.name_directions.choice import choose_balanced, choose_directions, find_typical
from stages.name_directions.figures import (
    STEPS_STD,
    draw_calibration,
    draw_confusion,
    draw_directions,
    head_effects,
    read_severity_levels,
    tabulate_calibration,
    tabulate_confusion,
)
from stages.name_directions.inputs import load_painter, read_clean, read_corrupted
from stages.name_directions.params import NameDirectionsParams
from stages.name_directions.ranking_figures import (
    draw_histograms,
    draw_ranking,
    head_ranking,
    name_histograms,
    name_ranking,
    read_histograms,
)
from stages.name_directions.study import Study, measure_spread
from stages.name_directions.summary import summarize_names, tell_names
from stages.name_directions.table import tabulate_spread

SPREAD_SAMPLES = 500  # population samples behind the unit of effects
SHOWN_PER_CLASS = 3  # directions of each class in the figure; the table holds all
CORRUPTED_IMAGES = 300  # real corrupted images whose noise and blur are read


def main(
    generator: GeneratorOption,
    population: PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for a classifier.")],
    images: Annotated[Path, typer.Option(help="The corrupted images, images.zarr of corrupt_images.")],
    clean_images: Annotated[Path, typer.Option(help="The clean images, images.zarr of prepare_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Say in words what each influential style dimension does to the image, and how surely the words are right.

    Leaves directions.csv, spreads.csv, ranking.csv (with names), metrics.json, figure 4 with names, and the figures
    ranking, directions, class_directions, calibration and naming_check.
    """
    section = load_section(params, NameDirectionsParams, "name_directions")
    device = choose_device()
    ranked, histograms = read_ranking(ranking), read_histograms(ranking)
    network = load_painter(generator, device)
    samples = read_samples(population, network)
    stream = partial(numpy_stream, section.seed)
    directions = choose_directions(
        ranked, samples.class_names, network.style_dimensions, section.dimensions, section.class_dimensions
    )
    learned, examined = read_clean(clean_images, section.check_images, stream("clean images"))
    corrupted, severities = read_corrupted(images, CORRUPTED_IMAGES, stream("corrupted images"))

    world = find_world(learned)
    with Progress("calibrating", len(learned) * len(NOISE_STD) * len(BLUR_STD_PX), "img") as progress:
        try:
            calibration = calibrate(learned, partial(stream, "calibration"), progress.advance, world)
        except ValueError as error:
            raise StageError(f"{clean_images}: cannot be calibrated on: {error}; raise check_images") from error
    renderer = Renderer(network.synthesize, section.batch_size, device)
    typical = choose_balanced(samples.true_class, SPREAD_SAMPLES, len(samples.class_names), stream("spread"))
    values = calibration.mend(calibration.measure(renderer.draw(samples.styles[typical])))
    spread = world.keep(measure_spread(values, samples.true_class[typical]))
    examined_count = len(examined) // GROUP_IMAGES * GROUP_IMAGES * len(KNOWN_CHANGES)
    with Progress("examining the rule", examined_count, "img") as progress:
        check = check_naming(examined, calibration, spread, section.fdr, partial(stream, "check"), progress.advance)
    study = Study(renderer, calibration, spread, samples, section.samples, section.step_std, section.fdr, section.seed)
    with Progress("moving", len(directions), "directions") as progress:
        table = study.name_all(directions, progress.advance)
    metrics = summarize_names(table, check) | {"shape_words": world.shape_words}
    logging.info(tell_names(metrics))

    write_csv(out / "directions.csv", table)
    names = collect_names(table)
    named = name_ranking(ranked, names)
    write_csv(out / "ranking.csv", named)
    write_csv(out / "spreads.csv", tabulate_spread(spread, values))
    curves = tabulate_calibration(calibration)
    levels = read_severity_levels(calibration, calibration.measure(corrupted), severities)
    figure = draw_calibration(curves, levels)
    save_figure(figure, out / "figures" / "calibration.png", pd.concat([curves, levels], ignore_index=True))
    confusion = tabulate_confusion(check)
    figure = draw_confusion(confusion, proportion(check["correct"].to_numpy(bool)))
    save_figure(figure, out / "figures" / "naming_check.png", confusion)
    is_global = (table["scope"] == GLOBAL).to_numpy(bool)
    for name, chosen, what in (
        ("directions", is_global, "most influential over all classes"),
        (
            "class_directions",
            ~is_global & (table["rank"] <= SHOWN_PER_CLASS).to_numpy(bool),
            f"the {SHOWN_PER_CLASS} most influential on each class",
        ),
    ):
        if chosen.any():
            shown = head_effects(table[chosen])
            sheet = _draw_steps(renderer, samples, typical, values, directions[chosen])
            title = f"{what}: a typical noisy sample, moved along the failing direction"
            save_figure(draw_directions(sheet, shown, title), out / "figures" / f"{name}.png", shown)
    histograms = name_histograms(histograms, ranked, names)
    save_figure(draw_histograms(histograms), out / "figures" / "fig4_well_against_mis.png", histograms)
    bars = head_ranking(named)
    save_figure(draw_ranking(bars), out / "figures" / "ranking.png", bars)
    write_json(out / "metrics.json", metrics)


def _draw_steps(
    renderer: Renderer, samples: Samples, candidates: np.ndarray, values: np.ndarray, directions: pd.DataFrame
) -> np.ndarray:
    """Images [R, 7, C, H, W] of a typical noisy sample of each row's scope; values: [N, M] of the candidates."""
    styles = []
    for row in directions.itertuples():
        own = np.arange(len(candidates))
        if row.scope != GLOBAL:
            own = np.flatnonzero(samples.true_class[candidates] == samples.class_names.index(str(row.scope)))
        start = samples.styles[candidates[own[find_typical(values[own], values[own, NOISE])]]]
        for amount in STEPS_STD:
            moved = start.copy()
            moved[int(str(row.dimension))] += amount * int(str(row.direction)) * float(str(row.std))
            styles.append(moved)
    images = renderer.draw(np.array(styles))
    return images.reshape(len(directions), len(STEPS_STD), *images.shape[1:])


if __name__ == "__main__":
    run_stage(main, "name_directions")
