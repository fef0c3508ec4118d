"""Prepare the images: read, check, split, frame, write."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.files import write_json
from failure_atlas.drawing.images import draw_samples
from failure_atlas.drawing.style import save_figure
from failure_atlas.images.frame import Frame
from failure_atlas.images.problems import count_problems
from stages.common.artefacts.images import named_arrays, named_tracking
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.image_params import PrepareImagesParams
from stages.common.params import load_section
from stages.prepare_images.preparation import Prepared, count_by_class, prepare


def main(
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
    downloads: Annotated[
        Path,
        typer.Option(help="Folder that keeps downloaded files, where MNIST_DIR and GTSRB_DIR name none."),
    ] = Path(".downloads"),
    own_images: Annotated[
        Path, typer.Option(help="Folder with images of your own; read by npz, image-folder and mnist-format.")
    ] = Path("data/own_images"),
) -> None:
    """Bring the data set into one form: uint8 images [N, channels, size, size] and labels, train and test, in Zarr.

    The sources mnist, fashion-mnist and gtsrb read the folder named in the environment variable MNIST_DIR or
    GTSRB_DIR, or else download; npz, image-folder and mnist-format read images of your own. What is wrong with an image
    stands in problems.csv.
    """
    section = load_section(params, PrepareImagesParams, "prepare_images")
    frame = Frame(section.size_px, section.channels, section.fit)
    prepared = prepare(section, frame, downloads, own_images, out / "problems.csv")
    train, test, class_names = prepared.train, prepared.test, prepared.class_names
    logging.info(
        "%s: %s training and %s test images", section.source, f"{len(train.labels):,}", f"{len(test.labels):,}"
    )

    attributes = {"source": section.source, "class_names": list(class_names)} | named_tracking(train)
    write_arrays(out / "images.zarr", named_arrays("train", train) | named_arrays("test", test), attributes)
    figure, table = draw_samples(train, class_names, f"{section.source}: training images by class")
    save_figure(figure, out / "figures" / "samples.png", table)
    write_json(out / "metrics.json", _measure(prepared))


def _measure(prepared: Prepared) -> dict[str, Any]:
    train, test, class_names = prepared.train, prepared.test, prepared.class_names
    return {
        "train_images": len(train.labels),
        "test_images": len(test.labels),
        "train_images_per_class": count_by_class(train, class_names),
        "test_images_per_class": count_by_class(test, class_names),
        "classes": len(class_names),
        "channels": train.images.shape[1],
        "size_px": train.images.shape[2],
        "images_by_problem": count_problems(prepared.problems),
        "images_dropped": sum(problem.action == "dropped" for problem in prepared.problems),
        "images_by_change": prepared.changes,
        "converted_from_float": prepared.from_float,
        "warnings": list(prepared.warnings),
    }


if __name__ == "__main__":
    run_stage(main, "prepare_images")
