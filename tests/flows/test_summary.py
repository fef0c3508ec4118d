"""Metrics and states as tables, and what a run ends on."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from flows.compare.differences import Number
from flows.findings import tell_findings
from flows.metrics import Metric, markdown_table, metric_rows, metric_table, read_metrics, stage_rows
from flows.outcome import Outcome, StageRun
from tests.flows.conftest import Project
from tests.modes import write_modes

CONTENT = {
    "accuracy": {"value": 0.91, "low": 0.9, "high": 0.92, "n": 1000},
    "median_shift_std": 9.5,
    "median_shift_std_interval": {"low": 9.0, "high": 10.0, "n": 100},
    "walks": 1000,
    "flag": True,
    "missing": None,
    "name": "text",
    "clean": {"area": 0.5, "deeper": {"x": 1}},
    "per_class": {"0": 0.5},
}


def test_headline_metrics_of_all_declared_files(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write_stages(
        second={"cmd": "x", "deps": ["a.json"], "metrics": ["data/second/metrics.json"]},
        first={"cmd": "x", "metrics": [{"a.json": {"cache": False}}]},
        third={"cmd": "x", "metrics": ["not-made-yet.json"]},
    )
    monkeypatch.chdir(project.path)
    Path("data/second").mkdir(parents=True)
    Path("data/second/metrics.json").write_text(json.dumps(CONTENT))
    Path("a.json").write_text('{"loss": 0.25}')
    assert read_metrics({"clean"}) == [
        Metric("second", "accuracy", Number(0.91, 0.9, 0.92, 1000, has_interval=True)),
        Metric("second", "median_shift_std", Number(9.5, 9.0, 10.0, 100, has_interval=True)),
        Metric("second", "clean.area", Number(0.5)),
        Metric("first", "loss", Number(0.25)),
    ]


def test_rows() -> None:
    first = Number(0.912345, 0.9, 0.92, 1000, has_interval=True)
    metrics = [Metric("a", "x", first), Metric("a", "walks", Number(12000)), Metric("b", "y", Number(1.0))]
    assert metric_rows(metrics) == [
        ("a", "x", "0.9123", "0.9 to 0.92", "1,000"),
        ("", "walks", "12,000", "", ""),
        ("b", "y", "1", "", ""),
    ]
    runs = [StageRun("a", Outcome.DONE, 1.26), StageRun("b", Outcome.FAILED, 3), StageRun("c", Outcome.NOT_RUN)]
    assert stage_rows(runs) == [("a", "done", "1.3"), ("b", "FAILED", "3.0"), ("c", "not run", "")]


def test_tables_in_markdown_and_in_a_narrow_terminal() -> None:
    console = Console(width=70, record=True)
    accuracy = Number(0.95, 0.93, 0.96, 1000, has_interval=True)
    console.print(metric_table([Metric("train_classifiers@corrupted", "test_accuracy", accuracy)]))
    assert "0.93 to 0.96" in console.export_text()
    assert markdown_table(("a", "b"), [("1|2", "3")]) == "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |\n"


SENTENCES = """\
mine: on what: reads 8 as 3 when noise is above 0.14: wrong on 62 % [55, 69] of 190 generated images, \
on 41 % [30, 52] of 66 real ones: corroborated
mine: how far: 2.50 std [0.12, 0.75] to the nearest true failure, the median; one is found from \
30 % [12, 75] of 1,040 generated images read rightly
mine: what proves it: the auditor, asked by no search, is sure of 70 % [12, 75] of 300 failures found; \
the judge reads rightly 60 % [12, 75] of 90 real errors of mine; \
of failures in mode 1 judge and auditor confirm 80 % [74, 86] of 118; \
real images corroborate 1 of 3 modes, contradict 1, are too few for 1; \
generated images lie 9.5 [?, ?] from real ones, to a neutral network; \
pass or not: fail (1 pass, 1 fail, 1 not assessable)""".splitlines()
ROOMS = ("train_classifiers", "find_failures", "judge_failures", "find_modes")


def estimate(value: float | None, n: int) -> dict[str, float | None]:
    return {"value": value, "low": 0.125, "high": 0.75, "n": n}


def write(path: str, content: object) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(content))


def write_results(names: list[str], criteria: list[tuple[str, str]]) -> list[StageRun]:
    """What the stages of a run leave for these classifiers and criteria; the run."""
    for name in names:
        near = {"median_distance_std": estimate(2.5, 40), "start_share": estimate(0.3, 1040)}
        write(f"data/find_failures/{name}/metrics.json", near | {"auditor_sure_share": estimate(0.7, 300)})
        write(f"data/judge_failures/{name}/metrics.json", {"judge_sensitivity": estimate(0.6, 90)})
        write_modes(Path("data/find_modes", name))
    write("data/qualify_generator/metrics.json", {"neutral_kid": 9.5})
    told = {"found": estimate(0.4, 9), "because": "that is why", "metric": f"find_failures/{names[0]}: x"}
    gates = [{"id": key, "verdict": verdict, **told} for key, verdict in criteria]
    write("data/acceptance/gates.json", {"criteria": gates})
    write("data/report/report.html", "")
    stages = [f"{room}@{name}" for room in ROOMS for name in names]
    return [StageRun(stage, Outcome.DONE, 2.0) for stage in [*stages, "qualify_generator", "acceptance", "report"]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_ends_on_verdicts_and_three_sentences(folder: Path) -> None:
    runs = write_results(["mine"], [("a", "not assessable"), ("b", "pass"), ("c", "fail")])
    assert tell_findings(runs) == [
        "7 stages: 7 done; 14 s of work",
        "acceptance criteria: 1 pass, 1 fail, 1 not assessable",
        "  fail: c: 0.4 [0.125, 0.75], n=9: that is why",
        "  not assessable: a: 0.4 [0.125, 0.75], n=9: that is why",
        "report: data/report/report.html",
        "all metrics: failure-atlas metrics",
        *SENTENCES,
    ]


def test_what_a_run_did_not_bring_up_to_date_is_not_told(folder: Path) -> None:
    runs = write_results(["mine"], [("a", "pass")])
    ended = {"find_failures@mine": Outcome.FAILED, "acceptance": Outcome.NOT_RUN, "report": Outcome.NOT_RUN}
    text = "\n".join(tell_findings([StageRun(run.stage, ended.get(run.stage, run.outcome)) for run in runs]))
    assert text.startswith("7 stages: 4 done, 1 FAILED, 2 not run; ")
    assert "mine: on what: reads 8 as 3" in text
    assert not any(word in text for word in ("how far", "criteria", "report.html", "asked by no search", "pass or not"))
    assert tell_findings([StageRun("other", Outcome.CACHED)]) == [
        "1 stages are up to date; nothing had changed",
        "all metrics: failure-atlas metrics",
    ]


def test_damaged_modes_are_told_and_none_are_none(folder: Path) -> None:
    runs = write_results(["mine"], [("a", "pass")])
    modes = Path("data/find_modes/mine/modes.csv")
    head, *rows = modes.read_text().splitlines(keepends=True)
    modes.write_text(head)
    assert "mine: on what: no kind of input found on which it fails more than elsewhere" in tell_findings(runs)
    modes.write_text("".join([head.replace("verdict", "said"), *rows]))
    assert tell_findings(runs)[-1] == (
        "data/find_modes/mine/modes.csv: lacks the columns verdict; make it again with: dvc repro find_modes"
    )


def test_a_run_never_ends_on_more_than_thirty_lines(folder: Path) -> None:
    lines = tell_findings(write_results([f"c{n}" for n in range(9)], [(f"g{n}", "fail") for n in range(40)]))
    assert len(lines) <= 30
    assert "  and 34 more: failure-atlas gates" in lines
    assert "9 classifiers, the first 4 of them:" in lines
