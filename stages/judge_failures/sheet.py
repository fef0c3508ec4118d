"""Which failures people are shown, the blank form on which a reviewer says what he sees, and the form read back."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from failure_atlas.core.errors import StageError
from failure_atlas.judges.failures import draw_balanced
from failure_atlas.judges.verdicts import LABEL_CHANGED, LABEL_KEPT, UNREADABLE, VERDICTS

REVIEW_COLUMNS = 10
REVIEW_ID, CLASS_FIELD, SHEET_FIELD = "review_id", "reviewer_class", "sheet"
SIGNED_COLUMNS = (REVIEW_ID, "source", "index", "class", "predicted_class")
SHOWN_COLUMNS = [*SIGNED_COLUMNS, "judge_class", "reading", "readable"]
CONTACT_COLUMNS = [*SIGNED_COLUMNS[1:], "rival_class", "judge_class", "judge_confidence", "far_out"]


def choose_shown(failures: pd.DataFrame, count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Rows of the table to show for each verdict, up to `count` each."""
    rows = {verdict: np.flatnonzero(failures["verdict"] == verdict) for verdict in VERDICTS}
    source = failures["source"].to_numpy(str)
    return {verdict: own[draw_balanced(source[own], count, random)] for verdict, own in rows.items()}


def number_reviews(rows: int, shown: dict[str, np.ndarray], random: np.random.Generator) -> np.ndarray:
    """A number from 1 for each row that is shown, in an order that tells nothing of the verdict; 0 for the others."""
    chosen = np.concatenate(list(shown.values()))
    numbers = np.zeros(rows, np.int64)
    numbers[chosen] = 1 + random.permutation(len(chosen))
    return numbers


def tabulate_contact_sheet(failures: pd.DataFrame, shown: dict[str, np.ndarray], columns: int) -> pd.DataFrame:
    """One row per image of the contact sheet: its block, its place there from 1, and the row that it shows."""
    blocks = [
        failures[CONTACT_COLUMNS].iloc[rows].assign(verdict=verdict, **_place(np.arange(len(rows)), columns))
        for verdict, rows in shown.items()
    ]
    return pd.concat(blocks, ignore_index=True)[["verdict", "sheet_row", "sheet_column", *CONTACT_COLUMNS]]


def tabulate_review(failures: pd.DataFrame) -> pd.DataFrame:
    """The blank form: one row per image of the review sheet, in the order of the sheet.

    failures: with the column review_id, 0 where not shown.  sheet_row, sheet_column: its place on the sheet, from 1.
    The form tells nothing of what was meant and of what the classifier or the judge says, or a reviewer would not be
    blind; failures.csv holds that under the same id.  sheet: which failures it was drawn from, see `sign_sheet`.
    """
    own = failures[failures[REVIEW_ID] > 0].sort_values(REVIEW_ID)
    numbers = own[REVIEW_ID].to_numpy()
    written = {SHEET_FIELD: sign_sheet(own), CLASS_FIELD: ""}
    return pd.DataFrame({"id": numbers, **_place(numbers - 1, REVIEW_COLUMNS), **written})


def sign_sheet(shown: pd.DataFrame) -> str:
    """Eight hexadecimal digits that belong to these images under these ids, and give nothing of them away.

    shown: the failures on the sheet with SIGNED_COLUMNS, as numbers or as text, in any order.
    """
    ordered = shown.iloc[shown[REVIEW_ID].astype(int).to_numpy().argsort()]
    lines = (",".join(map(str, row)) for row in ordered[list(SIGNED_COLUMNS)].itertuples(index=False))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Review:
    """reviewer: the name of the file.  readings: id -> what the reviewer reads, in the words of READINGS, of the rows
    filled in.  rows: of the form.  blank: rows left empty."""

    reviewer: str
    readings: "pd.Series[str]"
    rows: int
    blank: int


