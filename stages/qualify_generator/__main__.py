"""Qualify the generator: read, judge real and generated images, compare, write."""

import logging
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer

from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.core.weights import check_pinned
from failure_atlas.drawing.style import save_figure
from failure_atlas.images.image_set import ImageSet, to_unit
from failure_atlas.judges.ensemble import load_ensemble
from failure_atlas.quality.manifold import count_classes, draw_matched
from failure_atlas.stylegan2.generator import load_generator
from stages.common.artefacts.images import read_class_names, read_images, read_severities
from stages.common.command import GeneratorOption, OutOption, ParamsOption, run_stage
from stages.common.params import load_section
from stages.qualify_generator.comparison import compare_features
from stages.qualify_generator.consistency import measure_labels
from stages.qualify_generator.convention import measure_conventional_distance
from stages.qualify_generator.copies import Nearest, compare_nearness, find_nearest
from stages.qualify_generator.features import (
    Judgement,
    extract_features,
    generate_images,
    judge_images,
    show_images,
)
from stages.qualify_generator.figures import (
    choose_examples,
    draw_nearest,
    draw_real_above_generated,
    draw_shares,
    tabulate_examples,
)
from stages.qualify_generator.inception_weights import KEY as INCEPTION_KEY
from stages.qualify_generator.inception_weights import load_inception
from stages.qualify_generator.params import QualifyGeneratorParams
from stages.qualify_generator.severities import compare_severities


