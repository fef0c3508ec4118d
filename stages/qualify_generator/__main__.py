"""Qualify the generator: read, judge real and generated images, compare, draw, write."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import numpy as np
import pandas as pd
import torch
import typer

from failure_atlas.brought.generator import load_generator
from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import to_bytes, to_unit
from failure_atlas.judges.brought_member import BroughtMember
from failure_atlas.judges.ensemble import Ensemble, load_ensemble
from failure_atlas.populations.sampling import draw_styles
from failure_atlas.populations.unconditional import label_with
from failure_atlas.quality import extractors, grey
from failure_atlas.quality.comparison import compare_features
from failure_atlas.quality.copies import compare_nearness, find_nearest
from failure_atlas.quality.labels import compare_severities, measure_labels
from failure_atlas.quality.manifold import count_classes, draw_matched
from failure_atlas.quality.neutral import load_neutral
from failure_atlas.statistics.estimates import Estimate, proportion
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.world.show import Classify, World
from stages.common.artefacts.images import read_class_names, read_images, read_severities
from stages.common.command import GeneratorOption, OutOption, ParamsOption, run_stage
from stages.common.params import load_section
from stages.qualify_generator import figures
from stages.qualify_generator.params import QualifyGeneratorParams

JUDGE, FEATURES = "judge", "features"
UnseenOption = Annotated[
    list[Path] | None,
    typer.Option(help="An ensemble that no training, critic or choice of a generator has used; once for each."),
]


def main(
    generator: GeneratorOption,
    training_log: Annotated[Path, typer.Option(help="training_log.csv of train_stylegan2.")],
    judge: Annotated[Path, typer.Option(help="The judge, an ensemble of train_judges.")],
    images: Annotated[Path, typer.Option(help="Images store of corrupt_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
    unseen: UnseenOption = None,
) -> None:
    """Compare generated images with real corrupted ones by the judge's features and verdicts (paper 3.1).

    Leaves figure 2, a sheet of samples, the course of training, and metrics.json: Frechet distance and its floor,
    precision, recall, label consistency; and the same distances before eyes that had no part in the generator.
    """
    section, device = load_section(params, QualifyGeneratorParams, "qualify_generator"), choose_device()
    log = pd.read_csv(require(training_log, "train_stylegan2"))
    names = read_class_names(require(images, "corrupt_images"))
    train, test = read_images(images, "train"), read_images(images, "test")
    network, ensemble = _load_networks(generator, judge, names, device)
    counts = _count_classes(params, section, test.labels, train.labels, len(names))
    chosen = draw_matched(test.labels, counts, 1, numpy_stream(section.seed, "test subset"))[0]
    subsets = draw_matched(train.labels, counts, section.repeats, numpy_stream(section.seed, "train subsets"))
    # Every generated set has the labels of the test set, so that no difference comes from the shares of the classes.
    labels = test.labels[chosen]
    eyes = {extractors.NEUTRAL: load_neutral(device), **_load_unseen(unseen or [], names, test.images.shape[1], device)}
    networks: dict[str, Classify] = {JUDGE: partial(_examine, ensemble), FEATURES: ensemble.features, **eyes}
    world = World(network.synthesize, networks, section.batch_size, device)
    label = label_with(World(network.synthesize, {JUDGE: ensemble}, section.batch_size, device))
    draw = partial(draw_styles, network, batch_size=section.batch_size, label=label)
    drawn = [draw(labels, numpy_stream(section.seed, "latents", repeat)) for repeat in range(section.repeats)]
    with Progress("judging", len(test.labels) + len(labels) * (1 + len(subsets) + len(drawn)), "img") as progress:
        look, show = partial(world.look, advance=progress.advance), partial(world.show, advance=progress.advance)
        features, real = _split(look(test.images, [JUDGE]).logits[JUDGE], len(names))
        tested = look(test.images[chosen], list(eyes)).logits
        trained = [look(train.images[rows], asked).logits for rows, asked in _share_work(subsets, [FEATURES, *eyes], 1)]
        shared = _share_work(drawn, [JUDGE, *eyes], extractors.count_draws(len(labels), len(drawn)))
        judged = [show(each.styles, asked, noise=each.noise, keep_images=False).logits for each, asked in shared]
    seen = [each[FEATURES] for each in trained]
    made, predicted = zip(*(_split(each[JUDGE], len(names)) for each in judged), strict=True)
    with Progress("comparing", (len(made) + len(seen)) * len(eyes), "sets") as progress:
        both = labels, train.labels[subsets[0]]
        before = {name: extractors.Seen(_pick(name, judged), _pick(name, trained), tested[name], both) for name in eyes}
        before[JUDGE] = extractors.Seen(made, seen, features[chosen], both)
        metrics = _compare_before(before, section.neighbours, progress.advance)
    _refuse_stranger(section, metrics)
    metrics |= measure_labels(np.concatenate(predicted), np.tile(labels, section.repeats), real, test.labels, names)
    severities, rows = read_severities(images, "train"), np.concatenate(subsets)
    known, learned = read_severities(images, "test"), np.concatenate(seen)
    metrics |= compare_severities(learned, severities.rows(rows), features, known, np.concatenate(made))
    pictures = torch.cat([batch for _, batch in world.make_images(drawn[0].styles, drawn[0].noise)])
    with Progress("nearest training images", len(labels) + len(test.labels), "img") as progress:
        nearest = find_nearest(pictures, train.images, device, progress.advance)
        nearest_real = find_nearest(to_unit(test.images), train.images, device, progress.advance)
    metrics |= compare_nearness(nearest.distance, nearest_real.distance)
    # As many images of each class from every source.
    sources = {
        grey.GENERATED: grey.Looked(to_bytes(pictures).cpu().numpy(), made[0]),
        grey.TEST: grey.Looked(test.images[chosen], features[chosen]),
        grey.TRAINING: grey.Looked(train.images[subsets[0]], seen[0]),
    }
    clean = grey.read_clean(grey.Looked(train.images[rows], learned), severities.rows(rows).clean, sources)
    if clean:
        metrics["clean_reading_accuracy"] = proportion(clean[grey.TEST] == known.rows(chosen).clean)
    kinds, empty = grey.split_kinds(sources, clean), grey.find_empty(train.images[severities.clean])
    greys = {kind: {source: grey.share_greys(each) for source, each in of.items()} for kind, of in kinds.items()}
    noise = grey.compare_noise(kinds, empty, partial(numpy_stream, section.seed, "noise pairs"))
    _tell(metrics := metrics | grey.compare_kinds(greys) | noise)

    folder, shown = out / "figures", pictures.cpu().numpy()
    sides = (test.images, test.labels, real), (shown, labels, predicted[0])
    figures.draw_real_above_generated(folder / "fig2_real_above_generated.png", names, *sides)
    figures.draw_nearest(folder / "nearest_training_images.png", shown, train.images, nearest)
    _draw_shares(folder, metrics)
    figures.draw_extractors(folder / "extractors.png", metrics["kid_of_extractor"])
    figures.draw_greys(folder / "grey_values.png", greys)
    pages = draw(np.arange(len(names)).repeat(figures.SHEET_COLUMNS), numpy_stream(section.seed, "sample sheet"))
    sheet = world.show(pages.styles, [], noise=pages.noise).images
    figures.draw_sample_sheet(folder / "sample_sheet.png", sheet, names, log["kimg"].iloc[-1] if len(log) else None)
    figures.draw_training_log(folder / "training_log.png", log)
    write_json(out / "metrics.json", metrics)


def _examine(ensemble: Ensemble, images: torch.Tensor) -> torch.Tensor:
    """The judge's features beside its opinion, for the price of the second: [N, F + classes]."""
    return torch.cat(ensemble.examine(images), dim=1)


