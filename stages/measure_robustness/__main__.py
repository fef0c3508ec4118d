"""Measure robustness: read, draw starts, walk, judge, write."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.arrays import NamedArray, write_arrays
from failure_atlas.core.device import choose_device
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.drawing.style import save_figure
from failure_atlas.judges.ensemble import load_judge
from stages.common.artefacts.names import read_names
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import read_samples
from stages.common.artefacts.ranking import read_ranking
from stages.common.command import (
    ClassifierOption,
    GeneratorOption,
    NamesOption,
    OutOption,
    ParamsOption,
    PopulationOption,
    run_stage,
)
from stages.common.params import load_section
from stages.measure_robustness.figures import draw_joint_walks, draw_robustness, tabulate_curves
from stages.measure_robustness.params import MeasureRobustnessParams
from stages.measure_robustness.search import search_failures
from stages.measure_robustness.single_walk import choose_candidates
from stages.measure_robustness.slopes import describe_slopes, difference_starts, tell_slopes
from stages.measure_robustness.starts import MEAN, choose_for_sets, draw_starts
from stages.measure_robustness.std_space import StdSpace
from stages.measure_robustness.summary import summarize, tell
from stages.measure_robustness.table import BEYOND, JOINT, SET, SINGLE, START, tabulate_dimensions, tabulate_starts
from stages.measure_robustness.view import View, view_styles

HALF = 0.5  # true-class softmax at which a start is in doubt already


def main(
    generator: GeneratorOption,
    classifier: ClassifierOption,
    judge: Annotated[Path, typer.Option(help="The judge's weights file, an ensemble.")],
    population: PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for this classifier.")],
    names: NamesOption,
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Walk from class means and samples along many dimensions at once until the true-class softmax is 0.50.

    With a classifier that gives no gradients, walks and sets follow central differences.
    Leaves joint_walks.csv, dimensions.csv (of the greedy sets), walks.zarr (styles and images at the ends),
    metrics.json and the figures robustness and joint_walks.
    """
    section = load_section(params, MeasureRobustnessParams, "measure_robustness")
    device = choose_device()
    ranked = read_ranking(ranking)
    network, under_test = load_networks(generator, classifier, device)
    samples = read_samples(population, network)
    class_names = samples.class_names
    words = read_names(names)
    judges = load_judge(judge, class_names, device)
    starts = draw_starts(samples.styles, samples.true_class, class_names, section.samples, section.seed)
    candidates = choose_candidates(ranked, starts.true_class, class_names, network.style_dimensions)

    def view(styles: np.ndarray) -> View:
        return view_styles(network.synthesize, under_test, judges, styles, batch_size=section.batch_size, device=device)

    views = {START: view(starts.styles)}
    walked = views[START].read(starts.true_class) > HALF
    space = StdSpace(
        network.synthesize,
        under_test,
        starts.styles,
        starts.true_class,
        samples.std,
        section.batch_size,
        device,
    )
    differences = None
    if not is_differentiable(under_test):
        count, step_std = section.finite_difference_dimensions, section.finite_difference_step_std
        differences = difference_starts(space, walked, count, step_std)
        space = replace(space, differences=differences)
    found = search_failures(
        space,
        walked,
        choose_for_sets(starts, walked, section.greedy_samples),
        candidates,
        step_std=section.step_std,
        max_shift_std=section.max_shift_std,
        single_step_std=section.single_step_std,
        single_max_shift_std=section.single_max_shift_std,
        budget_std=section.budget_std,
        most_dimensions=section.most_dimensions,
    )
    every = np.arange(len(walked))
    ends = {
        place: space.place(every, moves.offset)
        for place, moves in ((JOINT, found.joint), (BEYOND, found.beyond), (SINGLE, found.single), (SET, found.sets))
    }
    views |= {place: view(styles) for place, styles in ends.items()}
    table = tabulate_starts(starts, found, views, words, class_names, judges.confidence)
    metrics = summarize(table, class_names, section.max_shift_std, section.single_max_shift_std)
    metrics |= {"images": space.passes.images, "gradients": space.passes.gradients, **describe_slopes(differences)}
    logging.info(tell(metrics))

    write_csv(out / "joint_walks.csv", table)
    write_csv(out / "dimensions.csv", tabulate_dimensions(found, network.style_layout(), words))
    arrays: dict[str, NamedArray] = {f"{place}_s": (styles, ("start", "style")) for place, styles in ends.items()}
    arrays |= {f"{place}_images": (views[place].images, ("start", "channel", "y", "x")) for place in views}
    flags = {"labels": starts.true_class, "reached": found.joint.reached, "set_searched": found.searched}
    arrays |= {name: (values, ("start",)) for name, values in flags.items()}
    write_arrays(out / "walks.zarr", arrays, {"class_names": class_names})
    is_sample, note = table["start"] != MEAN, tell_slopes(differences)
    curves = tabulate_curves(table[is_sample], class_names)
    save_figure(draw_robustness(curves, class_names, note), out / "figures" / "robustness.png", curves)
    # The means come first, so their rows are those of the views.
    means = table[~is_sample]
    save_figure(draw_joint_walks(views, means, note), out / "figures" / "joint_walks.png", means)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, "measure_robustness")
