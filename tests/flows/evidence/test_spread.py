"""The tolerances: measured over runs, and held against metrics that nobody could have got."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.errors import FlowError
from flows.evidence.spread import LEVEL, Tolerances, measure_spread, tell_largest
from tests.house import ROOT

FILE = "data/rank/clean/metrics.json"
SEEDS = 5
NOTHING = {"value": None, "low": None, "high": None}


def draw(seed: int) -> dict[str, Any]:
    """Metrics of one run: the numbers vary as their seed says."""
    dice = random.Random(seed)  # noqa: S311  no secret

    def share(n: int) -> dict[str, Any]:
        value, half = 0.8 + dice.gauss(0, 0.01), 1 / math.sqrt(n)
        return {"value": value, "low": value - half, "high": value + half, "n": n}

    area = 0.5 + dice.gauss(0, 0.01)
    return {
        "accuracy": share(1000),
        "area": area,
        "area_interval": {"low": area - 0.02, "high": area + 0.02, "n": 100},
        "per_class": {str(label): share(100) for label in range(3)},
        "named": {f"shape {dice.randrange(1000)}": 0.1},
        "median": {"value": 2.0, "low": 1.5, "high": None if seed % 2 else 2.5},
        "verdict": "holds" if seed % 2 else "not decided",
        "reached": 60 + dice.randrange(10),
        "samples": 10000,
        "constant": 0.25,
        "few": {"value": 0.5, "low": 0.1, "high": 0.9, "n": 1} if seed < 1000 else {**NOTHING, "n": 0},
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folders = [tmp_path_factory.mktemp(f"seed{seed}") for seed in range(SEEDS)]
    for seed, folder in enumerate(folders):
        for number, name in enumerate(("clean", "corrupted")):
            path = folder / f"data/rank/{name}/metrics.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(draw(seed + 100 * number)))
    return folders


@pytest.fixture(scope="module")
def tolerances(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Tolerances:
    path = tmp_path_factory.mktemp("table") / "spread.csv"
    measure_spread(runs).write(path)
    return Tolerances.read(path)


def test_honest_draws_agree(tolerances: Tolerances) -> None:
    """Other seeds, another classifier, nothing where something was: of a hundred numbers hardly one is refused."""
    told = []
    for seed in range(200, 300):
        told += tolerances.compare("data/rank/mine/metrics.json", draw(seed), draw(seed + 1000))
    assert len(told) / (100 * 17) < LEVEL, told


@pytest.mark.parametrize(
    ("key", "held"),
    [
        ("accuracy", {"value": 0.9999, "low": -1e9, "high": 1e9, "n": 1000}),
        ("accuracy", {"value": 0.8, "low": -0.5, "high": 1.7, "n": 1000}),
        ("accuracy", {"value": 0.8, "low": 0.83, "high": 0.77, "n": 1000}),
        ("accuracy", {"value": 0.86, "low": 0.77, "high": 0.83, "n": 1000}),
        ("accuracy", {"value": 0.8, "low": math.nan, "high": 0.83, "n": 1000}),
        ("accuracy", {"value": 0.8, "low": 0.77, "high": math.inf, "n": 1000}),
        ("accuracy", {"value": 0.8, "low": None, "high": None, "n": 1000}),
        ("accuracy", {"value": 0.8, "low": 0.77, "high": 0.83, "n": 100000}),
        ("accuracy", {"value": 0.8, "low": 0.79, "high": 0.81, "n": 1000}),
        ("accuracy", {**NOTHING, "n": 0}),
        ("accuracy", {"value": 0.8}),
        ("accuracy", 0.8),
        ("accuracy", "0.8"),
        ("area", 0.9),
        ("area_interval", {"low": 0.1, "high": 0.9, "n": 100}),
        ("per_class", {str(label): draw(300)["per_class"]["0"] | {"n": 1} for label in range(3)}),
        ("reached", 1000),
        ("samples", 11000),
        ("constant", 0.5),
        ("constant", True),
        ("new", 1.0),
    ],
    ids=str,
)
def test_what_no_run_could_say_is_named(tolerances: Tolerances, key: str, held: Any) -> None:
    honest = draw(300)
    told = list(tolerances.compare(FILE, honest | {key: held}, honest))
    assert told
    assert all(line.startswith(key.removesuffix("_interval")) for line in told)


def test_too_few_runs_or_one_that_is_cut_short(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="2 folders; allowed: 3 or more"):
        measure_spread(runs[:2])
    with pytest.raises(FlowError, match=r"metrics.json: missing; run the DAG there first"):
        measure_spread([*runs[:2], tmp_path])


def test_the_table_in_git_is_of_five_seeds_and_knows_the_metrics_of_the_default_run() -> None:
    table = Tolerances.read()
    assert table.seeds == 5
    assert 0 < table.per_half_width < 1
    assert 0 < table.per_size < 0.1
    for path in sorted((ROOT / "data").glob("*/*/metrics.json")):
        name = path.relative_to(ROOT).as_posix()
        if "study" not in name:
            held = json.loads(path.read_bytes())
            assert list(table.compare(name, held, held)) == [], "a run agrees with itself"


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("a.json", '{"a": 1, "b": [2, 4]}', '{"a": 1, "b": [2, 5]}', " (1 numbers, the most b[1] by 0.2 of its size)"),
        ("a.csv", "x,y\n1,a\n2,b\n", "x,y\n1,a\n4,c\n", " (1 numbers, the most line 3 x by 0.5 of its size; 1 entries"),
        ("a.json", "{", "{}", ""),
        ("a.png", "a", "b", ""),
    ],
)
def test_how_much_two_files_differ(tmp_path: Path, name: str, old: str, new: str, told: str) -> None:
    for side, text in (("old", old), ("new", new)):
        (tmp_path / side).mkdir()
        (tmp_path / side / name).write_text(text)
    found = tell_largest(tmp_path / "old" / name, tmp_path / "new" / name)
    assert found.startswith(told)
    assert bool(found) == bool(told)


def test_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.evidence.spread", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: 1 folders; allowed: 3 or more runs, each with another seed\n"
