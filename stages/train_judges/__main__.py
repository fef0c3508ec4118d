"""Two ensembles of judges: train or take over, calibrate, measure, write."""

import logging
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from failure_atlas.classifiers.evaluation import predict, tabulate_outputs, tabulate_severities
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_csv, write_json
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.judges.calibration import calibrate_across, fit_temperature
from failure_atlas.judges.ensemble import SMALLEST, load_judge, save_ensemble
from failure_atlas.statistics.estimates import read_estimate
from stages.common.artefacts.images import read_class_names, read_images, read_severities, read_tracks, read_training
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section
from stages.train_judges.ensembles import (
    compare_errors,
    measure_ensemble,
    refuse_strangers,
    share_images,
    take_brought,
    take_over,
    train_ensembles,
)
from stages.train_judges.params import BROUGHT, ENSEMBLES, TrainJudgesParams


def main(
    images: Annotated[Path, typer.Option(help="The images store of prepare_images.")],
    corrupted: Annotated[Path, typer.Option(help="The images store of corrupt_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
    judge: Annotated[
        Path | None, typer.Option(help="An ensemble to take as the judge; the auditor then learns from all images.")
    ] = None,
    brought: Annotated[Path | None, typer.Option(help="Results of bring_classifiers, of which judges may be.")] = None,
) -> None:
    """Train two ensembles, or take them over, and calibrate them on real test images.

    The judge says what a generated image shows; the auditor checks the judge and is asked by no search. They are of
    different families and learn from different images. Neither is ever a classifier under test. Leaves
    judge.safetensors, auditor.safetensors, metrics.json and tables.
    """
    section = load_section(params, TrainJudgesParams, "train_judges")
    device, people = choose_device(), dict[str, Any]()
    require(images, "prepare_images"), require(corrupted, "corrupt_images")
    class_names = read_class_names(corrupted)
    test, severities = read_images(corrupted, "test"), read_severities(corrupted, "test")
    if section.released is None:
        kept = share_images(section, read_images(images, "train").labels, read_tracks(images), judge)
        training = {name: read_training(images, corrupted, "both", each) for name, each in kept.items()}
        ensembles = train_ensembles(section, training, class_names, device)
        if judge is not None:
            ensembles = {"judge": load_judge(judge, class_names, device)} | ensembles
    elif judge is not None:
        raise StageError("--judge: train_judges.released is taken over whole; set it to null to train an auditor alone")
    elif section.released == BROUGHT:
        ensembles = take_brought(brought, class_names, device)
    else:
        ensembles, people = take_over(section, class_names, test.images.shape[1], device)

    metrics: dict[str, Any] = {}
    raw, calibrated = {}, {}
    for name, ensemble in ensembles.items():
        raw[name] = np.asarray(np.mean([predict(member, test.images) for member in ensemble.members], axis=0))
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
    for name in ENSEMBLES:
        logging.info(
            "%s: right on %.2f %% of real corrupted test images, calibration error %.3f, temperature %.2f",
            name,
            100 * metrics[name]["accuracy"]["value"],
            metrics[name]["calibration_error"],
            metrics[name]["temperature"],
        )
    refuse_strangers(section, {name: metrics[name]["accuracy"] for name in ENSEMBLES}, test.labels, len(class_names))
    metrics |= compare_errors(calibrated, test.labels, numpy_stream(section.seed, "errors of judge and auditor"))
    if people:
        metrics["judge"]["against_people"] = people
    metrics |= {f"auditor_{key}": metrics["auditor"][key] for key in ("accuracy", "calibration_error")}
    logging.info(
        "errors of judge and auditor correlate by %s; the judge is right on %s more of the images",
        *(read_estimate(metrics[key]).tell() for key in ("judge_auditor_phi", "accuracy_gap")),
    )

    for name, ensemble in ensembles.items():
        save_ensemble(out / f"{name}.safetensors", ensemble)
    tables = tabulate_outputs(calibrated, dict.fromkeys(ENSEMBLES, test.labels), class_names, "ensemble")
    tables["severities"] = tabulate_severities(predicted["judge"] == test.labels, severities)
    for name, table in tables.items():
        write_csv(out / "tables" / f"{name}.csv", table)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, "train_judges")
