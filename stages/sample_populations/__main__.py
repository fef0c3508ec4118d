"""Command line of the stage sample_populations."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer

from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.drawing.style import save_figure
from failure_atlas.images.image_set import subtract_class_means
from failure_atlas.judges.ensemble import load_judge
from failure_atlas.populations import spaces as probes
from failure_atlas.populations.effects import PROBED_SAMPLES, measure_effects, summarize_effects
from failure_atlas.populations.sampling import Population, sample_in_parts
from failure_atlas.populations.unconditional import JudgedClasses
from failure_atlas.statistics.estimates import proportion
from failure_atlas.statistics.moments import ClassMoments
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.stylegan2.noise import CONSTANT, draw_seeds
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from stages.common.artefacts.images import read_class_names
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import store_population, tabulate_styles
from stages.common.command import ClassifierOption, GeneratorOption, OutOption, ParamsOption, run_stage
from stages.common.params import load_section
from stages.sample_populations.figures import draw_spaces
from stages.sample_populations.params import SamplePopulationsParams


def main(
    generator: GeneratorOption,
    classifier: ClassifierOption,
    images: Annotated[Path, typer.Option(help="An images store of the same data set, for the names of its classes.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
    judge: Annotated[Path | None, typer.Option(help="Who says of what class a sample of no known class is.")] = None,
) -> None:
    """Sample a class-balanced population as z, w, s, image and label (paper 2.1.2).

    Of a generator that knows no classes, the label is the class that the judge sees in the image, and the classes are
    as frequent as they come.

    The classifier says well or mis in figure 3. Leaves population.zarr, style_dimensions.csv, figure 3 and, in
    metrics.json, what probes make of each space.
    """
    section = load_section(params, SamplePopulationsParams, "sample_populations")
    device = choose_device()
    network, under_test = load_networks(
        require(generator, "train_stylegan2"), require(classifier, "train_classifiers"), device, channels_last=False
    )
    names = read_class_names(require(images, "corrupt_images"))
    shown = _check_sizes(section, network.num_classes, names, images, params)

    world = World(network.synthesize, {CLASSIFIER: under_test}, section.batch_size, device)
    judged: JudgedClasses | None = None
    kept: dict[str, list[np.ndarray]] = {
        name: [] for name in ("z", "w", "s", "noise", "labels")
    }  # of the first samples
    spread, constant = ClassMoments(1, network.style_dimensions), section.noise == "constant"
    draws = 1 if constant else section.mean_noise_draws
    mean_noise = draw_seeds((draws, len(names)), numpy_stream(section.seed, "sample_populations", "noise of means"))
    mean_noise = np.full_like(mean_noise, CONSTANT) if constant else mean_noise
    with Progress("sampling", section.samples, "img") as progress:
        parts = sample_in_parts(
            network, section.seed, section.samples,
            batch_size=world.batch_size, constant_noise=constant, advance=progress.advance,
        )  # fmt: skip
        if not network.conditional:
            judged = open_judged(judge, names, network, section.batch_size, device)
            parts = _judge_classes(parts, judged, names, shown, section.probe_folds)
        for part in store_population(out / "population.zarr", parts, section.samples, names, mean_noise):
            spread.add(part.s, np.zeros(len(part.s), np.int64))
            missing = max(shown, PROBED_SAMPLES) - sum(map(len, kept["labels"]))
            for name, rows in kept.items():
                rows.append(getattr(part, name)[: max(missing, 0)].copy())
    first = {name: np.concatenate(rows) for name, rows in kept.items()}
    labels = first["labels"][:shown]
    spaces = {name: first[name][:shown] for name in ("z", "w", "s")}
    predicted = world.show(spaces["s"], noise=first["noise"][:shown], keep_images=False).predicted()
    planes = probes.embed_spaces(spaces, perplexity=section.perplexity, seed=section.seed)
    figure, table = draw_spaces(planes, labels, predicted == labels, names)

    with Progress("moving each style dimension", PROBED_SAMPLES * network.style_dimensions, "img") as progress:
        effects = measure_effects(
            network, first["s"][:PROBED_SAMPLES], spread.std(),
            noise=first["noise"][:PROBED_SAMPLES], batch_size=world.batch_size, advance=progress.advance,
        )  # fmt: skip
    styles = pd.concat([tabulate_styles(network.style_layout()), effects], axis=1)

    metrics = {
        "samples": section.samples,
        "classes": network.num_classes,
        "style_dimensions": network.style_dimensions,
        "dead_dimensions": int(styles["dead"].sum()),
        "layers": summarize_effects(styles),
        "probe_samples": shown,
        "accuracy": proportion(predicted == labels),
        **({} if judged is None else {"classes_from_judge": judged.tell(names)}),
        **_separate(spaces, labels, predicted == labels, section),
    }

    write_csv(out / "style_dimensions.csv", styles)
    save_figure(figure, out / "figures" / "fig3_spaces.png", table)
    write_json(out / "metrics.json", metrics)


def _check_sizes(section: SamplePopulationsParams, classes: int, names: list[str], images: Path, params: Path) -> int:
    """How many samples are shown in figure 3; StageError if they are too few, or the images are of other classes."""
    if len(names) != classes:
        raise StageError(
            f"{images}: has {len(names)} classes, the generator makes {classes}; use the images that it learned from"
        )
    shown = min(section.tsne_samples, section.samples)
    needed = section.probe_folds * classes
    if shown < needed:
        raise StageError(
            f"{params}: sample_populations: got {section.samples} samples and {section.tsne_samples} tsne_samples; "
            f"allowed: at least {needed} of each, one sample of every class in every probe fold"
        )
    return shown


def open_judged(
    judge: Path | None, names: list[str], network: Generator, batch_size: int, device: torch.device
) -> JudgedClasses:
    """The judge as the one who says what class a sample is of."""
    if judge is None:
        raise StageError("--judge: missing, and the generator knows no classes; name the judge of train_judges")
    ensemble = load_judge(require(judge, "train_judges"), names, device)
    world = World(network.synthesize, {JUDGE: ensemble}, batch_size, device, len(names))
    return JudgedClasses(world, ensemble.confidence, [], [])


def _judge_classes(
    parts: Iterator[Population], judged: JudgedClasses, names: list[str], shown: int, folds: int
) -> Iterator[Population]:
    """The parts with the classes that the judge sees; StageError, before anything is written, if one is too rare."""
    yield from map(judged.judge, parts)
    counts = np.bincount(np.concatenate(judged.seen)[:shown], minlength=len(names))
    if counts.min() < folds:
        raise StageError(
            f"sample_populations: the judge sees {counts.min()} of {counts.sum()} samples as {names[counts.argmin()]}; "
            f"needed: one in each of {folds} probe_folds; raise samples and tsne_samples, or bring a generator that "
            "makes all classes"
        )


def _separate(
    spaces: dict[str, np.ndarray], labels: np.ndarray, well: np.ndarray, section: SamplePopulationsParams
) -> dict[str, Any]:
    """Class and outcome separation of each space, the latter also with the class means subtracted."""
    options = {"folds": section.probe_folds, "seed": section.seed}
    scores = {name: probes.score_outcomes(space, well, **options) for name, space in spaces.items()}
    centred = {name: subtract_class_means(space, labels) for name, space in spaces.items()}
    return {
        "class_separation": {
            name: probes.measure_class_separation(space, labels, **options) for name, space in spaces.items()
        },
        "outcome_separation": {name: probes.roc_auc(each, well) for name, each in scores.items()},
        "outcome_separation_difference": {
            f"{better}_minus_{worse}": probes.compare_roc_auc(scores[better], scores[worse], well)
            for better, worse in ("sw", "wz")
        },
        "outcome_separation_within_class": {
            name: probes.roc_auc(probes.score_outcomes(space, well, **options), well) for name, space in centred.items()
        },
    }


if __name__ == "__main__":
    run_stage(main, "sample_populations")
