"""Judge the claimed failures: read, examine, sum up, write."""

import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from failure_atlas.core.arrays import read_array
from failure_atlas.core.device import choose_device
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.judges.failures import ALL, AUDITOR, tabulate_verdicts
from failure_atlas.judges.remoteness import Yardstick, fit_surroundings, represent
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from stages.common import command
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import read_samples
from stages.common.artefacts.predictions import read_logits
from stages.common.params import load_section
from stages.judge_failures import inputs, summary
from stages.judge_failures.examination import Examiner
from stages.judge_failures.figures import save_figures
from stages.judge_failures.params import JudgeFailuresParams
from stages.judge_failures.sheet import REVIEW_ID, choose_shown, number_reviews, tabulate_review


def main(
    generator: command.GeneratorOption,
    classifier: command.ClassifierOption,
    judge: Annotated[Path, typer.Option(help="The judge, which gives the verdicts.")],
    auditor: Annotated[Path, typer.Option(help="A second judge, which no search has consulted.")],
    snapshot: Annotated[Path, typer.Option(help="The generator's training snapshot, for its discriminator.")],
    images: Annotated[Path, typer.Option(help="The images store of corrupt_images, for its test images.")],
    population: command.PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions for this classifier.")],
    corner_cases: Annotated[Path, typer.Option(help="Result folder of walk_corner_cases for this classifier.")],
    out: command.OutOption,
    params: command.ParamsOption = Path("params.yaml"),
) -> None:
    """Give each claimed failure a verdict: true failure, label changed, unreadable, or still right (no failure yet).

    Claimed failures are the misclassified population samples and the corner cases. Leaves failures.csv,
    true_failures.csv, directions.csv, metrics.json, figures, and review.csv, a form for people who check the judge
    (see python -m stages.judge_failures.agreement --help).
    """
    section = load_section(params, JudgeFailuresParams, "judge_failures")
    device, size = choose_device(), section.batch_size
    painter, network = load_networks(generator, classifier, device)
    samples = read_samples(population, painter)
    styles, true_class, names = samples.styles, samples.true_class, samples.class_names
    judges = inputs.load_judges(judge, auditor, names, device)
    critic = inputs.load_critic(snapshot, painter, device)
    logits = read_logits(ranking, len(styles), len(names))
    real = inputs.read_test_images(images, names)
    walks, crossings, found = inputs.read_walks(corner_cases, styles.shape[1], names)
    pictures = read_array(population / "population.zarr", "images")
    misses = inputs.claim_population(samples, pictures, logits.argmax(axis=1))

    networks = dict(zip((CLASSIFIER, JUDGE, AUDITOR), (network, *judges), strict=True))
    deviation, realism = inputs.measure_realism(critic, pictures, true_class, size)
    surroundings = fit_surroundings(represent(judges[1], real.images, batch_size=size))
    yardstick = Yardstick(surroundings, true_class, realism, section.far_out_percentile)
    confidence = judges[0].confidence
    world = World(painter.synthesize, networks, size, device, len(names))
    draws = section.noise_draws
    examiner = Examiner(world, judges[1], critic, deviation, yardstick, names, confidence, section.seed, draws)
    with Progress("judging", (1 + draws) * (len(misses) + len(crossings) + len(found)), "img") as progress:
        by_source = {
            inputs.POPULATION: examiner.examine(misses, logits[misses.index], progress.advance),
            inputs.CORNER_CASE: examiner.examine(crossings, advance=progress.advance),
        }
        true_failures = examiner.examine(found, advance=progress.advance)
    real_failures, wrong = examiner.examine_real(real)
    failures = pd.concat(by_source.values(), ignore_index=True)
    shown = choose_shown(failures, section.contact_sheet_samples, numpy_stream(section.seed, "contact sheet"))
    failures[REVIEW_ID] = number_reviews(len(failures), shown, numpy_stream(section.seed, "review sheet"))
    verdicts = tabulate_verdicts({ALL: failures, **by_source, inputs.REAL: real_failures}, names)
    metrics = summary.summarize_failures(
        failures, true_failures, names, summary.read_record(real_failures), section.seed
    )
    metrics |= summary.summarize_real(real_failures, wrong, yardstick.find_far(surroundings.own))
    metrics |= {} if critic else {"realism_measured": False}
    metrics |= {"confidence": confidence, "far_out_percentile": section.far_out_percentile}
    logging.info(summary.tell_failures(metrics))

    write_csv(out / "failures.csv", failures)
    write_csv(out / "true_failures.csv", true_failures)
    write_csv(out / "directions.csv", summary.tabulate_directions(walks, failures))
    write_csv(out / "review.csv", review := tabulate_review(failures))
    save_figures(out / "figures", verdicts, failures, [misses.images, crossings.images], shown, review)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    command.run_stage(main, "judge_failures")
