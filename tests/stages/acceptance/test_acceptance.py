"""The stage on result folders with known numbers, the table and figure, and every mistake that params can hold."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from failure_atlas.core.errors import StageError
from failure_atlas.decisions.acceptance import decide
from failure_atlas.statistics.estimates import Estimate
from stages.acceptance.__main__ import main
from stages.acceptance.figures import draw_verdicts, scale_to_bar, tell_row
from stages.acceptance.params import AcceptanceParams
from tests import yaml12 as yaml
from tests.house import ROOT
from tests.stages.acceptance.test_verdicts import NAN, build_criterion, build_estimate

METRICS = {
    "qualify_generator": {"ratio": 1.4, "ratio_interval": {"low": 1.1, "high": 1.6, "n": 1000}},
    "train/clean": {"accuracy": {"value": 0.95, "low": 0.94, "high": 0.96, "n": 1000}, "classes": 10},
    "walk/clean": {"median": None, "median_interval": {"low": 5.0, "high": None, "n": 80}},
}
COMMON = {"reason": "a reason", "supports": "a clause"}
CRITERIA = [
    {"id": "ratio", "metric": "qualify_generator: ratio", "comparison": "<=", "bar": 2.0, "gate": "generator"},
    {"id": "accuracy", "metric": "train/clean: accuracy", "comparison": ">=", "bar": 0.97, "needs_generator": False},
    {"id": "median", "metric": "walk/clean: median", "comparison": ">=", "bar": 3, "min_samples": 100},
    {"id": "reach", "metric": "walk/clean: median.low", "comparison": ">", "bar": 3.0},
]


@pytest.fixture
def run(tmp_path, write_params):
    def start(*, out="out", metrics=METRICS, criteria=CRITERIA, left_out=(), more=()):
        for folder, content in metrics.items():
            (tmp_path / "in" / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / folder / "metrics.json").write_text(json.dumps(content))
        params = write_params({"acceptance": {"criteria": [COMMON | criterion for criterion in criteria]}})
        stages = dict.fromkeys(folder.split("/")[0] for folder in metrics)
        results = [tmp_path / "in" / stage for stage in (*stages, *more) if stage not in left_out]
        main(results, tmp_path / out, params)
        return json.loads((tmp_path / out / "gates.json").read_text())["criteria"]

    return start


def test_twice_gives_equal_bytes_and_all_that_a_reader_needs(run, tmp_path, hash_folder):
    gates = run(out="one")
    assert run(out="two") == gates
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")
    assert [(gate["id"], gate["verdict"]) for gate in gates] == [
        ("ratio", "pass"), ("accuracy", "fail"), ("median", "not assessable"), ("reach", "pass"),
    ]  # fmt: skip
    assert gates[0] == {
        "id": "ratio", "verdict": "pass", "because": "the whole interval is <= 2", "metric": "qualify_generator: ratio",
        "found": {"value": 1.4, "low": 1.1, "high": 1.6, "n": 1000}, "comparison": "<=", "bar": 2.0, "min_samples": 1,
        "gate": "generator", "needs_generator": False, **COMMON,
    }  # fmt: skip
    assert gates[2]["found"] == {"value": None, "low": 5.0, "high": None, "n": 80}
    assert gates[3]["found"]["n"] == 80
    counts = json.loads((tmp_path / "one/metrics.json").read_text())
    assert counts == {"criteria": 4, "pass": 2, "fail": 1, "not_assessable": 1, "generator_passed": True}
    table = pd.read_csv(tmp_path / "one/figures/gates.csv")
    assert list(table["id"]) == [gate["id"] for gate in gates]
    assert (tmp_path / "one/gates.csv").read_bytes() == (tmp_path / "one/figures/gates.csv").read_bytes()
    assert (tmp_path / "one/figures/gates.png").stat().st_size > 5000


def test_a_generator_that_fails_closes_what_depends_on_it(run, tmp_path):
    bad = {"ratio": 5.0, "ratio_interval": {"low": 4.0, "high": 6.0, "n": 1000}}
    gates = {gate["id"]: gate for gate in run(metrics=METRICS | {"qualify_generator": bad})}
    assert [gate["verdict"] for gate in gates.values()] == ["fail", "fail", "not assessable", "not assessable"]
    assert gates["reach"]["because"] == "the generator did not pass: ratio"
    assert json.loads((tmp_path / "out/metrics.json").read_text())["generator_passed"] is False


def test_a_row_is_scaled_to_its_bar_and_turned_so_that_right_is_good():
    above = decide(build_criterion(bar=0.5), build_estimate(0.6, 0.9))
    np.testing.assert_allclose(scale_to_bar(above), (0.625, 0.25, 1))
    below = decide(build_criterion(bar=2.0, comparison="<="), Estimate(1, 0, NAN, 5))
    np.testing.assert_allclose(scale_to_bar(below), (0.5, NAN, 1))
    at_bar = decide(build_criterion(bar=1.0), Estimate(1.0, has_interval=False))
    np.testing.assert_allclose(scale_to_bar(at_bar), (0, NAN, NAN))
    assert tell_row(below) == "1 [0, unknown], n=5\nasked for <= 2"
    unmeasured = decide(build_criterion(), Estimate(NAN, n=0))
    assert tell_row(unmeasured) == "unknown, n=0\nasked for >= 0.9"
    figure = draw_verdicts([above, below, at_bar, unmeasured])
    plt.close(figure)
    axes = figure.axes[0]
    words = [label.get_text() for label in axes.get_yticklabels()]
    assert words == ["it\npass", "it\nnot assessable", "it\npass", "it\nnot assessable"]
    drawn = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    assert any(np.allclose(ends, (0.25, 1)) for ends in drawn)
    assert any(ends[0] < -1 and ends[1] == 1 for ends in drawn), "an unknown bound reaches past the edge"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "train/clean: acuracy"}, "criteria.1.metric (accuracy): got 'train/clean: acuracy'; "),
        ({"metric": "train/clean: acuracy"}, "in/train/clean/metrics.json holds no such key, there: accuracy, classes"),
        ({"metric": "train/clear: accuracy"}, "allowed before the colon: qualify_generator, train/clean, walk/clean ("),
        ({"metric": "train/clean: accuracy.n.low"}, "holds no such key, there: high, low, n, value"),
        ({"metric": "train/clean accuracy"}, "criteria.1.metric: got 'train/clean accuracy'; allowed: "),
        ({"comparison": "=="}, "criteria.1.comparison: got '=='; allowed: '>=', '<=', '>' or '<'"),
        ({"bar": "high"}, "criteria.1.bar: got 'high'; allowed: a valid number"),
        ({"bar": float("nan")}, "criteria.1.bar: got nan; allowed: a finite number"),
        ({"min_samples": 0}, "criteria.1.min_samples: got 0; allowed: greater than or equal to 1"),
        ({"gate": "judge"}, "criteria.1.gate: got 'judge'; allowed: 'generator'"),
        ({"supports": ""}, "criteria.1.supports: got ''; allowed: "),
        ({"id": "Accuracy"}, "criteria.1.id: got 'Accuracy'; allowed: "),
        ({"id": "ratio"}, "acceptance: allowed: criteria with ids of their own; used twice: ratio"),
        ({"bars": 1.0}, "criteria.1.bars: unknown key; allowed here: id, metric, comparison, bar"),
    ],
)
def test_wrong_criteria_name_key_value_and_what_is_allowed(run, tmp_path, changes, message):
    criteria = [CRITERIA[0], CRITERIA[1] | changes, *CRITERIA[2:]]
    with pytest.raises(StageError) as caught:
        run(criteria=criteria)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_needs_the_generator_needs_a_gate(run):
    with pytest.raises(StageError, match=r"criteria with needs_generator \(median, reach\) only beside one with `gate"):
        run(criteria=CRITERIA[1:])
    with pytest.raises(StageError, match=r"acceptance\.criteria: got \[\]; allowed: "):
        run(criteria=[])


def test_missing_and_damaged_metrics_are_named(run, tmp_path):
    nothing_there = r"got 'train/clean: accuracy'; allowed before the colon: qualify_gen"
    with pytest.raises(StageError, match=nothing_there):
        run(left_out=["train"])
    with pytest.raises(StageError, match=r"qualify_generator/metrics.json holds no number there but str"):
        run(metrics=METRICS | {"qualify_generator": {"ratio": "low"}})
    (tmp_path / "in/train/clean/metrics.json").unlink()
    with pytest.raises(StageError, match=rf"{nothing_there}.*, train \("):
        run(metrics={name: each for name, each in METRICS.items() if name != "train/clean"} | {"train": {}})
    (tmp_path / "in/qualify_generator/metrics.json").unlink()
    with pytest.raises(StageError, match=r"qualify_generator/metrics.json: missing; make it with: dvc repro qualify_g"):
        run(metrics={"walk/clean": {}}, criteria=CRITERIA[:1], more=["qualify_generator"])


def test_the_projects_own_criteria_are_there_to_be_met():
    section = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["acceptance"]
    criteria = AcceptanceParams.model_validate(section).criteria
    assert {criterion.gate for criterion in criteria} == {None, "generator"}
    for criterion in criteria:
        assert criterion.supports, criterion.id
        assert "compl" not in criterion.supports.lower(), "a result supports a clause, it never complies with one"
