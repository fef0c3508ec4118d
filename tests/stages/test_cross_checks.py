"""A wrong value anywhere in params.yaml is one line before any work, whatever it is; nothing old is deleted."""

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from failure_atlas.core.errors import StageError
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture
from stages.__main__ import KEY, PASSED, check_document, check_files
from stages.acceptance import known_metrics
from stages.train_stylegan2.params import TrainStylegan2Params
from tests import yaml12 as yaml
from tests.house import ROOT, read_dag
from tests.project import copy_project, run

PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STUDY: dict[str, Any] = yaml.safe_load((ROOT / "study" / "params.yaml").read_text(encoding="utf-8"))
BROUGHT = {
    "load": "net:Net", "arguments": {"width": 3}, "weights": "w.pt", "class_order": ["a", "b"], "outputs": "logits",
    "batch_size": 100, "seed": 1, "input": {
        "size_px": 28, "fit": "crop", "interpolation": "bilinear", "channels": 1, "range": [0, 1], "mean": [0.1],
        "std": [0.3], "polarity": "light_on_dark",
    },
}  # fmt: skip
CRITIC = {
    "networks": [{"network": "residual", "width": 32}], "training_images": 1000, "width": 128, "weight": 2.0,
    "learning_rate": 0.002, "r1_gamma": 0.02, "moment_weight": 150.0, "moment_kimg": 30,
}  # fmt: skip
NASTY: list[Any] = [
    *(0, -1, 10**10, 10**30, -(10**400), 10**5000, 0.5, 1e300, 5e-324, float("nan"), float("inf"), True, None),
    *("", "x" * 5000, "1e-5", "../../etc/passwd\x1b[2J\n", "\ud800", b"x", {}, {"a": {"b": [1]}}, {1: 2}, {(1, 2): 3}),
    *([], [None], [[3]], [[[[]]]], [True], [1, 1], ["a", 1], [float("nan")], [10**10], [{}], list(range(100_000))),
]


