"""Compare rankings: read, rank in every way, measure on fresh samples, test for influence, write."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.arrays import read_array
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.drawing.style import save_figure
from failure_atlas.ranking.held_out import draw_resamples, select_cell
from failure_atlas.ranking.influence import bound_directions
from stages.common import command
from stages.common.artefacts.ranking import read_ranking
from stages.common.artefacts.walks import open_walks
from stages.common.params import load_section
from stages.compare_rankings import tables
from stages.compare_rankings.figures import draw_comparison, draw_influence
from stages.compare_rankings.params import CompareRankingsParams, choose_budget
from stages.compare_rankings.study import Study

BAND = 0.95  # share of random directions in the band of the figure


def main(
    generator: command.GeneratorOption,
    classifier: command.ClassifierOption,
    judge: Annotated[Path, typer.Option(help="The weights file of the judge ensemble.")],
    population: command.PopulationOption,
    names: command.NamesOption,
    out: command.OutOption,
    ranking: Annotated[
        Path | None, typer.Option(help="Result folder of rank_dimensions for this classifier, to check against.")
    ] = None,
    params: command.ParamsOption = Path("params.yaml"),
) -> None:
    """Compare rankings of style dimensions on samples that none of them saw, and test which dimensions are influential.

    With a classifier that gives no gradients, their place is taken by central differences on fewer samples.
    Leaves comparison.csv, shifts.csv, influence.csv, metrics.json and figures of the comparison and of the influence.
    """
    section = load_section(params, CompareRankingsParams, "compare_rankings")
    opened = open_walks(generator, classifier, judge, population, names, section.batch_size)
    network, whole = opened.generator, opened.samples
    budget = choose_budget(params, section, opened.classifier, whole.std, len(whole.styles), network.num_classes)
    published = read_ranking(ranking) if ranking is not None else None

    study = Study(section, opened, budget)
    gradients, methods = study.rank(read_array(population / "population.zarr", "w"))
    agreement = {}
    if ranking is not None and published is not None:
        same = budget.samples == len(whole.styles) and budget.steps is None
        agreement = tables.check_agreement(ranking / "ranking.csv", published, gradients.scores["paper"], whole=same)
    moved = study.move(methods)
    walks, sure = study.walk(methods)
    influence = study.test_influence(gradients)

    resamples = draw_resamples(section.held_out_samples, study.stream("resamples"))
    own_cell = select_cell(moved.outcomes, (section.headline_k, section.headline_shift_std))
    comparison = tables.tabulate_methods(methods, own_cell, walks, moved.attfind, resamples, section.max_shift_std)
    shifts = tables.tabulate_cells(methods, moved.outcomes, moved.unmoved)
    table = tables.tabulate_influence(opened, influence.columns)
    metrics = {
        "samples": budget.samples,
        **budget.told,
        "style_dimensions": network.style_dimensions,
        **tables.summarize_comparison(methods, own_cell, moved, resamples, section.attfind_margin),
        **influence.metrics,
        **agreement,
        "starts": len(sure),
        "starts_in_doubt": int((~sure).sum()),
    }
    logging.info(tables.tell_comparison(metrics))

    write_csv(out / "comparison.csv", comparison)
    write_csv(out / "shifts.csv", shifts)
    write_csv(out / "influence.csv", table)
    lines = shifts[(shifts["method"] == tables.UNMOVED) | (shifts["k"] == section.headline_k)].reset_index(drop=True)
    note = tables.tell_slopes(budget.told)
    figure = draw_comparison(lines, comparison, section.headline_k, section.headline_shift_std, note=note)
    save_figure(figure, out / "figures" / "comparison.png", lines)
    bound = bound_directions(influence.columns["effect"], BAND)
    save_figure(draw_influence(table, bound, BAND, note=note), out / "figures" / "influence.png", table)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    command.run_stage(main, "compare_rankings")
