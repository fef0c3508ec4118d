"""Metrics and states as tables."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from flows.metrics import Metric, read_metrics
from flows.outcome import Outcome, StageRun
from flows.summary import markdown_table, metric_rows, metric_table, stage_rows, stage_table
from tests.flows.conftest import Project

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
        Metric("second", "accuracy", 0.91, 0.9, 0.92, 1000),
        Metric("second", "median_shift_std", 9.5, 9.0, 10.0, 100),
        Metric("second", "clean.area", 0.5),
        Metric("first", "loss", 0.25),
    ]


def test_rows() -> None:
    metrics = [Metric("a", "x", 0.912345, 0.9, 0.92, 1000), Metric("a", "walks", 12000), Metric("b", "y", 1.0)]
    assert metric_rows(metrics) == [
        ("a", "x", "0.9123", "0.9 to 0.92", "1,000"),
        ("", "walks", "12,000", "", ""),
        ("b", "y", "1", "", ""),
    ]
    runs = [StageRun("a", Outcome.DONE, 1.26), StageRun("b", Outcome.FAILED, 3), StageRun("c", Outcome.NOT_RUN)]
    assert stage_rows(runs) == [("a", "done", "1.3"), ("b", "FAILED", "3.0"), ("c", "not run", "")]


def test_markdown() -> None:
    assert markdown_table(("a", "b"), [("1|2", "3")]) == "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |\n"


def test_tables_fit_a_narrow_terminal() -> None:
    console = Console(width=70, record=True)
    console.print(stage_table([StageRun("train_classifiers@corrupted", Outcome.DONE, 75.2)]))
    console.print(
        metric_table([Metric("train_classifiers@corrupted", "corrupted_test_accuracy", 0.95, 0.93, 0.96, 1000)])
    )
    text = console.export_text()
    assert "75.2" in text
    assert "0.93 to 0.96" in text
