"""Measuring in turns, and each benchmark run once on tiny networks."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import analysis, training_step
from benchmarks._turns import Contender, measure_in_turns, median_ratio, repeat_for, run_benchmark, show_ratio, spread
from failure_atlas.core.device import DEVICE_VARIABLE
from stages.train_stylegan2.workers import PROCESSES_VARIABLE
from tests import yaml12 as yaml

PROJECT = Path(__file__).parents[2]


def test_every_round_runs_all_contenders_in_alternating_order() -> None:
    order = []

    def contender(name: str) -> Contender:
        def measure() -> float:
            order.append(name)
            return float(len(order))

        return Contender(name, measure)

    rates = measure_in_turns([contender(name) for name in "abc"], 0.05, "test")
    rounds = len(rates["a"])
    assert rounds > 1
    assert all(len(found) == rounds for found in rates.values())
    assert "".join(order[:12]) == "abccbaabccba"[: len(order)]


def test_one_round_is_run_however_short_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert measure_in_turns([Contender("a", lambda: 3.0)], 0.0, "test") == {"a": [3.0]}
    assert "test:" in capsys.readouterr().err


def test_ratios_are_taken_within_rounds() -> None:
    """A machine that slows down by half in one round changes no ratio."""
    assert median_ratio([10.0, 5.0, 10.0], [5.0, 2.5, 5.0]) == 2.0
    assert spread([3.0, 1234.5]) == "3 - 1,234"
    assert [show_ratio(ratio) for ratio in (1234.5, 2.0, 0.0123)] == ["1,234", "2.00", "0.012"]


def test_a_rate_is_work_over_time() -> None:
    calls = []
    rate = repeat_for(0.02, lambda: calls.append(1) or 5.0)
    assert len(calls) >= 2
    assert rate > 0


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project's params with tiny networks, on a machine that seems to have one core."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setenv(DEVICE_VARIABLE, "cpu")
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")
    sections = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    tiny = {"z_dim": 8, "w_dim": 8, "generator_channels": [4] * 4, "discriminator_channels": [4] * 4}
    sections["train_stylegan2"] |= tiny | {"batch_size": 8, "minibatch_std_group": 4}
    sections["rank_dimensions"]["batch_size"] = 10
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield path
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def test_the_training_step_prints_its_table(params: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training_step.main(0.0, params)
    shown = capsys.readouterr().out
    for text in ("x twin", "MFLOP", "of matrix", "2 processes", "Best of the project over the best of the twin: "):
        assert text in shown


def test_the_analysis_prints_its_table(params: Path, capsys: pytest.CaptureFixture[str]) -> None:
    analysis.main(0.0, params)
    shown = capsys.readouterr().out
    for text in ("samples/s", "gradients, by finite differences", "Sampling 10,000 images and one gradient pass"):
        assert text in shown


def test_a_mistake_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks.analysis", "--params", "gone.yaml"])
    with pytest.raises(SystemExit) as stop:
        run_benchmark(analysis.main)
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: gone.yaml: no such params file; run from the project's root or pass --params"
