"""Find planted blind spots: read, plant, search, score, write."""

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from failure_atlas.attributes.registry import REGISTRY
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.drawing.style import save_figure
from stages.common import command
from stages.common.image_params import CorruptImagesParams
from stages.common.mode_params import FindModesParams
from stages.common.params import load_section
from stages.find_planted.figures import draw_planted
from stages.find_planted.inputs import open_pools
from stages.find_planted.params import FindPlantedParams
from stages.find_planted.plants import KINDS
from stages.find_planted.trials import summarize, tabulate, try_all, try_curve


def main(
    population: command.PopulationOption,
    attributes: Annotated[Path, typer.Option(help="Result folder of measure_attributes, with the images below.")],
    images: Annotated[Path, typer.Option(help="The images store of corrupt_images, for the baseline.")],
    out: command.OutOption,
    params: command.ParamsOption = Path("study/params.yaml"),
    recipe: Annotated[Path, typer.Option(help="The params file whose find_modes and corrupt_images hold.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Plant blind spots into an oracle that is right but for a few errors, and look whether find_modes finds them.

    Half of the spots fire on severities that the recipe wrote down, half on what another implementation measures.
    Leaves spots.csv, trials.csv, planted.csv, curve.csv, metrics.json and the figure planted.
    """
    section = load_section(params, FindPlantedParams, "find_planted")
    modes = load_section(recipe, FindModesParams, "find_modes")
    corruption = load_section(recipe, CorruptImagesParams, "corrupt_images")
    pools, chosen = open_pools(population, attributes, images, recipe, modes, corruption, section)
    settings = {
        "most": modes.most_modes, "least_share": modes.least_share, "most_share": modes.most_share, "fdr": modes.fdr,
        "decimals": np.array([REGISTRY[name].bound_decimals for name in chosen]),
    }  # fmt: skip
    with Progress("planting", section.runs * len(KINDS) * len(pools), "spots") as progress:
        try:
            spots, trials = try_all(pools, settings, section, progress.advance)
        except ValueError as error:
            keys = "find_planted.least_support and most_support"
            raise StageError(
                f"{params}: {keys}: {error} can be planted in these images; allow a wider range"
            ) from error
    bins = len(section.curve_supports) - 1
    with Progress("smaller and milder", len(section.curve_rates) * bins * section.curve_runs * 4, "spots") as progress:
        curve = try_curve(pools, settings, section, progress.advance)
    metrics, table = summarize(spots, trials), tabulate(spots)
    logging.info(
        "%.0f%% of %d planted blind spots found; %.1f%% of reported modes false; none in %d of %d runs without a plant",
        100 * metrics["planted_recovered_share"], metrics["planted_recovered_share_interval"]["n"],
        100 * metrics["reported_false_share"], metrics["clean_runs_without_mode"], metrics["clean_runs"],
    )  # fmt: skip
    for name, each in (("spots", spots), ("trials", trials), ("planted", table), ("curve", curve)):
        write_csv(out / f"{name}.csv", each)
    save_figure(draw_planted(table, curve, section.overlap), out / "figures" / "planted.png", table)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    command.run_stage(main, "find_planted")
