"""Bring one classifier: read, check, measure on both test sets, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer
from torch import nn

from failure_atlas.brought.adapter import Adapter
from failure_atlas.brought.checkpoint import adapt, read_network, save_brought, save_refused
from failure_atlas.brought.code import confined, tell
from failure_atlas.brought.folder import check_brought, check_numbers, check_unwritten, hash_files
from failure_atlas.brought.onnx_form import check_conversion
from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.classifiers.evaluation import examine, mark, tabulate_examination
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.images.image_set import ImageSet, to_unit
from failure_atlas.statistics.estimates import proportion
from stages.bring_classifiers.checks import check_all, classify, settle, spread
from stages.bring_classifiers.mistakes import TRIED, guess_by_neighbour, judge_accuracy, try_usual
from stages.bring_classifiers.unseen import measure_on_mnist_test, tell_seen
from stages.common.artefacts.images import read_class_names, read_images, read_severities
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section, read_params

UNPINNED = (
    "no hash pins what the server runs; all results hold for the answers that it gave. Keep a file in the folder that "
    "names the model and its version, and change it when the server's model changes"
)


def main(
    entry: Annotated[str, typer.Argument(help="Which entry of the section bring_classifiers.")],
    folder: Annotated[Path, typer.Option(help="The folder with the classifier's files.")],
    images: Annotated[Path, typer.Option(help="The images store of prepare_images.")],
    corrupted: Annotated[Path, typer.Option(help="The images store of corrupt_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Adapt a classifier made elsewhere to the images, check that it can be analysed, and measure it on both test sets.

    What cannot be analysed stops with what to change; what may be meant becomes a warning in metrics.json. An entry
    that is not under test (`classifiers`) stops nothing: what is wrong with it is its result.
    """
    section = load_section(params, BringClassifierParams, "bring_classifiers", entry)
    try:
        _bring(entry, section, folder, images, corrupted, out, params)
    except Exception as error:
        if entry in read_params(params).get("classifiers", {entry: ""}):
            raise
        refused = str(error) if isinstance(error, StageError) else tell(error)
        logging.warning("warning: %s is not under test, and refused: %s", entry, refused)
        save_refused(out / "classifier.safetensors", entry, refused)
        write_csv(out / "tables" / "refused.csv", pd.DataFrame({"refused": [refused]}))
        write_json(out / "metrics.json", {"form": section.form, "refused": refused})


def _bring(
    entry: str, section: BringClassifierParams, folder: Path, images: Path, corrupted: Path, out: Path, params: Path
) -> None:
    key = f"bring_classifiers.{entry}"
    stores = {"clean": require(images, "prepare_images"), "corrupted": require(corrupted, "corrupt_images")}
    tests = {name: read_images(store, "test") for name, store in stores.items()}
    severities, class_names = read_severities(corrupted, "test"), read_class_names(images)
    clean, device = tests["clean"], choose_device()

    check_brought(section, folder, key)
    hashes = hash_files(folder)  # before the code runs, which may write
    with confined(key):
        network = read_network(section, folder, key)
        check_numbers(network, key)
        rebuild = partial(_adapt, network, section, clean.images.shape[1:], class_names, key, device)
        classifier = rebuild().requires_grad_(False)
        warnings = check_all(classifier, rebuild, clean.images, section.on_doubt, key)
    check_unwritten(folder, hashes)
    if section.url is not None:
        warnings.append(f"{key}.url: {UNPINNED}")
    if section.onnx is not None:
        shown = classifier.prepare(to_unit(clean.images[:2]).to(device))
        check_conversion(folder / section.onnx, network, shown, f"{key}.onnx")

    with Progress(f"measuring {entry}", sum(len(test.labels) for test in tests.values()), "img") as progress:
        answer = partial(classify, batch_size=section.batch_size, advance=progress.advance)
        probabilities = {name: answer(classifier, test.images, name) for name, test in tests.items()}
    rows = spread(len(clean.labels), TRIED)
    tried = ImageSet(clean.images[rows], clean.labels[rows])
    trials = try_usual(rebuild, section.input.model_dump(), tried, section.batch_size, entry)
    usual = proportion(guess_by_neighbour(read_images(images, "train"), tried))
    right = mark(probabilities["clean"], clean)
    warnings += settle(partial(judge_accuracy, trials, right, clean.labels, usual, key), section.on_doubt, key)
    answer = partial(classify, classifier, batch_size=section.batch_size)
    unseen = measure_on_mnist_test(images, params, answer, class_names, section.seed)
    warnings += tell_seen(unseen, key)
    for warning in warnings:
        logging.warning("warning: %s", warning)

    metrics: dict[str, Any] = {
        "form": section.form,
        "differentiable": classifier.differentiable,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "files": hashes,
        "warnings": warnings,
    }
    metrics |= examine(probabilities, tests, severities, class_names, section.seed) | unseen
    for name in tests:
        logging.info("%s: accuracy on the %s test set %.4f", entry, name, metrics[f"{name}_test_accuracy"]["value"])
    save_brought(out / "classifier.safetensors", classifier, section, folder, entry, hashes)
    tables = {"usual_mistakes": trials}
    tables |= tabulate_examination(probabilities, tests, severities, class_names)
    for name, table in tables.items():
        write_csv(out / "tables" / f"{name}.csv", table)
    write_json(out / "metrics.json", metrics)


def _adapt(
    network: nn.Module, section: BringClassifierParams, image_shape: tuple[int, ...], class_names: list[str],
    key: str, device: torch.device, **changed: Any,
) -> Adapter:  # fmt: skip
    return adapt(network, section, image_shape, class_names, key, **changed).to(device)


if __name__ == "__main__":
    run_stage(main, "bring_classifiers")
