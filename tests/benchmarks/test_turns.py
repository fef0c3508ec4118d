"""Measuring in turns, and each benchmark run once on tiny networks."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import analysis, training_step
from benchmarks._turns import measure_in_turns, rate_cells, repeat_for, run_benchmark
from failure_atlas.core.device import DEVICE_VARIABLE
from stages.train_stylegan2.workers import PROCESSES_VARIABLE
from tests import yaml12 as yaml
from tests.house import ROOT


def test_every_round_runs_all_contenders_in_alternating_order(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def contend(name: str) -> Callable[[], float]:
        return lambda: order.append(name) or float(len(order))

    rates = measure_in_turns({name: contend(name) for name in "abc"}, 0.05, "test")
    rounds = len(rates["a"])
    assert rounds > 1
    assert all(len(found) == rounds for found in rates.values())
    assert "".join(order[:12]) == "abccbaabccba"[: len(order)]
    assert measure_in_turns({"a": lambda: 3.0}, 0.0, "test") == {"a": [3.0]}, "one round however short the time"
    assert "test:" in capsys.readouterr().err


def test_rates_and_ratios_as_text() -> None:
    """Ratios are taken within rounds: a machine that slows down by half in one changes none."""
    assert rate_cells([1000.0, 500.0, 1000.0], [500.0, 250.0, 500.0]) == ["1,000", "500 - 1,000", "2.00"]
    assert rate_cells([2.0], [0.001], [100.0], [4000.0]) == ["2.00", "2.00 - 2.00", "2,000", "0.02", "0.0005"]
    calls = []
    assert repeat_for(0.02, lambda: calls.append(1) or 5.0) > 0
    assert len(calls) >= 2


@pytest.mark.parametrize(("penalized", "step", "expected"), [(True, 0, 4), (True, 4, 8), (False, 3, 5), (False, 4, 5)])
def test_a_step_is_due_for_the_penalty_or_not(penalized: bool, step: int, expected: int) -> None:
    assert training_step.next_step(step, 4, penalized) == expected


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project's params with tiny networks, on a machine that seems to have one core."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setenv(DEVICE_VARIABLE, "cpu")
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")
    sections = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    tiny = {"z_dim": 8, "w_dim": 8, "generator_channels": [4] * 4, "discriminator_channels": [4] * 4}
    sections["train_stylegan2"] |= tiny | {"batch_size": 8, "minibatch_std_group": 4}
    sections["rank_dimensions"]["batch_size"] = 10
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield path
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


TABLES = {
    training_step.main: ("x twin", "2 processes", "Best of the project over the best of the twin: "),
    analysis.main: ("samples/s", "gradients, by finite differences", "Sampling 10,000 images and one gradient pass"),
}


@pytest.mark.parametrize("main", TABLES)
def test_a_benchmark_prints_its_table(
    params: Path, capsys: pytest.CaptureFixture[str], main: Callable[[float, Path], None]
) -> None:
    main(0.0, params)
    shown = capsys.readouterr().out
    assert all(text in shown for text in TABLES[main])


def test_a_mistake_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks.analysis", "--params", "gone.yaml"])
    with pytest.raises(SystemExit) as stop:
        run_benchmark(analysis.main)
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: gone.yaml: no such params file; run from the project's root or pass --params"
