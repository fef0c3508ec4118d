"""What reviewers wrote on their forms, read back and checked against the failures that they were shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from failure_atlas.core.errors import StageError
from failure_atlas.judges.verdicts import LABEL_CHANGED, LABEL_KEPT, UNREADABLE
from stages.judge_failures.sheet import CLASS_FIELD, REVIEW_ID, SHEET_FIELD, SIGNED_COLUMNS, sign_sheet

COLUMNS = ["id", SHEET_FIELD, CLASS_FIELD]
FAILURE_COLUMNS = [*SIGNED_COLUMNS, "judge_class", "reading"]
CLASS_COLUMNS = ["class", "predicted_class", "judge_class"]


@dataclass(frozen=True)
class Review:
    """reviewer: the name of the file.  readings: id -> what the reviewer reads, in the words of READINGS, of the rows
    filled in.  rows: of the form.  blank: rows left empty."""

    reviewer: str
    readings: "pd.Series[str]"
    rows: int
    blank: int


def read_shown(path: Path) -> pd.DataFrame:
    """The failures that were shown to reviewers, by review id as text, with FAILURE_COLUMNS; reading: the judge's.

    Raises StageError if the file is missing or is no failures.csv of this stage.
    """
    table = _read_text(path, FAILURE_COLUMNS, "make it with: dvc repro judge_failures")
    table = table[table[REVIEW_ID] != "0"]
    return table[FAILURE_COLUMNS].set_index(REVIEW_ID, drop=False)


def read_review(path: Path, shown: pd.DataFrame) -> Review:
    """One reviewer's form; shown: from `read_shown`.

    The class that was meant is a kept label, another class a changed one, the word `unreadable` just that: the form
    does not tell which class was meant, the failures do.
    Raises StageError for a file that is missing, empty or without any row filled in, an unknown or repeated id, a row
    of another sheet, and an unknown word; it names the row as a table program does.
    """
    table = _read_text(path, COLUMNS, "use a copy of review.csv with all its columns")
    classes = sorted(set(shown[CLASS_COLUMNS].to_numpy().ravel()))
    meant, sheet = dict(zip(shown.index, shown["class"], strict=True)), sign_sheet(shown)
    readings: dict[str, str] = {}
    seen: set[str] = set()
    for number, row in enumerate(table[COLUMNS].to_dict("records"), start=2):  # row 1 holds the names of the columns
        where, entry = f"{path}: row {number}", {str(key): str(value).strip() for key, value in row.items()}
        identifier = entry["id"]
        if identifier not in meant:
            raise StageError(f"{where}: id: got '{identifier}'; allowed: 1 to {len(meant)}, as on the review sheet")
        if identifier in seen:
            raise StageError(f"{where}: id: got {identifier} a second time; allowed: each id once")
        seen.add(identifier)
        if entry[SHEET_FIELD] != sheet:
            raise StageError(
                f"{where}: {SHEET_FIELD}: got '{entry[SHEET_FIELD]}', these failures were shown on sheet {sheet}; read "
                "a review with the failures.csv that it was drawn from"
            )
        reading = _read_class(where, entry[CLASS_FIELD], meant[identifier], classes)
        if reading:
            readings[identifier] = reading
    if not readings:
        raise StageError(f"{path}: none of its {len(table)} rows is filled in; write into {CLASS_FIELD}")
    return Review(path.stem, pd.Series(readings), len(table), len(table) - len(readings))


def read_reviews(paths: Sequence[Path], shown: pd.DataFrame) -> list[Review]:
    """The forms of several reviewers; StageError if two files have one name, which is that of the reviewer."""
    names = [path.stem for path in paths]
    for path in paths:
        if names.count(path.stem) > 1:
            raise StageError(
                f"{path}: a second review named '{path.stem}'; rename one, the file's name is the reviewer's"
            )
    return [read_review(path, shown) for path in paths]


def _read_text(path: Path, columns: Sequence[str], remedy: str) -> pd.DataFrame:
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


def _read_class(where: str, seen: str, meant: str, classes: Sequence[str]) -> str:
    """The reading of a row, or '' if it is blank."""
    if not seen:
        return ""
    if seen.lower() == UNREADABLE:
        return UNREADABLE
    if seen not in classes:
        raise StageError(
            f"{where}: {CLASS_FIELD}: got '{seen}'; allowed: {', '.join(classes)}, {UNREADABLE}, or nothing"
        )
    return LABEL_KEPT if seen == meant else LABEL_CHANGED