def main(
    generator: GeneratorOption,
    judge: Annotated[Path, typer.Option(help="The judge, an ensemble of train_judges.")],
    images: Annotated[Path, typer.Option(help="Images store of corrupt_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Compare generated images with real corrupted ones by the judge's features and verdicts (paper 3.1).

    Leaves figure 2 and metrics.json: Frechet distance and its floor, precision, recall, label consistency.
    """
    section = load_section(params, QualifyGeneratorParams, "qualify_generator")
    device = choose_device()
    inception = None
    if section.inception_weights is not None:
        inception = load_inception(check_pinned(section.inception_weights, INCEPTION_KEY), device)
    require(images, "corrupt_images")
    network, judge_network = load_generator(generator, device), load_ensemble(judge, device)
    names = read_class_names(images)
    train, test = read_images(images, "train"), read_images(images, "test")
    _check_classes(generator, network.num_classes, names)
    _check_classes(judge, len(judge_network.class_names), names)
    counts = count_classes(test.labels, train.labels, section.samples, len(names))
    _check_counts(params, section, counts)
    chosen = draw_matched(test.labels, counts, 1, numpy_stream(section.seed, "test subset"))[0]
    subsets = draw_matched(train.labels, counts, section.repeats, numpy_stream(section.seed, "train subsets"))

    # Every generated set has the labels of the test set, so that no difference comes from the shares of the classes.
    labels = test.labels[chosen]
    latents = [
        numpy_stream(section.seed, "latents", repeat).standard_normal((len(labels), network.z_dim), np.float32)
        for repeat in range(section.repeats)
    ]
    total = len(test.labels) + len(labels) * (len(subsets) + len(latents))
    with Progress("judging", total, "img") as progress:
        size, advance = section.batch_size, progress.advance
        real = judge_images(judge_network, show_images(test.images, size, device), advance)
        seen = [
            extract_features(judge_network.features, show_images(train.images[rows], size, device), advance)
            for rows in subsets
        ]
        generated = [judge_images(judge_network, generate_images(network, z, labels, size), advance) for z in latents]
    with Progress("comparing", len(generated) + len(seen), "sets") as progress:
        metrics = compare_features(
            [judgement.features for judgement in generated],
            seen,
            real.features[chosen],
            section.neighbours,
            progress.advance,
        )
    _refuse_stranger(section, metrics)
    predicted = np.concatenate([judgement.predicted for judgement in generated])
    conditioned = np.tile(labels, section.repeats)
    metrics |= measure_labels(predicted, conditioned, real.predicted, test.labels, names)
    metrics |= compare_severities(
        np.concatenate(seen),
        read_severities(images, "train").rows(np.concatenate(subsets)),
        real.features,
        read_severities(images, "test"),
        np.concatenate([judgement.features for judgement in generated]),
    )
    with Progress("nearest training images", len(labels) + len(test.labels), "img") as progress:
        made = torch.cat(list(generate_images(network, latents[0], labels, section.batch_size)))
        nearest = find_nearest(made, train.images, device, progress.advance)
        nearest_real = find_nearest(to_unit(test.images), train.images, device, progress.advance)
    metrics |= compare_nearness(nearest.distance, nearest_real.distance)
    if inception is not None:
        with Progress("inception", section.inception_samples + len(train.labels), "img") as progress:
            metrics["inception"] = measure_conventional_distance(
                inception,
                network,
                train,
                section.inception_samples,
                numpy_stream(section.seed, "inception"),
                batch_size=section.batch_size,
                advance=progress.advance,
            )
    logging.info(
        "Frechet distance %.3g, %.2f times its floor; the judge agrees with %.1f %% of the generated labels "
        "and %.1f %% of the real ones",
        metrics["frechet_distance"],
        metrics["frechet_ratio"],
        100 * metrics["label_consistency"],
        100 * metrics["judge_accuracy_real"],
    )

    _draw(out / "figures", metrics, train, test, real, labels, generated[0], made.cpu().numpy(), nearest, names)
    write_json(out / "metrics.json", metrics)


def _draw(
    folder: Path,
    metrics: dict[str, Any],
    train: ImageSet,
    test: ImageSet,
    real: Judgement,
    labels: np.ndarray,
    generated: Judgement,
    pictures: np.ndarray,
    nearest: Nearest,
    names: list[str],
) -> None:
    """All figures; labels, generated, pictures, nearest: of one generated set."""
    real_examples, examples = choose_examples(test.labels, len(names)), choose_examples(labels, len(names))
    figure = draw_real_above_generated(test.images[real_examples], pictures[examples], len(names))
    table = pd.concat(
        [
            tabulate_examples("real", real_examples, test.labels, real.predicted, names),
            tabulate_examples("generated", examples, labels, generated.predicted, names),
        ]
    )
    save_figure(figure, folder / "fig2_real_above_generated.png", table)
    agreements = {
        source: metrics[f"{key}_per_class"] | {"all": {"value": metrics[key], **metrics[f"{key}_interval"]}}
        for source, key in (("real", "judge_accuracy_real"), ("generated", "label_consistency"))
    }
    figure, table = draw_shares(agreements, "class", "judge agrees with the label")
    save_figure(figure, folder / "label_consistency.png", table)
    if "severity_shares" in metrics:
        read = {
            source: {kind: share[source] for kind, share in metrics["severity_shares"].items()}
            for source in ("real", "generated")
        }
        figure, table = draw_shares(read, "severity", "share of images")
        save_figure(figure, folder / "severities.png", table)
    figure, table = draw_nearest(pictures, train.images, nearest)
    save_figure(figure, folder / "nearest_training_images.png", table)


def _check_counts(params: Path, section: QualifyGeneratorParams, counts: np.ndarray) -> None:
    """Every class must take part, and every image needs more than k others around it."""
    if counts.min() < 1:
        raise StageError(
            f"{params}: qualify_generator.samples: got {section.samples}, which with the real images at hand leaves "
            f"{counts.min()} of class {int(counts.argmin())}; raise it, or prepare more test images"
        )
    if counts.sum() <= section.neighbours:
        raise StageError(
            f"{params}: qualify_generator.neighbours: got {section.neighbours}; allowed: fewer than the "
            f"{counts.sum()} images that can be compared"
        )


def _refuse_stranger(section: QualifyGeneratorParams, metrics: dict[str, Any]) -> None:
    """StageError if generated images are nothing like the real ones: the generator knows others of the same names."""
    ratio, ceiling = metrics["frechet_ratio"], section.frechet_ratio_ceiling
    if ceiling is not None and ratio > ceiling:
        raise StageError(
            f"qualify_generator.frechet_ratio_ceiling: got {ceiling:g}, but generated images lie {ratio:.0f} times as "
            "far from the real test images as real training images do: the generator was made for other images, or "
            "learned too little; set train_stylegan2.resume: null and a number for total_kimg (or a larger one), and "
            "train_judges.released: null if the judges are not of these images either; null here: no ceiling"
        )


def _check_classes(path: Path, classes: int, names: list[str]) -> None:
    if classes != len(names):
        raise StageError(
            f"{path}: knows {classes} classes, the images have {len(names)}; use files made from the same data set"
        )


if __name__ == "__main__":
    run_stage(main, "qualify_generator")
