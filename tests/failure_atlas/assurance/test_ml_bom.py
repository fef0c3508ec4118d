"""The inventory is what the public validator takes; its slices are the kinds of input on which a classifier fails."""

import copy
import json
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from failure_atlas.assurance.argument import Basis
from failure_atlas.assurance.ml_bom import write_bom
from failure_atlas.decisions.summary import read_modes
from tests.failure_atlas.assurance.test_argument import build_criteria
from tests.modes import write_modes


def validate(bom: dict[str, Any]) -> Any:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom))


@pytest.fixture
def bom(tmp_path: Any) -> dict[str, Any]:
    write_modes(tmp_path)
    modes = {"first": read_modes((tmp_path / "modes.csv").read_text(), "modes.csv")}
    criteria = build_criteria("pass", "not assessable")
    criteria[1]["found"] = {"value": None, "low": None, "high": None, "n": None}
    weights = {"data/train_classifiers/first/classifier.safetensors": "ab" * 32}
    data = {"name": "mnist-5k", "path": "data/prepare_images/metrics.json", "sha256": "cd" * 32}
    return write_bom(Basis(criteria, [], modes, {}, {}, ["first", "second"]), weights, data)


def test_the_public_validator_takes_it_and_refuses_a_spoilt_one(bom: dict[str, Any]) -> None:
    assert validate(bom) is None
    for place, value in (("type", "model"), ("hashes", [{"alg": "SHA-256", "content": "x"}]), ("modelCard", [])):
        spoilt = copy.deepcopy(bom)
        spoilt["components"][0][place] = value
        assert validate(spoilt) is not None, place


def test_performance_is_told_by_slice_with_its_interval(bom: dict[str, Any]) -> None:
    first, second, data = bom["components"]
    metrics = first["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metrics[0] == {
        "type": "stage/first: key0", "value": "0.95", "slice": "all",
        "confidenceInterval": {"lowerBound": "0.94", "upperBound": "0.96"},
    }  # fmt: skip
    told = {(each["type"], each["slice"]): each["value"] for each in metrics[1:]}
    assert told[("failure rate, generated", "reads 8 as 3 when noise is above 0.14")] == "0.62"
    assert told[("failure rate, real", "reads 8 as 3 when noise is above 0.14")] == "0.41"
    assert len(metrics) == 1 + 3 + 2, "no criterion that was not measured, no real images where there are none"
    assert first["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert "hashes" not in second
    assert len(first["modelCard"]["considerations"]["technicalLimitations"]) == 3
    assert data["name"] == "mnist-5k"
