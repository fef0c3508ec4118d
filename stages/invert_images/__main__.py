"""Invert real images: read, choose, invert, look, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.inversion.fit import measure_contrast
from failure_atlas.inversion.invert import choose_nearest, invert
from failure_atlas.judges.failures import AUDITOR
from failure_atlas.world.show import JUDGE
from stages.common import command
from stages.common.artefacts.inverted import write_inverted
from stages.common.image_params import CorruptImagesParams
from stages.common.params import load_section
from stages.invert_images.figures import write_figures
from stages.invert_images.inputs import open_inversion
from stages.invert_images.params import InvertImagesParams
from stages.invert_images.selection import choose, corrupt_again, draw_real
from stages.invert_images.summary import summarize, tabulate_images, tabulate_severities, tell


def main(
    generator: command.GeneratorOption,
    classifiers: Annotated[str, typer.Option(help="Weights of a classifier, {name} and {section} for its own.")],
    judge: Annotated[Path, typer.Option(help="The judge, asked what it sees before and after.")],
    auditor: Annotated[Path, typer.Option(help="The auditor, which decides what fails.")],
    population: command.PopulationOption,
    images: Annotated[Path, typer.Option(help="The images store of prepare_images, whose test set is corrupted anew.")],
    out: command.OutOption,
    params: command.ParamsOption = Path("params.yaml"),
    recipe: Annotated[
        Path, typer.Option(help="The params file whose classifiers are asked and whose corrupt_images holds.")
    ] = Path("params.yaml"),
) -> None:
    """Find the latents of real test images: of some at random, and of more that a classifier gets wrong.

    No classifier or judge has a part in finding them. Leaves inverted.zarr (images, reconstructions, w, styles, noise),
    images.csv (what everybody sees in both), severities.csv, metrics.json and the figures reconstructions and errors.
    """
    section = load_section(params, InvertImagesParams, "invert_images")
    corruption = load_section(recipe, CorruptImagesParams, "corrupt_images")
    judges = {JUDGE: judge, AUDITOR: auditor}
    opened = open_inversion(generator, classifiers, judges, population, images, recipe, section, corruption)
    real = draw_real(opened.clean, opened.steps, corruption, section.seed, section.draws)
    flat = real.images.reshape(-1, *real.images.shape[2:])
    with Progress("asking", len(flat), "img") as progress:
        asked = opened.world.look(flat, opened.classifiers, advance=progress.advance)
    labels = np.tile(real.labels, len(real.images))
    wrong = {name: (asked.predicted(name) != labels).reshape(real.images.shape[:2]) for name in opened.classifiers}
    stream = partial(numpy_stream, section.seed, "invert_images")
    chosen = choose(wrong, section.images, section.errors, stream("images"))
    pictures, true_class = real.images[chosen.draw, chosen.index], real.labels[chosen.index]
    pairs = chosen.draw * len(real.labels) + chosen.index
    near = choose_nearest(pictures, true_class, opened.images, opened.samples.true_class)
    with Progress("inverting", len(pictures), "img") as progress:
        found = invert(
            opened.painter, opened.generator.map_styles, opened.domain, pictures, true_class, opened.w[near],
            opened.samples.std, steps=section.steps, style_steps=section.style_steps,
            stream=lambda row: stream("noise", int(pairs[row])), advance=progress.advance,
        )  # fmt: skip
    seconds = opened.meter.cpu_seconds / len(pictures)
    shown, looked = opened.world.show(found.styles, noise=found.noise), opened.world.look(pictures)
    severities = real.severities[chosen.draw, :, chosen.index].T
    fresh = corrupt_again(opened.clean.images[chosen.index], severities, opened.steps, section.seed, pairs)
    again = opened.world.look(fresh)
    table = tabulate_images(opened, real, chosen, severities, found, looked, shown, again)
    rates = {name: float(each.mean()) for name, each in wrong.items()}
    metrics = summarize(
        opened,
        table,
        measure_contrast(real.images[0]),
        seconds,
        {name: (rate, len(labels)) for name, rate in rates.items()},
    )
    by_severity = tabulate_severities(table, [step.key for step in opened.steps])
    logging.info(tell(metrics))

    write_csv(out / "images.csv", table)
    write_csv(out / "severities.csv", by_severity)
    write_inverted(out / "inverted.zarr", found, pictures, shown.images, true_class, opened.samples.class_names)
    write_figures(out / "figures", pictures, shown.images, table, by_severity)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    command.run_stage(main, "invert_images")
