"""Train one classifier: read, train, measure on both test sets, write."""

import logging
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from failure_atlas.classifiers.evaluation import draw_examination, examine, mark, predict
from failure_atlas.classifiers.networks import Classifier, save_classifier
from failure_atlas.classifiers.training import initialise, train
from failure_atlas.core.device import choose_device, choose_dtype
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import torch_stream
from failure_atlas.drawing.classifiers import draw_learning_curve
from failure_atlas.drawing.style import save_figure
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
    drawings = {"learning_curve": draw_learning_curve(curve)}
    drawings |= draw_examination(probabilities, tests, severities, class_names)
    for name, (figure, table) in drawings.items():
        save_figure(figure, out / "figures" / f"{name}.png", table)
    write_json(out / "metrics.json", metrics)


def _train(
    entry: str, section: TrainClassifierParams, training: ImageSet, tests: dict[str, ImageSet], classes: int
) -> tuple[Classifier, list[dict[str, float]]]:
    device = choose_device()
    channels = training.images.shape[1]
    classifier = Classifier(section.network, classes=classes, width=section.width, channels=channels)
    # The entry's name stands in the streams: two entries of one seed share nothing.
    initialise(classifier, torch_stream(section.seed, "train_classifiers", entry, "weights"))
    classifier.to(device)
    samples = {name: ImageSet(test.images[:CURVE_IMAGES], test.labels[:CURVE_IMAGES]) for name, test in tests.items()}

    def evaluate() -> dict[str, float]:
        return {
            f"{name}_test_accuracy": float(mark(predict(classifier, sample.images), sample).mean())
            for name, sample in samples.items()
        }

    try:
        with Progress(f"training {entry}", section.training_images, "img") as progress:
            curve = train(
                classifier,
                torch.from_numpy(training.images).to(device),
                torch.from_numpy(training.labels).to(device),
                training_images=section.training_images,
                batch_size=section.batch_size,
                learning_rate=section.learning_rate,
                weight_decay=section.weight_decay,
                limits=section.augmentation.model_dump(exclude={"interpolation"}),
                interpolation=section.augmentation.interpolation,
                dtype=choose_dtype(section.precision, device),
                order=torch_stream(section.seed, "train_classifiers", entry, "order"),
                shapes=torch_stream(section.seed, "train_classifiers", entry, "shapes"),
                evaluate=evaluate,
                advance=progress.advance,
            )
    except StageError as error:
        raise StageError(f"train_classifiers.{entry}: {error} (it is {section.learning_rate:g})") from error
    return classifier, curve


if __name__ == "__main__":
    run_stage(main, "train_classifiers")