def walk(node: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document: sections, keys, items."""
    if place:
        yield place
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, inner in items:
        yield from walk(inner, (*place, key))


def put(document: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    node: Any = changed
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return changed


def whole() -> dict[str, Any]:
    """The project's params with everything that may be left out."""
    document = copy.deepcopy(PARAMS)
    document[KEY]["mine"] = "bring_classifiers"
    document["bring_classifiers"] = {"mine": BROUGHT}
    document["train_stylegan2"]["feature_critic"] = CRITIC
    document["acceptance"]["criteria"] = document["acceptance"]["criteria"][:3]
    check_document(document, Path("params.yaml"))
    return document


@pytest.mark.parametrize("room", [*PARAMS, *sorted(STUDY.keys() - PARAMS.keys())])
def test_no_value_whatever_is_a_traceback_or_takes_long(room: str) -> None:
    partial = room not in PARAMS
    document = STUDY if partial else whole()
    for place in walk({room: document[room]}):
        for value in NASTY:
            changed = put(document, place, value)
            started = time.monotonic()
            try:
                check_document(changed, Path("params.yaml"), partial=partial)
            except StageError as error:
                message = str(error)
                assert message.startswith("params.yaml: "), message
                assert message.isprintable(), (place, message)
                assert len(message) < 4000, (place, message)
            assert time.monotonic() - started < 5, (place, value)


CRITERION = ("acceptance", "criteria", 0, "metric")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("check_claims", "trained_on_clean"), "klean",
         "check_claims.trained_on_clean: got 'klean'; allowed: a classifier that is trained here and under test: clea"),
        (("walk_corner_cases", "figure_classes"), [3, 999], "walk_corner_cases.figure_classes.1: got 999; allowed: le"),
        (("walk_corner_cases", "figure_classes"), [10],
         "walk_corner_cases.figure_classes: got 10; allowed: at most 9, the last class, counted from 0"),
        (("walk_corner_cases", "start_samples"), [9999, 10000],
         "walk_corner_cases.start_samples: got 10000; allowed: at most 9,999, the last of sample_populations.samples"),
        (("walk_corner_cases", "grid_step_std"), 1e-9, "walk_corner_cases: allowed: at most 10,000 steps, not max_shi"),
        (("compute_curves", "top_k"), [100, 513, "all"], "compute_curves.top_k: got 513; allowed: at most 512, the st"),
        (("compare_rankings", "top_k"), [3, 10, 600], "compare_rankings.top_k: got 600; allowed: 1 to 512"),
        (("shift_samples", "dimensions"), 513, "shift_samples.dimensions: got 513; allowed: at most 512, the style"),
        (("shift_samples", "samples"), 20_000, "shift_samples.samples: got 20000; allowed: at most 10,000, the pop"),
        (("measure_robustness", "samples"), 20_000, "measure_robustness.samples: got 20000; allowed: at most 10,000"),
        (("compare_rankings", "samples"), 20_000, "compare_rankings.samples: got 20000; allowed: 205 to 10000"),
        (("sample_populations", "samples"), 10**10, "sample_populations.samples: got 10000000000; allowed: less than"),
        (("sample_populations", "samples"), 39, "sample_populations.samples: got 39; allowed: at least 50: 4 of each"),
        (("prepare_images", "channels"), True, "prepare_images.channels: got True; allowed: a whole number"),
        (("prepare_images", "channels"), 1.0, "prepare_images.channels: got 1.0; allowed: a whole number"),
        (("prepare_images", "size_px"), 64,
         "train_stylegan2.generator_channels: got [64, 64, 32, 16]; allowed: 5 widths, one for each of 4, 8, 16, ..."),
        (CRITERION, "qualify_generators: frechet_ratio", "got 'qualify_generators: frechet_ratio'; allowed: before th"),
        (CRITERION, "qualify_generator: frechet", "allowed: after the colon copies_share, frechet_distance, "),
        (CRITERION, "qualify_generator: frechet_ratio.values", "after the colon nothing below a number but .value, .l"),
        (CRITERION, "train_judges: judge.acuracy", "after the colon accuracy, accuracy_on_corrupted, calibration_erro"),
        (CRITERION, "train_judges: judge", "after the colon one of its parts: accuracy, "),
        (CRITERION, "train_judges/clean: agreement", "before the colon train_judges"),
        (CRITERION, "rank_dimensions: population_accuracy", "before the colon rank_dimensions/NAME, NAME a classifier"),
        (CRITERION, "rank_dimensions/mine: samples", "before the colon rank_dimensions/clean or rank_dimensions/corr"),
        (CRITERION, "bring_classifiers/mine: clean_test_accuracy", "before the colon another folder"),
        (CRITERION, "compute_curves: mine.area", "after the colon clean, corrupted, paired"),
        (CRITERION, "compute_curves: paired.clean_minus_corrupted.area", "after the colon corrupted_minus_clean"),
    ],
)  # fmt: skip
def test_what_one_section_says_of_another_is_checked(place: tuple[Any, ...], value: Any, message: str) -> None:
    with pytest.raises(StageError) as caught:
        check_document(put(PARAMS, place, value), Path("params.yaml"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "metric",
    [
        *("compute_curves: corrupted.area.low", "compute_curves: corrupted.area_per_class.3.low"),
        *("rank_dimensions/clean: samples", "qualify_generator: frechet_ratio_interval.high"),
        "train_classifiers/clean: clean_test_accuracy_per_class.T-shirt/top",
        "train_classifiers/clean: clean_test_accuracy_per_class.No.1.low",
    ],
)  # fmt: skip
def test_good_metrics_are_taken(metric: str) -> None:
    check_document(put(PARAMS, CRITERION, metric), Path("params.yaml"))


def find_numbers(node: Any, key: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from find_numbers(inner, f"{key}.{name}" if key else name)
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield key


@pytest.mark.parametrize("results", [ROOT / "data", ROOT / "docs" / "fashion_mnist" / "metrics"], ids=str)
def test_every_metric_of_a_run_is_known(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_metrics, "RESULTS", tmp_path)  # the list alone has to know them
    names = ["clean", "corrupted"]
    rooms = set()
    for path in results.rglob("metrics.json"):
        room, _, name = path.parent.relative_to(results).as_posix().partition("/")
        if room not in known_metrics.KNOWN:
            continue
        rooms.add(room)
        for key in find_numbers(json.loads(path.read_text(encoding="utf-8"))):
            assert not known_metrics.check_metric(room, name, key, names, names), f"{room}: {key}"
    assert rooms == known_metrics.KNOWN.keys() - {"bring_classifiers"} or results.name == "metrics"
    folders = {word.removeprefix("data/") for word in read_dag()["acceptance"]["cmd"].split() if "data/" in word}
    assert folders - {"acceptance"} == known_metrics.KNOWN.keys()


@pytest.mark.parametrize("channels", [[64, 64, 32, 16], [8, 8, 8, 8], [64, 48, 32, 16, 8]])
def test_the_style_dimensions_follow_from_the_widths(channels: list[int]) -> None:
    section = TrainStylegan2Params.model_construct(generator_channels=channels)
    network = Generator(GeneratorArchitecture(8, 8, 10, 1, tuple(channels), 1, "bilinear"))
    assert section.style_dimensions == network.style_dimensions
    assert network.architecture.size_px == 2 << len(channels)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("train_stylegan2", "total_kimg"), 10, "train_stylegan2.total_kimg: got 10; allowed: at least the 3440 that"),
        (("train_stylegan2", "z_dim"), 32, "its generator has z_dim 64, the params ask for 32; set the params to it"),
        (("train_stylegan2", "resume", 0, "sha256"), 64 * "0", "data/released/snapshot.safetensors: expected SHA-256"),
        (("train_stylegan2", "resume", 0, "path"), "gone", "train_stylegan2.resume.0.path: no file gone"),
        (("train_judges", "released", 0, "judge", "path"), "gone", "train_judges.released.0.judge.path: no file gone"),
        (("prepare_images", "channels"), 3, "prepare_images.channels: got 3; allowed: 1, what the networks of"),
    ],
)  # fmt: skip
def test_pinned_files_are_there_and_fit(
    monkeypatch: pytest.MonkeyPatch, place: tuple[Any, ...], value: Any, message: str
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(StageError) as caught:
        check_files(check_document(put(PARAMS, place, value), Path("params.yaml")))
    assert message in str(caught.value)


def test_a_wrong_value_stops_dvc_before_anything_old_is_deleted(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    params = project / "params.yaml"
    good = params.read_text(encoding="utf-8")
    made = run(project, "dvc", "repro", "prepare_images")
    assert made.returncode == 0, made.stdout + made.stderr
    assert (project / "data/check_params/passed.txt").read_text(encoding="utf-8") == PASSED
    before = {path: path.read_bytes() for path in (project / "data").rglob("*") if path.is_file()}
    lock = (project / "dvc.lock").read_bytes()
    for text in (good.replace("seed: 1", "seed: 2", 1), good):
        wrong = yaml.safe_load(text) | {"walk_corner_cases": PARAMS["walk_corner_cases"] | {"figure_classes": [999]}}
        params.write_text(yaml.safe_dump(wrong), encoding="utf-8")
        stopped = run(project, "dvc", "repro")
        assert stopped.returncode != 0
        assert "error: params.yaml: walk_corner_cases.figure_classes.0: got 999" in stopped.stdout + stopped.stderr
        assert {path: path.read_bytes() for path in (project / "data").rglob("*") if path.is_file()} == before
        assert (project / "dvc.lock").read_bytes() == lock
    params.write_text(good + "# a comment changes no param\n", encoding="utf-8")
    again = run(project, "dvc", "repro", "prepare_images")
    assert again.returncode == 0
    assert "Stage 'prepare_images' didn't change, skipping" in again.stdout
