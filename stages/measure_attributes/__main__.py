"""Measure attributes: calibrate, read the population and the test images, examine readings and names, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.attributes.calibration import BLUR_STD_PX, NOISE_STD, calibrate, find_scene, measure_spread
from failure_atlas.attributes.errors import KNOWN_AMOUNTS, measure_errors
from failure_atlas.attributes.registry import NAMES
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.directions.naming_check import GROUP_IMAGES, KNOWN_CHANGES, check_naming
from failure_atlas.drawing.style import save_figure
from stages.common.artefacts.attributes import Measured, write_measured
from stages.common.artefacts.images import read_severities
from stages.common.artefacts.population import open_samples
from stages.common.command import OutOption, ParamsOption, PopulationOption, run_stage
from stages.common.params import load_section
from stages.measure_attributes.figures import draw_calibration, draw_confusion, draw_errors
from stages.measure_attributes.params import MeasureAttributesParams
from stages.measure_attributes.study import open_images, read_clean, summarize, tabulate_attributes


def main(
    population: PopulationOption,
    images: Annotated[Path, typer.Option(help="The corrupted images, images.zarr of corrupt_images.")],
    clean_images: Annotated[Path, typer.Option(help="The clean images, images.zarr of prepare_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Measure what every image of the population and every test image looks like, in units and with stated errors.

    Leaves attributes.zarr, attributes.csv, errors.csv, metrics.json and the figures attribute_errors, calibration and
    naming_check.
    """
    section = load_section(params, MeasureAttributesParams, "measure_attributes")
    stream, samples = partial(numpy_stream, section.seed), open_samples(population)
    learned, examined = read_clean(clean_images, section.check_images, stream("clean images"))
    made = open_images(population / "population.zarr", "images", "sample_populations", learned)
    real, severities = open_images(images, "test_images", "corrupt_images", learned), read_severities(images, "test")
    with Progress("calibrating", len(learned) * len(NOISE_STD) * len(BLUR_STD_PX), "img") as progress:
        try:
            calibration = calibrate(learned, partial(stream, "calibration"), progress.advance, find_scene(learned))
        except ValueError as error:
            raise StageError(f"{clean_images}: cannot be calibrated on: {error}; raise check_images") from error
    with Progress("measuring", len(made) + len(real), "img") as progress:
        values, of_real = (calibration.measure_all(each, progress.advance) for each in (made, real))
    spread = calibration.scene.keep(measure_spread(calibration.mend(values), samples.true_class))
    with Progress("examining readings", len(examined) * len(KNOWN_AMOUNTS), "img") as progress:
        errors = measure_errors(examined, calibration, partial(stream, "errors"), progress.advance)
    with Progress(
        "examining names", len(examined) // GROUP_IMAGES * GROUP_IMAGES * len(KNOWN_CHANGES), "img"
    ) as progress:
        check = check_naming(examined, calibration, spread, section.fdr, partial(stream, "check"), progress.advance)
    read = calibration.read(values)
    measured = Measured(NAMES[: len(spread)], read, calibration.read(of_real), spread, calibration)
    table = tabulate_attributes(read, samples.true_class, spread, errors)
    metrics = summarize(check, errors, calibration.scene, {"population_images": len(made), "test_images": len(real)})
    logging.info(
        "%d attributes; the rule names %.0f%% of known changes rightly",
        *(int(measured.meaningful.sum()), 100 * metrics["naming_accuracy"]),
    )

    write_measured(out, measured)
    write_csv(out / "attributes.csv", table)
    write_csv(out / "errors.csv", errors)
    figures = {
        "attribute_errors": draw_errors(errors, table),
        "calibration": draw_calibration(calibration, of_real, severities),
        "naming_check": draw_confusion(check),
    }
    for name, (figure, numbers) in figures.items():
        save_figure(figure, out / "figures" / f"{name}.png", numbers)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, "measure_attributes")
