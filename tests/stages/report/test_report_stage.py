"""The page of a small result tree: whole, repeatable, true to its files; and every mistake that a user can make."""

import base64
import hashlib
import json
import re
import shutil
from functools import partial
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from failure_atlas.core.errors import StageError
from failure_atlas.statistics.estimates import read_estimate
from flows.evidence.case import ARGUMENT, build_case
from flows.evidence.case import PICTURE as PICTURE_FILE
from stages.report.atlas import answer, draw_strips, show_atlas, summarise_all
from stages.report.explorer import explore
from stages.report.failures import show_failures
from stages.report.measures import show_comparison, show_distances, show_quality
from stages.report.page import Text, render_page, write_script
from stages.report.params import ReportParams
from stages.report.results import Results
from stages.report.verdicts import show_claims, show_verdicts
from stages.report.wording import TIED, tell_estimate
from tests import yaml12 as yaml
from tests.gsn import check_gsn
from tests.modes import write_modes
from tests.stages.report.conftest import SECTION
from tests.stages.report.results_tree import CLAIMED, NAMES, build_metrics, edit_json

ORDER = ["answers", "atlas", "explorer", "verdicts", "argument"]
ORDER += ["failures", "distance", "comparison", "quality", "claims", "basis"]
DRAWN, WRITTEN = "data:image/svg+xml;base64,", "data:application/yaml;base64,"  # the argument
MOST_BYTES = 8_000_000


