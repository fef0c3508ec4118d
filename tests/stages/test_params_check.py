"""`python -m stages`: a wrong value anywhere in params.yaml is one line before any work; nothing old is deleted."""

import copy
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from failure_atlas.core.errors import StageError
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture
from stages.__main__ import (
    BROUGHT,
    GENERATOR,
    KEY,
    MAY_BE_EMPTY,
    PASSED,
    ROOMS,
    check_all_brought,
    check_document,
    check_params,
    main,
)
from stages.acceptance import known_metrics
from stages.common.classifier_params import ENTRIES, complete_entries
from stages.cross_checks import check_files
from stages.train_stylegan2.params import TrainStylegan2Params
from tests import yaml12 as yaml
from tests.house import ROOT, read_dag
from tests.project import copy_project, run
from tests.refusing import refused

FILE = Path("params.yaml")
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / FILE).read_text(encoding="utf-8"))
STUDY: dict[str, Any] = yaml.safe_load((ROOT / "study" / FILE).read_text(encoding="utf-8"))
CRITERION = "acceptance.criteria.0.metric"
MINE = {
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


def walk(node, place=()):
    """Every place in a document: sections, keys, items."""
    if place:
        yield place
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, inner in items:
        yield from walk(inner, (*place, key))


def put(document, place, value):
    """The document with one value changed or added; place: its keys, or all of them with dots between."""
    if isinstance(place, str):
        place = [int(key) if key.isdigit() else key for key in place.split(".")]
    changed = copy.deepcopy(document)
    node: Any = changed
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return changed


def whole():
    """The project's params with everything that may be left out."""
    document = copy.deepcopy(PARAMS)
    document[KEY]["mine"] = "bring_classifiers"
    document["bring_classifiers"] = {"mine": MINE}
    document["train_stylegan2"]["feature_critic"] = CRITIC
    section = document["acceptance"]
    section["criteria"] = section["criteria"][:3]
    section["hazards"] = [section["hazards"][0] | {"criteria": [section["criteria"][2]["id"]]}]
    check_document(document, FILE)
    return document


def fault_of(document, partial=False):
    return refused("^params.yaml: ", check_document, document, FILE, partial=partial).removeprefix("params.yaml: ")


def test_the_projects_own_params_are_good():
    check_params(ROOT / "params.yaml")
    check_params(ROOT / "study" / "params.yaml", partial=True)
    assert sorted({*PARAMS, *STUDY} - {KEY, GENERATOR}) == ROOMS


FAULTS = [
    ("corrupt_images.severities", [7], ".0: got 7; allowed: less than or equal to 5"),
    ("sample_populations.samples", 0, ": got 0; allowed: greater than or equal"),
    ("train_stylegan2.resume", [{"file": "x"}], ".0.file: unknown key; allowed"),
    ("compute_curves", None, ": got None; allowed: a valid dictionary"),
    ("train_classifiers", None, ": got None; allowed: at least one named entry"),
    ("train_classifiers", {}, ": got {}; allowed: at least one named entry"),
    ("train_classifiers", [1], ": got [1]; allowed: at least one named entry"),
    ("train_judges.released", "brought", ": got 'brought'; allowed: brought with an entry bring_classifiers.judge"),
    ("train_judges.released", "bring", ": got 'bring'; allowed: a valid list or 'brought'"),
    ("bring_classifiers", None, ": got None; allowed: named entries, or {} for none"),
    ("bring_classifiers.mine", {}, ": allowed: exactly one of load, onnx, predict, url"),
    ("bring_classifiers.mine", {"load": "my_model"}, ".load: got 'my_model'; allowed: module:name, e.g. my_model:buil"),
    ("bring_classifiers.mine", {"load": "m:Net", "weights": "../weights.pt"}, ".weights: got '../weights.pt'; allowed"),
    ("bring_classifiers.mine", {"onnx": "m.onnx", "weights": "weights.pt"}, ": allowed: weights only beside load; it "),
    ("bring_classifiers.mine", {"load": "m:Net", "input": {"range": [0, 0]}}, ".input.range: got [0, 0]; allowed: two"),
    ("bring_classifiers.mine", {"load": "m:Net", "input": {"size": 28}}, ".input.size: unknown key; allowed here: cro"),
    ("bring_classifiers.mine", {"url": "ftp://host/model"}, ".url: got 'ftp://host/model'; allowed: an address that s"),
    ("train_classifiers.wide", {}, ".train_on: missing; add it"),
    ("train_classifiers.corrupted.width", 12, ": got 12; allowed: a"),
    ("train_classifiers.corrupted.depth", 3, ": unknown key; allo"),
    ("train_classifiers.clean.augmentation", {"scale": 3.0}, ".rotation_degrees: missing; add it (and 4 more)"),
    ("train_classifiers.wide", None, ": got None; allowed: a valid dictionary"),
    ("bring_classifiers.mine", {"load": "m:Net", "weights": "."}, ".weights: got '.'; allowed: the name of a file ins"),
    ("bring_classifiers.mine", {"load": "m:Net", "weights": "w" * 256}, ".weights: got 'www"),
    ("train_clasifiers", {}, f": no stage of that name; sections: {KEY}, {GENERATOR}, {', '.join(ROOMS)}"),
    ("classifiers", {}, ": got {}; allowed: at least one line `NAME: SECTION`, where SECTION, train"),
    ("classifiers", ["clean"], ": got ['clean']; allowed: at least one line"),
    ("classifiers.My net", "train_classifiers", "classifiers: got the name 'My net'; allowed: lower case"),
    ("classifiers.clean", "train_judges", ": got 'train_judges'; allowed: train_classifiers"),
    ("classifiers.nowhere", "train_classifiers", ": train_classifiers has no entry 'nowhere'; add it; entries there: "),
    ("check_claims.trained_on_clean", "klean", ": got 'klean'; allowed: a classifier that is trained here and under t"),
    ("walk_corner_cases.figure_classes", [3, 999], ".1: got 999; allowed: le"),
    ("prepare_images.classes", ["3", "x"], ": got 'x'; allowed: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
    ("walk_corner_cases.figure_classes", [10], ": got 10; allowed: at most 9, the last class, counted from 0"),
    ("walk_corner_cases.start_samples", [9999, 10000], ": got 10000; allowed: at most 9,999, the last of sample_popul"),
    ("find_failures.start_samples", [9999, 10000], ": got 10000; allowed: at most 9,999, the last of sample_populatio"),
    ("walk_corner_cases.grid_step_std", 1e-9, "walk_corner_cases: allowed: at most 10,000 steps, not max_shi"),
    ("walk_corner_cases.start_samples", [1, 1], ": got [1, 1]; allowed: each index once"),
    ("compute_curves.headline_k", 4, ": got 4; allowed: a number among top_k: "),
    ("compute_curves.shift_step_std", 99.0, ": got 99.0; allowed: at most max_shift_std"),
    ("compute_curves.random_draws", 1000, ": got 1000; allowed: at most shift_samples, for each draw needs one"),
    ("check_claims.trained_on_corrupted", "clean", ": got 'clean'; allowed: another classifier than"),
    ("measure_robustness.greedy_samples", 9999, "measure_robustness: allowed: greedy_samples (9999) at most samples ("),
    ("compare_rankings.top_k", [3, 1], "compare_rankings: allowed: top_k [3, 1] rising, each value once"),
    ("compare_rankings.headline_k", 2, "compare_rankings: allowed: headline_k 2 must be one of top_k ["),
    ("compare_rankings.headline_shift_std", 9.5, "compare_rankings: allowed: headline_shift_std 9.5 must be one of s"),
    ("corrupt_images.severities", [2, 2], ": got [2, 2]; allowed: each severity at most once"),
    ("corrupt_images.recipe", ["fog", "fog"], ": got ['fog', 'fog']; allowed: each corruption at most on"),
    ("rank_dimensions.score", "difference", ": got 'difference'; allowed: 'auto', 'gradient' or 'finite_difference'"),
    ("report.step_std", 0.001, "report: allowed: max_shift_std 20 in steps of step_std 0.001 are more than 200 pi"),
    ("compare_generators.top", [3, 3], ": got [3, 3]; allowed: each number of dimensions at most once"),
    ("validate_externally.shift_samples", 10**6, ": got 1000000; allowed: at most samples"),
    ("validate_externally.shift_step_std", 99.0, ": got 99.0; allowed: at most max_shift_std"),
    ("find_planted.most_support", 0.001, ": got 0.001; allowed: more than least_support"),
    ("find_planted.curve_supports", [0.1, 0.05], ": got [0.1, 0.05]; allowed: rising, each more than 0"),
    ("find_planted.curve_rates", [5.0], ": got [5.0]; allowed: each more than 0, at most 1"),
    ("compute_curves.top_k", [100, 513, "all"], ": got 513; allowed: at most 512, the st"),
    ("compare_rankings.top_k", [3, 10, 600], ": got 600; allowed: 1 to 512"),
    ("compute_curves.shift_dimensions", 513, ": got 513; allowed: at most 512"),
    ("compute_curves.shift_samples", 20_000, ": got 20000; allowed: at most"),
    ("measure_robustness.samples", 20_000, ": got 20000; allowed: at most 10,000"),
    ("compare_rankings.samples", 20_000, ": got 20000; allowed: 205 to 10000"),
    ("sample_populations.samples", 10**10, ": got 10000000000; allowed: less than"),
    ("sample_populations.samples", 39, ": got 39; allowed: at least 50: 4 of each"),
    ("prepare_images.size_px", 256, "prepare_images.size_px: got 256; allowed: 32 to 128 where the generator is trai"),
    ("generator", "mine", "generator: got 'mine'; allowed: train_stylegan2"),
    ("generator", "bring_generator/mine", "generator: got 'bring_generator/mine'; allowed: train_stylegan2"),
    ("generator", ["x"], "generator: got ['x']; allowed: train_stylegan2"),
    ("bring_generator", [], "bring_generator: got []; allowed: named entries, or {} for none"),
    ("bring_generator.mine", {"file": "a/b.pkl", "sha256": "0" * 64}, "bring_generator.mine.file: got 'a/b.pkl'"),
    ("prepare_images.size_px", 64, "train_stylegan2.generator_channels: got [64, 64, 32, 16]; allowed: 5 widths, one "),
    (CRITERION, "qualify_generators: frechet_ratio", "got 'qualify_generators: frechet_ratio'; allowed: before th"),
    (CRITERION, "qualify_generator: frechet", "allowed: after the colon copies_share, frechet_distance, "),
    (CRITERION, "qualify_generator: frechet_ratio.values", "after the colon nothing below a number but .value, .l"),
    (CRITERION, "train_judges: judge.acuracy", "after the colon accuracy, accuracy_on_corrupted, calibration_erro"),
    (CRITERION, "train_judges: judge", "after the colon one of its parts: accuracy, "),
    (CRITERION, "train_judges/clean: agreement", "before the colon train_judges"),
    (CRITERION, "rank_dimensions: population_accuracy", "before the colon rank_dimensions/NAME, NAME a classifier"),
    (CRITERION, "rank_dimensions/mine: samples", "before the colon rank_dimensions/clean or rank_dimensions/corr"),
    (CRITERION, "bring_classifiers/mine: clean_test_accuracy", "before the colon another folder"),
    ("acceptance.hazards.1.true_class", "seven", " (seven_read_as_9): got 'seven'; allowed: null (any), or a class: 0"),
    ("acceptance.hazards.0.criteria", ["none"], "acceptance: allowed: in hazard read_as_8 ids of criteria, not none"),
    ("acceptance.hazards.0.severity", "bad", ": got 'bad'; allowed: 'minor', 'major', 'hazardous' or 'catastrophic'"),
    (CRITERION, "compute_curves: mine.area", "after the colon clean, corrupted, paired"),
    (CRITERION, "compute_curves: paired.clean_minus_corrupted.area", "after the colon corrupted_minus_clean"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "message"), FAULTS)
def test_a_fault_names_key_value_and_what_is_allowed(place, value, message):
    """A message that begins where its key ends follows that key."""
    of_study = place.split(".")[0] in STUDY.keys() - PARAMS.keys()
    document = put(STUDY if of_study else PARAMS, place, value)
    assert (place + message if message[0] in ".:" else message) in fault_of(document, partial=of_study)


@pytest.mark.parametrize("room", [*PARAMS, *sorted(STUDY.keys() - PARAMS.keys())])
def test_no_value_whatever_is_a_traceback_or_takes_long(room):
    partial = room not in PARAMS
    document = STUDY if partial else whole()
    for place in walk({room: document[room]}):
        for value in NASTY:
            changed = put(document, place, value)
            started = time.monotonic()
            try:
                check_document(changed, FILE, partial=partial)
            except StageError as error:
                message = str(error)
                assert message.startswith("params.yaml: "), message
                assert message.isprintable(), (place, message)
                assert len(message) < 4000, (place, message)
            assert time.monotonic() - started < 5, (place, value)


def test_good_metrics_are_taken():
    for metric in (
        "compute_curves: corrupted.area.low", "compute_curves: corrupted.area_per_class.3.low",
        "rank_dimensions/clean: samples", "qualify_generator: frechet_ratio_interval.high",
        "find_failures/clean: start_share.low", "find_failures/corrupted: per_class.3.true_failure_rate.high",
        "train_classifiers/clean: clean_test_accuracy_per_class.T-shirt/top",
        "train_classifiers/clean: clean_test_accuracy_per_class.No.1.low",
    ):  # fmt: skip
        check_document(put(PARAMS, CRITERION, metric), FILE)


def find_numbers(node, key=""):
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from find_numbers(inner, f"{key}.{name}" if key else name)
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield key


def test_every_metric_of_a_run_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(known_metrics, "RESULTS", tmp_path)  # the list alone has to know them
    results, names, rooms = ROOT / "data", ["clean", "corrupted"], set()
    for path in results.rglob("metrics.json"):
        room, _, name = path.parent.relative_to(results).as_posix().partition("/")
        if room not in known_metrics.KNOWN:
            continue
        rooms.add(room)
        for key in find_numbers(json.loads(path.read_text(encoding="utf-8"))):
            assert not known_metrics.check_metric(room, name, key, names, names), f"{room}: {key}"
    assert rooms == known_metrics.KNOWN.keys() - {"bring_classifiers"}
    folders = {word.removeprefix("data/") for word in read_dag()["acceptance"]["cmd"].split() if "data/" in word}
    assert folders - {"acceptance"} == known_metrics.KNOWN.keys()


@pytest.mark.parametrize("channels", [[64, 64, 32, 16], [8, 8, 8, 8], [64, 48, 32, 16, 8]])
def test_the_style_dimensions_follow_from_the_widths(channels):
    section = TrainStylegan2Params.model_construct(generator_channels=channels)
    network = Generator(GeneratorArchitecture(8, 8, 10, 1, tuple(channels), 1, "bilinear"))
    assert section.style_dimensions == network.style_dimensions
    assert network.architecture.size_px == 2 << len(channels)


PINNED = [
    ("train_stylegan2.total_kimg", 10, ": got 10; allowed: at least the 1050 that"),
    ("train_stylegan2.z_dim", 32, "its generator has z_dim 64, the params ask for 32; set the params to it"),
    ("train_stylegan2.resume.0.sha256", 64 * "0", "data/released/snapshot.safetensors: expected SHA-256"),
    ("train_stylegan2.resume.0.path", "gone", ": no file gone"),
    ("train_judges.released.0.judge.path", "gone", ": no file gone"),
    ("prepare_images.channels", 3, ": got 3; allowed: 1, what the networks of"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "message"), PINNED)
def test_pinned_files_are_there_and_fit(monkeypatch, place, value, message):
    monkeypatch.chdir(ROOT)
    document = check_document(put(PARAMS, place, value), FILE)
    assert (place + message if message[0] in ".:" else message) in refused("", check_files, document)


def test_a_wrong_value_stops_dvc_before_anything_old_is_deleted(tmp_path):
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


@pytest.mark.parametrize("room", [room for room in PARAMS if room not in (KEY, GENERATOR, *MAY_BE_EMPTY)])
def test_each_section_is_needed_and_checked(room):
    document = copy.deepcopy(PARAMS)
    section = document.pop(room)
    message = f"section '{room}' is missing; it is needed by the stage of that name"
    assert fault_of(document) == message
    entry = next(iter(section)) if room == "train_classifiers" else None
    node = section[entry] if entry else section
    node["misspelt"] = 1
    place = f"{room}.{entry}" if entry else room
    known = set(ENTRIES[room].model_fields) if entry else node.keys() - {"misspelt"}
    told, _, allowed = fault_of(document | {room: section}).partition("; allowed here: ")
    assert (told, set(allowed.split(", "))) == (f"{place}.misspelt: unknown key", known)


@pytest.mark.parametrize("room", [room for room in STUDY if room not in PARAMS])
def test_a_section_of_the_study_may_be_missing_but_not_wrong(write_params, room):
    others = {name: section for name, section in STUDY.items() if name != room}
    check_params(write_params(others), partial=True)
    path = write_params(others | {room: STUDY[room] | {"misspelt": 1}})
    refused(rf"{room}.*misspelt: unknown key; allowed here: ", check_params, path, partial=True)


REFUSED_BY_DVC = [
    ("bring_classifiers: {mine: {load: my_model:Net}}\n", "found unexpected ':'"),
    ('bring_classifiers: {mine: {load: "my_model:Net"}}\n', "after dvc exp run -S, which drops quotes: "),
    ('bring_classifiers: {mine: {url: "http://host:80/"}}\n', "after dvc exp run -S, which drops quotes: "),
    ("bring_classifiers: {}\nbring_classifiers: {}\n", 'found duplicate key "bring_classifiers"'),
    ("report:\t{}\n", "found character '\\t' that cannot start any token"),  # which one of two readers lets pass
]


@pytest.mark.parametrize(("text", "fault"), REFUSED_BY_DVC)
def test_what_dvc_would_refuse_is_refused(tmp_path, text, fault):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    told = r"text with a colon stands on a line of its own, outside of braces"
    assert fault in refused(told, check_params, path, partial=True)


BROUGHT_FOLDERS = [
    ({"load": "net:Net"}, None, "{folder}: no such folder; put its files there, or remove its entry"),
    ({"onnx": "net.onnx"}, "", "{folder}: holds no file; put its files there, or remove its entry"),
    ({"load": "net:Net", "weights": "best.pt"}, "net.py last.pt",
     "bring_classifiers.mine.weights: no file {folder}/best.pt; files there: last.pt, net.py"),
    ({"load": "net:Net", "weights": "best.pt"}, "net.py best.pt.dvc",
     "bring_classifiers.mine.weights: no file {folder}/best.pt; files there: best.pt.dvc, net.py; fetch it with"),
    ({"onnx": "net.onnx"}, "other.onnx",
     "bring_classifiers.mine.onnx: no file {folder}/net.onnx; files there: other.onnx"),
    ({"predict": "box:predict"}, "net.py",
     "bring_classifiers.mine.predict: got 'box:predict'; {folder} holds no module box, and none is installed; "),
    ({"url": "http://127.0.0.1:1/"}, None,
     "{folder}: no such folder; nothing else tells DVC when the classifier changes; name it and its version in "),
    ({"load": "jinja2.loaders:Net"}, "", "{folder}: holds no file; nothing else tells DVC when the classifier "),
    ({"load": "net:Net", "weights": "best.pt"}, "net.py best.pt", None),
    ({"load": "net.model:Net"}, "net/model.py", None),
    ({"load": "jinja2:Net"}, "version.txt", None),
    ({"url": "http://127.0.0.1:1/"}, "version.txt", None),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "files", "message"), BROUGHT_FOLDERS)
def test_what_a_brought_classifier_lacks_is_told_before_any_work(tmp_path, entry, files, message):
    folder, document = tmp_path / "mine", {"bring_classifiers": {"mine": entry}}
    if files is not None:
        folder.mkdir()
        for name in files.split():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
    if message is None:  # that is enough
        check_all_brought(document, tmp_path)
        return
    assert refused("", check_all_brought, document, tmp_path).startswith(message.format(folder=folder))


def test_entries_are_shown_with_what_holds_where_a_key_is_left_out():
    clean = {"train_on": "clean", "width": 8}
    entries = {"train_classifiers": {"clean": clean}, "bring_classifiers": {"mine": {"load": "net:Net"}}}
    found = complete_entries({"report": {"dimensions": 5}, **entries}, FILE)
    assert list(found) == ["report", "train_classifiers", "bring_classifiers"]
    shown = found["train_classifiers"]["clean"]
    assert clean.items() < shown.items()
    assert (shown["seed"], shown["augmentation"]["rotation_degrees"]) == (1, 15.0)
    assert found["bring_classifiers"]["mine"]["outputs"] == "logits"
    told = r"^params\.yaml: train_classifiers\.clean\.train_on: missing; add it$"
    refused(told, complete_entries, {"train_classifiers": {"clean": {}}}, FILE)


def test_rules_of_a_training_do_not_count_where_a_generator_was_brought():
    brought = put(PARAMS, "bring_generator", {"mine": {"file": "network.pkl", "sha256": "0" * 64}})
    brought = put(brought, "prepare_images.size_px", 256)
    refused("size_px: got 256", check_document, brought, FILE)
    brought = put(brought, "generator", "bring_generator/mine")
    assert check_document(brought, FILE).generator == "bring_generator/mine"
    check_document(put(brought, "compute_curves.shift_dimensions", 513), FILE)
    del brought["generator"]
    refused("generator: got None; allowed: train_stylegan2 or bring_generator/mine", check_document, brought, FILE)


def test_no_brought_judge_is_under_test():
    entries = {"bring_classifiers": dict.fromkeys(("judge", "auditor"), MINE)}
    document = put(PARAMS, "train_judges.released", "brought") | entries
    check_document(document, FILE)
    told = refused("", check_document, put(document, f"{KEY}.auditor", "bring_classifiers"), FILE)
    assert "classifiers.auditor: got 'bring_classifiers'; allowed: another name: no judge is under test" in told


def test_of_an_entry_that_is_not_under_test_the_folder_alone_has_to_be_there(tmp_path):
    document = {"classifiers": {"clean": "train_classifiers"}, "bring_classifiers": {"mine": {"load": "net:Net"}}}
    told = r"mine: no such folder, .* although classifiers does not name mine; make it"
    refused(told, check_all_brought, document, tmp_path)
    (tmp_path / "mine").mkdir()
    check_all_brought(document, tmp_path)
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert f"{BROUGHT.as_posix()}/${{key}}" in stages["bring_classifiers"]["do"]["deps"]  # that of the DAG


def test_the_command_prints_one_line_and_ends_with_1(write_params, capsys, tmp_path, monkeypatch):
    def told(path):
        with pytest.raises(typer.Exit) as stop:
            main(path)
        assert stop.value.exit_code == 1
        out, err = capsys.readouterr()
        assert not out
        assert err.count("\n") == 1
        return err

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")  # the released files that params pin
    path = write_params(PARAMS)
    main(path)
    assert capsys.readouterr() == ("", "")
    under_test = {"classifiers": PARAMS["classifiers"] | {"mine": "bring_classifiers"}}
    write_params(put(PARAMS, ("bring_classifiers", "mine"), {"load": "net:Net"}) | under_test)
    assert told(path).startswith("error: data/brought/mine: no such folder; put its files there, or remove")
    assert "no such params file" in told(path.parent / "gone.yaml")
    write_params(put(PARAMS, ("sample_populations", "samples"), 0))
    assert told(path) == f"error: {path}: sample_populations.samples: got 0; allowed: greater than or equal to 1\n"
    shell = subprocess.run(
        [sys.executable, "-m", "stages", "--params", "params.yaml"], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (shell.returncode, shell.stdout, shell.stderr) == (1, "", told(FILE))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "params.yaml"]
