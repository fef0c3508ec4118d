"""Walk to corner cases and on to true failures: read, choose starts, walk, write."""

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.walks.crossing import space_grid
from failure_atlas.walks.kinds import search_along_dimensions
from failure_atlas.walks.true_failures import stop_at_true_failures
from failure_atlas.world.show import CLASSIFIER
from stages.common import command
from stages.common.artefacts.ranking import read_ranking
from stages.common.artefacts.walks import add_failures, add_readings, look_at_ends, open_walks, tabulate_starts
from stages.common.params import load_section
from stages.walk_corner_cases.figures import write_figures
from stages.walk_corner_cases.params import WalkCornerCasesParams
from stages.walk_corner_cases.real import walk_from_real
from stages.walk_corner_cases.summary import summarize, tell_walks


def main(
    generator: command.GeneratorOption,
    classifier: command.ClassifierOption,
    judge: Annotated[Path, typer.Option(help="The judge's ensemble, which says what class an image still shows.")],
    population: command.PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for this classifier.")],
    names: command.NamesOption,
    inverted: command.InvertedOption,
    out: command.OutOption,
    params: command.ParamsOption = Path("params.yaml"),
) -> None:
    """Walk from each class's mean style along its top dimensions until the true-class softmax is 0.50 (paper 2.3, 3.4).

    Then walk on to the first true failure: the classifier is wrong and the judge still sees the class that was meant.
    Leaves corner_cases.csv, starts.csv, corner_cases.zarr and true_failures.zarr (styles, noise and images),
    metrics.json and figures 5, 7 and true_failures; of real images that were inverted, figures 5 and 7 once more.
    """
    section = load_section(params, WalkCornerCasesParams, "walk_corner_cases")
    ranked = read_ranking(ranking)
    opened = open_walks(generator, classifier, judge, population, names, section.batch_size)
    samples, class_names, confidence = opened.samples, opened.samples.class_names, opened.judge.confidence
    beyond = [index for index in section.start_samples if index >= len(samples.styles)]
    if beyond:
        allowed = f"0 to {len(samples.styles) - 1}"
        raise StageError(f"{params}: walk_corner_cases.start_samples: got {beyond[0]}; allowed: {allowed}")
    starts, candidates, space = opened.start(ranked, section.scope, section.start_samples)
    begun = opened.world.show(starts.styles, [CLASSIFIER], noise=starts.noise)
    start_probability = begun.score(starts.true_class)
    walks, skipped, failures = search_along_dimensions(
        space,
        start_probability,
        candidates,
        wanted=section.dimensions,
        min_effect=section.min_effect,
        grid_std=space_grid(section.max_shift_std, section.grid_step_std),
        confidence=confidence,
    )
    ends, failed = (
        look_at_ends(opened, space, each, starts, start_probability)
        for each in (walks, stop_at_true_failures(walks, failures))
    )
    corner_cases = add_readings(ends, failures, confidence)
    true_failures = add_failures(failed, failures)
    start_table = tabulate_starts(starts, begun, walks, skipped, class_names)
    metrics = summarize(corner_cases, start_table, section.max_shift_std)
    metrics |= walk_from_real(opened, inverted, ranked, section, out)
    logging.info(tell_walks(metrics))

    rows = np.flatnonzero(failures.found)
    if section.only_true_failures:
        kept = f"{len(rows)} of {len(walks.start)} walks are kept"
        logging.info("only true failures: %s, %d without one are left out", kept, len(walks.start) - len(rows))
        ends, corner_cases, rows = failed, true_failures, np.arange(len(rows))
    write_csv(out / "corner_cases.csv", corner_cases)
    write_csv(out / "starts.csv", start_table)
    ends.write(out / "corner_cases.zarr", "corner_case", class_names, reached=corner_cases["reached"].to_numpy(bool))
    failed.write(out / "true_failures.zarr", "true_failure", class_names, corner_case=rows)
    write_figures(
        out / "figures", opened, space, (begun.images, start_table), (ends.shown.images, corner_cases),
        (failed.shown.images, true_failures), section,
    )  # fmt: skip
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    command.run_stage(main, "walk_corner_cases")
