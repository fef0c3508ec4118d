"""A brought classifier built, checked, and measured: on the run's test images, and on MNIST's where they are at hand.

Those are for classifiers that may have learned from the images that a run on mnist-5k tests with.
"""

import logging
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.brought.adapter import Adapter
from failure_atlas.brought.checkpoint import adapt, read_network
from failure_atlas.brought.code import confined
from failure_atlas.brought.folder import check_brought, check_numbers, check_unwritten, hash_files
from failure_atlas.brought.onnx_form import check_conversion
from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.classifiers.evaluation import examine, mark, tabulate_examination
from failure_atlas.core.arrays import read_attributes
from failure_atlas.core.device import choose_device
from failure_atlas.core.files import require
from failure_atlas.core.progress import Progress
from failure_atlas.corruptions.corruptions import corrupt_split
from failure_atlas.corruptions.registry import choose_steps
from failure_atlas.images.frame import Frame, frame_all
from failure_atlas.images.image_set import ImageSet, Severities, to_unit
from failure_atlas.images.sources import DIGITS, FOLDER_VARIABLE, MNIST, load_idx_split
from failure_atlas.statistics.estimates import proportion
from stages.bring_classifiers.checks import Rebuild, check_all, classify, settle, spread
from stages.bring_classifiers.mistakes import TRIED, guess_by_neighbour, judge_accuracy, try_usual
from stages.common.artefacts.images import read_class_names, read_images, read_severities
from stages.common.image_params import CorruptImagesParams, PrepareImagesParams
from stages.common.params import load_section

UNPINNED = (
    "no hash pins what the server runs; all results hold for the answers that it gave. Keep a file in the folder that "
    "names the model and its version, and change it when the server's model changes"
)
SEEN = (
    "mnist-5k is part of MNIST's training set: if it learned from MNIST it has seen the images that it is tested on "
    "here: its accuracy on them says little"
)
KEY = "mnist_test"  # in metrics.json


@dataclass(frozen=True)
class Data:
    """What the stage shows to a classifier; source: where the images are from, as params name it."""

    source: str | None
    train: ImageSet
    tests: dict[str, ImageSet]
    severities: Severities
    class_names: list[str]


def read_data(images: Path, corrupted: Path) -> Data:
    """Read the stores of prepare_images and corrupt_images; StageError if one is missing."""
    stores = {"clean": require(images, "prepare_images"), "corrupted": require(corrupted, "corrupt_images")}
    return Data(
        read_attributes(images).get("source"),
        read_images(images, "train"),
        {name: read_images(store, "test") for name, store in stores.items()},
        read_severities(corrupted, "test"),
        read_class_names(images),
    )


def build_checked(
    section: BringClassifierParams, folder: Path, key: str, data: Data
) -> tuple[Rebuild, dict[str, str], list[str]]:
    """What gives the classifier of an entry, also with other options; hashes of its folder's files, from before its
    code ran; and warnings.

    key: the entry's place in params.  Raises StageError if it cannot be analysed.
    """
    device, clean = choose_device(), data.tests["clean"].images
    check_brought(section, folder, key)
    hashes = hash_files(folder)
    with confined(key):
        network = read_network(section, folder, key).requires_grad_(False)
        check_numbers(network, key)

        def rebuild(**changed: Any) -> Adapter:
            return adapt(network, section, clean.shape[1:], data.class_names, key, **changed).to(device)

        classifier = rebuild()
        warnings = check_all(classifier, rebuild, clean, section.on_doubt, key)
    check_unwritten(folder, hashes)
    if section.url is not None:
        warnings.append(f"{key}.url: {UNPINNED}")
    if section.onnx is not None:
        shown = classifier.prepare(to_unit(clean[:2]).to(device))
        check_conversion(folder / section.onnx, network, shown, f"{key}.onnx")
    return rebuild, hashes, warnings


