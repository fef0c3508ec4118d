"""An inventory of models and data as a CycloneDX 1.6 ML-BOM (https://cyclonedx.org/capabilities/mlbom/, ECMA-424).

CycloneDX and not SPDX 3: of both, only CycloneDX has a validator among Python's packages that knows this version. Its
library has no model card yet, so the JSON is made here and validated there. No time and no serial number: the same run
gives the same bytes.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from failure_atlas.assurance.argument import Basis
from failure_atlas.decisions.summary import names_classifier
from failure_atlas.statistics.estimates import Estimate, read_estimate

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
APPROACH = "supervised"


def write_bom(basis: Basis, weights: Mapping[str, str], data: Mapping[str, str]) -> dict[str, Any]:
    """The inventory.

    weights: SHA-256 of each model's file by its path, where known.  data: name, path and sha256 of the data set's
    metrics; empty where params state none.
    """
    made = [_describe_data(data)] if data else []
    models = [_describe_model(name, basis, weights, bool(data)) for name in basis.classifiers]
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "failure-atlas", "name": "failure-atlas"}},
        "components": [*models, *made],
    }


def _describe_model(name: str, basis: Basis, weights: Mapping[str, str], has_data: bool) -> dict[str, Any]:
    """A classifier under test: its files, what was measured of it, and on what kind of input it fails."""
    files = {path: sha256 for path, sha256 in weights.items() if f"/{name}/" in path}
    hashes = [{"alg": "SHA-256", "content": sha256} for sha256 in files.values()]
    parameters: dict[str, Any] = {"approach": {"type": APPROACH}, "task": "image classification"}
    if has_data:
        parameters["datasets"] = [{"ref": "data"}]
    limits = [f"{mode.texts['sentence']}: {mode.told_rate}" for mode in basis.modes.get(name, ())]
    card: dict[str, Any] = {
        "modelParameters": parameters,
        "quantitativeAnalysis": {"performanceMetrics": list(_list_metrics(name, basis))},
    }
    if limits:
        card["considerations"] = {"technicalLimitations": limits}
    own = {"type": "machine-learning-model", "bom-ref": f"classifier-{name}", "name": name}
    return own | ({"hashes": hashes} if len(hashes) == 1 else {}) | {"modelCard": card}


def _list_metrics(name: str, basis: Basis) -> Iterator[dict[str, Any]]:
    """Criteria that name a classifier over all images; then, slice by slice, its failure rates by mode."""
    for each in basis.criteria:
        if names_classifier(str(each["metric"]), name):
            yield from _measure(str(each["metric"]), read_estimate(each["found"]), "all")
    for mode in basis.modes.get(name, ()):
        yield from _measure("failure rate, generated", mode.estimates["rate"], mode.texts["sentence"])
        if mode.counts["n_real"]:
            yield from _measure("failure rate, real", mode.estimates["real_rate"], mode.texts["sentence"])


def _measure(kind: str, found: Estimate, part: str) -> Iterator[dict[str, Any]]:
    """One metric with its interval; nothing where it was not measured."""
    if math.isnan(found.value):
        return
    told = {"type": kind, "value": f"{found.value:.6g}", "slice": part}
    bounds = {
        key: f"{bound:.6g}" for key, bound in (("lowerBound", found.low), ("upperBound", found.high))
        if not math.isnan(bound)
    }  # fmt: skip
    yield told | ({"confidenceInterval": bounds} if bounds else {})


def _describe_data(data: Mapping[str, str]) -> dict[str, Any]:
    held: Sequence[dict[str, str]] = [{"name": key, "value": data[key]} for key in ("path", "sha256") if data.get(key)]
    described = {"type": "data", "bom-ref": "data", "name": data["name"], "properties": list(held)}
    return described | {"data": [{"type": "dataset", "name": data["name"]}]}
