"""Two ensembles of judges: train or take over, calibrate, measure, write."""

import logging
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from failure_atlas.classifiers.evaluation import calibration_table, count_confusion, predict
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.core.weights import check_pinned
from failure_atlas.drawing.classifiers import draw_confusion, draw_reliability, draw_severities
from failure_atlas.drawing.style import save_figure
from failure_atlas.images.image_set import ImageSet
from failure_atlas.judges.calibration import calibrate_across, fit_temperature
from failure_atlas.judges.ensemble import SMALLEST, Ensemble, load_ensemble, save_ensemble
from failure_atlas.statistics.estimates import proportion
from stages.common.artefacts.images import read_class_names, read_images, read_severities, read_training
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section
from stages.train_judges.members import train_member
from stages.train_judges.params import TrainJudgesParams
from stages.train_judges.report import measure_ensemble

ENSEMBLES = ("judge", "auditor")


def main(
    images: Annotated[Path, typer.Option(help="The images store of prepare_images.")],
    corrupted: Annotated[Path, typer.Option(help="The images store of corrupt_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Train two ensembles, or take them over, and calibrate them on real test images.

    The judge says what a generated image shows; the auditor checks the judge and is asked by no search. Neither is ever
    a classifier under test. Leaves judge.safetensors, auditor.safetensors, metrics.json and figures.
    """
    section = load_section(params, TrainJudgesParams, "train_judges")
    device = choose_device()
    require(images, "prepare_images"), require(corrupted, "corrupt_images")
    class_names = read_class_names(corrupted)
    test, severities = read_images(corrupted, "test"), read_severities(corrupted, "test")
    if section.released is None:
        ensembles = _train(section, read_training(images, corrupted, "both"), class_names, device)
    else:
        ensembles = _take_over(section, class_names, test.images.shape[1], device)

    metrics: dict[str, Any] = {}
    raw, calibrated = {}, {}
    for name, ensemble in ensembles.items():
        raw[name] = _predict(ensemble, test.images)
        logarithms = np.log(np.maximum(raw[name], SMALLEST))
        ensemble.temperature = fit_temperature(logarithms, test.labels)
        ensemble.confidence = section.confidence
        # Halves are drawn alike for both, so that judge and auditor are compared on the same footing.
        calibrated[name] = calibrate_across(logarithms, test.labels, numpy_stream(section.seed, "calibration halves"))
        metrics[name] = measure_ensemble(
            raw[name],
            calibrated[name],
            test.labels,
            severities,
            class_names,
            section.confidence,
            numpy_stream(section.seed, "calibration bootstrap", name),
        ) | {"members": len(ensemble.members), "temperature": ensemble.temperature, "test_images": len(test.labels)}
    predicted = {name: each.argmax(axis=1) for name, each in calibrated.items()}
    metrics["agreement"] = proportion(predicted["judge"] == predicted["auditor"])
    for name, each in metrics.items():
        if name in ensembles:
            logging.info(
                "%s: right on %.2f %% of real corrupted test images, calibration error %.3f, temperature %.2f",
                name,
                100 * each["accuracy"]["value"],
                each["calibration_error"],
                each["temperature"],
            )

    _refuse_strangers(section, {name: metrics[name]["accuracy"] for name in ensembles}, test.labels, class_names)
    for name, ensemble in ensembles.items():
        save_ensemble(out / f"{name}.safetensors", ensemble)
    tables = {name: calibration_table(each, test.labels) for name, each in calibrated.items()}
    errors = {name: metrics[name]["calibration_error"] for name in ensembles}
    counts = {name: count_confusion(test.labels, each, len(class_names)) for name, each in predicted.items()}
    drawings = {
        "reliability": draw_reliability(tables, errors, "ensemble"),
        "confusion": draw_confusion(counts, class_names, "ensemble"),
        "severities": draw_severities(predicted["judge"] == test.labels, severities),
    }
    for name, (figure, table) in drawings.items():
        save_figure(figure, out / "figures" / f"{name}.png", table)
    write_json(out / "metrics.json", metrics)


def _train(
    section: TrainJudgesParams, training: ImageSet, class_names: list[str], device: torch.device
) -> dict[str, Ensemble]:
    wanted = [(name, place, member) for name in ENSEMBLES for place, member in enumerate(getattr(section, name))]
    trained: dict[str, list[Any]] = {name: [] for name in ENSEMBLES}
    with Progress("training judges", len(wanted) * section.training_images, "img") as progress:
        for name, place, member in wanted:
            trained[name].append(
                train_member(name, place, member, section, training, len(class_names), device, progress.advance)
            )
    return {name: Ensemble(members, class_names) for name, members in trained.items()}


def _take_over(
    section: TrainJudgesParams, class_names: list[str], channels: int, device: torch.device
) -> dict[str, Ensemble]:
    """The first released pair that knows these classes; its temperature is fitted anew to the images at hand."""
    known = []
    for index, released in enumerate(section.released or []):
        key = f"train_judges.released.{index}"
        ensembles = {
            name: load_ensemble(check_pinned(getattr(released, name), f"{key}.{name}"), device) for name in ENSEMBLES
        }
        if all(ensemble.class_names == class_names for ensemble in ensembles.values()):
            _check_channels(ensembles, channels, key)
            return ensembles
        known += [ensemble.class_names for ensemble in ensembles.values()]
    raise StageError(
        f"train_judges.released: knows {'; '.join(dict.fromkeys(map(', '.join, known)))}; the images show "
        f"{', '.join(class_names)}; set train_judges.released: null to train judges on them"
    )


def _check_channels(ensembles: dict[str, Ensemble], channels: int, key: str) -> None:
    members = [member for ensemble in ensembles.values() for member in ensemble.members]
    sees = {member.architecture["channels"] for member in members}  # type: ignore[index]
    if sees != {channels}:
        raise StageError(
            f"{key}: sees images of {', '.join(map(str, sorted(sees)))} channels; the data's have {channels}; set "
            "train_judges.released: null to train judges on them"
        )


def _refuse_strangers(
    section: TrainJudgesParams, accuracies: dict[str, dict[str, Any]], labels: np.ndarray, class_names: list[str]
) -> None:
    """StageError if judge or auditor are hardly better than guessing: they know other images of these class names."""
    chance = float(np.bincount(labels).max() / len(labels))
    floor = chance + section.accuracy_floor * (1 - chance)
    low = {name: each for name, each in accuracies.items() if section.accuracy_floor and each["value"] < floor}
    if not low:
        return
    told = " and ".join(
        f"the {name} is right on {each['value']:.3f} [{each['low']:.3f}, {each['high']:.3f}]"
        for name, each in low.items()
    )
    remedy = (
        "train longer (train_judges.training_images, learning_rate), or mend the images and labels"
        if section.released is None
        else "the released judges take their class names for granted and know other images: set train_judges.released: "
        "null to train judges on these; a released generator knows others, too: train_stylegan2.resume: null and a "
        "number for total_kimg"
    )
    raise StageError(
        f"train_judges.accuracy_floor: got {section.accuracy_floor:g}, of {len(class_names)} classes an accuracy of "
        f"{floor:.3f} (always naming the largest class: {chance:.3f}), but {told} of {len(labels)} real test images; "
        f"{remedy}; if so little is all that can be had, lower the floor (0: none)"
    )


def _predict(ensemble: Ensemble, images: np.ndarray) -> np.ndarray:
    """Mean softmax of the members, untempered: float64 [N, classes] of uint8 images [N, C, H, W]."""
    members = [predict(member, images) for member in ensemble.members]
    return np.asarray(np.mean(members, axis=0))


if __name__ == "__main__":
    run_stage(main, "train_judges")
