"""Bring one classifier: read, check, measure on both test sets, write."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from torch import nn

from failure_atlas.brought.adapter import REMEDY, Adapter, UnfiniteAnswerError
from failure_atlas.brought.checkpoint import adapt, read_network, save_brought, save_refused
from failure_atlas.brought.code import tell
from failure_atlas.brought.folder import check_brought, check_numbers, hash_files
from failure_atlas.brought.onnx_form import check_conversion
from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.classifiers.evaluation import examine, mark, predict, tabulate_examination
from failure_atlas.core.device import choose_device, device_of
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.images.image_set import ImageSet, to_unit
from failure_atlas.statistics.intervals import proportion
from stages.bring_classifiers.checks import (
    DoubtError,
    check_answers,
    check_constancy,
    check_gradient,
    check_outputs,
    settle,
)
from stages.bring_classifiers.mistakes import (
    LARGE_GAIN,
    TRIED,
    Trial,
    choose_best,
    guess_by_neighbour,
    image_moments,
    list_changes,
    spread,
    tabulate,
    try_changes,
)
from stages.bring_classifiers.sizes import measure_content
from stages.bring_classifiers.unseen import measure_on_mnist_test, tell_seen
from stages.common.artefacts.images import read_class_names, read_images, read_severities
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section, read_params

PROBED = 24  # test images that are looked at one by one
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
    class_names = read_class_names(images)
    device = choose_device()

    check_brought(section, folder, key)
    hashes = hash_files(folder)  # before the code runs, which may write
    with _confined(key):
        network = read_network(section, folder, key)
        check_numbers(network, key)
        classifier = adapt(network, section, tests["clean"].images.shape[1:], class_names, key)
        classifier.to(device).requires_grad_(False)
        rebuild = partial(_rebuild, network, section, tests["clean"].images.shape[1:], class_names, device, key)
        warnings = _check(classifier, rebuild, tests["clean"], section.on_doubt, key)
    _check_unwritten(folder, hashes)
    if section.url is not None:
        warnings.append(f"{key}.url: {UNPINNED}")
    if section.onnx is not None:
        shown = to_unit(tests["clean"].images[:2]).to(device)
        check_conversion(folder / section.onnx, network, classifier.prepare(shown), f"{key}.onnx")

    with Progress(f"measuring {entry}", sum(len(test.labels) for test in tests.values()), "img") as progress:
        answer = partial(_answer, batch_size=section.batch_size, advance=progress.advance)
        probabilities = {name: answer(classifier, test.images, name) for name, test in tests.items()}
    trials = _try(rebuild, tests["clean"], section, entry)
    usual = proportion(guess_by_neighbour(read_images(images, "train"), _spread(tests["clean"], TRIED)))
    right = mark(probabilities["clean"], tests["clean"])
    judge = partial(_judge, trials, right, tests["clean"].labels, usual, key)
    warnings += settle(judge, section.on_doubt, key)
    unseen = measure_on_mnist_test(
        images, params, partial(_answer, classifier, batch_size=section.batch_size), class_names, section.seed
    )
    warnings += tell_seen(unseen, key)
    for warning in warnings:
        logging.warning("warning: %s", warning)

    severities = read_severities(corrupted, "test")
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
    tables = {"usual_mistakes": tabulate(trials)}
    tables |= tabulate_examination(probabilities, tests, severities, class_names)
    for name, table in tables.items():
        write_csv(out / "tables" / f"{name}.csv", table)
    write_json(out / "metrics.json", metrics)


@contextmanager
def _confined(key: str) -> Iterator[None]:
    """Raise StageError for what brought code does that nobody can foresee, such as to end the program or change folder.

    sys.exit() would pass for success.
    """
    home = Path.cwd()
    try:
        yield
    except StageError:
        raise
    except SystemExit as stop:
        raise StageError(
            f"{key}: its code ends the program (sys.exit, exit or quit with {stop.code!r}); remove that call, or put "
            "it below if __name__ == '__main__'"
        ) from stop
    except Exception as error:
        raise StageError(
            f"{key}: it cannot be used as a network ({tell(error)}); correct its code or weights"
        ) from error
    finally:
        if Path.cwd() != home:
            os.chdir(home)
            raise StageError(
                f"{key}: its code changes the working folder; remove os.chdir: paths of params start there"
            )


def _check_unwritten(folder: Path, hashes: dict[str, str]) -> None:
    """Raise StageError if brought code has written into its folder: each later stage would find another classifier."""
    changed = sorted({name for name, _ in hashes.items() ^ hash_files(folder).items()})
    if changed:
        raise StageError(f"{folder / changed[0]}: written by the classifier's own code; let it write elsewhere")


def _rebuild(
    network: nn.Module,
    section: BringClassifierParams,
    image_shape: tuple[int, ...],
    class_names: list[str],
    device: torch.device,
    key: str,
    **changed: Any,
) -> Adapter:
    """The classifier with some of its options changed."""
    order = None if section.class_order is None else [str(name) for name in section.class_order]
    options = section.input.model_dump() | {"class_order": order, "outputs": section.outputs, "name": key} | changed
    return Adapter(network, image_shape, class_names, **options).eval().to(device)


def _check(classifier: Adapter, rebuild: Any, test: ImageSet, on_doubt: str, key: str) -> list[str]:
    count = PROBED + (len(classifier.class_names) == PROBED)  # a batch that cannot be taken for the classes
    probed = to_unit(_spread(test, count).images).to(device_of(classifier))
    check_answers(classifier, probed, rebuild, key)
    warnings = settle(partial(check_outputs, classifier, probed, key), on_doubt, key)
    check_constancy(classifier, probed, key)
    if classifier.differentiable:
        warnings += settle(partial(check_gradient, classifier, probed, key), on_doubt, key)
    return warnings


def _try(rebuild: Any, test: ImageSet, section: BringClassifierParams, entry: str) -> list[Trial]:
    shown = _spread(test, TRIED)
    bare = rebuild(mean=None, std=None)
    with torch.no_grad():
        mean, std = image_moments(bare.prepare(to_unit(shown.images).to(device_of(bare))))
    changes = list_changes(bare, section.input.model_dump(), mean, std, measure_content(shown.images))
    total = sum(min(len(shown.labels), count) for count in (TRIED, *(change.images for change in changes)))
    with Progress(f"trying the usual mistakes on {entry}", total, "img") as progress:

        def answer(classifier: Adapter, images: np.ndarray) -> np.ndarray:
            # No more pixels at once than as declared, which fits into memory.
            share = min(1.0, np.prod(bare.size) / np.prod(classifier.size))
            batch_size = max(1, int(section.batch_size * share))
            return _answer(classifier, images, batch_size=batch_size, advance=progress.advance)

        return try_changes(changes, rebuild, answer, shown.images, shown.labels)


def _spread(test: ImageSet, count: int) -> ImageSet:
    """Up to `count` images from all over a test set, which may be sorted by class."""
    rows = spread(len(test.labels), count)
    return ImageSet(test.images[rows], test.labels[rows])


def _answer(
    classifier: Adapter, images: np.ndarray, name: str = "", *, batch_size: int, advance: Callable[[int], object]
) -> np.ndarray:
    """As `predict`; name: of the test set.  advance: told the number of images just classified.

    Raises StageError that says which image has an answer that is not finite.
    """
    parts = []
    for start in range(0, len(images), batch_size):
        try:
            parts.append(predict(classifier, images[start : start + batch_size], batch_size))
        except UnfiniteAnswerError as error:
            raise StageError(
                f"{classifier.name}: its answer to image {start + error.rows[0]} (counted from 0) of the {name} test "
                f"set is not finite (NaN or infinite); {REMEDY}"
            ) from error
        advance(len(parts[-1]))
    return np.concatenate(parts)


def _judge(trials: list[Trial], correct: np.ndarray, labels: np.ndarray, usual: dict[str, Any], key: str) -> list[str]:
    """Warnings; DoubtError where the classifier is no better than chance, or a change makes it much better.

    usual: the share that a simple method gets right, with its interval.
    """
    accuracy = proportion(correct)
    chance = float(np.bincount(labels).max() / len(labels))
    helping = choose_best(trials)
    found = [
        f"{trial.change.advice} (accuracy {trial.before.mean():.3f} becomes {trial.after.mean():.3f} on "
        f"{len(trial.after)} clean test images)"
        for trial in helping
    ]
    best = " or ".join(found)
    told = (
        f"{key}: {accuracy['value']:.3f} of {accuracy['n']} clean test images are right (95 % interval "
        f"{accuracy['low']:.3f} to {accuracy['high']:.3f})"
    )
    if accuracy["low"] <= chance:
        raise DoubtError(
            f"{told}, which is no better than chance ({chance:.3f}); "
            f"{best or 'none of the usual mistakes explains it: check its weights and its input'}"
        )
    if helping and helping[0].gain >= LARGE_GAIN:
        raise DoubtError(f"{key}: it is right far more often if it is fed otherwise: {best}")
    if not helping and accuracy["high"] < usual["low"]:
        why = f"the label of the nearest training image, pixel by pixel, is right of {usual['value']:.3f}"
        advice = "none of the usual mistakes explains it: check its weights and its input"
        return [f"{told}, far fewer than usual ({why}), and {advice}"]
    return [f"{key}: it is right more often if it is fed otherwise; if that was not meant: {each}" for each in found]


if __name__ == "__main__":
    run_stage(main, "bring_classifiers")
