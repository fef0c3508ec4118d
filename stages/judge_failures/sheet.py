"""Which failures people are shown, and the blank form on which a reviewer says what he sees."""

import numpy as np
import pandas as pd

from stages.train_judges.verdicts import VERDICTS

REVIEW_COLUMNS = 10
REVIEW_ID, VERDICT_FIELD, CLASS_FIELD = "review_id", "reviewer_verdict", "reviewer_class"


def draw_balanced(source: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Up to `count` rows at random, as equal in number from each source as there are; rising indices.

    source: [M].  A source with too few rows gives all it has, and the others make up for it.
    """
    place = np.empty(len(source), np.int64)
    for name in np.unique(source):
        own = np.flatnonzero(source == name)
        place[own] = random.permutation(len(own))
    # First those drawn first from each source, then those drawn second, ...
    order = np.lexsort((source, place))
    return np.sort(order[:count])


def choose_shown(failures: pd.DataFrame, count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Rows of the table to show for each verdict, up to `count` each."""
    chosen = {}
    for verdict in VERDICTS:
        rows = np.flatnonzero(failures["verdict"] == verdict)
        chosen[verdict] = rows[draw_balanced(failures["source"].to_numpy(str)[rows], count, random)]
    return chosen


def number_reviews(rows: int, shown: dict[str, np.ndarray], random: np.random.Generator) -> np.ndarray:
    """A number from 1 for each row that is shown, in an order that tells nothing of the verdict; 0 for the others."""
    chosen = np.concatenate(list(shown.values()))
    numbers = np.zeros(rows, np.int64)
    numbers[chosen] = 1 + random.permutation(len(chosen))
    return numbers


def tabulate_contact_sheet(failures: pd.DataFrame, shown: dict[str, np.ndarray], columns: int) -> pd.DataFrame:
    """One row per image of the contact sheet: its block, its place there from 1, and the row that it shows."""
    blocks = []
    for verdict, rows in shown.items():
        place = np.arange(len(rows))
        own = failures.iloc[rows]
        blocks.append(
            pd.DataFrame(
                {
                    "verdict": verdict,
                    "sheet_row": place // columns + 1,
                    "sheet_column": place % columns + 1,
                    "source": own["source"].to_numpy(),
                    "index": own["index"].to_numpy(),
                    "class": own["class"].to_numpy(),
                    "predicted_class": own["predicted_class"].to_numpy(),
                    "rival_class": own["rival_class"].to_numpy(),
                    "judge_class": own["judge_class"].to_numpy(),
                    "judge_confidence": own["judge_confidence"].to_numpy(),
                }
            )
        )
    return pd.concat(blocks, ignore_index=True)


def tabulate_review(failures: pd.DataFrame) -> pd.DataFrame:
    """The blank form: one row per image of the review sheet, in the order of the sheet, without any verdict.

    failures: with the column review_id, 0 where not shown.  sheet_row, sheet_column: its place on the sheet, from 1.
    """
    own = failures[failures[REVIEW_ID] > 0].sort_values(REVIEW_ID)
    place = own[REVIEW_ID].to_numpy() - 1
    return pd.DataFrame(
        {
            "id": own[REVIEW_ID].to_numpy(),
            "sheet_row": place // REVIEW_COLUMNS + 1,
            "sheet_column": place % REVIEW_COLUMNS + 1,
            "meant_class": own["class"].to_numpy(),
            "classifier_class": own["predicted_class"].to_numpy(),
            CLASS_FIELD: "",
            VERDICT_FIELD: "",
        }
    )
