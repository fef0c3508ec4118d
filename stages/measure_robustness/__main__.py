"""Measure robustness: read, draw starts, walk, judge, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.arrays import NamedArray, write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.walks.crossing import LEVEL
from failure_atlas.walks.kinds import JOINT, search_failures
from failure_atlas.walks.starts import choose_for_sets, draw_samples, share_equally
from stages.common import command
from stages.common.artefacts.ranking import read_ranking
from stages.common.artefacts.walks import open_walks
from stages.common.params import load_section
from stages.measure_robustness.figures import write_figures
from stages.measure_robustness.params import MeasureRobustnessParams
from stages.measure_robustness.summary import summarize, tell
from stages.measure_robustness.table import START, tabulate_dimensions, tabulate_starts

TOP = 10  # dimensions tried alone from each start


def main(
    generator: command.GeneratorOption,
    classifier: command.ClassifierOption,
    judge: Annotated[Path, typer.Option(help="The judge's weights file, an ensemble.")],
    population: command.PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for this classifier.")],
    names: command.NamesOption,
    out: command.OutOption,
    params: command.ParamsOption = Path("params.yaml"),
) -> None:
    """Walk from class means and samples along many dimensions at once until the true-class softmax is 0.50.

    With a classifier that gives no gradients, walks and sets follow central differences.
    Leaves joint_walks.csv, dimensions.csv (of the greedy sets), walks.zarr (noise; styles and images at the ends),
    metrics.json and the figures robustness and joint_walks.
    """
    section = load_section(params, MeasureRobustnessParams, "measure_robustness")
    ranked = read_ranking(ranking)
    opened = open_walks(generator, classifier, judge, population, names, section.batch_size)
    class_names, true_class = opened.samples.class_names, opened.samples.true_class
    held, shares = np.bincount(true_class), share_equally(section.samples, len(class_names))
    for label in np.flatnonzero(held < shares):
        raise StageError(
            f"measure_robustness.samples: got {section.samples}, {shares[label]} of class {class_names[label]}; the "
            f"population has {held[label]}; lower it, or raise sample_populations.samples"
        )
    drawn = draw_samples(true_class, shares, partial(numpy_stream, section.seed, "samples"))
    starts, candidates, space = opened.start(ranked, "class", drawn)
    shown = {START: opened.world.show(starts.styles, noise=starts.noise)}
    start_probability = shown[START].score(starts.true_class)
    walked = start_probability > LEVEL
    if not is_differentiable(opened.classifier):
        count, step_std = section.finite_difference_dimensions, section.finite_difference_step_std
        with Progress("slopes at the starts", int(walked.sum()), "starts") as progress:
            space = space.keep_slopes(walked, count, step_std, progress.advance)
    found = search_failures(
        space,
        start_probability,
        choose_for_sets(starts, walked, section.greedy_samples),
        candidates.first_movable(TOP),
        step_std=section.step_std,
        max_shift_std=section.max_shift_std,
        single_step_std=section.single_step_std,
        single_max_shift_std=section.single_max_shift_std,
        budget_std=section.budget_std,
        most_dimensions=section.most_dimensions,
    )
    ends = {place: space.place(np.arange(len(walked)), moves.offset) for place, moves in found.moves.items()}
    shown |= {place: opened.world.show(styles, noise=starts.noise) for place, styles in ends.items()}
    table = tabulate_starts(opened, starts, found, shown)
    metrics = summarize(table, class_names, section.max_shift_std, section.single_max_shift_std, space)
    logging.info(tell(metrics))

    write_csv(out / "joint_walks.csv", table)
    write_csv(out / "dimensions.csv", tabulate_dimensions(opened, found))
    arrays: dict[str, NamedArray] = {f"{place}_s": (styles, ("start", "style")) for place, styles in ends.items()}
    arrays |= {f"{place}_images": (each.images, ("start", "channel", "y", "x")) for place, each in shown.items()}
    flags = {
        "labels": starts.true_class,
        "noise": starts.noise,
        "reached": found.moves[JOINT].reached,
        "set_searched": found.searched,
    }
    arrays |= {name: (values, ("start",)) for name, values in flags.items()}
    write_arrays(out / "walks.zarr", arrays, {"class_names": class_names})
    write_figures(out / "figures", table, shown, class_names, space.kept)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    command.run_stage(main, "measure_robustness")
