"""Reviews read back: the command as a whole, and every mistake a reviewer can make."""

import json

import pandas as pd
import pytest

from failure_atlas.core.errors import StageError
from stages.judge_failures.agreement import main
from stages.judge_failures.sheet import read_review, read_shown, sign_sheet

KEPT, CHANGED, NEITHER = "label kept", "label changed", "unreadable"


@pytest.fixture
def failures(tmp_path):
    """Twelve shown failures and one that was not; ids 1 to 4 kept, 5 to 8 changed, 9 to 12 unreadable, by the judge."""
    table = pd.DataFrame({"source": "population", "index": range(13), "class": ["3"] * 13})
    table["predicted_class"] = ["8"] * 6 + ["5"] * 7
    table["judge_class"] = ["3"] * 4 + ["8"] * 9
    table["reading"] = [KEPT] * 4 + [CHANGED] * 4 + [NEITHER] * 5
    table["readable"] = [True] * 3 + [False] * 10
    table["review_id"] = [*range(1, 13), 0]
    path = tmp_path / "failures.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def write(tmp_path, failures):
    """A function that writes a form; classes: id -> what the reviewer wrote."""
    sheet = sign_sheet(pd.read_csv(failures).query("review_id > 0"))

    def write_form(name="anna", classes=None, **columns):
        ids = list(range(1, 13))
        words = [(classes or {}).get(number, "") for number in ids]
        form = {"id": ids, "sheet_row": 1, "sheet_column": ids, "sheet": sheet, "reviewer_class": words}
        table = pd.DataFrame(form | columns)
        path = tmp_path / f"{name}.csv"
        table.to_csv(path, index=False)
        return path

    return write_form


def test_two_reviewers_against_the_judge_and_each_other(tmp_path, failures, write, hash_folder):
    like = write("anna", classes=dict(enumerate(["3"] * 4 + ["8"] * 4 + [NEITHER] * 4, start=1)))
    # Ben: 1 to 3 as meant, 4 as another, 5 to 8 as another, two blank, two unreadable.
    ben = write("ben", classes=dict(enumerate([*"33358855", "unreadable", "Unreadable"], start=1)))
    main([like, ben], failures=failures, out=tmp_path / "out")
    result = json.loads((tmp_path / "out" / "agreement.json").read_text())
    anna, other = result["with_judge"]["anna"], result["with_judge"]["ben"]
    assert anna["kappa"]["value"] == anna["agreement"]["value"] == 1
    assert (anna["rows"], anna["blank"]) == (12, 0)
    assert (other["rows"], other["blank"], other["kappa"]["n"]) == (12, 2, 10)
    assert other["agreement"]["value"] == 0.9
    # Judge 4, 4, 2 and Ben 3, 5, 2 of ten: chance .36, kappa (.9 - .36) / .64
    assert other["kappa"]["value"] == pytest.approx(0.84375)
    assert other["kappa"]["low"] <= other["kappa"]["value"] <= other["kappa"]["high"]
    assert other["judge_right_on_label_kept"]["value"] == 0.75
    assert other["judge_right_on_unreadable"]["n"] == 2
    # Ben reads 1 to 3 as meant, which the model of people can read, and none of the other seven.
    assert (other["read_as_meant_where_readable"]["value"], other["read_as_meant_where_readable"]["n"]) == (1, 3)
    assert (other["read_as_meant_elsewhere"]["value"], other["read_as_meant_elsewhere"]["n"]) == (0, 7)
    assert result["between_reviewers"]["anna and ben"]["kappa"]["value"] == pytest.approx(0.84375)
    counts = pd.read_csv(tmp_path / "out" / "agreement.csv")
    seen = {("anna", "judge"): 12, ("ben", "judge"): 10, ("anna", "ben"): 10}
    assert counts.groupby(["first", "second"])["n"].sum().to_dict() == seen
    own = counts[(counts["first"] == "ben") & (counts["first_reading"] == CHANGED) & (counts["second_reading"] == KEPT)]
    assert own["n"].tolist() == [1]
    main([like, ben], failures=failures, out=tmp_path / "again")
    assert hash_folder(tmp_path / "out") == hash_folder(tmp_path / "again")


def test_a_reviewer_with_one_word_for_all_has_no_kappa_and_no_crash(tmp_path, failures, write):
    main([write(classes={1: "3", 2: "3"})], failures=failures, out=tmp_path / "out")
    entry = json.loads((tmp_path / "out" / "agreement.json").read_text())["with_judge"]["anna"]
    assert entry["kappa"] == {"value": None, "low": None, "high": None, "n": 2}
    assert entry["agreement"]["value"] == 1
    assert entry["judge_right_on_unreadable"]["value"] is None


