"""The page of a small result tree: whole, repeatable, true to its files; and every mistake that a user can make."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from failure_atlas.core.errors import StageError
from stages.report.page import Text, write_script
from stages.report.results import Results
from stages.report.verdicts import show_verdicts
from tests.stages.report.results_tree import build_gates, build_metrics, write_json

ORDER = ["verdicts", "failures", "explorer", "distance", "comparison", "quality", "claims", "basis"]


class Outline(HTMLParser):
    """Headings, images, links, ids, and the texts of scripts and cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.images: list[dict[str, str]] = []
        self.links: list[dict[str, str]] = []
        self.sections: list[str] = []
        self.scripts: dict[str, str] = {}
        self.tags: set[str] = set()
        self.words: list[str] = []
        self._script: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        held = dict(attrs)
        self.tags.add(tag)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "img":
            self.images.append(held)
        if tag == "a":
            self.links.append(held)
        if tag == "section":
            self.sections.append(held["id"])
        self._script = held.get("id", "code") if tag == "script" else None

    def handle_data(self, data):
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words).replace("\u00a0", " ")


def add_metrics(results, place, **metrics):
    path = results / place / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | metrics))


@pytest.fixture(scope="module")
def outline(page_file):
    return Outline(page_file.read_text(encoding="utf-8"))


def decode(uri):
    return base64.b64decode(uri.split(",", 1)[1])


def test_twice_gives_equal_bytes_in_batches_of_any_size(run, results, hash_folder, tmp_path):
    run(results, "one")
    run(results, "two", batch_size=7)
    first, second = ((tmp_path / out / "report.html").read_text() for out in ("one", "two"))
    assert first.replace("batch_size: 64", "batch_size: 7") == second
    run(results, "three")
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "three")
    drawn = {path.relative_to(tmp_path / "one" / "figures").as_posix() for path in (tmp_path / "one").rglob("*.png")}
    tables = [path.relative_to(results) for path in results.rglob("tables/*.csv")]
    assert drawn == {(path.parent.parent / f"{path.stem}.png").as_posix() for path in tables}


def test_verdicts_come_first_and_headings_skip_no_level(outline):
    assert outline.sections == ORDER
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    assert all(below <= above + 1 for above, below in zip(outline.levels, outline.levels[1:], strict=False))


def test_metrics_stand_in_the_page_exactly_as_in_the_files(outline, results):
    held = json.loads(outline.scripts["metrics"])
    files = {path.relative_to(results).as_posix(): path for path in results.rglob("metrics.json")}
    assert held == {name: json.loads(path.read_text()) for name, path in files.items()}


def test_every_estimate_that_a_section_shows_is_the_one_of_the_file(outline):
    metrics = build_metrics()
    shares = ("true_failure_share", "still_right_share", "judge_false_alarm_share", "confirmed_true_failure_share")
    shown = {
        "judge_failures/second": shares,
        "train_classifiers/first": ("corrupted_test_accuracy",),
        "rank_dimensions/first": ("population_accuracy",),
        "compare_rankings/first": ("unmoved_accuracy",),
        "sample_populations": (),
    }
    for place, keys in shown.items():
        for key in keys:
            held = metrics[place][key]
            told = f"{held['value']:.3f} [{held['low']:.3f}, {held['high']:.3f}], n = {held['n']:,}"
            assert told in outline.text, (place, key)
    # A share that its stage keeps as a plain number gets the Wilson interval of its count, 18 of 100.
    assert "0.180 [0.117, 0.267], n = 100" in outline.text
    assert "12.5 [9.4, ?], n = 100" in outline.text
    assert "with a margin of 0.02 in accuracy: not decided (difference in accuracy -0.010 [-0.160" in outline.text
    assert "noise sigma +0.020 [+0.010, +0.030]" in outline.text
    assert "Moves in which AttFind finds more than every gradient score does: 3 by 2 std." in outline.text
    # No walk went 20 std far, so that share has no number.
    assert "no walk went as far" in outline.text


def test_joint_walks_are_told_to_fail_where_they_go_on_and_not_at_half(outline):
    walks = build_metrics()["measure_robustness/first"]["from_samples"]
    text = re.sub(r"\s+", " ", outline.text)
    at_half, farther = walks["joint"], walks["beyond"]
    assert f"{at_half['true_failure_share']['value']:.3f} [" not in text
    for words, held in (
        ("joint walks gone on for 1 std: true failures", farther["true_failure_share"]),
        ("images at 0.50 that the judge still reads as their class", at_half["label_kept_share"]),
    ):
        assert f"{words} {held['value']:.3f} [{held['low']:.3f}," in text, words


