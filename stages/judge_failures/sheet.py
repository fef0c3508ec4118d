"""Which failures people are shown, and the blank form on which a reviewer says what he sees."""

import hashlib

import numpy as np
import pandas as pd

from failure_atlas.judges.verdicts import VERDICTS

REVIEW_COLUMNS = 10
REVIEW_ID, CLASS_FIELD = "review_id", "reviewer_class"
SHEET_FIELD = "sheet"
SIGNED_COLUMNS = (REVIEW_ID, "source", "index", "class", "predicted_class")


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
                    "far_out": own["far_out"].to_numpy(),
                }
            )
        )
    return pd.concat(blocks, ignore_index=True)


def tabulate_review(failures: pd.DataFrame) -> pd.DataFrame:
    """The blank form: one row per image of the review sheet, in the order of the sheet.

    failures: with the column review_id, 0 where not shown.  sheet_row, sheet_column: its place on the sheet, from 1.
    The form tells nothing of what was meant and of what the classifier or the judge says, or a reviewer would not be
    blind; failures.csv holds that under the same id.  sheet: which failures it was drawn from, see `sign_sheet`.
    """
    own = failures[failures[REVIEW_ID] > 0].sort_values(REVIEW_ID)
    place = own[REVIEW_ID].to_numpy() - 1
    return pd.DataFrame(
        {
            "id": own[REVIEW_ID].to_numpy(),
            "sheet_row": place // REVIEW_COLUMNS + 1,
            "sheet_column": place % REVIEW_COLUMNS + 1,
            SHEET_FIELD: sign_sheet(own),
            CLASS_FIELD: "",
        }
    )


def sign_sheet(shown: pd.DataFrame) -> str:
    """Eight hexadecimal digits that belong to these images under these ids, and give nothing of them away.

    shown: the failures on the sheet with SIGNED_COLUMNS, as numbers or as text, in any order.
    """
    ordered = shown.iloc[shown[REVIEW_ID].astype(int).to_numpy().argsort()]
    lines = (",".join(map(str, row)) for row in ordered[list(SIGNED_COLUMNS)].itertuples(index=False))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
