"""Before and after a repair: kinds of input that are gone, new or stay, and one classifier against another."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from flows.compare.differences import Number
from flows.compare.modes import Kind, follow
from flows.compare_command import compare
from flows.errors import FlowError
from tests.flows.conftest import call

Bounds = dict[str, list[float | None]]
Mode = tuple[str, str | None, Bounds, float]  # sentence, class, bounds, rate
BLURRED: Mode = ("fails: blur above 2 px", None, {"blur": [2.0, None]}, 0.2)
BLURRED_MORE: Mode = ("fails: blur above 3 px", None, {"blur": [3.0, None]}, 0.4)
SHARP: Mode = ("fails: blur below 1 px", None, {"blur": [None, 1.0]}, 0.1)
SEVENS: Mode = ("misreads 7: blur above 2 px", "7", {"blur": [2.0, None]}, 0.3)
COUNTED: Mode = ("fails: with a hole", None, {"holes": [0, None]}, 0.1)


def within(value: float, n: int = 400) -> dict[str, Any]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02, "n": n}


def columns(key: str, value: float) -> dict[str, Any]:
    return {key: value, f"{key}_low": value - 0.02, f"{key}_high": value + 0.02}


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, header, lineterminator="\n", extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)


HEADER = [
    "rank", "sentence", *columns("rate", 0), "n", *columns("real_rate", 0), "n_real", "definition",
]  # fmt: skip


def write_run(root: Path, distance_std: float | None = 1.0, without: str = "", **modes: Sequence[Mode]) -> Path:
    """A bundle with the modes of each classifier and a median distance that grows by classifier; without: a column."""
    root.mkdir()
    (root / "dvc.lock").write_text("stages: {}\n")
    quality = {"grey": {name: within(0.5 + 0.1 * place) for place, name in enumerate(modes)}}
    curves = {name: {"area": within(0.3 + 0.1 * place)} for place, name in enumerate(modes)}
    told: dict[str, Any] = {"qualify_generator": quality, "compute_curves": curves}
    for place, (name, found) in enumerate(modes.items()):
        distance = None if distance_std is None else within(distance_std + place)
        told[f"find_failures/{name}"] = {"median_distance_std": distance, "group": {"before": within(0.1)}}
        rows = [
            {"rank": rank, "sentence": sentence, **columns("rate", rate), "n": 400, **columns("real_rate", rate / 2)}
            | {"n_real": 50, "definition": json.dumps({"class": label, "bounds": bounds})}
            for rank, (sentence, label, bounds, rate) in enumerate(found, 1)
        ]
        header = [column for column in HEADER if column != without]
        write_table(root / f"data/find_modes/{name}/modes.csv", rows, header)
        rows = [{"scope": "global", "rank": 1, "dimension": 5 + place, "direction": 1, "name": f"way {place}"}]
        write_table(root / f"data/name_directions/{name}/leading.csv", rows, list(rows[0]))
    for folder, content in told.items():
        (root / "data" / folder).mkdir(parents=True, exist_ok=True)
        (root / "data" / folder / "metrics.json").write_text(json.dumps(content))
    return root


def write_others(run: Path, name: str, other: str, *rates: float) -> None:
    rows = [
        {"rank": rank, "classifier": other, "n": 400, **columns("rate", rate)} for rank, rate in enumerate(rates, 1)
    ]
    write_table(run / f"data/find_modes/{name}/others.csv", rows, list(rows[0]))


def sections(*arguments: Path | str) -> dict[str, str]:
    """What is printed, by title."""
    code, output = call(compare, *map(str, arguments))
    assert code == 0, output
    parts = [part.split("\n\n", 1) for part in output.split("\n## ")[1:]]
    return {title: text.strip() for title, text in parts}


def cells(text: str) -> list[list[str]]:
    """The rows of a table without its header."""
    return [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("|")][2:]


def kind(rank: int, label: str | None = None, **bounds: tuple[float | None, float | None]) -> Kind:
    return Kind(rank, f"kind {rank}", Number(0.1), Number(0.1), label, bounds)


@pytest.mark.parametrize(
    ("old", "new", "stays"),
    [
        ([kind(1, blur=(2.3, None))], [kind(1, blur=(9.0, None))], [(1, 1)]),
        ([kind(1, blur=(2.3, None))], [kind(1, blur=(None, 2.3)), kind(2, size=(2.3, None))], []),
        ([kind(1, blur=(2.3, None))], [kind(1, blur=(2.3, 4.0)), kind(2, blur=(2.3, None), size=(None, 9.0))], []),
        ([kind(1, "7", blur=(2.3, None))], [kind(1, "1", blur=(2.3, None)), kind(2, blur=(2.3, None))], []),
        ([kind(1, "7"), kind(2)], [kind(1, "7"), kind(2, "9")], [(1, 1)]),
        # Of one form: the nearest, whatever its rank; each once.
        ([kind(1, blur=(1.6, None)), kind(2, blur=(2.7, None))], [kind(1, blur=(2.8, None))], [(2, 1)]),
        (
            [kind(1, x=(1.0, None)), kind(2, x=(2.0, None))],
            [kind(1, x=(1.9, None)), kind(2, x=(9, None))],
            [(1, 2), (2, 1)],
        ),
        # Differences count as shares of the values: size differs by more pixels, noise by more.
        (
            [kind(1, noise=(0.10, None), size=(12.0, None)), kind(2, noise=(0.30, None), size=(14.0, None))],
            [kind(1, noise=(0.11, None), size=(14.0, None))],
            [(1, 1)],
        ),
        ([kind(1, holes=(0, None)), kind(2, holes=(1, None))], [kind(1, holes=(0, None))], [(1, 1)]),
    ],
)
def test_kinds_of_one_form_are_the_same_and_of_several_the_nearest(
    old: list[Kind], new: list[Kind], stays: list[tuple[int, int]]
) -> None:
    fates = follow(old, new, {}, {})
    kept = [(fate.old.rank, fate.new.rank) for fate in fates if fate.old and fate.new]
    assert kept == stays
    assert [fate.old.rank for fate in fates if fate.new is None and fate.old] == [
        each.rank for each in old if each.rank not in dict(stays)
    ]
    assert [fate.new.rank for fate in fates if fate.old is None and fate.new] == [
        each.rank for each in new if each.rank not in dict(stays).values()
    ]


def test_before_and_after_in_two_runs(tmp_path: Path) -> None:
    moved = ("fails: blur above 2.4 px", None, {"blur": [2.4, None]}, 0.1)
    old = write_run(tmp_path / "old", clean=[BLURRED, SEVENS, COUNTED])
    new = write_run(tmp_path / "new", distance_std=1.03, clean=[moved, SHARP, COUNTED])
    found = sections(old, new)
    assert list(found)[:3] == ["In short", "Acceptance criteria", "Failure modes"]
    assert found["In short"] == (
        "clean: 1 of 3 kinds of input is gone, 1 is new, 2 stay (B misreads 1 less often); misread in the worst kind "
        "30 % [28, 32] of 400 -> 10 % [8, 12] of 400: beyond their intervals; distance to failure (median) "
        "1.00 std [0.98, 1.02] -> 1.03 std [1.01, 1.05]: within their intervals."
    )
    tenth, half = "10 % [8, 12] of 400", "5.0 % [3.0, 7.0] of 50"
    assert cells(found["Failure modes"]) == [
        ["misreads 7: blur above 2 px", "gone", "30 % [28, 32] of 400", "", "", "15 % [13, 17] of 50", ""],
        ["fails: blur below 1 px", "new", "", tenth, "", "", half],
        [
            "fails: blur above 2 px; in B: fails: blur above 2.4 px",
            "stays", "20 % [18, 22] of 400", tenth, "less often", "10 % [8, 12] of 50", half,
        ],
        ["fails: with a hole", "stays", tenth, tenth, "within the intervals", half, half],
    ]  # fmt: skip
    reverse = sections(new, old)["In short"]
    assert "2 stay (B misreads 1 more often)" in reverse
    same = sections(old, old)
    assert same["Failure modes"] == "clean: the same kinds of input (3), with the same rates."
    assert "3 stay (B misreads none less or more often); misread in the worst kind 30 %" in same["In short"]


def test_a_repair_within_one_run_is_told_on_the_same_images(tmp_path: Path) -> None:
    """What is gone, new or stays is misread by the other one as others.csv says, not as its own kinds suggest."""
    run = write_run(tmp_path / "run", clean=[], before=[BLURRED, SEVENS], after=[BLURRED_MORE, SHARP])
    write_others(run, "before", "after", 0.05, 0.31)
    write_others(run, "after", "before", 0.6, 0.01)
    found = sections(run, run, "--renamed", "before=after", "--all")
    assert cells(found["Failure modes"]) == [
        ["misreads 7: blur above 2 px", "gone", "30 % [28, 32] of 400", "in A's kind: 31 % [29, 33] of 400",
         "within the intervals", "15 % [13, 17] of 50", ""],
        ["fails: blur below 1 px", "new", "in B's kind: 1.0 % [-1.0, 3.0] of 400", "10 % [8, 12] of 400",
         "more often", "", "5.0 % [3.0, 7.0] of 50"],
        ["fails: blur above 2 px; in B: fails: blur above 3 px", "stays", "20 % [18, 22] of 400",
         "40 % [38, 42] of 400; in A's kind: 5.0 % [3.0, 7.0] of 400", "less often", "10 % [8, 12] of 50",
         "20 % [18, 22] of 50"],
    ]  # fmt: skip
    assert found["In short"] == (
        "before -> after: 1 of 2 kinds of input is gone (B misreads none less or more often), 1 is new (B misreads 1 "
        "more often), 1 stays (B misreads 1 less often); misread in the worst kind 30 % [28, 32] of 400 -> 40 % "
        "[38, 42] of 400: beyond their intervals; distance to failure (median) 2.00 std [1.98, 2.02] -> 3.00 std "
        "[2.98, 3.02]: beyond their intervals."
    )
    metrics = [row[0] for row in cells(found["Metrics"])]
    assert metrics == ["compute_curves: before -> after.area", "find_failures/before -> after: median_distance_std"]
    assert found["Metrics"].startswith("1 of 3 metrics are equal.")
    assert "only" not in found["Metrics"]
    assert cells(found["Top 10 directions"]) == [
        ["before -> after", "entered", "7+", "way 2", "beyond 10", "1"],
        ["before -> after", "left", "6+", "way 1", "1", "beyond 10"],
    ]
    plain = sections(run, run)
    assert "before: the same kinds of input (2), with the same rates." in plain["Failure modes"]
    assert "12 of 12 metrics are equal" in plain["Metrics"]
    several = sections(run, run, "--renamed", "before=after", "--renamed", "clean=clean")
    assert "clean: the same kinds of input (0)" in several["Failure modes"]


def test_the_new_run_tells_of_a_repair_what_it_does_in_the_kinds_of_the_old_one(tmp_path: Path) -> None:
    """Only if it has the old classifier's kinds as the old run found them: else its rates are of other images."""
    old = write_run(tmp_path / "old", before=[BLURRED])
    new = write_run(tmp_path / "new", before=[BLURRED], after=[SHARP])
    write_others(new, "before", "after", 0.05)
    row = cells(sections(old, new, "--renamed", "before=after")["Failure modes"])[0]
    assert row[:5] == [
        "fails: blur above 2 px",
        "gone",
        "20 % [18, 22] of 400",
        "in A's kind: 5.0 % [3.0, 7.0] of 400",
        "less often",
    ]
    other = write_run(tmp_path / "other", before=[BLURRED_MORE], after=[SHARP])
    write_others(other, "before", "after", 0.05)
    row = cells(sections(old, other, "--renamed", "before=after")["Failure modes"])[0]
    assert row[1:5] == ["gone", "20 % [18, 22] of 400", "", ""]


