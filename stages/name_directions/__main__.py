"""Name directions: read, move, name, write."""

import logging
from pathlib import Path
from typing import Annotated

import torch
import typer

from failure_atlas.brought.generator import load_generator
from failure_atlas.core.device import choose_device
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.drawing.style import save_figure
from failure_atlas.world.show import World
from stages.common.artefacts.attributes import read_measured
from stages.common.artefacts.names import collect_names
from stages.common.artefacts.population import read_samples
from stages.common.artefacts.ranking import read_ranking
from stages.common.command import GeneratorOption, OutOption, ParamsOption, PopulationOption, run_stage
from stages.common.params import load_section
from stages.name_directions.figures import draw_steps
from stages.name_directions.params import NameDirectionsParams
from stages.name_directions.ranking_figures import draw_histograms, draw_ranking, read_histograms
from stages.name_directions.study import (
    Study,
    choose_directions,
    summarize_names,
)


def main(
    generator: GeneratorOption,
    population: PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for a classifier.")],
    attributes: Annotated[Path, typer.Option(help="Result folder of measure_attributes for this population.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Say in words what each influential style dimension does to the image, and how surely it does.

    Leaves directions.csv, leading.csv (the leading ones of all), metrics.json, figure 4 with names, and the figures
    ranking, directions and class_directions.
    """
    section = load_section(params, NameDirectionsParams, "name_directions")
    ranked, histograms = read_ranking(ranking), read_histograms(ranking)
    network = load_generator(generator, device := choose_device())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU
    samples = read_samples(population, network)
    top = (section.dimensions, section.class_dimensions)
    directions = choose_directions(ranked, samples.class_names, network.style_dimensions, *top)
    measured = read_measured(attributes, samples.true_class)
    world = World(network.synthesize, batch_size=section.batch_size, device=device)
    study = Study(world, measured.calibration, measured.spread, samples, section)
    with Progress("moving", len(directions), "directions") as progress:
        table = study.name_all(directions, progress.advance)
    metrics = summarize_names(table)
    logging.info(
        "%d of %d directions named, %.0f%% of them of global reach",
        *(metrics["all"]["named"], metrics["directions"], 100 * metrics["all"]["share_global_reach"]),
    )

    write_csv(out / "directions.csv", table)
    names = collect_names(table)
    figures = {
        **draw_steps(world, samples, measured, table),
        "fig4_well_against_mis": draw_histograms(histograms, ranked, names),
        "ranking": draw_ranking(ranked, names),
    }
    write_csv(out / "leading.csv", figures["ranking"][1])
    for name, (figure, numbers) in figures.items():
        save_figure(figure, out / "figures" / f"{name}.png", numbers)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, "name_directions")
