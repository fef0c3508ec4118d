"""MNIST's own test images, for classifiers that may have learned from those that a run on mnist-5k tests with."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from failure_atlas.classifiers.evaluation import examine
from failure_atlas.core.arrays import read_attributes
from failure_atlas.core.progress import Progress
from failure_atlas.corruptions.corruptions import corrupt_split
from failure_atlas.corruptions.registry import choose_steps
from failure_atlas.images.frame import Frame, frame_all
from failure_atlas.images.image_set import ImageSet
from failure_atlas.images.sources import FOLDER_VARIABLE, MNIST, load_idx_split
from stages.common.image_params import CorruptImagesParams, PrepareImagesParams
from stages.common.params import load_section

KEY = "mnist_test"


def measure_on_mnist_test(
    images: Path, params: Path, answer: Callable[..., np.ndarray], class_names: list[str], seed: int
) -> dict[str, Any]:
    """`mnist_test`: what `examine` gives on MNIST's 10,000 test images; null and a reason where they are not at hand.

    images: store of prepare_images; of other images than mnist-5k nothing is measured, {}.  answer: images uint8
    [N, C, H, W], a name and `advance` -> [N, classes].  Half of the images are corrupted as those of the run are.
    Raises StageError if the environment variable MNIST_DIR names a folder that does not hold MNIST's test files.
    """
    if read_attributes(images).get("source") != "mnist-5k":
        return {}
    folder = os.environ.get(FOLDER_VARIABLE, "").strip()
    if not folder:
        return {KEY: None, f"{KEY}_reason": f"the environment variable {FOLDER_VARIABLE} was not set"}
    prepare = load_section(params, PrepareImagesParams, "prepare_images")
    section = load_section(params, CorruptImagesParams, "corrupt_images")
    held = load_idx_split(MNIST, Path(folder), "test")
    clean = ImageSet(frame_all(held.images, Frame(prepare.size_px, prepare.channels, prepare.fit)), held.labels)
    corrupted, severities = corrupt_split(
        clean,
        KEY,
        choose_steps(section.recipe, section.table),
        seed=section.seed,
        clean_fraction=section.clean_fraction,
        severities=section.severities,
    )
    tests = {"clean": clean, "corrupted": corrupted}
    with Progress("measuring on MNIST's own test images", 2 * len(held.labels), "img") as progress:
        probabilities = {
            name: answer(test.images, f"MNIST {name}", advance=progress.advance) for name, test in tests.items()
        }
    return {KEY: examine(probabilities, tests, severities, class_names, seed)}


def tell_seen(measured: dict[str, Any], key: str) -> list[str]:
    """A warning for `warnings` where the run's test images are of MNIST's training set; measured: as above."""
    if not measured:
        return []
    way_out = (
        f"{KEY} below holds its figures on MNIST's own test images"
        if measured[KEY]
        else f"set {FOLDER_VARIABLE} to the folder of MNIST's files to have it measured on its 10,000 test images, too"
    )
    seen = "if it learned from MNIST it has seen the images that it is tested on here: its accuracy on them says little"
    return [f"{key}: mnist-5k is part of MNIST's training set: {seen}; {way_out}"]
