"""Compare what people say about failures with what the judge says, and with one another: own reviews, or a survey."""

import logging
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import hash_file, write_json
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.drawing.style import save_figure
from failure_atlas.judges import ensemble
from failure_atlas.judges.verdicts import LABEL_KEPT, READINGS, measure_kappa
from failure_atlas.statistics.estimates import proportion, read_estimate
from failure_atlas.world.show import JUDGE
from stages.common.command import OutOption, run_stage
from stages.judge_failures.examination import READABLE
from stages.judge_failures.figures import draw_confusions
from stages.judge_failures.sheet import read_reviews, read_shown
from stages.judge_failures.survey import compare_people, read_survey

Confusion = tuple[str, str, pd.DataFrame]


def main(
    reviews: Annotated[
        list[Path] | None, typer.Argument(metavar="[REVIEW.csv...]", help="Filled-in copies of review.csv.")
    ] = None,
    *,
    out: OutOption,
    failures: Annotated[Path | None, typer.Option(help="The failures.csv that the review was drawn from.")] = None,
    not_people: Annotated[list[str] | None, typer.Option(help="Name of a reviewer who is no person.")] = None,
    survey: Annotated[Path | None, typer.Option(help="Instead of reviews: the table of a published survey.")] = None,
    images: Annotated[Path | None, typer.Option(help="The .npz file with the images of the survey.")] = None,
    judge: Annotated[
        Path, typer.Option(help="Who sees the survey's images.", show_default="the released judge")
    ] = ensemble.JUDGE,
    confidence: Annotated[float | None, typer.Option(help="In place of the judge's own, for the survey.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap behind the intervals.")] = 1,
) -> None:
    """Agreement of human reviewers with the judge: Cohen's kappa, and a table of who said what.

    1. Copy review.csv out of the results of judge_failures (the next run replaces it) and name the copy after the
    reviewer, for example anna.csv.

    2. Look at figures/review_sheet.png alone, not at the contact sheet or failures.csv, which tell what was meant and
    what the judge says. For each id write into reviewer_class the class that the image shows, or the word unreadable.
    Rows left blank are counted and left out.

    3. Run: python -m stages.judge_failures.agreement anna.csv ben.csv
    --failures data/judge_failures/clean/failures.csv --out reviews/clean

    What is compared is what each reads in the image: label kept (the class that was meant), label changed (another
    class), or unreadable; and how often people read what was meant where the model of people says that they do. Leaves
    agreement.json and agreement.png with its numbers in agreement.csv. The images are drawn evenly over verdicts and
    sources, so the figures speak of these images, not of all claimed failures. A form that was filled in by anything
    but a person is named with --not-people, and so labelled.

    Or, for a published survey in the form of Riccio and Tonella (2023), which a reader has to bring:
    python -m stages.judge_failures.agreement --survey mnist_survey.csv --images mnist_images.npz --out reviews/survey.
    Leaves survey.json: precision and recall of the verdict true failure, and how far the people agree.
    """
    if survey is not None and images is not None and not reviews:
        _compare_survey(survey, images, judge, confidence, out, seed)
    elif reviews and failures is not None and survey is None:
        _compare_reviews(reviews, failures, not_people or [], out, seed)
    else:
        raise StageError("give either filled-in reviews and --failures, or --survey and --images")


def _compare_survey(survey: Path, images: Path, judge: Path, confidence: float | None, out: Path, seed: int) -> None:
    asked = ensemble.load_ensemble(judge, torch.device("cpu"))
    confidence = asked.confidence if confidence is None else confidence
    if not 0.5 <= confidence < 1:
        raise StageError(f"--confidence: got {confidence:g}; allowed: at least 0.5 and less than 1")
    people = read_survey(survey, images, asked.class_names)
    found = compare_people(people, asked, confidence, numpy_stream(seed, "survey"))
    for key in ("precision", "recall", "judge_agrees_where_sure", "people_agreement", "people_kappa"):
        logging.info("%s: %s", key.replace("_", " "), read_estimate(found[key]).tell())
    write_json(out / "survey.json", {"judge_sha256": hash_file(judge), **found})


def _compare_reviews(reviews: list[Path], failures: Path, not_people: list[str], out: Path, seed: int) -> None:
    shown = read_shown(failures)
    read = read_reviews(reviews, shown)
    names = [review.reviewer for review in read]
    for name in not_people:
        if name not in names:
            raise StageError(f"--not-people: got '{name}'; allowed: {', '.join(names)}")
    labels = {name: f"{name} (no person)" if name in not_people else name for name in names}
    read = [replace(review, reviewer=labels[review.reviewer]) for review in read]
    judged = shown["reading"]
    confusions: list[Confusion] = []
    with_judge, with_each_other = {}, {}
    for review in read:
        entry, confusion = _compare(review.readings, judged, (review.reviewer, JUDGE), seed)
        shares = _check_judge(review.readings, judged) | _check_readable(review.readings, shown[READABLE])
        with_judge[review.reviewer] = entry | shares | {"rows": review.rows, "blank": review.blank}
        confusions.append(confusion)
    for one, other in combinations(read, 2):
        pair = (one.reviewer, other.reviewer)
        with_each_other[" and ".join(pair)], confusion = _compare(one.readings, other.readings, pair, seed)
        confusions.append(confusion)
    pairs = pd.MultiIndex.from_product([READINGS, READINGS], names=["first_reading", "second_reading"])
    tables = [
        pairs.to_frame(index=False).assign(first=first, second=second, n=counts.to_numpy().ravel())
        for first, second, counts in confusions
    ]
    table = pd.concat(tables, ignore_index=True)[["first", "second", "first_reading", "second_reading", "n"]]
    save_figure(draw_confusions(confusions), out / "agreement.png", table)
    write_json(out / "agreement.json", {"with_judge": with_judge, "between_reviewers": with_each_other})


def _compare(
    first: pd.Series, second: pd.Series, names: tuple[str, str], seed: int
) -> tuple[dict[str, Any], Confusion]:
    """Kappa, plain agreement and counts over the images of which both say something."""
    both = first.index.intersection(second.index)
    one, other = first[both].to_numpy(str), second[both].to_numpy(str)
    every = pd.crosstab(one, other).reindex(index=READINGS, columns=READINGS, fill_value=0)
    kappa = measure_kappa(one, other, numpy_stream(seed, "agreement", *names))
    return {"kappa": kappa, "agreement": proportion(one == other)}, (*names, every)


def _check_judge(readings: pd.Series, judged: pd.Series) -> dict[str, Any]:
    """Of the images with each reading of the judge, the share that a reviewer reads alike."""
    own = judged[readings.index]
    right = {reading: (own == readings)[own == reading] for reading in READINGS}
    return {f"judge_right_on_{name.replace(' ', '_')}": proportion(each.to_numpy()) for name, each in right.items()}


def _check_readable(readings: pd.Series, readable: pd.Series) -> dict[str, Any]:
    """How often a reviewer reads what was meant, where the model of people says that people do, and where not."""
    kept, own = (readings == LABEL_KEPT).to_numpy(), (readable[readings.index] == "True").to_numpy()
    return {"read_as_meant_where_readable": proportion(kept[own]), "read_as_meant_elsewhere": proportion(kept[~own])}


if __name__ == "__main__":
    run_stage(main, "judge_failures.agreement")
