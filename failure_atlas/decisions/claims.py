"""The claims of the paper, each with the numbers that speak for or against it and the rule that decides.

Each verdict is reached by itself, and once more with all of them allowed for (Holm 1979). The paper names no scaling of
distance and leaves open what it is measured from: claims about distance are held against four versions of it.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from failure_atlas.decisions.metrics import Metrics
from failure_atlas.statistics.agreement import PARTS
from failure_atlas.statistics.estimates import (
    FAILS,
    HOLDS,
    NOT_DECIDED,
    VERDICTS,
    Estimate,
    adjust_holm,
    combine,
    decide,
    estimate_share,
    find_p_value,
    negate,
    subtract,
    widen,
)

VERSIONS = {
    f"{scaling}_{centre}": f"{scaling} S ({words})"
    for scaling in ("raw", "standardised")
    for centre, words in (("own_class", "centre of the own class"), ("all", "one centre"))
}
IN_VERSIONS = f", in each of {len(VERSIONS)} versions of distance: raw or standardised S, the own class's or one centre"
DIFFERENCE = "holds if the interval of the difference lies above 0, fails if below"
OPPOSITE = "holds if the interval of the difference lies below 0, fails if above"
SLOPES = "slopes of accuracy on the distance of the same samples, over the range in which both distances lie"
HISTOGRAM_VALUES = "minus_class_mean"  # raw styles differ with the class alone, and some classes fail more often
CENTRED = "; of styles minus the mean of their class"
EACH = "; for both classifiers"
SHAPE = (
    "the one-sided trend test has p < {significance:g}, and no bin lies above an earlier one by Holm's test of the "
    "differences of all pairs of bins"
)
MARGIN = "the interval is the statistic plus and minus what equal distributions stay below in 95 % of cases"
AREA_COLUMNS = (
    *("classifier", "kind", "scope", "dimensions", "k", "scaling", "centre"),
    *("trend_p_value", "rise_from", "rise_to", "rise_p_value", "n"),
)
RELIABILITY = "report/figures/train_classifiers/{name}/reliability.png"
SPACES = "sample_populations/figures/fig3_spaces.png"
HISTOGRAMS = "name_directions/{name}/figures/fig4_well_against_mis.png"
RANKING = "name_directions/{name}/figures/ranking.png"
WALKS = "walk_corner_cases/{name}/figures/fig7_corner_cases.png"
CURVES = "compute_curves/figures/fig6a_classifiers.png"
SHIFT = "compute_curves/figures/shift.png"
PAIRED = "compute_curves/figures/paired_difference.png"


class Bars(Protocol):
    """Which classifiers the claims speak of, and the bars that numbers are held against (section `check_claims`)."""

    trained_on_clean: str
    trained_on_corrupted: str
    corrupted_accuracy: float
    reached_share: float
    ranking_overlap: float
    negligible_ks: float
    significance: float


@dataclass(frozen=True)
class Sources:
    """All that claims are checked on; metrics: by result folder, such as `rank_dimensions/clean`.

    areas: rows of areas.csv of compute_curves.
    """

    metrics: Mapping[str, Metrics]
    areas: Sequence[Mapping[str, str]]

    def find_distance_curve(self, classifier: str, k: str, version: str) -> Mapping[str, str] | None:
        """The row of areas.csv of the curve along top dimensions, if it was computed; version: of VERSIONS."""
        scaling, _, centre = version.partition("_")
        wanted = {
            "classifier": classifier, "kind": "distance", "scope": "all", "dimensions": "top", "k": k,
            "scaling": scaling, "centre": centre,
        }  # fmt: skip
        return next((row for row in self.areas if wanted.items() <= row.items()), None)


def list_sources(params: Bars) -> list[tuple[str, str]]:
    """Whose metrics claims are checked on: (stage, classifier), which is empty where a stage has one result for all."""
    named = ("rank_dimensions", "walk_corner_cases", "train_classifiers")
    names = (params.trained_on_clean, params.trained_on_corrupted)
    return [
        *((stage, "") for stage in ("compute_curves", "sample_populations")),
        *((stage, name) for stage in named for name in names),
    ]


def read_areas(lines: Iterable[str]) -> list[dict[str, str]]:
    """The rows of areas.csv of compute_curves; ValueError that names the columns that it lacks."""
    table = csv.DictReader(lines)
    missing = [column for column in AREA_COLUMNS if column not in (table.fieldnames or ())]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    return list(table)


@dataclass(frozen=True)
class Part:
    """The verdict on one part of a claim and the p-value of its test, NaN without one; version: key of VERSIONS."""

    verdict: str
    p_value: float = float("nan")
    version: str = ""


@dataclass
class Claim:
    """A claim in our words, where the paper makes it, and how its verdict follows.

    figure: where to look at it, below the folder of all results.  evidence: what was measured, by the name of the
    metric.  parts: the claim's verdict follows from all.  holm_p_value: `p_value`, with all claims allowed for.
    """

    id: str
    claim: str
    source: str
    rule: str
    figure: list[str]
    sources: Sources
    params: Bars
    evidence: dict[str, Estimate] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    holm_p_value: float = float("nan")

    @property
    def verdict(self) -> str:
        """holds | fails | not decided."""
        return combine([part.verdict for part in self.parts])

    @property
    def corrected_verdict(self) -> str:
        """The same with the number of claims allowed for."""
        return self.verdict if self.holm_p_value < self.params.significance else NOT_DECIDED

    @property
    def p_value(self) -> float:
        """For all parts to hold the largest of theirs; for one to fail the smallest of those that do, times all parts.

        NaN, no test, unless each part has one.
        """
        failing = [part.p_value for part in self.parts if part.verdict == FAILS]
        if failing:
            return min(1.0, len(self.parts) * min(failing))
        return float(np.max([part.p_value for part in self.parts] or [float("nan")]))

    @property
    def versions(self) -> str:
        """In which versions of distance it holds, and what becomes of it in the others; empty where there are none."""
        found: dict[str, list[str]] = {}
        for version, words in VERSIONS.items():
            verdicts = [part.verdict for part in self.parts if part.version == version]
            if verdicts:
                found.setdefault(combine(verdicts), []).append(words)
        if list(map(len, found.values())) == [len(VERSIONS)]:
            return f"{self.verdict} in all {len(VERSIONS)} versions"
        return "; ".join(f"{verdict} in {', '.join(found[verdict])}" for verdict in VERDICTS if verdict in found)

    @property
    def names(self) -> tuple[str, str]:
        """The classifiers that it speaks of: trained on clean and on corrupted images."""
        return self.params.trained_on_clean, self.params.trained_on_corrupted

    @property
    def headline_k(self) -> str:
        """The number of top dimensions of figure 6."""
        return _find_headline(self.sources, self.params)

    def take(self, metric: str) -> Estimate:
        """Read an estimate, `STAGE/CLASSIFIER: key`, and keep it as evidence."""
        folder, _, key = metric.partition(": ")
        self.evidence[metric] = estimate = self.sources.metrics[folder].estimate(key)
        return estimate

    def demand(
        self, estimate: Estimate, comparison: str, bar: float, version: str = "", freedom: int | None = None
    ) -> None:
        """A part of the claim is that the estimate lies beyond the bar; freedom: see `find_p_value`."""
        self.parts.append(Part(decide(estimate, bar, comparison), find_p_value(estimate, bar, freedom), version))

    def as_dict(self) -> dict[str, Any]:
        """The entry of claims.json."""
        keys = ("id", "claim", "source", "figure", "verdict", "corrected_verdict", "p_value", "holm_p_value")
        evidence = {name: estimate.as_dict() for name, estimate in self.evidence.items()}
        return {key: getattr(self, key) for key in (*keys, "versions", "rule")} | {"evidence": evidence}


Check = Callable[[Claim], None]


def exceed(metric: str, bar: str, freedom: int | None = None) -> Check:
    """A metric lies above a bar; `{name}` in it stands for both classifiers, one after the other."""

    def check(claim: Claim) -> None:
        for each in _for_both(claim, metric):
            claim.demand(claim.take(each), ">", getattr(claim.params, bar), freedom=freedom)

    return check


def paired(comparison: str, metric: str, versions: Iterable[str] = ("",), shown: Iterable[str] = ()) -> Check:
    """A difference on the same samples lies on one side of 0, for both classifiers; versions: the end of its key.

    shown: metrics that are told beside it.
    """

    def check(claim: Claim) -> None:
        for each in shown:
            claim.take(each)
        for version in versions:
            for each in _for_both(claim, f"{metric}.{version}" if version else metric):
                claim.demand(claim.take(each), comparison, 0, version)

    return check


def differ(larger: str, smaller: str) -> Check:
    """One metric is larger than another, which is of other samples."""

    def check(claim: Claim) -> None:
        pair = [claim.take(metric) for each in (larger, smaller) for metric in _for_both(claim, each)]
        claim.evidence["difference"] = difference = subtract(*pair)
        claim.demand(difference, ">", 0)

    return check


def check_histograms(key: str) -> Check:
    """Top ones: the statistic is above 0. The median: below a bar, and not above what chance gives."""

    def check(claim: Claim) -> None:
        for name in claim.names:
            metrics = claim.sources.metrics[f"rank_dimensions/{name}"]
            margin, well, mis = (metrics.number(f"well_mis_ks.{each}") for each in ("null_95", "n_well", "n_mis"))
            metric = f"well_mis_ks.{HISTOGRAM_VALUES}.{key}"
            estimate = widen(metrics.number(metric), margin, int(well + mis))
            claim.evidence[f"{metrics.name}: {metric}"] = estimate
            # A statistic above what chance gives is a difference, however small; below, it may still hide one.
            differs, bar = decide(estimate, 0, ">"), 0.0
            if key == "median":
                bar = claim.params.negligible_ks if differs == NOT_DECIDED else 0.0
                differs = decide(estimate, bar, "<") if differs == NOT_DECIDED else negate(differs)
            claim.parts.append(Part(differs, find_p_value(estimate, bar)))

    return check


def check_walks(claim: Claim) -> None:
    """More than a share of the walks arrive; the median shift is told beside it."""
    for name in claim.names:
        metrics = claim.sources.metrics[f"walk_corner_cases/{name}"]
        reached, walks, draws = (int(metrics.number(key)) for key in ("reached", "walks", "noise_draws"))
        # Walks of the same mean and dimension under several draws of noise are one case.
        share = estimate_share(round(reached / draws), round(walks / draws))
        claim.evidence[f"{metrics.name}: reached / walks"] = share
        claim.demand(share, ">", claim.params.reached_share)
        claim.take(f"{metrics.name}: median_shift_std")


def check_shape(*, everything: bool) -> Check:
    """A curve falls along the top dimensions, or does not along all of them."""

    def check(claim: Claim) -> None:
        k = "all" if everything else claim.headline_k
        rows = {(version, name): claim.sources.find_distance_curve(name, k, version)
                for version in VERSIONS for name in claim.names}  # fmt: skip
        if None in rows.values():
            claim.rule += f"; compute_curves.top_k holds no {k}"
        for (version, name), row in rows.items():
            if row is None:
                claim.parts.append(Part(NOT_DECIDED, version=version))
                continue
            trend, before, after, rise = (_number(row[column]) for column in AREA_COLUMNS[-5:-1])
            words = f"{name}, {VERSIONS[version]}"
            claim.evidence[f"{words}: p of the trend"] = Estimate(trend, n=int(row["n"]))
            rises = f"{words}: surest rise from {before:.3g} to {after:.3g}, p"
            claim.evidence[rises] = Estimate(rise, n=int(row["n"]))
            verdict, p_value = falls(trend, rise, claim.params.significance)
            claim.parts.append(Part(negate(verdict) if everything else verdict, p_value, version))

    return check


def falls(trend: float, rise: float, significance: float) -> tuple[str, float]:
    """Holds if the trend falls and no point rises; fails if one does, or if the trend rises; and the p-value of that.

    trend: p-value, one-sided, small where the curve falls.  rise: that of the surest rise.  NaN decides nothing.
    A curve that fails had two ways to, so that its p-value is the smaller one of both, doubled.
    """
    against = float(np.fmin(1 - trend, rise))
    if against < significance:
        return FAILS, min(2 * against, 1.0)
    return HOLDS if trend < significance else NOT_DECIDED, trend


def check_paired(key: str, *shown: str) -> Check:
    """The classifier that was trained on corrupted images is ahead on the same images; the pair may be kept either way.

    shown: metrics that are told beside it.
    """

    def check(claim: Claim) -> None:
        clean, corrupted = claim.names
        for metric in shown:
            for each in _for_both(claim, metric):
                claim.take(each)
        pairs = claim.sources.metrics["compute_curves"].content.get("paired", {})
        flipped = f"{corrupted}_minus_{clean}" not in pairs and f"{clean}_minus_{corrupted}" in pairs
        pair = f"{clean}_minus_{corrupted}" if flipped else f"{corrupted}_minus_{clean}"
        claim.demand(claim.take(f"compute_curves: paired.{pair}.{key}"), "<" if flipped else ">", 0)

    return check


# Name, claim, where the paper makes it, rule, figure, check. Texts may hold the bars of `Bars` and k, as `{k}`.
RULES: tuple[tuple[str, str, str, str, str, Check], ...] = (
    ("corrupted_accuracy",
     "Trained on the corrupted set, a classifier is right about {percent:g} % of the corrupted test set.",
     "3.1", "holds if the interval lies above {corrupted_accuracy:g}, fails if below", RELIABILITY,
     exceed("train_classifiers/{corrupted}: corrupted_test_accuracy", "corrupted_accuracy")),
    ("corruption_impact",
     "Corruption significantly lowers the accuracy of a classifier that was trained on clean images.",
     "3.1", f"{DIFFERENCE}: clean test images minus those that are corrupted", RELIABILITY,
     differ("train_classifiers/{clean}: clean_test_accuracy",
            "train_classifiers/{clean}: corrupted_half_test_accuracy")),
    ("corrupted_training",
     "Training on the corrupted set makes a classifier better on the corrupted test set.",
     "3.1", f"{DIFFERENCE}: trained on corrupted minus trained on clean images, of the same images", RELIABILITY,
     check_paired("corrupted_test_accuracy", "train_classifiers/{name}: corrupted_test_accuracy")),
    *((f"{better}_separates_better_than_{worse}",
       f"{better.upper()} separates well- from misclassified samples better than {worse.upper()}.",
       "2.1.2, figure 3", f"{DIFFERENCE}: areas under the ROC curve of cross-validated probes, paired", SPACES,
       paired(">", f"sample_populations: outcome_separation_difference.{better}_minus_{worse}",
              shown=[f"sample_populations: outcome_separation.{space}" for space in (better, worse)]))
      for better, worse in ("sw", "wz")),
    ("top_histograms_differ",
     "Well- and misclassified samples are distributed differently along the top dimensions.", "2.2, figure 4",
     (f"holds if the mean Kolmogorov-Smirnov statistic of the top ones lies above 0 with interval ({MARGIN}){CENTRED}"
      f"{EACH}"),
     HISTOGRAMS, check_histograms("top")),
    ("random_histograms_agree",
     "Along random dimensions the histograms of well- and misclassified samples show no difference.", "2.2, figure 4",
     ("the median over all dimensions stands for a random one: holds if its interval lies below {negligible_ks:g}, "
     f"fails if it lies above 0 ({MARGIN}){CENTRED}{EACH}"),
     HISTOGRAMS, check_histograms("median")),
    ("ranking_is_stable",
     "Gradients averaged over a population rank the style dimensions.", "2.2",
     ("holds if two halves of the population agree on more than a share of {ranking_overlap:g} of the top 10, by the "
      f"jackknife's 95 % interval, not by the range of the halvings, which share all samples{EACH}"),
     RANKING, exceed("rank_dimensions/{name}: split_half_top10_overlap", "ranking_overlap", PARTS - 1)),
    ("ranking_tells_influence",
     "Moved along the top dimensions, samples fail sooner than along random ones.", "2.2, 2.4; control added here",
     f"{OPPOSITE}: areas under accuracy against shift, top minus random dimensions, of the same samples{EACH}", SHIFT,
     paired("<", "compute_curves: {name}.top_minus_random.shift_area")),
    ("top_dimensions_bring_avoidable_failures",
     ("What fails along the top dimensions is the classifier, not the image: more images that the judge still reads "
      "are lost there than along random dimensions."),
     "2.4; judge added here",
     (f"{DIFFERENCE}: shares that only the judge reads, averaged over the shift, top minus random dimensions, of the "
      f"same samples{EACH}"),
     SHIFT, paired(">", "compute_curves: {name}.top_minus_random.shift_avoidable_area")),
    ("one_dimension_reaches_half",
     "Moving one top dimension brings the softmax of the true class to 0.50.", "2.3, 3.4, figures 5 and 7",
     ("holds if the share of walks that arrive lies above {reached_share:g} with its interval, fails if "
     f"below{EACH}; the median shift is told beside it"),
     WALKS, check_walks),
    ("monotone_in_top_dimensions",
     "Accuracy falls monotonically with distance in the top {k} dimensions.", "2.4, 3.3, figure 6",
     f"holds if {SHAPE}; fails if a bin does or p > {{insignificance:g}}{EACH}{IN_VERSIONS}", CURVES,
     check_shape(everything=False)),
    ("not_monotone_in_all_dimensions",
     "In all dimensions accuracy does not fall monotonically with distance.", "2.4, 3.3",
     f"fails if {SHAPE}; holds if a bin does or p > {{insignificance:g}}{EACH}{IN_VERSIONS}", CURVES,
     check_shape(everything=True)),
    ("top_dimensions_are_steeper_than_all",
     "Accuracy falls faster with distance in the top {k} dimensions than in all of them.", "3.3",
     f"{OPPOSITE}: {SLOPES}, top minus all dimensions{EACH}{IN_VERSIONS}", CURVES,
     paired("<", "compute_curves: {name}.slope_minus_all", VERSIONS)),
    ("top_dimensions_are_steeper_than_random",
     "Accuracy falls faster with distance in the top {k} dimensions than in random ones.",
     "2.4, 3.3; control added here", f"{OPPOSITE}: {SLOPES}, top minus random dimensions{EACH}{IN_VERSIONS}", CURVES,
     paired("<", "compute_curves: {name}.slope_minus_random", VERSIONS)),
    *((f"{kind}_curves_compare_classifiers",
       f"Curves of accuracy against {kind} tell classifiers apart: trained on corrupted images, one lies above.",
       "3.3, figure 6a", f"{DIFFERENCE}: area between the curves of the same samples", PAIRED, check_paired(key))
      for kind, key in (("distance", "area"), ("shift", "shift_area"))),
)  # fmt: skip


def check_claims(sources: Sources, params: Bars) -> list[Claim]:
    """All claims in the order of the paper; StageError that names a metric that is not there."""
    bars = ("corrupted_accuracy", "reached_share", "ranking_overlap", "negligible_ks", "significance")
    values: dict[str, object] = {bar: getattr(params, bar) for bar in bars} | {
        "percent": 100 * params.corrupted_accuracy,
        "insignificance": 1 - params.significance,
        "k": _find_headline(sources, params),
    }
    names = (params.trained_on_clean, params.trained_on_corrupted)
    claims = []
    for name, words, source, rule, figure, check in RULES:
        figures = list(dict.fromkeys(figure.format(name=each) for each in names))
        claims.append(Claim(name, words.format(**values), source, rule.format(**values), figures, sources, params))
        check(claims[-1])
    for claim, p_value in zip(claims, adjust_holm(np.array([claim.p_value for claim in claims])), strict=True):
        claim.holm_p_value = float(p_value)
    return claims


def count_verdicts(claims: Sequence[Claim]) -> dict[str, Any]:
    """How many claims there are and have each verdict, and each where their number is allowed for (`corrected`)."""
    counts: list[dict[str, int]] = [
        {verdict.replace(" ", "_"): sum(getattr(claim, name) == verdict for claim in claims) for verdict in VERDICTS}
        for name in ("verdict", "corrected_verdict")
    ]
    return {"claims": len(claims), **counts[0], "corrected": counts[1]}


MULTIPLICITY = (
    "Each verdict rests on its own 95 % intervals or test, so that one or two of so many may be due to chance; the "
    "corrected one allows for the number of claims that could be tested (Holm 1979): not decided where it does not "
    "bear that."
)


def _for_both(claim: Claim, metric: str) -> list[str]:
    """The metric of each classifier where it holds `{name}`, else the one that it is."""
    clean, corrupted = claim.names
    filled = [metric.format(name=name, clean=clean, corrupted=corrupted) for name in claim.names]
    return filled if "{name}" in metric else filled[:1]


def _find_headline(sources: Sources, params: Bars) -> str:
    return f"{sources.metrics['compute_curves'].number(f'{params.trained_on_clean}.headline_k'):g}"


def _number(cell: str) -> float:
    return float(cell) if cell else float("nan")
