"""Name directions: read, calibrate, move, name, examine the rule, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.directions.calibration import BLUR_STD_PX, NOISE_STD, calibrate, find_scene
from failure_atlas.directions.known_changes import GROUP_IMAGES, KNOWN_CHANGES, check_naming
from failure_atlas.directions.moves import choose_balanced
from failure_atlas.directions.naming import measure_spread
from failure_atlas.drawing.style import save_figure
from failure_atlas.stylegan2.generator import load_generator
from failure_atlas.world.show import World
from stages.common.artefacts.names import collect_names
from stages.common.artefacts.population import read_samples
from stages.common.artefacts.ranking import read_ranking
from stages.common.command import GeneratorOption, OutOption, ParamsOption, PopulationOption, run_stage
from stages.common.params import load_section
from stages.name_directions.figures import draw_calibration, draw_confusion, draw_steps
from stages.name_directions.params import NameDirectionsParams
from stages.name_directions.ranking_figures import draw_histograms, draw_ranking, read_histograms
from stages.name_directions.study import (
    Study,
    choose_directions,
    read_clean,
    read_corrupted,
    summarize_names,
    tabulate_spread,
)

SPREAD_SAMPLES = 500  # population samples behind the unit of effects
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

    Leaves directions.csv, spreads.csv, leading.csv (the leading ones of all), metrics.json, figure 4 with names, and
    the figures ranking, directions, class_directions, calibration and naming_check.
    """
    section = load_section(params, NameDirectionsParams, "name_directions")
    stream = partial(numpy_stream, section.seed)
    ranked, histograms = read_ranking(ranking), read_histograms(ranking)
    network = load_generator(generator, device := choose_device())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU
    samples = read_samples(population, network)
    top = (section.dimensions, section.class_dimensions)
    directions = choose_directions(ranked, samples.class_names, network.style_dimensions, *top)
    learned, examined = read_clean(clean_images, section.check_images, stream("clean images"))
    corrupted, severities = read_corrupted(images, CORRUPTED_IMAGES, stream("corrupted images"))

    with Progress("calibrating", len(learned) * len(NOISE_STD) * len(BLUR_STD_PX), "img") as progress:
        try:
            calibration = calibrate(learned, partial(stream, "calibration"), progress.advance, find_scene(learned))
        except ValueError as error:
            raise StageError(f"{clean_images}: cannot be calibrated on: {error}; raise check_images") from error
    world = World(network.synthesize, batch_size=section.batch_size, device=device)
    typical = choose_balanced(samples.true_class, SPREAD_SAMPLES, len(samples.class_names), stream("spread"))
    values = calibration.mend(
        calibration.measure(world.show(samples.styles[typical], (), noise=samples.noise[typical]).images)
    )
    spread = calibration.scene.keep(measure_spread(values, samples.true_class[typical]))
    with Progress("examining", len(examined) // GROUP_IMAGES * GROUP_IMAGES * len(KNOWN_CHANGES), "img") as progress:
        check = check_naming(examined, calibration, spread, section.fdr, partial(stream, "check"), progress.advance)
    study = Study(world, calibration, spread, samples, section)
    with Progress("moving", len(directions), "directions") as progress:
        table = study.name_all(directions, progress.advance)
    metrics = summarize_names(table, check) | {"shape_words": calibration.scene.shape_words}
    logging.info(
        "%d of %d directions named, %.0f%% of them of global reach; the rule names %.0f%% of known changes rightly",
        *(metrics["all"]["named"], metrics["directions"]),
        *(100 * metrics["all"]["share_global_reach"], 100 * metrics["naming_accuracy"]),
    )

    write_csv(out / "directions.csv", table)
    write_csv(out / "spreads.csv", tabulate_spread(spread, values))
    names = collect_names(table)
    figures = {
        "calibration": draw_calibration(calibration, calibration.measure(corrupted), severities),
        "naming_check": draw_confusion(check),
        **draw_steps(world, samples, typical, values, table),
        "fig4_well_against_mis": draw_histograms(histograms, ranked, names),
        "ranking": draw_ranking(ranked, names),
    }
    write_csv(out / "leading.csv", figures["ranking"][1])
    for name, (figure, numbers) in figures.items():
        save_figure(figure, out / "figures" / f"{name}.png", numbers)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, "name_directions")
