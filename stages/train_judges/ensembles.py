"""The two ensembles: trained or taken over, and what they are worth on real images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from failure_atlas.classifiers.evaluation import calibration_error, calibration_interval, measure_accuracy
from failure_atlas.classifiers.networks import Classifier, is_differentiable
from failure_atlas.classifiers.training import train
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import read_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.core.weights import check_pinned
from failure_atlas.images.image_set import ImageSet, Severities
from failure_atlas.judges.calibration import measure_surprise
from failure_atlas.judges.ensemble import Ensemble, load_judge, load_without_code
from failure_atlas.judges.verdicts import LABEL_CHANGED, READINGS, read_labels
from failure_atlas.statistics.agreement import draw_halves, measure_phi
from failure_atlas.statistics.estimates import flatten, mean, proportion
from stages.train_judges.params import BROUGHT, ENSEMBLES, ReleasedParams, TrainJudgesParams


def share_images(
    section: TrainJudgesParams, labels: np.ndarray, tracks: np.ndarray, judge: Path | None
) -> dict[str, np.ndarray]:
    """Which of the training images each ensemble learns from, bool [N]; labels, tracks: [N].

    One half of the tracks of each class each, as two images of one track are nearly one; or all where the params say
    so, or where the judge is there already: then the auditor alone learns.
    """
    everything = np.full(len(labels), True)
    if judge is not None:
        return {"auditor": everything}
    if not section.disjoint_images:
        return dict.fromkeys(ENSEMBLES, everything)
    _, first, track = np.unique(tracks, return_index=True, return_inverse=True)
    half = draw_halves(labels[first], 1, numpy_stream(section.seed, "images of judge and auditor"))[0][track]
    return {"judge": half, "auditor": ~half}


def train_ensembles(
    section: TrainJudgesParams, training: Mapping[str, ImageSet], class_names: list[str], device: torch.device
) -> dict[str, Ensemble]:
    """Train each member on its own order of images and its own deformations; StageError if a training diverges.

    training: the images of each ensemble to train.
    """
    total = sum(len(getattr(section, name)) for name in training) * section.training_images
    trained: dict[str, list[Classifier]] = {name: [] for name in training}
    with Progress("training judges", total, "img") as progress:
        for name, members in trained.items():
            for place, member in enumerate(getattr(section, name)):
                built = member.model_dump(exclude={"seed"})
                network = Classifier(classes=len(class_names), channels=training[name].images.shape[1], **built)
                train(
                    network,
                    training[name],
                    section,
                    seed=member.seed,
                    names=("train_judges", name, place),
                    key=f"train_judges.{name}[{place}]",
                    device=device,
                    advance=progress.advance,
                )
                members.append(network.eval().requires_grad_(False))
    return {name: Ensemble(members, class_names) for name, members in trained.items()}


def take_over(
    section: TrainJudgesParams, class_names: list[str], channels: int, device: torch.device
) -> tuple[dict[str, Ensemble], dict[str, Any]]:
    """The first released pair that knows these classes, and what people's labels said of its judge, if they did.

    Raises StageError if none knows them, it sees other channels, or people saw another judge.
    """
    known = []
    for index, released in enumerate(section.pairs):
        key = f"train_judges.released.{index}"
        ensembles = {
            name: load_without_code(check_pinned(getattr(released, name), f"{key}.{name}"), device)
            for name in ENSEMBLES
        }
        if all(ensemble.class_names == class_names for ensemble in ensembles.values()):
            members = [member for ensemble in ensembles.values() for member in ensemble.members]
            sees = {member.architecture["channels"] for member in members}  # type: ignore[index]
            if sees != {channels}:
                raise StageError(
                    f"{key}: sees images of {', '.join(map(str, sorted(sees)))} channels; the data's have {channels}; "
                    "set train_judges.released: null to train judges on them"
                )
            return ensembles, _read_people(released, f"{key}.people")
        known += [ensemble.class_names for ensemble in ensembles.values()]
    raise StageError(
        f"train_judges.released: knows {'; '.join(dict.fromkeys(map(', '.join, known)))}; the images show "
        f"{', '.join(class_names)}; set train_judges.released: null to train judges on them"
    )


def take_brought(folder: Path | None, class_names: list[str], device: torch.device) -> dict[str, Ensemble]:
    """The classifiers `judge` and `auditor` of a folder of bring_classifiers, each alone in its ensemble.

    Raises StageError if one is missing, was refused or has changed since, if the judge gives no gradients, or if the
    auditor is the judge once more.
    """
    if folder is None:
        raise StageError(f"train_judges.released: got {BROUGHT}, but no --brought says where; set it to null")
    ensembles = {name: load_judge(folder / name / "classifier.safetensors", class_names, device) for name in ENSEMBLES}
    judge, auditor = (ensembles[name].members[0] for name in ENSEMBLES)
    if not is_differentiable(judge):
        raise StageError(
            "bring_classifiers.judge: is a black box, and searches follow its gradient; bring it with load or onnx (an "
            "auditor may be a black box)"
        )
    held, other = judge.state_dict(), auditor.state_dict()
    if held.keys() == other.keys() and all(torch.equal(each, other[name]) for name, each in held.items()):
        raise StageError(
            "bring_classifiers.auditor: is the same network as bring_classifiers.judge, which it is to check; bring "
            "another, at best of another family and trained on other images"
        )
    return ensembles


def _read_people(released: ReleasedParams, key: str) -> dict[str, Any]:
    if released.people is None:
        return {}
    held = read_json(path := check_pinned(released.people, key), "train_judges")
    if held.get("judge_sha256") != released.judge.sha256:
        raise StageError(
            f"{path}: says what people's labels tell of the judge {held.get('judge_sha256')}, not of "
            f"{released.judge.path}; make it with python -m stages.judge_failures.agreement, or set {key}: null"
        )
    return {name: held[name] for name in ("precision", "recall") if name in held}


def refuse_strangers(
    section: TrainJudgesParams, accuracies: Mapping[str, dict[str, Any]], labels: np.ndarray, classes: int
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
        "the released judges take their class names for granted and know other images: set train_judges.released: "
        "null to train judges on these; a released generator knows others, too: train_stylegan2.resume: null and a "
        "number for total_kimg"
    )
    if section.released is None:
        remedy = "train longer (train_judges.training_images, learning_rate), or mend the images and labels"
    elif section.released == BROUGHT:
        remedy = f"see the warnings in data/bring_classifiers/{next(iter(low))}/metrics.json, or bring another network"
    raise StageError(
        f"train_judges.accuracy_floor: got {section.accuracy_floor:g}, of {classes} classes an accuracy of "
        f"{floor:.3f} (always naming the largest class: {chance:.3f}), but {told} of {len(labels)} real test images; "
        f"{remedy}; if so little is all that can be had, lower the floor (0: none)"
    )


def compare_errors(
    calibrated: Mapping[str, np.ndarray], labels: np.ndarray, stream: np.random.Generator
) -> dict[str, Any]:
    """How far judge and auditor are one opinion: probabilities [N, classes] of each about the same real test images.

    judge_auditor_phi: correlation of their errors.  accuracy_gap: judge less auditor, paired.
    """
    judge, auditor = (calibrated[name].argmax(axis=1) for name in ENSEMBLES)
    right, confirmed = judge == labels, auditor == labels
    return {
        "agreement": proportion(judge == auditor),
        "judge_auditor_phi": measure_phi(~right, ~confirmed, stream),
        "accuracy_gap": mean(right.astype(float) - confirmed),
    }


def measure_ensemble(
    raw: np.ndarray,
    calibrated: np.ndarray,
    labels: np.ndarray,
    severities: Severities,
    class_names: list[str],
    confidence: float,
    stream: np.random.Generator,
) -> dict[str, Any]:
    """Figures of one ensemble on real test images.

    raw, calibrated: probabilities [N, classes] before and after tempering.  labels: int64 [N].
    `sure_share`: images in which it sees a class with at least this confidence; `sure_accuracy`: among those.
    `false_verdict_share`: images in which it would say that the label has changed, which on real images is its own
    error.
    """
    correct = calibrated.argmax(axis=1) == labels
    sure = calibrated.max(axis=1) >= confidence
    readings = read_labels(calibrated, labels, confidence)
    return {
        "accuracy": proportion(correct),
        "accuracy_on_corrupted": proportion(correct[~severities.clean]),
        "accuracy_per_class": measure_accuracy(correct, labels, class_names),
        "negative_log_likelihood": measure_surprise(calibrated, labels),
        **flatten(
            "calibration_error",
            {"value": calibration_error(calibrated, labels)} | calibration_interval(calibrated, labels, stream),
        ),
        "calibration_error_untempered": calibration_error(raw, labels),
        "sure_share": proportion(sure),
        "sure_accuracy": proportion(correct[sure]),
        "false_verdict_share": proportion(readings == READINGS.index(LABEL_CHANGED)),
    }