def _split(examined: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [N, F] and the class that is seen, int64 [N], of what `_examine` gave."""
    return examined[:, :-classes].astype(np.float32), examined[:, -classes:].argmax(axis=1)


def _load_unseen(paths: Sequence[Path], names: list[str], channels: int, device: torch.device) -> dict[str, Classify]:
    """The features of each ensemble by the name of its file; one that was made for other images is left out."""
    eyes: dict[str, Classify] = {}
    for path in paths:
        if path.stem in (extractors.NEUTRAL, JUDGE, FEATURES, *eyes):
            raise StageError(
                f"--unseen {path}: another extractor is called {path.stem}, too; give the file another name"
            )
        ensemble = load_ensemble(path, device)
        first = cast(Classifier | BroughtMember, ensemble.members[0])
        if ensemble.class_names != names or first.architecture["channels"] != channels:
            logging.warning("%s is left out: it was made for images of other classes or channels", path)
            continue
        eyes[path.stem] = ensemble.features
    return eyes


SetT = TypeVar("SetT")


def _share_work(sets: Sequence[SetT], networks: list[str], most: int) -> list[tuple[SetT, list[str]]]:
    """Each set with those that look at it: all, but the neutral eye, which is slow, only at the first `most` sets."""
    others = [name for name in networks if name != extractors.NEUTRAL]
    return [(each, networks if place < most else others) for place, each in enumerate(sets)]


def _compare_before(seen: dict[str, extractors.Seen], neighbours: int, advance: Callable[[], None]) -> dict[str, Any]:
    """The sets of images in the features of the judge, of the neutral eye, and of those that have not been seen."""
    of_judge, neutral, kernels = seen[JUDGE], seen[extractors.NEUTRAL], extractors.compare_kernels(seen)
    unseen = {name: each for name, each in seen.items() if name not in (extractors.NEUTRAL, JUDGE)}
    return {
        **compare_features(of_judge.generated, of_judge.train, of_judge.test, neighbours, advance),
        **extractors.compare_neutral(neutral, kernels[extractors.NEUTRAL]),
        **extractors.compare_unseen(unseen, neighbours, len(neutral.test), advance),
        "kid_of_extractor": kernels,
    }


def _pick(name: str, looked: Sequence[Mapping[str, np.ndarray]]) -> list[np.ndarray]:
    """What an extractor saw of each set that it looked at."""
    return [each[name] for each in looked if name in each]


def _draw_shares(folder: Path, metrics: dict[str, Any]) -> None:
    agreements = {
        source: metrics[f"{key}_per_class"] | {"all": {"value": metrics[key], **metrics[f"{key}_interval"]}}
        for source, key in (("real", "judge_accuracy_real"), ("generated", "label_consistency"))
    }
    figures.draw_shares(folder / "label_consistency.png", agreements, "class", "judge agrees with the label")
    if kinds := metrics.get("severity_shares"):
        read = {source: {kind: share[source] for kind, share in kinds.items()} for source in ("real", "generated")}
        figures.draw_shares(folder / "severities.png", read, "severity", "share of images")


def _count_classes(
    params: Path, section: QualifyGeneratorParams, test: np.ndarray, train: np.ndarray, classes: int
) -> np.ndarray:
    """Images of each class: every class must take part, and every image needs more than k others around it."""
    counts = count_classes(test, train, section.samples, classes)
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
    return counts


def _tell(metrics: dict[str, Any]) -> None:
    for key in ("neutral_kid", "frechet_ratio", "label_consistency", "judge_accuracy_real"):
        logging.info("%s %s", key, Estimate(metrics[key], **metrics[f"{key}_interval"]).tell())


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


def _load_networks(generator: Path, judge: Path, names: list[str], device: torch.device) -> tuple[Generator, Ensemble]:
    network, ensemble = load_generator(generator, device), load_ensemble(judge, device)
    _check_classes(generator, network.num_classes, names)
    _check_classes(judge, len(ensemble.class_names), names)
    return network, ensemble


def _check_classes(path: Path, classes: int, names: list[str]) -> None:
    if classes != len(names):
        raise StageError(
            f"{path}: knows {classes} classes, the images have {len(names)}; use files made from the same data set"
        )


if __name__ == "__main__":
    run_stage(main, "qualify_generator")