def test_a_black_box_is_called_one_and_what_was_not_measured_is_said(outline, changed, run):
    for place, told in {
        "rank_dimensions": {
            "score": "finite_difference", "score_samples": 150, "score_step_std": 0.1, "score_forward_passes": 163600,
            "classifier_gives_gradients": False
        },
        "measure_robustness": {"slope": "finite_difference", "slope_dimensions": 50, "slope_step_std": 0.1},
        "compare_rankings": {"score": "finite_difference", "score_samples": 60, "score_step_std": 0.1}
    }.items():  # fmt: skip
        file = changed / place / "second" / "metrics.json"
        write_json(file, json.loads(file.read_text()) | told)
    text = re.sub(r"\s+", " ", Outline(run(changed).read_text()).text)
    for words in (
        "Without gradients: second, which is a black box, ranked by finite differences.",
        (
            "It is a black box: it answers, and gives no gradients. Its dimensions are ranked by central differences "
            "of the softmax of the true class, 0.1 std to each side, on 150 of 200 population samples"
        ),
        "(163,600 forward passes)",
        "mean central difference of the score",
        (
            "Classifier second gives no gradients: its joint walks and smallest sets follow central differences of "
            "the log-odds, along all dimensions at the start and, at every later step, along its 50 steepest ones only"
        ),
        "central differences on 60 samples, 0.1 std to each side. Scores at a fiftieth of AttFind's cost are not",
    ):
        assert words in text, words
        assert words not in re.sub(r"\s+", " ", outline.text)
    assert "mean gradient of the score" in text  # of the first classifier

    file = changed / "rank_dimensions" / "second" / "metrics.json"
    write_json(file, json.loads(file.read_text()) | {"classifier_gives_gradients": True})
    text = Outline(run(changed, "checked").read_text()).text
    assert "Its params ask for finite differences although it gives gradients." in text
    assert "Without gradients: second" not in text


def test_figures_and_their_numbers_are_the_files(outline, results, page_file):
    pictures = {path.read_bytes() for folder in (results, page_file.parent) for path in folder.rglob("*.png")}
    assert {decode(image["src"]) for image in outline.images} == pictures
    assert len(outline.images) == len(pictures)
    tables = {path.read_bytes() for path in results.rglob("*.csv")}
    downloads = [link for link in outline.links if "download" in link]
    assert {decode(link["href"]) for link in downloads} <= tables
    assert len({link["download"] for link in downloads}) == len(downloads)
    for path in [*results.rglob("figures/*.csv"), *results.rglob("tables/*.csv")]:
        assert path.read_bytes() in {decode(link["href"]) for link in downloads}, path


def test_every_image_has_words_in_its_place_and_its_size(outline):
    assert all(len(image["alt"]) > 40 for image in outline.images)
    for image in outline.images:
        assert (int(image["width"]), int(image["height"])) == Image.open(BytesIO(decode(image["src"]))).size
    assert len({image["alt"] for image in outline.images}) == len(outline.images)


def test_hashes_of_all_files_read_are_those_of_the_bytes(outline, results):
    hashes = dict(re.findall(r"(\S+/\S+) ([0-9a-f]{64})", re.sub(r"\s+", " ", outline.text)))
    files = {path.relative_to(results).as_posix(): path for path in results.rglob("*") if path.is_file()}
    assert hashes == {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in hashes}
    unread = set(files) - set(hashes)
    # Nothing but what the page has no use for is left out.
    assert unread <= {"sample_populations/style_dimensions.csv"}
    assert "train_stylegan2/generator.safetensors" in hashes
    assert any(name.startswith("sample_populations/population.zarr/") for name in hashes)


def test_seeds_and_params_stand_in_the_page(outline):
    assert "rank_dimensions.seed" in outline.text
    assert re.search(r"rank_dimensions\.seed\s+17\b", outline.text)
    assert "max_shift_std: 6.0" in outline.text


def test_the_page_names_nothing_outside_itself(page_file, outline, results):
    text = page_file.read_text(encoding="utf-8")
    assert outline.tags.isdisjoint({"link", "iframe", "object", "embed", "base"})
    assert all(image["src"].startswith("data:image/png;base64,") for image in outline.images)
    assert all(link["href"].startswith(("#", "data:text/csv;base64,")) for link in outline.links)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text).replace("http-equiv", "")
    assert str(results) not in text