class Outline(HTMLParser):
    """Headings, images, links, ids, and the texts of scripts and cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.held: list[tuple[str, dict[str, str]]] = []
        self.scripts: dict[str, str] = {}
        self._words: list[str] = []
        self._script: str | None = None
        self.feed(text.replace("<wbr>", ""))

    def handle_starttag(self, tag, attrs):
        self.held.append((tag, dict(attrs)))
        self._script = dict(attrs).get("id", "code") if tag == "script" else None

    def handle_data(self, data):
        if self._script is None:
            self._words.append(data)
        else:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    def find(self, tag: str) -> list[dict[str, str]]:
        return [held for name, held in self.held if name == tag]

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.held}

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._words))


def read(path):
    return Outline(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def outline(page_file):
    return read(page_file)


def decode(uri):
    return base64.b64decode(uri.split(",", 1)[1])


def read_pixels(uri):
    return np.asarray(Image.open(BytesIO(decode(uri))), np.int16)


PICTURE = re.compile(r"data:image/\w+;base64,[A-Za-z0-9+/=]+")
DECIMAL = re.compile(r"\d+\.\d+")


def test_twice_gives_equal_bytes_and_batches_of_any_size_the_same_but_for_rounding(
    run, results, page_file, hash_folder, tmp_path
):
    other = run(results, tmp_path / "out", batch_size=7).read_text()
    page = page_file.read_text().replace("batch_size: 50", "batch_size: 7")
    words, same = (PICTURE.sub("", text) for text in (page, other))
    assert DECIMAL.sub("", words) == DECIMAL.sub("", same)
    # Four digits are shown: a probability between two of them may fall to either side, too.
    np.testing.assert_allclose(
        *(np.array(DECIMAL.findall(text), float) for text in (words, same)), rtol=0, atol=1.01e-4
    )
    pictures, others = (list(map(read_pixels, PICTURE.findall(text))) for text in (page, other))
    assert len(pictures) == len(others) > 10
    # So may a pixel between two grey levels: convolutions add up in an order that the batch decides.
    apart = np.concatenate([np.abs(one - two).ravel() for one, two in zip(pictures, others, strict=True)])
    assert apart.max() <= 1
    assert apart.mean() < 1e-4
    hashes = hash_folder(page_file.parent)
    run(results, tmp_path / "out")
    assert hash_folder(tmp_path / "out") == hashes
    tables = [path.relative_to(results) for path in results.rglob("tables/*.csv")]
    drawn = {(path.parent.parent / f"{path.stem}.png").as_posix() for path in tables}
    assert {name.removeprefix("figures/") for name in hashes if name.endswith(".png")} == drawn


def test_answers_come_first_and_headings_skip_no_level(outline):
    assert [section["id"] for section in outline.find("section")] == ORDER
    levels = [int(tag[1]) for tag, _ in outline.held if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_metrics_stand_in_the_page_exactly_as_in_the_files(outline, results):
    held = json.loads(outline.scripts["metrics"])
    files = {path.relative_to(results).as_posix(): path for path in results.rglob("metrics.json")}
    assert held == {name: json.loads(path.read_text()) for name, path in files.items()}


def tell(held):
    return tell_estimate(read_estimate(held)).replace(TIED, " ")


def test_sections_show_the_estimates_of_the_files(outline):
    metrics, text = build_metrics(), outline.text
    shares = ("true_failure_share", "judge_false_alarm_share", "confirmed_true_failure_share")
    shares += ("readable_true_failure_share", "agreed_true_failure_share", "judge_sensitivity")
    sought = ("start_share", "auditor_sure_share", "far_share", "readable_share", "fresh_noise_share")
    for place, keys in {
        "judge_failures/second": shares,
        "find_failures/second": (*sought, "median_distance_std"),
        "train_classifiers/first": ("corrupted_test_accuracy",),
        "rank_dimensions/first": ("population_accuracy",),
        "invert_images": ("first_kept_share", "second_kept_share", "failed_share"),
    }.items():
        for key in keys:
            assert tell(metrics[place][key]) in text, (place, key)
    assert tell(metrics["find_failures/first"]["independent"]["true_failure_rate"]) in text
    assert "not assessable [0.000, 1.000], n = 40" in text
    assert f"Compared are {metrics['corroborate/second']['cases']} real errors of second" in text
    assert text.count("errors lie farther along 5 (fainter)") == 2 * len(CLAIMED)
    walks = metrics["measure_robustness/first"]["from_samples"]
    farther, at_half = walks["beyond"]["true_failure_share"], walks["joint"]
    assert tell(at_half["true_failure_share"]) not in text, "joint walks fail where they go on, not at 0.50"
    for words in (
        f"joint walks gone on for 1 std: true failures {tell(farther)}",
        f"images at 0.50 that the judge still reads as their class {tell(at_half['label_kept_share'])}",
        "From random samples that classifier first reads rightly, a walk in W goes to the nearest true failure",
        "the judge is sure, at 0.975 or more, of the class that was meant. It stays where 90% of",
        "6.25 [5.75, ?], n = 200",
        "0.180 [0.117, 0.267], n = 100",
        "12.5 [9.4, ?], n = 100",
        "no walk went as far",  # none went 20 std far
        "with a margin of 0.02 in accuracy: not decided (difference in accuracy -0.010 [-0.160",
        "Moves in which AttFind finds more than every gradient score does: 3 by 2 std.",
        "3 criteria: 1 pass, 1 fail, 1 not assessable",
        ">= 0.93 0.950 [0.940, 0.960], n = 1,234 because AMLAS [X]",
        "max_shift_std: 6.0",
    ):
        assert words in text, words
    places = [text.index(f"{name} (train_classifiers/first: {name})") for name in ("weak", "vague", "sound")]
    assert places == sorted(places), "fails first"


DIFFERENCES = {"score": "finite_difference", "score_step_std": 0.1}
MNIST = "A classifier that learned from MNIST (first, unless made from other data) has seen the real test images"
UNKNOWN = {"value": None, "low": None, "high": None, "n": 1000}
TOLD = {
    "largest change of a severity's share not known, n = 1,000": [  # all images are clean
        ("qualify_generator", {"severity_share_gap": UNKNOWN})
    ],
    "Noticed in the images: they use 16 grey levels. Noticed in the images: val is left out.": [
        ("prepare_images", {"warnings": ["they use 16 grey levels", "val is left out"]})
    ],
    "Noticed when second was brought: its outputs may be sigmoids.": [
        ("train_classifiers/second", {"warnings": ["its outputs may be sigmoids"]})
    ],
    "The real images show no light things": [("measure_attributes", {"shape_words": "none"})],
    f"{MNIST} above: its accuracy on them says little. It was not measured on MNIST's own test images.": [
        ("train_classifiers/first", {"mnist_test": None, "mnist_test_reason": "not set"})
    ],
    "Without gradients: second, which is a black box, ranked by finite differences.": [],
    "It is a black box: it answers, and gives no gradients. Its dimensions are ranked by central differences of the "
    "softmax of the true class, 0.1 std to each side, on 150 of 200 population samples": [
        ("rank_dimensions/second", DIFFERENCES | {"score_samples": 150, "classifier_gives_gradients": False})
    ],
    "(163,600 forward passes)": [("rank_dimensions/second", {"score_forward_passes": 163600})],
    "Classifier second gives no gradients: its joint walks and smallest sets follow central differences of the "
    "log-odds, along all dimensions at the start and, at every later step, along its 50 steepest ones only": [
        ("measure_robustness/second", {"slope": "finite_difference", "slope_dimensions": 50})
    ],
    "central differences on 60 samples, 0.1 std to each side. Scores at a fiftieth of AttFind's cost are not": [
        ("compare_rankings/second", DIFFERENCES | {"score_samples": 60})
    ],
}


def test_what_a_run_has_of_its_own_is_told_and_else_is_not(outline, changed, run, tmp_path):
    for edits in TOLD.values():
        for place, metrics in edits:
            edit_json(changed / place / "metrics.json", lambda held, metrics=metrics: held.update(metrics))
    (changed / "acceptance" / "gates.json").unlink()
    (changed / "find_failures/first/figures/failures.png").unlink()  # it found none
    (changed / "qualify_generator" / "figures" / "severities.png").unlink()
    page = read(run(changed, tmp_path / "out"))
    for words in (*TOLD, "No acceptance criteria were checked"):
        assert words in page.text, words
        assert words not in outline.text, words
    assert page.text.index("Noticed in the images") < page.text.index("On what it fails")
    titles = [image["alt"].split(".")[0] for image in page.find("img")]
    title = "The nearest true failure of each start, inside the population"
    assert f"{title}: second" in titles
    assert f"{title}: first" not in titles

    estimate = {"value": 0.8123, "low": 0.8012, "high": 0.8234, "n": 10000}
    measured = {"clean_test_accuracy": estimate, "corrupted_test_accuracy": estimate | {"value": 0.8111}}
    for place, metrics in {
        "train_classifiers/first": {"mnist_test": measured},
        "rank_dimensions/second": {"classifier_gives_gradients": True},
        "measure_attributes": {"shape_words": "figures"},
    }.items():
        edit_json(changed / place / "metrics.json", lambda held, metrics=metrics: held.update(metrics))
    text = read(run(changed, tmp_path / "out")).text
    for words in (
        MNIST, "0.812 [0.801, 0.823], n = 10,000", "0.811 [0.801, 0.823], n = 10,000",
        "Its params ask for finite differences although it gives gradients.", "The real images show no strokes",
    ):  # fmt: skip
        assert words in text, words
    assert "Without gradients: second" not in text
    assert "The real images show no light things" not in text


def test_figures_and_their_numbers_are_the_files(outline, results, page_file):
    images, links = outline.find("img"), [link for link in outline.find("a") if "download" in link]
    images = [image for image in images if not image["src"].startswith(DRAWN)]
    links = [link for link in links if not link["href"].startswith(WRITTEN)]
    strips = {image["id"]: image["href"] for image in outline.find("image")}
    shown = [pixels(decode(uri)) for uri in (*(image["src"] for image in images), *strips.values())]
    files = {pixels(path.read_bytes()) for folder in (results, page_file.parent) for path in folder.rglob("*.png")}
    assert set(shown) == files
    assert len(shown) == len(files), "each stands in the page once"
    assert len(images) == len({image["alt"] for image in images})
    for image in images:
        assert len(image["alt"]) > 40
        assert (int(image["width"]), int(image["height"])) == Image.open(BytesIO(decode(image["src"]))).size
    assert {use["href"].removeprefix("#") for use in outline.find("use")} == set(strips)
    assert all(len(strip["aria-label"]) > 40 for strip in outline.find("svg") if strip.get("class") == "strip")
    offered = {decode(link["href"]) for link in links}
    assert offered <= {path.read_bytes() for path in results.rglob("*.csv")}
    assert len({link["download"] for link in links}) == len(links)
    for path in [*results.rglob("figures/*.csv"), *results.rglob("tables/*.csv"), *results.rglob("modes.csv")]:
        assert path.read_bytes() in offered, path
    assert len(page_file.read_bytes()) < MOST_BYTES / 4  # of small pictures


def test_the_argument_is_drawn_from_the_verdicts_and_modes_shown(outline, results, run, changed, page_file, tmp_path):
    (image,) = [image for image in outline.find("img") if image["src"].startswith(DRAWN)]
    (link,) = [link for link in outline.find("a") if link["href"].startswith(WRITTEN)]
    nodes = yaml.safe_load(decode(link["href"]))
    assert check_gsn(nodes) == []
    status = {name: nodes[f"G-{name}"]["status"] for name in ("sound", "weak", "vague")}
    assert status == {"sound": "supported", "weak": "refuted", "vague": "undeveloped"}
    made = hashlib.sha256((results / "train_classifiers/first/metrics.json").read_bytes()).hexdigest()
    assert nodes["Sn-sound"]["sha256"] == made
    drawn = ElementTree.fromstring(decode(image["src"]))  # noqa: S314  our own
    assert {key: drawn.attrib[key] for key in ("width", "height")} == {key: image[key] for key in ("width", "height")}
    assert f"# {made[:8]}" in "".join(drawn.itertext())
    params = yaml.safe_load((page_file.parents[1] / "params.yaml").read_text())
    criteria = json.loads((results / "acceptance/gates.json").read_text())["criteria"]
    held = {f"data/{path.relative_to(results)}": path.read_bytes() for path in results.rglob("*") if path.is_file()}
    case = build_case(params, criteria, held.get, {}).files  # `verify` holds the page against it
    assert (case[PICTURE_FILE], case[ARGUMENT]) == (decode(image["src"]), decode(link["href"]))
    (changed / "acceptance/gates.json").unlink()
    assert "No argument can be made: no acceptance criteria were checked." in read(run(changed, tmp_path / "o")).text


def pixels(content):
    return Image.open(BytesIO(content)).convert("RGB").tobytes()


FIRST = """first Pass or not fail 1 pass, 1 fail, 1 not assessable On what it fails
reads 8 as 3 when noise is above 0.14 wrong on 62 % [55, 69] of 190 generated images
corroborated on 41 % [30, 52] of 66 real ones
reads any digit as 1 when strokes are thinner than 1.6 px wrong on 31 % [24, 38] of 190 generated images
contradicted on 5 % [-6, 16] of 40 real ones
fails on 7 when the ground is lighter than 0.18 wrong on 45 % [38, 52] of 190 generated images too few on no real one
How far it is from failing 6.25 std [5.75, ?] to the nearest true failure, the median;
one is found from 92 % [87, 95] of 200 generated images read rightly What proves it"""


def test_the_first_screen_says_of_each_classifier_what_the_terminal_says(outline, results):
    text = outline.text.replace(TIED, " ").replace(" ;", ";")
    assert FIRST.replace("\n", " ") in re.sub(r" +", " ", text)
    for summary in summarise_all(Results(results, dict.fromkeys(NAMES, "train_classifiers"))):
        what, far, proof = (line.split(": ", 2)[2] for line in summary.tell())
        assert what.startswith("reads 8 as 3 when noise is above 0.14: wrong on 62 %")
        assert far == summary.how_far
        for each in proof.split("; pass or not: ")[0].split("; "):
            assert each in text
    assert "second Pass or not no criterion none of 3 criteria names it" in text
    assert text.index("What proves it") < text.index("A mode is a kind of input") < text.index("Pick a classifier")


def test_the_atlas_tells_every_mode_and_what_others_do_in_it(outline):
    text = outline.text.replace(TIED, " ")
    for words in (
        "first: 3 modes These modes hold 71 % [66, 76] of 812 failures.",
        "Of the cells of the domain, 70 % [66, 76] of 64 hold images enough to tell.",
        "a direction that leads there none found part of mode 1 second there",
        "share of the domain 6.0 % [5.0, 7.0] risk: rate times share 3.7 % [3.3, 4.1] times the rate elsewhere 4.50",
        "true failures (judge, auditor) 80 % [74, 86] of 118 nearest found failure 1.25 std",
        "a direction that leads there fainter second there wrong on 12 % [8, 18]",
        "nearest found failure none lies in it a direction that leads there none found",
    ):
        assert words in text, words


def test_a_classifier_without_modes_is_told_to_have_none(changed, run, tmp_path):
    write_modes(changed / "find_modes" / "first", modes=0)
    text = read(run(changed, tmp_path / "out")).text
    assert "On what it fails no kind of input found on which it fails more than elsewhere How far" in text
    assert "first: no modes No kind of input found on which it fails more than elsewhere." in text
    assert "modes hold" in text.split("second: 3 modes")[1]


def test_of_more_than_two_classifiers_all_verdicts_come_first_and_further_modes_are_folded(changed):
    for room in ("find_modes", "find_failures", "judge_failures"):
        shutil.copytree(changed / room / "second", changed / room / "third")
    held = Results(changed, dict.fromkeys((*NAMES, "third"), "train_classifiers"))
    summaries = summarise_all(held)
    strips = [draw_strips(held, each) for each in summaries]
    answers = [answer(*each) for each in zip(summaries, strips, strict=True)]
    page = Outline(render_page("Title", "", answers, [show_atlas(held, summaries, strips)], {}, {}))
    assert "Title first fail second no criterion third no criterion first Pass or not" in page.text
    assert ["open" in held for held in page.find("details")] == [True, True, False]
    ids = [held["id"] for _, held in page.held if "id" in held]
    assert len(ids) == len(set(ids))


def test_hashes_of_all_files_read_are_those_of_the_bytes(outline, results):
    hashes = dict(re.findall(r"(\S+/\S+) ([0-9a-f]{64})", outline.text))
    files = {path.relative_to(results).as_posix(): path for path in results.rglob("*") if path.is_file()}
    assert hashes == {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in hashes}
    # Nothing but what the page has no use for is left out.
    assert set(files) - set(hashes) <= {"sample_populations/style_dimensions.csv"}
    assert "train_stylegan2/generator.safetensors" in hashes
    assert any(name.startswith("sample_populations/population.zarr/") for name in hashes)


def test_the_page_names_nothing_outside_itself(page_file, outline, results):
    text = page_file.read_text(encoding="utf-8")
    assert outline.tags.isdisjoint({"link", "iframe", "object", "embed", "base"})
    pictures = [image["src"] for image in outline.find("img")] + [image["href"] for image in outline.find("image")]
    assert all(uri.startswith(("data:image/webp;base64,", DRAWN)) for uri in pictures)
    assert all(link["href"].startswith(("#", "data:text/csv;base64,", WRITTEN)) for link in outline.find("a"))
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text).replace("http-equiv", "")
    assert str(results) not in text


def test_text_from_files_cannot_end_a_script_or_become_markup(run, changed, tmp_path):
    edit_json(changed / "check_claims/claims.json", lambda held: held["claims"][0].update(claim="<b id=evil>x</b>"))
    edit_json(changed / "prepare_images/metrics.json", lambda held: held.update({"</script><i>": 1}))
    modes = changed / "find_modes/first/modes.csv"
    modes.write_text(modes.read_text().replace("reads 8", '<i>""8'))
    page = read(run(changed, tmp_path / "out"))
    assert page.tags.isdisjoint({"b", "i"})
    assert '<i>""8 as 3' in page.text
    assert json.loads(page.scripts["metrics"])["prepare_images/metrics.json"]["</script><i>"] == 1
    assert json.loads(write_script({"a": "</script><!--"})) == {"a": "</script><!--"}
    assert "<" not in write_script({"a": "</script><!--"})


def test_a_brought_classifier_that_no_criterion_names_is_told(changed):
    shutil.copytree(changed / "train_classifiers", changed / "bring_classifiers")
    section = show_verdicts(Results(changed, dict.fromkeys(NAMES, "bring_classifiers")))
    told = [block.text for block in section.blocks if isinstance(block, Text) and "names" in block.text]
    assert told == ["No acceptance criterion names second, which was brought: no verdict is about it."]


def unlink(path):
    path.unlink()


def swap(old, new="other"):
    return lambda path: path.write_text(path.read_text().replace(old, new))


def explore_all(results):
    explore(results, ReportParams(**SECTION), torch.device("cpu"))


def lose_ratio(path):
    edit_json(path, lambda held: [held.pop(key) for key in ("frechet_ratio", "frechet_ratio_interval")])


MISSING = r"missing; make it with: dvc repro {}$"
FAULTS = [
    (show_failures, "rank_dimensions/first/metrics.json", unlink, MISSING),
    (show_failures, "judge_failures/second/figures/verdicts.png", unlink, MISSING),
    (show_failures, "judge_failures/second/figures/verdicts.csv", unlink, MISSING),
    (explore_all, "name_directions/first/directions.csv", unlink, MISSING),
    (explore_all, "train_stylegan2/generator.safetensors", unlink, MISSING),
    (explore_all, "train_classifiers/second/classifier.safetensors", unlink, MISSING),
    (show_claims, "check_claims/claims.json", unlink, MISSING),
    (show_quality, "train_judges/tables/confusion.csv", unlink, MISSING),
    (show_quality, "qualify_generator/metrics.json", lambda path: path.write_text("{"), r"no JSON .*dvc repro {}"),
    (show_quality, "qualify_generator/metrics.json", lambda path: path.write_text("[1]"), "holds a list, no mapping"),
    (show_quality, "qualify_generator/metrics.json", lose_ratio, "holds no 'frechet_ratio'"),
    (summarise_all, "find_modes/first/modes.csv", unlink, MISSING),
    (summarise_all, "find_modes/second/modes.csv", swap("verdict"), "lacks the columns verdict; .*{}"),
    (summarise_all, "find_modes/second/modes.csv", swap("0.62", "x"), "line 2: could not convert .* float: 'x'; .*{}"),
    (show_failures, "corroborate/second/claims.csv", swap("verdict"), "lacks the columns verdict; .*{}"),
    (show_failures, "invert_images/metrics.json", unlink, MISSING),
    (show_failures, "find_failures/second/metrics.json", unlink, MISSING),
    (show_distances, "find_failures/second/figures/distance.png", unlink, MISSING),
    (
        show_comparison,
        "compute_curves/figures/shift.png",
        lambda path: path.write_bytes(b"x"),
        "no PNG; .* dvc repro {}",
    ),
]


@pytest.mark.parametrize(("show", "name", "spoil", "message"), FAULTS)
def test_missing_and_damaged_results_are_named_with_the_stage_that_makes_them(
    changed, tmp_path, show, name, spoil, message
):
    spoil(changed / name)
    show = partial(show, out=tmp_path) if show is show_quality else show
    with pytest.raises(StageError, match=f"{re.escape(name)}: {message.format(name.split('/')[0])}"):
        show(Results(changed, dict.fromkeys(NAMES, "train_classifiers")))


@pytest.mark.parametrize(
    ("show", "name", "key", "lost", "allowed"),
    [
        (show_verdicts, "acceptance/gates.json", "criteria", "bar", "fail, not"),
        (show_claims, "check_claims/claims.json", "claims", "rule", "holds"),
    ],
)
def test_entries_of_another_form_are_refused(changed, show, name, key, lost, allowed):
    maybe = f"entry 2 of '{key}' has the verdict 'maybe'; .*: {allowed}"
    for change, message in (
        (lambda held: held[key][1].update(verdict="maybe"), maybe),
        (lambda held: held[key][0].pop(lost), f"entry 1 of '{key}' has no {lost}"),
        (lambda held: held.pop(key), f"holds no list '{key}'"),
    ):
        edit_json(changed / name, change)
        with pytest.raises(StageError, match=f"{re.escape(name)}: {message}"):
            show(Results(changed, dict.fromkeys(NAMES, "train_classifiers")))


def test_a_missing_result_leaves_no_page(run, changed, tmp_path):
    (changed / "train_stylegan2" / "generator.safetensors").unlink()
    with pytest.raises(StageError, match=r"generator\.safetensors: missing; make it with: dvc repro train_stylegan2"):
        run(changed, tmp_path / "out")
    assert not (tmp_path / "out").exists()
