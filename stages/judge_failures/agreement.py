"""Compare what people say about claimed failures with what the judge says, and with one another."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from failure_atlas.core.files import write_json
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.drawing.style import save_figure
from failure_atlas.judges.verdicts import READINGS
from failure_atlas.statistics.estimates import proportion
from stages.common.command import OutOption, run_stage
from stages.judge_failures.figures import draw_confusions
from stages.judge_failures.kappa import measure_kappa
from stages.judge_failures.reviews import Review, read_reviews, read_shown

JUDGE = "judge"
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
        with_judge[review.reviewer] = (
            entry | _check_judge(review, judged) | {"rows": review.rows, "blank": review.blank}
        )
        confusions.append(confusion)
    for one, other in combinations(read, 2):
        names = (one.reviewer, other.reviewer)
        with_each_other[" and ".join(names)], confusion = _compare(one.readings, other.readings, names, seed)
        confusions.append(confusion)

    save_figure(draw_confusions(confusions), out / "agreement.png", _tabulate(confusions))
    write_json(out / "agreement.json", {"with_judge": with_judge, "between_reviewers": with_each_other})


def _compare(
    first: "pd.Series[str]", second: "pd.Series[str]", names: tuple[str, str], seed: int
) -> tuple[dict[str, Any], Confusion]:
    """Kappa, plain agreement and counts over the images of which both say something."""
    both = first.index.intersection(second.index)
    one, other = first[both].to_numpy(str), second[both].to_numpy(str)
    counts = pd.DataFrame(
        [[int(np.sum((one == row) & (other == column))) for column in READINGS] for row in READINGS],
        index=list(READINGS),
        columns=list(READINGS),
    )
    kappa = measure_kappa(one, other, numpy_stream(seed, "agreement", *names))
    return {"kappa": kappa, "agreement": proportion(one == other)}, (*names, counts)


def _check_judge(review: Review, judged: "pd.Series[str]") -> dict[str, Any]:
    """Of the images with each reading of the judge, the share that the reviewer reads alike."""
    own = judged[review.readings.index]
    agrees = (own == review.readings).to_numpy(bool)
    return {
        f"judge_right_on_{reading.replace(' ', '_')}": proportion(agrees[(own == reading).to_numpy(bool)])
        for reading in READINGS
    }


def _tabulate(confusions: Sequence[Confusion]) -> pd.DataFrame:
    """One row per pair of raters and pair of readings."""
    return pd.DataFrame(
        [
            {
                "first": first,
                "second": second,
                "first_reading": row,
                "second_reading": column,
                "n": counts.loc[row, column],
            }
            for first, second, counts in confusions
            for row in READINGS
            for column in READINGS
        ]
    )


if __name__ == "__main__":
    run_stage(main, "judge_failures.agreement")
