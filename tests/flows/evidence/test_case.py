"""The case in a bundle says what the metrics say: whoever has the key and changes it, or what it rests on, is found."""

import csv
import json
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from flows.errors import FlowError
from flows.evidence.attestation import METRICS_SCHEMA
from flows.evidence.case import ARGUMENT, BOM, CLAUSES, CROISSANT, PICTURE, TOOL
from flows.evidence.pipeline import PAGE
from flows.evidence.verification import verify
from tests import yaml12 as yaml
from tests.flows.evidence.conftest import ROOT, Made, commit, edit_statement, sign_again, write_params
from tests.flows.evidence.forging import forge
from tests.flows.evidence.test_bundle import call
from tests.gsn import check_gsn

Spoil = Callable[[Path, Made], object]


def replace(bundle: Path, name: str, old: str, new: str) -> None:
    text = (bundle / name).read_text(encoding="utf-8")
    assert old in text, f"{name} holds no {old}"
    (bundle / name).write_text(text.replace(old, new, 1), encoding="utf-8")


def drop_hazard(bundle: Path, made: Made) -> None:
    """From the params, with dvc.lock and inventory in agreement: the argument then says too much."""
    params = json.loads((bundle / "params.yaml").read_text())
    lock = yaml.safe_load((bundle / "dvc.lock").read_text())
    del params["acceptance"]["hazards"]
    lock["stages"]["acceptance"]["params"]["params.yaml"]["acceptance"] = params["acceptance"]
    (bundle / "dvc.lock").write_text(json.dumps(lock))
    forge(bundle, made.key, "params.yaml", json.dumps(params).encode())


def swap_verdict(bundle: Path, made: Made) -> None:
    """Of the criterion that failed, everywhere in the argument: its counter solution becomes a solution."""
    text = (bundle / ARGUMENT).read_text()
    text = text.replace("CSn-small", "Sn-small").replace("  challenges: G-small\n", "").replace("refuted", "supported")
    text = text.replace("  undeveloped: true\n  defeated: true\n", "  supportedBy: [Sn-small]\n")
    (bundle / ARGUMENT).write_text(text.replace("fail", "pass"))


SPOILT: list[tuple[Spoil, str, str]] = [
    (lambda bundle, _: replace(bundle, ARGUMENT, "as its requirements ask", "as any can be"), ARGUMENT, "G-top: holds"),
    (lambda bundle, _: replace(bundle, ARGUMENT, "measure: mean >= 0.1", "measure: mean >= 0.9"), ARGUMENT, "G-mean"),
    (lambda bundle, _: replace(bundle, ARGUMENT, "n=30", "n=3,000"), ARGUMENT, "mean"),
    (swap_verdict, ARGUMENT, "made again from the metrics"),
    (lambda bundle, _: replace(bundle, ARGUMENT, "G-hazard-taken", "G-mean"), ARGUMENT, "G-hazard-taken"),
    (drop_hazard, ARGUMENT, "G-requirements: holds"),
    (lambda bundle, _: (bundle / ARGUMENT).write_bytes(b"\xff"), ARGUMENT, "holds"),
    (lambda bundle, _: replace(bundle, PICTURE, "✗ refuted", "✓ supported"), PICTURE, "✗ refuted"),
    (lambda bundle, _: replace(bundle, PAGE, "svg+xml;base64,", "svg+xml;base64,A"), PAGE, "another argument.svg than"),
    (lambda bundle, _: replace(bundle, PAGE, "application/yaml", "text/plain"), PAGE, "another argument.gsn.yaml than"),
    (lambda bundle, _: replace(bundle, CLAUSES, ",none,", ",supported,"), CLAUSES, ",none,"),
    (lambda bundle, _: replace(bundle, TOOL, "not measured here", "100 tests"), TOOL, "100 tests"),
    (lambda bundle, _: replace(bundle, BOM, '"version": 1', '"version": 2'), BOM, '"version": 2'),
    (lambda bundle, _: (bundle / PICTURE).unlink(), PICTURE, "missing in the bundle"),
    (lambda bundle, _: (bundle / "case/more.yaml").write_text(""), "case/more.yaml", "nothing that dvc.yaml wants"),
]


@pytest.mark.parametrize(("spoil", "name", "what"), SPOILT)
def test_an_argument_that_says_otherwise_than_the_metrics_is_refused(
    made: Made, spoil: Spoil, name: str, what: str
) -> None:
    assert verify(made.newest, made.keys).accepted
    spoil(made.newest, made)
    sign_again(made.newest, made.key)
    told = [str(problem) for problem in verify(made.newest, made.keys).problems]
    assert any(each.startswith(f"{name}: ") and what in each for each in told), told


