"""Shift samples: read, move, ask classifier and judge, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.curves.shift import space_shifts
from failure_atlas.judges.ensemble import load_judge
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import Samples, read_samples
from stages.common.artefacts.ranking import draw_sets, read_orders
from stages.common.artefacts.shifts import TOP, WAYS, write_shifted
from stages.common.command import (
    ClassifierOption,
    GeneratorOption,
    OutOption,
    ParamsOption,
    PopulationOption,
    run_stage,
)
from stages.common.params import load_section
from stages.shift_samples.opinions import read_styles
from stages.shift_samples.params import ShiftSamplesParams
from stages.shift_samples.study import study_shifts


def main(
    generator: GeneratorOption,
    classifier: ClassifierOption,
    population: PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for this classifier.")],
    judge: Annotated[Path, typer.Option(help="Weights of the judge, which is shown the same images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Move samples along their top dimensions together, and along random ones, and ask who still reads them (2.4).

    Leaves shifts.csv: whether the classifier and the judge are right about each sample after each shift.
    """
    section = load_section(params, ShiftSamplesParams, "shift_samples")
    device = choose_device()
    network, under_test = load_networks(generator, classifier, device)
    samples = read_samples(population, network)
    _check_sizes(params, section, samples)
    orders = read_orders(ranking, samples)
    referee = load_judge(judge, samples.class_names, device)

    moved = slice(0, section.samples)
    styles = samples.styles[moved]
    shifts_std = space_shifts(section.max_shift_std, section.step_std)
    stream = partial(numpy_stream, section.seed)
    moves = 1 + len(WAYS) * (len(shifts_std) - 1)  # of each sample: none, then each step in each way
    with Progress("shifting", moves * len(styles), "img") as progress:
        ask = partial(
            read_styles, network, (under_test, referee), batch_size=section.batch_size, advance=progress.advance
        )
        shifted = study_shifts(
            ask,
            styles,
            samples.true_class[moved],
            samples.std,
            orders,
            draw_sets(samples.styles.shape[1], section.dimensions, section.random_draws, stream),
            shifts_std,
        )
    logging.info(
        "%d samples: right %.3f, after %g std along the top %d dimensions %.3f (judge %.3f)",
        len(styles),
        shifted.classifier[TOP, 0].mean(),
        shifts_std[-1],
        section.dimensions,
        shifted.classifier[TOP, -1].mean(),
        shifted.judge[TOP, -1].mean(),
    )
    write_shifted(out, shifted)


def _check_sizes(params: Path, section: ShiftSamplesParams, samples: Samples) -> None:
    """No more samples and dimensions than there are."""
    for key, value, limit, what in (
        ("samples", section.samples, len(samples.styles), "samples of the population"),
        ("dimensions", section.dimensions, samples.styles.shape[1], "style dimensions of the generator"),
    ):
        if value > limit:
            raise StageError(f"{params}: shift_samples.{key}: got {value}; allowed: at most the {limit} {what}")


if __name__ == "__main__":
    run_stage(main, "shift_samples")