def measure(
    rebuild: Rebuild, section: BringClassifierParams, data: Data, params: Path, entry: str
) -> tuple[dict[str, Any], list[str], dict[str, pd.DataFrame]]:
    """Metrics, warnings, and tables by name; params: of the run.  StageError if it is probably fed in a wrong way."""
    key, clean, classifier = f"bring_classifiers.{entry}", data.tests["clean"], rebuild()
    answer = partial(_answer, classifier, section.batch_size)
    probabilities = answer(data.tests, f"measuring {entry}")
    rows = spread(len(clean.labels), TRIED)
    tried = ImageSet(clean.images[rows], clean.labels[rows])
    trials = try_usual(rebuild, section.input.model_dump(), tried, section.batch_size, entry)
    usual = proportion(guess_by_neighbour(data.train, tried))
    right = mark(probabilities["clean"], clean)
    warnings = settle(partial(judge_accuracy, trials, right, clean.labels, usual, key), section.on_doubt, key)
    unseen: dict[str, Any] = {}
    if data.source == "mnist-5k":
        unseen, way_out = _measure_unseen(answer, params, data.class_names, section.seed)
        warnings.append(f"{key}: {SEEN}; {way_out}")
    measured = probabilities, data.tests, data.severities, data.class_names
    metrics = {
        "form": section.form,
        "differentiable": classifier.differentiable,
        "parameters": sum(parameter.numel() for parameter in classifier.network.parameters()),
        **examine(*measured, section.seed),
        **unseen,
    }
    for name in data.tests:
        logging.info("%s: accuracy on the %s test set %.4f", entry, name, metrics[f"{name}_test_accuracy"]["value"])
    return metrics, warnings, {"usual_mistakes": trials, **tabulate_examination(*measured)}


def _answer(
    classifier: Adapter, batch_size: int, tests: dict[str, ImageSet], title: str, place: str = ""
) -> dict[str, np.ndarray]:
    """Probabilities on each test set; place: before its name in messages."""
    with Progress(title, sum(len(test.labels) for test in tests.values()), "img") as progress:
        ask = partial(classify, classifier, batch_size=batch_size, advance=progress.advance)
        return {name: ask(test.images, place + name) for name, test in tests.items()}


def _measure_unseen(
    answer: partial[dict[str, np.ndarray]], params: Path, class_names: list[str], seed: int
) -> tuple[dict[str, Any], str]:
    """`mnist_test`: what `examine` gives on MNIST's 10,000 test images, and where to find it; or why not, and a way.

    Half of the images are corrupted as those of the run are.
    Raises StageError if the environment variable MNIST_DIR names a folder that does not hold MNIST's test files.
    """
    folder = os.environ.get(FOLDER_VARIABLE, "").strip()
    if not folder:
        way_out = f"set {FOLDER_VARIABLE} to the folder of MNIST's files to have it measured on its 10,000 test images"
        reason = f"the environment variable {FOLDER_VARIABLE} was not set"
        return {KEY: None, f"{KEY}_reason": reason}, f"{way_out}, too"
    prepare = load_section(params, PrepareImagesParams, "prepare_images")
    section = load_section(params, CorruptImagesParams, "corrupt_images")
    held = load_idx_split(MNIST, Path(folder), "test")
    chosen = np.array([DIGITS.index(name) for name in class_names])  # in rising order, also of a part of the classes
    rows = np.isin(held.labels, chosen)
    framed = frame_all(held.images[rows], Frame(prepare.size_px, prepare.channels, prepare.fit))
    clean = ImageSet(framed, np.searchsorted(chosen, held.labels[rows]))
    how = section.model_dump(include={"seed", "clean_fraction", "severities"})
    corrupted, severities = corrupt_split(clean, KEY, choose_steps(section.recipe, section.table), **how)
    tests = {"clean": clean, "corrupted": corrupted}
    probabilities = answer(tests, "measuring on MNIST's own test images", "MNIST ")
    way_out = f"{KEY} below holds its figures on MNIST's own test images"
    return {KEY: examine(probabilities, tests, severities, class_names, seed)}, way_out
