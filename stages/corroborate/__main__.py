"""Corroborate: read, try each claim on real images, compare curves, write."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.files import write_csv, write_json
from failure_atlas.drawing.style import save_figure
from stages.common import command
from stages.common.params import load_section
from stages.corroborate.claims import tabulate_claims
from stages.corroborate.curves import compare_by_distance, compare_by_shift
from stages.corroborate.figures import draw_corroboration
from stages.corroborate.inputs import open_comparison
from stages.corroborate.params import CorroborateParams
from stages.corroborate.summary import summarize, tell


def main(
    name: Annotated[str, typer.Argument(help="The classifier's name, as invert_images calls it.")],
    generator: command.GeneratorOption,
    classifier: command.ClassifierOption,
    population: command.PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for this classifier.")],
    names: command.NamesOption,
    inverted: command.InvertedOption,
    out: command.OutOption,
    params: command.ParamsOption = Path("params.yaml"),
) -> None:
    """Hold what generated images say of a classifier against real ones, inverted into the same world.

    Cases are real images that it gets wrong, controls real images that it gets right. Leaves claims.csv, curve.csv,
    shifts.csv, metrics.json and the figure corroboration.
    """
    section = load_section(params, CorroborateParams, "corroborate")
    compared = open_comparison(
        params, section, name, generator=generator, classifier=classifier, population=population, ranking=ranking,
        names=names, inverted=inverted,
    )  # fmt: skip
    claims = tabulate_claims(compared, section)
    curve, apart = compare_by_distance(compared, section)
    shifts, moved = compare_by_shift(compared, section)
    metrics = summarize(compared, claims) | apart | moved
    logging.info("%s: %s", name, tell(metrics))
    write_csv(out / "claims.csv", claims)
    write_csv(out / "curve.csv", curve)
    write_csv(out / "shifts.csv", shifts)
    save_figure(draw_corroboration(claims, curve, shifts, name), out / "figures" / "corroboration.png", claims)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    command.run_stage(main, "corroborate")