def read_shown(path: Path) -> pd.DataFrame:
    """The failures that were shown to reviewers, by review id as text, with SHOWN_COLUMNS; reading: the judge's.

    Raises StageError if the file is missing or is no failures.csv of this stage.
    """
    table = read_text(path, SHOWN_COLUMNS, "make it with: dvc repro judge_failures")
    return table.loc[table[REVIEW_ID] != "0", SHOWN_COLUMNS].set_index(REVIEW_ID, drop=False)


def read_review(path: Path, shown: pd.DataFrame) -> Review:
    """One reviewer's form; shown: from `read_shown`.

    The class that was meant is a kept label, another class a changed one, the word `unreadable` just that: the form
    does not tell which class was meant, the failures do.
    Raises StageError for a file that is missing, empty or without any row filled in, an unknown or repeated id, a row
    of another sheet, and an unknown word; it names the row as a table program does.
    """
    table = read_text(path, ["id", SHEET_FIELD, CLASS_FIELD], "use a copy of review.csv with all its columns")
    classes = sorted(set(shown[["class", "predicted_class", "judge_class"]].to_numpy().ravel()))
    sheet, seen = sign_sheet(shown), set()
    readings = {}
    for number, row in enumerate(table.to_dict("records"), start=2):  # row 1 holds the names of the columns
        where = f"{path}: row {number}"
        identifier, signed, word = (str(row[name]).strip() for name in ("id", SHEET_FIELD, CLASS_FIELD))
        if identifier not in shown.index:
            raise StageError(f"{where}: id: got '{identifier}'; allowed: 1 to {len(shown)}, as on the review sheet")
        if identifier in seen:
            raise StageError(f"{where}: id: got {identifier} a second time; allowed: each id once")
        seen.add(identifier)
        if signed != sheet:
            shown_on = f"these failures were shown on sheet {sheet}"
            remedy = "read a review with the failures.csv that it was drawn from"
            raise StageError(f"{where}: {SHEET_FIELD}: got '{signed}', {shown_on}; {remedy}")
        if word.lower() == UNREADABLE:
            readings[identifier] = UNREADABLE
        elif word in classes:
            readings[identifier] = LABEL_KEPT if word == shown.loc[identifier, "class"] else LABEL_CHANGED
        elif word:
            allowed = f"{', '.join(classes)}, {UNREADABLE}, or nothing"
            raise StageError(f"{where}: {CLASS_FIELD}: got '{word}'; allowed: {allowed}")
    if not readings:
        raise StageError(f"{path}: none of its {len(table)} rows is filled in; write into {CLASS_FIELD}")
    return Review(path.stem, pd.Series(readings), len(table), len(table) - len(readings))


def read_reviews(paths: Sequence[Path], shown: pd.DataFrame) -> list[Review]:
    """The forms of several reviewers; StageError if two files have one name, which is that of the reviewer."""
    names = [path.stem for path in paths]
    for path in paths:
        if names.count(path.stem) > 1:
            raise StageError(f"{path}: a second review named '{path.stem}'; rename one, its name is the reviewer's")
    return [read_review(path, shown) for path in paths]


def _place(number: np.ndarray, columns: int) -> dict[str, np.ndarray]:
    """Where the images of a sheet stand, from 1, as they are counted from 0."""
    return {"sheet_row": number // columns + 1, "sheet_column": number % columns + 1}


def read_text(path: Path, columns: Sequence[str], remedy: str) -> pd.DataFrame:
    """A table with at least these columns, all of them as text; StageError, which ends on the remedy, if it is none."""
    if not path.is_file():
        raise StageError(f"{path}: missing; {remedy}")
    try:
        # utf-8-sig: table programs put a mark before the first column name.
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: no table separated by commas ({' '.join(str(error).split())}); {remedy}") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise StageError(f"{path}: lacks the columns {', '.join(missing)}; {remedy}")
    if table.empty:
        raise StageError(f"{path}: holds no row; {remedy}")
    return table