def test_verdicts_are_shown_fails_first(outline):
    text = re.sub(r"\s+", " ", outline.text)
    assert "3 criteria: 1 pass, 1 fail, 1 not assessable" in text
    places = [text.index(f"{name} (train_classifiers/first: {name})") for name in ("weak", "vague", "sound")]
    assert places == sorted(places)
    assert ">= 0.93 0.950 [0.940, 0.960], n = 1,234 because AMLAS [X]" in text


def test_without_gates_the_page_says_so(run, changed):
    (changed / "acceptance" / "gates.json").unlink()
    assert "No acceptance criteria were checked" in run(changed).read_text(encoding="utf-8")


def test_without_true_failures_there_is_no_figure_of_them(run, changed):
    (changed / "walk_corner_cases" / "first" / "figures" / "true_failures.png").unlink()
    text = Outline(run(changed).read_text(encoding="utf-8"))
    titles = [image["alt"].split(".")[0] for image in text.images]
    assert "First true failures of walks: second" in titles
    assert "First true failures of walks: first" not in titles


def test_true_failures_are_listed_nearest_first(outline):
    text = re.sub(r"\s+", " ", outline.text)
    assert "nearest first (2 of 2)" in text
    assert text.index("2.12 6 rises") < text.index("7.25 5 rises")


def test_text_from_files_cannot_end_a_script_or_become_markup(run, changed):
    claims = json.loads((changed / "check_claims" / "claims.json").read_text())
    claims["claims"][0]["claim"] = "<b id=evil>x</b>"
    write_json(changed / "check_claims" / "claims.json", claims)
    metrics = json.loads((changed / "prepare_images" / "metrics.json").read_text())
    write_json(changed / "prepare_images" / "metrics.json", metrics | {"</script><i>": 1})
    page = Outline(run(changed).read_text(encoding="utf-8"))
    assert page.tags.isdisjoint({"b", "i"})
    assert json.loads(page.scripts["metrics"])["prepare_images/metrics.json"]["</script><i>"] == 1


def test_a_script_element_holds_json():
    assert json.loads(write_script({"a": "</script>"})) == {"a": "</script>"}
    assert "<" not in write_script({"a": "</script><!--"})


MISSING = [
    "rank_dimensions/first/metrics.json",
    "judge_failures/second/figures/verdicts.png",
    "judge_failures/second/figures/verdicts.csv",
    "train_stylegan2/generator.safetensors",
    "train_classifiers/second/classifier.safetensors",
    "compare_rankings/first/influence.csv",
    "check_claims/claims.json",
    "train_judges/tables/confusion.csv",
    "name_directions/first/directions.csv",
]


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_result_is_named_with_the_stage_that_makes_it(run, changed, name, tmp_path):
    (changed / name).unlink()
    with pytest.raises(StageError, match=f"{re.escape(name)}: missing; make it with: dvc repro {name.split('/')[0]}$"):
        run(changed)
    assert not (tmp_path / "out").exists()


def test_damaged_results_are_named(run, changed):
    path = changed / "qualify_generator" / "metrics.json"
    held = path.read_text()
    path.write_text(held[:-5])
    with pytest.raises(StageError, match=r"qualify_generator/metrics\.json: no JSON .*dvc repro qualify_generator"):
        run(changed)
    path.write_text("[1]")
    with pytest.raises(StageError, match="holds a list, no mapping"):
        run(changed)
    content = json.loads(held)
    del content["frechet_ratio"]
    del content["frechet_ratio_interval"]
    write_json(path, content)
    with pytest.raises(StageError, match="holds no 'frechet_ratio'"):
        run(changed)
    write_json(path, json.loads(held))
    table = changed / "rank_dimensions" / "second" / "classes.csv"
    table.write_text(table.read_text().replace("accuracy_low", "other"))
    with pytest.raises(StageError, match=r"second/classes\.csv: lacks the columns accuracy_low; .*rank_dimensions"):
        run(changed)