def test_a_reviewer_who_is_no_person_is_told_as_such(tmp_path, failures, write):
    form = write("anna", classes={1: "3", 5: "8"})
    main([form], failures=failures, out=tmp_path / "out", not_people=["anna"])
    result = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert list(result["with_judge"]) == ["anna (no person)"]
    assert set(pd.read_csv(tmp_path / "out" / "agreement.csv")["first"]) == {"anna (no person)"}
    with pytest.raises(StageError, match="--not-people: got 'ben'; allowed: anna"):
        main([form], failures=failures, out=tmp_path / "out", not_people=["ben"])


@pytest.mark.parametrize(
    "given", [{}, {"failures": "a"}, {"survey": "a"}, {"survey": "a", "images": "b", "failures": "c"}]
)
def test_either_reviews_or_a_survey_has_to_be_given_whole(tmp_path, write, given):
    reviews = [write(classes={1: "3"})] if given.keys() == {"survey", "images", "failures"} else None
    paths = {name: tmp_path / path for name, path in given.items()}
    with pytest.raises(StageError, match="give either filled-in reviews and --failures, or --survey and --images"):
        main(reviews, out=tmp_path / "out", **paths)


def test_words_are_read_without_regard_to_case_spaces_and_a_mark_before_the_header(tmp_path, failures, write):
    path = write(classes={1: " 3", 5: " 8 ", 6: " UNREADABLE"})
    path.write_text("\ufeff" + path.read_text(encoding="utf-8"), encoding="utf-8")
    review = read_review(path, read_shown(failures))
    assert review.readings.to_dict() == {"1": KEPT, "5": CHANGED, "6": NEITHER}
    assert review.blank == 9


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"classes": {3: "cat"}}, r"anna\.csv: row 4: reviewer_class: got 'cat'; allowed: 3, 5, 8, unreadable"),
        ({"id": [*range(1, 12), 99]}, r"row 13: id: got '99'; allowed: 1 to 12"),
        ({"id": [*range(1, 12), 0]}, r"row 13: id: got '0'; allowed: 1 to 12"),
        ({"id": [*range(1, 12), 11]}, r"row 13: id: got 11 a second time; allowed: each id once"),
        ({"sheet": "01234567"}, r"row 2: sheet: got '01234567', these failures were shown on sheet [0-9a-f]{8}"),
        ({}, r"none of its 12 rows is filled in; write into reviewer_class"),
    ],
)
def test_mistakes_on_a_form_are_named_with_their_row(failures, write, form, message):
    with pytest.raises(StageError, match=message):
        read_review(write(**form), read_shown(failures))


def test_files_that_are_no_forms_are_named(tmp_path, failures, write):
    shown = read_shown(failures)
    path = write(classes={1: "3"})
    pd.read_csv(path).drop(columns="reviewer_class").to_csv(tmp_path / "few.csv", index=False)
    pd.read_csv(path).head(0).to_csv(tmp_path / "rowless.csv", index=False)
    (tmp_path / "empty.csv").write_text("")
    for name, message in {
        "nowhere": "missing; use a copy of review.csv",
        "few": "lacks the columns reviewer_class",
        "rowless": "holds no row",
        "empty": "no table separated by commas",
    }.items():
        with pytest.raises(StageError, match=rf"{name}\.csv: {message}"):
            read_review(tmp_path / f"{name}.csv", shown)
    with pytest.raises(StageError, match=r"anna\.csv: lacks the columns review_id, source, index, class, predicted_cl"):
        read_shown(path)
    (tmp_path / "b").mkdir()
    twin = path.rename(tmp_path / "b" / "anna.csv")
    with pytest.raises(StageError, match="a second review named 'anna'; rename one"):
        main([write(classes={1: "3"}), twin], failures=failures, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_sheet_is_known_again_from_the_file_and_changes_with_what_it_shows(failures):
    table = pd.read_csv(failures).query("review_id > 0")
    assert sign_sheet(table) == sign_sheet(read_shown(failures)) == sign_sheet(table[::-1])
    for column, value in (("index", 99), ("class", "4"), ("predicted_class", "4")):
        changed = table.astype({column: object})
        changed.iloc[0, changed.columns.get_loc(column)] = value
        assert sign_sheet(changed) != sign_sheet(table), column
