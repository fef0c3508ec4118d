"""Train one classifier: read, train, measure on both test sets, write."""

import logging
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from failure_atlas.classifiers.evaluation import examine, mark, predict, tabulate_examination
from failure_atlas.classifiers.networks import Classifier, save_classifier
from failure_atlas.classifiers.training import train
from failure_atlas.core.device import choose_device
from failure_atlas.core.files import require, write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.images.image_set import ImageSet
from stages.common.artefacts.images import read_class_names, read_images, read_severities, read_training
from stages.common.classifier_params import TrainClassifierParams
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section

CURVE_IMAGES = 500  # test images of each kind behind a point of the learning curve


def main(
    entry: Annotated[str, typer.Argument(help="Which entry of the section train_classifiers, e.g. clean.")],
    images: Annotated[Path, typer.Option(help="The images store of prepare_images.")],
    corrupted: Annotated[Path, typer.Option(help="The images store of corrupt_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Train one classifier on the clean or the corrupted training set or on both, and measure it on both test sets."""
    section = load_section(params, TrainClassifierParams, "train_classifiers", entry)
    stores = {"clean": require(images, "prepare_images"), "corrupted": require(corrupted, "corrupt_images")}
    tests = {name: read_images(store, "test") for name, store in stores.items()}
    class_names = read_class_names(images)
    training = read_training(stores["clean"], stores["corrupted"], section.train_on)

    classifier, curve = _train(entry, section, training, tests, len(class_names))
    probabilities = {name: predict(classifier, test.images) for name, test in tests.items()}
    severities = read_severities(corrupted, "test")
    metrics: dict[str, Any] = {
        "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
        "training_set_images": len(training.labels),
        "final_train_loss": curve[-1]["train_loss"],
    }
    metrics |= examine(probabilities, tests, severities, class_names, section.seed)
    for name in tests:
        logging.info("%s: accuracy on the %s test set %.4f", entry, name, metrics[f"{name}_test_accuracy"]["value"])

    save_classifier(out / "classifier.safetensors", classifier)
    tables = {"learning_curve": pd.DataFrame(curve)}
    tables |= tabulate_examination(probabilities, tests, severities, class_names)
    for name, table in tables.items():
        write_csv(out / "tables" / f"{name}.csv", table)
    write_json(out / "metrics.json", metrics)


def _train(
    entry: str, section: TrainClassifierParams, training: ImageSet, tests: dict[str, ImageSet], classes: int
) -> tuple[Classifier, list[dict[str, float]]]:
    classifier = Classifier(section.network, classes=classes, width=section.width, channels=training.images.shape[1])
    samples = {name: ImageSet(test.images[:CURVE_IMAGES], test.labels[:CURVE_IMAGES]) for name, test in tests.items()}

    def evaluate() -> dict[str, float]:
        return {
            f"{name}_test_accuracy": float(mark(predict(classifier, sample.images), sample).mean())
            for name, sample in samples.items()
        }

    with Progress(f"training {entry}", section.training_images, "img") as progress:
        curve = train(
            classifier,
            training,
            section,
            seed=section.seed,
            names=("train_classifiers", entry),
            key=f"train_classifiers.{entry}",
            device=choose_device(),
            evaluate=evaluate,
            advance=progress.advance,
        )
    return classifier, curve


if __name__ == "__main__":
    run_stage(main, "train_classifiers")
