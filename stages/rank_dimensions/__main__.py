"""Rank the style dimensions: read, differentiate or difference, sum up, write."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.device import choose_device
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.drawing.style import save_figure
from failure_atlas.images.image_set import subtract_class_means
from failure_atlas.ranking import scores as scoring
from failure_atlas.ranking.histograms import Columns, choose_dimensions, tabulate_histograms
from failure_atlas.statistics.agreement import draw_halves
from failure_atlas.statistics.moments import measure_std
from failure_atlas.world.show import CLASSIFIER, World
from stages.common import command
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import StoredSamples, open_samples
from stages.common.artefacts.ranking import GLOBAL, tabulate_ranking
from stages.common.params import load_section
from stages.rank_dimensions import summary
from stages.rank_dimensions.figures import draw_scores, tabulate_scores, tell_score
from stages.rank_dimensions.params import RankDimensionsParams


def main(
    generator: command.GeneratorOption,
    classifier: command.ClassifierOption,
    population: command.PopulationOption,
    out: command.OutOption,
    params: command.ParamsOption = Path("params.yaml"),
) -> None:
    """Rank the style dimensions by the mean gradient of the true-class softmax, globally and per class (paper, 2.2).

    A classifier that gives no gradients is ranked by central differences on a part of the population.
    Leaves ranking.csv, classes.csv, histograms.csv (of figure 4), predictions.zarr (the classifier's outputs),
    metrics.json and a figure.
    """
    section = load_section(params, RankDimensionsParams, "rank_dimensions")
    device = choose_device()
    network, under_test = load_networks(generator, classifier, device)
    samples = open_samples(population, network)
    styles, true_class, names = samples.styles, samples.true_class, samples.class_names

    world = World(network.synthesize, {CLASSIFIER: under_test}, section.batch_size, device, len(names))
    std = measure_std(styles)
    how: dict[str, Any] = {}
    if scoring.choose_score(section.score, under_test, params, classifier) == scoring.GRADIENT:
        scores = _differentiate(section, world, samples)
    else:
        wanted = section.finite_difference_samples
        scoring.check_samples(params, "rank_dimensions.finite_difference_samples", wanted, len(names), len(styles))
        scores, how = _difference(section, world, samples, std)
    ranking = tabulate_ranking(scores.gradients, std, network.style_layout(), names, score_by=how.get("score"))
    predicted = scores.logits.argmax(axis=1)
    well = predicted == true_class
    leading = ranking[ranking["scope"] == GLOBAL]
    shown = choose_dimensions(leading, section.top_k, numpy_stream(section.seed, "random dimensions"))
    values: dict[str, Columns] = {
        "raw": styles.columns,
        "minus_class_mean": lambda chosen: subtract_class_means(styles.columns(chosen), true_class),
    }
    metrics = {
        "samples": len(styles),
        "style_dimensions": styles.shape[1],
        **how,
        **summary.summarize_outputs(scores.logits, true_class),
        **summary.summarize_agreement(scores.halves),
        **summary.summarize_mass(scores, names, partial(numpy_stream, section.seed)),
        **summary.summarize_separation(values, well, shown, styles.shape[1]),
    }
    logging.info(
        "accuracy on the population %.3f; effective n %.0f of %d samples; two halves share %.0f %% of their top 10 "
        "dimensions (%.0f to %.0f %% over %d halvings), Spearman %.3f",
        *(metrics["population_accuracy"]["value"], *(metrics["effective_n"][GLOBAL][key] for key in ("value", "n"))),
        100 * metrics["split_half_top10_overlap"],
        *(100 * metrics["split_half_top10_overlap_range"][key] for key in ("smallest", "largest")),
        *(metrics["split_half_top10_overlap_range"]["halvings"], metrics["split_half_spearman"]),
    )

    write_csv(out / "ranking.csv", ranking)
    write_csv(out / "classes.csv", summary.tabulate_classes(well, true_class, scores.halves, names))
    write_arrays(
        out / "predictions.zarr",
        {
            "logits": (scores.logits, ("sample", "class")),
            "predicted": (predicted.astype(np.int64), ("sample",)),
            "well": (well, ("sample",)),
        },
        {"class_names": names},
    )
    write_csv(out / "histograms.csv", tabulate_histograms(values, well, shown, section.histogram_bins))
    table = tabulate_scores(ranking)
    save_figure(draw_scores(table, tell_score(how)), out / "figures" / "scores.png", table)
    write_json(out / "metrics.json", metrics)


def _differentiate(section: RankDimensionsParams, world: World, samples: StoredSamples) -> scoring.PopulationScores:
    halves = draw_halves(samples.true_class, section.split_halves, numpy_stream(section.seed, "halves"))
    with Progress("gradients", len(samples.styles), "samples") as progress:
        return scoring.score_population(
            world, samples.styles, samples.true_class, halves, noise=samples.noise, advance=progress.advance
        )


def _difference(
    section: RankDimensionsParams, world: World, samples: StoredSamples, std: np.ndarray
) -> tuple[scoring.PopulationScores, dict[str, Any]]:
    """The scores and how they were made, for metrics; those without these keys are of gradients."""
    passes = scoring.count_passes(len(samples.styles), section.finite_difference_samples, std)
    with Progress("finite differences", passes, "img") as progress:
        scores = scoring.difference_population(
            world,
            samples.styles,
            samples.true_class,
            std,
            noise=samples.noise,
            samples=section.finite_difference_samples,
            step_std=section.finite_difference_step_std,
            split_halves=section.split_halves,
            draw=numpy_stream(section.seed, "finite differences"),
            halve=numpy_stream(section.seed, "halves"),
            advance=progress.advance,
        )
    return scores, {
        "score": scoring.FINITE_DIFFERENCE,
        "score_samples": len(scores.gradient_mass),
        "score_step_std": section.finite_difference_step_std,
        "score_forward_passes": passes,
        "classifier_gives_gradients": is_differentiable(world.networks[CLASSIFIER]),
    }


if __name__ == "__main__":
    command.run_stage(main, "rank_dimensions")