def test_an_older_version_and_what_is_missing_are_told(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", distance_std=None, without="definition", clean=[BLURRED], gone=[BLURRED])
    new = write_run(tmp_path / "new", clean=[BLURRED_MORE])
    found = sections(old, new)
    assert found["Failure modes"].splitlines()[0] == (
        "clean: modes are not compared: those of A are of an older version, which tells them in words alone."
    )
    assert "gone: modes in A only." in found["Failure modes"]
    assert found["In short"] == (
        "clean: misread in the worst kind 20 % [18, 22] of 400 -> 40 % [38, 42] of 400: beyond their intervals; "
        "distance to failure (median) none found from most images -> 1.00 std [0.98, 1.02]: without an interval."
    )
    assert "those of A and B are of an older version" in sections(old, old)["Failure modes"]


@pytest.mark.parametrize("given", ["before", "before=", "nobody=after", "before=nobody", "=after", ""])
def test_unknown_classifiers_are_named_with_those_that_are_there(tmp_path: Path, given: str) -> None:
    run = write_run(tmp_path / "run", before=[BLURRED], after=[SHARP])
    allowed = rf"--renamed: got '{given}'; allowed: OLD=NEW, a classifier of A and one of B; [AB] has after, before"
    with pytest.raises(FlowError, match=allowed):
        sections(run, run, "--renamed", given)


@pytest.mark.parametrize("definition", ["{", "[]", "7", '{"class": null}', '{"class": null, "bounds": {"x": [1]}}'])
def test_a_definition_of_another_form_names_the_file(tmp_path: Path, definition: str) -> None:
    run = write_run(tmp_path / "run", clean=[BLURRED])
    row = {
        **columns("rate", 0.1),
        **columns("real_rate", 0.1),
        "n": 1,
        "n_real": 1,
        "rank": 1,
        "definition": definition,
    }
    write_table(run / "data/find_modes/clean/modes.csv", [row], HEADER)
    with pytest.raises(FlowError, match=r"data/find_modes/clean/modes\.csv: no modes \(.*\); make it again"):
        sections(run, run)
