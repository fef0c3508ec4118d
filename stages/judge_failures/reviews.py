"""What reviewers wrote on their forms, read back and checked against the failures that they were shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.common.errors import StageError
from stages.judge_failures.sheet import CLASS_FIELD, REVIEW_ID, VERDICT_FIELD
from stages.train_judges.verdicts import LABEL_CHANGED, TRUE_FAILURE, UNREADABLE, VERDICTS

COLUMNS = ["id", "meant_class", "classifier_class", CLASS_FIELD, VERDICT_FIELD]
FAILURE_COLUMNS = [REVIEW_ID, "class", "predicted_class", "verdict"]


@dataclass(frozen=True)
class Review:
    """reviewer: the name of the file.  verdicts: id -> verdict, of the rows filled in.  rows: of the form.
    blank: rows left empty."""

    reviewer: str
    verdicts: "pd.Series[str]"
    rows: int
    blank: int


def read_shown(path: Path) -> pd.DataFrame:
    """The failures that were shown to reviewers, by review id: columns class, predicted_class, verdict (the judge's).

    Raises StageError if the file is missing or is no failures.csv of this stage.
    """
    table = _read_text(path, FAILURE_COLUMNS, "make it with: dvc repro judge_failures")
    table = table[table[REVIEW_ID] != "0"]
    return table[FAILURE_COLUMNS].set_index(REVIEW_ID)


def read_review(path: Path, shown: pd.DataFrame) -> Review:
    """One reviewer's form; shown: from `read_shown`.

    A row counts as soon as one of the two fields is filled in: without a verdict, the class tells it. The meant class
    is a true failure, another class a changed label, the word `unreadable` just that.
    Raises StageError for a file that is missing, empty or without any row filled in, an unknown, repeated or foreign
    id, an unknown word, and a verdict that the class beside it contradicts; it names the row as a table program does.
    """
    table = _read_text(path, COLUMNS, "use a copy of review.csv with all its columns")
    classes = sorted(set(shown["class"]) | set(shown["predicted_class"]))
    claims = {
        str(key): (str(meant), str(said))
        for key, meant, said in zip(shown.index, shown["class"], shown["predicted_class"], strict=True)
    }
    verdicts: dict[str, str] = {}
    seen: set[str] = set()
    for number, row in enumerate(table[COLUMNS].to_dict("records"), start=2):  # row 1 holds the names of the columns
        where, entry = f"{path}: row {number}", {str(key): str(value).strip() for key, value in row.items()}
        identifier = entry["id"]
        if identifier not in claims:
            raise StageError(f"{where}: id: got '{identifier}'; allowed: 1 to {len(claims)}, as on the review sheet")
        if identifier in seen:
            raise StageError(f"{where}: id: got {identifier} a second time; allowed: each id once")
        seen.add(identifier)
        _check_claim(where, entry, claims[identifier])
        verdict = _read_verdict(where, entry, classes)
        if verdict:
            verdicts[identifier] = verdict
    if not verdicts:
        raise StageError(
            f"{path}: none of its {len(table)} rows is filled in; write into {VERDICT_FIELD} or {CLASS_FIELD}"
        )
    return Review(path.stem, pd.Series(verdicts), len(table), len(table) - len(verdicts))


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


def _check_claim(where: str, entry: dict[str, str], known: tuple[str, str]) -> None:
    written = (entry["meant_class"], entry["classifier_class"])
    if written != known:
        raise StageError(
            f"{where}: id {entry['id']} is a {written[0]} that the classifier calls {written[1]}, among these failures "
            f"it is a {known[0]} called {known[1]}; read a review with the failures.csv that it was drawn from"
        )


def _read_verdict(where: str, entry: dict[str, str], classes: Sequence[str]) -> str:
    """The verdict of a row, or '' if it is blank."""
    written, seen = entry[VERDICT_FIELD].lower(), entry[CLASS_FIELD]
    if written and written not in VERDICTS:
        raise StageError(
            f"{where}: {VERDICT_FIELD}: got '{entry[VERDICT_FIELD]}'; allowed: {', '.join(VERDICTS)}, or nothing"
        )
    implied = ""
    if seen.lower() == UNREADABLE:
        implied = UNREADABLE
    elif seen:
        if seen not in classes:
            raise StageError(
                f"{where}: {CLASS_FIELD}: got '{seen}'; allowed: {', '.join(classes)}, {UNREADABLE}, or nothing"
            )
        implied = TRUE_FAILURE if seen == entry["meant_class"] else LABEL_CHANGED
    if written and implied and written != implied:
        raise StageError(
            f"{where}: {VERDICT_FIELD} '{written}' contradicts {CLASS_FIELD} '{seen}', where a {entry['meant_class']} "
            f"was meant, which makes it '{implied}'; correct one or leave one empty"
        )
    return written or implied