def test_case_of_a_bundle(lasting: Made) -> None:
    nodes = yaml.safe_load((lasting.newest / ARGUMENT).read_text())
    assert check_gsn(nodes) == []
    assert nodes["G-mean"]["status"] == "supported"
    assert nodes["G-small"]["defeated"] is True
    assert nodes["G-hazard-taken"]["supportedBy"] == ["G-mean"]
    assert nodes["G-top"]["status"] == "refuted"


def test_what_is_known_of_the_tool_is_copied_and_checked(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    source, points = "study/data/find_planted/metrics.json", "study/data/find_planted/curve.csv"
    (made.project / source).parent.mkdir(parents=True)
    names = "rate,support_low,support_high,found,n,share,share_low,share_high"
    (made.project / points).write_text(
        f"{names}\n0.1,0.005,0.01,3,40,0.075,0.02,0.2\n0.9,0.05,0.2,30,40,0.75,0.6,0.9\n"
    )
    shutil.copy(ROOT / source, made.project / source)
    commit(made.project, "a study")
    monkeypatch.chdir(made.project)
    assert call("evidence", "--out", "evidence/third")[0] == 0
    third = made.project / "evidence/third"
    table = list(csv.DictReader(StringIO((third / TOOL).read_text())))
    held = json.loads((ROOT / source).read_text())
    assert table[0]["found"].startswith(f"{held['planted_recovered_share']:.3g} [")
    curve = [row for row in table if row["file"] == "case/tool/find_planted_curve.csv"]
    assert [row["found"] for row in curve] == ["0.075 [0.02, 0.2], n=40", "0.75 [0.6, 0.9], n=40"]
    assert curve[0]["evidence"] == "those found that cover 0.5 to 1 % of images and fail in 10 % of these"
    assert all(row["not_shown"] for row in table)
    assert verify(third, made.keys, made.project, third.parent).accepted
    replace(third, "case/tool/find_planted.json", '"planted_recovered_share": 0.', '"planted_recovered_share": 0.9')
    sign_again(third, made.key)
    replace(third, "case/tool/find_planted_curve.csv", "0.075", "0.975")
    sign_again(third, made.key)
    assert [problem.path for problem in verify(third, made.keys).problems] == [TOOL]
    replace(third, "case/tool/find_planted_curve.csv", "0.975", "many")
    sign_again(third, made.key)
    assert "find_planted_curve.csv: no curve (ValueError)" in str(verify(third, made.keys).problems[0])


@pytest.mark.parametrize(
    ("build_type", "metrics", "told"),
    [
        ("v2", None, []),
        ("v3", METRICS_SCHEMA - 1, []),
        ("v1", None, ["buildType 'urn:failure-atlas:dvc-repro:v1'; read are urn:failure-atlas:dvc-repro:v2, urn:"]),
        ("v3", METRICS_SCHEMA + 1, [f"metrics of schema {METRICS_SCHEMA + 1}; read are {METRICS_SCHEMA} and the one"]),
    ],
)
def test_the_last_two_schemas_of_bundles_and_metrics_are_read(
    made: Made, build_type: str, metrics: int | None, told: list[str]
) -> None:
    def change(statement: dict[str, Any]) -> None:
        definition = statement["predicate"]["buildDefinition"]
        definition["buildType"] = f"urn:failure-atlas:dvc-repro:{build_type}"
        del definition["internalParameters"]["metrics"]
        definition["internalParameters"] |= {} if metrics is None else {"metrics": metrics}

    edit_statement(made.newest, made.key, change)
    problems = [str(problem) for problem in verify(made.newest, made.keys).problems]
    assert len(problems) == len(told)
    assert all(what in problem for what, problem in zip(told, problems, strict=True))


def test_the_command_writes_what_a_bundle_holds(made: Made, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(made.project)
    code, output = call("case", "--out", "elsewhere")
    assert code == 0
    assert output.splitlines() == [f"elsewhere/{name}" for name in (ARGUMENT, PICTURE, CLAUSES, TOOL, BOM, CROISSANT)]
    for name in output.splitlines():
        assert (made.project / name).read_bytes() == (made.newest / name.removeprefix("elsewhere/")).read_bytes()
    write_params(made.project, 3)
    with pytest.raises(FlowError, match=r"gates.json: not up to date"):
        call("case")
    params = json.loads((made.project / "params.yaml").read_text())
    params["acceptance"]["hazards"][0]["criteria"] = ["none"]
    (made.project / "params.yaml").write_text(json.dumps(params))
    with pytest.raises(FlowError, match=r"no case can be made: in hazard taken ids of criteria, not none; there are"):
        call("case", "--stale-ok")
    assert not (made.project / "case").exists()