def test_a_figure_that_is_no_picture_is_named(run, changed):
    (changed / "compute_curves" / "figures" / "shift.png").write_bytes(b"nothing")
    with pytest.raises(StageError, match=r"shift\.png: no PNG; make it again with: dvc repro compute_curves"):
        run(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda gates: gates["criteria"][1].update(verdict="maybe"),
            "entry 2 of 'criteria' has the verdict 'maybe'; allowed: fail, not",
        ),
        (lambda gates: gates["criteria"][0].pop("bar"), "entry 1 of 'criteria' has no bar"),
        (lambda gates: gates.pop("criteria"), "holds no list 'criteria'"),
    ],
)
def test_gates_of_another_form_are_refused(run, changed, change, message):
    gates = build_gates()
    change(gates)
    write_json(changed / "acceptance" / "gates.json", gates)
    with pytest.raises(StageError, match=rf"gates\.json: .*{message}"):
        run(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda claims: claims["claims"][0].update(verdict="maybe"),
            "entry 1 of 'claims' has the verdict 'maybe'; allowed: holds",
        ),
        (lambda claims: claims["claims"][0].pop("rule"), "entry 1 of 'claims' has no rule"),
        (lambda claims: claims.pop("claims"), "holds no list 'claims'"),
    ],
)
def test_claims_of_another_form_are_refused(run, changed, change, message):
    claims = json.loads((changed / "check_claims" / "claims.json").read_text())
    change(claims)
    write_json(changed / "check_claims" / "claims.json", claims)
    with pytest.raises(StageError, match=rf"claims\.json: .*{message}"):
        run(changed)


def test_what_is_odd_about_the_images_stands_at_the_top(run, changed):
    add_metrics(changed, "prepare_images", warnings=["they use 16 grey levels", "val is left out"])
    text = Outline(run(changed).read_text()).text
    assert "Noticed in the images: they use 16 grey levels. Noticed in the images: val is left out." in text
    assert text.index("Noticed in the images") < text.index("A claimed failure is")


@pytest.mark.parametrize(("shape_words", "told"), [("none", True), ("figures", True), ("strokes", False)])
def test_it_is_said_where_words_of_shape_are_not_used(run, changed, shape_words, told):
    add_metrics(changed, "name_directions/first", shape_words=shape_words)
    assert ("The real images show no" in Outline(run(changed).read_text()).text) == told


def test_classifiers_that_may_know_the_test_images_are_told(run, changed, outline):
    assert "MNIST" not in outline.text
    add_metrics(changed, "train_classifiers/first", mnist_test=None, mnist_test_reason="not set")
    told = "A classifier that learned from MNIST (first, unless made from other data) has seen the real test images"
    text = Outline(run(changed).read_text()).text
    assert told in text
    assert "It was not measured on MNIST's own test images." in text
    estimate = {"value": 0.8123, "low": 0.8012, "high": 0.8234, "n": 10000}
    add_metrics(
        changed, "train_classifiers/first",
        mnist_test={"clean_test_accuracy": estimate, "corrupted_test_accuracy": estimate | {"value": 0.8111}}
    )  # fmt: skip
    text = Outline(run(changed).read_text()).text
    assert told in text
    assert "0.812 [0.801, 0.823], n = 10,000" in text
    assert "0.811 [0.801, 0.823], n = 10,000" in text


def test_warnings_of_a_brought_classifier_are_told(run, changed):
    path = changed / "train_classifiers" / "second" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"warnings": ["its outputs may be sigmoids"]}))
    assert "Noticed when second was brought: its outputs may be sigmoids." in run(changed).read_text(encoding="utf-8")


def test_a_brought_classifier_that_no_criterion_names_is_told(changed):
    shutil.copytree(changed / "train_classifiers", changed / "bring_classifiers")
    section = show_verdicts(Results(changed, dict.fromkeys(("first", "second"), "bring_classifiers")))
    told = [block.text for block in section.blocks if isinstance(block, Text) and "names" in block.text]
    assert told == ["No acceptance criterion names second, which was brought: no verdict is about it."]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_std": 0.01}, "report: allowed: max_shift_std 6 in steps of step_std 0.01 are more than 200 pictures"),
        ({"dimensions": 0}, "report.dimensions: got 0"),
        ({"max_shift_std": -1.0}, "report.max_shift_std: got -1"),
        ({"batch_size": 2.5}, "report.batch_size: got 2.5"),
        ({"speed": 1}, "report.speed: unknown key"),
    ],
)
def test_params_out_of_range_are_named(run, results, changes, message):
    with pytest.raises(StageError, match=re.escape(message)):
        run(results, **changes)
