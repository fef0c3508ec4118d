"""Compare what people say about claimed failures with what the judge says, and with one another."""

from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from failure_atlas.core.files import write_json
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.drawing.style import save_figure
from failure_atlas.judges.verdicts import READINGS, measure_kappa
from failure_atlas.statistics.estimates import proportion
from failure_atlas.world.show import JUDGE
from stages.common.command import OutOption, run_stage
from stages.judge_failures.figures import draw_confusions
from stages.judge_failures.sheet import read_reviews, read_shown

Confusion = tuple[str, str, pd.DataFrame]


def main(
    reviews: Annotated[list[Path], typer.Argument(metavar="REVIEW.csv...", help="Filled-in copies of review.csv.")],
    failures: Annotated[Path, typer.Option(help="The failures.csv that the review was drawn from.")],
    out: OutOption,
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
    class), or unreadable. Leaves agreement.json and agreement.png with its numbers in agreement.csv. The images
    are drawn evenly over verdicts and sources, so the figures speak of these images, not of all claimed failures.
    """
    shown = read_shown(failures)
    read = read_reviews(reviews, shown)
    judged = shown["reading"]
    confusions: list[Confusion] = []
    with_judge, with_each_other = {}, {}
    for review in read:
        entry, confusion = _compare(review.readings, judged, (review.reviewer, JUDGE), seed)
        shares = _check_judge(review.readings, judged)
        with_judge[review.reviewer] = entry | shares | {"rows": review.rows, "blank": review.blank}
        confusions.append(confusion)
    for one, other in combinations(read, 2):
        names = (one.reviewer, other.reviewer)
        with_each_other[" and ".join(names)], confusion = _compare(one.readings, other.readings, names, seed)
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


if __name__ == "__main__":
    run_stage(main, "judge_failures.agreement")
