"""Find true failures: read, draw starts, search, examine, write."""

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.judges.failures import AUDITOR
from failure_atlas.world.show import JUDGE
from stages.common import command
from stages.common.artefacts.ranking import read_ranking
from stages.common.params import load_section
from stages.find_failures import attempts
from stages.find_failures.examination import Examined, examine
from stages.find_failures.figures import write_figures, write_real
from stages.find_failures.inputs import SCORER, open_search
from stages.find_failures.params import FindFailuresParams
from stages.find_failures.summary import summarize, summarize_real, tabulate_methods, tabulate_starts, tell

KEPT = 3  # methods whose failures are stored: the search's, not the baselines'


def main(
    generator: command.GeneratorOption,
    classifier: command.ClassifierOption,
    judge: Annotated[Path, typer.Option(help="The judge, which steers the search.")],
    auditor: Annotated[Path, typer.Option(help="A second judge, which no search consults.")],
    images: Annotated[Path, typer.Option(help="The images store of corrupt_images, for its test images.")],
    population: command.PopulationOption,
    ranking: Annotated[Path, typer.Option(help="Result folder of rank_dimensions, for the walks in S beside it.")],
    inverted: command.InvertedOption,
    out: command.OutOption,
    scorer: Annotated[Path | None, typer.Option(help="A third judge, asked after the auditor.")] = None,
    params: command.ParamsOption = Path("params.yaml"),
) -> None:
    """From each start, walk in W to the nearest true failure inside the population; beside it sampling, chains, walks.

    A true failure: the classifier is wrong, and the judge sure of the class that was meant. The auditor is asked once,
    at the end. Leaves failures.csv and failures.zarr (latents, styles, noise and images), starts.csv, methods.csv,
    metrics.json and the figures failures, distance and real_images.
    """
    section = load_section(params, FindFailuresParams, "find_failures")
    ranked = read_ranking(ranking)
    judges = {JUDGE: judge, AUDITOR: auditor} | ({SCORER: scorer} if scorer else {})
    opened = open_search(generator, classifier, judges, images, population, inverted, section)
    starts = attempts.choose_starts(opened, section)
    walks, nearest = attempts.search(opened, starts, section)
    drawn, sampling = attempts.draw_independent(opened, section)
    tried = [nearest, attempts.chain(opened, drawn, sampling, section), sampling]
    tried += attempts.try_baselines(opened, starts, ranked, section)
    with Progress("judging", len(tried), "methods") as progress:
        examined: list[Examined] = []
        for attempt in tried:
            examined.append(examine(opened, attempt, section))
            progress.advance()
    names, table = opened.samples.class_names, tabulate_starts(opened, starts, walks)
    settings = {"confidence": section.confidence, "inside_share": section.inside_share}
    metrics = summarize(opened, table, drawn, examined, starts.tried, settings)
    logging.info(tell(metrics))
    kept = examined[:KEPT]
    if opened.inverted is not None:
        real, pictures = attempts.start_from_real(opened, opened.inverted, section.real_starts)
        walks, from_real = attempts.search(opened, real, section, attempts.FROM_REAL)
        kept.append(examine(opened, from_real, section))
        real_table = tabulate_starts(opened, real, walks)
        metrics |= summarize_real(opened, real_table, kept[-1])
        table = pd.concat([table, real_table], ignore_index=True)
        write_real(out / "figures", kept[-1], pictures)

    write_csv(out / "failures.csv", pd.concat([each.table for each in kept], ignore_index=True))
    write_csv(out / "starts.csv", table)
    write_csv(out / "methods.csv", tabulate_methods(metrics))
    arrays = {
        "w": (np.concatenate([each.attempt.w for each in kept]), ("failure", "latent_w")),
        "s": (np.concatenate([each.attempt.styles for each in kept]), ("failure", "style")),
        "noise": (np.concatenate([each.attempt.noise for each in kept]), ("failure",)),
        "labels": (np.concatenate([each.attempt.true_class for each in kept]), ("failure",)),
        "images": (np.concatenate([each.images for each in kept]), ("failure", "channel", "y", "x")),
    }
    write_arrays(out / "failures.zarr", arrays, {"class_names": names})
    write_figures(out / "figures", examined[0], table, names, 2 * float(opened.domain.radius.max()))
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    command.run_stage(main, "find_failures")
