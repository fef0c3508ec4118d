"""Walk to corner cases and on to true failures: read, choose starts, walk, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.drawing.style import save_figure
from failure_atlas.judges.ensemble import ask, load_judge
from failure_atlas.walks.probe import JudgedProbe, Probe, move_styles
from failure_atlas.walks.starts import MEAN, choose_starts
from failure_atlas.walks.walks import LEVEL, find_true_failures, space_grid, stop_at_true_failures, walk_dimensions
from stages.common.artefacts.names import read_names
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import read_samples
from stages.common.artefacts.ranking import read_ranking
from stages.common.artefacts.walks import (
    add_failures,
    add_readings,
    choose_candidates,
    tabulate_starts,
)
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
from stages.walk_corner_cases.degradation import PROGRESS, trace_walks
from stages.walk_corner_cases.ends import Ends, look_at_ends
from stages.walk_corner_cases.figures import (
    choose_nearest,
    draw_corner_cases,
    draw_degradation,
    draw_true_failures,
)
from stages.walk_corner_cases.params import WalkCornerCasesParams
from stages.walk_corner_cases.summary import summarize_walks, tell_walks


def main(
    generator: GeneratorOption,
    classifier: ClassifierOption,
    judge: Annotated[Path, typer.Option(help="The judge's ensemble, which says what class an image still shows.")],
    population: PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for this classifier.")],
    names: NamesOption,
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Walk from each class's mean style along its top dimensions until the true-class softmax is 0.50 (paper 2.3, 3.4).

    Then walk on to the first true failure: the classifier is wrong and the judge still sees the class that was meant.
    Leaves corner_cases.csv, starts.csv, corner_cases.zarr and true_failures.zarr (styles and images), metrics.json and
    figures 5, 7 and true_failures.
    """
    section = load_section(params, WalkCornerCasesParams, "walk_corner_cases")
    device = choose_device()
    ranked = read_ranking(ranking)
    network, under_test = load_networks(generator, classifier, device)
    samples = read_samples(population, network)
    class_names = samples.class_names
    ensemble = load_judge(judge, class_names, device)
    words = read_names(names)
    _check_start_samples(params, section.start_samples, len(samples.styles))
    starts = choose_starts(samples.styles, samples.true_class, len(class_names), section.start_samples)
    candidates = choose_candidates(ranked, section.scope, starts.true_class, class_names, network.style_dimensions)

    probe = Probe(network.synthesize, under_test, section.batch_size, device)
    judged = JudgedProbe(probe, partial(ask, ensemble))
    start_images, start_softmax = probe.show(starts.styles)
    start_probability = start_softmax[np.arange(len(start_softmax)), starts.true_class]
    grid_std = space_grid(section.max_shift_std, section.grid_step_std)

    def measure(start: np.ndarray, dimension: np.ndarray, amount: np.ndarray) -> np.ndarray:
        return probe.measure(move_styles(starts.styles[start], dimension, amount), starts.true_class[start])

    def weigh(rows: np.ndarray, shift_std: np.ndarray) -> np.ndarray:
        own = walks.select(rows)
        styles = move_styles(starts.styles[own.start], own.dimension, own.step * shift_std)
        return judged.weigh(styles, starts.true_class[own.start])

    with Progress("walking", int((start_probability > LEVEL).sum()) * section.dimensions, "walks") as progress:
        walks, skipped = walk_dimensions(
            measure,
            start_probability,
            candidates,
            wanted=section.dimensions,
            grid_std=grid_std,
            min_effect=section.min_effect,
            on_end=progress.advance,
        )
    with Progress("looking for true failures", int(walks.reached.sum()), "walks") as progress:
        failures = find_true_failures(
            weigh,
            walks.shift_std,
            walks.reached,
            grid_std,
            confidence=ensemble.confidence,
            on_end=progress.advance,
        )
    look = partial(
        look_at_ends,
        probe,
        starts=starts,
        start_softmax=start_softmax,
        layout=network.style_layout(),
        words=words,
        class_names=class_names,
    )
    ends, failed = look(walks), look(stop_at_true_failures(measure, walks, failures))
    corner_cases = add_readings(ends.table, judged.consult(ends.styles), ends.true_class, failures, ensemble.confidence)
    true_failures = add_failures(failed.table, failures.select(failures.found))
    start_table = tabulate_starts(starts, start_softmax, walks, skipped, class_names)
    from_mean, is_mean = corner_cases["start"] == MEAN, start_table["start"] == MEAN
    metrics = summarize_walks(corner_cases[from_mean], start_table[is_mean], section.max_shift_std)
    if section.start_samples:
        metrics["from_samples"] = summarize_walks(
            corner_cases[~from_mean], start_table[~is_mean], section.max_shift_std
        )
    logging.info(tell_walks(metrics))

    ending, rows = "its corner cases", np.flatnonzero(failures.found)
    if section.only_true_failures:
        logging.info(
            "only true failures: %d of %d walks are kept, %d without one are left out",
            len(rows), len(walks.start), len(walks.start) - len(rows),
        )  # fmt: skip
        ends, corner_cases = failed, true_failures
        from_mean = corner_cases["start"] == MEAN
        ending, rows = "the first true failure of its walks", np.arange(len(rows))
    write_csv(out / "corner_cases.csv", corner_cases)
    write_csv(out / "starts.csv", start_table)
    _write_ends(
        out / "corner_cases.zarr", ends, "corner_case", class_names, reached=corner_cases["reached"].to_numpy(bool)
    )
    _write_ends(out / "true_failures.zarr", failed, "true_failure", class_names, corner_case=rows)
    shown = corner_cases[from_mean]
    figure = draw_corner_cases(
        start_images[: len(class_names)],
        start_table[is_mean],
        ends.images[: len(shown)],
        shown,
        ending,
        ensemble.confidence,
    )
    save_figure(figure, out / "figures" / "fig7_corner_cases.png", shown)
    for index in section.figure_classes:
        if index >= len(class_names):  # the classes of another data set: no reason to stop after all the work before
            logging.info(
                "walk_corner_cases.figure_classes: %d: classes are 0 to %d; no figure 5", index, len(class_names) - 1
            )
            continue
        own = corner_cases[from_mean & (corner_cases["class"] == class_names[index])]
        if not len(own):
            logging.info("class %s: no walk from its mean style to show; no figure 5", class_names[index])
            continue
        begin = np.repeat(starts.styles[[index]], len(own), axis=0)  # the first starts are the class means, in order
        sheet, table = trace_walks(probe, begin, own, index, class_names)
        figure = draw_degradation(sheet, table, PROGRESS, class_names[index])
        save_figure(figure, out / "figures" / f"fig5_degradation_class{index}.png", table)
    nearest = choose_nearest(true_failures, class_names)
    if len(nearest):
        table = true_failures.iloc[nearest]
        figure = draw_true_failures(failed.images[nearest], table, class_names, len(true_failures))
        save_figure(figure, out / "figures" / "true_failures.png", table)
    write_json(out / "metrics.json", metrics)


def _write_ends(path: Path, ends: Ends, row: str, class_names: list[str], **column: np.ndarray) -> None:
    """Write the ends of walks with one more array of their length; row: what a row is called."""
    arrays = {
        "s": (ends.styles, (row, "style")),
        "images": (ends.images, (row, "channel", "y", "x")),
        "labels": (ends.true_class, (row,)),
    }
    write_arrays(path, arrays | {name: (array, (row,)) for name, array in column.items()}, {"class_names": class_names})


def _check_start_samples(params: Path, indices: list[int], count: int) -> None:
    beyond = [index for index in indices if index >= count]
    if beyond:
        raise StageError(f"{params}: walk_corner_cases.start_samples: got {beyond[0]}; allowed: 0 to {count - 1}")


if __name__ == "__main__":
    run_stage(main, "walk_corner_cases")
