"""A small tree of results with known numbers: real networks and rankings, metrics and figures of the right form."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy.special import softmax

from failure_atlas.classifiers.evaluation import tabulate_outputs, tabulate_severities
from failure_atlas.core.files import write_csv
from failure_atlas.images.image_set import Severities
from stages.report import measures
from tests.house import ROOT
from tests.modes import write_modes

NAMES = ("first", "second")
TRAININGS = {"train_judges": ("ensemble", ("judge", "auditor"))} | {
    f"train_classifiers/{name}": ("test_set", ("clean", "corrupted")) for name in NAMES
}
CLAIMED = ("contradicted", "too few real images", "no claim")
CLASSES = [str(label) for label in range(10)]
SHARED_FIGURES = {
    "compute_curves": measures.FIGURES,
    "qualify_generator": measures.GENERATOR_FIGURES,
    "measure_attributes": ("attribute_errors",),
    "corrupt_images": ("severities",),
}
FIGURES = {
    "find_failures": ("failures", "distance", "real_images"),
    "corroborate": ("corroboration",),
    "find_modes": ("mode_1", "mode_2", "mode_3", "map"),
    "name_directions": ("directions", "ranking", "fig4_well_against_mis"),
    "judge_failures": ("verdicts", "contact_sheet"),
    "walk_corner_cases": ("fig7_corner_cases", "fig5_degradation_class3"),
    "measure_robustness": ("robustness", "joint_walks"),
    "compare_rankings": ("comparison",),
}


# What of the metrics of the default run is put otherwise, so that the page's words for it are known.
KNOWN: dict[str, dict[str, Any]] = {
    "rank_dimensions": {"samples": 200},
    "find_failures": {
        "confidence": 0.975, "inside_share": 0.9,
        "start_share": {"value": 0.915, "low": 0.868, "high": 0.946, "n": 200},
        "median_distance_std": {"value": 6.25, "low": 5.75, "high": None, "n": 200},
    },
    "walk_corner_cases": {
        "reached_within_5_std": 0.18, "reached_within_20_std": None,
        "reached_within_5_std_interval": {"low": 0.117, "high": 0.267, "n": 100},
        "median_shift_std": 12.5, "median_shift_std_interval": {"low": 9.4, "high": None, "n": 100},
    },
    "judge_failures": {"true_failure_share_corrected": {"value": None, "low": 0.0, "high": 1.0, "n": 40}},
    "compare_rankings": {
        "attfind_margin": 0.02, "best_gradient_no_worse_than_attfind": "not decided",
        "best_gradient_minus_attfind_accuracy": {"value": -0.01, "low": -0.16, "high": 0.14, "n": 300},
        "attfind_leads": [{"k": 3, "shift_std": 2.0}],
    },
}  # fmt: skip


def build_metrics() -> dict[str, dict[str, Any]]:
    """The content of every metrics.json of the default run that the page shows, by its folder."""
    tree: dict[str, dict[str, Any]] = {}
    for path in sorted((ROOT / "data").rglob("metrics.json")):
        text = f'"{path.parent.relative_to(ROOT / "data").as_posix()}": {path.read_text(encoding="utf-8")}'
        for old, new in zip(("clean", "corrupted"), NAMES, strict=True):
            text = re.sub(rf'(?<=["/]){old}(?="|_(wrong_)?kept_share")', new, text)
        tree |= json.loads("{" + text.replace("corrupted_minus_clean", "second_minus_first") + "}")
    accuracy = {"naming_accuracy": 0.9875, "naming_accuracy_interval": {"low": 0.95, "high": 0.996, "n": 80}}
    tree["measure_attributes"] = {"shape_words": "strokes"} | accuracy
    for place, metrics in tree.items():
        metrics |= KNOWN.get(place.split("/")[0], {})
    return tree


def build_gates() -> dict[str, Any]:
    """Three criteria, one of each verdict."""
    entry = {"comparison": ">=", "bar": 0.93, "reason": "because", "supports": "AMLAS [X]"}
    verdicts = {"sound": "pass", "weak": "fail", "vague": "not assessable"}
    return {
        "criteria": [
            entry
            | {"id": name, "verdict": verdict, "metric": f"train_classifiers/first: {name}"}
            | {"found": {"value": 0.95, "low": 0.94, "high": 0.96, "n": 1234}}
            for name, verdict in verdicts.items()
        ]
    }


def build_claims() -> dict[str, Any]:
    """Three claims, one of each verdict."""
    evidence = {
        "train_classifiers/first: corrupted_half_test_accuracy": {"value": 0.5, "low": None, "high": None, "n": None}
    }
    figures = [f"report/figures/train_classifiers/{name}/reliability.png" for name in NAMES]
    return {
        "claims": [
            {"id": verdict, "claim": f"A claim that {verdict}.", "source": "2.2", "verdict": verdict, "rule": "a rule",
             "corrected_verdict": "not decided", "versions": "holds in raw S", "figure": figures, "evidence": evidence}
            for verdict in ("holds", "fails", "not decided")
        ]
    }  # fmt: skip


def write_tree(folder: Path, networks: Mapping[str, Path]) -> Path:
    """Write all results; networks: as the fixtures of the rooms make them."""
    for place, content in build_metrics().items():
        write_json(folder / place / "metrics.json", content)
    for name, other in zip(NAMES, reversed(NAMES), strict=True):
        write_modes(folder / "find_modes" / name, others={other: 0.125})
    write_json(folder / "acceptance" / "gates.json", build_gates())
    write_json(folder / "check_claims" / "claims.json", build_claims())
    pd.DataFrame({"id": ["holds"]}).to_csv(folder / "check_claims" / "claims.csv", index=False)
    figures = dict(SHARED_FIGURES)
    figures |= {f"{stage}/{name}": stems for stage, stems in FIGURES.items() for name in NAMES}
    for index, (place, stem) in enumerate((place, stem) for place, stems in figures.items() for stem in stems):
        path = folder / place / "figures" / f"{stem}.png"
        write_figure(path, index)
        if stem.startswith("mode_"):  # its numbers are those of modes.csv
            path.with_suffix(".csv").unlink()
    for seed, (place, kind) in enumerate(TRAININGS.items()):
        write_outputs(folder / place / "tables", kind, seed)
    copy(networks["generator"], folder / "train_stylegan2" / "generator.safetensors")
    copy(networks["judge"], folder / "train_judges" / "judge.safetensors")
    shutil.copytree(networks["population"], folder / "sample_populations", dirs_exist_ok=True)
    for name in NAMES:
        copy(networks["classifier"], folder / "train_classifiers" / name / "classifier.safetensors")
        copy(networks["ranking"] / "ranking.csv", folder / "rank_dimensions" / name / "ranking.csv")
        copy(networks["names"] / "directions.csv", folder / "name_directions" / name / "directions.csv")
        write_tables(folder, name)
    return folder


def write_tables(folder: Path, name: str) -> None:
    claim = {"name": "fainter", "generated_n": 200, "real_n": 90} | bound("generated", 0.625) | bound("real", 0.5625)
    rows = [{"claim": "distance", "dimension": -1, "verdict": "corroborated"} | claim]
    rows += [{"claim": "direction", "dimension": 5, "verdict": verdict} | claim for verdict in CLAIMED]
    pd.DataFrame(rows).to_csv(folder / "corroborate" / name / "claims.csv", index=False)


def bound(name: str, value: float) -> dict[str, float]:
    return {name: value, f"{name}_low": value / 2, f"{name}_high": (1 + value) / 2}


def write_outputs(folder: Path, kind: tuple[str, tuple[str, str]], seed: int) -> None:
    """What a training leaves of its judges or classifier: tables of answers to random images."""
    stream = np.random.default_rng(seed)
    column, names = kind
    labels = np.arange(60) % 10
    probabilities = {name: softmax(3 * np.eye(10)[labels] + stream.normal(size=(60, 10)), axis=1) for name in names}
    tables = tabulate_outputs(probabilities, dict.fromkeys(names, labels), CLASSES, column)
    severities = Severities({step: stream.integers(0, 3, 60).astype(np.uint8) for step in ("blur", "noise")})
    tables["severities"] = tabulate_severities(stream.random(60) < 0.8, severities)
    if column == "test_set":
        curve = {"images": [100, 200], "train_loss": [1.5, 0.5 + seed / 10], "train_accuracy": [0.5, 0.8]}
        tables["learning_curve"] = pd.DataFrame(curve | {f"{name}_test_accuracy": [0.4, 0.7] for name in names})
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table)


def write_figure(path: Path, index: int) -> None:
    """A PNG and a CSV that no other figure has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = BytesIO()
    Image.new("RGB", (640, 60 + index), (index, 90, 200)).save(file, "PNG")
    path.write_bytes(file.getvalue())
    path.with_suffix(".csv").write_text(f"x,y\n{index},1\n", encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def edit_json(path: Path, change: Callable[[Any], object]) -> None:
    """Change the content of a JSON file in place."""
    held = json.loads(path.read_text(encoding="utf-8"))
    change(held)
    write_json(path, held)
