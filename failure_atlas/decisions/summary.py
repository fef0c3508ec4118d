"""What a run found of a classifier, in three sentences: on what it fails, how far it is from failing, what proves it.

The first screen of the page and the last lines of the terminal are both made here, so that they say the same.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from failure_atlas.core.errors import StageError
from failure_atlas.decisions.acceptance import FAIL, NOT_ASSESSABLE, PASS
from failure_atlas.decisions.metrics import find_estimate
from failure_atlas.statistics.estimates import NAN, Estimate

Content = Mapping[str, Any]
CORROBORATED, CONTRADICTED, TOO_FEW = "corroborated", "contradicted", "too few"
VERDICTS = (CONTRADICTED, TOO_FEW, CORROBORATED)  # of real images on a mode, the best last
WORDS = {TOO_FEW: "too few to tell"}  # where the verdict stands in a sentence
NO_MODE = "no kind of input found on which it fails more than elsewhere"
UNASKED = "no criterion"  # the verdict on a classifier of which none speaks
STAGES = ("find_failures", "judge_failures", "qualify_generator", "train_judges")  # whose metrics are told
GENERATOR = "qualify_generator: neutral_kid"
ESTIMATES = ("rate", "share", "lift", "true_failure_share", "real_rate", "risk")
TEXTS = ("sentence", "within", "class", "read_as", "verdict", "direction_name")
COUNTS = ("rank", "n", "failures", "n_real", "real_failures", "found_failures")
COLUMNS = (
    *TEXTS,
    *COUNTS,
    "nearest_distance_std",
    *(f"{key}{end}" for key in ESTIMATES for end in ("", "_low", "_high")),
)


@dataclass(frozen=True)
class Mode:
    """A kind of input on which a classifier fails more than elsewhere: a row of modes.csv.

    rate: of failures there.  share: of the domain.  lift: rate over that elsewhere.  true_failure_share: judge and
    auditor both say so.  real_rate: of real test images of that kind.  risk: rate times share, of importance.
    """

    texts: Mapping[str, str]
    counts: Mapping[str, int]
    estimates: Mapping[str, Estimate]
    nearest_distance_std: float

    @property
    def verdict(self) -> str:
        """What real images say: corroborated | contradicted | too few."""
        return self.texts["verdict"]

    @property
    def told_rate(self) -> str:
        """How often the classifier is wrong on generated images of that kind."""
        return f"wrong on {tell_percent(self.estimates['rate'])} generated images"

    @property
    def told_real(self) -> str:
        """How often it is wrong on real ones."""
        return (
            f"on {tell_percent(self.estimates['real_rate'])} real ones" if self.counts["n_real"] else "on no real one"
        )

    def tell(self) -> str:
        """The whole of it in one sentence."""
        return f"{self.texts['sentence']}: {self.told_rate}, {self.told_real}: {WORDS.get(self.verdict, self.verdict)}"


def read_modes(text: str, name: str) -> list[Mode]:
    """The modes in the text of a modes.csv, the most important first; name: of the file, for StageError."""
    again = "make it again with: dvc repro find_modes"
    reader = csv.DictReader(StringIO(text))
    if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
        raise StageError(f"{name}: lacks the columns {', '.join(missing)}; {again}")
    try:
        return sorted(map(_read_mode, reader), key=lambda mode: mode.counts["rank"])
    except (TypeError, ValueError) as error:
        raise StageError(f"{name}: line {reader.line_num}: {error}; {again}") from error


def _read_mode(row: Mapping[str, str]) -> Mode:
    def number(column: str) -> float:
        return float(row[column]) if row[column] else NAN

    if row["verdict"] not in VERDICTS:
        raise ValueError(f"verdict '{row['verdict']}'; allowed: {', '.join(VERDICTS)}")
    counts = {key: int(float(row[key])) for key in COUNTS}
    of = {"rate": counts["n"], "true_failure_share": counts["failures"], "real_rate": counts["n_real"]}
    estimates = {
        key: Estimate(number(key), number(f"{key}_low"), number(f"{key}_high"), of.get(key)) for key in ESTIMATES
    }
    return Mode({key: row[key] for key in TEXTS}, counts, estimates, number("nearest_distance_std"))


@dataclass(frozen=True)
class Summary:
    """What the first screen says of a classifier; an empty text is of what was not measured.

    modes: None where none were looked for.  proof: what it rests on, one finding each.  verdict: pass | fail |
    not assessable | no criterion, over the acceptance criteria that name it; counted: how many got which.
    """

    name: str
    modes: Sequence[Mode] | None
    how_far: str
    proof: Sequence[str]
    verdict: str
    counted: str

    @property
    def on_what(self) -> str:
        """The leading mode, or that there is none."""
        if self.modes is None:
            return ""
        return self.modes[0].tell() if self.modes else NO_MODE

    def tell(self) -> list[str]:
        """The three sentences, without what was not measured."""
        verdict = [f"pass or not: {self.verdict} ({self.counted})"] if self.counted else []
        answers = {
            "on what": self.on_what, "how far": self.how_far, "what proves it": "; ".join([*self.proof, *verdict]),
        }  # fmt: skip
        return [f"{self.name}: {question}: {answer}" for question, answer in answers.items() if answer]


def summarise(
    name: str, modes: Sequence[Mode] | None, metrics: Mapping[str, Content], criteria: Sequence[Content] | None
) -> Summary:
    """The summary of one classifier.

    metrics: content of metrics.json by stage, where there is one: find_failures, judge_failures and find_modes of this
    classifier, qualify_generator, train_judges.  criteria: entries of gates.json; None where none were checked.
    """
    found = {stage: metrics.get(stage, {}) for stage in STAGES}
    proof = [
        _tell_auditor(_find(found["find_failures"], "auditor_sure_share")),
        _tell_people(found["train_judges"]) or _tell_judge(_find(found["judge_failures"], "judge_sensitivity"), name),
        _tell_true(modes or ()),
        _tell_real(modes or ()),
        _tell_generator(_find(found["qualify_generator"], "neutral_kid"), criteria or ()),
    ]
    verdict, counted = (UNASKED, "") if criteria is None else decide_own(criteria, name)
    how_far = _tell_distance(*(_find(found["find_failures"], key) for key in ("median_distance_std", "start_share")))
    return Summary(name, modes, how_far, [each for each in proof if each], verdict, counted)


def decide_own(criteria: Sequence[Content], name: str) -> tuple[str, str]:
    """The verdict over the acceptance criteria that name a classifier, and how many got which, in words.

    What holds one against another names the first of the two.
    """
    own = [each for each in criteria if names_classifier(str(each.get("metric", "")), name)]
    if not own:
        return UNASKED, f"none of {len(criteria)} criteria names it"
    count = Counter(str(each["verdict"]) for each in own)
    verdict = next((each for each in (FAIL, NOT_ASSESSABLE) if count[each]), PASS)
    return verdict, ", ".join(f"{count[each]} {each}" for each in (PASS, FAIL, NOT_ASSESSABLE))


def names_classifier(metric: str, name: str) -> bool:
    """Whether a metric, as a criterion names it, is of a classifier."""
    return name in re.split(r"[/.]|: |_minus_[^.]*", metric)


def tell_percent(estimate: Estimate) -> str:
    """Such as `62 % [55, 69] of 210`: whole per cents from 10 on, up to two decimals below."""
    numbers = [100 * each for each in (estimate.value, estimate.low, estimate.high)]
    largest = max((abs(each) for each in numbers if not math.isnan(each)), default=0.0)
    value, low, high = (_tell(each, 0 if largest >= 10 else 1 if largest >= 1 else 2) for each in numbers)
    interval = "" if low == high == "?" else f" [{low}, {high}]"
    return f"{value} %{interval}" + ("" if estimate.n is None else f" of {estimate.n:,}")


def tell_std(estimate: Estimate) -> str:
    """Such as `2.54 std [2.18, 2.81]`."""
    value, low, high = (_tell(each, 2) for each in (estimate.value, estimate.low, estimate.high))
    return f"{value} std [{low}, {high}]"


def _tell(number: float, decimals: int) -> str:
    return "?" if math.isnan(number) else f"{number:,.{decimals}f}"


def _find(content: Content, key: str) -> Estimate | None:
    try:
        return find_estimate(content, key)
    except KeyError:
        return None


def _tell_distance(median: Estimate | None, share: Estimate | None) -> str:
    if median is None or share is None:
        return ""
    found = f"one is found from {tell_percent(share)} generated images read rightly"
    if math.isnan(median.value):
        return f"more often than not no true failure is found: {found}"
    return f"{tell_std(median)} to the nearest true failure, the median; {found}"


def _tell_auditor(sure: Estimate | None) -> str:
    return "" if sure is None else f"the auditor, asked by no search, is sure of {tell_percent(sure)} failures found"


def _tell_people(judges: Content) -> str:
    """What people's labels say of the judge: how many of its true failures are some, and how many it misses."""
    precision, recall = (_find(judges, f"judge.against_people.{key}") for key in ("precision", "recall"))
    if precision is None or recall is None:
        return ""
    told = "people agree to {} true failures of the judge, the judge to {} of theirs"
    return told.format(tell_percent(precision), tell_percent(recall))


def _tell_judge(right: Estimate | None, name: str) -> str:
    return "" if right is None else f"the judge reads rightly {tell_percent(right)} real errors of {name}"


def _tell_true(modes: Sequence[Mode]) -> str:
    if not modes:
        return ""
    return f"of failures in mode 1 judge and auditor confirm {tell_percent(modes[0].estimates['true_failure_share'])}"


def _tell_real(modes: Sequence[Mode]) -> str:
    if not modes:
        return ""
    count = Counter(mode.verdict for mode in modes)
    told = f"real images corroborate {count[CORROBORATED]} of {len(modes)} modes, contradict {count[CONTRADICTED]}"
    return told + (f", are too few for {count[TOO_FEW]}" if count[TOO_FEW] else "")


def _tell_generator(distance: Estimate | None, criteria: Sequence[Content]) -> str:
    if distance is None:
        return ""
    value, low, high = (_tell(each, 1) for each in (distance.value, distance.low, distance.high))
    told = f"generated images lie {value} [{low}, {high}] from real ones"
    for each in criteria:
        if each.get("metric") == GENERATOR:
            return f"{told} (bar: {each['bar']:g}): {each['verdict']}"
    return f"{told}, to a neutral network"
