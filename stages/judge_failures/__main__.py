"""Judge the claimed failures: read, examine, sum up, write."""

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from failure_atlas.core.arrays import read_array
from failure_atlas.core.device import choose_device
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.drawing.style import save_figure
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import read_samples
from stages.common.command import (
    ClassifierOption,
    GeneratorOption,
    OutOption,
    ParamsOption,
    PopulationOption,
    run_stage,
)
from stages.common.params import load_section
from stages.judge_failures.claims import CORNER_CASE, POPULATION, REAL, claim_population
from stages.judge_failures.examination import Examiner
from stages.judge_failures.figures import BLOCK_COLUMNS, draw_contact_sheet, draw_review_sheet, draw_verdicts
from stages.judge_failures.inputs import (
    load_critic,
    load_judges,
    read_corner_cases,
    read_outcomes,
    read_style_use,
    read_test_images,
    read_true_failures,
    read_walk_table,
)
from stages.judge_failures.params import JudgeFailuresParams
from stages.judge_failures.realism import measure_deviation, score_realism
from stages.judge_failures.remoteness import Yardstick
from stages.judge_failures.sheet import REVIEW_ID, choose_shown, number_reviews, tabulate_contact_sheet, tabulate_review
from stages.judge_failures.style_distance import fit_spread, measure_mahalanobis
from stages.judge_failures.summary import summarize_failures, summarize_real, tell_failures
from stages.judge_failures.table import ALL, tabulate_directions, tabulate_verdicts


def main(
    generator: GeneratorOption,
    classifier: ClassifierOption,
    judge: Annotated[Path, typer.Option(help="The ensemble that gives the verdicts.")],
    auditor: Annotated[Path, typer.Option(help="A second ensemble, which no search has consulted.")],
    snapshot: Annotated[Path, typer.Option(help="The generator's training snapshot, for its discriminator.")],
    images: Annotated[Path, typer.Option(help="The images store of corrupt_images, for its test images.")],
    population: PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for this classifier.")],
    corner_cases: Annotated[Path, typer.Option(help="Result folder of walk_corner_cases for this classifier.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Give each claimed failure a verdict: true failure, label changed, unreadable, or still right (no failure yet).

    Claimed failures are the misclassified population samples and the corner cases. Leaves failures.csv,
    true_failures.csv, directions.csv, metrics.json, figures, and review.csv, a form for people who check the judge
    (see python -m stages.judge_failures.agreement --help).
    """
    section = load_section(params, JudgeFailuresParams, "judge_failures")
    device, batch_size = choose_device(), section.batch_size
    network, under_test = load_networks(generator, classifier, device)
    samples = read_samples(population, network)
    styles, true_class, names = samples.styles, samples.true_class, samples.class_names
    first_judge, second_judge = load_judges(judge, auditor, names, device)
    critic = load_critic(snapshot, network, device)
    outcomes = read_outcomes(ranking, len(styles), names)
    useful = read_style_use(population, styles.shape[1])
    real = read_test_images(images, names)
    walks = read_walk_table(corner_cases)
    crossings = read_corner_cases(corner_cases, walks, styles.shape[1], names)
    found = read_true_failures(corner_cases, walks, styles.shape[1], names)
    pictures = read_array(population / "population.zarr", "images")
    misses = claim_population(styles, pictures, true_class, outcomes.predicted)

    deviation = measure_deviation(critic, pictures, batch_size=batch_size)
    with Progress("realism of the population", len(styles), "img") as progress:
        realism = score_realism(
            critic, pictures, true_class, deviation, batch_size=batch_size, advance=progress.advance
        )
    spread = fit_spread(styles, true_class, len(names), useful)
    examiner = Examiner(
        synthesize=network.synthesize,
        classifier=under_test,
        judge=first_judge,
        auditor=second_judge,
        critic=critic,
        deviation=deviation,
        yardstick=Yardstick(spread, true_class, measure_mahalanobis(spread, styles, true_class), realism),
        class_names=names,
        confidence=first_judge.confidence,
        far_out_percentile=section.far_out_percentile,
        batch_size=batch_size,
        device=device,
    )
    with Progress("judging", len(misses) + len(crossings) + len(found), "img") as progress:
        by_source = {
            POPULATION: examiner.examine(misses, outcomes.softmax[misses.index], progress.advance),
            CORNER_CASE: examiner.examine(crossings, advance=progress.advance),
        }
        true_failures = examiner.examine(found, advance=progress.advance)
    real_failures, wrong = examiner.examine_real(real)
    failures = pd.concat(by_source.values(), ignore_index=True)
    shown = choose_shown(failures, section.contact_sheet_samples, numpy_stream(section.seed, "contact sheet"))
    failures[REVIEW_ID] = number_reviews(len(failures), shown, numpy_stream(section.seed, "review sheet"))
    review = tabulate_review(failures)
    verdicts = tabulate_verdicts({ALL: failures, **by_source, REAL: real_failures}, names)
    metrics = {
        **summarize_failures(failures, true_failures, names, first_judge.confidence),
        **summarize_real(real_failures, wrong),
        "confidence": first_judge.confidence,
        "far_out_percentile": section.far_out_percentile,
        "covariance_shrinkage": spread.shrinkage,
        "style_dimensions_used": int(spread.used.sum()),
    }
    logging.info(tell_failures(metrics))

    write_csv(out / "failures.csv", failures)
    write_csv(out / "true_failures.csv", true_failures)
    write_csv(out / "directions.csv", tabulate_directions(walks, failures))
    write_csv(out / "review.csv", review)
    save_figure(draw_verdicts(verdicts), out / "figures" / "verdicts.png", verdicts)
    claimed_images = np.concatenate([misses.images, crossings.images])
    blocks = [claimed_images[rows] for rows in shown.values()]
    contact = tabulate_contact_sheet(failures, shown, BLOCK_COLUMNS)
    save_figure(draw_contact_sheet(blocks, contact), out / "figures" / "contact_sheet.png", contact)
    order = failures[REVIEW_ID].to_numpy().argsort(kind="stable")[len(failures) - len(review) :]
    sheet = draw_review_sheet(claimed_images[order], review["id"].tolist())
    save_figure(sheet, out / "figures" / "review_sheet.png", review)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, "judge_failures")
